/**
 * From what the screens kept to what is signed: the filled list, the presence proof, the record of eleven words, and at
 * the end the bundle. Each is read back from its own bytes before anybody signs, so that the screen shows what the bytes
 * say and the digest is that of what the screen shows.
 */

import { encodeBundle } from "../verifier/bundle.js";
import { equalBytes, fromHex, fromUtf8, isZero, toHex, utf8 } from "../verifier/bytes.js";
import { encodeChecklist, parseChecklist } from "../verifier/checklist.js";
import { parseUnsignedSwap, signedSwapText, swapBody } from "../verifier/meterswap.js";
import { SWAP_METER, keyIdOf, personDigest } from "../verifier/person.js";
import { encodePresence, parsePresence } from "../verifier/presence.js";
import { sha256 } from "../verifier/sha256.js";
import { CLASSES, COUNTERSIGN_VISIT, VISIT, decodeVisit, encodeVisit, visitDigest, visitToJson } from "../verifier/visit.js";
import { isNoted, meterOf, swapBeside } from "./swap.js";
import { signersOf, tickOf } from "./visit.js";

const NOBODY = new Uint8Array(32);
const TOLERANCE_S = 600;
const SIGNED = "minglou-signed-visit/1";
/** How long a contract may take a signature: a visit may reach the chain long after a dead phone was charged again. */
export const DEADLINE_S = 90 * 86_400;

/**
 * The bytes that nothing changes any more.
 * @param {object} visit in state `ended`.
 * @param {{pack: object, items: object[], challenge: string[], phone: {id: string, number: number, previous: string},
 *          contract: {chainId: string, address: string}, random: (length: number) => Uint8Array}} with what it is made.
 * @returns {object} texts only, as IndexedDB and a reload keep them: {record, checklist, presence, digest, swap, chainId,
 *          contract, number}; `swap` null where no meter takes another's place.
 */
export function freezeRecord(visit, { pack, items, challenge, phone, contract, random }) {
  const meter = meterOf(visit, items);
  const checklist = encodeChecklist(listOf(visit, { items, challenge, meter, salt: toHex(random(16)) }), pack);
  const presence = encodePresence(presenceOf(visit, phone, toHex(random(16))));
  const record = {
    device: fromHex(visit.device.hash, 32),
    plan: fromHex(visit.pack, 32),
    visitClass: visit.visitClass,
    checklist: sha256(checklist),
    startedAtS: visit.startedAtS,
    endedAtS: visit.endedAtS,
    presence: sha256(presence),
    mechanics: visit.people.map((alias) => fromHex(alias, 32)),
    manager: visit.manager ? fromHex(visit.manager, 32) : NOBODY,
    salt: random(16),
  };
  const digest = toHex(visitDigest(record));
  return {
    record: toHex(encodeVisit(record)),
    checklist: fromUtf8(checklist),
    presence: fromUtf8(presence),
    digest,
    swap: meter && swapBeside({ visit, items, meter, digest, chainId: contract.chainId, salt: toHex(random(32)) }),
    chainId: contract.chainId,
    contract: contract.address,
    number: phone.number,
  };
}

/**
 * What stands in the frozen bytes: record, list, presence and swap read back from them, and the digest computed anew.
 * @throws {Error} where they do not belong together.
 */
export function readFrozen(frozen, pack) {
  const record = decodeVisit(fromHex(frozen.record, 352));
  const checklist = parseChecklist(utf8(frozen.checklist), pack);
  const presence = parsePresence(utf8(frozen.presence));
  const digest = visitDigest(record);
  const belongs =
    equalBytes(record.checklist, sha256(utf8(frozen.checklist))) &&
    equalBytes(record.presence, sha256(utf8(frozen.presence))) &&
    toHex(digest) === frozen.digest;
  if (!belongs) throw new Error("the record, its list and its presence proof do not belong together");
  const swap = frozen.swap ? parseUnsignedSwap(frozen.swap) : null;
  const isSwapOfIt = !swap || (toHex(swap.visit) === frozen.digest && isNoted(swap, checklist));
  if (!isSwapOfIt) throw new Error("the swap is not the one that the list notes");
  return { record, checklist, presence, digest, swap };
}

/** How many items ended how, of a list that was read back. */
export function countsOf(checklist) {
  const counts = { ok: 0, adjusted: 0, replaced: 0, fault: 0, absent: 0 };
  for (const item of checklist.items) counts[item.result] += 1;
  return counts;
}

/** The 32 bytes that the signer of this place signs, over the frozen record. */
export function digestToSign(frozen, { index, publicKey, nonce, deadline }) {
  const body = fromHex(frozen.record, 352);
  const record = decodeVisit(body);
  return personDigest({
    chainId: BigInt(frozen.chainId),
    contract: fromHex(frozen.contract.slice(2), 20),
    purpose: index < record.mechanics.length ? VISIT : COUNTERSIGN_VISIT,
    keyId: keyIdOf(publicKey),
    nonce: BigInt(nonce),
    deadline: BigInt(deadline),
    body,
  });
}

/** The 32 bytes that the installer signs beside the visit, over the frozen swap. */
export function swapDigestToSign(frozen, { publicKey, nonce, deadline }) {
  const swap = parseUnsignedSwap(frozen.swap);
  const { chainId, contract } = swap;
  const [keyId, body] = [keyIdOf(publicKey), swapBody(swap)];
  return personDigest({ chainId, contract, purpose: SWAP_METER, keyId, nonce: BigInt(nonce), deadline: BigInt(deadline), body });
}

/** The swap's file, once its installer has signed. */
export const swapFile = (frozen, signature) => signedSwapText(frozen.swap, signature);

/** A signature as the file holds it. */
export function signatureFile({ publicKey, kind, nonce, deadline, signature, authenticatorData, clientData }) {
  return {
    key: toHex(publicKey),
    kind,
    nonce: String(nonce),
    deadline: String(deadline),
    signature: toHex(signature),
    authenticator_data: toHex(authenticatorData),
    client_data: toHex(clientData),
  };
}

/** The bundle's text, once everybody has signed. */
export function bundleOf(visit) {
  return fromUtf8(encodeBundle(partsOf(visit)));
}

/** The same parts with the signatures that there are, null for the others: a file for people, which no cloud takes. */
export const draftOf = (visit) => JSON.stringify(partsOf(visit), null, 1);

/** The swap beside it, signed or not yet; null where there is none. */
export const swapDraftOf = ({ swap, frozen }) => swap ?? frozen.swap ?? null;

function partsOf({ frozen, signatures }) {
  const signed = {
    format: SIGNED,
    chain_id: frozen.chainId,
    contract: frozen.contract,
    visit: visitToJson(decodeVisit(fromHex(frozen.record, 352))),
    signatures,
  };
  return { signed, checklist: JSON.parse(frozen.checklist), presence: JSON.parse(frozen.presence) };
}

/** Photos of a visit in the order of its list; the file names them by place in this row. */
export function photosOf(visit, items) {
  return items.flatMap((item) => visit.answers[item.code]?.photos ?? []);
}

function listOf(visit, { items, challenge, meter, salt }) {
  const photos = photosOf(visit, items);
  const rowOf = new Map(photos.map((photo, row) => [photo.sha256, row]));
  return {
    format: "minglou-checklist/1",
    pack: visit.pack,
    class: CLASSES[visit.visitClass],
    items: items.map(({ code }) => tickOf(code, visit.answers[code], (photo) => rowOf.get(photo.sha256))),
    photos: photos.map(({ sha256: name, dhash, at, bytes, type }) => ({ sha256: name, dhash, at, bytes, type })),
    challenge,
    ...(visit.parts.length ? { parts: visit.parts } : {}),
    ...(visit.order ? { order: visit.order } : {}),
    ...(meter ? { meter } : {}),
    salt,
  };
}

function presenceOf(visit, phone, salt) {
  const signers = signersOf(visit);
  const mine = signers.map((alias, by) => ({ alias, by })).filter(({ alias }) => !visit.phones?.[alias]);
  const entry = { id: phone.id, number: phone.number, previous: phone.previous };
  return {
    format: "minglou-presence/1",
    device: visit.device.hash,
    salt,
    scans: visit.scans
      .filter((scan) => signers.includes(scan.by) && isWithin(visit, scan.at))
      .map(({ by, ...scan }) => ({ by: signers.indexOf(by), ...scan })),
    ...(visit.nonce && isWithin(visit, visit.nonce.at) ? { nonce: visit.nonce } : {}),
    ...(visit.inside === null ? {} : { inside: visit.inside }),
    phones: [
      ...mine.map(({ by }) => ({ by, ...entry })),
      ...signers.flatMap((alias, by) => (visit.phones?.[alias] ? [{ by, ...visit.phones[alias] }] : [])),
    ].sort((left, right) => left.by - right.by),
  };
}

/** What lies further outside the visit than clocks differ shows nothing about it, and no gateway would take it. */
const isWithin = (visit, at) => at >= visit.startedAtS - TOLERANCE_S && at <= visit.endedAtS + TOLERANCE_S;

/** Whether the record asks for a manager's signature. */
export const isCountersigned = (record) => !isZero(record.manager);
