/** The owners' assembly in the browser: the double count, the roll's tree, what a voter signs. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { toHex } from "../../../contracts/js/bytes.js";
import { PROXY, VOTE, ballotBody, commitment, keyIdOf, personDigest } from "../../../contracts/js/person.js";
import { following, participants, passes, tally, tallyOf, weight } from "../../../contracts/js/quorum.js";
import { leafNode, leavesOf, rollRoot, weightOf } from "../../../contracts/js/roll.js";
import { bytes, vectors } from "./vectors.js";

const { counts, rolls, ballot } = vectors("assembly");
const rollOf = ({ roll }) => weight(BigInt(roll.area), BigInt(roll.heads));

test("every count is decided as in Python and on the chain", () => {
  for (const count of counts) {
    const said = tallyOf(BigInt(count.tally));
    assert.equal(passes(count.matter, rollOf(count), said), count.passes, JSON.stringify(count));
    const followed = following(rollOf(count), said);
    assert.deepEqual(followed, tallyOf(BigInt(count.followed)));
    assert.equal(passes(count.matter, rollOf(count), followed), count.passes_following, JSON.stringify(count));
  }
  const decisions = new Set(counts.map((count) => `${count.passes} ${count.passes_following}`));
  assert.ok(decisions.size >= 3, "the vectors show every kind of result");
});

test("two thirds and three quarters include the number, a half does not", () => {
  const equal = (inFavour, against) =>
    tally({ inFavour: weight(inFavour * 100n, inFavour), against: weight(against * 100n, against) });
  const roll = weight(900n, 9n);
  assert.equal(passes(4, roll, equal(4n, 2n)), true);
  assert.equal(passes(4, roll, equal(3n, 3n)), false);
  assert.equal(passes(6, roll, equal(6n, 2n)), true);
  assert.equal(passes(6, roll, equal(5n, 2n)), false);
  assert.deepEqual(participants(equal(4n, 2n)), weight(600n, 6n));
});

for (const matter of [0, 10, 1.5]) {
  test(`matter ${matter} is refused`, () => {
    assert.throws(() => passes(matter, weight(9n, 9n), tally()), /matters 1 to 9/);
  });
}

test("more voters than the roll holds are refused", () => {
  assert.throws(() => passes(1, weight(9n, 9n), tally({ against: weight(1n, 10n) })), /more took part/);
});

for (const [place, roll] of rolls.entries()) {
  test(`roll ${place} of ${roll.head_count} heads has the root that would be posted`, () => {
    const units = roll.units.map(([index, area, head, building]) => ({ index, area: BigInt(area), head, building }));
    const leaves = leavesOf(units, roll.head_count, roll.building);
    const root = rollRoot(leaves);
    assert.equal(toHex(root.hash), roll.root);
    assert.equal(root.sums, BigInt(roll.sums));
    assert.equal(weightOf(root.sums).area, leaves.reduce((sum, leaf) => sum + leaf.area, 0n));
  });
}

test("units that are no roll are refused", () => {
  const unit = { index: 0, area: 1n, head: 0, building: 0 };
  assert.throws(() => leavesOf([unit, unit], 1), /does not fit/);
  assert.throws(() => leavesOf([{ ...unit, head: 1 }], 1), /does not fit/);
  assert.throws(() => rollRoot([]), /no root/);
  assert.throws(() => leafNode(0, { area: 1n << 42n, units: [0] }), /more area/);
});

test("the page computes what a voter signs", () => {
  const act = {
    chainId: 31337n, contract: bytes(ballot.contract.slice(2)), keyId: keyIdOf(bytes(ballot.public)),
    nonce: BigInt(ballot.sequence), deadline: BigInt(ballot.deadline),
    body: ballotBody({ resolution: bytes(ballot.resolution), says: ballot.says }),
  };
  for (const purpose of [VOTE, PROXY]) {
    assert.equal(toHex(personDigest({ ...act, purpose })), ballot.digests[purpose]);
  }
});

test("a sealed ballot's commitment is the one that its opening must match", () => {
  const opened = {
    resolution: bytes(ballot.resolution), keyId: keyIdOf(bytes(ballot.public)), choice: 2, salt: bytes(ballot.salt),
  };
  assert.equal(toHex(commitment(opened)), ballot.commitment);
  assert.notEqual(toHex(commitment({ ...opened, choice: 1 })), ballot.commitment);
});
