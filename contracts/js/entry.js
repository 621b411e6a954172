/**
 * The entry: one fact as one gateway witnessed it, and its 224 bytes (DESIGN section 4).
 *
 * Seven 32-byte words, the Solidity ABI encoding of a static struct, so that this, Python and Vyper hash the
 * same bytes. What Python refuses is refused here.
 */

import { ContractsError, concat, excerpt, fromBigInt, isZero, toBigInt, utf8 } from "./bytes.js";

export const KIND = Object.freeze({ READING: 1, STATUS: 2, ACCESS: 3, VISIT: 4, GATEWAY: 5, BEACON: 6 });
const QUANTITY_BYTES_MAX = 32;
const VALUE_END = 1n << 63n;
const DOTTED = /^[a-z][a-z0-9_-]*(\.[a-z0-9_-]+)*$/;
const UNITS = {
  "1-0:1.8.0": "Wh", "1-0:1.8.1": "Wh", "1-0:1.8.2": "Wh", "1-0:1.8.3": "Wh", "1-0:1.8.4": "Wh", "1-0:2.8.0": "Wh",
  "1-0:1.7.0": "W", "1-0:32.7.0": "mV", "1-0:52.7.0": "mV", "1-0:72.7.0": "mV", "1-0:31.7.0": "mA",
  "1-0:51.7.0": "mA", "1-0:71.7.0": "mA", "6-0:1.0.0": "Wh", "7-0:3.0.0": "L", "8-0:1.0.0": "mL", "9-0:1.0.0": "mL",
};

/** Base unit of a reading's quantity, or null. */
export function unitOf(quantity) {
  return UNITS[quantity.split("*")[0]] ?? null;
}

/** Whether the detail word is a digest made elsewhere (a visit's, a block's), not that of detail bytes. */
export function hasRawDetail(kind) {
  return kind === KIND.VISIT || kind === KIND.BEACON;
}

/**
 * The 224 bytes of an entry.
 * @param {{kind: number, device: Uint8Array, observedAtMs: bigint, quantity: string, value: bigint,
 *          detailDigest: Uint8Array, salt: Uint8Array}} entry
 */
export function encodeEntry(entry) {
  checkEntry(entry);
  return concat(
    fromBigInt(BigInt(entry.kind), 32),
    entry.device,
    fromBigInt(entry.observedAtMs, 32),
    padRight(utf8(entry.quantity)),
    fromBigInt(entry.value, 32),
    entry.detailDigest,
    padRight(entry.salt),
  );
}

function padRight(bytes) {
  const word = new Uint8Array(32);
  word.set(bytes);
  return word;
}

/** The entry that 224 bytes are the canonical encoding of; every other spelling is refused. */
export function decodeEntry(encoded) {
  if (encoded.length !== 224) throw new ContractsError(`an entry has 224 bytes, not ${encoded.length}`);
  const word = (number) => encoded.subarray(32 * number, 32 * number + 32);
  const unsigned = toBigInt(word(4));
  const entry = {
    kind: Number(toBigInt(word(0))),
    device: word(1),
    observedAtMs: toBigInt(word(2)),
    quantity: String.fromCharCode(...word(3).subarray(0, word(3).findLastIndex((byte) => byte !== 0) + 1)),
    value: unsigned >> 255n ? unsigned - (1n << 256n) : unsigned,
    detailDigest: word(5),
    salt: word(6).subarray(0, 16),
  };
  if (!isZero(word(6).subarray(16))) throw new ContractsError("a padding byte is not zero; an entry has one encoding");
  checkEntry(entry);
  return entry;
}

/** Refuses an entry that Python's `Entry` refuses. */
export function checkEntry({ kind, device, observedAtMs, quantity, value, detailDigest, salt }) {
  if (device.length !== 32 || detailDigest.length !== 32 || salt.length !== 16) {
    throw new ContractsError("device, detail digest and salt must have 32, 32 and 16 bytes");
  }
  checkQuantity(kind, quantity);
  if (observedAtMs < 0n || observedAtMs >= 1n << 53n) {
    throw new ContractsError(`observed_at ${observedAtMs} ms is not within 0 to 2^53 - 1`);
  }
  if (value <= -VALUE_END || value >= VALUE_END) throw new ContractsError(`value ${value} does not fit 63 bits`);
  if (kind === KIND.ACCESS && value !== 1n) throw new ContractsError(`an access entry's value is 1, not ${value}`);
  if (kind === KIND.VISIT && (value < 0n || value > 4n)) {
    throw new ContractsError(`a visit entry's value is its corroboration level 0 to 4, not ${value}`);
  }
  if (kind === KIND.BEACON && value < 0n) throw new ContractsError("a beacon entry's value is a block number");
  if (hasRawDetail(kind) && isZero(detailDigest)) {
    throw new ContractsError("a visit or beacon entry carries a digest in its detail word; it cannot be zero");
  }
}

/** Refuses a quantity that an entry of this kind may not carry. */
export function checkQuantity(kind, quantity) {
  if (!Number.isInteger(kind) || kind < 1 || kind > 6) {
    throw new ContractsError(`kind ${kind} is not one of 1 to 6; a newer format needs a newer checker`);
  }
  if (quantity.length < 1 || quantity.length > QUANTITY_BYTES_MAX || !/^[!-@[-~]+$/.test(quantity)) {
    throw new ContractsError(`quantity ${excerpt(quantity)} is not 1 to 32 lower-case printable characters`);
  }
  if (kind === KIND.READING) checkReadingQuantity(quantity);
  else if (kind === KIND.BEACON) refuseUnless(/^block:[1-9][0-9]*$/.test(quantity), quantity, "block:<chain id>");
  else if (kind === KIND.VISIT) refuseUnless(quantity === "visit", quantity, "visit");
  else refuseUnless(DOTTED.test(quantity), quantity, "a dotted name such as lift.mode");
  if (kind === KIND.ACCESS) refuseUnless(quantity.startsWith("access."), quantity, "access.…");
}

function refuseUnless(holds, quantity, wanted) {
  if (!holds) throw new ContractsError(`quantity ${excerpt(quantity)}: this kind of entry carries ${wanted}`);
}

function checkReadingQuantity(quantity) {
  const star = quantity.indexOf("*");
  const obis = star < 0 ? quantity : quantity.slice(0, star);
  const groups = /^(\d{1,3})-(\d{1,3}):(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(obis);
  const canonical = groups?.slice(1).every((group) => String(Number(group)) === group && Number(group) <= 255);
  refuseUnless(canonical, quantity, "an OBIS code without its F field, such as 1-0:1.8.0");
  if (star >= 0) refuseUnless(isCalendarDay(quantity.slice(star + 1)), quantity, "a boundary date such as 20261201");
}

/** Whether the text is a day of the calendar such as 20261201. */
export function isCalendarDay(text) {
  if (!/^[1-9]\d{7}$/.test(text)) return false;
  const [year, month, day] = [text.slice(0, 4), text.slice(4, 6), text.slice(6)].map(Number);
  const date = new Date(Date.UTC(year, month - 1, day));
  return date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
}
