/**
 * Screen: the camera, a photo of the code, or its characters typed. What was read is shown first; nothing moves on by
 * itself.
 */

import { toHex } from "../../verifier/bytes.js";
import { labelDigest, parseLabelCode, parseLabelLink } from "../../verifier/label.js";
import { CLOCK_REFUSED_S, CLOCK_TOLD_S, aheadOfDisplay, classDue, instant, localDate, minutesOff, mostUrgent, standing } from "../clock.js";
import { action, facts, h, notice } from "../dom.js";
import { isInside } from "../geo.js";
import { advance, begin, openVisitAt, visitOf } from "../visits.js";
import * as work from "../work.js";

const EXAMPLE = "4k7m-q2xd-90bz";
const NONCE_S = 600;

export async function show(app, first, second) {
  const { say } = app;
  const more = /^(in|out|new)$/.test(second ?? "") ? { visit: await visitOf(first), sense: second } : null;
  const known = second === "arrive" ? await orderAt(first) : null;
  const given = !more && !known && first && second !== "arrive" ? `${location.origin}/d/${first}${second ? `#${second}` : ""}` : null;
  const area = h("div", { class: "scan" });
  const camera = { stop: () => undefined };
  const screen = { app, area, camera, more, known };
  if (given) await read(screen, given, "camera");
  else open(screen);
  return {
    title: say(more?.sense === "new" ? "swap.scan" : more ? "scan.title_more" : "scan.title"),
    back: known ? `#/order/${first}` : more ? `#/visit/${more.visit.id}/${more.visit.state === "ended" ? "sign" : "list"}` : null,
    body: [area],
    stop: () => camera.stop(),
  };
}

/** What orders need is loaded for them alone: most starts of the app end here, before a lift. */
async function orderAt(name) {
  const { orderOf } = await import("../orders.js");
  return orderOf(name);
}

function open(screen) {
  const { app, area, camera } = screen;
  const { say } = app;
  camera.stop();
  const video = h("video", { playsinline: true, muted: true, "aria-label": say("scan.camera") });
  const torch = h("div", { class: "torch" });
  const trouble = h("p", { class: "warn", hidden: true });
  const said = h("p", { class: "bad", role: "alert" });
  area.replaceChildren(h("div", { class: "viewfinder" }, video, torch), trouble, otherWays(screen, said));
  watch(screen, { video, torch, trouble });
}

async function watch(screen, { video, torch, trouble }) {
  const { app, camera } = screen;
  const { say } = app;
  const cannot = (word) => {
    trouble.hidden = false;
    trouble.textContent = say(`problem.${word}`);
    video.parentElement.hidden = true;
  };
  let isOver = false;
  camera.stop = () => (isOver = true);
  let started;
  try {
    const { start } = await import("../scan.js");
    if (isOver) return;
    started = await start(video, (text) => isOver || read(screen, text, "camera").catch(app.failed), { onProblem: cannot });
  } catch {
    cannot("reader_missing");
    return;
  }
  if (isOver) {
    started.stop();
    return;
  }
  camera.stop = () => {
    isOver = true;
    started.stop();
  };
  if (started.torch) torch.append(torchButton(app, started.torch));
}

function torchButton(app, turn) {
  let on = false;
  const button = h("button", { type: "button", class: "button second", "aria-pressed": "false" }, app.say("scan.torch_on"));
  button.addEventListener("click", async () => {
    on = !on;
    await turn(on);
    button.setAttribute("aria-pressed", String(on));
    button.textContent = app.say(on ? "scan.torch_off" : "scan.torch_on");
  });
  return button;
}

function otherWays(screen, said) {
  const { app } = screen;
  const { say } = app;
  const typed = h("input", { type: "text", id: "code", autocomplete: "off", autocapitalize: "none", spellcheck: "false", placeholder: EXAMPLE });
  const form = h("form", { class: "typed" },
    h("label", { for: "code" }, say("scan.type")), h("div", { class: "beside" }, typed, h("button", { class: "button" }, say("scan.type_go"))), said);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    said.textContent = "";
    read(screen, typed.value, "typed", (words) => (said.textContent = words)).catch(app.failed);
  });
  const file = h("input", { type: "file", accept: "image/*", capture: "environment", class: "visually-hidden", id: "picture" });
  file.addEventListener("change", async () => {
    const { readPicture } = await import("../scan.js");
    const [picture] = file.files;
    file.value = "";
    if (!picture) return;
    try {
      const text = await readPicture(picture);
      if (text) await read(screen, text, "photo", (words) => (said.textContent = words));
      else said.textContent = say("scan.photo_unread");
    } catch (error) {
      said.textContent = app.why(error);
    }
  });
  return h("div", { class: "ways" }, h("label", { class: "button second", for: "picture" }, say("scan.photo")), file, form);
}

/** What the code says: the label, and for a display the moment of its changing code. */
function parse(text) {
  const trimmed = text.trim();
  if (/\/d\//.test(trimmed)) return parseLabelLink(trimmed);
  const [code, moment] = trimmed.split("#");
  return moment ? parseLabelLink(`${location.origin}/d/${parseLabelCode(code)}#${moment}`) : { code: parseLabelCode(trimmed), rotating: null };
}

async function read(screen, text, way, refuse = () => undefined) {
  const { app } = screen;
  const { say } = app;
  let label;
  try {
    label = parse(text);
  } catch {
    refuse(say("scan.malformed", { text: text.slice(0, 40) }));
    return;
  }
  if (screen.more?.sense === "new") return takeNew(screen, label);
  const at = Math.floor(Date.now() / 1000);
  const held = await work.kept();
  const found = held && work.deviceOf(held.file, label.code);
  if (found?.place === "display" && !label.rotating) return refuse(say("scan.moment"));
  screen.camera.stop();
  if (!found) return showUnknown(screen, label);
  const moment = label.rotating ? { slot: label.rotating.slot, token: label.rotating.token } : { label: found.label };
  const scan = { by: null, sense: screen.more?.sense ?? "in", place: label.rotating ? "display" : found.place, way, at, ...moment };
  if (screen.more) return offerMore(screen, found, scan, clockTrouble(app, held, scan));
  if (screen.known) {
    const { arriving } = await import("./order.js");
    const body = await arriving(app, screen.known, found, scan);
    return screen.area.replaceChildren(clockTrouble(app, held, scan)?.element ?? "", ...body, h("div", { class: "actions column" }, again(screen)));
  }
  return offer(screen, held, found, scan);
}

function again(screen) {
  const words = screen.app.say("scan.again");
  return action(words, () => (location.hash === "#/" || screen.more || screen.known ? open(screen) : screen.app.go("#/")), { kind: "button second" });
}

function showUnknown(screen, label) {
  const { say } = screen.app;
  screen.area.replaceChildren(
    notice("warn", say("scan.unknown"), h("p", {}, say("scan.unknown_says"))),
    h("div", { class: "actions column" }, again(screen), h("a", { class: "button second", href: `/d/${label.code}` }, say("scan.public"))));
}

async function offer(screen, held, { device, place }, scan) {
  const { app, area } = screen;
  const { say } = app;
  const { file } = held;
  const trouble = clockTrouble(app, held, scan);
  const open = await openVisitAt(device.device);
  const today = localDate(scan.at * 1000, file.site.timezone);
  const row = mostUrgent(device.due);
  const last = device.last_visit ? instant(device.last_visit.at * 1000, { timezone: file.site.timezone, tag: app.tag }) : say("scan.never");
  const due = row ? h("span", { class: "status", "data-tone": standing(row, today).tone }, say(`class.${classDue(device.due, today)}`)) : say(device.swap ? "swap.planned" : "work.no_due");
  const forward = open
    ? action(say("scan.go_on"), async () => {
        await advance(open.id, { type: "scan", scan: { ...scan, by: open.people[0] } });
        app.go(`#/visit/${open.id}/${open.state === "ended" ? "sign" : "list"}`);
      }, { failed: app.failed })
    : action(say("scan.begin"), async () => {
        const visit = await begin({ device: work.deviceFacts(device, file), scan, nonce: freshNonce(app) });
        askWhere(visit.id, device.fence ?? null);
        app.nonce = null;
        app.go(`#/visit/${visit.id}`);
      }, { failed: app.failed });
  area.replaceChildren(
    h("section", { class: "card found", "aria-live": "polite" },
      h("p", { class: "status", "data-tone": "good" }, say("scan.found")),
      h("h2", { class: "name" }, app.title(device.title)),
      h("p", { class: "quiet" }, [work.where(app, device), say("scan.read_at", { place: say(`place.${scan.place === "display" ? "display" : place}`) })].filter(Boolean).join(" · ")),
      facts([say("scan.last"), last], [say("scan.due"), due])),
    trouble?.element ?? "",
    h("div", { class: "actions column" }, trouble?.isRefused ? "" : [forward, orders(app, file, device)], again(screen)));
}

/**
 * What is wrong with this phone's clock, by the display's code that the camera sees or by the cloud's last answer: a record
 * with times that are minutes off proves no presence. Null where nothing is known to be.
 */
function clockTrouble(app, held, scan) {
  const isSeenNow = scan.token && scan.way === "camera";
  const ahead = isSeenNow ? aheadOfDisplay(scan.slot, scan.at) : work.clockAhead(held, scan.at * 1000);
  if (Math.abs(ahead) < CLOCK_TOLD_S) return null;
  const isRefused = Math.abs(ahead) > CLOCK_REFUSED_S;
  const words = app.say(ahead > 0 ? "scan.clock_ahead" : "scan.clock_behind", { n: minutesOff(ahead) });
  return { isRefused, element: notice(isRefused ? "bad" : "warn", words, h("p", {}, app.say("scan.clock_says"))) };
}

/** Nobody waits for a phone to find itself; a visit whose record is made by then goes without. */
function askWhere(id, fence) {
  isInside(fence)
    .then((inside) => inside === null || advance(id, { type: "near", inside }))
    .catch(() => undefined);
}

/** The gateway's word is of now; an old one shows nothing about this visit. */
function freshNonce({ nonce }) {
  return nonce && nonce.at > Date.now() / 1000 - NONCE_S ? nonce : null;
}

async function offerMore(screen, { device, place }, scan, trouble) {
  const { app, area, more } = screen;
  const { say } = app;
  const wanted = more.visit.device;
  if (device.device !== wanted.hash) {
    const words = { name: app.title(device.title), wanted: app.title(wanted.title) };
    area.replaceChildren(notice("bad", say("scan.other_device", words)), h("div", { class: "actions column" }, again(screen)));
    return;
  }
  const keep = async (by) => {
    await advance(more.visit.id, { type: "scan", scan: { ...scan, by } });
    const visit = await visitOf(more.visit.id);
    app.go(`#/visit/${visit.id}/${{ scanned: "", ended: "sign" }[visit.state] ?? "list"}`.replace(/\/$/, ""));
  };
  const people = more.visit.people.length ? more.visit.people : [null];
  const buttons = people.map((alias) =>
    action(people.length > 1 ? `${say("scan.add")}: ${more.visit.names[alias] ?? ""}` : say("scan.add"), () => keep(alias), { failed: app.failed }));
  area.replaceChildren(
    h("section", { class: "card found" },
      h("h2", { class: "name" }, app.title(device.title)),
      h("p", { class: "quiet" }, say("scan.read_at", { place: say(`place.${scan.place === "display" ? "display" : place}`) }))),
    trouble?.element ?? "",
    h("div", { class: "actions column" }, buttons, again(screen)));
}

/** The meter that comes, by the code on it: one of those that wait for this flat, or none that the gateway would know. */
async function takeNew({ app, area, camera, more, ...screen }, { code }) {
  const { say } = app;
  const { openList } = await import("../visitlist.js");
  const { items } = await openList(more.visit.id);
  const item = items.find(({ register }) => register?.end === "opening");
  const label = toHex(labelDigest(code));
  const found = item?.register.spares.find(({ labels }) => labels.includes(label));
  camera.stop();
  if (found) {
    await advance(more.visit.id, { type: "register", code: item.code, fresh: found.device });
    return app.go(`#/visit/${more.visit.id}/list/${item.code}`);
  }
  area.replaceChildren(
    notice("warn", say("swap.other_meter"), h("p", {}, say("swap.other_meter_says"))),
    h("div", { class: "actions column" }, again({ app, area, camera, more, ...screen })));
  return undefined;
}

/** Work orders that wait at this device: whoever came for one says so there. */
function orders(app, file, { device }) {
  const waiting = file.orders.filter((order) => order.device === device && order.state !== "done");
  return waiting.map((order) => h("a", { class: "button second", href: `#/order/${order.name}` }, `${app.say("order.title")}: ${app.say(`order.cause.${order.cause}`)}`));
}
