/** Due dates, overdue days and what they earn or cost, against the vectors that Python wrote. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { CLASSES, dueOn, fee, overdueDays, penalty, visitDay } from "../../../contracts/js/due.js";

const { cases, visit_days: visitDays } = JSON.parse(readFileSync(new URL("./due.json", import.meta.url), "utf8"));

function termsOf(vector) {
  return {
    intervalDays: vector.interval_days,
    doneOn: vector.done_on,
    graceDays: vector.grace_days,
    fees: vector.fees.map(BigInt),
    factors: vector.factors.map(BigInt),
    penalty: BigInt(vector.penalty),
  };
}

test("due dates and overdue days are Python's", () => {
  for (const vector of cases) {
    const done = vector.done.map(([day, visitClass]) => ({ day, visitClass }));
    const terms = termsOf(vector);
    assert.deepEqual(CLASSES.map((each) => dueOn(terms, done, each, vector.today)), vector.due_on);
    const overdue = CLASSES.map((each) => overdueDays(terms, done, each, vector.today - 60, vector.today));
    assert.deepEqual(overdue, vector.overdue);
    const silent = new Set(vector.silent);
    const beside = CLASSES.map((each) => overdueDays(terms, done, each, vector.today - 60, vector.today, silent));
    assert.deepEqual(beside, vector.overdue_beside_silence);
  }
});

test("fees and penalties are Python's", () => {
  for (const vector of cases) {
    const terms = termsOf(vector);
    const earned = [0, ...CLASSES].map((each) => [0, 1, 2, 3, 4].map((level) => String(fee(terms, each, level))));
    assert.deepEqual(earned, vector.earned);
    assert.equal(String(penalty(terms, 7)), vector.costs);
  }
});

test("a visit counts for Python's day", () => {
  for (const { level, ended_at_s: endedAtS, observed_at_ms: observedAtMs, utc_offset_s: utcOffsetS, day } of visitDays) {
    assert.equal(visitDay({ level, endedAtS, observedAtMs, utcOffsetS }), day);
  }
});

test("a class that is never due is refused", () => {
  assert.throws(() => overdueDays({}, [], 0, 1, 2), { name: "ContractsError" });
  assert.throws(() => dueOn({}, [], 5, 1), { name: "ContractsError" });
});
