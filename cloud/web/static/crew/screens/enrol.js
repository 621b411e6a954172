/**
 * Screens: a new key on its way to the office, and the office's end of it. The key goes as a file, or by codes from this
 * screen to the office's camera; either way the office checks its proof with `minglou provision crew add`.
 */

import { utf8 } from "../../verifier/bytes.js";
import { reader, shown } from "../codes.js";
import { action, facts, h, notice } from "../dom.js";
import { offer } from "../export.js";
import * as keys from "../keys.js";

const FORMAT = "minglou-crew-key/1";
const ALIAS = /^[0-9a-f]{64}$/;

/** `#/enrol/ALIAS`: somebody's key, for the office. `#/enrol`: the office reads one. */
export const show = (app, alias) => (alias ? given(app, alias) : office(app));

async function given(app, alias) {
  const { say } = app;
  const person = (await keys.people()).find((one) => one.alias === alias);
  if (!person) return { title: say("enrol.title"), back: "#/people", body: [notice("warn", say("problem.key_unknown"))] };
  const file = await keys.enrolment(alias);
  const codes = await shown(app, "key", file);
  return {
    title: say("enrol.title"),
    back: "#/people",
    body: [h("p", {}, say("enrol.says")), codes.element, named(app, file, person.name), saving(app, file)],
    stop: codes.stop,
  };
}

/** The office's own screen: on a computer with a camera, or on a phone. Nothing is kept here but the file that it saves. */
function office(app) {
  const { say } = app;
  const place = h("div", { class: "stack", "aria-live": "polite" });
  const reading = reader(app, "key", async (message) => {
    const isKey = message.format === FORMAT && ALIAS.test(message.alias) && ["passkey", "software"].includes(message.proof?.kind);
    place.replaceChildren(...(isKey ? [named(app, message), saving(app, message)] : [notice("bad", say("problem.exchange_damaged"))]));
  });
  place.append(reading.element);
  return { title: say("enrol.office"), back: "#/people", body: [h("p", {}, say("enrol.office_says")), place], stop: reading.stop };
}

/** What office and phone compare: the alias, by which everything else knows this person. */
function named(app, { alias, proof }, name = null) {
  const { say } = app;
  return h("section", { class: "card" }, facts(
    name && [say("enrol.name"), name],
    [say("enrol.alias"), h("span", { class: "code", id: "alias" }, alias.slice(0, 16).match(/.{4}/g).join(" "))],
    [say("people.kind"), say(`people.kind_${proof.kind}`)],
  ));
}

function saving(app, file) {
  const bytes = utf8(`${JSON.stringify(file, null, 1)}\n`);
  const save = () => offer({ name: `minglou-key-${file.alias.slice(0, 16)}.json`, bytes, type: "application/json" });
  return h("div", { class: "actions" }, action(app.say("enrol.save"), save, { failed: app.failed, id: "save" }));
}
