/**
 * The roll of those who may vote on one resolution: a sum tree with one leaf per head, as `contracts/roll.py` and
 * roll_tree.vy have it. Anyone recomputes it from the units that the Roll holds and compares the root with the posted one.
 */

import { ContractsError, concat, fromBigInt, utf8 } from "./bytes.js";
import { weight } from "./quorum.js";
import { sha256 } from "./sha256.js";

const AREA_END = 1n << 42n;
const TAG = new Uint8Array(32);
TAG.set(utf8("minglou/roll/1"));

const word = (value) => fromBigInt(BigInt(value), 32);

/** Indices of a head's units, four bytes each. */
export function packedUnits(units) {
  return concat(...units.map((index) => fromBigInt(BigInt(index), 4)));
}

/** A head's leaf as a node: its hash, and area << 64 | 1 as sums, or zero without area. */
export function leafNode(head, { area, units }) {
  if (area < 0n || area >= AREA_END) throw new ContractsError(`head ${head} has more area than a roll can hold`);
  const hash = sha256(concat(new Uint8Array([0]), TAG, word(head), word(area), sha256(packedUnits(units))));
  return { hash, sums: area === 0n ? 0n : (area << 64n) | 1n };
}

function joined(left, right) {
  const sums = left.sums + right.sums;
  const hash = sha256(concat(new Uint8Array([1]), left.hash, word(left.sums), right.hash, word(right.sums)));
  return { hash, sums };
}

/**
 * Leaves of all heads, in order.
 * @param {{index: number, area: bigint, head: number, building: number}[]} units the units that the Roll holds.
 * @param {number | null} building only this one's units, in a part-common matter.
 */
export function leavesOf(units, headCount, building = null) {
  const leaves = Array.from({ length: headCount }, () => ({ area: 0n, units: [] }));
  const seen = new Set();
  for (const unit of [...units].sort((left, right) => left.index - right.index)) {
    if (!(unit.head >= 0 && unit.head < headCount) || seen.has(unit.index)) {
      throw new ContractsError(`unit ${unit.index} of head ${unit.head} does not fit a roll of ${headCount} heads`);
    }
    seen.add(unit.index);
    if (building !== null && unit.building !== building) continue;
    leaves[unit.head].area += unit.area;
    leaves[unit.head].units.push(unit.index);
  }
  return leaves;
}

/** Root of the tree over these leaves: its hash and its sums. */
export function rollRoot(leaves) {
  if (leaves.length === 0) throw new ContractsError("a roll without heads has no root");
  let row = leaves.map((leaf, head) => leafNode(head, leaf));
  while (row.length > 1) {
    const above = [];
    for (let place = 0; place + 1 < row.length; place += 2) above.push(joined(row[place], row[place + 1]));
    // An odd node at the end moves up unchanged: the shape of RFC 9162, 2.1.1.
    if (row.length % 2 === 1) above.push(row[row.length - 1]);
    row = above;
  }
  return row[0];
}

/** All who may vote, from the sums of a root. */
export function weightOf(sums) {
  return weight(sums >> 64n, sums & ((1n << 64n) - 1n));
}
