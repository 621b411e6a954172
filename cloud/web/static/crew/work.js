/**
 * What the cloud told this phone about its site: lifts and their labels, lists, due days, the firm's people. Asked for when
 * there is a network and kept; everything else works from what is kept, and says how old it is.
 */

import { toHex, utf8 } from "../verifier/bytes.js";
import { labelDigest } from "../verifier/label.js";
import { parsePack } from "../verifier/pack.js";
import { sha256 } from "../verifier/sha256.js";
import { all, atomically, get } from "./store.js";

const FORMAT = "minglou-work/1";
const KEY = "one";
const ANSWER_MS = 20_000;
const DATE_TOLD_S = 12 * 3600;

/** What is kept: {file, fetchedAtMs, etag}, or null before the first time. */
export const kept = async () => (await get("work", KEY)) ?? null;

/**
 * Ask for news.
 * @returns {Promise<"fresh" | "same" | "signed-out" | "offline">}
 */
export async function refresh() {
  const before = await kept();
  let answer;
  try {
    const headers = before?.etag ? { "if-none-match": before.etag } : {};
    answer = await fetch("/v1/crew/work", { headers, cache: "no-store", signal: AbortSignal.timeout(ANSWER_MS) });
    const aheadS = aheadOf(answer);
    if (answer.status === 304) return await touch(aheadS);
    if (answer.status === 401 || answer.status === 403 || answer.status === 404) return "signed-out";
    if (!answer.ok) return "offline";
    const file = await answer.json();
    if (file.format !== FORMAT) return "offline";
    const packs = await missingPacks(file);
    await atomically(["work", "packs"], async (shelves) => {
      for (const pack of packs) await shelves.packs.put(pack);
      await shelves.work.put({ key: KEY, file, fetchedAtMs: Date.now(), aheadS, etag: answer.headers.get("etag") });
    });
    return "fresh";
  } catch {
    return "offline";
  }
}

async function touch(aheadS) {
  await atomically(["work"], async ({ work }) => work.put({ ...(await work.get(KEY)), fetchedAtMs: Date.now(), aheadS }));
  return "same";
}

/** The lists that the file names and this phone lacks, each as long as its bytes have the named SHA-256. */
async function missingPacks(file) {
  const held = new Set((await all("packs")).map((pack) => pack.sha256));
  const packs = [];
  for (const { url, sha256: name } of file.packs) {
    if (held.has(name)) continue;
    const answer = await fetch(url, { cache: "no-store", signal: AbortSignal.timeout(ANSWER_MS) });
    const text = await answer.text();
    if (!answer.ok || toHex(sha256(utf8(text))) !== name) throw new Error(`list ${name} came damaged`);
    packs.push({ sha256: name, text });
  }
  return packs;
}

/** The list of a SHA-256, parsed; null where this phone does not hold it. */
export async function packOf(name) {
  const held = await get("packs", name);
  return held ? parsePack(utf8(held.text)) : null;
}

/**
 * The lift of a label's code, and the place where the label hangs; null where this phone's work knows no such label.
 * @returns {{device: object, place: string, label: string} | null}
 */
export function deviceOf(file, code) {
  const label = toHex(labelDigest(code));
  for (const device of file.devices) {
    const found = device.labels.find((one) => one.digest === label);
    if (found) return { device, place: found.place, label };
  }
  return null;
}

/** Whether visits can be signed for this site at all, and if not, why: a key of words.js. */
export function whyNoSigning(file) {
  return file.contracts.service_agreements ? null : "work.no_contract";
}

/** What a visit remembers of its device, whatever the work list says later. */
export function deviceFacts(device, file) {
  const { device: hash, name, title, kind, place, packs } = device;
  return { hash, name, title, kind, place, packs, swap: swapFacts(device, file) };
}

/** Of a meter whose place another one waits to take: what the swap is made of, and for which contract. */
function swapFacts({ swap }, { site, contracts }) {
  return swap && contracts.bindings ? { ...swap, contract: contracts.bindings, timezone: site.timezone } : null;
}

/** Seconds that this phone's clock is ahead of the cloud's, by its answer; null where that names no time. */
function aheadOf(answer) {
  const told = Date.parse(answer.headers.get("date") ?? "");
  return Number.isFinite(told) ? Math.round((Date.now() - told) / 1000) : null;
}

/** The same as of the last time that the cloud was asked, while that is news. */
export function clockAhead({ fetchedAtMs, aheadS }, nowMs) {
  return Math.abs(nowMs - fetchedAtMs) < DATE_TOLD_S * 1000 ? (aheadS ?? 0) : 0;
}

/** Building and floor of a device. */
export function where(app, device) {
  const floor = device.place.floor === null ? "" : app.say("floor", { n: device.place.floor });
  return [app.title(device.place.building), floor].filter(Boolean).join(" · ");
}
