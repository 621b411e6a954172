/**
 * Of the item's screen: what a meter's display shows at a swap, and which meter came. A number is kept only as this register
 * can show it: in its own unit and digits, and not below what the old meter's account began with.
 */

import { day } from "../clock.js";
import { h } from "../dom.js";
import { digitsOf, parseRegister, registerText, registerUnit, registerWords } from "../register.js";
import { countsFrom, stepOf } from "../swap.js";
import { advance } from "../visits.js";

/** A number with as many digits behind the point as the display has. */
const example = (digits) => (digits ? `1234.${"567891".slice(0, digits)}` : "1234");

/**
 * The form of an item that reads a register.
 * @param {{app: object, id: string, item: object, list: object, draw: () => void}} screen of the item.
 */
export function registers(screen, { isOpen }) {
  const { item } = screen;
  return h("section", { class: "stack register" }, item.register.end === "opening" ? chooser(screen, isOpen) : "", reading(screen, isOpen));
}

const saidOf = ({ list, item }) => list.visit.answers[item.code];

async function keep(screen, change, focus) {
  const { app, id, item, list } = screen;
  try {
    list.visit = await advance(id, { type: "register", code: item.code, ...change });
    app.announce(app.say("item.kept"));
    screen.draw();
    document.getElementById(focus)?.focus();
  } catch (error) {
    app.failed(error);
  }
}

/** The meters in stock for this flat: chosen by name, or by the code on the meter itself. */
function chooser(screen, isOpen) {
  const { app, id, item } = screen;
  const { say } = app;
  const chosen = saidOf(screen)?.fresh ?? "";
  const options = item.register.spares.map((one) =>
    h("option", { value: one.device, selected: one.device === chosen }, `${app.title(one.title)} · ${one.name}`));
  const none = chosen ? "" : h("option", { value: "", selected: true }, say("swap.choose"));
  const select = h("select", { id: "fresh", disabled: !isOpen }, none, options);
  select.addEventListener("change", () => select.value && keep(screen, { fresh: select.value }, "fresh"));
  const hasCode = item.register.spares.some((one) => one.labels.length);
  return h("div", { class: "form" },
    h("label", { for: "fresh" }, say("swap.new")), select,
    isOpen && hasCode ? h("a", { class: "button second", id: "scan-new", href: `#/scan/${id}/new` }, say("swap.scan")) : "");
}

function reading(screen, isOpen) {
  const { app, item, list } = screen;
  const { say } = app;
  const { quantity, least, end } = item.register;
  const said = saidOf(screen);
  const step = stepOf(item.register, said?.fresh);
  const kept = Number.isSafeInteger(said?.register) ? registerText(said.register, quantity, step) : "";
  const [unit, digits] = [registerUnit(quantity), digitsOf(quantity, step)];
  const input = h("input", { type: "text", inputmode: "decimal", id: "register", autocomplete: "off", value: kept, "aria-describedby": "register-says register-tone", disabled: !isOpen });
  const verdict = h("p", { id: "register-tone", class: "bad", role: "alert" });
  const says = [
    say("swap.digits", { n: digits, example: example(digits) }),
    least ? say("swap.least", { value: registerWords(least, quantity, step) }) : "",
    end === "opening" ? say("swap.from", { day: day(countsFrom(list.visit.device.swap, list.visit.endedAtS ?? Date.now() / 1000), app) }) : "",
  ];
  const tell = (words) => {
    verdict.textContent = words;
    input.dataset.tone = words ? "bad" : "";
    input.setAttribute("aria-invalid", String(Boolean(words)));
  };
  const form = h("form", { class: "measure" },
    h("label", { for: "register" }, `${say(`swap.${end}`)} (${unit})`),
    h("p", { id: "register-says", class: "quiet" }, says.filter(Boolean).join(app.language === "zh" ? "" : " ")),
    h("div", { class: "beside" }, input, h("button", { class: "button second", id: "register-keep", disabled: !isOpen }, say("item.number_keep"))),
    verdict);
  input.addEventListener("input", () => tell(""));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const value = parseRegister(input.value, quantity, step);
    const words = value === null ? say("swap.bad", { n: digits, example: example(digits) })
      : value < least ? say("swap.low", { value: registerWords(least, quantity, step) }) : "";
    tell(words);
    if (words) input.focus();
    else keep(screen, { register: value }, "register-keep");
  });
  return form;
}
