/**
 * The presence proof: which codes each of a visit's people scanned at the device, when and how (contracts/presence.py).
 * Objects are the file's own JSON.
 */

import { ContractsError, equalBytes, fromHex, isZero, utf8 } from "./bytes.js";
import { Fields } from "./fields.js";
import { canonicalJson, parseCanonicalJson } from "./json.js";
import { PLACES } from "./label.js";
import { tokenBytes } from "./rotating.js";

export const WAYS = Object.freeze(["camera", "photo", "typed"]);
const BYTES_MAX = 4096;
const SCANS_MAX = 16;
const TOLERANCE_S = 600;

/** The canonical bytes of a proof; their SHA-256 is the `presence` word of the record. */
export function encodePresence(presence) {
  const encoded = utf8(canonicalJson(presence));
  parsePresence(encoded);
  return encoded;
}

/** The proof of its canonical bytes; no token is judged here. */
export function parsePresence(encoded) {
  refuseUnless(encoded.length <= BYTES_MAX, `it has ${encoded.length} bytes; ${BYTES_MAX} is the limit`);
  const presence = parseCanonicalJson(encoded);
  const fields = new Fields(presence, "", ["format", "device", "salt", "scans", "phones"], ["nonce", "inside"]);
  fields.choice("format", ["minglou-presence/1"]);
  fields.octets("device", 32);
  fields.octets("salt", 16);
  fields.list("scans", SCANS_MAX).forEach((value, at) => checkScan(value, `scans[${at}]`));
  const phones = fields.eachWithin("phones", 3, "by", "id", "number", "previous").map(checkPhone);
  refuseUnless(new Set(phones).size === phones.length, "one person signs with two phones");
  if (fields.has("inside")) fields.boolean("inside");
  if (fields.has("nonce")) {
    const nonce = fields.within("nonce", "value", "at");
    nonce.octets("value", 16);
    checkTime(nonce);
  }
  return presence;
}

/** The token that draws the challenge: of the first scan of a display by somebody who came, as text; null without one. */
export function firstToken(presence) {
  return presence.scans.find(({ sense, token }) => sense === "in" && token !== undefined)?.token ?? null;
}

/** Refuses a proof that is not of this visit (contracts/js/visit.js). */
export function checkOfVisit(presence, visit) {
  const signers = visit.mechanics.length + (isZero(visit.manager) ? 0 : 1);
  refuseUnless(equalBytes(fromHex(presence.device, 32), visit.device), "it is of another device than the visit");
  refuseUnless([...presence.scans, ...presence.phones].every(({ by }) => by < signers), "it names a signer beyond the record's");
  const times = [...presence.scans, ...(presence.nonce ? [presence.nonce] : [])].map(({ at }) => at);
  const isInTime = (at) => at >= visit.startedAtS - TOLERANCE_S && at <= visit.endedAtS + TOLERANCE_S;
  refuseUnless(times.every(isInTime), `a scan lies over ${TOLERANCE_S} s outside the visit; check the phone's clock`);
}

function checkScan(value, place) {
  const scan = new Fields(value, place, ["by", "sense", "place", "way", "at"], ["label", "slot", "token"]);
  checkBy(scan);
  checkTime(scan);
  scan.choice("sense", ["in", "out"]);
  scan.choice("way", WAYS);
  const isDisplay = scan.choice("place", PLACES) === "display";
  refuseUnless(scan.has("slot") === scan.has("token"), "a display's scan has both slot and token");
  const isOne = scan.has("slot") === isDisplay && scan.has("label") !== isDisplay;
  refuseUnless(isOne, "a display's scan has its moment, any other its label's digest");
  if (!isDisplay) return scan.octets("label", 32);
  refuseUnless(scan.integer("slot") > 0 && scan.values.slot < 32 ** 7, "its slot is none of ours");
  return tokenBytes(scan.text("token"));
}

function checkPhone(phone) {
  checkBy(phone);
  phone.octets("id", 16);
  phone.octets("previous", 32);
  refuseUnless(phone.integer("number") > 0 && phone.values.number < 2 ** 32, "a phone's visit number is none from 1 on");
  return phone.values.by;
}

function checkBy(fields) {
  refuseUnless([0, 1, 2].includes(fields.integer("by")), "a signer is none of three");
}

function checkTime(fields) {
  refuseUnless(fields.integer("at") > 0 && fields.values.at < 2 ** 40, "a time is none; check the phone's clock");
}

function refuseUnless(holds, reason) {
  if (!holds) throw new ContractsError(`presence: ${reason}`);
}
