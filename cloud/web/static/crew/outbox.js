/**
 * The outbox: what is still on this phone alone, and what the cloud has. It calls nothing sent before the cloud's answer
 * named the very digest, and nothing judged or on the chain before the cloud said so when asked. What was refused stays,
 * with the reason. Sending twice is harmless: the cloud keeps a visit by its digest and a photo by its hash.
 *
 * The browser's word on being online is never believed: it is tried at the start, when the page comes to the front, after
 * a growing pause, and by the button.
 */

import { all, atomically, get, note } from "./store.js";

const ANSWER_MS = 60_000;
const PAUSE_MS = 5_000;
const PAUSE_MAX_MS = 5 * 60_000;
const REFUSED_PAUSE_MS = 6 * 3_600_000;
const ASK_PAUSE_MS = 60_000;
const ASK_PAUSE_MAX_MS = 24 * 3_600_000;
const SETTLED_ASKED_MS = 7 * 86_400_000;
const ASKED_MS = 90 * 86_400_000;
const SLOWEST_BYTES_PER_MS = 2;
const LOCK = "minglou-crew-outbox";

/** What a row begins as. */
export const waitingRow = (row) =>
  ({ bytes: row.body?.length ?? 0, at: Date.now(), ...row, state: "waiting", receipt: null, tries: 0, nextAt: 0, why: null, told: null });

/** What the cloud takes only of a visit that it keeps. */
const BESIDE = ["swap", "photo"];

/** Rows for a visit that was just signed: the visit itself, its meter swap, each of its photos. Put them with the visit's own step. */
export function sendsOf(visit) {
  const { digest } = visit.frozen;
  const common = { visit: visit.id, digest, at: visit.endedAtS * 1000 };
  const photos = Object.values(visit.answers).flatMap((said) => said.photos);
  return [
    waitingRow({ key: digest, kind: "visit", bytes: visit.bundle.length, ...common }),
    ...(visit.swap ? [waitingRow({ key: `${digest}/swap`, kind: "swap", bytes: visit.swap.length, ...common })] : []),
    ...photos.map(({ sha256, bytes }) => waitingRow({ key: `${digest}/${sha256}`, kind: "photo", sha256, bytes, ...common })),
  ];
}

/** What was signed about work orders, oldest first. */
export async function signedAboutOrders() {
  return (await all("sends")).filter((row) => row.order).sort((one, other) => one.at - other.at);
}

/** What this phone holds, by visit; `isOpen` where something of it is on this phone alone, `gone` photos that are nowhere. */
export async function states() {
  const rows = await all("sends");
  return rows
    .filter((row) => row.kind === "visit")
    .map((row) => {
      const beside = rows.filter((one) => BESIDE.includes(one.kind) && one.digest === row.digest);
      const photos = beside.filter((one) => one.kind === "photo");
      const waiting = [row, ...beside].filter((one) => ["waiting", "refused"].includes(one.state));
      return {
        digest: row.digest,
        visit: row.visit,
        sent: row.state === "sent",
        refused: row.state === "refused",
        photos: photos.length,
        photosSent: photos.filter((one) => one.state === "sent").length,
        swap: beside.find((one) => one.kind === "swap")?.state ?? null,
        isOpen: waiting.length > 0,
        gone: [row, ...beside].filter((one) => one.state === "gone").length,
        bytesWaiting: waiting.reduce((sum, one) => sum + one.bytes, 0),
        why: waiting.find((one) => one.why)?.why ?? null,
        told: row.told,
        at: row.at ?? 0,
      };
    });
}

/**
 * Send what is due, one thing after the other, until nothing is due or the network fails.
 * @param {{now?: boolean, fetcher?: typeof fetch}} how `now`: also what waits for a later attempt.
 * @returns {Promise<"sent" | "idle" | "failed" | "elsewhere">} `elsewhere`: another window of this phone is sending.
 */
export async function step({ now = false, fetcher = fetch } = {}) {
  if (!navigator.locks) return run({ now, fetcher });
  return navigator.locks.request(LOCK, { ifAvailable: true }, (lock) => (lock ? run({ now, fetcher }) : "elsewhere"));
}

async function run({ now, fetcher }) {
  const tried = new Set();
  let outcome = "idle";
  for (;;) {
    const row = nextOf(await all("sends"), tried, now ? Infinity : Date.now());
    if (!row) return outcome;
    tried.add(row.key);
    const answer = row.state === "sent" ? await ask(row, fetcher) : await send(row, fetcher);
    if (answer === "failed") return "failed";
    if (answer === "sent") outcome = "sent";
  }
}

/** Somebody may be trapped: orders first. Visits before what stands beside them; a swap, which is small, before photos. */
const RANKS = ["arrival", "act", "visit", "swap", "photo"];

function nextOf(rows, tried, due) {
  const byKey = new Map(rows.map((row) => [row.key, row]));
  const open = rows.filter((row) => !tried.has(row.key) && row.nextAt <= due);
  const unsent = open.filter((row) => ["waiting", "refused"].includes(row.state) && mayGo(row, byKey));
  unsent.sort((one, other) => RANKS.indexOf(one.kind) - RANKS.indexOf(other.kind) || one.at - other.at);
  return unsent[0] ?? open.find((row) => row.state === "sent" && isAskedFor(row)) ?? null;
}

/** Photos and the swap go after their visit; a word that work is done after the promise that it rests on, once that one has its answer. */
function mayGo(row, byKey) {
  if (BESIDE.includes(row.kind)) return byKey.get(row.digest)?.state === "sent";
  const before = byKey.get(row.after);
  return !before || before.state === "refused" || [...ON_CHAIN, "refused"].includes(before.told?.state);
}

const ON_CHAIN = ["mined", "final", "done"];

/** Whether there may be news of what was sent. What is settled is asked for a while too: a cloud may lose what it had. */
function isAskedFor(row) {
  const forMs = !isSettled(row) ? ASKED_MS : row.kind === "visit" ? SETTLED_ASKED_MS : 0;
  return Boolean(KINDS[row.kind].ask) && Date.now() < row.sentAt + forMs;
}

function isSettled({ kind, told }) {
  if (kind === "act") return ["final", "done", "refused"].includes(told?.state);
  if (kind === "arrival") return told?.chain === "recorded";
  return told?.state === "judged" && told.chain !== "waiting";
}

/**
 * How each kind is handed in, what names it in the receipt, and how to ask what became of it. An act or an arrival is asked
 * about by handing it in again: the cloud then tells where it stands.
 */
const KINDS = {
  visit: { request: visitRequest, named: (body) => body?.digest, ask: (row) => ({ address: `/v1/visits/${row.digest}`, options: {} }) },
  swap: { request: swapRequest, named: (body) => body?.visit },
  photo: { request: photoRequest, named: (body) => body?.sha256 },
  arrival: { request: arrivalRequest, named: (body) => body?.digest, ask: arrivalRequest },
  act: { request: actRequest, named: (body) => body?.act, ask: actRequest },
};

async function send(row, fetcher) {
  const { request, named, ask: isAskable } = KINDS[row.kind];
  const what = await request(row);
  if (!what) return gone(row);
  const answer = await answerOf(fetcher, what.address, what.options, row.bytes);
  const wanted = row.sha256 ?? row.digest;
  if (isGood(answer) && named(answer.body) === wanted) {
    const now = Date.now();
    const told = isAskable ? { ...answer.body, askedAt: now } : null;
    await keep(row, { state: "sent", sentAt: now, receipt: answer.body, why: null, tries: 0, asks: 0, nextAt: now + ASK_PAUSE_MS, told });
    return "sent";
  }
  if (isUnknown(answer) && BESIDE.includes(row.kind)) return lost(row);
  const isFinal = isRefusal(answer) && !(row.kind === "arrival" && answer.status === 404); // the order may come to be followed
  const why = whyOf(answer);
  const pause = isFinal ? REFUSED_PAUSE_MS : pauseAfter(row.tries);
  await keep(row, { state: isFinal ? "refused" : "waiting", why, tries: row.tries + 1, nextAt: Date.now() + pause });
  await note(`send ${row.kind} ${wanted.slice(0, 8)}: ${answer.status} ${why.code}`);
  return isRefusal(answer) ? "refused" : "failed";
}

const isGood = ({ status }) => status === 200 || status === 202;
const isRefusal = ({ status }) => status >= 400 && status < 500 && ![408, 425, 429].includes(status);
const isUnknown = ({ status, body }) => status === 404 && body?.error === "unknown_visit";

/** What was to be sent is no more on this phone: said, and not in the way of what is. */
async function gone(row) {
  await keep(row, { state: "gone", why: { code: "gone", message: "" } });
  await note(`gone: ${row.kind} ${row.key}`);
  return "gone";
}

/** The cloud does not know what it gave a receipt for, as after the loss of its database: all of that visit is sent anew. */
async function lost({ digest }) {
  await atomically(["sends"], async ({ sends }) => {
    for (const row of await sends.all()) {
      if (row.digest === digest && ["visit", ...BESIDE].includes(row.kind) && row.state !== "gone") {
        await sends.put({ ...row, state: "waiting", receipt: null, told: null, tries: 0, nextAt: 0 });
      }
    }
  });
  await note(`the cloud lost ${digest.slice(0, 8)}: it is sent again`);
  document.dispatchEvent(new Event("outbox"));
  return "lost";
}

/** What the answer was instead of a receipt: the cloud's own word and sentence, or ours. */
function whyOf(answer) {
  if (answer.status === 0) return { code: "offline", message: "" };
  if (isGood(answer)) return { code: "no_receipt", message: "" };
  return { code: String(answer.body?.error ?? `http_${answer.status}`), message: String(answer.body?.message ?? "") };
}

async function ask(row, fetcher) {
  const { ask: asking, named } = KINDS[row.kind];
  const { address, options } = asking(row);
  const answer = await answerOf(fetcher, address, options, row.bytes);
  if (answer.status === 0) return "failed";
  if (isUnknown(answer)) return lost(row);
  const now = Date.now();
  const told = isGood(answer) && named(answer.body) === row.digest ? { ...answer.body, askedAt: now } : row.told;
  const asks = (row.asks ?? 0) + 1;
  const pause = isSettled({ ...row, told }) ? ASK_PAUSE_MAX_MS : Math.min(ASK_PAUSE_MAX_MS, ASK_PAUSE_MS * 2 ** Math.min(asks, 12));
  await keep(row, { told, asks, nextAt: now + pause });
  return "asked";
}

const json = (method, address, body) => ({ address, options: { method, headers: { "content-type": "application/json" }, body } });
const posted = (address, body) => json("POST", address, body);

function arrivalRequest(row) {
  return posted("/v1/arrivals", row.body);
}

function actRequest(row) {
  return posted("/v1/relay/act", row.body);
}

async function visitRequest(row) {
  const visit = await get("visits", row.visit);
  return visit?.bundle ? posted("/v1/visits", visit.bundle) : null;
}

async function swapRequest(row) {
  const visit = await get("visits", row.visit);
  return visit?.swap ? json("PUT", `/v1/visits/${row.digest}/swap`, visit.swap) : null;
}

async function photoRequest(row) {
  const photo = await get("photos", [row.visit, row.sha256]);
  if (!photo) return null;
  const headers = { "content-type": photo.type };
  return { address: `/v1/visits/${row.digest}/files/${row.sha256}`, options: { method: "PUT", headers, body: photo.blob } };
}

/** The status, 0 where nobody answered, and the JSON body where there is one. A slow network gets the time it needs. */
async function answerOf(fetcher, address, options, bytes) {
  try {
    const signal = AbortSignal.timeout(ANSWER_MS + bytes / SLOWEST_BYTES_PER_MS);
    const answer = await fetcher(address, { ...options, cache: "no-store", redirect: "error", signal });
    return { status: answer.status, body: await answer.json().catch(() => null) };
  } catch {
    return { status: 0, body: null };
  }
}

async function keep(row, change) {
  await atomically(["sends"], async ({ sends }) => {
    const held = await sends.get(row.key);
    if (held.state !== "sent" || change.state === undefined) await sends.put({ ...held, ...change });
  });
  document.dispatchEvent(new Event("outbox"));
}

function pauseAfter(tries) {
  const pause = Math.min(PAUSE_MAX_MS, PAUSE_MS * 2 ** Math.min(tries, 10));
  return pause * (0.5 + Math.random());
}

/** Keep sending while the page is open: at once, whenever it comes to the front, and after each pause. */
export function keepSending() {
  let timer = 0;
  const attempt = async () => {
    clearTimeout(timer);
    await step().catch(note);
    timer = setTimeout(attempt, PAUSE_MS * (1 + Math.random()));
  };
  for (const event of ["online", "focus", "pageshow"]) addEventListener(event, attempt);
  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && attempt());
  attempt();
}
