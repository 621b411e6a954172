/** Screen: what is on this phone alone, what the cloud has, and what became of it. Never a spinner, never a guess. */

import { instant } from "../clock.js";
import { action, h, notice } from "../dom.js";
import { offer, visitArchive } from "../export.js";
import { signedAboutOrders, states, step } from "../outbox.js";
import { photosWithBytes, visitOf } from "../visits.js";
import { kept } from "../work.js";
import { reason, told } from "./order.js";

export async function show(app) {
  const { say } = app;
  const area = h("div", { class: "outbox" });
  const draw = async () => area.replaceChildren(...(await parts(app)));
  await draw();
  const redraw = () => draw().catch(app.failed);
  document.addEventListener("outbox", redraw);
  return { title: say("outbox.title"), body: [area], stop: () => document.removeEventListener("outbox", redraw) };
}

async function parts(app) {
  const { say } = app;
  const timezone = (await kept())?.file.site.timezone;
  const rows = (await states()).sort((a, b) => Number(a.sent) - Number(b.sent) || b.at - a.at);
  const words = (await signedAboutOrders()).reverse();
  const unsent = rows.filter((row) => row.isOpen);
  const unsaid = words.filter((row) => row.state !== "sent");
  const bytes = unsent.reduce((sum, row) => sum + row.bytesWaiting, 0) + unsaid.reduce((sum, row) => sum + row.bytes, 0);
  const waiting = unsent.length + unsaid.length;
  const head = waiting
    ? h("section", { class: "card head", role: "status" },
        h("p", { class: "word" }, say("outbox.safe", { n: waiting })), h("p", {}, say("outbox.bytes", { size: size(bytes) })))
    : h("section", { class: "card head", role: "status" }, h("p", { class: "word" }, rows.length + words.length ? say("outbox.clear") : say("outbox.empty")));
  const cards = await Promise.all(rows.map(async (row) => card(app, row, await visitOf(row.visit), timezone)));
  return [
    head,
    waiting && !app.isPersistent ? notice("warn", say("outbox.fragile")) : "",
    waiting ? h("div", { class: "actions" }, sendNow(app)) : "",
    ...words.map((row) => wordCard(app, row, timezone)),
    ...cards,
  ];
}

function sendNow(app) {
  return action(app.say("outbox.send"), async () => {
    app.announce(app.say("outbox.sending"));
    const outcome = await step({ now: true });
    await app.show();
    document.getElementById("main").dataset.outcome = outcome;
    app.announce(app.say({ sent: "outbox.done_now", failed: "outbox.failed_now" }[outcome] ?? "outbox.idle_now"), outcome === "failed" ? "warn" : "calm");
  }, { failed: app.failed, id: "send" });
}

function card(app, row, visit, timezone) {
  const { say } = app;
  const when = instant(row.at, { timezone, tag: app.tag });
  const why = row.why ? h("p", { class: "warn" }, reason(app, row.why)) : "";
  return h("section", { class: "card sent", "data-digest": row.digest, "data-state": row.sent ? "sent" : row.refused ? "refused" : "waiting" },
    h("h2", {}, app.title(visit.device.title)),
    h("p", { class: "quiet" }, `${when} · ${row.digest.slice(0, 8)}`),
    h("ul", { class: "states" }, statesOf(app, row, visit)),
    why,
    !row.isOpen ? "" : h("div", { class: "actions" }, exporter(app, row, visit)));
}

/** Each line says what is known, and no more: the receipt's, then the cloud's own words when it was asked. */
function statesOf(app, row, visit) {
  const { say } = app;
  const line = (tone, words) => h("li", { class: "status", "data-tone": tone }, words);
  const lines = [line(row.sent ? "good" : row.refused ? "bad" : "warn", say(row.sent ? "outbox.sent" : row.refused ? "outbox.refused" : "outbox.waiting"))];
  const swap = row.swap ?? (visit.frozen.swap ? "unsigned" : null);
  if (swap) lines.push(line({ sent: "good", waiting: "warn" }[swap] ?? "bad", say(`swap.${swap}`)));
  if (row.photos) lines.push(line(row.photosSent === row.photos ? "good" : "warn", say("outbox.photos", { sent: row.photosSent, all: row.photos })));
  if (row.gone) lines.push(line("bad", say("outbox.gone", { n: row.gone })));
  if (row.told?.state === "judged") lines.push(line(row.told.level ? "good" : "warn", say("outbox.judged", { level: row.told.level })));
  if (row.told?.chain === "recorded" || row.told?.chain === "paid") lines.push(line("good", say(`outbox.${row.told.chain}`)));
  return lines;
}

function exporter(app, row, visit) {
  return action(app.say("outbox.export"), async () => {
    const photos = await photosWithBytes(visit);
    offer(visitArchive({ digest: row.digest, bundle: visit.bundle, swap: visit.swap, photos }));
  }, { kind: "button second", failed: app.failed });
}

function size(bytes) {
  return bytes < 100_000 ? `${Math.max(1, Math.round(bytes / 1000))} KB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

/** A word about a work order: small, and sent before everything else. */
function wordCard(app, row, timezone) {
  const { say } = app;
  const { tone, words } = told(app, row);
  return h("section", { class: "card sent", "data-digest": row.digest, "data-state": row.state },
    h("h2", {}, h("a", { href: `#/order/${row.order}` }, `${say(`order.signed.${row.what}`)} · ${app.title(row.title)}`)),
    h("p", { class: "quiet" }, `${instant(row.at, { timezone, tag: app.tag })} · ${row.digest.slice(0, 8)}`),
    h("ul", { class: "states" }, h("li", { class: "status", "data-tone": tone }, words)));
}
