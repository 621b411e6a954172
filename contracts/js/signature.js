/** One person's key and signature, as files hold them (contracts/signed_visit.py). */

import { ContractsError } from "./bytes.js";

export const SIGNATURE_KEYS = Object.freeze(["key", "kind", "nonce", "deadline", "signature", "authenticator_data", "client_data"]);
const BYTES_MAX = Object.freeze({ authenticator_data: 256, client_data: 512 });

/**
 * The signature of an object with `SIGNATURE_KEYS`; whether it holds is not looked at.
 * @param {import("./fields.js").Fields} fields
 * @returns {{publicKey: Uint8Array, kind: string, nonce: bigint, deadline: bigint, signature: Uint8Array}}
 */
export function signatureOf(fields) {
  for (const [name, most] of Object.entries(BYTES_MAX)) {
    const { length } = fields.text(name);
    if (length > 2 * most) throw new ContractsError(`${fields.at(name)} is longer than ${most} bytes`);
    fields.octets(name, length / 2);
  }
  return {
    publicKey: fields.octets("key", 64),
    kind: fields.choice("kind", ["passkey", "software"]),
    nonce: fields.decimal("nonce", 1n << 48n),
    deadline: fields.decimal("deadline", 1n << 64n),
    signature: fields.octets("signature", 64),
  };
}
