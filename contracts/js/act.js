/**
 * A signed act as a file, `minglou-act/1` (docs/formats.md): what was signed here, for anyone to bring to the chain.
 *
 * Written, never read: `minglou chain submit` reads it. The same act gives the same bytes as in Python.
 */

import { linesDigest } from "./bill.js";
import { toBigInt, toHex, utf8 } from "./bytes.js";

const FORMAT = "minglou-act/1";
const DATE_END = 100000000n;

/**
 * The text of the file.
 * @param {{chainId: bigint, contract: string, address: Uint8Array, function: string, arguments: object}} act contract
 *        by its name; arguments by the names and in the order of the contract's ABI: bigints, byte arrays, texts,
 *        booleans, lists and objects of these.
 */
export function formatAct(act) {
  const whole = {
    format: FORMAT,
    chain_id: String(act.chainId),
    contract: { name: act.contract, address: `0x${toHex(act.address)}` },
    function: act.function,
    arguments: plain(act.arguments),
  };
  return `${JSON.stringify(whole, null, 1)}\n`;
}

/** A person's signature, r || s, as contracts take it; a passkey's with its own data. */
export function personSignature({ keyId, nonce, deadline, signature, authenticatorData = new Uint8Array(), clientData = new Uint8Array() }) {
  return {
    key_id: keyId,
    nonce,
    deadline,
    r: toBigInt(signature.subarray(0, 32)),
    s: toBigInt(signature.subarray(32, 64)),
    authenticator_data: authenticatorData,
    client_data: clientData,
  };
}

/**
 * Arguments of `Challenges.open_challenge` for one line of a bill.
 * @param {object} bill as `parseBill` gives it.
 * @param {bigint} number the line's place.
 * @param {object} signature from `personSignature`.
 */
export function challengeArguments({ bill, number, signature }) {
  return {
    period: bill.period,
    unit_index: bill.unitIndex,
    bill: { amounts: lanes(bill.amounts), lines_digest: linesDigest(bill.lines), salt: bill.salt },
    path: bill.path.map((node) => ({ hash: node.hash, sums: lanes(node.sums) })),
    lines: bill.lines.map((line) => ({
      kind: BigInt(line.kind),
      subject: line.subject,
      quantity: padded(line.quantity),
      tariff: line.tariff,
      since: line.since,
      span: line.from * DATE_END + line.to,
      usage: line.usage,
      amount: line.amount,
    })),
    number,
    signature,
  };
}

const lanes = ({ total, own, shared, other }) => (total << 192n) | (own << 128n) | (shared << 64n) | other;

function padded(text) {
  const word = new Uint8Array(32);
  word.set(utf8(text));
  return word;
}

function plain(value) {
  if (value instanceof Uint8Array) return toHex(value);
  if (typeof value === "bigint") return String(value);
  if (typeof value === "boolean" || typeof value === "string") return value;
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value === "object" && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, plain(inner)]));
  }
  throw new TypeError(`an act holds no ${typeof value}; numbers are bigints`);
}
