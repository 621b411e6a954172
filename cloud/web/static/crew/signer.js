/** A form in which one person signs: by the number of a software key, or by the passkey's own question. */

import { h } from "./dom.js";

/**
 * @param {{name: string, kind: string, alias: string}} person
 * @param {{words: string, give: (pin: string) => Promise<unknown>, id?: string, head?: Node}} how `give` signs, or answers false where something else is missing; what it throws
 *        is said in the form, and the person may try again. Other members are attributes of the form.
 */
export function signForm(app, person, { words, give, id = person.alias.slice(0, 8), head = null, ...attributes }) {
  const { say } = app;
  const pin = h("input", { type: "password", inputmode: "numeric", id: `pin-${id}`, autocomplete: "off", maxlength: 12 });
  const label = h("label", { for: pin.id }, say("sign.pin", { name: person.name }));
  const button = h("button", { class: "button" }, words);
  const trouble = h("p", { class: "bad", role: "alert" });
  const form = h("form", attributes, head, person.kind === "software" ? [label, pin] : "", button, trouble);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (button.disabled) return;
    button.disabled = true;
    trouble.textContent = "";
    try {
      if ((await give(pin.value)) === false) button.disabled = false;
    } catch (error) {
      trouble.textContent = say("sign.failed", { why: app.why(error) });
      button.disabled = false;
    }
  });
  return form;
}
