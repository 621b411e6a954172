/**
 * What a display in the building shows: a slot of 30 seconds and its token (contracts/rotating.py). A page passes it on;
 * only the gateway, which shares the display's secret, can tell a right token from a guess.
 */

import { ContractsError, excerpt, fromBigInt } from "./bytes.js";

export const SLOT_S = 30;
/** So long a code counts, from the begin of its slot. */
export const VALID_S = 60;

const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";
const MOMENT = /^([0-9a-hjkmnp-tv-z]{7})-([0-9a-hjkmnp-tv-z]{13})$/;

/**
 * What stands behind the # of a display's link: `SSSSSSS-TTTTTTTTTTTTT`.
 * @returns {{slot: number, token: string}} slot in Unix seconds / 30; token as files hold it, 13 characters.
 */
export function parseRotating(text) {
  const match = MOMENT.exec(text);
  const slot = match ? Number(numberOf(match[1])) : 0;
  if (!slot) throw new ContractsError(`display: ${excerpt(text)} is not what a display shows; scan it again`);
  tokenBytes(match[2]);
  return { slot, token: match[2] };
}

/** The 8 bytes of a token's 13 characters. */
export function tokenBytes(token) {
  if (typeof token !== "string" || !/^[0-9a-hjkmnp-tv-z]{13}$/.test(token) || numberOf(token) >= 1n << 64n) {
    throw new ContractsError(`display: ${excerpt(token)} is no token`);
  }
  return fromBigInt(numberOf(token), 8);
}

function numberOf(text) {
  let number = 0n;
  for (const character of text) number = (number << 5n) | BigInt(ALPHABET.indexOf(character));
  return number;
}
