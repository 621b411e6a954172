/** Time of use from readings, against the vectors that Python wrote. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { LINE_KIND } from "../../../contracts/js/bill.js";
import { fromHex } from "../../../contracts/js/bytes.js";
import { verifyLine } from "../../../contracts/js/line.js";
import { chargeOf, decodeTerms, seasonOf } from "../../../contracts/js/tariff.js";
import { priceCalendar, timeOfUse } from "../../../contracts/js/timeofuse.js";

const { cases, lines } = JSON.parse(readFileSync(new URL("./time_of_use.json", import.meta.url), "utf8"));

test("prices change when Python says, on nights of changed clocks too", () => {
  for (const vector of cases) {
    const windows = vector.windows.map(([register, first, end]) => ({ register, first, end }));
    const { changes, endMs } = priceCalendar(windows, vector.zone, BigInt(vector.from), BigInt(vector.to));
    assert.deepEqual(changes.map(({ atMs, register }) => [atMs, register]), vector.changes, vector.zone);
    assert.equal(endMs, vector.end_ms);
  }
});

test("readings share out what Python shares out", () => {
  for (const vector of cases) {
    const calendar = { changes: vector.changes.map(([atMs, register]) => ({ atMs, register })), endMs: vector.end_ms };
    const readings = vector.readings.map(([atMs, value]) => ({ atMs, value: BigInt(value) }));
    const ends = { opening: BigInt(vector.opening), closing: BigInt(vector.closing) };
    const { used, told } = timeOfUse(calendar, { ...ends, readings, registers: 3 });
    assert.deepEqual(used.map(String), vector.used);
    assert.deepEqual(told.map(({ atMs, value, isBetween }) => [atMs, String(value), isBetween]), vector.told);
  }
});

test("readings that fall and zones that nobody knows are refused", () => {
  const calendar = { changes: [{ atMs: 0, register: 0 }], endMs: 10 };
  const falling = { opening: 5n, closing: 9n, readings: [{ atMs: 1, value: 4n }], registers: 1 };
  assert.throws(() => timeOfUse(calendar, falling), { name: "ContractsError" });
  assert.throws(() => priceCalendar([], "Nowhere/At_All", 20261101n, 20261102n), { name: "ContractsError" });
});

function lineOf(vector, changes = {}) {
  const used = vector.used.reduce((sum, one) => sum + BigInt(one), 0n);
  const { subject, since, from, to } = vector.line;
  const days = { since: BigInt(since), from: BigInt(from), to: BigInt(to) };
  return {
    kind: LINE_KIND.INTERVAL, subject: fromHex(subject, 32), quantity: "1-0:1.8.0", tariff: 1n, ...days, usage: used,
    amount: BigInt(vector.amount), ...changes,
  };
}

const billOf = (vector, changes) => ({
  period: 2026010120270101n, unitIndex: 0n, lines: [lineOf(vector, changes)],
  terms: [{ version: 1n, encoded: fromHex(vector.terms, vector.terms.length / 2) }],
});

const evidenceOf = ({ entries }) => entries.map((one) => ({
  entry: {
    kind: 1, device: fromHex(one.device, 32), quantity: one.quantity, value: BigInt(one.value),
    observedAtMs: BigInt(one.observed_at_ms),
  },
  assignment: { binding: { unit: fromHex("75".repeat(32), 32), role: "own", fromDate: one.bound_from, toDate: one.bound_to || null } },
}));

test("a line by readings is recomputed as Python does, and its price too", async () => {
  for (const vector of lines) {
    const { checks } = await verifyLine(billOf(vector), 0, { readings: evidenceOf(vector), zone: vector.zone });
    const said = `${vector.used.join(" + ")} = ${lineOf(vector).usage}, ${vector.bridged} changes of price without a reading`;
    assert.deepEqual([checks[0].outcome, checks[0].says], ["passed", said]);
    const season = seasonOf(decodeTerms(billOf(vector).terms[0].encoded), lineOf(vector).from, lineOf(vector).to);
    assert.equal(String(chargeOf(season, { used: vector.used.map(BigInt), prior: BigInt(vector.prior) })), vector.amount);
  }
});

test("a line by readings that charges other usage fails, one without its readings or zone is not checked", async () => {
  const [vector] = lines;
  const readings = evidenceOf(vector);
  const outcome = async (changes, evidence) => (await verifyLine(billOf(vector, changes), 0, evidence)).checks[0].outcome;
  assert.equal(await outcome({ usage: lineOf(vector).usage + 1n }, { readings, zone: vector.zone }), "failed");
  assert.equal(await outcome({ subject: fromHex("00".repeat(32), 32) }, { readings, zone: vector.zone }), "failed");
  assert.equal(await outcome({}, { readings }), "not_checked");
  const boundaries = readings.filter(({ entry }) => entry.quantity.includes("*"));
  assert.equal(await outcome({}, { readings: boundaries, zone: vector.zone }), "not_checked");
  const halves = boundaries.slice(1).concat(readings.filter(({ entry }) => !entry.quantity.includes("*")));
  assert.notEqual(await outcome({}, { readings: halves, zone: vector.zone }), "passed");
});
