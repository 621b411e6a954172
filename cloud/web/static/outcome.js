/** Outcomes on pages where somebody signs: the line that the page holds for this one is shown, with the service's words. */

/**
 * @param {HTMLElement} result its lines carry `data-for`.
 * @param {string} name which of them.
 * @param {string} says what the service said, if anything.
 */
export function showOutcome(result, name, says = "") {
  for (const line of result.querySelectorAll("[data-for]")) line.hidden = line.dataset.for !== name;
  result.querySelector(".says").textContent = says;
  result.dataset.outcome = name;
  result.focus({ preventScroll: true });
}
