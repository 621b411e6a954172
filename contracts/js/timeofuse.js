/**
 * Time of use from one register's readings: when each price of a tariff held, and how much was counted meanwhile.
 *
 * The same as `contracts/time_of_use.py` (shared vectors): boundary entries say how much a meter without tariff
 * registers counted, the readings between them only at which price. Instants are numbers of milliseconds, values bigints.
 */

import { ContractsError } from "./bytes.js";

/** How far from a change of price a reading may have been made to stand for it. */
export const TOLERANCE_MS = 5 * 60_000;
const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

/**
 * The changes of price between two midnights of a zone, by the clock on the wall.
 * @param {{register: number, first: number, end: number}[]} windows minutes of the local day, the end not included.
 * @param {string} zone such as "Asia/Shanghai".
 * @param {bigint} from boundary dates YYYYMMDD.
 * @param {bigint} to
 * @returns {{changes: {atMs: number, register: number}[], endMs: number}} the first change is the first midnight.
 */
export function priceCalendar(windows, zone, from, to) {
  const offsetAt = clockOf(zone);
  const [first, last] = [utcMs(from), utcMs(to)];
  const shifts = clockChanges(offsetAt, first - 2 * DAY_MS, last + 2 * DAY_MS);
  const offsets = [...new Set([first - 2 * DAY_MS, ...shifts].map(offsetAt))];
  const [startMs, endMs] = [midnight(offsetAt, first, offsets, shifts), midnight(offsetAt, last, offsets, shifts)];
  const instants = new Set([startMs]);
  const add = (at) => at > startMs && at < endMs && instants.add(at);
  shifts.forEach(add);
  for (let day = first; day <= last; day += DAY_MS) {
    for (const window of windows) {
      for (const offset of offsets) add(day + window.first * MINUTE_MS - offset);
    }
  }
  const changes = [];
  for (const atMs of [...instants].sort((a, b) => a - b)) {
    const register = registerAt(windows, offsetAt, atMs);
    if (changes.at(-1)?.register !== register) changes.push({ atMs, register });
  }
  return { changes, endMs };
}

/** A zone's offset to UTC, in milliseconds, at an instant. */
export function clockOf(zone) {
  let format;
  try {
    const numbers = { year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric", second: "numeric" };
    format = new Intl.DateTimeFormat("en-US", { timeZone: zone, hourCycle: "h23", calendar: "gregory", ...numbers });
  } catch {
    throw new ContractsError(`this browser knows no time zone ${zone}`);
  }
  return (atMs) => {
    const part = Object.fromEntries(format.formatToParts(atMs).map(({ type, value }) => [type, Number(value)]));
    const wall = Date.UTC(part.year, part.month - 1, part.day, part.hour, part.minute, part.second);
    return wall - Math.floor(atMs / 1000) * 1000;
  };
}

/**
 * What was counted while each register's price held, and what is told of the register where the price changes.
 * @param {{changes: {atMs: number, register: number}[], endMs: number}} calendar
 * @param {{opening: bigint, closing: bigint, readings: {atMs: number, value: bigint}[], registers: number}} counted
 *   the register at both ends of the calendar, and readings between in the order of their times.
 * @returns {{used: bigint[], told: {atMs: number, value: bigint, isBetween: boolean}[]}}
 */
export function timeOfUse({ changes, endMs }, { opening, closing, readings, registers }) {
  const points = [{ atMs: changes[0].atMs, value: opening }, ...readings, { atMs: endMs, value: closing }];
  points.slice(1).forEach((two, i) => {
    if (two.atMs < points[i].atMs || two.value < points[i].value) {
      throw new ContractsError(`readings fall or are not in order: ${points[i].value}, ${two.value}`);
    }
  });
  const told = changes.slice(1).map(({ atMs }) => toldAt(points, atMs));
  const values = [opening, ...told.map(({ value }) => value), closing];
  const used = Array.from({ length: registers }, () => 0n);
  changes.forEach(({ register }, i) => (used[register] += values[i + 1] - values[i]));
  return { used, told };
}

function toldAt(points, atMs) {
  let place = points.findIndex((point, i) => i > 0 && point.atMs >= atMs);
  if (place < 0) place = points.length - 1;
  const [before, after] = [points[place - 1], points[place]];
  const nearest = atMs - before.atMs <= after.atMs - atMs ? before : after;
  if (Math.abs(nearest.atMs - atMs) <= TOLERANCE_MS) return { atMs, value: nearest.value, isBetween: false };
  const [gone, span] = [BigInt(atMs - before.atMs), BigInt(after.atMs - before.atMs)];
  return { atMs, value: before.value + ((after.value - before.value) * gone) / span, isBetween: true };
}

function registerAt(windows, offsetAt, atMs) {
  const minute = modulo(Math.floor((atMs + offsetAt(atMs)) / MINUTE_MS), 1440);
  const held = windows.find(({ first, end }) => modulo(minute - first, 1440) < (modulo(end - first, 1440) || 1440));
  if (!held) throw new ContractsError(`no window holds at minute ${minute} of the day`);
  return held.register;
}

/** The first instant of a local date, which may not be midnight where the clocks skip that. */
function midnight(offsetAt, day, offsets, shifts) {
  const candidates = [...offsets.map((offset) => day - offset), ...shifts].sort((a, b) => a - b);
  return candidates.find((at) => at + offsetAt(at) >= day);
}

/** The instants at which the clocks are changed, to the minute. */
function clockChanges(offsetAt, low, high) {
  const found = [];
  for (let start = low; start + DAY_MS <= high; start += DAY_MS) {
    const offset = offsetAt(start);
    if (offset === offsetAt(start + DAY_MS)) continue;
    let [before, after] = [start / MINUTE_MS, (start + DAY_MS) / MINUTE_MS];
    while (after - before > 1) {
      const middle = Math.floor((before + after) / 2);
      if (offsetAt(middle * MINUTE_MS) === offset) before = middle;
      else after = middle;
    }
    found.push(after * MINUTE_MS);
  }
  return found;
}

/** Midnight of a boundary date as if it were UTC's. */
function utcMs(day) {
  const number = Number(day);
  return Date.UTC(Math.floor(number / 10_000), (Math.floor(number / 100) % 100) - 1, number % 100);
}

const modulo = (number, divisor) => ((number % divisor) + divisor) % divisor;
