/** Visit records against the vectors that Python wrote. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { toHex } from "../../../contracts/js/bytes.js";
import { decodeVisit, encodeVisit, parseVisit, visitDigest, visitToJson } from "../../../contracts/js/visit.js";
import { bytes, vectors } from "./vectors.js";

const refused = { name: "ContractsError" };

test("a visit encodes to its 352 bytes and back, from its file too", () => {
  for (const { visit, encoded, digest } of vectors("visit").valid) {
    assert.equal(toHex(encodeVisit(parseVisit(JSON.stringify(visit)))), encoded);
    assert.deepEqual(visitToJson(decodeVisit(bytes(encoded))), visit);
    assert.equal(toHex(visitDigest(decodeVisit(bytes(encoded)))), digest);
  }
});

test("bytes that are no canonical visit are refused", () => {
  for (const { name, encoded } of vectors("visit").invalid) {
    assert.throws(() => decodeVisit(bytes(encoded)), refused, name);
  }
});

test("a file with a place, or with a number as text, is refused", () => {
  const [{ visit }] = vectors("visit").valid;
  for (const change of [{ place: "30.27,120.15" }, { started_at: "1796119200" }, { class: "quarterly" }, { mechanics: [] }]) {
    assert.throws(() => parseVisit(JSON.stringify({ ...visit, ...change })), refused);
  }
});
