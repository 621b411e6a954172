/**
 * When maintenance is due, what a visit earns and what overdue days cost, as the contract and Python compute them.
 *
 * Days are numbers since 1970 in the site's local time. A class is due on the day `interval` after its last visit; a day
 * is overdue if it begins later than interval and grace after the last visit of that class or a higher one; days on which
 * the device's gateway was silent are left out.
 */

import { ContractsError } from "./bytes.js";

/** Classes that come due, by number: half-month, quarter, half-year, year. A repair (0) never does. */
export const CLASSES = Object.freeze([1, 2, 3, 4]);
const DAY_S = 86_400;

/** The day number at a Unix time, where local time is UTC plus the offset. */
export function localDay(atS, utcOffsetS) {
  return Math.floor((atS + utcOffsetS) / DAY_S);
}

/** The day that a visit counts for: the one it ended in, or if nobody saw it (level 0) the one it was logged in. */
export function visitDay({ level, endedAtS, observedAtMs, utcOffsetS }) {
  return localDay(level ? endedAtS : Math.floor(observedAtMs / 1000), utcOffsetS);
}

/**
 * The last day before `before` on which this class or a higher one was done.
 * @param {{intervalDays: number[], doneOn: number[], graceDays: number}} terms lists by class, from half-month to year.
 * @param {{day: number, visitClass: number}[]} done days on which visits count, each with its highest class.
 */
export function lastDone(terms, done, visitClass, before) {
  checkClass(visitClass);
  const days = done.filter((each) => each.day < before && each.visitClass >= visitClass).map((each) => each.day);
  return Math.max(terms.doneOn[visitClass - 1], ...days);
}

/** The last day on which the next visit of this class is in time without grace; null if the class is never due. */
export function dueOn(terms, done, visitClass, today) {
  checkClass(visitClass);
  const interval = terms.intervalDays[visitClass - 1];
  return interval ? lastDone(terms, done, visitClass, today + 1) + interval : null;
}

/**
 * How many of the days from `fromDay` to `throughDay` are overdue for a class.
 * @param {Set<number>} [silent] days on which the device's gateway was silent; they are neither counted nor overdue.
 */
export function overdueDays(terms, done, visitClass, fromDay, throughDay, silent = new Set()) {
  checkClass(visitClass);
  const interval = terms.intervalDays[visitClass - 1];
  if (!interval) return 0;
  let overdue = 0;
  for (let day = fromDay; day <= throughDay; day += 1) {
    if (silent.has(day)) continue;
    const last = lastDone(terms, done, visitClass, day);
    const dark = [...silent].filter((each) => each > last && each < day).length;
    if (day - last - dark > interval + terms.graceDays) overdue += 1;
  }
  return overdue;
}

/**
 * Fen that a visit of a day earns: its class's fee by the factor (permille) of its level; a repair earns nothing here.
 * @param {{fees: bigint[], factors: bigint[]}} terms
 */
export function fee(terms, visitClass, level) {
  if (visitClass === 0) return 0n;
  checkClass(visitClass);
  return (terms.fees[visitClass - 1] * terms.factors[level]) / 1000n;
}

/** Fen that so many overdue days of one class cost. */
export function penalty(terms, days) {
  return BigInt(days) * terms.penalty;
}

function checkClass(visitClass) {
  if (!CLASSES.includes(visitClass)) throw new ContractsError(`class ${visitClass} is never due; there are 1 to 4`);
}
