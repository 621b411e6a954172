/**
 * Meters' registers between bytes and displays: integers of the quantity's base unit in, digits as the meter shows them
 * out, and back. Nothing is rounded: what has more digits than the meter shows is no reading of it.
 */

import { unitOf } from "../verifier/quantities.js";

/** How base units are read: the unit on the display, and how many digits behind its point one base unit stands. */
const SHOWN = { Wh: { unit: "kWh", places: 3 }, mL: { unit: "m³", places: 6 }, L: { unit: "m³", places: 3 } };
const TYPED = /^(\d{1,10})(?:\.(\d{1,6}))?$/;

const shownAs = (quantity) => SHOWN[unitOf(quantity)] ?? { unit: unitOf(quantity) ?? "", places: 0 };

/** The unit that stands on such a meter's display. */
export const registerUnit = (quantity) => shownAs(quantity).unit;

/**
 * Digits behind the point of a register.
 * @param {number} step what one of its last digit is worth, in base units.
 */
export function digitsOf(quantity, step) {
  const { places } = shownAs(quantity);
  let digits = 0;
  while (digits < places && step % 10 ** (places - digits) !== 0) digits += 1;
  return digits;
}

/** A register as its display shows it, such as `1234.56`; further digits only where the value has them. */
export function registerText(value, quantity, step = 1) {
  const { places } = shownAs(quantity);
  const text = String(value).padStart(places + 1, "0");
  const [whole, rest] = [text.slice(0, text.length - places), text.slice(text.length - places)];
  const least = digitsOf(quantity, step);
  const digits = rest.slice(0, least) + rest.slice(least).replace(/0+$/, "");
  return digits ? `${whole}.${digits}` : whole;
}

/** The same with its unit. */
export const registerWords = (value, quantity, step) => `${registerText(value, quantity, step)} ${registerUnit(quantity)}`.trim();

/**
 * What somebody read off a display.
 * @returns {number | null} base units; null where it is no number of this register, below zero, or finer than it shows.
 */
export function parseRegister(typed, quantity, step = 1) {
  const match = TYPED.exec(typed.trim().replace(/[,，。]/, "."));
  if (!match) return null;
  const [, whole, rest = ""] = match;
  const { places } = shownAs(quantity);
  if (rest.length > digitsOf(quantity, step)) return null;
  const value = Number(whole + rest.padEnd(places, "0"));
  return Number.isSafeInteger(value) && value % step === 0 ? value : null;
}
