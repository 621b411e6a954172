/**
 * Visits on this phone: every step is one transaction over what it changes, and whoever awaits it may show it.
 */

import { toHex } from "../verifier/bytes.js";
import { checkTogether } from "./keys.js";
import { photosOf, bundleOf, freezeRecord } from "./record.js";
import { sendsOf } from "./outbox.js";
import { all, atomically, get } from "./store.js";
import { VisitRefused, isChangeable, newVisit, step } from "./visit.js";

const FORGOTTEN_MS = 12 * 3_600_000;
const GOING_ON_S = 12 * 3600;
const PHOTOS_KEPT_MS = 7 * 86_400_000;
const VISITS_KEPT_MS = 90 * 86_400_000;
const ME = "me";
const LENT_MAX = 64;

/** Fresh random bytes. */
export const random = (length) => crypto.getRandomValues(new Uint8Array(length));

/** One visit; undefined where there is none. */
export const visitOf = (id) => get("visits", id);

/** Visits that are not in the outbox yet, newest first. */
export async function openVisits() {
  const visits = await all("visits");
  return visits.filter((visit) => visit.state !== "outbox" && visit.state !== "scanned").sort((a, b) => b.startedAtS - a.startedAtS);
}

/** The visit that is going on at a device: one of yesterday is over, and stays among the unfinished ones. */
export async function openVisitAt(hash, nowS = Date.now() / 1000) {
  const isGoingOn = (visit) => visit.device.hash === hash && isChangeable(visit) && visit.startedAtS > nowS - GOING_ON_S;
  return (await openVisits()).find(isGoingOn) ?? null;
}

/** Begin a visit with a scan. */
export async function begin({ device, scan, nonce }) {
  const visit = newVisit({ id: toHex(random(16)), device, scan, nonce });
  await atomically(["visits"], ({ visits }) => visits.put(visit));
  return visit;
}

/** Take one step that touches the visit alone; answers the visit after it, once it is on disk. */
export const advance = (id, act) => atomically(["visits"], ({ visits }) => stepped(visits, id, act));

async function stepped(visits, id, act) {
  const after = step(await visits.get(id), act);
  await visits.put(after);
  return after;
}

/** Keep a reduced photo and its place in the list. */
export function addPhoto(id, code, { bytes, type, sha256, dhash }, atS) {
  const photo = { sha256, dhash, at: atS, bytes: bytes.length, type };
  return atomically(["visits", "photos"], async ({ visits, photos }) => {
    const after = await stepped(visits, id, { type: "photo", code, photo });
    await photos.put({ sha256, visit: id, item: code, type, blob: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) });
    return after;
  });
}

/** Take a photo out of the list and off the phone. */
export function removePhoto(id, code, sha256) {
  return atomically(["visits", "photos"], async ({ visits, photos }) => {
    const after = await stepped(visits, id, { type: "unphoto", code, sha256 });
    await photos.delete([id, sha256]);
    return after;
  });
}

/**
 * Make the record. The phone's own count goes up in the same transaction: after it there is one digest for this visit, and
 * one visit for this number.
 */
export function freeze(id, { pack, items, challenge, contract }) {
  return atomically(["visits", "phone"], async ({ visits, phone }) => {
    const visit = await visits.get(id);
    const me = (await phone.get(ME)) ?? newPhone();
    const next = { id: me.id, number: me.number + 1, previous: me.previous };
    // The step is tried first: a visit that may not be frozen uses up no number.
    step(visit, { type: "freeze", frozen: {}, items, challenge });
    const frozen = freezeRecord(visit, { pack, items, challenge, phone: next, contract, random });
    await phone.put({ ...me, number: next.number, previous: frozen.digest });
    return stepped(visits, id, { type: "freeze", frozen, items, challenge });
  });
}

/**
 * Add a signature; with the last one the visit goes into the outbox, in the same transaction.
 * @param {string | null} swap the swap's file, where the signer signed that as well.
 */
export function addSignature(id, index, signature, swap = null) {
  return atomically(["visits", "sends"], async ({ visits, sends }) => {
    const after = await stepped(visits, id, { type: "sign", index, signature, swap });
    checkTogether(after.signatures.filter(Boolean));
    return after.state === "signed" ? post(visits, sends, after) : after;
  });
}

async function post(visits, sends, visit) {
  const after = await stepped(visits, visit.id, { type: "post", bundle: bundleOf(visit) });
  for (const row of sendsOf(after)) await sends.put(row);
  return after;
}

/** Forget a visit with its photos; one whose record is made stays, for somebody may have signed it. */
export const discard = (id) =>
  atomically(["visits", "photos"], async ({ visits, photos }) => {
    const visit = await visits.get(id);
    if (!visit || !isChangeable(visit)) return;
    for (const photo of Object.values(visit.answers).flatMap((said) => said.photos)) await photos.delete([id, photo.sha256]);
    await visits.delete(id);
  });

/** At the start: forget scans that nobody made a visit of, and what the cloud has had for long. */
export async function sweep(nowMs) {
  const visits = await all("visits");
  const stale = visits.filter((visit) => visit.state === "scanned" && visit.scans[0].at * 1000 < nowMs - FORGOTTEN_MS);
  for (const visit of stale) await discard(visit.id);
  const rows = await all("sends");
  for (const visit of visits.filter((one) => one.state === "outbox")) await thin(visit, rows.filter((row) => row.visit === visit.id), nowMs);
  await forgetWords(rows.filter((row) => row.order), nowMs);
}

/**
 * Photographs of people's homes do not stay on a phone: they go a week after the cloud said that it has all of them and the
 * gateway has judged the visit. The visit itself goes after a quarter of a year. What was not sent stays.
 */
async function thin(visit, rows, nowMs) {
  const since = Math.max(...rows.map((row) => (row.state === "sent" ? row.sentAt : Infinity)));
  const own = rows.find((row) => row.kind === "visit");
  if (nowMs < since + PHOTOS_KEPT_MS || !own) return;
  const isOver = nowMs >= since + VISITS_KEPT_MS;
  if (!isOver && (own.isThin || own.told?.state !== "judged")) return;
  await atomically(["visits", "photos", "sends"], async ({ visits, photos, sends }) => {
    for (const { sha256, kind } of rows) if (kind === "photo") await photos.delete([visit.id, sha256]);
    await sends.put({ ...own, isThin: true });
    if (!isOver) return;
    for (const { key } of rows) await sends.delete(key);
    await visits.delete(visit.id);
  });
}

async function forgetWords(rows, nowMs) {
  const over = rows.filter((row) => row.state === "sent" && nowMs >= row.sentAt + VISITS_KEPT_MS);
  if (over.length) await atomically(["sends"], async ({ sends }) => Promise.all(over.map(({ key }) => sends.delete(key))));
}

/** This installation: made once, kept for good. */
export const thisPhone = async () =>
  (await get("phone", ME)) ??
  atomically(["phone"], async ({ phone }) => {
    const held = await phone.get(ME);
    if (held) return held;
    const made = newPhone();
    await phone.put(made);
    return made;
  });

const newPhone = () => ({ key: ME, id: toHex(random(16)), number: 0, previous: "00".repeat(32) });

/** The visit's photos that are still here, with their bytes, for the export. */
export async function photosWithBytes(visit) {
  const items = Object.keys(visit.answers).map((code) => ({ code }));
  const held = await Promise.all(photosOf(visit, items).map((photo) => get("photos", [visit.id, photo.sha256])));
  return held.filter(Boolean);
}

/**
 * The next number of this phone's own row of visits, taken for good, for a visit that another phone leads: two visits with one
 * number would say that this phone was copied. Gaps are nothing.
 */
export const takeNumber = () =>
  atomically(["phone"], async ({ phone }) => {
    const me = (await phone.get(ME)) ?? newPhone();
    const taken = { id: me.id, number: me.number + 1, previous: me.previous };
    await phone.put({ ...me, number: taken.number });
    return taken;
  });

/**
 * Before this phone signs what another one leads: its number there serves that one record, or the one that was made in place
 * of it, which names it as the one before.
 * @param {string} digest the record's.
 * @param {{by: number, id: string, number: number, previous: string}[]} phones as the record's proof has them.
 * @param {number} by who signs.
 */
export const signedElsewhere = (digest, phones, by) =>
  atomically(["phone"], async ({ phone }) => {
    const me = (await phone.get(ME)) ?? newPhone();
    const entry = phones.find((one) => one.by === by);
    if (entry?.id !== me.id) return;
    const lent = (me.lent ?? []).filter((one) => one.number !== entry.number);
    const used = me.lent?.find((one) => one.number === entry.number)?.digest ?? digest;
    const isSameOrAnew = used === digest || phones.some((one) => one.previous === used);
    if (entry.number > me.number || !isSameOrAnew) throw new VisitRefused("number_used");
    await phone.put({ ...me, previous: digest, lent: [...lent, { number: entry.number, digest }].slice(-LENT_MAX) });
  });
