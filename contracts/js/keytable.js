/**
 * Tables of the keys by which a pool is shared: a sum tree over the units, as `contracts/key_table.py` and Charges.vy
 * have it. A unit's path also says the sum of all keys before its own.
 */

import { ContractsError, concat, equalBytes, fromBigInt, toBigInt, utf8 } from "./bytes.js";
import { sha256 } from "./sha256.js";
import { KEY } from "./tariff.js";
import { NotChecked } from "./verifier.js";

const TAG = new Uint8Array(32);
TAG.set(utf8("minglou/key/1"));
const word = (value) => fromBigInt(value, 32);

/** The table that holds for a line, by what the chain says of it: root, sum of the keys, number of units. */
export async function tableOf(chain, kind, { pool, period, line, key }) {
  return kind === KEY.VOLUME ? volumesOf(chain, pool, period, key) : rollTableOf(chain, pool, line);
}

async function rollTableOf(chain, pool, line) {
  const [first, last] = await Promise.all([chain.poolKeys(pool, line.from), chain.poolKeys(pool, line.to)]);
  const isSame = first.kind !== 0n && (last.validFrom === first.validFrom || last.validFrom === line.to);
  if (!isSame) throw new ContractsError("no table of keys holds over the line's days");
  return first;
}

/** The volumes of a period, of which the chain holds the digest alone. */
async function volumesOf(chain, pool, period, key) {
  const posted = await chain.volumes(pool, period);
  if (posted.every((byte) => byte === 0)) throw new ContractsError("no volumes were posted for the pool and period");
  if (!key || key.table.length === 0) throw new NotChecked("the table of volumes that shares the pool is not on this page");
  if (!equalBytes(sha256(key.table), posted)) throw new ContractsError("the volumes are not those that were posted");
  const [root, sum, count] = [1, 2, 3].map((place) => key.table.subarray(32 * place, 32 * place + 32));
  return { root, sum: toBigInt(sum), unitCount: toBigInt(count) };
}

/** The sum of the keys before a unit's, from its place in the table; refuses a key that does not stand there. */
export function keyInTable(unitIndex, { key, salt, path }, { root, sum, unitCount }) {
  let [position, last, before] = [unitIndex, unitCount - 1n, 0n];
  let node = { hash: sha256(concat(new Uint8Array([0]), TAG, word(unitIndex), word(key), salt)), sums: key };
  for (const sibling of path) {
    if (last === 0n) throw new ContractsError("the key's path is too long");
    if (position & 1n || position === last) {
      before += sibling.sums;
      node = joined(sibling, node);
      while (!(position & 1n) && position !== 0n) [position, last] = [position >> 1n, last >> 1n];
    } else {
      node = joined(node, sibling);
    }
    [position, last] = [position >> 1n, last >> 1n];
  }
  if (last !== 0n) throw new ContractsError("the key's path is too short");
  if (!equalBytes(node.hash, root) || node.sums !== sum) throw new ContractsError("the key is not in the table");
  return before;
}

function joined(left, right) {
  const parts = [new Uint8Array([1]), left.hash, word(left.sums), right.hash, word(right.sums)];
  return { hash: sha256(concat(...parts)), sums: left.sums + right.sums };
}
