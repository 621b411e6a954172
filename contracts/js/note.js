/**
 * C2SP signed notes: a text, a blank line, and signature lines (c2sp.org/signed-note).
 *
 * Canonical parsing only: one spelling per note, so that two readers never see two texts.
 */

import { ContractsError, concat, equalBytes, excerpt, fromBase64, utf8 } from "./bytes.js";
import { sha256 } from "./sha256.js";

const NOTE_BYTES_MAX = 16384;
const SIGNATURES_MAX = 64;
export const TYPE_ED25519 = 0x01;
export const TYPE_ECDSA = 0x02;
export const TYPE_COSIGNATURE = 0x04;

/**
 * The text and signature lines of a note.
 * @returns {{text: string, signatures: {name: string, keyId: Uint8Array, signature: Uint8Array}[]}}
 */
export function parseNote(source) {
  if (typeof source !== "string" || utf8(source).length > NOTE_BYTES_MAX) {
    throw new ContractsError(`a note is a text of at most ${NOTE_BYTES_MAX} bytes`);
  }
  const split = source.lastIndexOf("\n\n");
  const lines = source.slice(split + 2);
  if (split < 1 || !lines.endsWith("\n")) {
    throw new ContractsError("the note is not a text, an empty line and signature lines, each ended by a newline");
  }
  const text = source.slice(0, split + 1);
  // eslint-disable-next-line no-control-regex
  if (/[\u0000-\u0009\u000b-\u001f]/.test(text)) throw new ContractsError("a note's text has no control characters");
  const signatureLines = lines.slice(0, -1).split("\n");
  if (signatureLines.length > SIGNATURES_MAX) throw new ContractsError("the note has too many signatures");
  return { text, signatures: signatureLines.map(parseSignatureLine) };
}

function parseSignatureLine(line) {
  const parts = line.split(" ");
  if (parts.length !== 3 || parts[0] !== "\u2014") throw new ContractsError(`not a signature line: ${excerpt(line)}`);
  // eslint-disable-next-line no-control-regex
  if (!parts[1] || /[\s+\u0000-\u001f\u0085]/u.test(parts[1])) throw new ContractsError("a key's name holds a space");
  const bytes = fromBase64(parts[2]);
  if (bytes.length < 5) throw new ContractsError(`the signature of ${parts[1]} is shorter than its key id`);
  return { name: parts[1], keyId: bytes.subarray(0, 4), signature: bytes.subarray(4) };
}

/** Key id of a note key: the first 4 bytes of SHA-256(name || 0x0A || type || public key). */
export function keyId(name, type, publicKey) {
  return sha256(concat(utf8(name), new Uint8Array([0x0a, type]), publicKey)).subarray(0, 4);
}

/** The signatures whose line carries this name and key id; others are unknown and mean nothing. */
export function signaturesBy(note, name, id) {
  return note.signatures.filter((line) => line.name === name && equalBytes(line.keyId, id)).map((l) => l.signature);
}
