/**
 * The owners' fund by the book: a household's account from what its purse was credited and spent, and the words that a
 * resolution passes before money moves (contracts/fund.py, ReserveFund.vy).
 *
 * Money is fen, areas are 0.01 m2, both bigint. Purse 0 is the whole site, else a building's number + 1.
 */

import { ContractsError, concat, fromBigInt, toBigInt, utf8 } from "./bytes.js";
import { sha256 } from "./sha256.js";

export const SITE_PURSE = 0n;
export const POT = Object.freeze({ FUND: 0n, INCOME: 1n });
const BASIS = 10_000n;

const word = (value) => fromBigInt(value, 32);

function text(value) {
  const padded = new Uint8Array(32);
  padded.set(utf8(value));
  return padded;
}

const least = (a, b) => (a < b ? a : b);

/** Telescoping share of a unit in a pool; nothing for one that joined the roll after the epoch. */
export function spanShare(pool, { before, area, total }) {
  if (total <= 0n) throw new ContractsError("nobody to share with: the epoch has no area");
  return (pool * least(before + area, total)) / total - (pool * least(before, total)) / total;
}

/**
 * A unit's account in one purse.
 * @param {{area: bigint, before: bigint, buildingPurse: bigint, beforeInBuilding: bigint}} place as `place(index)` says.
 * @param {{area: bigint, credited: bigint, spent: bigint}[]} epochs as `epoch(purse, n)` says.
 * @returns credited, spent and the balance, which is below zero where money was spent for a unit that did not pay.
 */
export function household(purse, place, epochs, deposited) {
  const isMember = purse === SITE_PURSE || purse === place.buildingPurse;
  const area = isMember ? place.area : 0n;
  const before = purse === SITE_PURSE ? place.before : place.beforeInBuilding;
  let [credited, spent] = [0n, 0n];
  for (const epoch of epochs) {
    credited += spanShare(epoch.credited, { before, area, total: epoch.area });
    spent += spanShare(epoch.spent, { before, area, total: epoch.area });
  }
  return { deposited, credited, spent, balance: deposited + credited - spent };
}

/** Fen of net income that go to the fund, rounded up. */
export function fundShareOfIncome(net, shareBp) {
  return (net * shareBp + BASIS - 1n) / BASIS;
}

// --- What a resolution passes: SHA-256 of these words stands with it ---

function payload(action, chainId, fund, ...words) {
  return concat(text(action), word(chainId), word(toBigInt(fund)), ...words);
}

/** A budget: who may be paid how much from which purse, until when. @param {{payee: Uint8Array, document: Uint8Array}} budget */
export function budgetPayload(chainId, fund, { purse, pot, amount, payee, isDrawn, until, document }) {
  const words = [word(purse), word(pot), word(amount), word(toBigInt(payee)), word(isDrawn ? 1n : 0n), word(until)];
  return payload("fund.budget", chainId, fund, ...words, document);
}

/** More called in from every unit: fen per m2. */
export function raisePayload(chainId, fund, { purse, rate, dueAt, document }) {
  return payload("fund.raise", chainId, fund, word(purse), word(rate), word(dueAt), document);
}

/** Income moved into the fund. */
export function movePayload(chainId, fund, { purse, amount, document }) {
  return payload("fund.move", chainId, fund, word(purse), word(amount), document);
}

/** Emergency spending that owners agree with. */
export function ratifyPayload(chainId, fund, { purse, number, amount }) {
  return payload("fund.ratify", chainId, fund, word(purse), word(number), word(amount));
}

/** What the Assembly keeps of a payload. */
export function payloadDigest(words) {
  return sha256(words);
}
