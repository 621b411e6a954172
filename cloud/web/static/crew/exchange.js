/**
 * From phone to phone by codes on the screen, with no network: who joins the visit (J), what is asked to be signed (A),
 * the signature back (S), and a new key on its way to the office (K).
 *
 * A message is canonical JSON, deflated. It goes in frames of at most 380 bytes that the screen shows in turn:
 * `M1` kind, name (first 4 bytes of the SHA-256 of the deflated message, hex), index, count (one byte each, hex), and the
 * part in base 45: all in the alphabet that QR codes hold best (the Python twin is contracts/exchange.py). Frames come in any order and as often as they like; what
 * was put together counts only under its own name.
 *
 * Source: RFC 9285 (base 45), RFC 1951 (deflate), ISO/IEC 18004 table 7 (version 15-M holds 600 such characters).
 */

import { concat, toHex, utf8 } from "../verifier/bytes.js";
import { canonicalJson, parseCanonicalJson } from "../verifier/json.js";
import { sha256 } from "../verifier/sha256.js";

export const KINDS = Object.freeze({ join: "J", ask: "A", sign: "S", key: "K" });
export const FRAME_MS = 250;
const PART_BYTES = 380;
const MESSAGE_BYTES_MAX = 40 * 1024; // of JSON: as a bundle
const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";
const FRAME = /^M1([JASK])([0-9A-F]{8})([0-9A-F]{2})([0-9A-F]{2})([0-9A-Z $%*+\-./:]{2,570})$/;
const NAME_OF = Object.fromEntries(Object.entries(KINDS).map(([name, letter]) => [letter, name]));

/** What was received is no message; `word` is `exchange_damaged`, `exchange_large` or
 * `exchange_old` (this browser cannot inflate). */
export class ExchangeRefused extends Error {
  constructor(word) {
    super(word);
    this.word = word;
  }
}

/**
 * The frames of a message, for `draw` in turn.
 * @param {"join"|"ask"|"sign"|"key"} kind
 * @param {object} object JSON of texts, whole numbers, lists and objects.
 * @returns {Promise<string[]>} the same ones for the same message.
 */
export async function frames(kind, object) {
  const message = utf8(canonicalJson(object));
  if (message.length > MESSAGE_BYTES_MAX) throw new ExchangeRefused("exchange_large");
  const packed = await deflated(message);
  const count = Math.ceil(packed.length / PART_BYTES);
  const head = `M1${KINDS[kind]}${nameOf(packed)}`;
  return Array.from({ length: count }, (_, index) => {
    const part = packed.subarray(index * PART_BYTES, (index + 1) * PART_BYTES);
    return `${head}${octet(index)}${octet(count)}${toBase45(part)}`;
  });
}

/** Collects frames until a message is whole. Frames of another message begin anew. */
export class Gathering {
  constructor() {
    this.begin("", 0);
  }

  begin(head, count) {
    this.head = head;
    this.parts = Array.from({ length: count }, () => null);
  }

  /**
   * Take what the camera read.
   * @returns {{kind: string, have: number, of: number} | null} null where it is no frame.
   */
  take(text) {
    const found = FRAME.exec(text);
    if (!found) return null;
    const [, letter, name, indexHex, countHex, digits] = found;
    const index = parseInt(indexHex, 16);
    const count = parseInt(countHex, 16);
    const part = fromBase45(digits);
    const isWhole = part && part.length <= PART_BYTES && (index === count - 1 || part.length === PART_BYTES);
    if (!isWhole || index >= count) return null;
    const head = `${letter}${name}${countHex}`;
    if (head !== this.head) this.begin(head, count);
    this.parts[index] = part;
    return { kind: NAME_OF[letter], have: this.parts.filter(Boolean).length, of: count };
  }

  /**
   * The message, null while frames are missing.
   * @returns {Promise<{kind: string, object: object} | null>}
   * @throws {ExchangeRefused} where the frames do not belong together; what was collected is dropped.
   */
  async done() {
    if (!this.parts.length || !this.parts.every(Boolean)) return null;
    const packed = concat(...this.parts);
    const { head } = this;
    if (nameOf(packed) !== head.slice(1, 9)) {
      this.begin("", 0);
      throw new ExchangeRefused("exchange_damaged");
    }
    try {
      const object = parseCanonicalJson(await inflated(packed));
      if (object === null || typeof object !== "object" || Array.isArray(object)) throw new ExchangeRefused("exchange_damaged");
      return { kind: NAME_OF[head[0]], object };
    } catch (error) {
      this.begin("", 0);
      throw error instanceof ExchangeRefused ? error : new ExchangeRefused("exchange_damaged");
    }
  }
}

const octet = (value) => value.toString(16).toUpperCase().padStart(2, "0");
const nameOf = (packed) => toHex(sha256(packed).subarray(0, 4)).toUpperCase();

/** Base 45 of bytes: two bytes to three characters, a last one to two. */
export function toBase45(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; at += 2) {
    const isPair = at + 1 < bytes.length;
    let value = isPair ? bytes[at] * 256 + bytes[at + 1] : bytes[at];
    for (let digit = 0; digit < (isPair ? 3 : 2); digit += 1) {
      text += ALPHABET[value % 45];
      value = Math.floor(value / 45);
    }
  }
  return text;
}

/** Bytes of base 45; null where it is none. */
export function fromBase45(text) {
  if (text.length % 3 === 1) return null;
  const bytes = [];
  for (let at = 0; at < text.length; at += 3) {
    const digits = [...text.slice(at, at + 3)].map((character) => ALPHABET.indexOf(character));
    const value = digits.reduceRight((sum, digit) => sum * 45 + digit, 0);
    if (digits.includes(-1) || value >= (digits.length === 3 ? 65_536 : 256)) return null;
    if (digits.length === 3) bytes.push(value >> 8);
    bytes.push(value & 255);
  }
  return Uint8Array.from(bytes);
}

/** Deflated by the browser; one stored block, which is deflate too, where it cannot. */
async function deflated(message) {
  if (typeof CompressionStream !== "function") return stored(message);
  try {
    return await through(new CompressionStream("deflate-raw"), message, 2 * MESSAGE_BYTES_MAX);
  } catch (error) {
    if (error instanceof TypeError) return stored(message);
    throw error;
  }
}

function stored(message) {
  const length = message.length; // below 65,536: one block
  return concat(Uint8Array.of(1, length & 255, length >> 8, ~length & 255, (~length >> 8) & 255), message);
}

async function inflated(packed) {
  if (typeof DecompressionStream !== "function") throw new ExchangeRefused("exchange_old");
  return through(new DecompressionStream("deflate-raw"), packed, MESSAGE_BYTES_MAX);
}

/** All that comes out of a stream; a stranger's few bytes that want to become millions are cut off. */
async function through(stream, bytes, lengthMax) {
  const writer = stream.writable.getWriter();
  const written = writer.write(bytes).then(() => writer.close());
  written.catch(() => undefined); // told by the reading side
  const reader = stream.readable.getReader();
  const chunks = [];
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return concat(...chunks);
    length += value.length;
    if (length > lengthMax) {
      await reader.cancel().catch(() => undefined);
      throw new ExchangeRefused("exchange_damaged");
    }
    chunks.push(value);
  }
}
