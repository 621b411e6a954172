/** PDFs: the attachments of our own writer's, and a word for every other file that says that it is one. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { parseBillPapers } from "../../../contracts/js/billpapers.js";
import { ContractsError } from "../../../contracts/js/bytes.js";
import { fingerprintOf } from "../../../contracts/js/fingerprint.js";
import { PDF_BYTES_MAX, PdfError, attachmentsOf, isPdf } from "../../../contracts/js/pdf.js";
import { vectors } from "./vectors.js";

const bytesOf = (text) => Uint8Array.from(text, (one) => one.charCodeAt(0));
const stream = (text, more = "") => `<</Type /EmbeddedFile${more}/Length ${text.length}>>\nstream\n${text}\nendstream`;
const spec = (name, at) => `<</Type /Filespec/F ()/UF (${name})/EF <</F ${at} 0 R>>/Desc (a \\(b\\) c)>>`;

/** Objects of a file that carries `one` and `two`, as WeasyPrint writes them; `changes` puts others in their places. */
function objectsOf(changes = {}) {
  const objects = {
    1: "<</Type /Catalog/Names <</EmbeddedFiles 2 0 R>>/Pages 7 0 R>>",
    2: "<</Names [(attachment0) 3 0 R (attachment1) 5 0 R]>>",
    3: spec("one.json", 4),
    4: stream("first"),
    5: spec("two.json", 6),
    6: stream("sec\nond stream endobj"),
    7: "<</Type /Pages/Kids []/Count 0>>",
  };
  return Object.values({ ...objects, ...changes });
}

/** The file of some objects, with its table. */
function made(objects, { trailer = "", behind = "" } = {}) {
  let text = "%PDF-1.7\n%\xf0\x9f\x96\xa4\n";
  const places = objects.map((object, i) => {
    const at = text.length;
    text += `${i + 1} 0 obj\n${object}\nendobj\n`;
    return `${String(at).padStart(10, "0")} 00000 n \n`;
  });
  const table = text.length;
  text += `xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${places.join("")}`;
  text += `trailer\n<<\n/Size ${objects.length + 1}\n/Root 1 0 R${trailer}\n/ID [(\\(\xff) <0a>]\n>>\nstartxref\n${table}\n%%EOF\n`;
  return bytesOf(text + behind);
}

const codeOf = (bytes) => {
  try {
    return [...attachmentsOf(bytes).keys()].join();
  } catch (error) {
    assert.ok(error instanceof PdfError && error instanceof ContractsError, String(error?.stack));
    return error.code;
  }
};

test("the attachments of a plain file are found by their names, whatever stands in them", () => {
  const found = attachmentsOf(made(objectsOf()));
  const texts = [...found].map(([name, bytes]) => [name, Buffer.from(bytes).toString()]);
  assert.deepEqual(texts, [["one.json", "first"], ["two.json", "sec\nond stream endobj"]]);
});

const REFUSED = {
  "text that is none": [bytesOf("hello"), "unknown"],
  "nothing but the name": [bytesOf("%PDF-1.7\n"), "foreign"],
  "a file over the limit": [new Uint8Array(PDF_BYTES_MAX + 1).fill(32).map((_, i) => "%PDF-".charCodeAt(i) || 32), "too_large"],
  "an encrypted one": [made(objectsOf(), { trailer: "/Encrypt 7 0 R" }), "encrypted"],
  "a revision behind another": [made(objectsOf(), { trailer: "/Prev 9" }), "changed"],
  "a hybrid one": [made(objectsOf(), { trailer: "/XRefStm 9" }), "changed"],
  "text behind its end": [made(objectsOf(), { behind: "%".repeat(80) }), "foreign"],
  "one without attachments": [made(objectsOf({ 1: "<</Type /Catalog/Pages 7 0 R>>" })), "empty"],
  "an empty list of attachments": [made(objectsOf({ 2: "<</Names []>>" })), "empty"],
  "a tree of attachments": [made(objectsOf({ 2: "<</Kids [3 0 R]>>" })), "foreign"],
  "packed attachments": [made(objectsOf({ 4: stream("first", "/Filter /FlateDecode") })), "foreign"],
  "two of one name": [made(objectsOf({ 5: spec("one.json", 6) })), "foreign"],
  "a list longer than ours": [made(objectsOf({ 2: `<</Names [${"(a) 3 0 R ".repeat(17)}]>>` })), "foreign"],
  "a length beyond the file": [made(objectsOf({ 4: "<</Length 99999>>\nstream\nfirst\nendstream" })), "foreign"],
  "a length that is a reference": [made(objectsOf({ 4: "<</Length 7 0 R>>\nstream\nfirst\nendstream" })), "foreign"],
  "a length that cuts": [made(objectsOf({ 4: "<</Length 3>>\nstream\nfirst\nendstream" })), "foreign"],
  "a negative length": [made(objectsOf({ 4: "<</Length -5>>\nstream\nfirst\nendstream" })), "foreign"],
  "a reference to itself": [made(objectsOf({ 2: "2 0 R" })), "foreign"],
  "a reference to nothing": [made(objectsOf({ 2: "<</Names [(a) 99 0 R]>>" })), "foreign"],
  "a thing said twice": [made(objectsOf({ 1: "<</Names 2 0 R/Names 3 0 R>>" })), "foreign"],
  "arrays without end": [made(objectsOf({ 1: "[".repeat(100000) })), "foreign"],
  "a dictionary without end": [made(objectsOf({ 1: "<</A ".repeat(5000) })), "foreign"],
  "more words than an object has": [made(objectsOf({ 2: `<</Names [${"1 ".repeat(30000)}]>>` })), "foreign"],
  "a member named as what objects inherit": [made(objectsOf({ 1: "<</__proto__ <</Names 2 0 R>>>>" })), "empty"],
};

for (const [name, [bytes, code]] of Object.entries(REFUSED)) {
  test(`${name} is refused: ${code}`, () => assert.equal(codeOf(bytes), code));
}

test("a table of objects as newer programs pack it is refused", () => {
  const text = Buffer.from(made(objectsOf())).toString("latin1").replace(/xref\n0 8/, "9 0 obj");
  assert.equal(codeOf(bytesOf(text)), "foreign");
});

test("a file that is cut or damaged anywhere is refused, or still carries the same names", () => {
  const whole = made(objectsOf());
  for (let at = 0; at < whole.length; at += 1) {
    if (at < whole.length - 1) assert.notEqual(codeOf(whole.slice(0, at)), "one.json,two.json"); // the last end of a line may go
    for (const flip of [1, 32, 255]) {
      const damaged = whole.slice();
      damaged[at] ^= flip;
      assert.match(codeOf(damaged), /^(unknown|foreign|empty|changed|encrypted|[^,]+,[^,]+)$/s);
    }
  }
});

test("a damaged file is never searched for long", () => {
  const name = "(".repeat(1 << 20);
  const started = performance.now();
  assert.equal(codeOf(made(objectsOf({ 1: `<</Names ${name}>>`, 2: "<".repeat(1 << 20) }))), "foreign");
  assert.ok(performance.now() - started < 5000);
});

test("only what begins like a PDF is taken for one", () => {
  assert.ok(isPdf(made(objectsOf())));
  assert.ok(!isPdf(bytesOf(' {"format":"%PDF-"}')));
});

const KEY = JSON.stringify({ table: "", key: "1", salt: "00".repeat(32), path: [] });
const PAPERS = { format: "minglou-bill-papers/1", files: ["{}", "[]"], lines: [{ files: [0, 1], key: "" }, { files: [1], key: KEY }] };

test("papers say which line rests on which files", () => {
  assert.deepEqual(parseBillPapers(JSON.stringify(PAPERS)).lines, PAPERS.lines);
});

const DAMAGED = {
  "another format": (p) => (p.format = "minglou-bill-papers/2"),
  "a file that is no text": (p) => (p.files[0] = {}),
  "a file that is not there": (p) => (p.lines[0].files = [0, 2]),
  "a file before the first": (p) => (p.lines[0].files = [-1, 0]),
  "a file twice": (p) => (p.lines[0].files = [0, 0, 1]),
  "a file of no line": (p) => p.files.push("{}"),
  "a key that is none": (p) => (p.lines[1].key = "{}"),
  "more lines than a bill has": (p) => (p.lines = Array(25).fill(p.lines[0])),
  "an unknown field": (p) => (p.more = 1),
};

for (const [name, change] of Object.entries(DAMAGED)) {
  test(`papers with ${name} are refused`, () => {
    const papers = structuredClone(PAPERS);
    change(papers);
    assert.throws(() => parseBillPapers(JSON.stringify(papers)), ContractsError);
  });
}

test("the short form of a trust file is Python's, however the file is laid out", () => {
  const { trust, trust_fingerprint: expected } = vectors("bill");
  assert.equal(fingerprintOf(JSON.stringify(trust)), expected);
  assert.equal(fingerprintOf(JSON.stringify(trust, null, 2)), expected);
  assert.notEqual(fingerprintOf(JSON.stringify({ ...trust, chain_id: "1" })), expected);
});
