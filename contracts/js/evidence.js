/**
 * Evidence: the self-contained file that proves one entry, from its fields to the anchor.
 *
 * Parsing only decides whether the file is in the format; `verifier.js` decides what it proves. The file is
 * canonical JSON, so that no byte of it can change unnoticed.
 */

import { ContractsError, excerpt, utf8 } from "./bytes.js";
import { isCalendarDay } from "./entry.js";
import { Fields } from "./fields.js";
import { parseCanonicalJson } from "./json.js";
import { SIZE_END } from "./tree.js";

export const FORMAT = "minglou-evidence/1";
export const KEY_CLASSES = ["file", "token", "attested"];
export const BINDING_ROLES = ["own", "pool"];
const EVIDENCE_BYTES_MAX = 65536;
const PATH_LENGTH_MAX = 48;
const UINT256_END = 1n << 256n;
const BLOCK_END = 1n << 64n;

/**
 * The evidence in a file.
 * @param {string | Uint8Array} source text or bytes of the file.
 */
export function parseEvidence(source) {
  const length = typeof source === "string" ? utf8(source).length : source.length;
  if (length > EVIDENCE_BYTES_MAX) throw new ContractsError(`evidence has at most ${EVIDENCE_BYTES_MAX} bytes`);
  const names = ["format", "entry", "detail", "log", "assignment", "super", "anchor"];
  const fields = new Fields(parseCanonicalJson(source, true), "", names);
  fields.choice("format", [FORMAT]);
  const evidence = {
    entry: parseEntry(fields),
    detail: parseDetail(fields.raw("detail")),
    log: parseLog(fields),
    assignment: parseAssignment(fields),
    superProof: parseSuper(fields),
    anchor: parseAnchor(fields),
  };
  if ((evidence.superProof && !evidence.log) || (evidence.anchor && !evidence.superProof)) {
    throw new ContractsError("a link without the one below it: anchor needs super, super needs log");
  }
  return evidence;
}

function parseEntry(fields) {
  const names = ["kind", "device", "observed_at_ms", "quantity", "value", "detail_digest", "salt"];
  const entry = fields.within("entry", ...names);
  return {
    kind: entry.integer("kind"),
    device: entry.octets("device", 32),
    observedAtMs: BigInt(entry.integer("observed_at_ms")),
    quantity: entry.text("quantity"),
    value: entry.decimal("value", UINT256_END, -UINT256_END),
    detailDigest: entry.octets("detail_digest", 32),
    salt: entry.octets("salt", 16),
  };
}

function parseDetail(value) {
  if (value === null || value === "redacted" || (typeof value === "object" && !Array.isArray(value))) return value;
  throw new ContractsError('detail is neither an object nor "redacted" nor null');
}

function parseLog(fields) {
  const log = fields.withinOrNull("log", "origin", "index", "size", "path", "checkpoint", "key");
  if (!log) return null;
  const key = log.within("key", "public", "class", "from_block", "to_block");
  return {
    origin: log.text("origin"),
    index: log.decimal("index", SIZE_END),
    size: log.decimal("size", SIZE_END, 1n),
    path: log.octetsList("path", 32, PATH_LENGTH_MAX),
    checkpoint: log.text("checkpoint"),
    key: {
      publicKey: key.octets("public", 64),
      keyClass: key.choice("class", KEY_CLASSES),
      fromBlock: key.decimal("from_block", BLOCK_END),
      toBlock: key.decimalOrNull("to_block", BLOCK_END),
    },
  };
}

function parseAssignment(fields) {
  const names = ["urn", "device", "origin", "first_index", "last_index", "block", "binding"];
  const assignment = fields.withinOrNull("assignment", ...names);
  if (!assignment) return null;
  return {
    urn: assignment.textOrNull("urn"),
    device: assignment.octets("device", 32),
    origin: assignment.text("origin"),
    firstIndex: assignment.decimal("first_index", SIZE_END),
    lastIndex: assignment.decimalOrNull("last_index", SIZE_END),
    block: assignment.decimal("block", BLOCK_END),
    binding: parseBinding(assignment),
  };
}

function parseBinding(assignment) {
  const binding = assignment.withinOrNull("binding", "unit", "role", "from", "to", "confirmed");
  if (!binding) return null;
  const to = binding.textOrNull("to");
  return {
    unit: binding.octets("unit", 32),
    role: binding.choice("role", BINDING_ROLES),
    fromDate: parseDate(binding.text("from")),
    toDate: to === null ? null : parseDate(to),
    confirmed: binding.boolean("confirmed"),
  };
}

/** A boundary date as the number YYYYMMDD. */
function parseDate(text) {
  if (!isCalendarDay(text)) throw new ContractsError(`${excerpt(text)} is no date such as 20261201`);
  return Number(text);
}

function parseSuper(fields) {
  const proof = fields.withinOrNull("super", "origin", "index", "size", "path", "note");
  if (!proof) return null;
  return {
    origin: proof.text("origin"),
    index: proof.decimal("index", SIZE_END),
    size: proof.decimal("size", SIZE_END, 1n),
    path: proof.octetsList("path", 32, PATH_LENGTH_MAX),
    note: proof.text("note"),
  };
}

function parseAnchor(fields) {
  const names = ["chain_id", "contract", "size", "root", "path", "block", "block_hash", "transaction"];
  const anchor = fields.withinOrNull("anchor", ...names);
  if (!anchor) return null;
  return {
    chainId: anchor.decimal("chain_id", BLOCK_END, 1n),
    contract: anchor.octets("contract", 20, "0x"),
    size: anchor.decimal("size", SIZE_END, 1n),
    root: anchor.octets("root", 32),
    path: anchor.octetsList("path", 32, 2 * PATH_LENGTH_MAX),
    block: anchor.decimal("block", BLOCK_END),
    blockHash: anchor.octets("block_hash", 32, "0x"),
    transaction: anchor.octets("transaction", 32, "0x"),
  };
}
