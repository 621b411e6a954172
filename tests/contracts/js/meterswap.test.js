/** A meter swap: the page computes what installer and owner sign as Python does. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { toHex } from "../../../contracts/js/bytes.js";
import { parseMeterSwap, swapBody } from "../../../contracts/js/meterswap.js";
import { SWAP_METER, keyIdOf, personDigest } from "../../../contracts/js/person.js";
import { vectors } from "./vectors.js";

const { value, body, digest, invalid } = vectors("meter-swap");

test("a swap's words and a person's digest over them are those of Python", () => {
  const swap = parseMeterSwap(JSON.stringify(value));
  assert.equal(toHex(swapBody(swap)), body);
  const { installer, contract, chainId } = swap;
  const { nonce, deadline } = installer;
  const keyId = keyIdOf(installer.publicKey);
  const own = { chainId, contract, purpose: SWAP_METER, keyId, nonce, deadline, body: swapBody(swap) };
  assert.equal(toHex(personDigest(own)), digest);
});

test("another register, photograph or day is another swap", () => {
  for (const [path, put] of [
    [["old", "closing"], 1234570],
    [["new", "opening"], 130],
    [["new", "photo"], "00".repeat(32)],
    [["date"], "2026-11-25"],
  ]) {
    const changed = structuredClone(value);
    path.slice(0, -1).reduce((found, step) => found[step], changed)[path.at(-1)] = put;
    assert.notEqual(toHex(swapBody(parseMeterSwap(JSON.stringify(changed)))), body, path.join("."));
  }
});

test("what is misspelt or out of range is refused", () => {
  for (const { path, put } of invalid) {
    const damaged = structuredClone(value);
    path.slice(0, -1).reduce((found, step) => found[step], damaged)[path.at(-1)] = put;
    assert.throws(() => parseMeterSwap(JSON.stringify(damaged)), { name: "ContractsError" }, path.join("."));
  }
});
