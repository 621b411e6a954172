/**
 * A JSON object read strictly: exactly the expected members, each in the one spelling of its type.
 *
 * In JSON files integers that may reach 2^53 are decimal strings and bytes are lower-case hex, so that
 * JavaScript and Python read the same values.
 */

import { ContractsError, excerpt, fromHex } from "./bytes.js";

export class Fields {
  /**
   * @param {unknown} value what JSON gave.
   * @param {string} place where it stands, for messages; "" is the file itself.
   * @param {string[]} names its members.
   * @param {string[]} optional members that may be missing.
   */
  constructor(value, place, names, optional = []) {
    this.place = place;
    const here = place || "the file";
    if (value === null || typeof value !== "object" || Array.isArray(value)) throw this.refusal(`${here} is not an object`);
    const given = Object.keys(value);
    const missing = names.filter((name) => !given.includes(name));
    const unknown = given.filter((name) => !names.includes(name) && !optional.includes(name));
    if (missing.length || unknown.length) {
      throw this.refusal(`${here}: missing [${missing.join(", ")}], unknown [${unknown.map((n) => excerpt(n)).join(", ")}]`);
    }
    this.values = value;
  }

  refusal(reason) {
    return new ContractsError(reason);
  }

  at(name) {
    return this.place ? `${this.place}.${name}` : name;
  }

  /** Whether an optional member stands here. */
  has(name) {
    return Object.hasOwn(this.values, name);
  }

  raw(name) {
    return this.values[name];
  }

  within(name, ...names) {
    return new Fields(this.values[name], this.at(name), names);
  }

  withinOrNull(name, ...names) {
    return this.values[name] === null ? null : this.within(name, ...names);
  }

  list(name, lengthMax) {
    const value = this.values[name];
    if (!Array.isArray(value) || value.length > lengthMax) {
      throw this.refusal(`${this.at(name)} is not a list of at most ${lengthMax}`);
    }
    return value;
  }

  eachWithin(name, lengthMax, ...names) {
    return this.list(name, lengthMax).map((value, i) => new Fields(value, `${this.at(name)}[${i}]`, names));
  }

  text(name) {
    const value = this.values[name];
    if (typeof value !== "string") throw this.refusal(`${this.at(name)} is not a text`);
    return value;
  }

  textOrNull(name) {
    return this.values[name] === null ? null : this.text(name);
  }

  choice(name, choices) {
    const value = this.text(name);
    if (!choices.includes(value)) throw this.refusal(`${this.at(name)} is ${excerpt(value)}, not ${choices.join(" or ")}`);
    return value;
  }

  boolean(name) {
    const value = this.values[name];
    if (typeof value !== "boolean") throw this.refusal(`${this.at(name)} is not true or false`);
    return value;
  }

  /** A JSON number: for what stays below 2^53. */
  integer(name) {
    const value = this.values[name];
    if (!Number.isSafeInteger(value)) throw this.refusal(`${this.at(name)} is not a whole number`);
    return value;
  }

  /** A canonical decimal string of an integer, start <= n < end, as BigInt. */
  decimal(name, end, start = 0n) {
    const value = this.text(name);
    if (value.length > 80 || !/^(0|-?[1-9][0-9]*)$/.test(value)) {
      throw this.refusal(`${this.at(name)} is not an integer as a decimal string`);
    }
    const number = BigInt(value);
    if (number < start || number >= end) throw this.refusal(`${this.at(name)} is ${number}, outside its range`);
    return number;
  }

  decimalOrNull(name, end, start = 0n) {
    return this.values[name] === null ? null : this.decimal(name, end, start);
  }

  /** Bytes in lower-case hex, behind `prefix` where the format says so. */
  octets(name, length, prefix = "") {
    return this.octetsOf(this.values[name], this.at(name), length, prefix);
  }

  octetsList(name, length, lengthMax) {
    return this.list(name, lengthMax).map((value, i) => this.octetsOf(value, `${this.at(name)}[${i}]`, length, ""));
  }

  octetsOf(value, place, length, prefix) {
    if (typeof value === "string" && value.startsWith(prefix)) {
      const digits = value.slice(prefix.length);
      if (digits.length === 2 * length && /^[0-9a-f]*$/.test(digits)) return fromHex(digits, length);
    }
    throw this.refusal(`${place} is not ${length} bytes in lower-case hex${prefix ? ` behind ${prefix}` : ""}`);
  }
}
