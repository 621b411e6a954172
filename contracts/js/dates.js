/** Calendar dates as files spell them. */

import { ContractsError, excerpt } from "./bytes.js";

/** Refuses what is no calendar date such as 2026-12-01. */
export function checkDate(text) {
  const at = /^[0-9]{4}-[0-9]{2}-[0-9]{2}$/.test(text) && !text.startsWith("0000") ? new Date(`${text}T00:00:00Z`) : null;
  const isOne = at && !Number.isNaN(at.getTime()) && at.toISOString().slice(0, 10) === text;
  if (!isOne) throw new ContractsError(`${excerpt(text)} is no date such as 2026-12-01`);
}
