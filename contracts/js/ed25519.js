/**
 * Ed25519 verification (RFC 8032, section 5.1.7) for the super-log's notes and witnesses' cosignatures.
 *
 * WebCrypto is used where it knows the algorithm; else BigInt. Both refuse s >= L; points must be canonical.
 */

import { concat, equalBytes, fromBigInt, toBigInt } from "./bytes.js";
import { sha512 } from "./sha512.js";

const P = 2n ** 255n - 19n;
const L = 2n ** 252n + 27742317777372353535851937790883648493n;
const D = 37095705934669439343138083508754565189542113879843219016388785533085940283555n;
const SQRT_MINUS_ONE = 19681161376707505956807079304988542015446066515923890162744021073123829784752n;

const mod = (value) => {
  const rest = value % P;
  return rest < 0n ? rest + P : rest;
};
const BASE_Y = fromBigInt(0x6666666666666666666666666666666666666666666666666666666666666658n, 32).reverse();
let base = null; // the base point, once it is needed: pages with WebCrypto never do

/**
 * Whether `signature` (64 bytes) is `publicKey`'s (32 bytes) over `message`.
 * @returns {Promise<boolean>}
 */
export async function verify(publicKey, message, signature) {
  if (publicKey.length !== 32 || signature.length !== 64) return false;
  if (!hasCanonicalForm(publicKey, signature)) return false;
  const subtle = globalThis.crypto?.subtle;
  if (!subtle) return verifyByBigInt(publicKey, message, signature);
  let key;
  try {
    key = await subtle.importKey("raw", publicKey, { name: "Ed25519" }, false, ["verify"]);
  } catch {
    return verifyByBigInt(publicKey, message, signature); // a browser older than its Ed25519
  }
  return subtle.verify({ name: "Ed25519" }, key, signature, message);
}

/** Whether key and s are written in their one way; what else makes them invalid, either verification finds. */
function hasCanonicalForm(publicKey, signature) {
  const y = littleEndian(publicKey) & ((1n << 255n) - 1n);
  return y < P && littleEndian(signature.subarray(32)) < L;
}

/** The same answer without WebCrypto: encode(s*B - k*A) must be R. */
export function verifyByBigInt(publicKey, message, signature) {
  if (publicKey.length !== 32 || signature.length !== 64 || !hasCanonicalForm(publicKey, signature)) return false;
  const a = decompress(publicKey);
  if (!a) return false;
  base ??= decompress(BASE_Y);
  const s = littleEndian(signature.subarray(32));
  const r = signature.subarray(0, 32);
  const k = littleEndian(sha512(concat(r, publicKey, message))) % L;
  const minusA = { x: mod(-a.x), y: a.y, z: 1n, t: mod(-a.t) };
  return equalBytes(compress(doubleMultiply(s, base, k, minusA)), r);
}

function littleEndian(bytes) {
  return toBigInt(Uint8Array.from(bytes).reverse());
}

function power(base, exponent) {
  let result = 1n;
  let square = mod(base);
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = (result * square) % P;
    square = (square * square) % P;
  }
  return result;
}

/** The point that 32 bytes encode, or null (RFC 8032, section 5.1.3). */
function decompress(bytes) {
  const whole = littleEndian(bytes);
  const y = whole & ((1n << 255n) - 1n);
  const odd = whole >> 255n;
  if (y >= P) return null;
  const u = mod(y * y - 1n);
  const v = mod(D * y * y + 1n);
  let x = mod(u * v ** 3n) * power(u * v ** 7n, (P - 5n) / 8n) % P;
  const check = mod(v * x * x);
  if (check === mod(-u)) x = (x * SQRT_MINUS_ONE) % P;
  else if (check !== u) return null;
  if (x === 0n && odd === 1n) return null;
  if ((x & 1n) !== odd) x = P - x;
  return { x, y, z: 1n, t: mod(x * y) };
}

function compress({ x, y, z }) {
  const inverse = power(z, P - 2n);
  const affineX = mod(x * inverse);
  return fromBigInt(mod(y * inverse) | ((affineX & 1n) << 255n), 32).reverse();
}

/** Addition in extended coordinates; complete, so that it doubles too (RFC 8032, section 5.1.4). */
function add(left, right) {
  const a = mod((left.y - left.x) * (right.y - right.x));
  const b = mod((left.y + left.x) * (right.y + right.x));
  const c = mod(2n * left.t * right.t * D);
  const d = mod(2n * left.z * right.z);
  const [e, f, g, h] = [b - a, d - c, d + c, b + a];
  return { x: mod(e * f), y: mod(g * h), z: mod(f * g), t: mod(e * h) };
}

function doubleMultiply(s, first, k, point) {
  const both = add(first, point);
  let sum = { x: 0n, y: 1n, z: 1n, t: 0n };
  for (let bit = 252n; bit >= 0n; bit -= 1n) {
    sum = add(sum, sum);
    const choice = ((s >> bit) & 1n) * 2n + ((k >> bit) & 1n);
    if (choice === 3n) sum = add(sum, both);
    else if (choice === 2n) sum = add(sum, first);
    else if (choice === 1n) sum = add(sum, point);
  }
  return sum;
}
