/**
 * The filled list: what a crew says about every item of a visit, with its photographs' hashes (contracts/checklist.py).
 * Objects are the file's own JSON. What Python refuses is refused here, so that nobody signs what nobody takes.
 */

import { ContractsError, concat, equalBytes, excerpt, fromHex, utf8 } from "./bytes.js";
import { checkDate } from "./dates.js";
import { Fields } from "./fields.js";
import { canonicalJson, parseCanonicalJson } from "./json.js";
import { itemsOf, reachOf } from "./pack.js";
import { checkObis } from "./quantities.js";
import { sha256 } from "./sha256.js";
import { CLASSES } from "./visit.js";

export const RESULTS = Object.freeze(["ok", "adjusted", "replaced", "fault", "absent"]);
export const DONE = Object.freeze(["ok", "adjusted", "replaced"]);
export const PHOTOS_MAX = 96;
export const PHOTO_BYTES_MAX = 512 * 1024;
const BYTES_MAX = 24 * 1024;
const TAG = "minglou/challenge/1";
const MEMBERS = ["format", "pack", "class", "items", "photos", "challenge", "salt"];
const OPTIONAL = ["parts", "order", "meter", "calibration"];

/** The canonical bytes of a list that keeps to its pack; their SHA-256 is the `checklist` word of the record. */
export function encodeChecklist(list, pack) {
  const encoded = utf8(canonicalJson(list));
  parseChecklist(encoded, pack);
  return encoded;
}

/**
 * The list of its canonical bytes.
 * @param {object | null} pack that it should follow; without one only the form is checked.
 */
export function parseChecklist(encoded, pack = null) {
  refuseUnless(encoded.length <= BYTES_MAX, `it has ${encoded.length} bytes; ${BYTES_MAX} is the limit: shorten the notes`);
  const list = parseCanonicalJson(encoded);
  checkForm(list);
  if (pack) checkAgainst(list, pack);
  return list;
}

/**
 * The two items that need a fresh photograph, which nobody can know before the display showed its code.
 * @param {Uint8Array} token of the visit's first scan of the display, 8 bytes.
 * @returns {string[]} two codes, or all there are if the class has fewer.
 */
export function challengeItems(token, pack, visitClass) {
  refuseUnless(token.length === 8, "a token has 8 bytes");
  const codes = itemsOf(pack, visitClass).map(({ code }) => code);
  const tag = new Uint8Array(32);
  tag.set(utf8(TAG));
  const drawn = new DataView(sha256(concat(tag, token, pack.digest)).buffer);
  const turns = Math.min(2, codes.length);
  return Array.from({ length: turns }, (_, turn) => codes.splice(drawn.getUint32(4 * turn) % codes.length, 1)[0]);
}

function checkForm(list) {
  const fields = new Fields(list, "", MEMBERS, OPTIONAL);
  fields.choice("format", ["minglou-checklist/1"]);
  fields.octets("pack", 32);
  fields.octets("salt", 16);
  fields.choice("class", CLASSES);
  const photos = fields.eachWithin("photos", PHOTOS_MAX, "sha256", "dhash", "at", "bytes", "type").map(checkPhoto);
  refuseUnless(new Set(photos).size === photos.length, "a photograph stands twice");
  const codes = fields.list("items", 200).map((value, at) => {
    const tick = new Fields(value, `items[${at}]`, ["code", "result"], ["value", "photos", "note"]);
    return checkTickForm(tick, photos.length);
  });
  refuseUnless(new Set(codes).size === codes.length, "an item stands twice");
  const challenge = fields.list("challenge", 2);
  const isOurs = new Set(challenge).size === challenge.length && challenge.every((code) => codes.includes(code));
  refuseUnless(isOurs, "a challenged item stands twice, or is none of the list's");
  checkMore(fields);
}

function checkTickForm(tick, photoCount) {
  refuseUnless(/^[A-Z0-9][A-Z0-9.-]{0,15}$/.test(tick.text("code")), `${excerpt(tick.values.code)} is no item's code`);
  tick.choice("result", RESULTS);
  if (tick.has("value")) whole(tick, "value", -1e9, 1e9);
  if (tick.has("note")) checkText(tick, "note");
  if (tick.has("photos")) {
    const places = tick.list("photos", PHOTOS_MAX);
    const stands = (at) => Number.isInteger(at) && at >= 0 && at < photoCount;
    const isWhole = places.length > 0 && new Set(places).size === places.length && places.every(stands);
    refuseUnless(isWhole, `item ${tick.values.code} names a photograph twice, or one that is not there`);
  }
  return tick.values.code;
}

function checkPhoto(photo) {
  photo.octets("sha256", 32);
  photo.octets("dhash", 8);
  whole(photo, "at", 1, 2 ** 40 - 1);
  whole(photo, "bytes", 1, PHOTO_BYTES_MAX);
  photo.choice("type", ["image/jpeg", "image/webp"]);
  return photo.values.sha256;
}

function checkMore(fields) {
  if (fields.has("order")) fields.octets("order", 32);
  if (fields.has("parts")) {
    const parts = fields.eachWithin("parts", 20, "name", "count");
    refuseUnless(parts.length > 0, "parts stands there empty; leave it out");
    for (const part of parts) {
      checkText(part, "name");
      whole(part, "count", 1, 999);
    }
  }
  if (fields.has("calibration")) {
    const calibration = fields.within("calibration", "valid_until", "certificate");
    checkDate(calibration.text("valid_until"));
    calibration.octets("certificate", 32);
  }
  if (fields.has("meter")) checkMeter(fields.within("meter", "old", "new", "quantity", "closing", "opening", "date"));
}

function checkMeter(meter) {
  refuseUnless(!equalBytes(meter.octets("old", 32), meter.octets("new", 32)), "a meter cannot take its own place");
  checkObis(meter.text("quantity"));
  for (const name of ["closing", "opening"]) whole(meter, name, 0, Number.MAX_SAFE_INTEGER);
  checkDate(meter.text("date"));
}

function checkAgainst(list, pack) {
  const isOfPack = equalBytes(fromHex(list.pack, 32), pack.digest);
  refuseUnless(isOfPack, `it follows another pack than ${pack.name} as it stands here; fetch the pack again`);
  const items = itemsOf(pack, CLASSES.indexOf(list.class));
  const isWhole = list.items.length === items.length && list.items.every(({ code }, at) => code === items[at].code);
  refuseUnless(isWhole, `it does not hold each of the ${items.length} items of its class once, in their order`);
  for (const [at, item] of items.entries()) {
    const lack = lackOf(list.items[at], item);
    refuseUnless(!lack, `item ${item.code}: ${lack}`);
  }
}

/**
 * What keeps one item from being closed, as a word for pages: "photo", "value", "limit", "absent", or null.
 * @param {{result: string, value?: number, photos?: number[]}} tick
 */
export function lackOf(tick, item) {
  const photos = tick.photos ?? [];
  if (tick.result === "absent") return tick.value !== undefined || photos.length ? "absent" : null;
  if (!DONE.includes(tick.result)) return null;
  if (item.kind === "T" && !photos.length) return "photo";
  if (item.kind === "N" && tick.value === undefined) return "value";
  const isBeyond = item.limit && tick.value !== undefined && reachOf(item.limit, tick.value) === "beyond";
  return isBeyond ? "limit" : null;
}

function checkText(fields, name) {
  const length = [...fields.text(name)].length;
  refuseUnless(length > 0 && length <= 200, `${name} has ${length} characters; it has 1 to 200, or is left out`);
}

function whole(fields, name, least, most) {
  const number = fields.integer(name);
  refuseUnless(number >= least && number <= most, `${name} is ${number}; it lies from ${least} to ${most}`);
}

function refuseUnless(holds, reason) {
  if (!holds) throw new ContractsError(`list: ${reason}`);
}
