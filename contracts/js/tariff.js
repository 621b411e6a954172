/**
 * Prices: terms as they are announced, and what they make of a usage, in exact integers.
 *
 * The same as `contracts/tariff.py`, `contracts/standing.py` and pricing.vy. A price is in nanofen (10^-9 fen) per
 * base unit and is the sum of named components.
 */

import { ContractsError, toBigInt } from "./bytes.js";

export const BASIS = Object.freeze({ METER: 1, AREA: 2, HEADS: 3, COUNT: 4, ONCE: 5 });
export const COUNTING = Object.freeze({ NONE: 0, PERIOD: 1, YEAR: 2 });
export const KEY = Object.freeze({ AREA: 0, EQUAL: 1, TABLE: 2, VOLUME: 3 });
const NANOFEN = 1000000000n;
const MONTH_PARTS = 377580n; // lcm of 28, 29, 30 and 31
const NO_EDGE = 1n << 255n;
const LIST_MAX = 16n;

const textOf = (word) => String.fromCharCode(...word.subarray(0, word.findLastIndex((byte) => byte !== 0) + 1));

/** Reads ABI words at places counted from the start of what they are relative to. */
class Words {
  constructor(bytes, base = 0) {
    [this.bytes, this.base] = [bytes, base];
  }

  word(place) {
    const at = this.base + 32 * place;
    if (at < 0 || at + 32 > this.bytes.length) throw new ContractsError("the terms end too early");
    return this.bytes.subarray(at, at + 32);
  }

  number(place) {
    return toBigInt(this.word(place));
  }

  /** What an offset word points to. */
  within(place) {
    const offset = this.number(place);
    if (offset > BigInt(this.bytes.length)) throw new ContractsError("the terms point beyond their end");
    return new Words(this.bytes, this.base + Number(offset));
  }

  /** An array behind an offset word; `read` takes its words (after the length) and each item's number. */
  list(place, read) {
    const array = this.within(place);
    const length = array.number(0);
    if (length > LIST_MAX) throw new ContractsError("the terms hold too long a list");
    const items = new Words(array.bytes, array.base + 32);
    return Array.from({ length: Number(length) }, (_, i) => read(items, i));
  }
}

/** Terms from their announced bytes. */
export function decodeTerms(bytes) {
  const words = new Words(bytes).within(0);
  return {
    quantity: textOf(words.word(0)),
    category: words.number(1),
    basis: Number(words.number(2)),
    counting: Number(words.number(3)),
    key: Number(words.number(4)),
    document: words.word(5),
    registers: words.list(6, (items, i) => textOf(items.word(i))),
    seasons: words.list(7, (items, i) => decodeSeason(items.within(i))),
  };
}

function decodeSeason(words) {
  return {
    months: words.number(0),
    bounds: words.list(1, (items, i) => items.number(i)),
    persons: words.number(2),
    extra: words.number(3),
    windows: words.list(4, (items, i) => decodeWindow(items.number(i))),
    components: words.list(5, (items, i) => ({
      name: textOf(items.word(4 * i)),
      tiers: items.number(4 * i + 1),
      registers: items.number(4 * i + 2),
      price: items.number(4 * i + 3),
    })),
  };
}

const decodeWindow = (word) => ({
  register: Number(word >> 32n),
  first: Number((word >> 16n) & 65535n),
  end: Number(word & 65535n),
});

const nextMonth = (month) => (month % 100n === 12n ? month + 89n : month + 1n);

/** The season that holds every day from one boundary date up to the other (YYYYMMDD). */
export function seasonOf(terms, from, to) {
  let last = to / 100n;
  if (to % 100n === 1n) last -= last % 100n === 1n ? 89n : 1n;
  let [month, months] = [from / 100n, 0n];
  for (let step = 0; step < 13; step += 1) {
    months |= 1n << month % 100n;
    if (month >= last) break;
    month = nextMonth(month);
  }
  const season = terms.seasons.find((one) => (one.months & months) === months);
  if (!season) throw new ContractsError(`the days from ${from} to ${to} lie in two seasons`);
  return season;
}

/** Nanofen per base unit: the sum of the components that count there. */
export function priceOf(season, tier, register = 0) {
  const counts = ({ tiers, registers }) => ((tiers >> BigInt(tier)) & 1n) === 1n && ((registers >> BigInt(register)) & 1n) === 1n;
  return season.components.filter(counts).reduce((sum, { price }) => sum + price, 0n);
}

const min = (a, b) => (a < b ? a : b);

function running(season, edges, usage) {
  let nanofen = 0n;
  for (let tier = 0; tier + 1 < edges.length; tier += 1) {
    const part = min(usage, edges[tier + 1]) - min(usage, edges[tier]);
    if (part > 0n) nanofen += part * priceOf(season, tier);
  }
  return (nanofen + NANOFEN / 2n) / NANOFEN;
}

/**
 * Whole fen for what the registers counted.
 * @param {object} season of the terms.
 * @param {{used: bigint[], prior?: bigint, residents?: bigint}} usage by register; before, in the tiers' own time.
 */
export function chargeOf(season, { used, prior = 0n, residents = 0n }) {
  const total = used.reduce((sum, one) => sum + one, 0n);
  if (used.some((one) => one < 0n) || prior < 0n) throw new ContractsError("a register runs backwards");
  if (total === 0n) return 0n;
  const above = residents > season.persons ? residents - season.persons : 0n;
  const edges = [0n, ...season.bounds.map((bound) => bound + season.extra * above), NO_EDGE];
  const end = prior + total;
  if (used.length === 1) return running(season, edges, end) - running(season, edges, prior);
  let nanofen = 0n;
  for (let tier = 0; tier + 1 < edges.length; tier += 1) {
    const [below, upper] = [edges[tier], edges[tier + 1]];
    const amount = min(end, upper) - min(end, below) - (min(prior, upper) - min(prior, below));
    if (amount > 0n) used.forEach((part, register) => (nanofen += amount * part * priceOf(season, tier, register)));
  }
  return (2n * nanofen + total * NANOFEN) / (2n * total * NANOFEN);
}

/** Days of a month, YYYYMM. */
function daysOf(month) {
  return BigInt(new Date(Date.UTC(Number(month / 100n), Number(month % 100n), 0)).getUTCDate());
}

/** Months between two boundary dates, in parts of which every month has 377,580. */
export function monthParts(from, to) {
  let [parts, date] = [0n, from];
  while (date < to) {
    const days = daysOf(date / 100n);
    const after = nextMonth(date / 100n) * 100n + 1n;
    const last = to < after ? to % 100n : days + 1n;
    parts += (last - (date % 100n)) * (MONTH_PARTS / days);
    date = after;
  }
  return parts;
}

/** Whole fen for so many units of the terms' basis over the days of a line. */
export function standingOf(terms, count, from, to) {
  const price = priceOf(seasonOf(terms, from, to), 0);
  const parts = terms.basis === BASIS.ONCE ? MONTH_PARTS : monthParts(from, to);
  const divisor = MONTH_PARTS * NANOFEN;
  return (2n * count * price * parts + divisor) / (2n * divisor);
}
