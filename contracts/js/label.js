/**
 * Labels: the codes that stick on devices, as people type them and as cameras read them (contracts/label.py).
 */

import { ContractsError, concat, excerpt, utf8 } from "./bytes.js";
import { parseRotating } from "./rotating.js";
import { sha256 } from "./sha256.js";

export const PLACES = Object.freeze(["car", "machine-room", "display", "housing"]);
const CODE = /^[0-9a-hjkmnp-tv-z]{12}$/;
const LINK = /^(https?:\/\/[a-z0-9.-]{1,128}(?::[0-9]{1,5})?)\/d\/([^/?#]{1,64})(?:#([^\n]{0,64}))?$/;
const LINK_LENGTH_MAX = 200;
const TAG = "minglou/label/1";

/** The code that a person typed: in any case, with spaces and hyphens, i and l for 1, o for 0. */
export function parseLabelCode(typed) {
  const read = typed.toLowerCase().replace(/[ -]/g, "").replace(/[il]/g, "1").replace(/o/g, "0");
  if (typed.length > 64 || !CODE.test(read)) {
    throw new ContractsError(`label: ${excerpt(typed)} is no code; it has 12 letters and digits as printed below the picture`);
  }
  return read;
}

/** The code as it stands below the picture: `4k7m-q2xd-90bz`. */
export function printedLabel(code) {
  return `${code.slice(0, 4)}-${code.slice(4, 8)}-${code.slice(8)}`;
}

/** What the chain and a presence proof know a label by: 32 bytes. */
export function labelDigest(code) {
  if (!CODE.test(code)) throw new ContractsError(`label: ${excerpt(code)} is not a code in its one spelling`);
  const tag = new Uint8Array(32);
  tag.set(utf8(TAG));
  return sha256(concat(tag, utf8(code)));
}

/**
 * What a camera read: the link of a label, or of a display with its moment.
 * @returns {{base: string, code: string, rotating: {slot: number, token: string} | null}}
 */
export function parseLabelLink(text) {
  const match = text.length <= LINK_LENGTH_MAX ? LINK.exec(text) : null;
  if (!match) throw new ContractsError(`label: ${excerpt(text)} is no label's link; scan the code on the device`);
  return { base: match[1], code: parseLabelCode(match[2]), rotating: match[3] ? parseRotating(match[3]) : null };
}
