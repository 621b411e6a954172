/**
 * The short form of trust roots that hangs on the notice board: 80 bits of the SHA-256 of their canonical JSON, as four
 * groups of four letters and digits, to compare by eye. The same as `Trust.fingerprint` in `contracts/trust.py`.
 */

import { toHex, utf8 } from "./bytes.js";
import { canonicalJson } from "./json.js";
import { sha256 } from "./sha256.js";
import { parseTrust } from "./trust.js";

const LETTERS = "abcdefghijklmnopqrstuvwxyz234567";

/** The short form of the roots in a trust file; throws ContractsError where it is none. */
export function fingerprintOf(source) {
  const roots = parseTrust(source);
  const address = (bytes) => `0x${toHex(bytes)}`;
  const fields = {
    format: "minglou-trust/1",
    chain_id: String(roots.chainId),
    registry: address(roots.registry),
    anchor_log: address(roots.anchorLog),
    usage_fees: address(roots.usageFees),
    super_log: { origin: roots.superLogOrigin, key: toHex(roots.superLogKey) },
    witness_policy: {
      quorum: roots.policy.quorum,
      witnesses: roots.policy.witnesses.map(({ name, publicKey }) => ({ name, key: toHex(publicKey) })),
    },
  };
  const digest = BigInt(`0x${toHex(sha256(utf8(canonicalJson(fields))).subarray(0, 10))}`);
  let letters = "";
  for (let bits = 75n; bits >= 0n; bits -= 5n) letters += LETTERS[Number((digest >> bits) & 31n)];
  return letters.match(/.{4}/g).join("-");
}
