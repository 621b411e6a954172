/**
 * People's signatures: the digest is computed in the page, from what the page shows (DESIGN section 4).
 *
 * Person digest = SHA-256(tag32 || chain id || contract || purpose32 || key id || nonce || deadline || SHA-256(ABI body)).
 * A software key signs the 32 digest bytes with ECDSA-SHA256.
 */

import { concat, fromBigInt, toBigInt, utf8 } from "./bytes.js";
import { sha256 } from "./sha256.js";

const TAG = "minglou/person/1";
export const CHALLENGE = "fees.challenge";
/** Installer and owner of a unit: one meter takes another's place. */
export const SWAP_METER = "binding.swap";
/** A new key of somebody who serves the building signs its alias; no contract takes it. */
export const ENROL_KEY = "crew.enrol";

const word = (value) => fromBigInt(value, 32);

function text(value) {
  const padded = new Uint8Array(32);
  padded.set(utf8(value));
  return padded;
}

/** Key id of a public key x || y. */
export function keyIdOf(publicKey) {
  return sha256(publicKey);
}

/**
 * The 32 bytes that a person signs.
 * @param {{chainId: bigint, contract: Uint8Array, purpose: string, keyId: Uint8Array, nonce: bigint, deadline: bigint,
 *          body: Uint8Array}} action contract 20 bytes; deadline in unix seconds; body the ABI words of the action.
 */
export function personDigest({ chainId, contract, purpose, keyId, nonce, deadline, body }) {
  return sha256(
    concat(
      text(TAG), word(chainId), word(toBigInt(contract)), text(purpose), keyId, word(nonce), word(deadline), sha256(body),
    ),
  );
}

/** ABI body of a challenge of one bill line. */
export function challengeBody({ period, unitIndex, line, linesDigest }) {
  return concat(word(period), word(unitIndex), word(line), linesDigest);
}

export const VOTE = "vote.cast";
export const SEAL = "vote.seal";
export const PROXY = "vote.proxy";
export const PROPOSE = "vote.propose";

/** ABI body of a ballot: the resolution's digest and the choice; of a proxy: the digest and holder + 1, or 0 to revoke it. */
export function ballotBody({ resolution, says }) {
  return concat(resolution, word(BigInt(says)));
}

/** What a sealed ballot's owner signs beside the resolution's digest; it is opened by choice and salt after the close. */
export function commitment({ resolution, keyId, choice, salt }) {
  return sha256(concat(resolution, keyId, word(BigInt(choice)), salt));
}
