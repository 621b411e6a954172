/**
 * The visit record: who did which maintenance at which device and when, as its crew signs it and its gateway logs it.
 *
 * Eleven 32-byte words, the Solidity ABI encoding of a static struct; its SHA-256 is the detail word of the gateway's
 * visit entry and the body digest of every signature under the visit. What Python refuses is refused here.
 */

import { ContractsError, concat, equalBytes, fromBigInt, isZero, toBigInt, toHex } from "./bytes.js";
import { Fields } from "./fields.js";
import { parseJson } from "./json.js";
import { sha256 } from "./sha256.js";

export const FORMAT = "minglou-visit/1";
export const CLASSES = Object.freeze(["repair", "half-month", "quarter", "half-year", "year"]);
export const VISIT = "visit";
export const COUNTERSIGN_VISIT = "visit.countersign";
const VISIT_BYTES = 352;
const TIME_END_S = 2 ** 40;
const SECONDS_MAX = 86_400;
const FILE_LENGTH_MAX = 4096;
const NOBODY = new Uint8Array(32);
const MEMBERS = [
  "format", "device", "plan", "class", "checklist", "started_at", "ended_at", "presence", "mechanics", "manager", "salt",
];

/**
 * The 352 bytes of a visit.
 * @param {{device: Uint8Array, plan: Uint8Array, visitClass: number, checklist: Uint8Array, startedAtS: number,
 *          endedAtS: number, presence: Uint8Array, mechanics: Uint8Array[], manager: Uint8Array, salt: Uint8Array}} visit
 *        one or two mechanics in the order of their signatures; presence and manager zero if there is none; salt 16 bytes.
 */
export function encodeVisit(visit) {
  checkVisit(visit);
  const number = (value) => fromBigInt(BigInt(value), 32);
  const salt = new Uint8Array(32);
  salt.set(visit.salt);
  return concat(
    visit.device, visit.plan, number(visit.visitClass), visit.checklist, number(visit.startedAtS), number(visit.endedAtS),
    visit.presence, visit.mechanics[0], visit.mechanics[1] ?? NOBODY, visit.manager, salt,
  );
}

/** SHA-256 of the record: the visit's name. */
export function visitDigest(visit) {
  return sha256(encodeVisit(visit));
}

/** The visit that 352 bytes are the canonical encoding of; every other spelling is refused. */
export function decodeVisit(encoded) {
  if (encoded.length !== VISIT_BYTES) throw new ContractsError(`a visit has ${VISIT_BYTES} bytes, not ${encoded.length}`);
  const word = (number) => encoded.slice(32 * number, 32 * number + 32);
  const small = (number) => {
    const value = toBigInt(word(number));
    return value < BigInt(TIME_END_S) ? Number(value) : TIME_END_S;
  };
  if (!isZero(word(10).subarray(16))) throw new ContractsError("visit: the salt's last 16 bytes are not zero");
  const visit = {
    device: word(0),
    plan: word(1),
    visitClass: small(2),
    checklist: word(3),
    startedAtS: small(4),
    endedAtS: small(5),
    presence: word(6),
    mechanics: isZero(word(8)) ? [word(7)] : [word(7), word(8)],
    manager: word(9),
    salt: word(10).slice(0, 16),
  };
  checkVisit(visit);
  return visit;
}

/** The visit of a JSON text, laid out as people like. */
export function parseVisit(source) {
  if (source.length > FILE_LENGTH_MAX) throw new ContractsError(`visit file has over ${FILE_LENGTH_MAX} bytes`);
  const fields = new Fields(parseJson(source), "", MEMBERS);
  fields.choice("format", [FORMAT]);
  const visit = {
    device: fields.octets("device", 32),
    plan: fields.octets("plan", 32),
    visitClass: CLASSES.indexOf(fields.choice("class", CLASSES)),
    checklist: fields.octets("checklist", 32),
    startedAtS: fields.integer("started_at"),
    endedAtS: fields.integer("ended_at"),
    presence: fields.octets("presence", 32),
    mechanics: fields.octetsList("mechanics", 32, 2),
    manager: fields.octets("manager", 32),
    salt: fields.octets("salt", 16),
  };
  checkVisit(visit);
  return visit;
}

/** The JSON object of a visit, as files and messages hold it. */
export function visitToJson(visit) {
  checkVisit(visit);
  return {
    format: FORMAT,
    device: toHex(visit.device),
    plan: toHex(visit.plan),
    class: CLASSES[visit.visitClass],
    checklist: toHex(visit.checklist),
    started_at: visit.startedAtS,
    ended_at: visit.endedAtS,
    presence: toHex(visit.presence),
    mechanics: visit.mechanics.map(toHex),
    manager: toHex(visit.manager),
    salt: toHex(visit.salt),
  };
}

/** Refuses a visit that Python's `Visit` refuses. */
export function checkVisit(visit) {
  const words = [visit.device, visit.plan, visit.checklist, visit.presence, visit.manager, ...visit.mechanics];
  refuseUnless(words.every((word) => word.length === 32) && visit.salt.length === 16, "a digest, alias or salt is too short or long");
  refuseUnless(Number.isInteger(visit.visitClass) && CLASSES[visit.visitClass] !== undefined, "class is not one of 0 to 4");
  refuseUnless(![visit.device, visit.plan, visit.checklist].some(isZero), "device, plan and checklist are never zero");
  const { startedAtS, endedAtS } = visit;
  refuseUnless(Number.isInteger(startedAtS) && Number.isInteger(endedAtS), "its times are no whole seconds");
  refuseUnless(0 < startedAtS && startedAtS <= endedAtS && endedAtS < TIME_END_S, "its times are no stretch of time");
  refuseUnless(endedAtS - startedAtS <= SECONDS_MAX, `it lasts over ${SECONDS_MAX} s`);
  const people = [...visit.mechanics, visit.manager];
  refuseUnless([1, 2].includes(visit.mechanics.length) && !visit.mechanics.some(isZero), "it names one or two mechanics");
  const stands = (alias, at) => people.findIndex((other) => equalBytes(other, alias)) === at;
  refuseUnless(people.every(stands), "one person stands twice");
}

function refuseUnless(holds, reason) {
  if (!holds) throw new ContractsError(`visit: ${reason}`);
}
