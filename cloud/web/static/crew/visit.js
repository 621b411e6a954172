/**
 * One visit, from the scanned code to the outbox: a pure state machine. A step takes a visit and an act and answers the
 * visit after it, or refuses; who calls keeps the answer in one transaction and shows it only then.
 *
 *   scanned -> started -> listing -> ended -> asked -> signed -> outbox
 *
 * `ended` closes the list and can be opened again. With `asked` the record is made: its bytes are kept, and whatever happens
 * to the phone, only these bytes are signed and sent, unless the people themselves take out one of them who does not sign:
 * then the record is given up whole and made anew. So no visit has two records that count.
 */

import { RESULTS, lackOf } from "../verifier/checklist.js";
import { reachOf } from "../verifier/pack.js";
import { registerLack } from "./swap.js";

export { RESULTS };
export const STATES = Object.freeze(["scanned", "started", "listing", "ended", "asked", "signed", "outbox"]);
export const NOTE_LENGTH_MAX = 200;
export const SECONDS_MAX = 86_400;
/** How old the scan may be when the visit is started from it. */
const FRESH_S = 3600;
const SCANS_MAX = 16;
export const PARTS_MAX = 20;
export const PART_LENGTH_MAX = 40;
const COUNT_MAX = 999;
const TOLERANCE_S = 600; // by which a scan may lie outside the visit (contracts/presence.py); beyond it nobody takes the visit

/** A step that the visit does not allow. `word` is a key of words.js under `refused.`. */
export class VisitRefused extends Error {
  constructor(word) {
    super(word);
    this.word = word;
  }
}

const STEPS = {
  scan: { from: ["scanned", "started", "listing", "ended"], take: addScan },
  start: { from: ["scanned"], to: "started", take: begin },
  near: { from: ["scanned", "started", "listing", "ended"], take: (visit, { inside }) => ({ ...visit, inside }) },
  join: { from: ["started", "listing", "ended"], take: join },
  leave: { from: ["started", "listing", "ended", "asked"], take: leave },
  answer: { from: ["started", "listing"], to: "listing", take: answer },
  photo: { from: ["started", "listing"], to: "listing", take: addPhoto },
  register: { from: ["started", "listing"], to: "listing", take: setRegister },
  unphoto: { from: ["listing"], take: removePhoto },
  parts: { from: ["started", "listing"], to: "listing", take: setParts },
  end: { from: ["started", "listing"], to: "ended", take: end },
  reopen: { from: ["ended"], to: "listing", take: (visit) => ({ ...visit, endedAtS: null }) },
  freeze: { from: ["ended"], to: "asked", take: freeze },
  sign: { from: ["asked"], take: sign },
  post: { from: ["signed"], to: "outbox", take: (visit, { bundle }) => ({ ...visit, bundle }) },
};

/** Whether the record is not made yet. */
export const isChangeable = ({ state }) => STATES.indexOf(state) < STATES.indexOf("asked");

/** A visit that a scan begins. */
export function newVisit({ id, device, scan, nonce = null, order = null }) {
  return {
    id, device, nonce, order, inside: null, state: "scanned", scans: [scan], people: [], manager: null, visitClass: null, pack: null,
    names: {}, phones: {}, startedAtS: null, endedAtS: null, answers: {}, parts: [], frozen: null, signatures: [], swap: null, bundle: null,
  };
}

/**
 * The visit after an act.
 * @throws {VisitRefused} where its state or the act itself does not allow it.
 */
export function step(visit, act) {
  const { from, to, take } = STEPS[act.type];
  if (!from.includes(visit.state)) throw new VisitRefused("state");
  const after = take(structuredClone(visit), act);
  return { ...after, state: after.state !== visit.state ? after.state : (to ?? visit.state) };
}

/** Aliases of who signs, in the order of the signatures: mechanics, then the site manager. */
export function signersOf(visit) {
  return visit.manager ? [...visit.people, visit.manager] : [...visit.people];
}

/** Whoever scans out after the list was closed was there until then. */
function addScan(visit, { scan }) {
  if (visit.scans.length >= SCANS_MAX) throw new VisitRefused("scans");
  const isOut = visit.state === "ended" && scan.sense === "out";
  const endedAtS = isOut ? checkedEnd(visit, Math.max(visit.endedAtS, scan.at)) : visit.endedAtS;
  return { ...visit, endedAtS, scans: [...visit.scans, scan] };
}

function begin(visit, { people, manager = null, names = {}, visitClass, pack, atS }) {
  if (people.length < 1 || people.length > 2 || new Set([...people, manager]).size !== people.length + 1) {
    throw new VisitRefused("people");
  }
  const [{ at }] = visit.scans;
  if (atS < at || atS - at > FRESH_S) throw new VisitRefused("stale");
  const scans = visit.scans.map((scan) => ({ ...scan, by: scan.by ?? people[0] }));
  return { ...visit, people, manager, names, visitClass, pack, startedAtS: at, scans };
}

/** Somebody with a phone of their own joins: a second mechanic, or the site manager who will confirm. */
function join(visit, { alias, name, manager = false, phone = null, scans = [] }) {
  if (signersOf(visit).includes(alias) || (manager ? visit.manager : visit.people.length === 2)) throw new VisitRefused("people");
  const joined = manager ? { manager: alias } : { people: [...visit.people, alias] };
  const within = scans.filter(({ at }) => at >= visit.startedAtS - TOLERANCE_S && at <= (visit.endedAtS ?? Infinity) + TOLERANCE_S);
  const theirs = within.slice(0, SCANS_MAX - visit.scans.length).map((scan) => ({ ...scan, by: alias }));
  const phones = phone ? { ...visit.phones, [alias]: phone } : visit.phones;
  return { ...visit, ...joined, names: { ...visit.names, [alias]: name }, phones, scans: [...visit.scans, ...theirs] };
}

/**
 * Somebody is taken out again: who joined by mistake, or who does not sign. A record that was made already is given up, and
 * the visit stands before its making again: nobody may make it vanish by keeping his signature back. The next record has a
 * number of its own and names the one that was given up as the one before.
 */
function leave(visit, { alias }) {
  const people = visit.people.filter((one) => one !== alias);
  if (!people.length || !signersOf(visit).includes(alias)) throw new VisitRefused("people");
  const { [alias]: _, ...phones } = visit.phones;
  const manager = visit.manager === alias ? null : visit.manager;
  return { ...visit, people, manager, phones, frozen: null, signatures: [], swap: null, state: visit.state === "asked" ? "ended" : visit.state };
}

function answer(visit, { code, result, value = null, note = "" }) {
  if (!RESULTS.includes(result)) throw new VisitRefused("result");
  if (value !== null && !Number.isSafeInteger(value)) throw new VisitRefused("number");
  const before = visit.answers[code] ?? { photos: [] };
  if (result === "absent" && before.photos.length) throw new VisitRefused("absent_photo");
  const said = { ...before, result, value: result === "absent" ? null : value, note: note.trim().slice(0, NOTE_LENGTH_MAX) };
  return { ...visit, answers: { ...visit.answers, [code]: said } };
}

const unsaid = () => ({ result: null, value: null, note: "", photos: [] });

/** What a meter's display shows, in base units, and which meter came. */
function setRegister(visit, { code, register = null, fresh = null }) {
  const isWhole = register === null || (Number.isSafeInteger(register) && register >= 0);
  const isSpare = fresh === null || visit.device.swap?.spares.some(({ device }) => device === fresh);
  if (!isWhole || !isSpare) throw new VisitRefused("register");
  const before = visit.answers[code] ?? unsaid();
  const said = { ...before, ...(fresh === null ? {} : { fresh }), ...(register === null ? {} : { register, result: before.result ?? "ok" }) };
  return { ...visit, answers: { ...visit.answers, [code]: said } };
}

function addPhoto(visit, { code, photo }) {
  if (visit.answers[code]?.result === "absent") throw new VisitRefused("absent_photo");
  const before = visit.answers[code] ?? unsaid();
  if (before.photos.some((one) => one.sha256 === photo.sha256)) throw new VisitRefused("same_photo");
  const elsewhere = Object.values(visit.answers).some((one) => one.photos.some((each) => each.sha256 === photo.sha256));
  if (elsewhere) throw new VisitRefused("same_photo");
  return { ...visit, answers: { ...visit.answers, [code]: { ...before, photos: [...before.photos, photo] } } };
}

function removePhoto(visit, { code, sha256 }) {
  const before = visit.answers[code];
  const photos = before?.photos.filter((one) => one.sha256 !== sha256) ?? [];
  return before ? { ...visit, answers: { ...visit.answers, [code]: { ...before, photos } } } : visit;
}

/** The parts that were put in, as the record holds them: [{name, count}]. */
function setParts(visit, { parts }) {
  const isWhole = parts.length <= PARTS_MAX && parts.every(({ name, count }) => {
    const isNamed = name === name.trim() && name.length > 0 && name.length <= PART_LENGTH_MAX;
    return isNamed && Number.isSafeInteger(count) && count > 0 && count <= COUNT_MAX;
  });
  if (!isWhole) throw new VisitRefused("parts");
  return { ...visit, parts };
}

function end(visit, { atS, items, challenge }) {
  if (problemsOf(visit, items, challenge).length) throw new VisitRefused("open_items");
  return { ...visit, endedAtS: checkedEnd(visit, atS) };
}

function checkedEnd(visit, atS) {
  if (atS < visit.startedAtS) throw new VisitRefused("clock");
  if (atS - visit.startedAtS > SECONDS_MAX) throw new VisitRefused("too_long");
  return atS;
}

/** Who left after the list was closed may have taken along the code that drew items by lot: it is looked at again. */
function freeze(visit, { frozen, items, challenge }) {
  if (problemsOf(visit, items, challenge).length) throw new VisitRefused("open_items");
  return { ...visit, frozen, signatures: signersOf(visit).map(() => null) };
}

/** The first mechanic who signs on this phone signs the swap in the same step: the two are kept together or not at all. */
function sign(visit, { index, signature, swap = null }) {
  if (visit.signatures[index] !== null) throw new VisitRefused("signed_already");
  const signatures = visit.signatures.map((one, i) => (i === index ? signature : one));
  return { ...visit, signatures, swap: visit.swap ?? swap, state: signatures.every(Boolean) ? "signed" : visit.state };
}

const TONES = { within: "good", near: "warn", beyond: "bad" };
const LACKS = { photo: "photo", value: "number", limit: "outside", absent: "missing" };

/** Whether a measured number is outside its limit (`bad`), so near that it soon will be (`warn`), or `good`; null without. */
export function toneOf(item, value) {
  return item.limit && value !== null && value !== undefined ? TONES[reachOf(item.limit, value)] : null;
}

/** Whether an item cannot be closed without a photo: tests, and the two that nobody could prepare for. */
export function needsPhoto(item, challenge = []) {
  return item.kind === "T" || challenge.includes(item.code);
}

/**
 * What was said of an item, as the list holds it: only what there is. `rowOf` gives each photo its place in the list.
 */
export function tickOf(code, said, rowOf) {
  return {
    code,
    result: said.result,
    ...(said.value === null ? {} : { value: said.value }),
    ...(said.photos.length ? { photos: said.photos.map(rowOf) } : {}),
    ...(said.note ? { note: said.note } : {}),
  };
}

/**
 * Why an item is still open: `missing`, `number`, `outside`, `photo`, `note`, or of a meter's register `register`,
 * `register_low`, `fresh`; null when it is closed.
 */
export function problemOf(item, said, challenge = []) {
  if (!said?.result) return "missing";
  const unread = registerLack(item, said);
  if (unread) return unread;
  const lack = lackOf(tickOf(item.code, said, (_, row) => row), item);
  if (lack) return LACKS[lack];
  if (said.result === "absent") return null;
  if (challenge.includes(item.code) && !said.photos.length) return "photo";
  if (said.result === "fault" && !said.note && !said.photos.length) return "note";
  return null;
}

/** The open items of a list, in its order: [{code, why}]. */
export function problemsOf(visit, items, challenge = []) {
  return items
    .map((item) => ({ code: item.code, why: problemOf(item, visit.answers[item.code], challenge) }))
    .filter((one) => one.why);
}
