/**
 * The owners' double count, as `contracts/quorum.py` and Assembly.vy have it: what passes, in whole numbers (Civil Code
 * art. 278). Areas in 0.01 m² and heads are counted apart, and every condition holds for both. No claim of legal force.
 */

import { ContractsError } from "./bytes.js";

export const CHOICE = Object.freeze({ IN_FAVOUR: 1, AGAINST: 2, ABSTAIN: 3 });
export const MEANS = Object.freeze({ PASSKEY: 0, SOFTWARE: 1, PROXY: 2, PAPER: 3 });
const RAISED_MATTERS = [6, 7, 8];
const LANE_BITS = 42n;
const LANE_END = 1n << LANE_BITS;
const NAMES = ["inFavour", "against", "abstained"];

/** Area (0.01 m²) and heads, both BigInt. */
export function weight(area = 0n, heads = 0n) {
  return { area, heads };
}

export function addWeights(left, right) {
  return weight(left.area + right.area, left.heads + right.heads);
}

const less = (left, right) => weight(left.area - right.area, left.heads - right.heads);
const leads = (left, right) => left.area > right.area && left.heads > right.heads;

/** What was said, by choice. */
export function tally({ inFavour = weight(), against = weight(), abstained = weight() } = {}) {
  return { inFavour, against, abstained };
}

export function addTallies(left, right) {
  return Object.fromEntries(NAMES.map((name) => [name, addWeights(left[name], right[name])]));
}

/** Everybody who said something. */
export function participants(said) {
  return NAMES.map((name) => said[name]).reduce(addWeights);
}

/** The tally in a word of Assembly: six lanes of 42 bits from the right, areas first, then heads. */
export function tallyOf(word) {
  const lane = (place) => (word >> (LANE_BITS * BigInt(place))) & (LANE_END - 1n);
  return tally(Object.fromEntries(NAMES.map((name, place) => [name, weight(lane(place), lane(place + 3))])));
}

/**
 * Whether the ballots carry a resolution.
 * @param {number} matter 1 to 9, in the order of art. 278; it alone picks the threshold.
 * @param {{area: bigint, heads: bigint}} roll all who may vote.
 */
export function passes(matter, roll, said) {
  if (!Number.isInteger(matter) || matter < 1 || matter > 9) {
    throw new ContractsError(`art. 278 has matters 1 to 9, not ${matter}`);
  }
  const part = participants(said);
  if (part.area > roll.area || part.heads > roll.heads) throw new ContractsError("more took part than the roll holds");
  return ["area", "heads"].every((by) => carries(matter, roll[by], part[by], said.inFavour[by]));
}

function carries(matter, total, part, inFavour) {
  if (3n * part < 2n * total) return false;
  return RAISED_MATTERS.includes(matter) ? 4n * inFavour >= 3n * part : 2n * inFavour > part;
}

/** The tally where non-voters follow the side that leads by area and by heads, if one does. */
export function following(roll, said) {
  const silent = less(roll, participants(said));
  if (leads(said.inFavour, said.against)) return addTallies(said, tally({ inFavour: silent }));
  if (leads(said.against, said.inFavour)) return addTallies(said, tally({ against: silent }));
  return said;
}
