/** Screens: one work order, from the machine's or a person's word to its end, and the arrival at it. */

import { instant } from "../clock.js";
import { facts, h, notice } from "../dom.js";
import * as keys from "../keys.js";
import { arrive, finish, hasFailed, orderOf, promise, promises, signedHere } from "../orders.js";
import { step as send } from "../outbox.js";
import { signForm } from "../signer.js";
import { NOTE_LENGTH_MAX } from "../visit.js";
import * as work from "../work.js";
import { WORDS } from "../words.js";

const LOOK_MS = 20_000;
const TOLD_CODES = new Set(Object.keys(WORDS.en).filter((key) => key.startsWith("code.")).map((key) => key.slice(5)));

export async function show(app, name) {
  const { say } = app;
  const title = say("order.title");
  const known = await orderOf(name);
  if (!known) return { title, back: "#/work", body: [notice("calm", say("order.closed"), h("p", {}, say("order.closed_says")))] };
  const clock = h("p", { class: "word", role: "timer" });
  const tick = () => {
    const { tone, words } = standing(app, known.order, known.rows);
    clock.textContent = words;
    clock.className = `word ${tone}`;
  };
  tick();
  const turning = setInterval(tick, LOOK_MS);
  const signed = h("div", {}, history(app, known));
  const look = async () => signed.replaceChildren(history(app, (await orderOf(name)) ?? known));
  const redraw = () => look().catch(app.failed);
  document.addEventListener("outbox", redraw);
  return {
    title: say(`order.cause.${known.order.cause}`),
    back: "#/work",
    body: [head(app, known, clock), signed, ...(await doing(app, known))],
    stop: () => {
      clearInterval(turning);
      document.removeEventListener("outbox", redraw);
    },
  };
}

/**
 * How an order stands now: somebody there, else the clock of people who are trapped, else what was promised.
 * @param {object[]} rows what was signed here about it.
 * @returns {{tone: string, words: string}}
 */
export function standing(app, order, rows, nowS = Date.now() / 1000) {
  const { say } = app;
  if (order.state === "done") return { tone: "good", words: say("order.state.done") };
  const here = signedHere(rows, "arrival");
  const after = order.arrived_after_s ?? (here ? here.arrivedAt - order.seen_at : null);
  if (after !== null) return { tone: "good", words: say("order.arrived", { n: Math.max(0, Math.round(after / 60)) }) };
  const [until, kind] = order.rescue_s === null ? [order.promise_at, "promise"] : [order.seen_at + order.rescue_s, "rescue"];
  if (until === null) return { tone: "warn", words: say(`order.state.${order.state}`) };
  const left = Math.ceil((until - nowS) / 60);
  return left >= 0 ? { tone: "warn", words: say(`order.${kind}_left`, { n: left }) } : { tone: "bad", words: say(`order.${kind}_over`, { n: -left }) };
}

function head(app, { order, device, file }, clock) {
  const { say } = app;
  const when = (atS) => instant(atS * 1000, { timezone: file.site.timezone, tag: app.tag });
  return h("section", { class: "card head" },
    clock,
    h("h2", { class: "name" }, app.title(device.title)),
    h("p", { class: "quiet" }, work.where(app, device)),
    facts(
      [say("order.seen"), when(order.seen_at)],
      [say("order.state"), say(`order.state.${order.state}`)],
      order.promise_at === null ? null : [say("order.promised"), when(order.promise_at)],
    ));
}

/** What was signed on this phone, and what is known of each. */
function history(app, { rows, file }) {
  const { say } = app;
  if (!rows.length) return "";
  const lines = rows.map((row) => {
    const { tone, words } = told(app, row);
    const when = instant(row.at, { timezone: file.site.timezone, tag: app.tag });
    return h("li", { "data-what": row.what, "data-state": hasFailed(row) ? "refused" : row.state },
      h("p", {}, h("b", {}, say(`order.signed.${row.what}`)), " ", h("span", { class: "quiet" }, when)),
      h("p", { class: "status", "data-tone": tone }, words));
  });
  return h("section", { class: "card" }, h("h2", {}, say("order.here")), h("ul", { class: "signers" }, lines));
}

/** Why something was not taken or not sent, in the reader's language as far as we have words for it. */
export function reason({ say }, why) {
  const { code } = why;
  if (["offline", "no_receipt", "gone"].includes(code)) return say(`outbox.why.${code}`);
  return TOLD_CODES.has(code) ? say(`code.${code}`, why) : say("outbox.why.other", why);
}

/** No more than the receipt says, or the cloud when it was asked. */
export function told(app, row) {
  const { say } = app;
  if (row.state === "refused") return { tone: "bad", words: reason(app, row.why) };
  if (hasFailed(row)) return { tone: "bad", words: say("code.refused", row.told) };
  if (row.state !== "sent") return { tone: "warn", words: say("outbox.waiting") };
  const onChain = row.told?.chain === "recorded" || ["mined", "final", "done"].includes(row.told?.state);
  return { tone: "good", words: say(onChain ? "outbox.recorded" : "outbox.sent") };
}

async function doing(app, known) {
  const { say } = app;
  const { order, file, rows } = known;
  if (!file.contracts.work_orders || order.state === "done") return [];
  const people = (await keys.people()).filter((one) => one.duty === "mechanic");
  if (!people.length) return [notice("calm", say("start.nobody"), h("a", { class: "button", href: "#/people" }, say("start.make_key")))];
  const isPromised = order.state === "accepted" || signedHere(rows, "promise");
  return [
    arrival(app, known),
    isPromised ? "" : promising(app, known, people),
    isPromised && !signedHere(rows, "done") ? ending(app, known, people) : "",
  ];
}

function arrival(app, { order, rows, visit }) {
  const { say } = app;
  const going = visit && h("a", { class: "button second", href: addressOf(visit) }, say("order.visit"));
  if (signedHere(rows, "arrival")) return going ? h("div", { class: "actions column" }, going) : "";
  return h("div", { class: "actions column" }, h("a", { class: "button", id: "arrive", href: `#/order/${order.name}/arrive` }, say("order.arrive")), going);
}

function addressOf({ id, state }) {
  const place = { scanned: "", started: "/list", listing: "/list", ended: "/sign", asked: "/sign" }[state];
  return place === undefined ? "#/outbox" : `#/visit/${id}${place}`;
}

function promising(app, known, people) {
  const { say } = app;
  const words = (minutes) => (minutes < 60 ? say("order.minutes", { n: minutes }) : say("order.hours", { n: minutes / 60 }));
  const choice = h("select", { id: "promise" }, promises(known.order).map((minutes) => h("option", { value: minutes }, words(minutes))));
  const give = (person) => async (pin) => {
    await promise(known, { person, pin, minutes: Number(choice.value) });
    await kept(app, known.order);
  };
  return h("section", { class: "card form" },
    h("label", { for: "promise" }, say("order.promise")), choice,
    people.map((person) => signForm(app, person, { words: say("order.accept", { name: person.name }), give: give(person), class: "form", "data-act": "promise" })));
}

function ending(app, known, people) {
  const { say } = app;
  const note = h("textarea", { id: "done-note", maxlength: NOTE_LENGTH_MAX, rows: 2, required: true });
  const give = (person) => async (pin) => {
    const says = note.value.trim();
    if (!says) {
      note.focus();
      return false;
    }
    await finish(known, { person, pin, note: says });
    return kept(app, known.order);
  };
  return h("section", { class: "card form" },
    h("label", { for: "done-note" }, say("order.note")), note,
    people.map((person) => signForm(app, person, { words: say("order.finish", { name: person.name }), give: give(person), id: `done-${person.alias.slice(0, 8)}`, class: "form", "data-act": "done" })));
}

async function kept(app, order) {
  send().catch(app.failed);
  await app.go(`#/order/${order.name}`);
  app.announce(app.say("order.kept"));
}

/** What the scan at an order's device shows, and who signs the arrival. */
export async function arriving(app, known, found, scan) {
  const { say } = app;
  if (found.device.device !== known.order.device) {
    return [notice("bad", say("order.other_device", { name: app.title(found.device.title), wanted: app.title(known.device.title) }))];
  }
  const people = (await keys.people()).filter((one) => one.duty === "mechanic");
  const give = (person) => async (pin) => {
    await arrive(known, { person, pin, scan });
    await kept(app, known.order);
  };
  return [
    h("section", { class: "card found", "aria-live": "polite" },
      h("p", { class: "status", "data-tone": "good" }, say("scan.found")),
      h("h2", { class: "name" }, app.title(found.device.title)),
      h("p", { class: "quiet" }, say("scan.read_at", { place: say(`place.${scan.place}`) }))),
    h("section", { class: "card" }, people.map((person) =>
      signForm(app, person, { words: say("order.here_i_am", { name: person.name }), give: give(person), class: "form", "data-act": "arrival" }))),
  ];
}
