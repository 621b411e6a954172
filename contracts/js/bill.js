/**
 * Bills: one unit's leaf in the period's tree of all bills. Whether a line follows from its readings: `line.js`.
 *
 * Leaf and nodes are those of `contracts/bill.py` and UsageFees.vy. Sums ride along in the tree, so that the root
 * also says what all bills together charge.
 */

import { ContractsError, concat, equalBytes, fromBigInt, fromHex, toBigInt, utf8 } from "./bytes.js";
import { ChainView } from "./chain.js";
import { Fields } from "./fields.js";
import { parseJson } from "./json.js";
import { sha256 } from "./sha256.js";
import { parseTrust } from "./trust.js";
import { NotChecked, runStep } from "./verifier.js";

export const FORMAT = "minglou-bill/1";
export const BILL_CHECK_NAMES = Object.freeze(["format", "amounts", "tree", "contract", "period", "terms"]);
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

/** A right that states its amount itself may be used more than once, and a credit asks for nothing. */
const mayRepeat = ({ kind, tariff }) => kind === LINE_KIND.CREDIT || (kind === LINE_KIND.STANDING && tariff === 0n);

const chargesSame = (a, b) =>
  equalBytes(a.subject, b.subject) && a.quantity === b.quantity && a.from < b.to && b.from < a.to && a.from < a.to && b.from < b.to;

/** Places of the first two lines that charge the same thing for the same day; null where no two do. */
export function doubled(lines) {
  for (const [place, line] of lines.entries()) {
    if (mayRepeat(line)) continue;
    const other = lines.slice(0, place).findIndex((before) => !mayRepeat(before) && chargesSame(before, line));
    if (other >= 0) return [other, place];
  }
  return null;
}

function checkAmounts({ amounts, lines }) {
  const sums = { own: 0n, shared: 0n, other: 0n };
  for (const line of lines) if (LANE_OF[line.kind]) sums[LANE_OF[line.kind]] += line.amount;
  const fits = ["own", "shared", "other"].every((lane) => sums[lane] === amounts[lane]);
  if (!fits || sums.own + sums.shared + sums.other !== amounts.total) {
    throw new ContractsError("the lines do not add up to the amounts");
  }
  const twice = doubled(lines);
  if (twice) throw new ContractsError(`lines ${twice[0]} and ${twice[1]} charge the same thing for the same days`);
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
