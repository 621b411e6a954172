/** The list of one visit: its pack, its items in the order of the body's way, and what was drawn by lot. */

import { challengeItems } from "../verifier/checklist.js";
import { itemsOf } from "../verifier/pack.js";
import { tokenBytes } from "../verifier/rotating.js";
import { withRegisters } from "./swap.js";
import { problemOf, signersOf } from "./visit.js";
import { visitOf } from "./visits.js";
import * as work from "./work.js";

/**
 * A visit with everything that its screens need.
 * @returns {Promise<{visit: object, pack: object, items: object[], challenge: string[], shown: Set<string>}>} `shown`: codes of
 *          items that the machine's own record speaks of.
 */
export async function openList(id) {
  const visit = await visitOf(id);
  if (!visit?.pack) throw new Error("no such visit on this phone");
  const pack = await work.packOf(visit.pack);
  if (!pack) throw new Error("its checklist is not on this phone; update the work");
  const items = withRegisters(itemsOf(pack, visit.visitClass), pack, visit.device.swap);
  const shown = new Set(Object.values(pack.shows ?? {}).flat());
  return { visit, pack, items, challenge: challengeOf(visit, pack), shown };
}

/** The two items that the first changing code draws: nobody can have photographed them before. */
function challengeOf(visit, pack) {
  const signers = signersOf(visit);
  const first = visit.scans.find((scan) => scan.token && scan.sense === "in" && (!signers.length || signers.includes(scan.by)));
  return first ? challengeItems(tokenBytes(first.token), pack, visit.visitClass) : [];
}

/** Items that are still open, in order. */
export const openItems = ({ visit, items, challenge }) => items.filter((item) => problemOf(item, visit.answers[item.code], challenge));
