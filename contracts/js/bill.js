/**
 * Bills: one unit's leaf in the period's tree of all bills, and whether a line follows from its readings.
 *
 * Leaf and nodes are those of `contracts/bill.py` and UsageFees.vy. Sums ride along in the tree, so that the root
 * also says what all bills together charge.
 */

import { ContractsError, concat, equalBytes, fromBigInt, fromHex, toBigInt, utf8 } from "./bytes.js";
import { ChainView } from "./chain.js";
import { Fields } from "./fields.js";
import { parseJson } from "./json.js";
import { sha256 } from "./sha256.js";
import { COUNTING, KEY, chargeOf, decodeTerms, seasonOf } from "./tariff.js";
import { parseTrust } from "./trust.js";
import { NotChecked, runStep } from "./verifier.js";

export const FORMAT = "minglou-bill/1";
export const BILL_CHECK_NAMES = Object.freeze(["format", "amounts", "tree", "contract", "period", "terms"]);
export const LINE_CHECK_NAMES = Object.freeze(["readings", "tariff"]);
export const LINE_KIND = Object.freeze({ OWN: 1, SHARED: 2, STANDING: 3, CREDIT: 4, ESTIMATED: 5, INTERVAL: 6 });
const LANE_OF = Object.freeze({ 1: "own", 2: "shared", 3: "other", 5: "own", 6: "own" }); // credits are in no sum
const LANES = ["total", "own", "shared", "other"];
const LANE_END = 1n << 64n;
const LINES_MAX = 24;
const TERMS_BYTES_MAX = 10752;
const DATE_END = 100000000n;
const WORD_END = 1n << 256n;
const UNITS_MAX = 1n << 32n;
const TAG = padText("minglou/bill/1");

function padText(text) {
  const word = new Uint8Array(32);
  word.set(utf8(text));
  return word;
}

const word = (value) => fromBigInt(value, 32);

/** The bill in a file. */
export function parseBill(source) {
  const names = [
    "format", "chain_id", "contract", "site", "period", "unit_index", "unit_count",
    "amounts", "lines", "terms", "salt", "path", "root",
  ];
  const fields = new Fields(parseJson(source), "", names);
  fields.choice("format", [FORMAT]);
  const lineNames = ["kind", "subject", "quantity", "tariff", "since", "from", "to", "usage", "amount"];
  const root = fields.within("root", "hash", "sums");
  return {
    chainId: fields.decimal("chain_id", 1n << 64n, 1n),
    contract: fields.octets("contract", 20, "0x"),
    site: fields.octets("site", 32),
    period: fields.decimal("period", 10n ** 16n),
    unitIndex: fields.decimal("unit_index", UNITS_MAX),
    unitCount: fields.decimal("unit_count", UNITS_MAX, 1n),
    amounts: parseLanes(fields, "amounts"),
    lines: fields.eachWithin("lines", LINES_MAX, ...lineNames).map(parseLine),
    terms: fields.eachWithin("terms", LINES_MAX, "version", "encoded").map(parseTerms),
    salt: fields.octets("salt", 32),
    path: fields.eachWithin("path", 32, "hash", "sums").map(parseNode),
    root: parseNode(root),
  };
}

function parseTerms(terms) {
  const encoded = terms.text("encoded");
  if (!/^([0-9a-f]{2})+$/.test(encoded) || encoded.length > 2 * TERMS_BYTES_MAX) throw new ContractsError("terms are no hex");
  return { version: terms.decimal("version", WORD_END), encoded: fromHex(encoded, encoded.length / 2) };
}

function parseNode(node) {
  const sums = parseLanes(node, "sums");
  if (sums.total !== sums.own + sums.shared + sums.other) throw new ContractsError("a node's sums do not add up");
  return { hash: node.octets("hash", 32), sums };
}

function parseLanes(fields, name) {
  const lanes = fields.within(name, ...LANES);
  return Object.fromEntries(LANES.map((lane) => [lane, lanes.decimal(lane, LANE_END)]));
}

function parseLine(line) {
  const quantity = line.text("quantity");
  if (quantity.length > 32 || !/^[!-~]*$/.test(quantity)) throw new ContractsError("a line's quantity is malformed");
  const kind = line.integer("kind");
  if (kind < 1 || kind > 6) throw new ContractsError(`a line's kind is 1 to 6, not ${kind}`);
  return {
    kind,
    subject: line.octets("subject", 32),
    quantity,
    tariff: line.decimal("tariff", LANE_END),
    since: line.decimal("since", DATE_END),
    from: line.decimal("from", DATE_END),
    to: line.decimal("to", DATE_END),
    usage: line.decimal("usage", LANE_END),
    amount: line.decimal("amount", LANE_END),
  };
}

function lanesWord({ total, own, shared, other }) {
  return word((total << 192n) | (own << 128n) | (shared << 64n) | other);
}

/** SHA-256 of all lines' eight words. */
export function linesDigest(lines) {
  const words = lines.map((line) =>
    concat(
      word(BigInt(line.kind)), line.subject, padText(line.quantity),
      word(line.tariff), word(line.since), word(line.from * DATE_END + line.to), word(line.usage), word(line.amount),
    ),
  );
  return sha256(concat(...words));
}

function leafOf(bill) {
  return sha256(
    concat(
      new Uint8Array([0]), TAG, word(bill.chainId), word(toBigInt(bill.contract)), bill.site, word(bill.period),
      word(bill.unitIndex), lanesWord(bill.amounts), linesDigest(bill.lines), bill.salt,
    ),
  );
}

function joined(left, right) {
  const sums = Object.fromEntries(LANES.map((lane) => [lane, left.sums[lane] + right.sums[lane]]));
  if (LANES.some((lane) => sums[lane] >= LANE_END)) throw new ContractsError("the sums of the bills overflow");
  const parts = [new Uint8Array([1]), left.hash, lanesWord(left.sums), right.hash, lanesWord(right.sums)];
  return { hash: sha256(concat(...parts)), sums };
}

/** The root that a bill's leaf and path lead to; the walk is that of RFC 9162, 2.1.3.2. */
export function rootOf(bill) {
  const { unitIndex, unitCount, path } = bill;
  if (unitIndex >= unitCount) throw new ContractsError(`unit ${unitIndex} lies beyond the ${unitCount} units`);
  let [position, last] = [unitIndex, unitCount - 1n];
  let node = { hash: leafOf(bill), sums: bill.amounts };
  for (const sibling of path) {
    if (last === 0n) throw new ContractsError("the bill's path is too long");
    if (position & 1n || position === last) {
      node = joined(sibling, node);
      while (!(position & 1n) && position !== 0n) {
        position >>= 1n;
        last >>= 1n;
      }
    } else {
      node = joined(node, sibling);
    }
    position >>= 1n;
    last >>= 1n;
  }
  if (last !== 0n) throw new ContractsError("the bill's path is too short");
  return node;
}

function checkAmounts({ amounts, lines }) {
  const sums = { own: 0n, shared: 0n, other: 0n };
  for (const line of lines) if (LANE_OF[line.kind]) sums[LANE_OF[line.kind]] += line.amount;
  const fits = ["own", "shared", "other"].every((lane) => sums[lane] === amounts[lane]);
  if (!fits || sums.own + sums.shared + sums.other !== amounts.total) {
    throw new ContractsError("the lines do not add up to the amounts");
  }
  return `${lines.length} lines add up to ${amounts.total} fen`;
}

function checkTree(bill) {
  const root = rootOf(bill);
  if (!equalBytes(root.hash, bill.root.hash) || LANES.some((lane) => root.sums[lane] !== bill.root.sums[lane])) {
    throw new ContractsError("the bill's path does not lead to the root of all bills");
  }
  return `the bill is number ${bill.unitIndex} of ${bill.unitCount}, together ${root.sums.total} fen`;
}

function checkContract(bill, trust) {
  if (!trust) throw new NotChecked("whose contract this is, only a trust file tells");
  if (bill.chainId !== trust.chainId || !equalBytes(bill.contract, trust.usageFees)) {
    throw new ContractsError("the bill names another contract or chain than those you trust");
  }
  return "the bill names the contract you trust";
}

async function checkPeriod(bill, chain) {
  if (!chain) throw new NotChecked("only the chain knows: name your roots and a node");
  const held = await chain.period(bill.period);
  if (!held) throw new ContractsError(`the contract has closed no period ${bill.period}`);
  const root = rootOf(bill);
  const isSame = equalBytes(held.root, root.hash) && held.sums === toBigInt(lanesWord(root.sums));
  if (!isSame || held.unitCount !== bill.unitCount) throw new ContractsError("the contract holds another root for this period");
  return `the contract holds this root for period ${bill.period}`;
}

async function checkTerms(bill, chain) {
  const named = [...new Set(bill.lines.map(({ tariff }) => tariff).filter((version) => version !== 0n))];
  const isSame = named.length === bill.terms.length && named.every((one) => bill.terms.some(({ version }) => version === one));
  if (!isSame) throw new ContractsError("the file brings other terms than its lines name");
  if (!chain) throw new NotChecked("only the chain knows: name your roots and a node");
  for (const { version, encoded } of bill.terms) {
    const { digest } = await chain.tariff(version);
    if (!equalBytes(sha256(encoded), digest)) throw new ContractsError(`the terms of tariff ${version} are not those that were announced`);
  }
  return `the prices of ${named.length} tariffs are those that were announced`;
}

/**
 * Verify one bill file.
 * @returns {Promise<{checks: object[], bill: object | null, passed: boolean}>}
 */
export async function verifyBill(source, { trust = null, rpc = null, onCheck = () => {} } = {}) {
  const roots = typeof trust === "string" || trust instanceof Uint8Array ? parseTrust(trust) : trust;
  const chain = rpc && roots ? new ChainView(rpc, roots) : null;
  let bill = null;
  const isSound = (outcomes, name) => {
    if (outcomes[name] !== "passed") throw new NotChecked(`rests on the check ${name}, which has not passed`);
  };
  const outcomes = {};
  const steps = {
    format: () => {
      bill = parseBill(source);
      return "the file is a bill in its one form";
    },
    amounts: () => (isSound(outcomes, "format"), checkAmounts(bill)),
    tree: () => (isSound(outcomes, "format"), checkTree(bill)),
    contract: () => (isSound(outcomes, "format"), checkContract(bill, roots)),
    period: () => (isSound(outcomes, "tree"), isSound(outcomes, "contract"), checkPeriod(bill, chain)),
    terms: () => (isSound(outcomes, "format"), isSound(outcomes, "contract"), checkTerms(bill, chain)),
  };
  const checks = [];
  for (const name of BILL_CHECK_NAMES) {
    const check = await runStep(name, steps[name]);
    outcomes[name] = check.outcome;
    checks.push(check);
    await onCheck(check);
  }
  return { checks, bill, passed: checks.every((check) => check.outcome !== "failed") };
}

const boundaryDay = (quantity) => BigInt(quantity.split("*")[1] ?? 0);

function usageOf(line, opening, closing) {
  for (const [entry, day] of [[opening, line.from], [closing, line.to]]) {
    const isRegister = entry.quantity.split("*")[0] === line.quantity && boundaryDay(entry.quantity) === day;
    if (entry.kind !== 1 || !isRegister) throw new ContractsError(`the reading is not the register at ${day}`);
  }
  if (!equalBytes(opening.device, closing.device)) throw new ContractsError("the two readings are of two meters");
  return closing.value - opening.value;
}

/**
 * Whether a line's usage is what its two signed readings say, and its amount what the published tariff makes of it.
 * @param {object} bill what `parseBill` made.
 * @param {number} number of the line, from 0.
 * @param {{opening: object | null, closing: object | null}} readings what `parseEvidence` made of them.
 */
export async function verifyLine(bill, number, { opening, closing }, { trust = null, rpc = null, onCheck = () => {} } = {}) {
  const roots = typeof trust === "string" || trust instanceof Uint8Array ? parseTrust(trust) : trust;
  const chain = rpc && roots ? new ChainView(rpc, roots) : null;
  const line = bill.lines[number];
  const checks = [];
  const run = async (name, step) => {
    const check = await runStep(name, step);
    checks.push(check);
    await onCheck(check);
    return check.outcome;
  };
  const outcome = await run("readings", () => checkReadings(bill, line, opening, closing));
  await run("tariff", () => {
    if (outcome !== "passed") throw new NotChecked("rests on the check readings, which has not passed");
    return checkTariff(bill, line, opening, closing, chain);
  });
  return { checks, passed: checks.every((check) => check.outcome !== "failed") };
}

function checkReadings(bill, line, opening, closing) {
  if (line.kind === LINE_KIND.ESTIMATED) throw new NotChecked("this line is an estimate until the meter is read");
  if (line.kind !== LINE_KIND.OWN && line.kind !== LINE_KIND.SHARED) {
    throw new NotChecked("this line rests on a right to charge, not on two readings");
  }
  if (!opening || !closing) throw new NotChecked("one of the two signed readings is missing");
  const usage = usageOf(line, opening.entry, closing.entry);
  const isOwn = line.kind === LINE_KIND.OWN;
  if (isOwn && !equalBytes(line.subject, closing.entry.device)) {
    throw new ContractsError("the readings are of another meter than the line's");
  }
  if (!isOwn && closing.assignment?.binding && !equalBytes(line.subject, closing.assignment.binding.unit)) {
    throw new ContractsError("the readings are of a meter that counts for another pool");
  }
  if (usage !== line.usage) throw new ContractsError(`the line charges ${line.usage}, the readings say ${usage}`);
  return `${closing.entry.value} - ${opening.entry.value} = ${usage}`;
}

/** The terms of a line, as the file brings them and the chain's digest confirms them. */
async function termsOf(bill, line, chain) {
  const held = await chain.tariff(line.tariff);
  const inForce = held.isApproved && held.validFrom <= line.from && (held.validTo === 0n || held.validTo >= line.to);
  if (!inForce) throw new ContractsError(`tariff ${line.tariff} is not in force over the line's days`);
  const brought = bill.terms.find(({ version }) => version === line.tariff);
  if (!brought) throw new NotChecked(`the file does not bring the terms of tariff ${line.tariff}`);
  if (!equalBytes(sha256(brought.encoded), held.digest)) {
    throw new ContractsError(`the file's terms of tariff ${line.tariff} are not those that were announced`);
  }
  const terms = decodeTerms(brought.encoded);
  if (terms.quantity !== line.quantity) {
    throw new ContractsError(`tariff ${line.tariff} is for ${terms.quantity}, not ${line.quantity}`);
  }
  return terms;
}

async function checkTariff(bill, line, opening, closing, chain) {
  if (!chain) throw new NotChecked("only the chain knows the published tariff");
  const terms = await termsOf(bill, line, chain);
  if (terms.registers.length !== 1) throw new NotChecked("the price takes several registers, which are not on this page");
  const season = seasonOf(terms, line.from, line.to);
  if (terms.counting !== COUNTING.NONE && line.since !== line.from) {
    throw new NotChecked("the steps count from an earlier reading, which is not on this page");
  }
  let residents = 0n;
  if (season.extra !== 0n && line.kind === LINE_KIND.OWN) {
    const { alias } = await chain.unitArea(bill.unitIndex);
    residents = await chain.residents(alias, line.from);
  }
  const whole = chargeOf(season, { used: [closing.entry.value - opening.entry.value], residents });
  const amount = line.kind === LINE_KIND.SHARED ? shareOf(whole, await keyOf(bill, terms, chain)) : whole;
  if (amount !== line.amount) throw new ContractsError(`the line charges ${line.amount} fen, the tariff makes ${amount}`);
  return `tariff ${line.tariff} makes ${amount} fen of ${line.usage}`;
}

/** By what a pool is shared: this unit's key, the sum of those before it, and that of all. */
async function keyOf(bill, terms, chain) {
  if (terms.key === KEY.EQUAL) return { key: 1n, before: bill.unitIndex, sum: bill.unitCount };
  if (terms.key !== KEY.AREA) throw new NotChecked("the pool is shared by a table of keys, which is not on this page");
  const [{ key, before }, held] = await Promise.all([chain.unitArea(bill.unitIndex), chain.period(bill.period)]);
  if (!held || held.totalArea === 0n) throw new NotChecked("the contract holds no floor area for this period");
  return { key, before, sum: held.totalArea };
}

/** One unit's part of a pool: telescoping, so that all parts add up to the pool. */
export function shareOf(pool, { key, before, sum }) {
  return (pool * (before + key)) / sum - (pool * before) / sum;
}
