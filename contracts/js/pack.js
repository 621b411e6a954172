/**
 * Data packs: which items a visit of which class holds (contracts/pack.py). Objects are the file's own JSON, with
 * `digest`, the 32 bytes that a visit's `plan` word must be.
 */

import { ContractsError, excerpt } from "./bytes.js";
import { checkDate } from "./dates.js";
import { Fields } from "./fields.js";
import { parseCanonicalJson } from "./json.js";
import { sha256 } from "./sha256.js";
import { CLASSES } from "./visit.js";

export const SPOTS = Object.freeze(["machine-room", "car-top", "car", "landing", "pit", "housing"]);
const BYTES_MAX = 64 * 1024;
const ITEMS_MAX = 200;
const VALUE_MAX = 1e9;
const KEYS = [
  "format", "name", "title", "device_kind", "source", "checked_by", "checked_on", "verified", "valid_from", "people",
  "countersigned", "rescue_s", "classes", "items", "shows", "note",
];

/** The pack of its canonical bytes; what Python refuses is refused here. */
export function parsePack(encoded) {
  refuseUnless(encoded.length <= BYTES_MAX, `it has ${encoded.length} bytes; ${BYTES_MAX} is the limit`);
  const value = parseCanonicalJson(encoded);
  const fields = new Fields(value, "", KEYS);
  fields.choice("format", ["minglou-pack/1"]);
  for (const name of ["name", "device_kind"]) refuseUnless(/^[a-z0-9][a-z0-9-]{0,47}$/.test(fields.text(name)), `${name} is misspelt`);
  for (const name of ["source", "checked_by", "checked_on"]) checkText(fields, name);
  for (const name of ["title", "note"]) {
    const texts = fields.within(name, "zh", "en");
    for (const language of ["zh", "en"]) checkText(texts, language);
  }
  fields.boolean("verified");
  fields.boolean("countersigned");
  checkDate(fields.text("valid_from"));
  whole(fields, "people", 1, 2);
  checkRescue(fields);
  const classes = checkClasses(fields);
  const items = fields.list("items", ITEMS_MAX).map((_, at) => checkItem(fields, at));
  const codes = new Set(items.map(({ code }) => code));
  refuseUnless(codes.size === items.length, "an item's code stands twice");
  refuseUnless(items.every((item) => classes.includes(item.class)), "an item is of a class that the pack does not have");
  checkShows(fields.raw("shows"), codes);
  return { ...value, digest: sha256(encoded) };
}

/**
 * The items of a class with those of the lower ones, in the order of the body's way; a repair's own items alone.
 * @param {number} visitClass 0 repair, 1 half-month, 2 quarter, 3 half-year, 4 year.
 */
export function itemsOf(pack, visitClass) {
  refuseUnless(pack.classes.some((one) => one.class === CLASSES[visitClass]), `it has no class ${excerpt(CLASSES[visitClass])}`);
  const held = pack.items.filter((item) => {
    const lowest = CLASSES.indexOf(item.class);
    return visitClass === 0 ? lowest === 0 : lowest > 0 && lowest <= visitClass;
  });
  return held.sort((one, other) => SPOTS.indexOf(one.at) - SPOTS.indexOf(other.at));
}

/**
 * The items at which a meter swap's two registers are read and photographed: the first that the rules of a meter's profile
 * speak for.
 * @returns {{closing: string, opening: string} | null} codes; null where the pack is not one of swaps.
 */
export function registerItems({ shows }) {
  const [closing] = shows["closing-register"] ?? [];
  const [opening] = shows["opening-register"] ?? [];
  return closing && opening ? { closing, opening } : null;
}

/** How a value lies to an item's limit: within, near or beyond; the limit itself is within. */
export function reachOf(limit, value) {
  const isLow = limit.min !== undefined;
  if (isLow ? value < limit.min : value > limit.max) return "beyond";
  return (isLow ? value < limit.warn : value > limit.warn) ? "near" : "within";
}

function checkItem(fields, at) {
  const names = ["code", "class", "zh", "need_zh", "en", "kind", "at"];
  const item = new Fields(fields.raw("items")[at], `items[${at}]`, names, ["limit"]);
  refuseUnless(/^[A-Z0-9][A-Z0-9.-]{0,15}$/.test(item.text("code")), "an item's code is misspelt");
  item.choice("class", CLASSES);
  item.choice("kind", ["Q", "M", "S", "N", "T"]);
  item.choice("at", SPOTS);
  for (const name of ["zh", "need_zh", "en"]) checkText(item, name);
  if (item.has("limit")) checkLimit(item);
  return item.values;
}

function checkLimit(item) {
  const limit = new Fields(item.raw("limit"), item.at("limit"), ["unit", "factor", "warn", "source"], ["min", "max"]);
  refuseUnless(limit.has("min") !== limit.has("max"), "a limit is either a min or a max");
  refuseUnless([1, 10, 100, 1000].includes(limit.integer("factor")), "a limit's factor is 1, 10, 100 or 1000");
  checkText(limit, "unit");
  checkText(limit, "source");
  for (const name of ["warn", limit.has("min") ? "min" : "max"]) whole(limit, name, -VALUE_MAX, VALUE_MAX);
  refuseUnless(reachOf(limit.values, limit.values.warn) !== "beyond", "a limit's warning value lies beyond it");
}

function checkClasses(fields) {
  const found = fields.eachWithin("classes", CLASSES.length, "class", "interval_days", "warn_days", "dwell_min_s").map((one) => {
    const interval = whole(one, "interval_days", 0, 731);
    refuseUnless(whole(one, "warn_days", 0, 731) <= interval, "a class warns after it is due");
    whole(one, "dwell_min_s", 0, 86_400);
    return CLASSES.indexOf(one.choice("class", CLASSES));
  });
  const rises = found.every((number, at) => at === 0 || number > found[at - 1]);
  refuseUnless(found.length > 0 && rises, "its classes do not stand in their order, from repair to year");
  return found.map((number) => CLASSES[number]);
}

function checkRescue(fields) {
  const value = fields.raw("rescue_s");
  if (value !== null && typeof value === "object" && !Array.isArray(value) && Object.keys(value).length === 0) return;
  const rescue = fields.within("rescue_s", "built-up", "elsewhere");
  for (const area of ["built-up", "elsewhere"]) whole(rescue, area, 1, 86_400);
}

function checkShows(shows, codes) {
  const isObject = shows !== null && typeof shows === "object" && !Array.isArray(shows);
  refuseUnless(isObject && Object.keys(shows).length <= 64, "shows is no object of at most 64 rules");
  for (const [rule, shown] of Object.entries(shows)) {
    refuseUnless(/^[a-z][a-z0-9-]{0,31}$/.test(rule) && Array.isArray(shown) && shown.length > 0, `shows.${rule} is no list of items`);
    const isWhole = new Set(shown).size === shown.length && shown.every((code) => codes.has(code));
    refuseUnless(isWhole, `rule ${rule} shows an item twice, or one that is not there`);
  }
}

function checkText(fields, name) {
  refuseUnless([...fields.text(name)].length <= 400, `${name} is longer than 400 characters`);
}

function whole(fields, name, least, most) {
  const number = fields.integer(name);
  refuseUnless(number >= least && number <= most, `${name} is ${number}; it lies from ${least} to ${most}`);
  return number;
}

function refuseUnless(holds, reason) {
  if (!holds) throw new ContractsError(`pack: ${reason}`);
}
