/** The fund's ledger, what resolutions pass, and repair orders, as Python computes them. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { arrivalAt, arrivalDigest, saidOf } from "../../../contracts/js/arrival.js";
import { fromChainHex, toHex } from "../../../contracts/js/bytes.js";
import {
  POT, budgetPayload, fundShareOfIncome, household, movePayload, payloadDigest, raisePayload, ratifyPayload, spanShare,
} from "../../../contracts/js/fund.js";
import { keyIdOf, personDigest } from "../../../contracts/js/person.js";
import { sha256 } from "../../../contracts/js/sha256.js";
import { PURPOSE, body, ownersOrder, triggers } from "../../../contracts/js/work_order.js";
import { bytes, vectors } from "./vectors.js";

const { ledgers, incomes, payloads, acts, triggers: cases } = vectors("fund");
const numbers = (fields) => Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, BigInt(value)]));

test("every household's account is the ledger's, and accounts add up to the purse", () => {
  for (const { places, purses } of ledgers) {
    for (const { purse, fund, epochs, households } of purses) {
      let sum = 0n;
      households.forEach((given, index) => {
        const place = numbers(places[index]);
        const named = { ...place, buildingPurse: place.building_purse, beforeInBuilding: place.before_in_building };
        const expected = numbers(given);
        const found = household(BigInt(purse), named, epochs.map(numbers), expected.deposited);
        assert.equal(found.credited, expected.credited);
        assert.equal(found.spent, expected.spent);
        sum += found.balance;
      });
      assert.equal(sum, BigInt(fund));
    }
  }
});

test("an epoch without area shares with nobody", () => {
  assert.throws(() => spanShare(5n, { before: 0n, area: 1n, total: 0n }), /nobody to share with/);
});

test("the fund's share of income is rounded up", () => {
  for (const income of incomes.map(numbers)) {
    assert.equal(fundShareOfIncome(income.net, income.share_bp), income.to_fund);
  }
});

test("the words that a resolution passes are Python's", () => {
  const fund = fromChainHex(payloads.fund, 20);
  const chainId = BigInt(payloads.chain_id);
  const document = bytes(payloads.document);
  const until = BigInt(payloads.until);
  const payee = fromChainHex(payloads.payee, 20);
  const words = {
    budget: budgetPayload(chainId, fund, { purse: 3n, pot: POT.INCOME, amount: 123456n, payee, isDrawn: true, until, document }),
    raise: raisePayload(chainId, fund, { purse: 1n, rate: 500n, dueAt: until, document }),
    move: movePayload(chainId, fund, { purse: 2n, amount: 77n, document }),
    ratify: ratifyPayload(chainId, fund, { purse: 1n, number: 9n, amount: 30000n }),
  };
  for (const [action, digest] of Object.entries(payloads.digests)) assert.equal(toHex(payloadDigest(words[action])), digest);
});

test("what owners and crews sign about repairs is Python's", () => {
  const [unit, device, report] = [acts.unit, acts.device, acts.report].map(bytes);
  const order = ownersOrder({ unit, device, report });
  assert.equal(toHex(order), acts.order);
  const deadline = BigInt(acts.deadline);
  const bodies = {
    [PURPOSE.REPORT]: body.report({ device, report }),
    [PURPOSE.WITHDRAW]: body.withdraw({ order, round: 2n }),
    [PURPOSE.ACCEPT]: body.accept({ order, promiseAt: deadline, round: 2n }),
    [PURPOSE.ARRIVE]: body.arrive({ order, arrival: bytes(acts.evidence), at: deadline, round: 2n }),
    [PURPOSE.DONE]: body.done({ order, evidence: bytes(acts.evidence), round: 2n }),
    [PURPOSE.CONFIRM]: body.confirm({ order, round: 2n }),
    [PURPOSE.REOPEN]: body.reopen({ order, reason: bytes(acts.reason), round: 2n }),
  };
  assert.deepEqual(Object.keys(bodies).sort(), Object.keys(acts.digests).sort());
  for (const [purpose, digest] of Object.entries(acts.digests)) {
    const signed = personDigest({
      chainId: BigInt(payloads.chain_id),
      contract: fromChainHex(acts.contract, 20),
      purpose,
      keyId: keyIdOf(bytes(acts.public)),
      nonce: 1n,
      deadline,
      body: bodies[purpose],
    });
    assert.equal(toHex(signed), digest, purpose);
  }
});

test("an arrival is named, timed and signed as Python does it", () => {
  for (const { said, at, digest, signed } of acts.arrivals) {
    assert.deepEqual(saidOf(said), said);
    assert.equal(String(arrivalAt(said)), at);
    assert.equal(toHex(arrivalDigest(said)), digest);
    const signing = { order: bytes(said.order), arrival: arrivalDigest(said), at: BigInt(at), round: BigInt(said.round) };
    assert.equal(toHex(sha256(body.arrive(signing))), signed);
  }
});

test("what anyone may trigger is Python's", () => {
  const seen = new Set();
  for (const { state, escalated, times, firms, terms, triggers: expected } of cases) {
    const [reportedAt, promiseAt, doneAt, arrivedAt, now] = times.map(BigInt);
    const [firm, arrivedFirm] = firms.map(BigInt);
    const [acceptWithin, giveUpAfter, confirmWithin] = terms.map(BigInt);
    const order = { state, escalated, reportedAt, promiseAt, doneAt, firm, arrivedAt, arrivedFirm };
    assert.deepEqual(triggers(order, { acceptWithin, giveUpAfter, confirmWithin }, now), expected);
    expected.forEach((one) => seen.add(one));
  }
  assert.deepEqual([...seen].sort(), ["escalate", "lapse", "release"]);
});
