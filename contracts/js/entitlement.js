/**
 * Whether an entry counts: what the evidence claims of key, device and unit, held against the Registry's records.
 *
 * The Registry has the last word. What it ended after the file was made does not spoil the file, as long as the
 * file's proof is older; what the file claims and the Registry never held does.
 */

import { ContractsError, equalBytes, excerpt, utf8 } from "./bytes.js";
import { originId } from "./chain.js";
import { KIND } from "./entry.js";
import { sha256 } from "./sha256.js";

/** Refuses a key whose claimed blocks run backwards or do not hold the anchor's. */
export function checkKeyRange(key, anchor) {
  if (key.toBlock !== null && key.fromBlock > key.toBlock) throw new ContractsError("the key's blocks run backwards");
  if (anchor && (anchor.block < key.fromBlock || anchor.block > (key.toBlock ?? anchor.block))) {
    throw new ContractsError(`anchored in block ${anchor.block}, outside the key's ${key.fromBlock} to ${key.toBlock}`);
  }
}

/** The Registry's record, unless it is none or does not hold the key for this log as the file claims. */
export function checkKey({ origin, key }, registered) {
  if (!registered) throw new ContractsError(`the Registry never held this key for ${origin}`);
  if (registered.keyClass !== key.keyClass || registered.fromBlock !== key.fromBlock) {
    throw new ContractsError(
      `the Registry holds this key as ${registered.keyClass} from block ${registered.fromBlock}, ` +
        `the file as ${key.keyClass} from block ${key.fromBlock}`,
    );
  }
  if (key.toBlock !== null && key.toBlock !== registered.toBlock) {
    throw new ContractsError(`the file ends the key in block ${key.toBlock}, the Registry in ${registered.toBlock}`);
  }
  return registered;
}

/** Refuses an ended key's entry unless it was anchored while the key was in force. */
export function checkKeyEnd(toBlock, anchor) {
  if (!anchor || anchor.block > toBlock) {
    throw new ContractsError(`the key ended in block ${toBlock}, and no anchor from before holds the entry`);
  }
}

/** Refuses an assignment that is not of this device, this log, this index and this date. */
export function checkAssignmentClaim(entry, log, assignment) {
  if (!equalBytes(assignment.device, entry.device) || assignment.origin !== log.origin) {
    throw new ContractsError("the assignment is another device's or another log's than the entry's");
  }
  if (assignment.urn !== null && !equalBytes(sha256(utf8(assignment.urn)), assignment.device)) {
    throw new ContractsError(`${excerpt(assignment.urn)} is not the name of this device`);
  }
  if (log.index < assignment.firstIndex || log.index > (assignment.lastIndex ?? log.index)) {
    throw new ContractsError(`entry ${log.index} is outside the device's range`);
  }
  const { binding } = assignment;
  const day = entry.kind === KIND.READING ? Number(entry.quantity.split("*")[1] ?? 0) : 0;
  if (binding && day && (day < binding.fromDate || day > (binding.toDate ?? day))) {
    throw new ContractsError(`boundary ${day} is outside the binding, ${binding.fromDate} to ${binding.toDate}`);
  }
}

/** Refuses unless the Registry gives the device to this log over the entry's index. */
export function checkAssignment(log, assignment, registered) {
  const id = originId(log.origin);
  for (const held of registered) {
    const isNamed = equalBytes(held.originId, id) && held.firstIndex === assignment.firstIndex;
    if (!isNamed || held.block !== assignment.block) continue;
    if (held.lastIndex !== null && held.lastIndex < log.index) {
      throw new ContractsError(`the Registry ended the assignment at ${held.lastIndex}, before entry ${log.index}`);
    }
    if (assignment.lastIndex === null || assignment.lastIndex === held.lastIndex) return;
  }
  throw new ContractsError("the Registry holds no such assignment of the device to this log");
}

/** The chain's record, unless it lets the device not count for this unit or pool, or not confirmed as the file says. */
export function checkBinding(binding, registered) {
  for (const held of registered) {
    const isNamed = equalBytes(held.subject, binding.unit) && held.role === binding.role;
    if (!isNamed || held.fromDate !== binding.fromDate) continue;
    if (![null, held.toDate].includes(binding.toDate)) continue;
    if (held.confirmed || !binding.confirmed) return held;
  }
  throw new ContractsError("the Registry holds no such binding of the device to this unit or pool");
}
