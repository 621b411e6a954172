/**
 * Bytes as text and back: hex, standard base64, big-endian numbers.
 *
 * Only the one canonical spelling of each value is accepted, as in the Python package: what we hash or
 * sign must not have two texts.
 */

/** A file, a signature or a number is not what it must be. The message says what and what to do. */
export class ContractsError extends Error {
  constructor(message) {
    super(message);
    this.name = "ContractsError";
  }
}

const HEX = Array.from({ length: 256 }, (_, value) => value.toString(16).padStart(2, "0"));
const BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const utf8Encoder = new TextEncoder();

/** Lower-case hex of `bytes`, without a prefix. */
export function toHex(bytes) {
  let text = "";
  for (const byte of bytes) text += HEX[byte];
  return text;
}

/**
 * Bytes of a lower-case hex text.
 * @param {string} text hex digits, lower case, without 0x.
 * @param {number} length bytes wanted.
 */
export function fromHex(text, length) {
  if (typeof text !== "string" || text.length !== 2 * length || !/^[0-9a-f]*$/.test(text)) {
    throw new ContractsError(`expected ${length} bytes as lower-case hex, got ${excerpt(text)}`);
  }
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i += 1) bytes[i] = parseInt(text.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}

/** Bytes of 0x-prefixed lower- or mixed-case hex, as chains and addresses spell it. */
export function fromChainHex(text, length) {
  if (typeof text !== "string" || !/^0x[0-9a-fA-F]*$/.test(text) || text.length !== 2 + 2 * length) {
    throw new ContractsError(`expected 0x and ${length} bytes in hex, got ${excerpt(text)}`);
  }
  return fromHex(text.slice(2).toLowerCase(), length);
}

/** Standard base64 with padding. */
export function toBase64(bytes) {
  let text = "";
  for (let i = 0; i < bytes.length; i += 3) {
    const rest = bytes.length - i;
    const word = (bytes[i] << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0);
    text += BASE64[word >> 18] + BASE64[(word >> 12) & 63];
    text += (rest > 1 ? BASE64[(word >> 6) & 63] : "=") + (rest > 2 ? BASE64[word & 63] : "=");
  }
  return text;
}

/** Bytes of padded standard base64; any other spelling of the same bytes is refused. */
export function fromBase64(text) {
  if (typeof text !== "string" || text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) {
    throw new ContractsError(`expected padded standard base64, got ${excerpt(text)}`);
  }
  const digits = text.replace(/=+$/, "");
  const bytes = new Uint8Array(Math.floor((digits.length * 3) / 4));
  let word = 0;
  let bits = 0;
  let used = 0;
  for (const digit of digits) {
    word = ((word << 6) | BASE64.indexOf(digit)) & 0xffffff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes[used] = (word >> bits) & 255;
      used += 1;
    }
  }
  if (toBase64(bytes) !== text) throw new ContractsError(`base64 is not in its canonical form: ${excerpt(text)}`);
  return bytes;
}

/** Bytes of URL-safe base64 without padding (tokens and key seeds in links). */
export function fromBase64Url(text) {
  if (typeof text !== "string" || !/^[A-Za-z0-9_-]*$/.test(text)) {
    throw new ContractsError("expected URL-safe base64 without padding");
  }
  const padded = text.replace(/-/g, "+").replace(/_/g, "/") + "=".repeat((4 - (text.length % 4)) % 4);
  return fromBase64(padded);
}

/** URL-safe base64 without padding. */
export function toBase64Url(bytes) {
  return toBase64(bytes).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

export function utf8(text) {
  return utf8Encoder.encode(text);
}

/** Text of UTF-8 bytes; malformed UTF-8 is refused, a byte order mark is kept. */
export function fromUtf8(bytes) {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new ContractsError("the text is not UTF-8; ask for the file again");
  }
}

export function concat(...parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}

export function equalBytes(left, right) {
  return left.length === right.length && left.every((byte, i) => byte === right[i]);
}

export function isZero(bytes) {
  return bytes.every((byte) => byte === 0);
}

/** Unsigned big-endian integer of `bytes`. */
export function toBigInt(bytes) {
  return bytes.length === 0 ? 0n : BigInt(`0x${toHex(bytes)}`);
}

/** `length` bytes, big-endian; negative numbers in two's complement. */
export function fromBigInt(value, length) {
  const modulus = 1n << BigInt(8 * length);
  if (value >= modulus || value < -(modulus >> 1n)) throw new ContractsError(`${value} does not fit ${length} bytes`);
  const text = (value < 0n ? value + modulus : value).toString(16).padStart(2 * length, "0");
  return fromHex(text, length);
}

/** A few characters of a value for a message. */
export function excerpt(value) {
  const text = typeof value === "string" ? value : String(value);
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text);
}
