/**
 * The readings between boundaries that share a line out by price, checked in portions.
 *
 * Loaded by check.js where a line has them.
 */
import { STATES, nextFrame, textOf } from "./check.js";
import { parseEvidence } from "./verifier/evidence.js";
import { verifyEvidence } from "./verifier/verifier.js";

const OUTCOMES = ["passed", "not_checked", "failed"]; // the worse, the later
const PORTIONS_MAX = 64;

/**
 * Check the readings between boundaries, portion by portion, each as one file is checked; a step is what the worst of
 * them made of it. The line is recomputed from those that hold.
 */
export async function verifyTimed(group, source, { trust, rpc, onCheck }, context) {
  const worst = new Map();
  const states = new Set();
  let count = 0;
  for (let portion = portionOf(source), asked = 0; ; asked += 1) {
    for (const file of portion.files) {
      const report = await verifyEvidence(file, { trust, rpc });
      count += 1;
      states.add(report.state);
      for (const check of report.checks) {
        const before = worst.get(check.name);
        if (!before || OUTCOMES.indexOf(check.outcome) > OUTCOMES.indexOf(before.outcome)) worst.set(check.name, check);
      }
      if (report.state) context.readings.push(parseEvidence(file));
    }
    group.element.querySelector(".count").textContent = String(count);
    await nextFrame();
    if (portion.following === null || asked >= PORTIONS_MAX) break;
    portion = portionOf(await textOf(`${group.url}?from=${portion.following}`).catch(() => ""));
  }
  const checks = [...worst.values()].map((check) => (check.outcome === "passed" ? { ...check, says: `${count} readings` } : check));
  for (const check of checks) onCheck(check);
  return { checks, state: STATES.find((state) => states.has(state)) ?? null };
}

/** One portion of the readings; a damaged one holds a file that no check passes. */
function portionOf(source) {
  try {
    const { files, following } = JSON.parse(source);
    if (files.every((file) => typeof file === "string") && (following === null || Number.isSafeInteger(following))) return { files, following };
  } catch {
    // Named by the check of the file that stands for it.
  }
  return { files: [""], following: null };
}
