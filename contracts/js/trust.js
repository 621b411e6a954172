/**
 * Trust: the roots a verifier starts from. They never come from the evidence itself.
 */

import { ContractsError } from "./bytes.js";
import { isSuperOrigin } from "./checkpoint.js";
import { Fields } from "./fields.js";
import { parseJson } from "./json.js";

const FORMAT = "minglou-trust/1";
const WITNESSES_MAX = 32;

/** The roots in a trust file, which people may lay out as they like. */
export function parseTrust(source) {
  if (source.length > 65536) throw new ContractsError("trust file has over 65536 bytes");
  const names = ["format", "chain_id", "registry", "anchor_log", "usage_fees", "super_log", "witness_policy"];
  const fields = new Fields(parseJson(source), "", names);
  fields.choice("format", [FORMAT]);
  const superLog = fields.within("super_log", "origin", "key");
  if (!isSuperOrigin(superLog.text("origin"))) throw new ContractsError("trust file: super_log.origin is not HOST/log");
  return {
    chainId: fields.decimal("chain_id", 1n << 64n, 1n),
    registry: fields.octets("registry", 20, "0x"),
    anchorLog: fields.octets("anchor_log", 20, "0x"),
    usageFees: fields.octets("usage_fees", 20, "0x"),
    superLogOrigin: superLog.text("origin"),
    superLogKey: superLog.octets("key", 32),
    policy: parsePolicy(fields.within("witness_policy", "quorum", "witnesses")),
  };
}

function parsePolicy(policy) {
  const witnesses = policy.eachWithin("witnesses", WITNESSES_MAX, "name", "key").map((witness) => ({
    name: witness.text("name"),
    publicKey: witness.octets("key", 32),
  }));
  const quorum = policy.integer("quorum");
  if (quorum < 0 || quorum > witnesses.length) throw new ContractsError(`trust file: quorum ${quorum} can never be met`);
  if (new Set(witnesses.map((witness) => witness.publicKey.join())).size !== witnesses.length) {
    throw new ContractsError("trust file: two witnesses share one key; each must have its own");
  }
  return { quorum, witnesses };
}
