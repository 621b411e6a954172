/** Entries, details, trees, checkpoints and super-log notes against the vectors that Python wrote. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { ContractsError, toHex } from "../../../contracts/js/bytes.js";
import { openCheckpoint } from "../../../contracts/js/checkpoint.js";
import { decodeDetail, encodeDetail } from "../../../contracts/js/detail.js";
import { decodeEntry, encodeEntry } from "../../../contracts/js/entry.js";
import { sha256 } from "../../../contracts/js/sha256.js";
import { openSuperlog, superlogLeaf, verifyCosignatures } from "../../../contracts/js/superlog.js";
import { leafHash, verifyConsistency, verifyInclusion } from "../../../contracts/js/tree.js";
import { bytes, vectors } from "./vectors.js";

const refused = { name: "ContractsError" };

test("an entry encodes to its 224 bytes and back", () => {
  for (const vector of vectors("entry").valid) {
    const entry = decodeEntry(bytes(vector.encoded));
    assert.equal(entry.quantity, vector.quantity);
    assert.equal(String(entry.value), vector.value);
    assert.equal(String(entry.observedAtMs), String(vector.observed_at_ms));
    assert.equal(toHex(encodeEntry(entry)), vector.encoded);
    assert.equal(toHex(leafHash(encodeEntry(entry))), vector.leaf_hash);
  }
});

test("bytes that are no canonical entry are refused", () => {
  for (const { name, encoded } of vectors("entry").invalid) {
    assert.throws(() => decodeEntry(bytes(encoded)), refused, name);
  }
});

test("detail bytes are the one canonical text of their fields", () => {
  for (const { fields, salt, encoded, digest } of vectors("detail").valid) {
    assert.equal(toHex(encodeDetail({ ...fields, salt })), encoded);
    assert.equal(toHex(encodeDetail(decodeDetail(bytes(encoded)))), encoded);
    assert.equal(toHex(sha256(bytes(encoded))), digest);
  }
});

test("any other spelling of a detail is refused", () => {
  for (const { name, encoded } of vectors("detail").invalid) {
    assert.throws(() => decodeDetail(bytes(encoded)), refused, name);
  }
});

test("inclusion and consistency paths lead to the root, and from no other place", () => {
  const { inclusion, consistency, refused_inclusion, refused_consistency } = vectors("tree");
  const include = (v) =>
    verifyInclusion(bytes(v.leaf_hash), BigInt(v.index), BigInt(v.size), v.path.map(bytes), bytes(v.root));
  const extend = (v) =>
    verifyConsistency(BigInt(v.old_size), bytes(v.old_root), BigInt(v.size), bytes(v.root), v.path.map(bytes));
  inclusion.forEach(include);
  consistency.forEach(extend);
  for (const vector of refused_inclusion) assert.throws(() => include(vector), refused, JSON.stringify(vector));
  for (const vector of refused_consistency) assert.throws(() => extend(vector), refused, JSON.stringify(vector));
});

test("a leaf has one place: leaf 2 of 4 is refused at 6, 10 and 1002", () => {
  const vector = vectors("tree").inclusion.find((one) => one.index === 2 && one.size === 4);
  for (const index of [6n, 10n, 1002n]) {
    const place = () => verifyInclusion(bytes(vector.leaf_hash), index, 4n, vector.path.map(bytes), bytes(vector.root));
    assert.throws(place, refused);
  }
});

test("a checkpoint opens with its gateway's key", async () => {
  const { public: key, valid } = vectors("checkpoint");
  for (const { note, origin, size, root, signature } of valid) {
    const opened = await openCheckpoint(note, bytes(key));
    assert.deepEqual([opened.origin, String(opened.size), toHex(opened.root)], [origin, String(size), root]);
    assert.equal(toHex(opened.signature), signature);
  }
});

test("a checkpoint with any change is refused", async () => {
  const { public: key, invalid } = vectors("checkpoint");
  for (const { name, note } of invalid) await assert.rejects(openCheckpoint(note, bytes(key)), refused, name);
});

test("a super-log note opens with its key, and its leaf is body and signature", async () => {
  const { origin, key, note, size, root, checkpoint, public: gateway, leaf, invalid } = vectors("superlog");
  const opened = await openSuperlog(note, origin, bytes(key));
  assert.deepEqual([String(opened.size), toHex(opened.root)], [String(size), root]);
  assert.equal(toHex(superlogLeaf(await openCheckpoint(checkpoint, bytes(gateway)))), leaf);
  for (const one of invalid) await assert.rejects(openSuperlog(one.note, origin, bytes(key)), refused, one.name);
});

test("witnesses are counted once each, strangers never, forgeries refuse the note", async () => {
  const { policy, witnesses } = vectors("superlog");
  const known = {
    quorum: policy.quorum,
    witnesses: policy.witnesses.map(({ name, key }) => ({ name, publicKey: bytes(key) })),
  };
  for (const { name, note, count } of witnesses) {
    if (count === null) await assert.rejects(verifyCosignatures(note, known), refused, name);
    else assert.equal(await verifyCosignatures(note, known), count, name);
  }
});

test("errors are of one kind", () => {
  assert.ok(new ContractsError("x") instanceof Error);
});
