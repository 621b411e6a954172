/** Hashes and signatures against the platform's own, with WebCrypto and without it. */

import assert from "node:assert/strict";
import { createHash, generateKeyPairSync, sign as nodeSign } from "node:crypto";
import { test } from "node:test";

import { toHex } from "../../../contracts/js/bytes.js";
import * as ed25519 from "../../../contracts/js/ed25519.js";
import * as p256 from "../../../contracts/js/p256.js";
import { sha256 } from "../../../contracts/js/sha256.js";
import { sha512 } from "../../../contracts/js/sha512.js";

const LENGTHS = [0, 1, 55, 56, 57, 63, 64, 65, 111, 112, 113, 119, 127, 128, 129, 1000];
const message = (length) => Uint8Array.from({ length }, (_, i) => (i * 7 + length) & 255);

test("digests are those of the platform at every padding edge", () => {
  for (const length of LENGTHS) {
    const text = message(length);
    assert.equal(toHex(sha256(text)), createHash("sha256").update(text).digest("hex"));
    assert.equal(toHex(sha512(text)), createHash("sha512").update(text).digest("hex"));
  }
});

function p256Pair() {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const raw = Uint8Array.from(publicKey.export({ type: "spki", format: "der" }).subarray(-64));
  const sign = (text) =>
    p256.normalised(Uint8Array.from(nodeSign("sha256", text, { key: privateKey, dsaEncoding: "ieee-p1363" })));
  const scalar = Uint8Array.from(Buffer.from(privateKey.export({ format: "jwk" }).d, "base64url"));
  return { raw, sign, scalar };
}

test("P-256 signatures verify alike by WebCrypto and by BigInt, and no bit may change", async () => {
  const { raw, sign, scalar } = p256Pair();
  assert.equal(toHex(p256.publicKeyOf(scalar)), toHex(raw));
  for (const length of [0, 32, 200]) {
    const text = message(length);
    const signature = sign(text);
    assert.ok(await p256.verify(raw, text, signature));
    assert.ok(p256.verifyByBigInt(raw, text, signature));
    for (const at of [0, 31, 32, 63]) {
      const changed = signature.slice();
      changed[at] ^= 1;
      assert.equal(await p256.verify(raw, text, changed), false);
      assert.equal(p256.verifyByBigInt(raw, text, changed), false);
    }
    assert.equal(p256.verifyByBigInt(raw, message(length + 1), signature), false);
  }
});

test("the high one of two valid s is refused, for what is signed has one spelling", async () => {
  const { raw, sign } = p256Pair();
  const low = sign(message(9));
  const s = BigInt(`0x${toHex(low.subarray(32))}`);
  const high = low.slice();
  high.set(Buffer.from((p256.N - s).toString(16).padStart(64, "0"), "hex"), 32);
  assert.equal(await p256.verify(raw, message(9), high), false);
  assert.equal(p256.verifyByBigInt(raw, message(9), high), false);
  assert.throws(() => p256.fromDer(p256.toDer(high)), { name: "ContractsError" });
});

test("DER has one spelling", () => {
  const { sign } = p256Pair();
  const raw = sign(message(3));
  const der = p256.toDer(raw);
  assert.equal(toHex(p256.fromDer(der)), toHex(raw));
  const longer = Uint8Array.from([...der, 0]);
  const padded = Uint8Array.from([0x30, der[1] + 1, 2, der[3] + 1, 0, ...der.subarray(4)]);
  for (const other of [longer, padded, der.subarray(1), der.subarray(0, -1), new Uint8Array()]) {
    assert.throws(() => p256.fromDer(other), { name: "ContractsError" });
  }
});

test("a point off the curve is no key", async () => {
  const { raw, sign } = p256Pair();
  const signature = sign(message(1));
  const off = raw.slice();
  off[63] ^= 1;
  assert.equal(await p256.verify(off, message(1), signature), false);
  assert.equal(p256.verifyByBigInt(new Uint8Array(64), message(1), signature), false);
});

test("Ed25519 signatures verify alike by WebCrypto and by BigInt, and no bit may change", async () => {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const raw = Uint8Array.from(publicKey.export({ type: "spki", format: "der" }).subarray(-32));
  for (const length of [0, 32, 200]) {
    const text = message(length);
    const signature = Uint8Array.from(nodeSign(null, text, privateKey));
    assert.ok(await ed25519.verify(raw, text, signature));
    assert.ok(ed25519.verifyByBigInt(raw, text, signature));
    for (const at of [0, 31, 32, 63]) {
      const changed = signature.slice();
      changed[at] ^= 1;
      assert.equal(await ed25519.verify(raw, text, changed), false);
      assert.equal(ed25519.verifyByBigInt(raw, text, changed), false);
    }
  }
});

test("RFC 8032 section 7.1, test 3", () => {
  const key = Buffer.from("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "hex");
  const signature = Buffer.from(
    "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac" +
      "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    "hex",
  );
  assert.ok(ed25519.verifyByBigInt(Uint8Array.from(key), Uint8Array.from([0xaf, 0x82]), Uint8Array.from(signature)));
});

test("the pages on plain http verify too: without WebCrypto the same functions answer", async () => {
  const { raw, sign } = p256Pair();
  const signature = sign(message(5));
  const subtle = Object.getOwnPropertyDescriptor(globalThis.crypto, "subtle");
  Object.defineProperty(globalThis.crypto, "subtle", { value: undefined, configurable: true });
  try {
    assert.ok(await p256.verify(raw, message(5), signature));
  } finally {
    if (subtle) Object.defineProperty(globalThis.crypto, "subtle", subtle);
    else delete globalThis.crypto.subtle;
  }
});
