/**
 * An arrival: that a mechanic reached a machine where a work order waits, signed on the spot (contracts/arrival.py).
 * Objects are the file's own JSON.
 */

import { concat, fromHex, utf8 } from "./bytes.js";
import { canonicalJson } from "./json.js";
import { sha256 } from "./sha256.js";

const FORMAT = "minglou-arrival/1";
export const ARRIVE = "work.arrive";

/**
 * What is said; the file is this with `chain_id`, `contract` and `signature` beside it.
 * @param {{order: string, device: string, mechanic: string, scan: object, salt: string}} arrival hex; `scan` as a presence
 *        proof holds it, without `by`.
 */
export function saidOf({ order, device, mechanic, scan, salt }) {
  return { format: FORMAT, order, device, mechanic, scan, salt };
}

/** SHA-256 of the canonical JSON of what is said: the arrival's name. */
export function arrivalDigest(said) {
  return sha256(utf8(canonicalJson(said)));
}

/** ABI body of what is signed, for `personDigest`. */
export function arrivalBody(said) {
  return concat(fromHex(said.order, 32), fromHex(said.device, 32), arrivalDigest(said));
}
