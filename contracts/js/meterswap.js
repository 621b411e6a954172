/**
 * A meter swap as its installer signed it, `minglou-meter-swap/1` (docs/formats.md), and the words that installer and
 * owner both sign: the same as contracts/meter_swap.py computes.
 */

import { concat, fromBigInt, fromHex } from "./bytes.js";
import { Fields } from "./fields.js";
import { parseJson } from "./json.js";
import { sha256 } from "./sha256.js";

const KEYS = ["format", "chain_id", "contract", "visit", "subject", "quantity", "date", "old", "new", "salt", "installer"];
const SIGNATURE_KEYS = ["key", "kind", "nonce", "deadline", "signature", "authenticator_data", "client_data"];
const OWN = 1n;
const DATE = /^(\d{4})-(\d{2})-(\d{2})$/;

const word = (value) => fromBigInt(BigInt(value), 32);

/** The swap of a file's text; the installer's signature is the contract's to verify. */
export function parseMeterSwap(text) {
  const fields = new Fields(parseJson(text), "", KEYS);
  fields.choice("format", ["minglou-meter-swap/1"]);
  const old = fields.within("old", "device", "from", "opening", "closing", "photo");
  const fresh = fields.within("new", "device", "opening", "photo");
  const installer = fields.within("installer", ...SIGNATURE_KEYS);
  return {
    chainId: BigInt(fields.text("chain_id")),
    contract: fromHex(fields.text("contract").slice(2), 20),
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
    installer: {
      publicKey: installer.octets("key", 64),
      nonce: BigInt(installer.text("nonce")),
      deadline: BigInt(installer.text("deadline")),
      signature: installer.octets("signature", 64),
    },
  };
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

function register(fields, name) {
  const value = fields.raw(name);
  if (!Number.isSafeInteger(value) || value < 0) throw fields.refusal(`${fields.at(name)} is no register`);
  return BigInt(value);
}

function dayNumber(fields, name) {
  const parts = DATE.exec(fields.text(name));
  if (!parts) throw fields.refusal(`${fields.at(name)} is no date such as 2026-11-24`);
  return BigInt(parts.slice(1).join(""));
}
