/** The crew's files against the vectors that Python wrote: labels, codes, packs, lists, proofs, bundles. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { toHex, utf8 } from "../../../contracts/js/bytes.js";
import { encodeBundle, parseBundle } from "../../../contracts/js/bundle.js";
import { challengeItems, encodeChecklist, lackOf, parseChecklist } from "../../../contracts/js/checklist.js";
import { canonicalJson } from "../../../contracts/js/json.js";
import { labelDigest, parseLabelCode, parseLabelLink, printedLabel } from "../../../contracts/js/label.js";
import { itemsOf, parsePack, reachOf } from "../../../contracts/js/pack.js";
import { encodePresence, firstToken, parsePresence } from "../../../contracts/js/presence.js";
import { parseRotating, tokenBytes } from "../../../contracts/js/rotating.js";
import { sha256 } from "../../../contracts/js/sha256.js";
import { CLASSES, visitDigest } from "../../../contracts/js/visit.js";
import { bytes, vectors } from "./vectors.js";

const crew = vectors("crew");
const refused = { name: "ContractsError" };
const packs = Object.fromEntries(crew.packs.map((each) => [each.name, parsePack(utf8(each.bytes))]));
const annexA = packs["cn-tsg-t5002-2017-a"];
const canonical = (value) => utf8(canonicalJson(value));

/** A copy with another value at the path. */
function changed(value, { path, put }) {
  const damaged = structuredClone(value);
  const place = path.slice(0, -1).reduce((found, step) => found[step], damaged);
  place[path.at(-1)] = put;
  return damaged;
}

test("a label's code is read as typed, printed, linked and hashed", () => {
  for (const { code, typed, digest, link } of crew.labels) {
    assert.equal(parseLabelCode(typed), code);
    assert.equal(parseLabelCode(printedLabel(code)), code);
    assert.equal(toHex(labelDigest(code)), digest);
    if (link) assert.deepEqual(parseLabelLink(link), { base: "https://minglou.example", code, rotating: null });
  }
  for (const typed of ["", "4k7mq2xd90b", "4k7mq2xd90bzz", "4k7mq2xd90bu", `${" ".repeat(60)}4k7mq2xd90bz`]) {
    assert.throws(() => parseLabelCode(typed), refused, typed);
  }
  for (const link of ["4k7mq2xd90bz", "https://x.example/lifts/4k7mq2xd90bz", "javascript:alert(1)", "https://x.example/d/4k7mq2xd90bz?a=1"]) {
    assert.throws(() => parseLabelLink(link), refused, link);
  }
});

test("what a display shows is read back", () => {
  for (const { slot, token, token_text: text, text: moment, link } of crew.moments) {
    assert.deepEqual(parseRotating(moment), { slot, token: text });
    assert.equal(toHex(tokenBytes(text)), token);
    assert.deepEqual(parseLabelLink(link).rotating, { slot, token: text });
  }
  for (const text of ["", "0000000-0000000000000", "1rj3y00-zzzzzzzzzzzzz", "1rj3y00", "1RJ3Y00-0000000000000"]) {
    assert.throws(() => parseRotating(text), refused, text);
  }
});

test("a pack's digest and its items in the body's order are Python's", () => {
  for (const { name, digest, items } of crew.packs) {
    assert.equal(toHex(packs[name].digest), digest);
    for (const [visitClass, codes] of Object.entries(items)) {
      assert.deepEqual(itemsOf(packs[name], CLASSES.indexOf(visitClass)).map(({ code }) => code), codes);
    }
  }
  assert.throws(() => parsePack(utf8(crew.packs[0].bytes.replace('"kind":"T"', '"kind":"X"'))), refused);
  assert.throws(() => parsePack(utf8(crew.packs[0].bytes.replace('"A-1-01"', '"A-1-02"'))), refused);
  assert.throws(() => itemsOf(packs["meter-swap"], 1), refused);
});

test("a display's token draws the same items to photograph", () => {
  for (const { token, class: visitClass, codes } of crew.challenges) {
    assert.deepEqual(challengeItems(bytes(token), annexA, visitClass), codes);
  }
});

test("a list is encoded as Python does, and what breaks its form or its pack is refused", () => {
  const { value, digest, invalid } = crew.checklist;
  assert.equal(toHex(sha256(encodeChecklist(value, annexA))), digest);
  assert.deepEqual(canonicalJson(parseChecklist(canonical(value), annexA)), canonicalJson(value));
  for (const change of invalid) {
    assert.throws(() => parseChecklist(canonical(changed(value, change)), annexA), refused, change.name);
  }
});

test("a number warns before its limit and blocks behind it", () => {
  const item = annexA.items.find(({ code }) => code === "A-1-29");
  assert.deepEqual([80, 75, 74, 70, 69].map((value) => reachOf(item.limit, value)), ["within", "within", "near", "near", "beyond"]);
  assert.equal(lackOf({ result: "ok" }, item), "value");
  assert.equal(lackOf({ result: "ok", value: 69 }, item), "limit");
  assert.equal(lackOf({ result: "fault", value: 69 }, item), null);
});

test("a presence proof is encoded as Python does, and a damaged one is refused", () => {
  const { value, digest, invalid } = crew.presence;
  assert.equal(toHex(sha256(encodePresence(value))), digest);
  assert.equal(firstToken(value), value.scans[0].token);
  assert.equal(firstToken({ ...value, scans: value.scans.map((scan) => ({ ...scan, sense: "out" })) }), null);
  for (const change of invalid) {
    assert.throws(() => parsePresence(canonical(changed(value, change))), refused, change.name);
  }
});

test("a bundle is whole or refused", () => {
  const { value, digest, invalid } = crew.bundle;
  const { visit } = parseBundle(encodeBundle(value));
  assert.equal(toHex(visitDigest(visit)), digest);
  assert.equal(toHex(encodeBundle(value)), toHex(canonical(value)));
  for (const change of invalid) {
    assert.throws(() => parseBundle(utf8(JSON.stringify(changed(value, change)))), refused, change.name);
  }
  const { presence, ...bare } = value;
  assert.ok(presence);
  assert.throws(() => parseBundle(utf8(JSON.stringify(bare))), refused, "without its proof");
});
