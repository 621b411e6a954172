/** What meters' registers measure: OBIS codes and their base units (contracts/quantities.py). */

import { ContractsError, excerpt } from "./bytes.js";

/** Base units of the registers that Minglou scales: a register's value is an integer of these. */
export const UNIT_OF_OBIS = Object.freeze({
  "1-0:1.8.0": "Wh",
  "1-0:1.8.1": "Wh",
  "1-0:1.8.2": "Wh",
  "1-0:1.8.3": "Wh",
  "1-0:1.8.4": "Wh",
  "1-0:2.8.0": "Wh",
  "1-0:1.7.0": "W",
  "1-0:32.7.0": "mV",
  "1-0:52.7.0": "mV",
  "1-0:72.7.0": "mV",
  "1-0:31.7.0": "mA",
  "1-0:51.7.0": "mA",
  "1-0:71.7.0": "mA",
  "6-0:1.0.0": "Wh",
  "7-0:3.0.0": "L",
  "8-0:1.0.0": "mL",
  "9-0:1.0.0": "mL",
});

/** The base unit of a register; undefined where Minglou scales none of this name. */
export const unitOf = (quantity) => UNIT_OF_OBIS[quantity];

/** Refuses what is no OBIS code A-B:C.D.E in canonical decimal. */
export function checkObis(quantity) {
  const groups = /^(\d{1,3})-(\d{1,3}):(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(quantity)?.slice(1) ?? [];
  const isObis = groups.length === 5 && groups.every((group) => String(Number(group)) === group && Number(group) <= 255);
  if (!isObis) throw new ContractsError(`${excerpt(quantity)} is no OBIS code such as 1-0:1.8.0`);
}
