/**
 * Work orders: what the cloud last told of them, what was signed on this phone about them, and what the outbox knows of
 * that. Three things are signed, all for the contract: when somebody will be there, that somebody is there, and that the
 * work is done. Each is one transaction; sending is the outbox's.
 */

import { formatAct, personSignature } from "../verifier/act.js";
import { arrivalAt, arrivalDigest, saidOf } from "../verifier/arrival.js";
import { fromHex, fromUtf8, toHex, utf8 } from "../verifier/bytes.js";
import { encodeDetail } from "../verifier/detail.js";
import { keyIdOf, personDigest } from "../verifier/person.js";
import { sha256 } from "../verifier/sha256.js";
import { PURPOSE, body } from "../verifier/work_order.js";
import * as keys from "./keys.js";
import { waitingRow } from "./outbox.js";
import { signatureFile } from "./record.js";
import { all, atomically } from "./store.js";
import { newVisit, step } from "./visit.js";
import { openVisitAt, random } from "./visits.js";
import * as work from "./work.js";

/** How long the contract may take a word that the work is done. */
const DONE_DEADLINE_S = 30 * 86_400;
const MINUTES = { entrapment: [15, 30, 60] };
const MINUTES_ELSE = [30, 60, 120, 240, 480, 1440];

/** Minutes from now that somebody may promise. */
export const promises = ({ cause }) => MINUTES[cause] ?? MINUTES_ELSE;

/** One order as this phone knows it: {order, device, file, rows, visit}; null where its work names no such order. */
export async function orderOf(name) {
  const file = (await work.kept())?.file;
  const order = file?.orders.find((one) => one.name === name);
  const device = file?.devices.find((one) => one.device === order?.device);
  if (!device) return null;
  const rows = (await all("sends")).filter((row) => row.order === name).sort((one, other) => one.at - other.at);
  const visit = (await all("visits")).find((one) => one.order === name) ?? null;
  return { order, device, file, rows, visit };
}

/** What was signed here and still counts: the newest of its kind that was not refused. */
export const signedHere = (rows, what) => rows.findLast((row) => row.what === what && !hasFailed(row)) ?? null;

/** Whether the cloud or the contract said no. */
export const hasFailed = (row) => row.state === "refused" || row.told?.state === "refused";

/** Promise to be there. */
export function promise(known, { person, pin, minutes }) {
  const promiseAt = BigInt(Math.floor(Date.now() / 1000) + minutes * 60);
  const { name, round } = known.order;
  const order = fromHex(name, 32);
  return signAct(known, {
    person, pin, what: "promise", deadline: promiseAt, purpose: PURPOSE.ACCEPT, function: "accept_as_firm",
    body: body.accept({ order, promiseAt, round: BigInt(round) }),
    arguments: { order, promise_at: promiseAt },
    more: { promiseAt: Number(promiseAt) },
  });
}

/**
 * Say that it is done. The contract keeps a digest of what was done; its words, and the name of the repair's visit, stay
 * beside the act on this phone.
 */
export function finish(known, { person, pin, note }) {
  const { order, rows, visit } = known;
  const name = fromHex(order.name, 32);
  const record = visit?.frozen ? { visit: visit.frozen.digest } : {};
  const detail = encodeDetail({ order: order.name, says: note, ...record, salt: toHex(random(16)) });
  const evidence = sha256(detail);
  return signAct(known, {
    person, pin, what: "done", deadline: BigInt(Math.floor(Date.now() / 1000) + DONE_DEADLINE_S),
    purpose: PURPOSE.DONE, function: "finish",
    body: body.done({ order: name, evidence, round: BigInt(order.round) }),
    arguments: { order: name, evidence },
    more: { detail: fromUtf8(detail), after: order.state === "reported" ? (signedHere(rows, "promise")?.key ?? null) : null },
  });
}

async function signAct({ order, device, file }, { person, pin, what, deadline, purpose, body: signed, more, ...act }) {
  const { signature, nonce, keyId } = await signedBy(file, { person, pin, deadline, purpose, body: signed });
  const text = formatAct({
    chainId: BigInt(file.chain_id), contract: "WorkOrders", address: addressOf(file), function: act.function,
    arguments: { ...act.arguments, signature: personSignature({ keyId, nonce, deadline, ...signature }) },
  });
  const digest = toHex(sha256(utf8(text)));
  const row = { ...waitingRow({ key: `act/${digest}`, kind: "act", digest, body: text }), ...more, what, order: order.name, title: device.title };
  await atomically(["sends"], ({ sends }) => sends.put(row));
  return row;
}

const addressOf = (file) => fromHex(file.contracts.work_orders.slice(2), 20);

async function signedBy(file, { person, pin, deadline, purpose, body: signed }) {
  const publicKey = fromHex(person.public, 64);
  const [nonce, keyId] = [BigInt(Date.now()), keyIdOf(publicKey)];
  const digest = personDigest({ chainId: BigInt(file.chain_id), contract: addressOf(file), purpose, keyId, nonce, deadline, body: signed });
  return { signature: await keys.sign(digest, person.alias, { pin }), nonce, keyId };
}

/**
 * Say that this person is there, by what they scanned. The same scan begins the repair's visit, so that the gateway's word
 * on its code is also its word on the arrival.
 */
export async function arrive({ order, device, file }, { person, pin, scan }) {
  const { by, ...seen } = scan;
  const said = saidOf({ order: order.name, round: order.round, device: order.device, mechanic: person.alias, scan: seen, salt: toHex(random(16)) });
  const deadline = BigInt(scan.at + DONE_DEADLINE_S);
  const signed = body.arrive({
    order: fromHex(order.name, 32), arrival: arrivalDigest(said), at: BigInt(arrivalAt(said)), round: BigInt(order.round),
  });
  const { signature, nonce } = await signedBy(file, { person, pin, deadline, purpose: PURPOSE.ARRIVE, body: signed });
  const text = JSON.stringify({
    ...said, chain_id: file.chain_id, contract: file.contracts.work_orders,
    signature: signatureFile({ publicKey: signature.publicKey, kind: signature.kind, nonce, deadline, ...signature }),
  });
  const digest = toHex(arrivalDigest(said));
  const row = { ...waitingRow({ key: `arrival/${digest}`, kind: "arrival", digest, body: text }), what: "arrival", order: order.name, title: device.title, arrivedAt: scan.at };
  const open = await openVisitAt(order.device);
  await atomically(["sends", "visits"], async ({ sends, visits }) => {
    await sends.put(row);
    const begun = { ...scan, by: person.alias };
    const visit = open
      ? step(await visits.get(open.id), { type: "scan", scan: begun })
      : newVisit({ id: toHex(random(16)), device: work.deviceFacts(device, file), scan: begun, order: order.name });
    await visits.put(visit);
  });
  return row;
}
