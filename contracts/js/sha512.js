/**
 * SHA-512, synchronous, by BigInt: only Ed25519 needs it, for one short message a signature.
 *
 * The constants are derived, not copied: the first 64 bits of the fractional parts of the cube roots
 * (rounds) and square roots (start) of the first primes (FIPS 180-4, sections 4.2.3 and 5.3.5).
 */

import { fromBigInt } from "./bytes.js";

const MASK = (1n << 64n) - 1n;
let constants = null; // derived when first needed, for pages with WebCrypto never do

const rotate = (word, bits) => ((word >> bits) | (word << (64n - bits))) & MASK;

/** The 64-byte SHA-512 digest of `message`. */
export function sha512(message) {
  constants ??= derive();
  const padded = pad(message);
  const view = new DataView(padded.buffer);
  let state = constants.start;
  for (let offset = 0; offset < padded.length; offset += 128) {
    const round = compress(state, expand(view, offset));
    state = state.map((word, i) => (word + round[i]) & MASK);
  }
  const digest = new Uint8Array(64);
  state.forEach((word, i) => digest.set(fromBigInt(word, 8), 8 * i));
  return digest;
}

function pad(message) {
  const padded = new Uint8Array((Math.floor((message.length + 16) / 128) + 1) * 128);
  padded.set(message);
  padded[message.length] = 0x80;
  new DataView(padded.buffer).setBigUint64(padded.length - 8, BigInt(message.length) * 8n);
  return padded;
}

function expand(view, offset) {
  const w = [];
  for (let t = 0; t < 16; t += 1) w.push(view.getBigUint64(offset + 8 * t));
  for (let t = 16; t < 80; t += 1) {
    const sigma0 = rotate(w[t - 15], 1n) ^ rotate(w[t - 15], 8n) ^ (w[t - 15] >> 7n);
    const sigma1 = rotate(w[t - 2], 19n) ^ rotate(w[t - 2], 61n) ^ (w[t - 2] >> 6n);
    w.push((w[t - 16] + sigma0 + w[t - 7] + sigma1) & MASK);
  }
  return w;
}

function compress(state, w) {
  let [a, b, c, d, e, f, g, h] = state;
  for (let t = 0; t < 80; t += 1) {
    const choice = (e & f) ^ (~e & MASK & g);
    const first = (h + (rotate(e, 14n) ^ rotate(e, 18n) ^ rotate(e, 41n)) + choice + constants.k[t] + w[t]) & MASK;
    const majority = (a & b) ^ (a & c) ^ (b & c);
    const second = ((rotate(a, 28n) ^ rotate(a, 34n) ^ rotate(a, 39n)) + majority) & MASK;
    [h, g, f, e, d, c, b, a] = [g, f, e, (d + first) & MASK, c, b, a, (first + second) & MASK];
  }
  return [a, b, c, d, e, f, g, h];
}

function derive() {
  const primes = firstPrimes(80);
  return {
    k: primes.map((prime) => root(prime << 192n, 3n) & MASK),
    start: primes.slice(0, 8).map((prime) => root(prime << 128n, 2n) & MASK),
  };
}

function firstPrimes(count) {
  const primes = [];
  for (let candidate = 2n; primes.length < count; candidate += 1n) {
    if (primes.every((prime) => candidate % prime !== 0n)) primes.push(candidate);
  }
  return primes;
}

/** The integer part of the `degree`-th root of `value`. */
function root(value, degree) {
  let low = 0n;
  let high = 1n << BigInt(Math.ceil(value.toString(2).length / Number(degree)) + 1);
  while (high - low > 1n) {
    const middle = (low + high) >> 1n;
    if (middle ** degree <= value) low = middle;
    else high = middle;
  }
  return low;
}
