/** Screen: work orders, people who are trapped first; then what is due, in the order of its days. */

import { classDue, daysBetween, instant, localDate, mostUrgent, standing } from "../clock.js";
import { action, h, notice, svg } from "../dom.js";
import { signedAboutOrders } from "../outbox.js";
import { openVisits } from "../visits.js";
import * as work from "../work.js";
import { standing as orderStanding } from "./order.js";

const OLD_DAYS = 3;
const RING_DAYS = 15;

export async function show(app) {
  const redraw = () => app.show();
  document.addEventListener("work", redraw);
  return { title: app.say("work.title"), body: await parts(app), stop: () => document.removeEventListener("work", redraw) };
}

async function parts(app) {
  const { say } = app;
  const [held, open] = [await work.kept(), await openVisits()];
  const going = open.length ? [unfinished(app, open, held?.file.site.timezone)] : [];
  if (!held) {
    return [
      ...going,
      notice("calm", say("work.none"), h("p", {}, say("work.none_says"))),
      h("div", { class: "actions" }, h("a", { class: "button", href: "/signin" }, say("work.signin")), refresher(app)),
    ];
  }
  const today = localDate(Date.now(), held.file.site.timezone);
  return [await orders(app, held.file), ...going, age(app, held, today), list(app, held.file, today)];
}

function unfinished(app, visits, timezone) {
  const { say } = app;
  const rows = visits.map((visit) => {
    const place = { started: "list", listing: "list", ended: "sign", asked: "sign" }[visit.state];
    return h("li", {}, h("a", { href: `#/visit/${visit.id}/${place}` },
      h("span", {}, app.title(visit.device.title), " ", h("span", { class: "quiet" }, instant(visit.startedAtS * 1000, { timezone, tag: app.tag }))),
      h("span", { class: "quiet" }, place === "sign" ? say("sign.title") : say(`class.${["repair", "half-month", "quarter", "half-year", "year"][visit.visitClass]}`))));
  });
  return h("section", { class: "card" }, h("h2", {}, say("work.going_on")), h("ul", { class: "rows" }, rows));
}

function age(app, held, today) {
  const { say } = app;
  const zone = { timezone: held.file.site.timezone, tag: app.tag };
  const days = daysBetween(localDate(held.fetchedAtMs, zone.timezone), today);
  return h("div", { class: "aged" },
    h("p", { class: days > OLD_DAYS ? "warn" : "quiet" }, days > OLD_DAYS ? say("work.old", { days }) : say("work.age", { when: instant(held.fetchedAtMs, zone) })),
    refresher(app));
}

function refresher(app) {
  return action(app.say("work.refresh"), async () => {
    const outcome = await work.refresh();
    await app.show();
    app.announce(app.say(`work.${outcome}`), outcome === "fresh" || outcome === "same" ? "calm" : "warn");
  }, { kind: "button second", failed: app.failed });
}

function list(app, file, today) {
  const far = "9999-12-31";
  const rows = file.devices
    .map((device) => ({ device, row: mostUrgent(device.due) }))
    .sort((a, b) => (a.row?.due_on ?? far).localeCompare(b.row?.due_on ?? far) || order(a.device).localeCompare(order(b.device)));
  return h("section", { class: "card" },
    h("h2", {}, app.say("work.devices")),
    h("ul", { class: "rows devices" }, rows.map(({ device, row }) => card(app, device, row, today))));
}

const order = (device) => `${device.place.building?.zh ?? ""} ${device.name}`;

function card(app, device, row, today) {
  const { say } = app;
  const how = row ? standing(row, today) : null;
  const words = !how ? say(device.swap ? "swap.planned" : "work.no_due")
    : how.left < 0 ? say("work.overdue", { n: -how.left })
    : how.left === 0 ? say("work.today") : say("work.left", { n: how.left });
  return h("li", {}, h("div", { class: "clocked" },
    ring(how),
    h("div", {},
      h("p", { class: "name" }, app.title(device.title)),
      h("p", { class: "quiet" }, work.where(app, device)),
      h("p", {}, h("span", { class: "status", "data-tone": how?.tone ?? "quiet" }, words), " ",
        device.due.length ? say(`class.${classDue(device.due, today)}`) : ""))));
}

/** The clock of a half-month as a ring: what is left of it. */
function ring(how) {
  const share = how ? Math.max(0, Math.min(1, how.left / RING_DAYS)) : 0;
  const around = 2 * Math.PI * 20;
  const drawn = `${(around * share).toFixed(1)} ${around.toFixed(1)}`;
  return svg("svg", { class: "ring", viewBox: "0 0 48 48", "aria-hidden": "true", "data-tone": how?.tone ?? "quiet" },
    svg("circle", { cx: 24, cy: 24, r: 20, class: "track" }),
    svg("circle", { cx: 24, cy: 24, r: 20, class: "left", "stroke-dasharray": drawn, transform: "rotate(-90 24 24)" }),
    svg("text", { x: 24, y: 30, "text-anchor": "middle" }, how ? String(Math.abs(how.left)) : "–"));
}

/** Work orders of this crew's devices, as the cloud sorted them. */
async function orders(app, file) {
  if (!file.orders.length) return "";
  const { say } = app;
  const signed = await signedAboutOrders();
  const rows = file.orders.map((order) => {
    const device = file.devices.find((one) => one.device === order.device);
    const { tone, words } = orderStanding(app, order, signed.filter((row) => row.order === order.name));
    return h("li", {}, h("a", { href: `#/order/${order.name}`, "data-order": order.name },
      h("span", { class: "name" }, `${say(`order.cause.${order.cause}`)} · ${app.title(device?.title)}`),
      h("span", { class: "status", "data-tone": tone }, words)));
  });
  return h("section", { class: "card" }, h("h2", {}, say("order.list")), h("ul", { class: "rows" }, rows));
}
