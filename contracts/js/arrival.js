/**
 * An arrival: that a mechanic reached a machine where a work order waits, signed on the spot (contracts/arrival.py).
 * Objects are the file's own JSON.
 */

import { utf8 } from "./bytes.js";
import { canonicalJson } from "./json.js";
import { SLOT_S, VALID_S } from "./rotating.js";
import { sha256 } from "./sha256.js";

const FORMAT = "minglou-arrival/1";

/**
 * What is said; the file is this with `chain_id`, `contract` and `signature` beside it.
 * @param {{order: string, round: number, device: string, mechanic: string, scan: object, salt: string}} arrival hex; `scan`
 *        as a presence proof holds it, without `by`.
 */
export function saidOf({ order, round, device, mechanic, scan, salt }) {
  return { format: FORMAT, order, round, device, mechanic, scan, salt };
}

/** SHA-256 of the canonical JSON of what is said: the arrival's name. */
export function arrivalDigest(said) {
  return sha256(utf8(canonicalJson(said)));
}

/** When somebody came, Unix seconds: by the phone's clock, within the minute in which a display's code counts. */
export function arrivalAt({ scan: { at, slot } }) {
  return slot === undefined ? at : Math.min(Math.max(at, slot * SLOT_S), slot * SLOT_S + VALID_S);
}
