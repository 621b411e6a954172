/** A meter swap: the page computes what installer and owner sign as Python does. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { toHex } from "../../../contracts/js/bytes.js";
import { parseMeterSwap, parseUnsignedSwap, signedSwapText, swapBody, unsignedSwapText } from "../../../contracts/js/meterswap.js";
import { SWAP_METER, keyIdOf, personDigest } from "../../../contracts/js/person.js";
import { UNIT_OF_OBIS } from "../../../contracts/js/quantities.js";
import { vectors } from "./vectors.js";

const { value, bytes, body, digest, invalid, units } = vectors("meter-swap");

/** What a phone makes the file of. */
const { chain_id: chainId, contract, visit, subject, quantity, date, old, new: fresh, salt, installer } = value;
const meter = { old: old.device, new: fresh.device, quantity, closing: old.closing, opening: fresh.opening, date };
const parts = {
  chainId, contract, visit, subject, from: old.from, opening: old.opening, salt, meter, closingPhoto: old.photo,
  openingPhoto: fresh.photo,
};

test("a swap's words and a person's digest over them are those of Python", () => {
  const swap = parseMeterSwap(JSON.stringify(value));
  assert.equal(toHex(swapBody(swap)), body);
  const { installer, contract, chainId } = swap;
  const { nonce, deadline } = installer;
  const keyId = keyIdOf(installer.publicKey);
  const own = { chainId, contract, purpose: SWAP_METER, keyId, nonce, deadline, body: swapBody(swap) };
  assert.equal(toHex(personDigest(own)), digest);
});

test("a phone writes the file byte for byte as Python does, and signs what it then holds", () => {
  const unsigned = unsignedSwapText(parts);
  assert.equal(toHex(swapBody(parseUnsignedSwap(unsigned))), body);
  assert.equal(signedSwapText(unsigned, installer), bytes);
  assert.throws(() => parseMeterSwap(unsigned), { name: "ContractsError" }, "without its signature");
});

test("a phone writes no swap that nobody would take", () => {
  for (const change of [
    { chainId: "0" },
    { from: date },
    { opening: -1 },
    { opening: 0.5 },
    { meter: { ...meter, new: meter.old } },
    { meter: { ...meter, closing: 2 ** 53 } },
    { meter: { ...meter, quantity: "water" } },
    { closingPhoto: "" },
  ]) {
    assert.throws(() => unsignedSwapText({ ...parts, ...change }), { name: "ContractsError" }, JSON.stringify(change));
  }
  assert.throws(() => signedSwapText(unsignedSwapText(parts), { ...installer, signature: "" }), { name: "ContractsError" });
});

test("registers have the base units of Python", () => assert.deepEqual({ ...UNIT_OF_OBIS }, units));

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
