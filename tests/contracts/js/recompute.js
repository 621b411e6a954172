/**
 * What the browser's modules make of random cases: cases as JSON on standard input, answers as JSON on standard output.
 * `test_random_cases.py` and the contracts' tests compare them with Python's and with the contracts' own.
 */

import { readFileSync } from "node:fs";

import { parseBill, verifyBill } from "../../../contracts/js/bill.js";
import { remembering, rpcAt } from "../../../contracts/js/chain.js";
import { CLASSES, dueOn, fee, overdueDays } from "../../../contracts/js/due.js";
import { parseKey, verifyLine } from "../../../contracts/js/line.js";
import { following, passes, tallyOf, weight } from "../../../contracts/js/quorum.js";
import { bytes } from "./vectors.js";

const outcomesOf = ({ checks }) => Object.fromEntries(checks.map(({ name, outcome }) => [name, outcome]));

/** A bill's own checks, and each line's: from the file, the readings beside it and the node. */
async function bills({ url, trust, cases }) {
  const options = { trust: JSON.stringify(trust), rpc: remembering(rpcAt(url)) };
  const answers = [];
  for (const { file, lines } of cases) {
    const source = JSON.stringify(file);
    const report = await verifyBill(source, options);
    const found = [];
    for (const [number, { readings, key }] of lines.entries()) {
      const evidence = { readings: readings.map(evidenceOf), key: key ? parseKey(JSON.stringify(key)) : null };
      const line = await verifyLine(parseBill(source), number, evidence, options);
      const says = line.checks.find(({ outcome }) => outcome !== "passed")?.says ?? null;
      found.push({ ...outcomesOf(line), amount: String(line.amount), says });
    }
    answers.push({ bill: outcomesOf(report), lines: found });
  }
  return answers;
}

function evidenceOf({ device, quantity, value, binding }) {
  const { unit, role, from, to } = binding;
  return {
    entry: { kind: 1, device: bytes(device), quantity, value: BigInt(value) },
    assignment: { binding: { unit: bytes(unit), role, fromDate: from, toDate: to } },
  };
}

/** Whether each count carries, and whether it would if non-voters followed. */
function quorum({ cases }) {
  return cases.map(({ matter, area, heads, tally }) => {
    const [roll, said] = [weight(BigInt(area), BigInt(heads)), tallyOf(BigInt(tally))];
    return { passes: passes(matter, roll, said), following: passes(matter, roll, following(roll, said)) };
  });
}

/** By class: when it is due, how many days were overdue; and what a visit of each class and level earns. */
function due({ cases }) {
  return cases.map(({ terms, done, from, through }) => {
    const held = { ...terms, fees: terms.fees.map(BigInt), factors: terms.factors.map(BigInt) };
    return {
      dueOn: CLASSES.map((each) => dueOn(held, done, each, through)),
      overdue: CLASSES.map((each) => overdueDays(held, done, each, from, through)),
      fees: CLASSES.map((each) => held.factors.map((_, level) => String(fee(held, each, level)))),
    };
  });
}

const given = JSON.parse(readFileSync(0, "utf8"));
const answers = await { bills, quorum, due }[given.kind](given);
process.stdout.write(JSON.stringify(answers));
