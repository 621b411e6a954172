/** Acts as files: byte for byte what Python writes and reads. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { formatAct, personSignature } from "../../../contracts/js/act.js";
import { fromHex } from "../../../contracts/js/bytes.js";
import { vectors } from "./vectors.js";

const { mandate, ballots } = vectors("act");

test("a software key's act is written as Python writes it", () => {
  const { key_id: keyId, nonce, deadline, signature, cap } = mandate.given;
  const act = {
    chainId: 31337n,
    contract: "UsageFees",
    address: fromHex(mandate.given.address, 20),
    function: "set_mandate",
    arguments: {
      cap: BigInt(cap),
      signature: personSignature({
        keyId: fromHex(keyId, 32),
        nonce: BigInt(nonce),
        deadline: BigInt(deadline),
        signature: fromHex(signature, 64),
      }),
    },
  };
  assert.equal(formatAct(act), mandate.file);
});

test("lists, texts and empty lists are laid out alike", () => {
  const act = {
    chainId: 1n,
    contract: "Ballots",
    address: new Uint8Array(20),
    function: "reveal",
    arguments: { number: 3n, openings: [{ key_id: new Uint8Array(32), choice: 1n, salt: new Uint8Array(32).fill(7) }] },
  };
  assert.equal(formatAct(act), ballots.one);
  assert.equal(formatAct({ ...act, arguments: { number: 3n, openings: [] } }), ballots.none);
});

test("a plain number is refused: it may have been rounded", () => {
  const act = { chainId: 1n, contract: "UsageFees", address: new Uint8Array(20), function: "set_mandate" };
  assert.throws(() => formatAct({ ...act, arguments: { cap: 5 } }), TypeError);
});
