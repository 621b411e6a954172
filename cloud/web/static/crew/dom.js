/**
 * Elements written as calls: `h("p", { class: "quiet" }, words)`. Text is always text: nothing here parses HTML.
 */

const SVG = "http://www.w3.org/2000/svg";

/** An element with attributes, listeners (`onclick`) and children; null, undefined and false children are left out. */
export function h(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

/** The same for drawings. */
export function svg(name, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(2).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** A button that cannot be pressed again while what it does is not done, and that tells what went wrong. */
export function action(words, act, { kind = "button", failed, ...attributes } = {}) {
  const button = h("button", { type: "button", class: kind, ...attributes }, words);
  button.addEventListener("click", async () => {
    if (button.disabled) return;
    button.disabled = true;
    try {
      await act();
    } catch (error) {
      failed?.(error);
    } finally {
      button.disabled = false;
    }
  });
  return button;
}

/** Name, value, name, value: as a list of facts. */
export function facts(...pairs) {
  return h("dl", { class: "facts" }, pairs.filter(Boolean).map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

/** A notice in one of the tones calm, warn, bad. */
export function notice(tone, title, ...children) {
  return h("section", { class: "notice", "data-tone": tone }, h("h2", {}, title), ...children);
}
