/**
 * Screen: one item of the list. A result is shown as kept only after it came to rest on the phone; "OK" then moves on by
 * itself. Swiping and the arrow keys do what the buttons do.
 */

import { h } from "../dom.js";
import { needsOf } from "../needs.js";
import { NOTE_LENGTH_MAX, RESULTS, needsPhoto, problemOf, toneOf } from "../visit.js";
import { openItems, openList } from "../visitlist.js";
import { addPhoto, advance, removePhoto } from "../visits.js";
import { get } from "../store.js";
import { registers } from "./register.js";

const SWIPE_PX = 60;

export async function show(app, id, code) {
  const list = await openList(id);
  const at = list.items.findIndex((item) => item.code === code);
  if (at < 0) throw new Error(`no item ${code} in this list`);
  const screen = { app, id, list, at, item: list.items[at], urls: [] };
  const area = h("div", { class: "item" });
  screen.draw = () => area.replaceChildren(...parts(screen));
  await loadPictures(screen);
  screen.draw();
  const leave = moves(screen, area);
  const { say } = app;
  const words = { n: at + 1, all: list.items.length };
  return {
    title: app.language === "zh" ? screen.item.zh : screen.item.en,
    back: `#/visit/${id}/list`,
    above: h("p", { class: "quiet where" }, `${say(`at.${screen.item.at}`)} · ${say("item.of", words)}`),
    body: [area],
    stop: () => {
      leave();
      screen.urls.forEach((one) => URL.revokeObjectURL(one.url));
    },
  };
}

const saidOf = ({ list, item }) => list.visit.answers[item.code];
const isOpen = ({ list }) => ["started", "listing"].includes(list.visit.state);

function parts(screen) {
  const { app, item, list } = screen;
  const { say } = app;
  const other = app.language === "zh" ? h("p", { class: "other", lang: "en" }, item.en) : h("p", { class: "other", lang: "zh-Hans-CN" }, item.zh);
  const why = problemOf(item, saidOf(screen), list.challenge);
  const isAsked = needsPhoto(item, list.challenge);
  return [
    other,
    h("div", { class: "need" }, needsOf(item, app.language).map(({ lang, text }, at) => h("p", { lang, class: at ? "other" : null }, text))),
    list.shown.has(item.code) ? h("p", { class: "machine status", "data-tone": "good" }, say(item.register ? "swap.machine" : "item.machine")) : "",
    isAsked
      ? h("p", { class: "warn" }, say(item.kind === "T" ? "item.photo_needed" : "item.photo_challenge")) : "",
    item.limit ? measure(screen) : "",
    item.register ? registers(screen, { isOpen: isOpen(screen) }) : "",
    isAsked ? photos(screen) : "",
    results(screen),
    h("p", { class: "kept status", "data-tone": why ? "warn" : "good", hidden: !saidOf(screen)?.result, role: "status" },
      why ? say(`why.${why}`) : say("item.kept")),
    isAsked ? "" : photos(screen),
    notes(screen),
    around(screen),
  ];
}

/** Keep a change, then show it. */
async function keep(screen, change) {
  const { app, id, item, list } = screen;
  try {
    const said = saidOf(screen) ?? { result: null, value: null, note: "" };
    const act = { type: "answer", code: item.code, result: said.result, value: said.value, note: said.note, ...change };
    list.visit = await advance(id, act);
    app.announce("");
    screen.draw();
    return true;
  } catch (error) {
    app.failed(error);
    return false;
  }
}

function results(screen) {
  const { app, item, list } = screen;
  const said = saidOf(screen);
  const buttons = RESULTS.map((result) => {
    const isKept = said?.result === result;
    const button = h("button", { type: "button", class: `result ${result}`, "aria-pressed": String(isKept), "data-result": result, disabled: !isOpen(screen) }, app.say(`result.${result}`));
    button.addEventListener("click", async () => {
      button.dataset.keeping = "";
      const kept = await keep(screen, { result });
      delete button.dataset.keeping;
      if (kept && result === "ok" && !problemOf(item, saidOf(screen), list.challenge)) moveOn(screen);
      else if (kept) document.querySelector(`[data-result="${result}"]`)?.focus();
    });
    return button;
  });
  return h("div", { class: "results", role: "group", "aria-label": app.say("item.result") }, buttons);
}

/** After "OK": the next open item, else the list. */
function moveOn({ app, id, list, at }) {
  const open = openItems(list);
  const next = open.find((item) => list.items.indexOf(item) > at) ?? open[0];
  app.go(next ? `#/visit/${id}/list/${next.code}` : `#/visit/${id}/list`);
}

function measure(screen) {
  const { app, item } = screen;
  const { say } = app;
  const { limit } = item;
  const value = saidOf(screen)?.value ?? null;
  const words = limit.min !== undefined ? say("item.min", { value: shown(limit, limit.min), unit: limit.unit }) : say("item.max", { value: shown(limit, limit.max), unit: limit.unit });
  const tone = toneOf(item, value);
  const input = h("input", { type: "text", inputmode: "decimal", id: "number", autocomplete: "off", value: value === null ? "" : shown(limit, value), "aria-describedby": "limit tone", "data-tone": tone, disabled: !isOpen(screen) });
  const verdict = h("p", { id: "tone", class: "status", "data-tone": tone ?? "quiet", role: "status" }, tone ? say(`tone.${tone}`) : "");
  const look = () => {
    const now = scaled(limit, input.value);
    const how = now === null ? null : toneOf(item, now);
    input.dataset.tone = verdict.dataset.tone = how ?? "quiet";
    verdict.textContent = how ? say(`tone.${how}`) : "";
  };
  input.addEventListener("input", look);
  const form = h("form", { class: "measure" },
    h("label", { for: "number" }, `${say("item.number")} (${limit.unit})`),
    h("p", { id: "limit", class: "quiet" }, words),
    h("div", { class: "beside" }, input, h("button", { class: "button second", disabled: !isOpen(screen) }, say("item.number_keep"))), verdict);
  const save = async () => {
    const now = scaled(limit, input.value);
    if (now === null) return app.announce(say("item.number_bad", { example: shown(limit, limit.min ?? limit.max) }), "bad");
    return now === saidOf(screen)?.value || keepNumber(screen, now);
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    save();
  });
  return form;
}

/** A number may come before the result: the item then stays open. */
async function keepNumber(screen, value) {
  const result = saidOf(screen)?.result;
  if (result) return keep(screen, { value });
  const isGood = toneOf(screen.item, value) !== "bad";
  return keep(screen, { value, result: isGood ? "ok" : "fault" });
}

const shown = ({ factor = 1 }, value) => (value / factor).toFixed(Math.round(Math.log10(factor)));

/** What was typed as an integer in the pack's steps; null where it is no number of that fineness. */
export function scaled({ factor = 1 }, text) {
  const typed = text.trim().replace(",", ".").replace("，", ".").replace("。", ".");
  if (!/^-?\d{1,7}(\.\d{1,4})?$/.test(typed)) return null;
  const value = Math.round(Number(typed) * factor);
  return Math.abs(value / factor - Number(typed)) < 1e-9 ? value : null;
}

async function loadPictures(screen) {
  for (const photo of saidOf(screen)?.photos ?? []) {
    if (screen.urls.some((one) => one.sha256 === photo.sha256)) continue;
    const held = await get("photos", [screen.id, photo.sha256]);
    if (held) screen.urls.push({ sha256: photo.sha256, url: URL.createObjectURL(new Blob([held.blob], { type: held.type })) });
  }
}

function photos(screen) {
  const { app, id, item } = screen;
  const { say } = app;
  const input = h("input", { type: "file", accept: "image/*", capture: "environment", class: "visually-hidden", id: "photo", disabled: !isOpen(screen) });
  const label = h("label", { class: "button second", for: "photo" }, say("item.photo"));
  input.addEventListener("change", async () => {
    const [file] = input.files;
    input.value = "";
    if (!file) return;
    label.dataset.keeping = "";
    try {
      const { reduce } = await import("../photo.js");
      screen.list.visit = await addPhoto(id, item.code, await reduce(file), Math.floor(Date.now() / 1000));
      await loadPictures(screen);
      app.announce(say("item.kept"));
    } catch (error) {
      app.announce(say("item.photo_failed", { why: app.why(error) }), "bad");
    }
    screen.draw();
  });
  const kept = (saidOf(screen)?.photos ?? []).map((photo, n) => {
    const remove = h("button", { type: "button", class: "remove", "aria-label": say("item.photo_remove", { n: n + 1 }), disabled: !isOpen(screen) }, "×");
    remove.addEventListener("click", async () => {
      screen.list.visit = await removePhoto(id, item.code, photo.sha256);
      screen.draw();
    });
    const url = screen.urls.find((one) => one.sha256 === photo.sha256)?.url;
    return h("li", {}, h("img", { src: url, alt: say("item.photo_nth", { n: n + 1 }) }), remove);
  });
  return h("div", { class: "photos" }, label, input, kept.length ? h("ul", { class: "pictures" }, kept) : "");
}

function notes(screen) {
  const { app } = screen;
  const { say } = app;
  const said = saidOf(screen);
  const area = h("textarea", { id: "note", maxlength: NOTE_LENGTH_MAX, rows: 2, disabled: !isOpen(screen) });
  area.value = said?.note ?? "";
  const button = h("button", { type: "button", class: "button second", disabled: !isOpen(screen) || !said?.result }, say("item.note_keep"));
  button.addEventListener("click", () => keep(screen, { note: area.value }));
  return h("details", { class: "note", open: Boolean(said?.note) || said?.result === "fault" }, h("summary", {}, say("item.note")), h("label", { for: "note", class: "visually-hidden" }, say("item.note")), area, button);
}

const neighbour = ({ list, at }, by) => list.items[at + by] ?? null;

function go(screen, by) {
  const item = neighbour(screen, by);
  if (item) screen.app.go(`#/visit/${screen.id}/list/${item.code}`);
}

function around(screen) {
  const { say } = screen.app;
  const link = (item, words, name) => item
    ? h("a", { class: "button second", href: `#/visit/${screen.id}/list/${item.code}`, rel: name }, say(words)) : h("span", {});
  return h("nav", { class: "around", "aria-label": say("list.all") }, link(neighbour(screen, -1), "item.previous", "prev"), link(neighbour(screen, 1), "item.next", "next"));
}

/** Swipes and arrow keys, unless somebody is writing. Answers what ends them. */
function moves(screen, area) {
  let from = null;
  const begin = (event) => (from = event.touches.length === 1 ? event.touches[0] : null);
  const end = (event) => {
    if (!from) return;
    const to = event.changedTouches[0];
    const [across, down] = [to.clientX - from.clientX, to.clientY - from.clientY];
    from = null;
    if (Math.abs(across) > SWIPE_PX && Math.abs(across) > 2 * Math.abs(down)) go(screen, across < 0 ? 1 : -1);
  };
  const key = (event) => {
    if (/^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement?.tagName) || event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "ArrowRight") go(screen, 1);
    if (event.key === "ArrowLeft") go(screen, -1);
  };
  area.addEventListener("touchstart", begin, { passive: true });
  area.addEventListener("touchend", end, { passive: true });
  document.addEventListener("keydown", key);
  return () => document.removeEventListener("keydown", key);
}
