/**
 * Checkpoints: (origin, size, root) of one log in the C2SP tlog-checkpoint text form.
 */

import { ContractsError, equalBytes, excerpt, fromBase64, toBase64, toHex, utf8 } from "./bytes.js";
import { fromDer, spki, verify } from "./p256.js";
import { sha256 } from "./sha256.js";
import { SIZE_END } from "./tree.js";
import { parseNote } from "./note.js";

const LOG_ORIGIN = /^[a-z0-9.-]+(\/[a-z0-9-]+){2}\/e(0|[1-9][0-9]*)$/;
const SUPER_ORIGIN = /^[a-z0-9.-]+\/log$/;

/** Whether this names a gateway's log: HOST/SITE/GATEWAY/eN, at most 64 bytes. */
export function isLogOrigin(origin) {
  return typeof origin === "string" && origin.length <= 64 && LOG_ORIGIN.test(origin);
}

/** Whether this names a deployment's super-log: HOST/log, at most 64 bytes. */
export function isSuperOrigin(origin) {
  return typeof origin === "string" && origin.length <= 64 && SUPER_ORIGIN.test(origin);
}

/** The body `origin\nsize\nbase64(root)\n`. */
export function checkpointBody({ origin, size, root }) {
  return `${origin}\n${size}\n${toBase64(root)}\n`;
}

/** Origin, size and root of a note's text; extension lines and other spellings are refused. */
export function parseCheckpointBody(text) {
  const lines = text.split("\n");
  if (lines.length !== 4 || lines[3] !== "") throw new ContractsError("a checkpoint has exactly three lines");
  const [origin, size] = lines;
  if (!isLogOrigin(origin) && !isSuperOrigin(origin)) {
    throw new ContractsError(`origin ${excerpt(origin)} is neither HOST/SITE/GATEWAY/eN nor HOST/log in lower case`);
  }
  if (!/^[1-9][0-9]{0,14}$/.test(size) || BigInt(size) >= SIZE_END) {
    throw new ContractsError(`checkpoint size ${excerpt(size)} is not a decimal from 1 to 2^48 - 1`);
  }
  const root = fromBase64(lines[2]);
  if (root.length !== 32) throw new ContractsError("a checkpoint's root has 32 bytes");
  return { origin, size: BigInt(size), root };
}

/** What a checkpoint note says, its signature not verified. */
export function parseCheckpoint(note) {
  return parseCheckpointBody(parseNote(note).text);
}

/**
 * A gateway's checkpoint, its one signature verified.
 * @param {string} source the note.
 * @param {Uint8Array} publicKey x || y of the gateway's key.
 * @returns {Promise<{origin: string, size: bigint, root: Uint8Array, body: Uint8Array, signature: Uint8Array}>}
 */
export async function openCheckpoint(source, publicKey) {
  const note = parseNote(source);
  const checkpoint = parseCheckpointBody(note.text);
  if (!isLogOrigin(checkpoint.origin)) throw new ContractsError(`${checkpoint.origin} is not a gateway's log`);
  if (note.signatures.length !== 1) {
    throw new ContractsError(`the checkpoint has ${note.signatures.length} signatures instead of 1`);
  }
  const [line] = note.signatures;
  if (line.name !== checkpoint.origin) throw new ContractsError(`the checkpoint is signed in the name of ${line.name}`);
  if (!equalBytes(line.keyId, sha256(spki(publicKey)).subarray(0, 4))) {
    throw new ContractsError(`the checkpoint is signed by another key (id ${toHex(line.keyId)}) than the one named`);
  }
  const signature = fromDer(line.signature);
  const body = utf8(note.text);
  if (!(await verify(publicKey, body, signature))) {
    throw new ContractsError("this key did not sign this checkpoint: text, signature or key was changed");
  }
  return { ...checkpoint, body, signature };
}
