/**
 * The super-log: one deployment's append-only tree of all its gateways' checkpoints, signed with Ed25519 and
 * cosigned by witnesses (C2SP tlog-checkpoint, tlog-cosignature).
 */

import { ContractsError, concat, toBigInt, utf8 } from "./bytes.js";
import { isSuperOrigin, parseCheckpointBody } from "./checkpoint.js";
import { verify } from "./ed25519.js";
import { TYPE_COSIGNATURE, TYPE_ED25519, keyId, parseNote, signaturesBy } from "./note.js";

/** Leaf data of a gateway's checkpoint: its body, then r || s. */
export function superlogLeaf({ body, signature }) {
  return concat(body, signature);
}

function parse(source) {
  const note = parseNote(source);
  const checkpoint = parseCheckpointBody(note.text);
  if (!isSuperOrigin(checkpoint.origin)) throw new ContractsError(`${checkpoint.origin} is a gateway's log, not a super-log`);
  return { note, checkpoint };
}

/** What a super-log's note says, not verified. */
export function parseSuperlog(source) {
  return parse(source).checkpoint;
}

/** The checkpoint of a super-log's note, its signature verified. Lines of unknown keys are ignored, as C2SP asks. */
export async function openSuperlog(source, origin, publicKey) {
  const { note, checkpoint } = parse(source);
  if (checkpoint.origin !== origin) throw new ContractsError(`this is a checkpoint of ${checkpoint.origin}, not of ${origin}`);
  const signatures = signaturesBy(note, origin, keyId(origin, TYPE_ED25519, publicKey));
  if (!signatures.length) throw new ContractsError(`checkpoint of ${origin} is not signed by the key that you trust`);
  for (const signature of signatures) {
    if (!(await verify(publicKey, utf8(note.text), signature))) {
      throw new ContractsError(`the super-log's key did not sign this checkpoint of ${origin}`);
    }
  }
  return checkpoint;
}

/** How many of a policy's witnesses cosigned; a line that says it is a known witness's and is not, is refused. */
export async function verifyCosignatures(source, policy) {
  const { note } = parse(source);
  let found = 0;
  for (const witness of policy.witnesses) {
    const id = keyId(witness.name, TYPE_COSIGNATURE, witness.publicKey);
    const lines = signaturesBy(note, witness.name, id);
    for (const line of lines) await verifyCosignature(note.text, witness, line);
    if (lines.length) found += 1;
  }
  return found;
}

async function verifyCosignature(text, witness, line) {
  const signedAt = toBigInt(line.subarray(0, 8));
  const signed = utf8(`cosignature/v1\ntime ${signedAt}\n${text}`);
  const isWellFormed = line.length === 72 && signedAt > 0n && signedAt < 1n << 63n;
  if (!isWellFormed || !(await verify(witness.publicKey, signed, line.subarray(8)))) {
    throw new ContractsError(`the cosignature of ${witness.name} is not that witness's`);
  }
}
