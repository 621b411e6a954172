/**
 * The files that a PDF carries: no more of the format than our own writer uses (cloud/press.py).
 *
 * One cross-reference table, one revision, attachments as they are. Whatever else a PDF may be (changed afterwards,
 * written anew by another program, encrypted) is refused with a word for it: a file of two readings would let a page
 * check one bill while another program shows the other. Every length and depth is bounded, and nothing is run.
 */

import { ContractsError } from "./bytes.js";

export const PDF_BYTES_MAX = 8 << 20;
const OBJECTS_MAX = 20000;
const ATTACHMENTS_MAX = 16;
const DEPTH_MAX = 12;
const TOKENS_MAX = 20000; // of one object
const TAIL_BYTES = 64;
const ENTRY_BYTES = 20; // of the cross-reference table
const SPACE = "\0\t\n\f\r ";
const DELIMITERS = "()<>[]{}/%";
const ESCAPES = { n: "\n", r: "\r", t: "\t", b: "\b", f: "\f", "(": "(", ")": ")", "\\": "\\" };

/** Why a PDF cannot be read: "unknown" (it is none), "too_large", "encrypted", "changed", "foreign", "empty". */
export class PdfError extends ContractsError {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

const foreign = (what) =>
  new PdfError("foreign", `the PDF was not written by this service, or was written anew since (${what}); take the file as it was downloaded`);

/** Whether bytes say that they are a PDF. */
export function isPdf(bytes) {
  return latin1(bytes, 0, 5) === "%PDF-";
}

/**
 * What is attached to a PDF.
 * @param {Uint8Array} bytes the whole file.
 * @returns {Map<string, Uint8Array>} contents by name.
 */
export function attachmentsOf(bytes) {
  if (!isPdf(bytes)) throw new PdfError("unknown", "the file is no PDF");
  if (bytes.length > PDF_BYTES_MAX) throw new PdfError("too_large", `a PDF to be checked has at most ${PDF_BYTES_MAX} bytes`);
  const file = new PdfFile(bytes);
  const names = file.within(file.within(file.resolved(file.trailer.Root), "Names"), "EmbeddedFiles");
  if (names.Kids) throw foreign("its attachments stand in a tree");
  const listed = file.resolved(names.Names);
  if (!Array.isArray(listed) || listed.length === 0) throw new PdfError("empty", "the PDF carries no files");
  if (listed.length > 2 * ATTACHMENTS_MAX) throw foreign("too many attachments");
  const found = new Map();
  for (let i = 1; i < listed.length; i += 2) {
    const described = file.dictionary(file.resolved(listed[i]));
    const name = described.UF instanceof PdfText ? described.UF.text : "";
    if (name === "" || found.has(name)) throw foreign("an attachment without a name of its own");
    found.set(name, file.content(file.within(described, "EF").F));
  }
  return found;
}

/** A string of a PDF, so that it is taken for no name. */
class PdfText {
  constructor(text) {
    this.text = text;
  }
}

/** A reference to an object. */
class Reference {
  constructor(number) {
    this.number = number;
  }
}

/** A word that is none of PDF's values: obj, stream, xref. */
class Word {
  constructor(text) {
    this.text = text;
  }
}

function latin1(bytes, from, to) {
  let text = "";
  for (const byte of bytes.subarray(from, to)) text += String.fromCharCode(byte);
  return text;
}

/** A file with its table: finds objects. */
class PdfFile {
  constructor(bytes) {
    this.bytes = bytes;
    const tail = latin1(bytes, Math.max(0, bytes.length - TAIL_BYTES), bytes.length);
    const end = /startxref\s+([0-9]{1,8})\s+%%EOF\s*$/.exec(tail);
    if (!end) throw foreign("it is cut short, or something stands behind its end");
    const at = this.readTable(Number(end[1]));
    this.trailer = this.dictionary(new Reader(bytes, at).value());
    if (this.trailer.Encrypt) throw new PdfError("encrypted", "the PDF is encrypted; take the file as it was downloaded");
    if (this.trailer.Prev || this.trailer.XRefStm) throw new PdfError("changed", "the PDF was changed after it was written; take the file as it was downloaded");
  }

  /** Read the cross-reference table; answers where the trailer's dictionary begins. */
  readTable(at) {
    const reader = new Reader(this.bytes, at);
    if (!reader.isWord("xref")) throw foreign("it has no table of its objects");
    const [first, count] = [reader.value(), reader.value()];
    if (first !== 0 || !Number.isInteger(count) || count < 1 || count > OBJECTS_MAX) throw foreign("its table of objects");
    reader.skip();
    this.tableAt = reader.at;
    this.count = count;
    const behind = new Reader(this.bytes, this.tableAt + ENTRY_BYTES * count);
    if (!behind.isWord("trailer")) throw foreign("its table of objects");
    return behind.at;
  }

  /** Where an object begins, behind `N 0 obj`. */
  placeOf(number) {
    if (number < 1 || number >= this.count) throw foreign("it names an object that it has not");
    const from = this.tableAt + ENTRY_BYTES * number;
    const entry = /^([0-9]{10}) 00000 n/.exec(latin1(this.bytes, from, from + ENTRY_BYTES));
    if (!entry) throw foreign("it names an object that it has not");
    const reader = new Reader(this.bytes, Number(entry[1]));
    if (reader.value() !== number || reader.value() !== 0 || !reader.isWord("obj")) throw foreign("its table of objects");
    return reader;
  }

  /** A value, or what its reference leads to; never further, so that no ring is walked. */
  resolved(value) {
    if (!(value instanceof Reference)) return value;
    const found = this.placeOf(value.number).value();
    if (found instanceof Reference) throw foreign("a reference to a reference");
    return found;
  }

  dictionary(value) {
    if (value === null || typeof value !== "object" || Object.getPrototypeOf(value) !== null) throw foreign("a dictionary is missing");
    return value;
  }

  within(dictionary, name) {
    const value = this.resolved(this.dictionary(dictionary)[name]);
    if (value === undefined) throw new PdfError("empty", "the PDF carries no files");
    return this.dictionary(value);
  }

  /** The bytes of an attachment, which our writer leaves as they are. */
  content(reference) {
    if (!(reference instanceof Reference)) throw foreign("an attachment without content");
    const reader = this.placeOf(reference.number);
    const { Length: length, Filter: filter } = this.dictionary(reader.value());
    if (filter !== undefined) throw foreign("its attachments were packed");
    if (!reader.isWord("stream") || !Number.isInteger(length)) throw foreign("an attachment without content");
    const from = reader.at + (this.bytes[reader.at] === 13 ? 2 : 1);
    const behind = new Reader(this.bytes, from + length);
    if (length < 0 || from + length > this.bytes.length || !behind.isWord("endstream")) throw foreign("an attachment is cut short");
    return this.bytes.slice(from, from + length);
  }
}

/** Reads values from a place on. */
class Reader {
  constructor(bytes, at) {
    this.bytes = bytes;
    this.at = at;
    this.tokens = 0;
  }

  here() {
    return this.at < this.bytes.length ? String.fromCharCode(this.bytes[this.at]) : "";
  }

  skip() {
    for (let one = this.here(); one !== "" && SPACE.includes(one); one = this.here()) this.at += 1;
  }

  /** Whether this word stands here; if so it is read. */
  isWord(word) {
    this.skip();
    if (latin1(this.bytes, this.at, this.at + word.length) !== word) return false;
    this.at += word.length;
    return true;
  }

  value(depth = 0) {
    if (depth > DEPTH_MAX || (this.tokens += 1) > TOKENS_MAX) throw foreign("an object that is too large");
    this.skip();
    const one = this.here();
    if (one === "/") return this.name();
    if (one === "(") return this.literal();
    if (one === "[") return this.array(depth);
    if (one === "<") return this.bytes[this.at + 1] === 60 ? this.dictionary(depth) : this.hex();
    return this.numberOrWord();
  }

  /** Characters up to the next space or delimiter. */
  regular() {
    const from = this.at;
    for (let one = this.here(); one !== "" && !SPACE.includes(one) && !DELIMITERS.includes(one); one = this.here()) this.at += 1;
    return latin1(this.bytes, from, this.at);
  }

  name() {
    this.at += 1;
    return this.regular();
  }

  numberOrWord() {
    const text = this.regular();
    if (text === "") throw foreign("an object that cannot be read");
    if (!/^[+-]?[0-9]*\.?[0-9]+$/.test(text) || text.length > 20) return new Word(text);
    if (/^[0-9]{1,8}$/.test(text)) {
      const reference = /^\s+0\s+R(?![A-Za-z0-9])/.exec(latin1(this.bytes, this.at, this.at + 12));
      if (reference) {
        this.at += reference[0].length;
        return new Reference(Number(text));
      }
    }
    return Number(text);
  }

  array(depth) {
    const found = [];
    this.at += 1;
    for (this.skip(); this.here() !== "]"; this.skip()) found.push(this.value(depth + 1));
    this.at += 1;
    return found;
  }

  dictionary(depth) {
    const found = Object.create(null);
    this.at += 2;
    for (this.skip(); latin1(this.bytes, this.at, this.at + 2) !== ">>"; this.skip()) {
      if (this.here() !== "/") throw foreign("an object that cannot be read");
      const name = this.name();
      if (name in found) throw foreign("an object that says a thing twice");
      found[name] = this.value(depth + 1);
    }
    this.at += 2;
    return found;
  }

  literal() {
    let text = "";
    this.at += 1;
    for (let depth = 1; ; this.at += 1) {
      let one = this.here();
      if (one === "") throw foreign("an object that cannot be read");
      if (one === "(") depth += 1;
      if (one === ")" && (depth -= 1) === 0) break;
      if (one === "\\") {
        this.at += 1;
        one = ESCAPES[this.here()];
        if (one === undefined) throw foreign("an object that cannot be read");
      }
      text += one;
    }
    this.at += 1;
    return new PdfText(text);
  }

  hex() {
    this.at += 1;
    const digits = this.regular();
    if (this.here() !== ">" || !/^([0-9a-fA-F]{2})*$/.test(digits)) throw foreign("an object that cannot be read");
    this.at += 1;
    return new PdfText(digits);
  }
}
