/**
 * What a verifier asks the chain, through a node of its own choice, by plain fetch.
 *
 * Every argument and result is a row of 32-byte words, so that no ABI library is needed; a test holds the
 * selectors against the compiled contracts.
 */

import { concat, excerpt, fromBigInt, fromHex, toBigInt, toHex, utf8 } from "./bytes.js";
import { BINDING_ROLES, KEY_CLASSES } from "./evidence.js";
import { sha256 } from "./sha256.js";
import { SIZE_END } from "./tree.js";

export const SELECTORS = Object.freeze({
  gateway_key: "0b7466ab", // (origin_id, key_id) -> class, from_block, to_block
  assignment_count: "967dead2", // (device)
  assignment: "c1e417b1", // (device, number) -> origin_id, first_index, last_index, block
  contract_named: "373cdfb4", // (name) -> address of another contract of the site
  binding_count: "fcdfc859", // of Bindings: (device)
  binding: "dea0a934", // (device, number) -> subject, commitment, role, from_date, to_date, confirmed, attested
  unit_at: "ca025796", // of the Roll: (index) -> alias
  unit: "b9f07d39", // (alias) -> index, area, area before, category, head, building, floor, exists
  residents: "0e8c2dc3", // (alias, date)
  pool_keys_at: "6bbc996f", // (pool, date) -> root, sum of the keys, kind, unit_count, valid_from
  period: "d4b08aee", // (period) -> root, sums, unit_count, closed_at, window_end, total area, corrections
  tariffs: "79073d58", // () -> the contract of tariffs
  volumes: "3c235312", // of the tariffs: (pool, period) -> digest of the table that shares the pool
  utc_offset_seconds: "8502f0b9", // of the tariffs: () -> the site's clocks, an int256
  tariff: "16b51928", // (version) -> digest, valid_from, valid_to, approved_at, needs a resolution
});
export const ANCHORED_TOPIC = "0x2946f6d79e30b36612401c9600819a1e622cf156a41e314844f4d582f06d242a";
const VETOED = (1n << 64n) - 1n;
const RECORDS_MAX = 256n;
const ANSWER_WAIT_MS = 8000;

/** The node did not answer, answered nonsense or serves another chain: nothing is known, nothing is broken. */
export class RpcError extends Error {}

/**
 * Asks a node by JSON-RPC over HTTP. Questions that are put at the same time travel together: on a slow link the
 * round trips are what takes long.
 * @param {string} url
 * @returns {(method: string, parameters: unknown[]) => Promise<unknown>}
 */
export function rpcAt(url) {
  let waiting = [];
  const send = async () => {
    const questions = waiting;
    waiting = [];
    const requests = questions.map(({ method, parameters }, id) => ({ jsonrpc: "2.0", id, method, params: parameters }));
    try {
      const answers = await post(url, requests);
      questions.forEach((question, id) => settle(question, answers.find((answer) => answer?.id === id)));
    } catch {
      const silence = new RpcError(`the node at ${url} did not answer; try again or another node`);
      questions.forEach((question) => question.reject(silence));
    }
  };
  return (method, parameters) =>
    new Promise((resolve, reject) => {
      if (waiting.length === 0) setTimeout(send, 0);
      waiting.push({ method, parameters, resolve, reject });
    });
}

/** The answers to some requests; one request goes alone, for not every node takes a list. */
async function post(url, requests) {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(requests.length === 1 ? requests[0] : requests),
    signal: AbortSignal.timeout(ANSWER_WAIT_MS),
  });
  const answer = await response.json();
  if (Array.isArray(answer)) return answer;
  if (requests.length === 1) return [answer];
  return (await Promise.all(requests.map((request) => post(url, [request])))).flat();
}

function settle({ method, resolve, reject }, answer) {
  if (answer && !answer.error && "result" in answer) resolve(answer.result);
  else reject(new RpcError(`the node refused ${method}`));
}

/** The same node, asked each question once: within one check the chain is to stand still. */
export function remembering(rpc) {
  const known = new Map();
  return (method, parameters) => {
    const question = JSON.stringify([method, parameters]);
    if (!known.has(question)) known.set(question, rpc(method, parameters));
    return known.get(question);
  };
}

const hex = (bytes) => `0x${toHex(bytes)}`;

function quantity(value) {
  if (typeof value !== "string" || !/^0x[0-9a-fA-F]{1,64}$/.test(value)) {
    throw new RpcError(`the node answered ${excerpt(value)} where a number belongs; try another node`);
  }
  return BigInt(value);
}

/** The 32 bytes that stand for a log in the contracts. */
export function originId(origin) {
  return sha256(utf8(origin));
}

/** The facts of one deployment's chain. Every method throws RpcError when the node gives no good answer. */
export class ChainView {
  constructor(rpc, trust) {
    this.rpc = rpc;
    this.trust = trust;
    this.isChainChecked = false;
  }

  async ask(method, ...parameters) {
    if (!this.isChainChecked) {
      const chainId = quantity(await this.rpc("eth_chainId", []));
      if (chainId !== this.trust.chainId) throw new RpcError(`this node serves chain ${chainId}, not ${this.trust.chainId}`);
      this.isChainChecked = true;
    }
    return this.rpc(method, parameters);
  }

  /** Put every question about an evidence file at once, for a `remembering` node; the checks then find the answers. */
  foresee({ log, assignment, anchor }) {
    const questions = [this.ask("eth_getBlockByNumber", "finalized", false)];
    if (log) questions.push(this.gatewayKey(log.origin, log.key.publicKey));
    if (assignment) questions.push(this.assignments(assignment.device));
    if (assignment?.binding) questions.push(this.bindings(assignment.device));
    if (anchor) {
      questions.push(this.ask("eth_getBlockByNumber", `0x${anchor.block.toString(16)}`, false));
      questions.push(this.ask("eth_getLogs", anchorFilter(anchor)));
    }
    for (const question of questions) question.catch(() => {}); // the check that needs the answer will say so
  }

  /** Seconds of the block in which this transaction anchored this root; null if the chain knows no such fact. */
  async anchoredAt(anchor) {
    const block = await this.ask("eth_getBlockByNumber", `0x${anchor.block.toString(16)}`, false);
    if (block?.hash !== hex(anchor.blockHash)) return null;
    const logs = await this.ask("eth_getLogs", anchorFilter(anchor));
    if (!Array.isArray(logs)) throw new RpcError("the node answered eth_getLogs with something else than a list");
    return logs.some((log) => isAnchored(log, anchor)) ? quantity(block.timestamp) : null;
  }

  /** Number of the newest block that can no longer go away. */
  async finalizedBlock() {
    const block = await this.ask("eth_getBlockByNumber", "finalized", false);
    if (block === null || typeof block !== "object") throw new RpcError("the node knows no finalized block");
    return quantity(block.number);
  }

  /** The Registry's record of this key for this log; null if it never was one. */
  async gatewayKey(origin, publicKey) {
    const [keyClass, from, to] = await this.registry(SELECTORS.gateway_key, 3, originId(origin), sha256(publicKey));
    if (from === 0n) return null;
    if (keyClass < 1n || keyClass > 3n) throw new RpcError(`the Registry names key class ${keyClass}; update this page`);
    return { keyClass: KEY_CLASSES[Number(keyClass) - 1], fromBlock: from, toBlock: to === 0n ? null : to };
  }

  /** Every range of any log that the Registry ever gave to this device. */
  async assignments(device) {
    const rows = await this.records(SELECTORS.assignment_count, SELECTORS.assignment, 4, device);
    return rows.map(([origin, first, last, block]) => ({
      originId: fromBigInt(origin, 32),
      firstIndex: first,
      lastIndex: last === SIZE_END - 1n ? null : last,
      block,
    }));
  }

  /** Every unit or pool that the site's Bindings ever let this device count for. */
  async bindings(device) {
    const contract = await this.named("bindings");
    const rows = await this.records(SELECTORS.binding_count, SELECTORS.binding, 7, device, contract);
    const known = rows.filter(([, , role]) => role >= 1n && role <= 2n);
    return known.map(([subject, , role, from, to, confirmed]) => ({
      subject: fromBigInt(subject, 32),
      role: BINDING_ROLES[Number(role) - 1],
      fromDate: Number(from),
      toDate: to === 0n ? null : Number(to),
      confirmed: confirmed === 1n || confirmed === 2n, // by the owner, by the committee
      contested: confirmed === 3n,
    }));
  }

  /** A unit's floor area and that of all units before it, as the Roll holds them. */
  async unitArea(unitIndex) {
    const roll = await this.named("roll");
    const [alias] = await this.words(roll, SELECTORS.unit_at, 1, fromBigInt(unitIndex, 32));
    const [, key, before] = await this.words(roll, SELECTORS.unit, 8, fromBigInt(alias, 32));
    return { alias: fromBigInt(alias, 32), key, before };
  }

  /** How many people live in a unit on a boundary date, as the Roll holds it. */
  async residents(alias, date) {
    const [count] = await this.words(await this.named("roll"), SELECTORS.residents, 1, alias, fromBigInt(date, 32));
    return count;
  }

  /** The roll's table of keys for a pool on a boundary date; its kind is 0 where there is none. */
  async poolKeys(pool, date) {
    const words = await this.words(await this.named("roll"), SELECTORS.pool_keys_at, 5, pool, fromBigInt(date, 32));
    const [root, sum, kind, unitCount, validFrom] = words;
    return { root: fromBigInt(root, 32), sum, kind, unitCount, validFrom };
  }

  /** SHA-256 of the volumes that share a pool in a period; zeros before they are posted. */
  async volumes(pool, period) {
    const [digest] = await this.words(await this.tariffs(), SELECTORS.volumes, 1, pool, fromBigInt(period, 32));
    return fromBigInt(digest, 32);
  }

  /** What UsageFees holds of a closed period; null if it was never closed. */
  async period(period) {
    const words = await this.words(this.trust.usageFees, SELECTORS.period, 7, fromBigInt(period, 32));
    const [root, sums, unitCount, closedAt, windowEnd, totalArea] = words;
    return closedAt === 0n ? null : { root: fromBigInt(root, 32), sums, unitCount, closedAt, windowEnd, totalArea };
  }

  /** What the chain holds of a version of the tariffs, in the contract that UsageFees itself names. */
  async tariff(version) {
    const words = await this.words(await this.tariffs(), SELECTORS.tariff, 5, fromBigInt(version, 32));
    const [digest, validFrom, validTo, approvedAt] = words;
    const isApproved = approvedAt !== 0n && approvedAt !== VETOED;
    return { digest: fromBigInt(digest, 32), validFrom, validTo, isApproved };
  }

  /** How far the site's clocks are from UTC, in seconds, when they are not put forward. */
  async utcOffsetSeconds() {
    const [word] = await this.words(await this.tariffs(), SELECTORS.utc_offset_seconds, 1);
    return BigInt.asIntN(256, word);
  }

  async tariffs() {
    const [address] = await this.words(this.trust.usageFees, SELECTORS.tariffs, 1);
    return fromBigInt(address, 32).subarray(12);
  }

  /** The address of another contract of the site, from the Registry's directory. */
  async named(name) {
    const padded = new Uint8Array(32);
    padded.set(utf8(name));
    const [address] = await this.registry(SELECTORS.contract_named, 1, padded);
    if (address === 0n || address >> 160n) throw new RpcError(`the Registry names no contract ${name}; update this page`);
    return fromBigInt(address, 20);
  }

  async records(countSelector, selector, width, device, contract = this.trust.registry) {
    const [count] = await this.words(contract, countSelector, 1, device);
    if (count > RECORDS_MAX) throw new RpcError(`the chain holds ${count} records of one device; too many to read`);
    const numbers = Array.from({ length: Number(count) }, (_, i) => fromBigInt(BigInt(i), 32));
    return Promise.all(numbers.map((number) => this.words(contract, selector, width, device, number)));
  }

  registry(selector, width, ...parameters) {
    return this.words(this.trust.registry, selector, width, ...parameters);
  }

  /** The words that one view of a contract answers with; `width` null takes any number of them. */
  async words(contract, selector, width, ...parameters) {
    const call = { to: hex(contract), data: `0x${selector}${toHex(concat(...parameters))}` };
    const answer = await this.ask("eth_call", call, "latest");
    if (typeof answer !== "string" || !/^0x([0-9a-f]{2})*$/.test(answer)) {
      throw new RpcError("the node answered eth_call with something else than hex; try another node");
    }
    const length = (answer.length - 2) / 2;
    if (width === null ? length === 0 || length % 32 : length !== 32 * width) {
      throw new RpcError("the node knows no such contract at the trusted address; is it synchronised, is the trust file?");
    }
    const bytes = fromHex(answer.slice(2), length);
    return Array.from({ length: length / 32 }, (_, i) => toBigInt(bytes.subarray(32 * i, 32 * i + 32)));
  }
}

function anchorFilter(anchor) {
  return { blockHash: hex(anchor.blockHash), address: hex(anchor.contract), topics: [ANCHORED_TOPIC] };
}

function isAnchored(log, anchor) {
  return (
    String(log?.address).toLowerCase() === hex(anchor.contract) &&
    Array.isArray(log.topics) &&
    log.topics.length === 2 &&
    log.topics[0] === ANCHORED_TOPIC &&
    log.topics[1] === hex(fromBigInt(anchor.size, 32)) &&
    log.data === hex(anchor.root) &&
    log.transactionHash === hex(anchor.transaction) &&
    log.removed !== true
  );
}
