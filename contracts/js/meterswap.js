/**
 * A meter swap as its installer signs it, `minglou-meter-swap/1` (docs/formats.md), and the words that installer and
 * owner both sign: the same as contracts/meter_swap.py computes. What Python refuses is refused here.
 */

import { ContractsError, concat, fromBigInt } from "./bytes.js";
import { checkDate } from "./dates.js";
import { Fields } from "./fields.js";
import { canonicalJson, parseJson } from "./json.js";
import { checkObis } from "./quantities.js";
import { sha256 } from "./sha256.js";
import { SIGNATURE_KEYS, signatureOf } from "./signature.js";

const FORMAT = "minglou-meter-swap/1";
const LENGTH_MAX = 8 * 1024;
const MEMBERS = ["format", "chain_id", "contract", "visit", "subject", "quantity", "date", "old", "new", "salt"];
const OWN = 1n;
const WORD_END = 1n << 64n;

const word = (value) => fromBigInt(BigInt(value), 32);

/** The swap of a file's text; the installer's signature is the contract's to verify. */
export function parseMeterSwap(text) {
  const fields = readable(text, [...MEMBERS, "installer"]);
  return { ...swapOf(fields), installer: signatureOf(fields.within("installer", ...SIGNATURE_KEYS)) };
}

/** The same before its installer has signed: all that the signature covers. */
export const parseUnsignedSwap = (text) => swapOf(readable(text, MEMBERS));

/**
 * The text of a swap that waits for its installer's signature.
 * @param {{chainId: string, contract: string, visit: string, subject: string, from: string, opening: number, salt: string,
 *          meter: {old: string, new: string, quantity: string, closing: number, opening: number, date: string},
 *          closingPhoto: string, openingPhoto: string}} swap texts of hex; `meter` as the visit's list notes it; `from`
 *        and `opening` of the old meter's binding.
 */
export function unsignedSwapText({ chainId, contract, visit, subject, from, opening, salt, meter, closingPhoto, openingPhoto }) {
  const text = canonicalJson({
    format: FORMAT,
    chain_id: chainId,
    contract,
    visit,
    subject,
    quantity: meter.quantity,
    date: meter.date,
    old: { device: meter.old, from, opening, closing: meter.closing, photo: closingPhoto },
    new: { device: meter.new, opening: meter.opening, photo: openingPhoto },
    salt,
  });
  parseUnsignedSwap(text);
  return text;
}

/** The file's canonical text, with the installer's signature as files hold one. */
export function signedSwapText(unsigned, installer) {
  const text = canonicalJson({ ...parseJson(unsigned), installer });
  parseMeterSwap(text);
  return text;
}

/** ABI body of `binding.swap`: subject, old and new device, day, closing and opening commitment. */
export function swapBody(swap) {
  return concat(swap.subject, swap.old.device, swap.fresh.device, word(swap.day), ...commitments(swap));
}

function commitments({ subject, old, fresh, day, salt }) {
  return [
    binding(old.device, subject, old.from, day, old.opening, old.closing, old.photo, salt),
    binding(fresh.device, subject, day, 0n, fresh.opening, 0n, fresh.photo, salt),
  ];
}

function binding(device, subject, from, to, opening, closing, photo, salt) {
  return sha256(concat(device, subject, word(OWN), word(from), word(to), word(opening), word(closing), photo, salt));
}

function readable(text, members) {
  if (text.length > LENGTH_MAX) throw new ContractsError(`meter swap has ${text.length} characters; ${LENGTH_MAX} is the limit`);
  const fields = new Fields(parseJson(text), "", members);
  fields.choice("format", [FORMAT]);
  return fields;
}

function swapOf(fields) {
  const old = fields.within("old", "device", "from", "opening", "closing", "photo");
  const fresh = fields.within("new", "device", "opening", "photo");
  checkObis(fields.text("quantity"));
  const swap = {
    chainId: fields.decimal("chain_id", WORD_END, 1n),
    contract: fields.octets("contract", 20, "0x"),
    visit: fields.octets("visit", 32),
    subject: fields.octets("subject", 32),
    quantity: fields.text("quantity"),
    day: dayNumber(fields, "date"),
    old: {
      device: old.octets("device", 32),
      from: dayNumber(old, "from"),
      opening: register(old, "opening"),
      closing: register(old, "closing"),
      photo: old.octets("photo", 32),
    },
    fresh: { device: fresh.octets("device", 32), opening: register(fresh, "opening"), photo: fresh.octets("photo", 32) },
    salt: fields.octets("salt", 32),
  };
  const isOther = old.text("device") !== fresh.text("device") && swap.old.from < swap.day;
  if (!isOther) throw fields.refusal("a meter takes another one's place, on a day after that one began to count");
  return swap;
}

function register(fields, name) {
  const value = fields.raw(name);
  if (!Number.isSafeInteger(value) || value < 0) throw fields.refusal(`${fields.at(name)} is no register`);
  return BigInt(value);
}

function dayNumber(fields, name) {
  const text = fields.text(name);
  checkDate(text);
  return BigInt(text.replaceAll("-", ""));
}
