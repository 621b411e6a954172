/**
 * Verify evidence: named checks, never a bare yes, and a state that says how far the proof reaches.
 *
 * The same checks, names, order and outcomes as `contracts/verifier.py`, against the same golden vectors. Exactly
 * the broken step fails; what rests on it is left unchecked, because it would prove nothing.
 */

import { ContractsError, equalBytes, excerpt, isZero, toHex } from "./bytes.js";
import { ChainView, RpcError } from "./chain.js";
import { openCheckpoint } from "./checkpoint.js";
import { encodeDetail } from "./detail.js";
import {
  checkAssignment, checkAssignmentClaim, checkBinding, checkKey, checkKeyEnd, checkKeyRange,
} from "./entitlement.js";
import { KIND, checkEntry, encodeEntry, hasRawDetail, unitOf } from "./entry.js";
import { parseEvidence } from "./evidence.js";
import { sha256 } from "./sha256.js";
import { openSuperlog, parseSuperlog, superlogLeaf, verifyCosignatures } from "./superlog.js";
import { leafHash, verifyConsistency, verifyInclusion } from "./tree.js";
import { parseTrust } from "./trust.js";

/** The checks, in the order in which they are told. */
export const CHECK_NAMES = Object.freeze([
  "format", "entry", "detail", "inclusion", "checkpoint", "gateway_key", "assignment",
  "super_inclusion", "super_signature", "witnesses", "anchor", "finality", "origin",
]);
const TIME_TOLERANCE_S = 600n;

/** A check cannot be made; the message says why. */
export class NotChecked extends Error {}

/**
 * Verify one evidence file.
 * @param {string | Uint8Array} source the file.
 * @param {{trust?: string | Uint8Array | object | null, rpc?: Function | null, onCheck?: Function}} roots trust: the
 *   trust file or what `parseTrust` made of it; rpc: asks a node (see `rpcAt`); onCheck: told of each check as it ends.
 * @returns {Promise<{checks: {name: string, outcome: string, says: string}[], state: string | null, marks: string[]}>}
 */
export async function verifyEvidence(source, { trust = null, rpc = null, onCheck = () => {} } = {}) {
  const roots = typeof trust === "string" || trust instanceof Uint8Array ? parseTrust(trust) : trust;
  let evidence;
  try {
    evidence = parseEvidence(source);
  } catch (error) {
    return reportOfBroken("format", error, onCheck);
  }
  try {
    checkEntry(evidence.entry);
  } catch (error) {
    return reportOfBroken("entry", error, onCheck);
  }
  const chain = rpc && roots ? new ChainView(rpc, roots) : null;
  return new Verification(evidence, roots, chain, onCheck).report();
}

/** The report on a file that is not in the format, or whose entry is none: nothing else can be looked at. */
function reportOfBroken(name, error, onCheck) {
  if (!(error instanceof ContractsError)) throw error;
  const checks = CHECK_NAMES.map((other) => {
    if (other === name) return { name, outcome: "failed", says: error.message };
    if (other === "format") return { name: other, outcome: "passed", says: "the file is in its one canonical form" };
    return { name: other, outcome: "not_checked", says: `rests on the check ${name}` };
  });
  checks.forEach((check) => onCheck(check));
  return { checks, state: null, marks: [] };
}

/** One run over one evidence, from the gateway's signature outwards. */
class Verification {
  constructor(evidence, trust, chain, onCheck) {
    Object.assign(this, evidence);
    this.trust = trust;
    this.chain = chain;
    this.onCheck = onCheck;
    this.outcomes = {};
    this.signed = null;
    this.superRoot = null;
    this.isKeyOnChain = false;
    this.hasKeyEnded = false;
    this.isContested = false;
    this.anchoredAt = null;
    this.witnessed = null;
  }

  async report() {
    const steps = [
      ["format", () => "the file is evidence in its one canonical form"],
      ["entry", () => this.checkEntry()],
      ["checkpoint", () => this.checkCheckpoint()],
      ["inclusion", () => this.checkInclusion()],
      ["detail", () => this.checkDetail()],
      ["super_signature", () => this.checkSuperSignature()],
      ["super_inclusion", () => this.checkSuperInclusion()],
      ["witnesses", () => this.checkWitnesses()],
      ["anchor", () => this.checkAnchor()],
      ["finality", () => this.checkFinality()],
      ["gateway_key", () => this.checkGatewayKey()],
      ["assignment", () => this.checkAssignment()],
      ["origin", () => this.checkOrigin()],
    ];
    const checks = {};
    for (const [name, step] of steps) {
      checks[name] = await runStep(name, step);
      this.outcomes[name] = checks[name].outcome;
      await this.onCheck(checks[name]);
    }
    return { checks: CHECK_NAMES.map((name) => checks[name]), state: this.state(), marks: this.marks() };
  }

  hasPassed(name) {
    return this.outcomes[name] === "passed";
  }

  needs(...names) {
    for (const name of names) {
      if (!this.hasPassed(name)) throw new NotChecked(`rests on the check ${name}, which has not passed`);
    }
  }

  state() {
    if (Object.values(this.outcomes).includes("failed")) return null;
    if (!this.log) return "recorded";
    if (this.hasPassed("finality")) return "final";
    return this.hasPassed("anchor") ? "anchored" : "logged";
  }

  marks() {
    const binding = this.assignment?.binding;
    const suspectFrom = this.anchoredAt === null ? null : 1000n * (this.anchoredAt + TIME_TOLERANCE_S);
    const isSound = !Object.values(this.outcomes).includes("failed");
    const marks = [
      ["detail redacted", this.detail === "redacted"],
      [`key class ${this.log?.key.keyClass}`, this.log],
      ["binding not confirmed", binding && !binding.confirmed],
      ["binding contested", this.isContested],
      ["key ended", this.hasKeyEnded],
      ["time-suspect", suspectFrom !== null && this.entry.observedAtMs > suspectFrom],
      [this.witnessed, this.witnessed !== null],
      ["origin unknown", isSound && !this.hasPassed("origin")],
    ];
    return marks.filter(([, isSet]) => isSet).map(([mark]) => mark);
  }

  // What the gateway said.

  checkEntry() {
    const { quantity, value } = this.entry;
    return `${quantity} = ${value} ${unitOf(quantity) ?? ""}`.trimEnd();
  }

  async checkCheckpoint() {
    const log = this.requireLog();
    const signed = await openCheckpoint(log.checkpoint, log.key.publicKey);
    if (signed.origin !== log.origin || signed.size !== log.size) {
      throw new ContractsError(`the file names ${log.origin} at ${log.size}, its checkpoint ${signed.origin} at ${signed.size}`);
    }
    this.signed = signed;
    return `signed by the gateway's key over the first ${log.size} entries of ${log.origin}`;
  }

  checkInclusion() {
    const log = this.requireLog();
    this.needs("checkpoint");
    verifyInclusion(leafHash(encodeEntry(this.entry)), log.index, log.size, log.path, this.signed.root);
    return `the entry is number ${log.index} of the log`;
  }

  checkDetail() {
    const hasBytes = !isZero(this.entry.detailDigest) && !hasRawDetail(this.entry.kind);
    if (this.log) this.needs("inclusion");
    if (this.detail === null && !hasBytes) return "the entry has no detail beside its seven words";
    if (this.detail === null || !hasBytes) {
      throw new ContractsError("the file's detail and the entry disagree on whether there is one");
    }
    if (this.detail === "redacted") throw new NotChecked("the detail is withheld; the entry's digest of it stands");
    if (!equalBytes(sha256(encodeDetail(this.detail)), this.entry.detailDigest)) {
      throw new ContractsError("the detail is not the one whose digest the entry holds");
    }
    return "the detail is the one whose digest the entry holds";
  }

  // What the super-log and its witnesses said.

  async checkSuperSignature() {
    const proof = this.requireSuper();
    if (this.trust && proof.origin !== this.trust.superLogOrigin) {
      throw new ContractsError(`the file names super-log ${excerpt(proof.origin)}, you trust ${this.trust.superLogOrigin}`);
    }
    const said = this.trust
      ? await openSuperlog(proof.note, this.trust.superLogOrigin, this.trust.superLogKey)
      : parseSuperlog(proof.note);
    if (said.origin !== proof.origin || said.size !== proof.size) {
      throw new ContractsError(`the file names ${proof.origin} at ${proof.size}, its note ${said.origin} at ${said.size}`);
    }
    this.superRoot = said.root;
    if (!this.trust) throw new NotChecked("whose super-log this is, only a trust file tells");
    return `signed by the super-log you trust, over ${proof.size} checkpoints`;
  }

  checkSuperInclusion() {
    const proof = this.requireSuper();
    this.needs("checkpoint");
    if (!this.superRoot) throw new NotChecked("rests on the check super_signature, which has not passed");
    verifyInclusion(leafHash(superlogLeaf(this.signed)), proof.index, proof.size, proof.path, this.superRoot);
    return `the gateway's checkpoint is number ${proof.index} of the super-log`;
  }

  async checkWitnesses() {
    const proof = this.requireSuper();
    const { policy } = this.requireTrust();
    if (!policy.witnesses.length) throw new NotChecked("the trust file names no witnesses");
    this.needs("super_signature");
    const count = await verifyCosignatures(proof.note, policy);
    this.witnessed = `witnessed ${count} of ${policy.witnesses.length}`;
    if (count < policy.quorum) throw new ContractsError(`${this.witnessed}; your trust file asks for ${policy.quorum}`);
    return this.witnessed;
  }

  // What the chain says.

  async checkAnchor() {
    const [proof, anchor] = this.requireAnchor();
    this.needs("checkpoint");
    if (this.outcomes.super_signature !== "failed") {
      this.needs("super_inclusion");
      verifyConsistency(proof.size, this.superRoot, anchor.size, anchor.root, anchor.path);
    }
    const trust = this.requireTrust();
    this.needs("super_signature");
    if (anchor.chainId !== trust.chainId || !equalBytes(anchor.contract, trust.anchorLog)) {
      throw new ContractsError(`anchored at 0x${toHex(anchor.contract)} on chain ${anchor.chainId}, which you do not trust`);
    }
    this.anchoredAt = await this.requireChain().anchoredAt(anchor);
    if (this.anchoredAt === null) throw new ContractsError(`the chain knows no such anchor in block ${anchor.block}`);
    return `the super-log's root stands on chain ${anchor.chainId} in block ${anchor.block}`;
  }

  async checkFinality() {
    const [, anchor] = this.requireAnchor();
    this.needs("anchor");
    const finalized = await this.requireChain().finalizedBlock();
    if (finalized < anchor.block) throw new NotChecked(`block ${anchor.block} is not final yet, ${finalized} is`);
    return `block ${anchor.block} is final`;
  }

  async checkGatewayKey() {
    const log = this.requireLog();
    this.needs("checkpoint");
    if (this.outcomes.anchor !== "failed") checkKeyRange(log.key, this.anchor);
    const registered = checkKey(log, await this.requireChain().gatewayKey(log.origin, log.key.publicKey));
    if (registered.toBlock !== null) {
      if (this.anchor) this.needs("anchor");
      checkKeyEnd(registered.toBlock, this.anchor);
      this.hasKeyEnded = true;
    }
    this.isKeyOnChain = true;
    return `the Registry holds the key (${log.key.keyClass}) for this log since block ${log.key.fromBlock}`;
  }

  async checkAssignment() {
    const log = this.requireLog();
    const { assignment } = this;
    this.needs("inclusion");
    if (!assignment) {
      if ([KIND.GATEWAY, KIND.BEACON].includes(this.entry.kind)) throw new NotChecked("the gateway speaks of itself");
      throw new ContractsError("the file does not say that the device belongs to this log; a neighbour's might not");
    }
    checkAssignmentClaim(this.entry, log, assignment);
    const chain = this.requireChain();
    checkAssignment(log, assignment, await chain.assignments(assignment.device));
    if (!assignment.binding) return "the Registry gives the device to this log";
    this.isContested = checkBinding(assignment.binding, await chain.bindings(assignment.device)).contested;
    return `the Registry gives the device to this log, and to ${toHex(assignment.binding.unit).slice(0, 16)}…`;
  }

  checkOrigin() {
    this.requireTrust();
    if (Object.values(this.outcomes).includes("failed")) {
      throw new NotChecked("a check has failed: whatever is vouched for, it is not this");
    }
    if (this.hasPassed("super_signature") && this.hasPassed("super_inclusion")) {
      return "vouched for by the super-log you trust";
    }
    if (this.isKeyOnChain) return "vouched for by the Registry you trust";
    throw new NotChecked("internally consistent, origin unknown: nothing that you trust vouches for it yet");
  }

  // What the checks need to be made at all.

  requireLog() {
    if (!this.log) throw new NotChecked("the entry is recorded, but no checkpoint holds it yet; ask again later");
    return this.log;
  }

  requireSuper() {
    if (!this.superProof) throw new NotChecked("the super-log does not hold the checkpoint yet; ask again later");
    return this.superProof;
  }

  requireAnchor() {
    if (!this.anchor) throw new NotChecked("the super-log is not anchored yet; ask again later");
    return [this.requireSuper(), this.anchor];
  }

  requireTrust() {
    if (!this.trust) throw new NotChecked("internally consistent, origin unknown: name your roots by a trust file");
    return this.trust;
  }

  requireChain() {
    if (!this.chain) throw new NotChecked("only the chain knows: name your roots and a node");
    return this.chain;
  }
}

/** One check's outcome: a step answers what it found, or throws why it is wrong or cannot tell. */
export async function runStep(name, step) {
  try {
    return { name, outcome: "passed", says: await step() };
  } catch (error) {
    if (error instanceof NotChecked || error instanceof RpcError) {
      return { name, outcome: "not_checked", says: error.message };
    }
    if (error instanceof ContractsError) return { name, outcome: "failed", says: error.message };
    throw error;
  }
}
