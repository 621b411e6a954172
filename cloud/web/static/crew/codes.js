/** Two halves of a message between phones: showing its frames in turn, and reading the other phone's. */

import { action, h } from "./dom.js";
import { FRAME_MS, Gathering, frames } from "./exchange.js";
import { draw } from "./qr.js";

/**
 * The frames of a message on this screen, one after the other until `stop`.
 * @returns {Promise<{element: HTMLElement, stop: () => void}>}
 */
export async function shown(app, kind, message) {
  const texts = await frames(kind, message);
  const canvas = h("canvas", { class: "frames", role: "img", "aria-label": app.say("exchange.show"), "data-frames": texts.length });
  const count = h("p", { class: "quiet" });
  let at = 0;
  const next = () => {
    draw(canvas, texts[at]);
    canvas.dataset.frame = texts[at];
    count.textContent = texts.length > 1 ? app.say("exchange.frame", { n: at + 1, all: texts.length }) : "";
    at = (at + 1) % texts.length;
  };
  next();
  const turning = texts.length > 1 ? setInterval(next, FRAME_MS) : null;
  return { element: h("section", { class: "card codes" }, canvas, count), stop: () => clearInterval(turning) };
}

/**
 * A button that opens the camera, and what it then reads of the other phone.
 * @param {"join"|"ask"|"sign"|"key"} wanted the kind of message that is waited for; others are told and left.
 * @param {(message: object) => Promise<void>} take called once, with the whole message.
 * @param {(message: object) => boolean} isNews whether it is one that was not taken before: the last one may still be in sight.
 * @returns {{element: HTMLElement, stop: () => void}}
 */
export function reader(app, wanted, take, isNews = () => true) {
  const { say } = app;
  const area = h("section", { class: "card" });
  const camera = { stop: () => undefined, isOver: false };
  const stop = () => {
    camera.isOver = true;
    camera.stop();
  };
  const begin = () => {
    camera.isOver = false;
    return open(app, { area, camera, wanted, take, isNews, again }).catch(app.failed);
  };
  const again = () => action(say("exchange.read"), begin, { failed: app.failed, id: "read" });
  area.append(again());
  return { element: area, stop };
}

async function open(app, { area, camera, wanted, take, isNews, again }) {
  const { say } = app;
  const video = h("video", { playsinline: true, muted: true, "aria-label": say("scan.camera") });
  const progress = h("p", { role: "status", "aria-live": "polite", "data-have": 0 });
  area.replaceChildren(h("div", { class: "viewfinder" }, video), progress);
  area.scrollIntoView({ block: "nearest" });
  const gathering = new Gathering();
  const { start } = await import("./scan.js");
  const onCode = async (text) => {
    const told = gathering.take(text);
    if (camera.isOver || !told) return;
    progress.textContent = told.kind === wanted ? say("exchange.progress", told) : say("exchange.other_kind");
    if (told.kind === wanted) progress.dataset.have = told.have;
    const message = await gathering.done();
    if (message?.kind !== wanted || camera.isOver || !isNews(message.object)) return;
    camera.isOver = true;
    camera.stop();
    await take(message.object);
  };
  const fail = (words) => {
    camera.isOver = true;
    camera.stop();
    area.replaceChildren(h("p", { class: "warn", role: "alert" }, words), again());
  };
  const onProblem = (word) => fail(say(`problem.${word}`));
  const started = await start(video, (text) => onCode(text).catch((error) => fail(app.why(error))), { onProblem });
  camera.stop = started.stop;
  if (camera.isOver) started.stop();
}
