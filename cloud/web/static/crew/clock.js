/**
 * Days and times as crews read them, and how near a visit's day is. Days are those of the site, whatever the phone's own
 * time zone says.
 */

import { SLOT_S } from "../verifier/rotating.js";

const DAY_MS = 86_400_000;

/** The site's date at a time, as `2026-12-01`. */
export function localDate(atMs, timezone) {
  return new Intl.DateTimeFormat("sv-SE", { timeZone: timezone, dateStyle: "short" }).format(atMs);
}

/** The date after the site's one at a time. */
export function dayAfter(atMs, timezone) {
  const midnight = Date.parse(`${localDate(atMs, timezone)}T00:00:00Z`);
  return new Date(midnight + DAY_MS).toISOString().slice(0, 10);
}

/** Days from one date to another, both as `2026-12-01`. */
export function daysBetween(from, to) {
  return Math.round((Date.parse(`${to}T00:00:00Z`) - Date.parse(`${from}T00:00:00Z`)) / DAY_MS);
}

/**
 * How a due row stands today: `overdue`, `soon` (its warning day has come) or `good`, and the days left (below zero when
 * overdue).
 * @param {{due_on: string, warn_on: string | null}} row
 */
export function standing(row, today) {
  const left = daysBetween(today, row.due_on);
  if (left < 0) return { tone: "bad", word: "overdue", left };
  if (row.warn_on && daysBetween(today, row.warn_on) <= 0) return { tone: "warn", word: "soon", left };
  return { tone: "good", word: "good", left };
}

/** The row that wants a visit first, null where nothing comes due. */
export function mostUrgent(rows) {
  return rows.reduce((first, row) => (first === null || row.due_on < first.due_on ? row : first), null);
}

/** The class that a visit should have: the highest of those whose warning day has come, else that of the next one due. */
export function classDue(rows, today) {
  const due = rows.filter((row) => standing(row, today).word !== "good");
  const rank = ["half-month", "quarter", "half-year", "year"];
  if (due.length) return due.map((row) => row.class).sort((a, b) => rank.indexOf(b) - rank.indexOf(a))[0];
  return mostUrgent(rows)?.class ?? "half-month";
}

/** A time of day and date in the site's zone, in the reader's language. */
export function instant(atMs, { timezone, tag }) {
  const parts = { timeZone: timezone, month: "numeric", day: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  return new Intl.DateTimeFormat(tag, parts).format(atMs);
}

/** A date in the reader's language. */
export function day(date, { tag }) {
  return new Intl.DateTimeFormat(tag, { timeZone: "UTC", month: "short", day: "numeric" }).format(Date.parse(`${date}T00:00:00Z`));
}

export const CLOCK_TOLD_S = 120;
export const CLOCK_REFUSED_S = 300;

/**
 * Seconds that this phone's clock is ahead of the display's (the gateway's), by a code that the camera sees now: it was
 * shown in the half minute of its slot or in the one behind it.
 */
export function aheadOfDisplay(slot, atS) {
  const [first, last] = [slot * SLOT_S, (slot + 2) * SLOT_S];
  return atS < first ? atS - first : Math.max(0, atS - last);
}

/** Whole minutes that a clock is off, for people. */
export const minutesOff = (seconds) => Math.max(1, Math.round(Math.abs(seconds) / 60));
