/** The verifier says of every evidence file, good or tampered with, exactly what the Python one says. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { RpcError } from "../../../contracts/js/chain.js";
import { CHECK_NAMES, verifyEvidence } from "../../../contracts/js/verifier.js";
import { recordedRpc, vectors } from "./vectors.js";

const { trust, exchanges, cases } = vectors("evidence");
const trustText = JSON.stringify(trust);

for (const { name, evidence, trust: hasTrust, rpc, expect } of cases) {
  test(`evidence: ${name}`, async () => {
    const node = rpc === null ? null : recordedRpc(rpc.map((number) => exchanges[number]));
    const report = await verifyEvidence(evidence, { trust: hasTrust ? trustText : null, rpc: node });
    const outcomes = Object.fromEntries(report.checks.map((check) => [check.name, check.outcome]));
    const says = report.checks.filter((check) => outcomes[check.name] !== expect.outcomes[check.name]);
    assert.deepEqual(outcomes, expect.outcomes, JSON.stringify(says));
    assert.equal(report.state, expect.state);
    assert.deepEqual(report.marks, expect.marks);
  });
}

test("checks are told in the agreed order, and each as it ends", async () => {
  const told = [];
  const report = await verifyEvidence(cases[0].evidence, { trust: trustText, onCheck: ({ name }) => told.push(name) });
  assert.deepEqual(report.checks.map((check) => check.name), [...CHECK_NAMES]);
  assert.deepEqual([...told].sort(), [...CHECK_NAMES].sort());
});

test("a silent node leaves checks open and breaks none", async () => {
  const silent = async () => {
    throw new RpcError("no answer");
  };
  const report = await verifyEvidence(cases[0].evidence, { trust: trustText, rpc: silent });
  assert.equal(report.checks.find((check) => check.name === "anchor").outcome, "not_checked");
  assert.equal(report.checks.filter((check) => check.outcome === "failed").length, 0);
});

test("no byte of a good file can change without a word", async () => {
  const { evidence, rpc } = cases.find((one) => one.expect.state === "final" && one.name.includes("opening"));
  const node = recordedRpc(exchanges.filter((_, number) => rpc.includes(number)));
  const ask = async (method, parameters) => node(method, parameters).catch(() => null);
  const good = await verifyEvidence(evidence, { trust: trustText, rpc: ask });
  const original = new TextEncoder().encode(evidence);
  for (let at = 0; at < original.length; at += 41) {
    const damaged = original.slice();
    damaged[at] ^= 1;
    const report = await verifyEvidence(damaged, { trust: trustText, rpc: ask });
    const where = `byte ${at}: ${evidence.slice(at - 20, at + 20)}`;
    assert.notDeepEqual([report.state, report.marks], [good.state, good.marks], where); // a lost witness is a mark
  }
});
