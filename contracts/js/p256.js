/**
 * ECDSA over P-256 with SHA-256: gateways' checkpoints and owners' keys.
 *
 * WebCrypto does the curve where the page has it; on plain http pages of the building's network, and on
 * old phones, the BigInt version below does, and answers the same (the tests run both over the same vectors).
 * Verifying needs no secrets, so the BigInt version need not run in constant time.
 */

import { ContractsError, concat, equalBytes, fromBigInt, fromHex, toBigInt } from "./bytes.js";
import { sha256 } from "./sha256.js";

export const P = 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n;
export const N = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
const B = 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn;
const G = {
  x: 0x6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296n,
  y: 0x4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5n,
  z: 1n,
};
const INFINITY = { x: 1n, y: 1n, z: 0n };
const SPKI_PREFIX = fromHex("3059301306072a8648ce3d020106082a8648ce3d03010703420004", 27);

const mod = (value, modulus) => {
  const rest = value % modulus;
  return rest < 0n ? rest + modulus : rest;
};

/** DER SubjectPublicKeyInfo (91 bytes) of a 64-byte public key x || y. */
export function spki(publicKey) {
  return concat(SPKI_PREFIX, publicKey);
}

/** Whether the 64 bytes x || y are a point of the curve. */
export function isPublicKey(publicKey) {
  if (publicKey.length !== 64) return false;
  const x = toBigInt(publicKey.subarray(0, 32));
  const y = toBigInt(publicKey.subarray(32));
  return x < P && y < P && mod(y * y - (x * x * x - 3n * x + B), P) === 0n;
}

/** Whether s is in the lower half, as everything of ours that is signed must be. */
export function isLowS(signature) {
  return toBigInt(signature.subarray(32)) <= N >> 1n;
}

/** r || s with s brought into the lower half (WebCrypto and passkeys give either). */
export function normalised(signature) {
  const s = toBigInt(signature.subarray(32));
  return s <= N >> 1n ? signature : concat(signature.subarray(0, 32), fromBigInt(N - s, 32));
}

/**
 * Whether `signature` (r || s, 64 bytes, low s) is `publicKey`'s over SHA-256(message).
 * @returns {Promise<boolean>}
 */
export async function verify(publicKey, message, signature) {
  if (!isPublicKey(publicKey) || signature.length !== 64 || !isLowS(signature)) return false;
  const subtle = globalThis.crypto?.subtle;
  if (!subtle) return verifyByBigInt(publicKey, message, signature);
  const algorithm = { name: "ECDSA", namedCurve: "P-256" };
  const key = await subtle.importKey("raw", concat(new Uint8Array([4]), publicKey), algorithm, false, ["verify"]);
  return subtle.verify({ name: "ECDSA", hash: "SHA-256" }, key, signature, message);
}

/** The same answer without WebCrypto (FIPS 186-5, section 6.4.2). High s is refused as well. */
export function verifyByBigInt(publicKey, message, signature) {
  if (!isPublicKey(publicKey) || signature.length !== 64 || !isLowS(signature)) return false;
  const r = toBigInt(signature.subarray(0, 32));
  const s = toBigInt(signature.subarray(32));
  if (r === 0n || s === 0n || r >= N) return false;
  const w = invert(s, N);
  const u1 = mod(toBigInt(sha256(message)) * w, N);
  const u2 = mod(r * w, N);
  const q = { x: toBigInt(publicKey.subarray(0, 32)), y: toBigInt(publicKey.subarray(32)), z: 1n };
  const sum = doubleMultiply(u1, G, u2, q);
  if (sum.z === 0n) return false;
  const inverse = invert(sum.z, P);
  return mod(mod(sum.x * inverse * inverse, P), N) === r;
}

/** u1*g + u2*q by Shamir's trick: one chain of doublings for both. */
function doubleMultiply(u1, g, u2, q) {
  const both = add(g, q);
  let point = INFINITY;
  for (let bit = 255n; bit >= 0n; bit -= 1n) {
    point = double(point);
    const choice = ((u1 >> bit) & 1n) * 2n + ((u2 >> bit) & 1n);
    if (choice === 3n) point = add(point, both);
    else if (choice === 2n) point = add(point, g);
    else if (choice === 1n) point = add(point, q);
  }
  return point;
}

/** Doubling in Jacobian coordinates, a = -3. */
function double({ x, y, z }) {
  if (z === 0n || y === 0n) return INFINITY;
  const delta = (z * z) % P;
  const gamma = (y * y) % P;
  const beta = (x * gamma) % P;
  const alpha = mod(3n * (x - delta) * (x + delta), P);
  const x3 = mod(alpha * alpha - 8n * beta, P);
  const z3 = mod(2n * y * z, P);
  const y3 = mod(alpha * (4n * beta - x3) - 8n * gamma * gamma, P);
  return { x: x3, y: y3, z: z3 };
}

function add(left, right) {
  if (left.z === 0n) return right;
  if (right.z === 0n) return left;
  const z1z1 = (left.z * left.z) % P;
  const z2z2 = (right.z * right.z) % P;
  const u1 = (left.x * z2z2) % P;
  const u2 = (right.x * z1z1) % P;
  const s1 = (left.y * right.z * z2z2) % P;
  const s2 = (right.y * left.z * z1z1) % P;
  const h = mod(u2 - u1, P);
  const r = mod(s2 - s1, P);
  if (h === 0n) return r === 0n ? double(left) : INFINITY;
  const hh = (h * h) % P;
  const hhh = (h * hh) % P;
  const v = (u1 * hh) % P;
  const x3 = mod(r * r - hhh - 2n * v, P);
  return { x: x3, y: mod(r * (v - x3) - s1 * hhh, P), z: (h * left.z * right.z) % P };
}

function invert(value, modulus) {
  let [a, b, x, y] = [mod(value, modulus), modulus, 1n, 0n];
  while (b !== 0n) {
    const quotient = a / b;
    [a, b] = [b, a - quotient * b];
    [x, y] = [y, x - quotient * y];
  }
  if (a !== 1n) throw new ContractsError("a number without inverse; the key or signature is malformed");
  return mod(x, modulus);
}

/** The 64-byte public key of the private scalar `d` (32 bytes, 1 to n-1). */
export function publicKeyOf(scalar) {
  const d = toBigInt(scalar);
  if (scalar.length !== 32 || d === 0n || d >= N) throw new ContractsError("the letter's key is not a P-256 key");
  const point = doubleMultiply(d, G, 0n, INFINITY);
  const inverse = invert(point.z, P);
  const square = (inverse * inverse) % P;
  return concat(fromBigInt((point.x * square) % P, 32), fromBigInt((point.y * square * inverse) % P, 32));
}

/**
 * r || s of a strict DER signature: minimal lengths, no leading zeros, low s.
 * @param {Uint8Array} der at most 72 bytes.
 */
export function fromDer(der) {
  const raw = fromAnyDer(der);
  if (!isLowS(raw)) throw new ContractsError("the signature has a high s; only the low form is accepted");
  return raw;
}

/** The same of a signature with s in either half, as passkeys give it. */
export function fromAnyDer(der) {
  const [r, s, end] = derPair(der);
  const raw = concat(r, s);
  if (end !== der.length || !equalBytes(toDer(raw), der)) {
    throw new ContractsError("the signature's DER is not in its one canonical form");
  }
  return raw;
}

function derPair(der) {
  if (der.length < 8 || der.length > 72 || der[0] !== 0x30 || der[1] !== der.length - 2) {
    throw new ContractsError("the signature is not a DER sequence of two integers");
  }
  const [r, middle] = derInteger(der, 2);
  const [s, end] = derInteger(der, middle);
  return [r, s, end];
}

function derInteger(der, offset) {
  const length = der[offset + 1];
  const end = offset + 2 + length;
  if (der[offset] !== 0x02 || !(length >= 1 && length <= 33) || end > der.length || der[offset + 2] & 0x80) {
    throw new ContractsError("the signature's integers are malformed");
  }
  const value = toBigInt(der.subarray(offset + 2, end));
  if (value === 0n || value >= N) throw new ContractsError("the signature's integers are out of range");
  return [fromBigInt(value, 32), end];
}

/** Strict DER of r || s. */
export function toDer(raw) {
  const integer = (bytes) => {
    let start = 0;
    while (start < 31 && bytes[start] === 0) start += 1;
    const body = bytes[start] & 0x80 ? concat(new Uint8Array(1), bytes.subarray(start)) : bytes.subarray(start);
    return concat(new Uint8Array([2, body.length]), body);
  };
  const body = concat(integer(raw.subarray(0, 32)), integer(raw.subarray(32)));
  return concat(new Uint8Array([0x30, body.length]), body);
}
