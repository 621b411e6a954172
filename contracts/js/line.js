/**
 * One line of a bill: what its meters counted by their signed readings, and what the published tariff makes of it.
 *
 * The same recomputation as Charges.vy and `cloud/billing/reckoning.py`: meters join without a day missing, several
 * registers and swapped meters are counted, tiers count from the readings before, a pool is shared by areas, equally, by
 * the roll's table or by the period's volumes. Nothing is taken from whoever hands the files over: readings come with
 * their evidence, and everything else is asked of the chain.
 */

import { LINE_KIND } from "./bill.js";
import { ContractsError, equalBytes, fromHex, toHex } from "./bytes.js";
import { ChainView } from "./chain.js";
import { Fields } from "./fields.js";
import { parseJson } from "./json.js";
import { keyInTable, tableOf } from "./keytable.js";
import { sha256 } from "./sha256.js";
import { BASIS, COUNTING, KEY, chargeOf, decodeTerms, seasonOf, standingOf } from "./tariff.js";
import { parseTrust } from "./trust.js";
import { NotChecked, runStep } from "./verifier.js";

export const LINE_CHECK_NAMES = Object.freeze(["readings", "tariff"]);
const METERED = [LINE_KIND.OWN, LINE_KIND.SHARED, LINE_KIND.INTERVAL];
const KEY_NAMES = ["table", "key", "salt", "path"];
const SUM_END = 1n << 64n;

/**
 * Whether a line's usage is what its signed readings say, and its amount what the published tariff makes of it.
 * @param {object} bill what `parseBill` made.
 * @param {number} number of the line, from 0.
 * @param {{readings: object[], key?: object | null, zone?: string | null}} evidence what `parseEvidence` made of the
 *   readings, in any order; where the unit's key stands in a table that shares a pool (see `parseKey`); and by whose
 *   clocks prices change, for a meter without tariff registers.
 * @returns {Promise<{checks: object[], amount: bigint | null, passed: boolean}>} the amount is what the line should say.
 */
export async function verifyLine(bill, number, evidence, { trust = null, rpc = null, onCheck = () => {} } = {}) {
  const roots = typeof trust === "string" || trust instanceof Uint8Array ? parseTrust(trust) : trust;
  const chain = rpc && roots ? new ChainView(rpc, roots) : null;
  const reckoning = new Reckoning(bill, bill.lines[number], evidence, chain);
  const checks = [];
  const run = async (name, step) => {
    const check = await runStep(name, step);
    checks.push(check);
    await onCheck(check);
    return check.outcome;
  };
  const outcome = await run("readings", () => reckoning.checkUsage());
  await run("tariff", () => {
    if (outcome !== "passed") throw new NotChecked("rests on the check readings, which has not passed");
    return reckoning.checkAmount();
  });
  return { checks, amount: reckoning.amount, passed: checks.every((check) => check.outcome !== "failed") };
}

/** Where a unit's key stands in a table, as a page hands it over: JSON with hex without 0x and decimal strings. */
export function parseKey(source) {
  const fields = new Fields(parseJson(source), "", KEY_NAMES);
  const table = fields.text("table");
  if (table !== "" && !/^[0-9a-f]{256}$/.test(table)) throw new ContractsError("a table of volumes has four words");
  return {
    table: fromHex(table, table.length / 2),
    key: fields.decimal("key", SUM_END),
    salt: fields.octets("salt", 32),
    path: fields.eachWithin("path", 32, "hash", "sums").map((node) => ({
      hash: node.octets("hash", 32),
      sums: node.decimal("sums", SUM_END),
    })),
  };
}

/** One run over one line. */
class Reckoning {
  constructor(bill, line, { readings, key = null, zone = null }, chain) {
    Object.assign(this, { bill, line, chain, key, zone, amount: null });
    this.isOwn = line.kind !== LINE_KIND.SHARED;
    const isTimed = ({ entry }) => line.kind === LINE_KIND.INTERVAL && entry.kind === 1 && !entry.quantity.includes("*");
    this.timed = readings.filter(isTimed).map(({ entry }) => entry);
    this.readings = readings.filter((reading) => !isTimed(reading)).map(readingOf);
  }

  /** The first step: what the meters counted. */
  async checkUsage() {
    const { line } = this;
    if (line.kind === LINE_KIND.ESTIMATED) throw new NotChecked("this line is an estimate until the meter is read");
    if (line.kind === LINE_KIND.STANDING) return this.checkCount();
    if (!METERED.includes(line.kind)) throw new NotChecked("this line rests on a right, not on readings");
    const brought = this.brought();
    if (line.kind === LINE_KIND.INTERVAL) return this.checkTimeOfUse(brought);
    const registers = brought ? brought.registers : [line.quantity];
    const parts = this.meters();
    const spans = registers.map((register) => this.spans(parts, register, line.from, line.to));
    this.used = spans.map(usageOf);
    const since = brought?.counting === COUNTING.NONE ? line.from : line.since;
    const before = this.spans(parts, line.quantity, since, line.from);
    this.prior = usageOf(before);
    this.checkComplete([...spans.flat(), ...before]);
    await this.checkSubject(spans.flat());
    const usage = this.used.reduce((sum, used) => sum + used, 0n);
    if (usage !== line.usage) throw new ContractsError(`the line charges ${line.usage}, the readings say ${usage}`);
    return spans.flat().map(({ opened, closed }) => `${closed} - ${opened}`).join(" + ") + ` = ${usage}`;
  }

  /** A line by readings between boundaries: how much the boundary entries say, at which price the readings do. */
  async checkTimeOfUse(terms) {
    const { line } = this;
    if (!terms) throw new NotChecked("the file does not bring the terms of the line's tariff");
    if (!this.zone || this.timed.length === 0) throw new NotChecked("the readings between boundaries are not on this page");
    this.clocks = await import("./timeofuse.js"); // few lines need it, and every page would have to load it
    await this.checkZone();
    const parts = this.meters();
    const whole = this.spans(parts, line.quantity, line.from, line.to);
    const before = this.spans(parts, line.quantity, terms.counting === COUNTING.NONE ? line.from : line.since, line.from);
    this.prior = usageOf(before);
    this.used = terms.registers.map(() => 0n);
    const beside = [];
    let bridged = 0;
    for (const span of whole) {
      const own = terms.registers.map((register) => this.spans(parts.filter((meter) => meter.device === span.device), register, span.first, span.last));
      const hasRegisters = own.some((some) => some.some(({ used }) => used.length > 0));
      if (hasRegisters) beside.push(...own.flat());
      const counted = hasRegisters ? own.map(usageOf) : this.shareOut(terms, span, (count) => (bridged += count));
      this.used = this.used.map((sum, i) => sum + counted[i]);
    }
    this.checkComplete([...whole, ...before, ...beside]);
    await this.checkSubject(whole);
    const usage = this.used.reduce((sum, used) => sum + used, 0n);
    if (usage !== line.usage) throw new ContractsError(`the line charges ${line.usage}, the readings say ${usage}`);
    return `${this.used.join(" + ")} = ${usage}, ${bridged} changes of price without a reading`;
  }

  /** One meter's usage by price, by the readings that were made while it counted. */
  shareOut(terms, span, onBridged) {
    if (span.opened === null || span.closed === null) return terms.registers.map(() => 0n); // named by checkComplete
    const calendar = this.clocks.priceCalendar(seasonOf(terms, span.first, span.last).windows, this.zone, span.first, span.last);
    const readings = this.timed
      .filter((entry) => equalBytes(entry.device, span.device) && entry.quantity === this.line.quantity)
      .map((entry) => ({ atMs: Number(entry.observedAtMs), value: entry.value }))
      .filter(({ atMs }) => atMs > calendar.changes[0].atMs && atMs < calendar.endMs)
      .sort((a, b) => a.atMs - b.atMs || (a.value < b.value ? -1 : 1));
    const counted = { opening: span.opened, closing: span.closed, readings, registers: terms.registers.length };
    const { used, told } = this.clocks.timeOfUse(calendar, counted);
    onBridged(told.filter(({ isBetween }) => isBetween).length);
    return used;
  }

  /** The page names a zone; the chain says how far the site's clocks are from UTC when they are not put forward. */
  async checkZone() {
    const offsetAt = this.clocks.clockOf(this.zone);
    if (!this.chain) return;
    const year = Number(this.line.from / 10000n);
    const standard = Math.min(offsetAt(Date.UTC(year, 0, 1)), offsetAt(Date.UTC(year, 6, 1)));
    const held = await this.chain.utcOffsetSeconds();
    if (BigInt(standard / 1000) !== held) throw new ContractsError(`the clocks of ${this.zone} are not those that the chain names`);
  }

  /** The meters of the readings, in the order in which they counted, each with the days for which it was bound. */
  meters() {
    const meters = new Map();
    for (const reading of this.readings) {
      const { binding } = reading;
      const id = `${toHex(reading.device)} ${binding?.fromDate ?? 0}`;
      if (!meters.has(id)) meters.set(id, { device: reading.device, binding, readings: [] });
      meters.get(id).readings.push(reading);
    }
    if (meters.size > 1 && [...meters.values()].some(({ binding }) => !binding)) {
      throw new ContractsError("the readings are of two meters, and nothing says that they count for one unit");
    }
    return [...meters.values()].sort((a, b) => (a.binding?.fromDate ?? 0) - (b.binding?.fromDate ?? 0));
  }

  /** What one register counted from one boundary to another, meter by meter. A reading that is missing has no value. */
  spans(meters, register, from, to) {
    const spans = [];
    for (const { device, binding, readings } of meters) {
      const first = later(BigInt(binding?.fromDate ?? 0), from);
      const last = binding?.toDate ? earlier(BigInt(binding.toDate), to) : to;
      if (first >= last) continue;
      const at = (day) => readings.filter((reading) => reading.register === register && reading.day === day);
      const [opening, closing] = [at(first), at(last)];
      if (opening.length === 0 && closing.length === 0) continue; // a meter of another quantity
      // Two values for one boundary are equivocation, and the lower charge stands.
      const opened = opening.map(({ value }) => value).reduce((a, b) => (b > a ? b : a), opening[0]?.value ?? null);
      const closed = closing.map(({ value }) => value).reduce((a, b) => (b < a ? b : a), closing[0]?.value ?? null);
      spans.push({ device, binding, register, first, last, opened, closed, from, to, used: [...opening, ...closing] });
    }
    return spans.length || from === to ? spans : [{ register, first: to, last: to, from, to, opened: null, closed: null, used: [] }];
  }

  /** Refuses spans that leave a day out or run backwards, and readings that belong to none of them. */
  checkComplete(spans) {
    const used = new Set(spans.flatMap((span) => span.used));
    const stray = this.readings.find((reading) => !used.has(reading));
    if (stray) throw new ContractsError(`the reading of ${stray.register} at ${stray.day} does not belong to this line`);
    let before = null;
    for (const span of spans) {
      const isNext = before && before.register === span.register && before.from === span.from;
      const expected = isNext ? before.last : span.from;
      if (span.first !== expected) throw new NotChecked(`a reading of ${span.register} at ${expected} is not on this page`);
      if (span.opened === null) throw new NotChecked(`the reading of ${span.register} at ${span.first} is not on this page`);
      if (span.closed === null) throw new NotChecked(`the reading of ${span.register} at ${span.last} is not on this page`);
      if (span.closed < span.opened) throw new ContractsError(`${span.register} falls from ${span.opened} to ${span.closed}`);
      before = span;
    }
    const ends = spans.filter((span, i) => spans[i + 1]?.register !== span.register || spans[i + 1]?.from !== span.from);
    const open = ends.find((span) => span.last !== span.to);
    if (open) throw new NotChecked(`a reading of ${open.register} at ${open.last} is not on this page`);
  }

  /** Whether the meters count for this bill's unit, or for this line's pool. */
  async checkSubject(spans) {
    const { line, isOwn } = this;
    const device = spans[spans.length - 1].device;
    if (isOwn && !equalBytes(line.subject, device)) throw new ContractsError("the readings are of another meter than the line's");
    const bindings = spans.map(({ binding }) => binding).filter(Boolean);
    if (bindings.length === 0) return;
    const subject = isOwn ? this.chain && (await this.chain.unitArea(this.bill.unitIndex)).alias : line.subject;
    const role = isOwn ? "own" : "pool";
    const other = bindings.some((binding) => binding.role !== role || (subject && !equalBytes(binding.unit, subject)));
    if (other) throw new ContractsError(`the readings are of a meter that counts for another ${isOwn ? "unit" : "pool"}`);
  }

  /** A standing charge's count: what the roll holds, or what the right itself states. */
  async checkCount() {
    const { line } = this;
    const terms = this.brought();
    if (!terms) throw new NotChecked("the right to this charge states its amount; the file brings no tariff");
    if (!this.chain) throw new NotChecked("only the chain knows the roll");
    if (terms.basis !== BASIS.AREA && terms.basis !== BASIS.HEADS) return `${line.usage}, as the right to this charge states`;
    const { alias, key } = await this.chain.unitArea(this.bill.unitIndex);
    const held = terms.basis === BASIS.AREA ? key : await this.chain.residents(alias, line.from);
    if (held !== line.usage) throw new ContractsError(`the line counts ${line.usage}, the roll holds ${held}`);
    return `${held}, as the roll holds`;
  }

  /** The second step: the price, and the unit's part of a pool. */
  async checkAmount() {
    const { line, chain } = this;
    if (!chain) throw new NotChecked("only the chain knows the published tariff");
    const terms = await this.terms();
    this.amount = line.kind === LINE_KIND.STANDING ? this.standing(terms) : await this.metered(terms);
    if (this.amount !== line.amount) {
      throw new ContractsError(`the line charges ${line.amount} fen, the tariff makes ${this.amount}`);
    }
    return `tariff ${line.tariff} makes ${this.amount} fen of ${line.usage}`;
  }

  standing(terms) {
    if (terms.basis === BASIS.METER) throw new ContractsError("the line is no meter's, but its tariff is");
    if (!equalBytes(this.line.subject, terms.document)) throw new ContractsError("the line names another right than its tariff");
    return standingOf(terms, this.line.usage, this.line.from, this.line.to);
  }

  async metered(terms) {
    const { bill, line, chain, isOwn } = this;
    if (terms.basis !== BASIS.METER) throw new ContractsError("the line is a meter's, but its tariff is not");
    const season = seasonOf(terms, line.from, line.to);
    checkSince(terms, bill.period / 100000000n, line);
    let residents = 0n;
    if (season.extra !== 0n && isOwn) {
      const { alias } = await chain.unitArea(bill.unitIndex);
      residents = await chain.residents(alias, line.from);
    }
    const whole = chargeOf(season, { used: this.used, prior: this.prior, residents });
    return isOwn ? whole : this.part(whole, terms);
  }

  /** The terms that the file brings for the line, not yet held against the chain; null where it brings none. */
  brought() {
    const found = this.bill.terms.find(({ version }) => version === this.line.tariff);
    return found ? decodeTerms(found.encoded) : null;
  }

  /** The terms of the line, as the file brings them and the chain's digest confirms them. */
  async terms() {
    const { bill, line } = this;
    const held = await this.chain.tariff(line.tariff);
    const inForce = held.isApproved && held.validFrom <= line.from && (held.validTo === 0n || held.validTo >= line.to);
    if (!inForce) throw new ContractsError(`tariff ${line.tariff} is not in force over the line's days`);
    const brought = bill.terms.find(({ version }) => version === line.tariff);
    if (!brought) throw new NotChecked(`the file does not bring the terms of tariff ${line.tariff}`);
    if (!equalBytes(sha256(brought.encoded), held.digest)) {
      throw new ContractsError(`the file's terms of tariff ${line.tariff} are not those that were announced`);
    }
    const terms = decodeTerms(brought.encoded);
    if (terms.quantity !== line.quantity) {
      throw new ContractsError(`tariff ${line.tariff} is for ${terms.quantity}, not ${line.quantity}`);
    }
    return terms;
  }

  /** This unit's part of a pool. */
  async part(whole, terms) {
    const { bill, line, chain, key } = this;
    if (terms.key === KEY.EQUAL) return shareOf(whole, { key: 1n, before: bill.unitIndex, sum: bill.unitCount });
    if (terms.key === KEY.AREA) {
      const [area, held] = await Promise.all([chain.unitArea(bill.unitIndex), chain.period(bill.period)]);
      if (!held || held.totalArea === 0n) throw new NotChecked("the contract holds no floor area for this period");
      return shareOf(whole, { key: area.key, before: area.before, sum: held.totalArea });
    }
    const table = await tableOf(chain, terms.key, { pool: line.subject, period: bill.period, line, key });
    // A unit that joined the roll after the table has no part.
    if (bill.unitIndex >= table.unitCount) return 0n;
    if (!key) throw new NotChecked("where your key stands in the table that shares the pool is not on this page");
    return shareOf(whole, { key: key.key, before: keyInTable(bill.unitIndex, key, table), sum: table.sum });
  }
}

/** One unit's part of a pool: telescoping, so that all parts add up to the pool. */
export function shareOf(pool, { key, before, sum }) {
  return (pool * (before + key)) / sum - (pool * before) / sum;
}

const later = (a, b) => (a > b ? a : b);
const earlier = (a, b) => (a < b ? a : b);
const usageOf = (spans) => spans.reduce((sum, { opened, closed }) => sum + ((closed ?? 0n) - (opened ?? 0n)), 0n);

/** A boundary entry: whose register it is, and for whom its meter counts. */
function readingOf({ entry, assignment = null }) {
  const [register, day] = entry.quantity.split("*");
  if (entry.kind !== 1 || !day) throw new ContractsError("a reading of the line is not a boundary's");
  return { device: entry.device, register, day: BigInt(day), value: entry.value, binding: assignment?.binding ?? null };
}

/** Refuses a day from which tiers cannot count: they begin with the period or the year, or later with the meter. */
function checkSince(terms, opening, line) {
  if (terms.counting === COUNTING.NONE || line.since === line.from) return;
  const first = terms.counting === COUNTING.YEAR ? (line.from / 10000n) * 10000n + 101n : opening;
  if (line.since < first || line.since >= line.from) throw new ContractsError(`the steps count from ${line.since}, another day than they may`);
}
