/**
 * The crew app: one page, one screen at a time, chosen by the part of the address behind `#`, which no server sees. It
 * reads and writes this phone's memory only; the outbox alone talks to the cloud, and the work list when it is asked for.
 */

import { h, notice } from "./dom.js";
import { keepSending, signedAboutOrders, states } from "./outbox.js";
import { get, news, note, persist, put } from "./store.js";
import { VisitRefused } from "./visit.js";
import { sweep, thisPhone } from "./visits.js";
import { TAGS, chosenLanguage, speaker } from "./words.js";
import * as work from "./work.js";

const SCREENS = [
  [/^\/?$/, () => import("./screens/scan.js"), "scan"],
  [/^\/d\/([^/]+)(?:\/([^/]+))?$/, () => import("./screens/scan.js"), "scan"],
  [/^\/scan\/([0-9a-f]{32})\/(in|out|new)$/, () => import("./screens/scan.js"), "scan"],
  [/^\/visit\/([0-9a-f]{32})$/, () => import("./screens/start.js"), "scan"],
  [/^\/visit\/([0-9a-f]{32})\/list$/, () => import("./screens/list.js"), "scan"],
  [/^\/visit\/([0-9a-f]{32})\/list\/([A-Za-z0-9.-]{1,32})$/, () => import("./screens/item.js"), "scan"],
  [/^\/visit\/([0-9a-f]{32})\/sign$/, () => import("./screens/sign.js"), "scan"],
  [/^\/exchange\/(mine|help)$/, () => import("./screens/exchange.js"), "people"],
  [/^\/exchange\/(join|ask)\/([0-9a-f]{32})$/, () => import("./screens/exchange.js"), "scan"],
  [/^\/order\/([0-9a-f]{64})$/, () => import("./screens/order.js"), "work"],
  [/^\/order\/([0-9a-f]{64})\/(arrive)$/, () => import("./screens/scan.js"), "work"],
  [/^\/work$/, () => import("./screens/dispatch.js"), "work"],
  [/^\/outbox$/, () => import("./screens/outbox.js"), "outbox"],
  [/^\/enrol(?:\/([0-9a-f]{64}))?$/, () => import("./screens/enrol.js"), "people"],
  [/^\/people$/, () => import("./screens/people.js"), "people"],
];
const SAID_MS = 6_000;
const TABS = [["work", "#/work"], ["scan", "#/"], ["outbox", "#/outbox"], ["people", "#/people"]];

/** What every screen is given. */
class App {
  constructor(choices) {
    this.choices = choices;
    this.isPersistent = false;
    this.setLanguage(chosenLanguage(choices.language));
  }

  setLanguage(language) {
    this.language = language;
    this.tag = TAGS[language];
    this.say = speaker(language);
    document.documentElement.lang = this.tag;
  }

  /** A title given in both languages. */
  title(words) {
    return words ? words[this.language] || words.zh || words.en : "";
  }

  /** Keep a choice of this phone's people: language, text size. */
  async choose(change) {
    this.choices = { ...this.choices, ...change };
    await put("phone", this.choices);
    apply(this);
  }

  go(hash) {
    if (location.hash === hash) return this.show();
    location.hash = hash;
    return undefined;
  }

  /** Say something to whoever does not look, and show it at the foot for a while. */
  announce(words, tone = "calm") {
    const line = document.getElementById("said");
    line.dataset.tone = tone;
    line.textContent = "";
    clearTimeout(this.saying);
    if (!words) return;
    requestAnimationFrame(() => (line.textContent = words));
    this.saying = setTimeout(() => (line.textContent = ""), SAID_MS);
  }

  /** What went wrong, in words; the rest goes into the app's own diary. */
  why(error) {
    if (error instanceof VisitRefused) return this.say(`refused.${error.word}`);
    if (error?.word) return this.say(`problem.${error.word}`, error);
    note(error?.stack ?? error);
    return this.say("app.failed", { why: error?.message ?? String(error) });
  }

  failed = (error) => this.announce(this.why(error), "bad");

  /** The present screen, anew. */
  async show() {
    const number = (this.number = (this.number ?? 0) + 1);
    this.announce("");
    this.stop?.();
    this.stop = null;
    const path = location.hash.slice(1).split("?")[0];
    const [match, load, tab] = routeOf(path);
    let screen;
    try {
      screen = await (await load()).show(this, ...match.slice(1));
    } catch (error) {
      screen = { title: this.say("app.title"), body: [notice("bad", this.why(error))] };
    }
    if (number !== this.number) return screen.stop?.();
    this.stop = screen.stop ?? null;
    draw(this, screen, tab);
    await count(this);
    return undefined;
  }
}

function routeOf(path) {
  for (const [pattern, load, tab] of SCREENS) {
    const match = pattern.exec(path);
    if (match) return [match, load, tab];
  }
  return [[path], SCREENS[0][1], "scan"];
}

function draw(app, screen, tab) {
  const main = document.getElementById("main");
  const heading = h("h1", { id: "title", tabindex: "-1" }, screen.title);
  main.replaceChildren(
    screen.back ? h("a", { class: "back", href: screen.back }, app.say("app.back")) : "",
    screen.above ?? "", heading, ...screen.body,
  );
  document.title = `${screen.title} · ${app.say("app.title")}`;
  const tabs = TABS.map(([name, address]) =>
    h("a", { href: address, "data-tab": name, "aria-current": name === tab ? "page" : null }, h("span", {}, app.say(`nav.${name}`))));
  const nav = document.getElementById("nav");
  nav.setAttribute("aria-label", app.say("nav.label"));
  nav.replaceChildren(...tabs);
  if (app.hasShown) heading.focus({ preventScroll: true });
  app.hasShown = true;
  scrollTo(0, 0);
  document.documentElement.dataset.shown = location.hash;
}

/** How many visits and words about orders are on this phone alone, on the outbox's tab. */
async function count(app) {
  const visits = (await states()).filter((one) => one.isOpen);
  const open = visits.length + (await signedAboutOrders()).filter((row) => row.state !== "sent").length;
  const tab = document.querySelector('[data-tab="outbox"]');
  if (!tab) return;
  tab.querySelector(".badge")?.remove();
  if (open) tab.append(h("span", { class: "badge", "aria-label": app.say("nav.waiting", { n: open }) }, String(open)));
}

function apply(app) {
  document.documentElement.dataset.view = app.choices.view ?? "normal";
  app.setLanguage(chosenLanguage(app.choices.language));
}

/** An address that a system camera opened offline (/d/CODE#S-T), or that the building's network gave a nonce to. */
function arrive() {
  const scanned = /^\/d\/([^/]+)$/.exec(location.pathname);
  if (scanned) history.replaceState(null, "", `/crew#/d/${scanned[1]}${location.hash ? `/${location.hash.slice(1)}` : ""}`);
  const nonce = /^#nonce=([0-9a-f]{32})$/.exec(location.hash);
  if (!nonce) return null;
  history.replaceState(null, "", "/crew#/");
  return { value: nonce[1], at: Math.floor(Date.now() / 1000) };
}

async function begin() {
  const nonce = arrive();
  const app = new App((await get("phone", "choices")) ?? { key: "choices" });
  app.nonce = nonce;
  apply(app);
  let saved = 0;
  news.addEventListener("kept", () => (document.documentElement.dataset.saved = String((saved += 1))));
  await thisPhone();
  addEventListener("hashchange", () => app.show());
  await app.show();
  document.documentElement.dataset.ready = "yes";
  persist().then((kept) => (app.isPersistent = kept)).catch(() => undefined);
  work.refresh().then((outcome) => outcome === "fresh" && document.dispatchEvent(new Event("work"))).catch(note);
  sweep(Date.now()).catch(note);
  document.addEventListener("outbox", () => count(app).catch(note));
  keepSending();
  installWorker();
}

/** Keep the app on the phone. Where there is no worker (plain http on a LAN), the app works as long as it stays open. */
function installWorker() {
  navigator.serviceWorker?.register("/crew-worker.js", { scope: "/", updateViaCache: "none" }).catch((error) => note(error));
}

begin().catch((error) => {
  const words = chosenLanguage(null) === "en" ? "The app cannot use this phone's memory" : "程序用不了这部手机的存储";
  document.getElementById("main").replaceChildren(notice("bad", `${words}: ${error?.message ?? error}`));
});
