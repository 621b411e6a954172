/** Screen: the whole list, place by place; what is open is first to be seen. */

import { action, h } from "../dom.js";
import { CLASSES } from "../../verifier/visit.js";
import { PARTS_MAX, PART_LENGTH_MAX, problemOf } from "../visit.js";
import { openItems, openList } from "../visitlist.js";
import { advance, discard } from "../visits.js";

export async function show(app, id) {
  const { say } = app;
  const list = await openList(id);
  const { visit, items, challenge } = list;
  const open = openItems(list);
  const done = items.length - open.length;
  const first = open[0];
  const isOver = !["started", "listing"].includes(visit.state);
  const forward = isOver
    ? h("a", { class: "button", href: `#/visit/${id}/sign` }, say("sign.title"))
    : first
      ? h("a", { class: "button", href: `#/visit/${id}/list/${first.code}`, id: "go-on" }, say(done ? "list.go_on" : "list.first_open"))
      : action(say("list.finish"), () => finish(app, id, list), { failed: app.failed, id: "finish" });
  return {
    title: `${app.title(visit.device.title)}`,
    back: "#/work",
    body: [
      h("p", { class: "quiet" }, say(`class.${CLASSES[visit.visitClass]}`)),
      h("section", { class: "card progress" },
        h("p", { class: "word" }, open.length ? say("list.progress", { done, all: items.length }) : say("list.done")),
        h("progress", { value: items.length ? done : 1, max: items.length || 1, "aria-label": say("list.progress", { done, all: items.length }) }),
        h("div", { class: "actions column" }, forward, isOver ? "" : h("a", { class: "button second", href: `#/scan/${id}/in` }, say("list.scan")), isOver || (visit.people.length === 2 && visit.manager) ? "" : h("a", { class: "button second", href: `#/exchange/join/${id}` }, say("exchange.join")))),
      ...places(app, id, { visit, items, challenge }),
      parts(app, id, visit, isOver),
      isOver ? "" : dropper(app, id),
    ],
  };
}

async function finish(app, id, { items, challenge }) {
  await advance(id, { type: "end", atS: Math.floor(Date.now() / 1000), items, challenge });
  app.go(`#/visit/${id}/sign`);
}

/** Pressed twice, for nothing of it comes back. */
function dropper(app, id) {
  const button = h("button", { type: "button", class: "button second", id: "drop" }, app.say("list.drop"));
  button.addEventListener("click", async () => {
    if (!button.dataset.sure) {
      button.dataset.sure = "yes";
      button.textContent = app.say("list.drop_sure");
      return;
    }
    await discard(id).then(() => app.go("#/work"), app.failed);
  });
  return button;
}

function places(app, id, { visit, items, challenge }) {
  const groups = Map.groupBy ? Map.groupBy(items, (item) => item.at) : groupsOf(items);
  return [...groups].map(([at, some]) =>
    h("section", { class: "card" },
      h("h2", {}, app.say(`at.${at}`)),
      h("ul", { class: "rows" }, some.map((item) => row(app, id, visit, item, challenge)))));
}

function groupsOf(items) {
  const groups = new Map();
  for (const item of items) groups.set(item.at, [...(groups.get(item.at) ?? []), item]);
  return groups;
}

function row(app, id, visit, item, challenge) {
  const { say } = app;
  const said = visit.answers[item.code];
  const why = problemOf(item, said, challenge);
  const tone = why ? (said?.result ? "warn" : "quiet") : said.result === "fault" ? "bad" : "good";
  const words = why ? say(`why.${why}`) : say(`result.${said.result}`);
  return h("li", {}, h("a", { href: `#/visit/${id}/list/${item.code}` },
    h("span", {}, app.language === "zh" ? item.zh : item.en),
    h("span", { class: "status", "data-tone": tone }, words)));
}

/** What was put in, as the record will name it. */
function parts(app, id, visit, isOver) {
  const { say } = app;
  const keep = async (changed) => {
    await advance(id, { type: "parts", parts: changed });
    await app.show();
  };
  const rows = visit.parts.map((part, at) => h("li", { class: "beside part" },
    h("span", {}, `${part.name} × ${part.count}`),
    isOver ? "" : action("×", () => keep(visit.parts.filter((_, other) => other !== at)), { kind: "button second", failed: app.failed, "aria-label": say("parts.remove", part) })));
  if (isOver || visit.parts.length === PARTS_MAX) return rows.length ? h("section", { class: "card" }, h("h2", {}, say("parts.title")), h("ul", {}, rows)) : "";
  const name = h("input", { type: "text", id: "part", autocomplete: "off", maxlength: PART_LENGTH_MAX, required: true });
  const count = h("input", { type: "text", id: "part-count", inputmode: "numeric", autocomplete: "off", maxlength: 3, value: "1", pattern: "[1-9][0-9]{0,2}", required: true });
  const form = h("form", { class: "form", id: "parts" },
    h("label", { for: "part" }, say("parts.name")), name,
    h("label", { for: "part-count" }, say("parts.count")), count,
    h("button", { class: "button second" }, say("parts.add")));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    keep([...visit.parts, { name: name.value.trim(), count: Number(count.value) }]).catch(app.failed);
  });
  return h("details", { class: "card", open: rows.length > 0 }, h("summary", {}, say("parts.title")), rows.length ? h("ul", {}, rows) : "", form);
}
