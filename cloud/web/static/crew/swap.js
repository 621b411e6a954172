/**
 * A meter swap within a visit: which items of the list ask for what, and from what was read the two things that are
 * signed: `meter` of the list, and the swap for Bindings.
 */

import { toHex } from "../verifier/bytes.js";
import { DONE } from "../verifier/checklist.js";
import { unsignedSwapText } from "../verifier/meterswap.js";
import { registerItems } from "../verifier/pack.js";
import { dayAfter } from "./clock.js";

/**
 * The items of a list with the register that is read at them, where this visit can swap its meter.
 * @param {object[]} items of the pack.
 * @param {object | null} swap as the visit remembers it of its device.
 */
export function withRegisters(items, pack, swap) {
  const asked = swap && registerItems(pack);
  if (!asked) return items;
  const { quantity, step, opening, spares } = swap;
  const registers = {
    [asked.closing]: { end: "closing", quantity, step, least: opening, spares: [] },
    [asked.opening]: { end: "opening", quantity, step, least: 0, spares },
  };
  return items.map((item) => (registers[item.code] ? { ...item, register: registers[item.code] } : item));
}

/** The last digit of the display that an item is about: the new meter's is known once it is chosen. */
export function stepOf({ spares, step }, fresh) {
  return spares.find((one) => one.device === fresh)?.step ?? step;
}

/** What keeps a register's item open: `register`, `register_low` or `fresh` (no new meter chosen); null where nothing does. */
export function registerLack({ register }, said) {
  if (!register || !DONE.includes(said.result)) return null;
  if (register.end === "opening" && !said.fresh) return "fresh";
  if (!Number.isSafeInteger(said.register)) return "register";
  return said.register < register.least ? "register_low" : null;
}

/** The day from which on a new meter counts: the one after the visit's end, by the site's calendar. */
export const countsFrom = ({ timezone }, endedAtS) => dayAfter(endedAtS * 1000, timezone);

/** `meter` of the filled list; null where the visit swaps none, or what was found wrong left a register unread. */
export function meterOf(visit, items) {
  const { swap, hash } = visit.device;
  const said = saidOf(visit, items);
  if (!said) return null;
  return {
    old: hash, new: said.opening.fresh, quantity: swap.quantity, closing: said.closing.register,
    opening: said.opening.register, date: countsFrom(swap, visit.endedAtS),
  };
}

/** What was said of both registers' items; null unless both are in order. */
function saidOf(visit, items) {
  const found = {};
  for (const item of items) if (item.register) found[item.register.end] = { item, ...visit.answers[item.code] };
  const { closing, opening } = found;
  const isRead = (one) => one && DONE.includes(one.result) && !registerLack(one.item, one);
  return isRead(closing) && isRead(opening) ? { closing, opening } : null;
}

/**
 * The swap for Bindings beside a record, without its installer's signature.
 * @param {{visit: object, items: object[], meter: object, digest: string, chainId: string, salt: string}} of `digest` names
 *        the visit's record; `salt` is 64 hex digits.
 */
export function swapBeside({ visit, items, meter, digest, chainId, salt }) {
  const { subject, from, opening, contract } = visit.device.swap;
  const said = saidOf(visit, items);
  const [closingPhoto, openingPhoto] = [said.closing, said.opening].map(({ photos }) => photos[0].sha256);
  return unsignedSwapText({ chainId, contract, visit: digest, subject, from, opening, salt, meter, closingPhoto, openingPhoto });
}

/** Whether a swap says what the list of its visit says. */
export function isNoted(swap, { meter, photos }) {
  const named = photos.map(({ sha256 }) => sha256);
  return (
    Boolean(meter) && toHex(swap.old.device) === meter.old && toHex(swap.fresh.device) === meter.new && swap.quantity === meter.quantity &&
    swap.day === BigInt(meter.date.replaceAll("-", "")) &&
    swap.old.closing === BigInt(meter.closing) && swap.fresh.opening === BigInt(meter.opening) &&
    [swap.old.photo, swap.fresh.photo].every((photo) => named.includes(toHex(photo)))
  );
}
