/**
 * Bills: one unit's leaf in the period's tree of all bills, and whether a line follows from its readings.
 *
 * Leaf and nodes are those of `contracts/bill.py` and UsageFees.vy. Sums ride along in the tree, so that the root
 * also says what all bills together charge.
 */

import { ContractsError, concat, equalBytes, fromBigInt, toBigInt, utf8 } from "./bytes.js";
import { ChainView } from "./chain.js";
import { Fields } from "./fields.js";
import { parseJson } from "./json.js";
import { sha256 } from "./sha256.js";
import { parseTrust } from "./trust.js";
import { NotChecked, runStep } from "./verifier.js";

export const FORMAT = "minglou-bill/1";
export const BILL_CHECK_NAMES = Object.freeze(["format", "amounts", "tree", "contract", "period"]);
export const LINE_CHECK_NAMES = Object.freeze(["readings", "tariff"]);
export const LINE_KIND = Object.freeze({ OWN: 1, SHARED: 2, OTHER: 3 });
const LANES = ["total", "own", "shared", "other"];
const LANE_END = 1n << 64n;
const LINES_MAX = 24;
const UNITS_MAX = 1n << 32n;
const TAG = padText("minglou/bill/1");

function padText(text) {
  const word = new Uint8Array(32);
  word.set(utf8(text));
  return word;
}

function toText(padded) {
  return String.fromCharCode(...padded.subarray(0, padded.findLastIndex((byte) => byte !== 0) + 1));
}

const word = (value) => fromBigInt(value, 32);

/** The bill in a file. */
export function parseBill(source) {
  const names = [
    "format", "chain_id", "contract", "site", "period", "unit_index", "unit_count",
    "amounts", "lines", "salt", "path", "root",
  ];
  const fields = new Fields(parseJson(source), "", names);
  fields.choice("format", [FORMAT]);
  const lineNames = ["kind", "subject", "quantity", "tariff", "since", "usage", "amount"];
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
    salt: fields.octets("salt", 32),
    path: fields.eachWithin("path", 32, "hash", "sums").map(parseNode),
    root: parseNode(root),
  };
}

function parseNode(node) {
  return { hash: node.octets("hash", 32), sums: parseLanes(node, "sums") };
}

function parseLanes(fields, name) {
  const lanes = fields.within(name, ...LANES);
  return Object.fromEntries(LANES.map((lane) => [lane, lanes.decimal(lane, LANE_END)]));
}

function parseLine(line) {
  const quantity = line.text("quantity");
  if (quantity.length > 32 || !/^[!-~]*$/.test(quantity)) throw new ContractsError("a line's quantity is malformed");
  const kind = line.integer("kind");
  if (kind < 1 || kind > 3) throw new ContractsError(`a line's kind is 1, 2 or 3, not ${kind}`);
  return {
    kind,
    subject: line.octets("subject", 32),
    quantity,
    tariff: line.decimal("tariff", LANE_END),
    since: line.decimal("since", LANE_END),
    usage: line.decimal("usage", LANE_END),
    amount: line.decimal("amount", LANE_END),
  };
}

function lanesWord({ total, own, shared, other }) {
  return word((total << 192n) | (own << 128n) | (shared << 64n) | other);
}

/** SHA-256 of all lines' seven words. */
export function linesDigest(lines) {
  const words = lines.map((line) =>
    concat(
      word(BigInt(line.kind)), line.subject, padText(line.quantity),
      word(line.tariff), word(line.since), word(line.usage), word(line.amount),
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
  const lanes = { 1: "own", 2: "shared", 3: "other" };
  const sums = { own: 0n, shared: 0n, other: 0n };
  for (const line of lines) sums[lanes[line.kind]] += line.amount;
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

/** The period's first and last boundary dates as YYYYMMDD. */
export function boundariesOf(period) {
  return [period / 10n ** 8n, period % 10n ** 8n];
}

function usageOf(line, period, opening, closing) {
  const [first, last] = boundariesOf(period);
  for (const [entry, day] of [[opening, first], [closing, last]]) {
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
  if (line.kind === LINE_KIND.OTHER) throw new NotChecked("this line rests on a right to charge, not on a meter");
  if (!opening || !closing) throw new NotChecked("one of the two signed readings is missing");
  const usage = usageOf(line, bill.period, opening.entry, closing.entry);
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

async function checkTariff(bill, line, opening, closing, chain) {
  if (!chain) throw new NotChecked("only the chain knows the published tariff");
  const tariff = await chain.tariff(line.tariff);
  const quantity = toText(tariff.quantity);
  if (quantity !== line.quantity) throw new ContractsError(`tariff ${line.tariff} is for ${quantity}, not ${line.quantity}`);
  const start = tariff.byYear ? startOf(bill, line, opening) : opening.entry.value;
  const whole = fen(tariff.tiers, closing.entry.value - start) - fen(tariff.tiers, opening.entry.value - start);
  const amount = line.kind === LINE_KIND.SHARED ? shareOf(whole, await chain.areas(bill.unitIndex)) : whole;
  if (amount !== line.amount) throw new ContractsError(`the line charges ${line.amount} fen, the tariff makes ${amount}`);
  return `tariff ${line.tariff} makes ${amount} fen of ${line.usage}`;
}

/** One unit's part of a pool by floor area: telescoping, so that all parts add up to the pool. */
export function shareOf(pool, { key, before, sum }) {
  return (pool * (before + key)) / sum - (pool * before) / sum;
}

/** Register from which the year's steps count; known here only where they count from the period's opening. */
function startOf(bill, line, opening) {
  if (line.since === boundariesOf(bill.period)[0]) return opening.entry.value;
  throw new NotChecked("the steps count from an earlier reading, which is not on this page");
}

/** Whole fen of a usage: nanofen by tiers, rounded half up. */
export function fen(tiers, usage) {
  let [nanofen, below] = [0n, 0n];
  for (const { upTo, price } of tiers) {
    const part = (usage < upTo ? usage : upTo) - below;
    if (part <= 0n) break;
    nanofen += part * price;
    below = upTo;
  }
  return (nanofen + 500000000n) / 1000000000n;
}
