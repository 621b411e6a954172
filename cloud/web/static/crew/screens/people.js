/** Screen: who signs on this phone, and the phone's own choices. */

import { action, h } from "../dom.js";
import * as keys from "../keys.js";
import * as work from "../work.js";

export async function show(app) {
  const { say } = app;
  const [people, held, canPasskey] = [await keys.people(), await work.kept(), await keys.hasPasskeys()];
  return { title: say("people.title"), body: [list(app, people, held), maker(app, canPasskey), choices(app)] };
}

function list(app, people, held) {
  const { say } = app;
  const rows = people.map((person) => h("li", { "data-alias": person.alias },
    h("p", {}, h("b", {}, person.name), " ", h("span", { class: "quiet" }, `${say(`people.duty_${person.duty}`)} · ${say(`sign.kind_${person.kind}`)}`)),
    standing(app, person, held),
    h("div", { class: "actions" }, h("a", { class: "button second", href: `#/enrol/${person.alias}` }, say("people.enrol")))));
  return h("section", { class: "card" }, h("h2", {}, say("people.keys")), people.length ? h("ul", { class: "signers" }, rows) : h("p", { class: "quiet" }, say("people.none")),
    people.length ? h("div", { class: "actions column" },
      h("a", { class: "button second", href: "#/exchange/mine" }, say("exchange.mine")),
      h("a", { class: "button second", href: "#/exchange/help" }, say("exchange.help"))) : "",
    h("p", {}, h("a", { href: "#/enrol" }, say("enrol.office"))));
}

function standing(app, person, held) {
  const known = held?.file.people?.some((one) => one.alias === person.alias);
  const [tone, words] = !held ? ["quiet", "people.unknown_registered"] : known ? ["good", "people.registered"] : ["warn", "people.unregistered"];
  return h("p", { class: "status", "data-tone": tone }, app.say(words));
}

function maker(app, canPasskey) {
  const { say } = app;
  const name = h("input", { type: "text", id: "name", autocomplete: "off", maxlength: 40, required: true });
  const duty = h("select", { id: "duty" }, ["mechanic", "manager"].map((one) => h("option", { value: one }, say(`people.duty_${one}`))));
  const kinds = canPasskey ? ["passkey", "software"] : ["software"];
  const kind = h("select", { id: "kind" }, kinds.map((one) => h("option", { value: one }, say(`people.kind_${one}`))));
  const pin = h("input", { type: "password", inputmode: "numeric", id: "pin", autocomplete: "off", maxlength: 12 });
  const pinRow = h("div", { class: "form" }, h("label", { for: "pin" }, say("people.pin")), pin);
  const trouble = h("p", { class: "bad", role: "alert" });
  const look = () => (pinRow.hidden = kind.value !== "software");
  kind.addEventListener("change", look);
  look();
  const button = h("button", { class: "button" }, say("people.make"));
  const form = h("form", { class: "form", id: "make" },
    h("label", { for: "name" }, say("people.name")), name,
    h("label", { for: "duty" }, say("people.duty")), duty,
    h("label", { for: "kind" }, say("people.kind")), kind, pinRow, button, trouble);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    trouble.textContent = "";
    try {
      await keys.make({ name: name.value.trim(), kind: kind.value, pin: pin.value, duty: duty.value });
      await app.show();
      app.announce(say("people.made"));
    } catch (error) {
      trouble.textContent = say("people.failed", { why: app.why(error) });
      button.disabled = false;
    }
  });
  return h("section", { class: "card" }, h("h2", {}, say("people.new")), form);
}

function choices(app) {
  const { say } = app;
  const other = app.language === "zh" ? "en" : "zh";
  const isElder = app.choices.view === "elder";
  const choose = (change) => async () => {
    await app.choose(change);
    await app.show();
  };
  return h("section", { class: "card" },
    h("h2", {}, say("people.phone")),
    h("p", { class: app.isPersistent ? "quiet" : "warn" }, say(app.isPersistent ? "people.persisted" : "people.not_persisted")),
    h("div", { class: "actions" },
      action(say("people.language"), choose({ language: other }), { kind: "button second", lang: other === "zh" ? "zh-Hans-CN" : "en", failed: app.failed }),
      action(say(isElder ? "people.normal" : "people.elder"), choose({ view: isElder ? "normal" : "elder" }), { kind: "button second", failed: app.failed })));
}
