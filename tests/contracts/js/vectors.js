/** The golden vectors that the Python verifier passes too, and small readers for them. */

import { readFileSync } from "node:fs";

const DIRECTORY = new URL("../../vectors/", import.meta.url);

/** One vector file's JSON; bills', the assembly's and the fund's stand beside these tests, where `make*.py` writes them. */
export function vectors(name) {
  const directory = ["act", "bill", "assembly", "fund"].includes(name) ? import.meta.url : DIRECTORY;
  return JSON.parse(readFileSync(new URL(`${name}.json`, directory), "utf8"));
}

/** Bytes of hex of any length. */
export function bytes(hex) {
  return Uint8Array.from(Buffer.from(hex, "hex"));
}

/** A node that answers as the recorded one did, and only to what was asked then. */
export function recordedRpc(exchanges) {
  return async (method, parameters) => {
    const key = JSON.stringify(parameters);
    const found = exchanges.find((one) => one.method === method && JSON.stringify(one.params) === key);
    if (!found) throw new Error(`an unexpected question: ${method} ${key}`);
    return found.result;
  };
}
