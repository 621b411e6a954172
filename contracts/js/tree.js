/**
 * RFC 9162 Merkle trees: leaf and node hashes, and the verification of inclusion and consistency paths.
 *
 * Sizes are bounded and a path has exactly one length for its position, so that one leaf has one place: a
 * verifier without these checks accepts leaf 2 of 4 at index 6, 10 and 1002.
 */

import { ContractsError, concat, equalBytes } from "./bytes.js";
import { sha256 } from "./sha256.js";

export const SIZE_END = 1n << 48n;
const LEAF = new Uint8Array([0]);
const NODE = new Uint8Array([1]);

export function leafHash(leaf) {
  return sha256(concat(LEAF, leaf));
}

export function nodeHash(left, right) {
  return sha256(concat(NODE, left, right));
}

function checkSize(size) {
  if (size < 1n || size >= SIZE_END) throw new ContractsError(`tree size ${size} is not within 1 to 2^48 - 1`);
}

/**
 * Refuses unless the leaf stands at `index` of the tree of `size` leaves with this root (RFC 9162, 2.1.3.2).
 * @param {Uint8Array} hash the leaf's hash.
 * @param {bigint} index from 0.
 * @param {bigint} size
 * @param {Uint8Array[]} path sibling hashes from the leaf upwards.
 * @param {Uint8Array} root
 */
export function verifyInclusion(hash, index, size, path, root) {
  checkSize(size);
  if (index < 0n || index >= size) throw new ContractsError(`index ${index} lies beyond the tree's size ${size}`);
  let position = index;
  let last = size - 1n;
  let node = hash;
  for (const sibling of path) {
    if (last === 0n) throw new ContractsError(`the path of index ${index} in size ${size} is too long`);
    if (position & 1n || position === last) {
      node = nodeHash(sibling, node);
      while (!(position & 1n) && position !== 0n) {
        position >>= 1n;
        last >>= 1n;
      }
    } else {
      node = nodeHash(node, sibling);
    }
    position >>= 1n;
    last >>= 1n;
  }
  if (last !== 0n) throw new ContractsError(`the path of index ${index} in size ${size} is too short`);
  if (!equalBytes(node, root)) throw new ContractsError("the path does not lead to the root");
}

/**
 * Refuses unless the tree of `size` begins with exactly the tree of `oldSize` (RFC 9162, 2.1.4.2).
 * Equal sizes need equal roots and an empty path.
 */
export function verifyConsistency(oldSize, oldRoot, size, root, path) {
  checkSize(oldSize);
  checkSize(size);
  if (oldSize > size) throw new ContractsError(`a tree of ${size} cannot extend one of ${oldSize}`);
  if (oldSize === size) {
    if (path.length || !equalBytes(oldRoot, root)) throw new ContractsError("two roots for one size: the log forked");
    return;
  }
  const nodes = (oldSize & (oldSize - 1n)) === 0n ? [oldRoot, ...path] : path;
  if (nodes.length === 0) throw new ContractsError("the consistency path is too short");
  let position = oldSize - 1n;
  let last = size - 1n;
  while (position & 1n) {
    position >>= 1n;
    last >>= 1n;
  }
  let [before, after] = [nodes[0], nodes[0]];
  for (const sibling of nodes.slice(1)) {
    if (last === 0n) throw new ContractsError("the consistency path is too long");
    if (position & 1n || position === last) {
      before = nodeHash(sibling, before);
      after = nodeHash(sibling, after);
      while (!(position & 1n) && position !== 0n) {
        position >>= 1n;
        last >>= 1n;
      }
    } else {
      after = nodeHash(after, sibling);
    }
    position >>= 1n;
    last >>= 1n;
  }
  if (last !== 0n) throw new ContractsError("the consistency path is too short");
  if (!equalBytes(before, oldRoot) || !equalBytes(after, root)) {
    throw new ContractsError("the consistency path does not join the two roots");
  }
}
