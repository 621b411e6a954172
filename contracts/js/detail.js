/**
 * Detail bytes: what an entry says beyond its seven words, as canonical JSON with its own 16-byte salt.
 */

import { ContractsError, utf8 } from "./bytes.js";
import { canonicalJson, parseCanonicalJson } from "./json.js";

const DETAIL_BYTES_MAX = 4096;

/** The bytes of a detail object that a file carries. */
export function encodeDetail(detail) {
  const encoded = utf8(canonicalJson(detail));
  checkDetail(detail, encoded.length);
  return encoded;
}

/** The object of detail bytes; any other spelling of it is refused. */
export function decodeDetail(encoded) {
  if (encoded.length > DETAIL_BYTES_MAX) throw new ContractsError(`detail has ${encoded.length} bytes; too many`);
  const detail = parseCanonicalJson(encoded);
  checkDetail(detail, encoded.length);
  return detail;
}

function checkDetail(detail, length) {
  if (length > DETAIL_BYTES_MAX) throw new ContractsError(`detail has ${length} bytes; ${DETAIL_BYTES_MAX} is the limit`);
  if (detail === null || typeof detail !== "object" || Array.isArray(detail)) {
    throw new ContractsError("detail is not a JSON object");
  }
  if (typeof detail.salt !== "string" || !/^[0-9a-f]{32}$/.test(detail.salt)) {
    throw new ContractsError("detail has no salt of 16 bytes in lower-case hex");
  }
}
