/** Screen: who works, which visit it is, and how their presence is shown so far. */

import { CLASSES } from "../../verifier/visit.js";
import { itemsOf, registerItems } from "../../verifier/pack.js";
import { classDue, localDate } from "../clock.js";
import { action, facts, h, notice } from "../dom.js";
import * as keys from "../keys.js";
import { advance, discard, visitOf } from "../visits.js";
import * as work from "../work.js";

export async function show(app, id) {
  const { say } = app;
  const visit = await visitOf(id);
  const title = say("start.title");
  if (!visit) return { title, body: [notice("warn", say("scan.never"))], back: "#/" };
  if (visit.state !== "scanned") return { title, body: [h("a", { class: "button", href: `#/visit/${id}/list` }, say("scan.go_on"))], back: "#/" };
  const held = await work.kept();
  const device = held?.file.devices.find((one) => one.device === visit.device.hash);
  const lists = await listsOf(device?.packs ?? visit.device.packs);
  if (!lists.length) return { title, back: "#/", body: [header(app, visit), notice("warn", say("start.no_pack")), remove(app, id)] };
  const people = await keys.people();
  const due = visit.order ? "repair" : device ? classDue(device.due, localDate(Date.now(), held.file.site.timezone)) : "half-month";
  const rest = h("div", { class: "stack" });
  const choose = (list) => rest.replaceChildren(...forList(app, id, { visit, list, people, due }));
  const first = (visit.device.swap && lists.find(({ pack }) => registerItems(pack))) || lists[0];
  choose(first);
  return { title, back: "#/", body: [header(app, visit), presence(app, visit), lists.length > 1 ? chooser(app, { lists, first, choose }) : "", rest] };
}

/** The lists that this phone holds of a device's, in the order of the work file. */
async function listsOf(names) {
  const held = await Promise.all(names.map(async (name) => ({ name, pack: await work.packOf(name) })));
  return held.filter(({ pack }) => pack);
}

function chooser(app, { lists, first, choose }) {
  const select = h("select", { id: "list" }, lists.map((one) => h("option", { value: one.name, selected: one === first }, app.title(one.pack.title))));
  select.addEventListener("change", () => choose(lists.find(({ name }) => name === select.value)));
  return h("section", { class: "card form" }, h("label", { for: "list" }, app.say("start.list")), select);
}

/** What is chosen of one list, and the step into it. */
function forList(app, id, { visit, list, people, due }) {
  const { say } = app;
  const form = choices(app, { pack: list.pack, people, due });
  const lacks = registerItems(list.pack) && !visit.device.swap ? notice("warn", say("swap.unknown"), h("p", {}, say("swap.unknown_says"))) : "";
  const forward = people.some((one) => one.duty === "mechanic")
    ? h("div", { class: "actions column" }, starter(app, id, { packName: list.name, people, form }), remove(app, id))
    : h("div", { class: "stack" }, noKeys(app), remove(app, id));
  return [lacks, form.element, forward];
}

function header(app, visit) {
  return h("section", { class: "card" }, h("h2", { class: "name" }, app.title(visit.device.title)), h("p", { class: "quiet" }, work.where(app, visit.device)));
}

function presence(app, visit) {
  const { say } = app;
  const hasDisplay = visit.device.kind === "lift"; // beside anything else nobody hangs one
  const hasCode = !hasDisplay || visit.scans.some((scan) => scan.token);
  const scanned = say(!hasDisplay ? "start.presence_fixed" : hasCode ? "start.presence_code" : "start.presence_label");
  const words = visit.nonce ? say("start.presence_nonce") : scanned;
  const more = hasCode ? "" : h("a", { class: "button second", href: `#/scan/${visit.id}/in` }, say("start.scan_display"));
  return h("section", { class: "card" }, facts([say("start.presence"), h("span", { class: "status", "data-tone": hasCode ? "good" : "warn" }, words)]), more);
}

function noKeys(app) {
  return notice("calm", app.say("start.nobody"), h("a", { class: "button", href: "#/people" }, app.say("start.make_key")));
}

function choices(app, { pack, people, due }) {
  const { say } = app;
  const box = (person) => h("label", { class: "choice" }, h("input", { type: "checkbox", name: "people", value: person.alias }), h("span", {}, person.name));
  const mechanics = people.filter((one) => one.duty === "mechanic");
  const managers = people.filter((one) => one.duty === "manager");
  const who = h("fieldset", {}, h("legend", {}, say("start.people")), h("p", { class: "quiet" }, say(pack.people > 1 ? "start.people_says" : "start.people_one")), mechanics.map(box));
  if (mechanics.length === 1) who.querySelector("input").checked = true;
  const manager = h("select", { id: "manager" }, h("option", { value: "" }, say("start.manager_none")), managers.map((one) => h("option", { value: one.alias }, one.name)));
  const classes = pack.classes.map((one) => CLASSES.indexOf(one.class)).map((number) => ({ name: CLASSES[number], number, items: itemsOf(pack, number) }));
  const kind = h("select", { id: "class" }, classes.map((one) =>
    h("option", { value: one.number, selected: one.name === due }, `${say(`class.${one.name}`)} · ${say("start.items", { n: one.items.length })}`)));
  const alone = h("p", { class: "warn", hidden: true }, say("start.alone"));
  const chosen = () => [...who.querySelectorAll("input:checked")].map((one) => one.value);
  const look = () => (alone.hidden = pack.people === 1 || chosen().length !== 1);
  who.addEventListener("change", look);
  look();
  const element = h("section", { class: "card form" },
    h("label", { for: "class" }, say("start.class")), kind,
    mechanics.length ? who : "", mechanics.length ? alone : "",
    managers.length ? [h("label", { for: "manager" }, say("start.manager")), manager] : "");
  return { element, chosen, manager: () => manager.value || null, visitClass: () => Number(kind.value) };
}

function starter(app, id, { packName, people, form }) {
  return action(app.say("start.go"), async () => {
    const [chosen, manager] = [form.chosen(), form.manager()];
    const names = Object.fromEntries(people.filter((one) => [...chosen, manager].includes(one.alias)).map((one) => [one.alias, one.name]));
    const atS = Math.floor(Date.now() / 1000);
    await advance(id, { type: "start", people: chosen, manager, names, visitClass: form.visitClass(), pack: packName, atS });
    app.go(`#/visit/${id}/list`);
  }, { failed: app.failed, id: "start" });
}

function remove(app, id) {
  return action(app.say("start.discard"), async () => {
    await discard(id);
    app.go("#/");
  }, { kind: "button second", failed: app.failed });
}
