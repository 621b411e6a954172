/**
 * JSON in the narrow profile that is hashed: objects, arrays, strings, booleans, null at the file's top
 * levels, integers below 2^53; duplicate keys refused. Writes RFC 8785 canonical text.
 *
 * `JSON.parse` would silently take the last of two equal keys and round large numbers, so that a page could
 * show something else than what was signed.
 */

import { ContractsError, excerpt, fromUtf8 } from "./bytes.js";

const DEPTH_MAX = 16;
const ESCAPES = { '"': '"', "\\": "\\", "/": "/", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" };

/**
 * The value of a JSON text; objects become plain objects without a prototype.
 * @param {string | Uint8Array} source text, or its UTF-8 bytes.
 */
export function parseJson(source) {
  const text = typeof source === "string" ? source : fromUtf8(source);
  const reader = { text, at: 0 };
  const value = readValue(reader, 0);
  skipSpace(reader);
  if (reader.at !== text.length) fail(reader, "there is more text behind the value");
  return value;
}

function fail(reader, what) {
  throw new ContractsError(`JSON at character ${reader.at}: ${what}; ask for the file again`);
}

function skipSpace(reader) {
  while (reader.at < reader.text.length && " \t\n\r".includes(reader.text[reader.at])) reader.at += 1;
}

function readValue(reader, depth) {
  if (depth > DEPTH_MAX + 1) fail(reader, "nested too deeply");
  skipSpace(reader);
  const first = reader.text[reader.at];
  if (first === "{") return readObject(reader, depth);
  if (first === "[") return readArray(reader, depth);
  if (first === '"') return readString(reader);
  for (const [word, value] of [["true", true], ["false", false], ["null", null]]) {
    if (reader.text.startsWith(word, reader.at)) {
      reader.at += word.length;
      return value;
    }
  }
  return readInteger(reader);
}

function readObject(reader, depth) {
  const members = Object.create(null);
  reader.at += 1;
  skipSpace(reader);
  if (reader.text[reader.at] === "}") return step(reader, members);
  for (;;) {
    skipSpace(reader);
    if (reader.text[reader.at] !== '"') fail(reader, "expected a member name");
    const name = readString(reader);
    if (name in members) fail(reader, `member ${excerpt(name)} stands twice`);
    skipSpace(reader);
    if (reader.text[reader.at] !== ":") fail(reader, "expected a colon");
    reader.at += 1;
    members[name] = readValue(reader, depth + 1);
    skipSpace(reader);
    if (reader.text[reader.at] === "}") return step(reader, members);
    if (reader.text[reader.at] !== ",") fail(reader, "expected a comma or }");
    reader.at += 1;
  }
}

function readArray(reader, depth) {
  const elements = [];
  reader.at += 1;
  skipSpace(reader);
  if (reader.text[reader.at] === "]") return step(reader, elements);
  for (;;) {
    elements.push(readValue(reader, depth + 1));
    skipSpace(reader);
    if (reader.text[reader.at] === "]") return step(reader, elements);
    if (reader.text[reader.at] !== ",") fail(reader, "expected a comma or ]");
    reader.at += 1;
  }
}

function step(reader, value) {
  reader.at += 1;
  return value;
}

function readString(reader) {
  let value = "";
  for (reader.at += 1; ; ) {
    const character = reader.text[reader.at];
    if (character === undefined) fail(reader, "the text ends within a string");
    if (character < " ") fail(reader, "a control character within a string");
    reader.at += 1;
    if (character === '"') return wellFormed(reader, value);
    value += character === "\\" ? readEscape(reader) : character;
  }
}

function readEscape(reader) {
  const letter = reader.text[reader.at];
  reader.at += 1;
  if (letter in ESCAPES) return ESCAPES[letter];
  const digits = reader.text.slice(reader.at, reader.at + 4);
  if (letter !== "u" || !/^[0-9a-fA-F]{4}$/.test(digits)) fail(reader, "an unknown escape");
  reader.at += 4;
  return String.fromCharCode(parseInt(digits, 16));
}

function wellFormed(reader, value) {
  if (/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/.test(value)) {
    fail(reader, "half a surrogate pair, which is no character");
  }
  return value;
}

function readInteger(reader) {
  const match = /^-?(0|[1-9][0-9]*)/.exec(reader.text.slice(reader.at, reader.at + 20));
  if (!match) fail(reader, "expected a value");
  const after = reader.text[reader.at + match[0].length];
  if (after === "." || after === "e" || after === "E") fail(reader, "numbers must be whole");
  const value = Number(match[0]);
  if (!Number.isSafeInteger(value) || match[0] === "-0") fail(reader, "a number must lie within 2^53");
  reader.at += match[0].length;
  return value;
}

/**
 * RFC 8785 text of a value: members sorted by UTF-16 code units, no space, shortest escapes.
 * @param {boolean} nulls whether null has a place: in files, not in details.
 */
export function canonicalJson(value, nulls = false, depth = 0) {
  if (depth > DEPTH_MAX) throw new ContractsError(`nested deeper than ${DEPTH_MAX} levels`);
  if (typeof value === "string" || typeof value === "boolean" || (value === null && nulls)) return JSON.stringify(value);
  if (typeof value === "number" && Number.isSafeInteger(value)) return String(value);
  if (Array.isArray(value)) return `[${value.map((element) => canonicalJson(element, nulls, depth + 1)).join(",")}]`;
  if (value !== null && typeof value === "object") {
    const names = Object.keys(value).sort();
    const member = (name) => `${JSON.stringify(name)}:${canonicalJson(value[name], nulls, depth + 1)}`;
    return `{${names.map(member).join(",")}}`;
  }
  throw new ContractsError(`${excerpt(value)} is outside the profile`);
}

/** The value whose one canonical text this is; another spelling of it is refused. */
export function parseCanonicalJson(source, nulls = false) {
  const text = typeof source === "string" ? source : fromUtf8(source);
  const value = parseJson(text);
  if (canonicalJson(value, nulls) !== text) {
    throw new ContractsError("the JSON is not canonical (RFC 8785): a byte of it was changed or laid out anew");
  }
  return value;
}
