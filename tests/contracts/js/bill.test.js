/** Bills: the tree's arithmetic, the line against its readings, the price by tiers; and what an owner signs. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { LINE_KIND, doubled, linesDigest, parseBill, rootOf, verifyBill } from "../../../contracts/js/bill.js";
import { toHex } from "../../../contracts/js/bytes.js";
import { shareOf, verifyLine } from "../../../contracts/js/line.js";
import { BASIS, chargeOf, decodeTerms, seasonOf, standingOf } from "../../../contracts/js/tariff.js";
import { challengeBody, keyIdOf, personDigest } from "../../../contracts/js/person.js";
import { bytes, vectors } from "./vectors.js";

const { bill, leaf_lines_digest, trust, exchanges, opening, closing, prices, person } = vectors("bill");
const trustText = JSON.stringify(trust);
const node = async (method, parameters) => {
  const key = JSON.stringify(parameters);
  return exchanges.find((one) => one.method === method && JSON.stringify(one.params) === key).result;
};
const outcomes = ({ checks }) => Object.fromEntries(checks.map((check) => [check.name, check.outcome]));
const entryOf = (fields) => ({ entry: { ...fields, value: BigInt(fields.value), device: bytes(fields.device) } });
const readings = { readings: [entryOf(opening), entryOf(closing)] };

test("a bill leads to the root that the contract holds", async () => {
  const report = await verifyBill(JSON.stringify(bill), { trust: trustText, rpc: node });
  assert.deepEqual(outcomes(report), {
    format: "passed", amounts: "passed", tree: "passed", contract: "passed", period: "passed", terms: "passed",
  });
  assert.equal(toHex(linesDigest(report.bill.lines)), leaf_lines_digest);
  assert.equal(toHex(rootOf(report.bill).hash), bill.root.hash);
});

const CHANGES = {
  "another amount in a line": [(b) => (b.lines[0].amount = "1"), "amounts"],
  "another total": [(b) => (b.amounts.total = "1"), "amounts"],
  "another usage": [(b) => (b.lines[0].usage = "1"), "tree"],
  "another day that steps count from": [(b) => (b.lines[0].since = "20260101"), "tree"],
  "another last day": [(b) => (b.lines[0].to = "20261126"), "tree"],
  "another salt": [(b) => (b.salt = "00".repeat(32)), "tree"],
  "a neighbour's position": [(b) => (b.unit_index = "2"), "tree"],
  "a position beyond the units": [(b) => (b.unit_index = "7"), "tree"],
  "sums beside the path that do not add up": [(b) => (b.path[0].sums.total = "1"), "format"],
  "other sums beside the path": [(b) => ([b.path[0].sums.total, b.path[0].sums.own, b.path[0].sums.shared] = ["1", "1", "0"]), "tree"],
  "a path cut short": [(b) => b.path.pop(), "tree"],
  "another contract": [(b) => (b.contract = `0x${"11".repeat(20)}`), "tree"],
  "other terms": [(b) => (b.terms[0].encoded = b.terms[0].encoded.replace("02e9", "02e8")), "terms"],
  "terms that no line names": [(b) => b.terms.push({ ...b.terms[0], version: "2" }), "terms"],
  "an unknown field": [(b) => (b.more = "1"), "format"],
  "a number with a leading zero": [(b) => (b.period = `0${b.period}`), "format"],
};

for (const [name, [change, broken]] of Object.entries(CHANGES)) {
  test(`a bill with ${name} fails at ${broken}`, async () => {
    const changed = structuredClone(bill);
    change(changed);
    const report = await verifyBill(JSON.stringify(changed), { trust: trustText, rpc: node });
    assert.equal(report.checks.find((check) => check.outcome === "failed")?.name, broken);
  });
}

test("a bill that was changed after it was published fails at the contract's root", async () => {
  const other = async (method, parameters) => {
    const answer = await node(method, parameters);
    return method === "eth_call" ? answer.replace(bill.root.hash, "22".repeat(32)) : answer;
  };
  const report = await verifyBill(JSON.stringify(bill), { trust: trustText, rpc: other });
  assert.equal(outcomes(report).period, "failed");
});

test("a bill of another site's contract is named as such", async () => {
  const elsewhere = JSON.stringify({ ...trust, usage_fees: `0x${"33".repeat(20)}` });
  const report = await verifyBill(JSON.stringify(bill), { trust: elsewhere, rpc: node });
  assert.equal(outcomes(report).contract, "failed");
});

test("a bill that charges the same thing twice for a day is told", () => {
  const [line] = parseBill(JSON.stringify(bill)).lines;
  const middle = (line.from / 100n) * 100n + 28n;
  assert.deepEqual(doubled([line, { ...line, from: middle }]), [0, 1]);
  assert.equal(doubled([{ ...line, to: middle }, { ...line, from: middle }]), null);
  assert.equal(doubled([line, { ...line, quantity: "8-0:1.0.0" }]), null);
  assert.equal(doubled([line, { ...line, kind: LINE_KIND.CREDIT }]), null);
  const right = { ...line, kind: LINE_KIND.STANDING, tariff: 0n };
  assert.equal(doubled([right, right]), null);
});

test("a duplicate member is refused, for the last of two would win elsewhere", async () => {
  const text = JSON.stringify(bill).replace('"salt":', `"salt":"${"00".repeat(32)}","salt":`);
  const report = await verifyBill(text, { trust: trustText });
  assert.equal(outcomes(report).format, "failed");
});

test("a line follows from its two readings and the published tariff", async () => {
  const report = await verifyLine(parseBill(JSON.stringify(bill)), 0, readings, { trust: trustText, rpc: node });
  assert.deepEqual(outcomes(report), { readings: "passed", tariff: "passed" }, JSON.stringify(report.checks));
});

test("a padded line fails at its readings", async () => {
  const padded = parseBill(JSON.stringify(bill));
  padded.lines[0].usage += 40000n;
  const report = await verifyLine(padded, 0, readings, { trust: trustText, rpc: node });
  assert.deepEqual(outcomes(report), { readings: "failed", tariff: "not_checked" });
});

test("a line with the right usage at the wrong price fails at the tariff", async () => {
  const dear = parseBill(JSON.stringify(bill));
  dear.lines[0].amount += 1n;
  const report = await verifyLine(dear, 0, readings, { trust: trustText, rpc: node });
  assert.deepEqual(outcomes(report), { readings: "passed", tariff: "failed" });
});

test("readings of another day, another meter or a falling register are refused", async () => {
  const parsed = parseBill(JSON.stringify(bill));
  const otherDay = { ...closing, quantity: closing.quantity.replace(/..$/, "01") };
  const otherMeter = { ...closing, device: "44".repeat(32) };
  const falling = { ...closing, value: String(BigInt(opening.value) - 1n) };
  for (const other of [otherDay, otherMeter, falling]) {
    const pair = [entryOf(opening), entryOf(other)];
    assert.equal(outcomes(await verifyLine(parsed, 0, { readings: pair }, {})).readings, "failed");
  }
});

test("a share follows from the pool's readings, the tariff and the Registry's floor areas", async () => {
  const parsed = parseBill(JSON.stringify(bill));
  const pool = await verifyLine(parsed, 1, readings, { trust: trustText, rpc: node });
  assert.deepEqual(outcomes(pool), { readings: "passed", tariff: "passed" }, JSON.stringify(pool.checks));
  parsed.lines[1].amount += 1n;
  const dear = await verifyLine(parsed, 1, readings, { trust: trustText, rpc: node });
  assert.deepEqual(outcomes(dear), { readings: "passed", tariff: "failed" });
});

test("shares of all units add up to their pool", () => {
  const areas = [8930n, 11260n, 1n, 8930n];
  const sum = areas.reduce((all, area) => all + area, 0n);
  const parts = areas.map((key, i) => shareOf(104502n, { key, sum, before: areas.slice(0, i).reduce((a, b) => a + b, 0n) }));
  assert.equal(parts.reduce((all, part) => all + part, 0n), 104502n);
});

test("a missing reading leaves the line open", async () => {
  const report = await verifyLine(parseBill(JSON.stringify(bill)), 0, { readings: [entryOf(closing)] }, {});
  assert.deepEqual(outcomes(report), { readings: "not_checked", tariff: "not_checked" });
});

test("prices of every shape are those that Python and the contract compute", () => {
  assert.ok(prices.length >= 50);
  for (const one of prices) {
    const terms = decodeTerms(bytes(one.terms));
    const [from, to] = [BigInt(one.from), BigInt(one.to)];
    const usage = { used: one.used.map(BigInt), prior: BigInt(one.prior), residents: BigInt(one.residents) };
    const isMetered = terms.basis === BASIS.METER;
    const amount = isMetered ? chargeOf(seasonOf(terms, from, to), usage) : standingOf(terms, BigInt(one.count), from, to);
    assert.equal(String(amount), one.fen);
  }
});

test("terms that are not those that were announced, or cut short, price nothing", async () => {
  const other = parseBill(JSON.stringify(bill));
  other.terms[0].encoded[200] ^= 1;
  const changed = await verifyLine(other, 0, readings, { trust: trustText, rpc: node });
  assert.deepEqual(outcomes(changed), { readings: "passed", tariff: "failed" });
  other.terms = [];
  const without = await verifyLine(other, 0, readings, { trust: trustText, rpc: node });
  assert.deepEqual(outcomes(without), { readings: "passed", tariff: "not_checked" });
  assert.throws(() => decodeTerms(bytes(prices[1].terms).subarray(0, 300)));
  assert.throws(() => seasonOf({ seasons: [] }, 20261101n, 20261201n));
});

test("the person digest of a challenge is the one that the contract checks", () => {
  const body = challengeBody({
    period: BigInt(person.period),
    unitIndex: BigInt(person.unit_index),
    line: BigInt(person.line),
    linesDigest: bytes(person.lines_digest),
  });
  const digest = personDigest({
    chainId: BigInt(person.chain_id),
    contract: bytes(person.contract.slice(2)),
    purpose: "fees.challenge",
    keyId: keyIdOf(bytes(person.public)),
    nonce: BigInt(person.nonce),
    deadline: BigInt(person.deadline),
    body,
  });
  assert.equal(toHex(digest), person.digest);
});
