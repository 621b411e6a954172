/**
 * The bundle: a signed visit with the filled list and presence proof that its record's digests name
 * (contracts/bundle.py). Objects are the files' own JSON; signatures are not verified here.
 */

import { ContractsError, equalBytes, fromHex, toHex, utf8 } from "./bytes.js";
import { parseChecklist } from "./checklist.js";
import { Fields } from "./fields.js";
import { canonicalJson, parseJson } from "./json.js";
import { checkOfVisit, parsePresence } from "./presence.js";
import { sha256 } from "./sha256.js";
import { SIGNATURE_KEYS, signatureOf } from "./signature.js";
import { parseVisit } from "./visit.js";

const FORMAT = "minglou-visit-bundle/1";
const BYTES_MAX = 40 * 1024;
const NOBODY = new Uint8Array(32);

/**
 * The bytes that a phone hands in, from the three files' objects; refused unless they are whole.
 * @param {{signed: object, checklist: object, presence?: object | null}} parts
 */
export function encodeBundle({ signed, checklist, presence = null }) {
  const encoded = utf8(canonicalJson({ format: FORMAT, signed, checklist, ...(presence ? { presence } : {}) }));
  parseBundle(encoded);
  return encoded;
}

/** The bundle of a JSON file, laid out as people like: `{signed, visit, checklist, presence | null}`. */
export function parseBundle(encoded) {
  refuseUnless(encoded.length <= BYTES_MAX, `it has ${encoded.length} bytes; ${BYTES_MAX} is the limit: shorten the notes`);
  const fields = new Fields(parseJson(encoded), "", ["format", "signed", "checklist"], ["presence"]);
  fields.choice("format", [FORMAT]);
  const signed = fields.raw("signed");
  const visit = checkSigned(signed);
  const list = utf8(canonicalJson(fields.raw("checklist")));
  const checklist = parseChecklist(list);
  refuseUnless(equalBytes(sha256(list), visit.checklist), "the list is not the one that was signed; export the visit again");
  const isAsRecorded = equalBytes(fromHex(checklist.pack, 32), visit.plan) && checklist.class === signed.visit.class;
  refuseUnless(isAsRecorded, "the list follows another pack, or is of another class, than the record says");
  const proof = fields.has("presence") ? utf8(canonicalJson(fields.raw("presence"))) : null;
  const presence = proof && parsePresence(proof);
  const isTheOne = equalBytes(proof ? sha256(proof) : NOBODY, visit.presence);
  refuseUnless(isTheOne, "the presence proof is not the one that was signed; export the visit again");
  if (presence) checkOfVisit(presence, visit);
  return { signed, visit, checklist, presence };
}

function checkSigned(value) {
  const fields = new Fields(value, "signed", ["format", "chain_id", "contract", "visit", "signatures"]);
  fields.choice("format", ["minglou-signed-visit/1"]);
  fields.decimal("chain_id", 1n << 64n, 1n);
  fields.octets("contract", 20, "0x");
  const visit = parseVisit(canonicalJson(fields.raw("visit")));
  const signatures = fields.eachWithin("signatures", 3, ...SIGNATURE_KEYS).map((one) => toHex(signatureOf(one).publicKey));
  const signers = visit.mechanics.length + (equalBytes(visit.manager, NOBODY) ? 0 : 1);
  refuseUnless(signatures.length === signers, `${signatures.length} signatures; the record names ${signers} people`);
  refuseUnless(new Set(signatures).size === signers, "one key signs twice");
  return visit;
}

function refuseUnless(holds, reason) {
  if (!holds) throw new ContractsError(`bundle: ${reason}`);
}
