#!/usr/bin/env node
/**
 * The checker on the command line, for those who have no Python: node command.js FILE --trust trust.json [--rpc URL]
 * Takes an evidence or a bill file; exits 1 when a check failed, 2 when it could not be run.
 */

import { readFileSync } from "node:fs";
import { verifyBill } from "./bill.js";
import { rpcAt } from "./chain.js";
import { verifyEvidence } from "./verifier.js";

const MARKS = { passed: "✓", failed: "✗", not_checked: "–" };

async function main(words) {
  const [file, ...options] = words;
  const option = (name) => (options.includes(name) ? options[options.indexOf(name) + 1] : null);
  if (!file) throw new Error("usage: node command.js FILE --trust trust.json [--rpc URL]");
  const source = readFileSync(file);
  const trust = option("--trust") ? readFileSync(option("--trust"), "utf8") : null;
  const roots = { trust, rpc: option("--rpc") ? rpcAt(option("--rpc")) : null };
  const isBill = /"format"\s*:\s*"minglou-bill\/1"/.test(source);
  const report = await (isBill ? verifyBill : verifyEvidence)(new Uint8Array(source), roots);
  for (const check of report.checks) console.log(`${MARKS[check.outcome]} ${check.name.padEnd(16)} ${check.says}`);
  if (!isBill) console.log(`state: ${report.state ?? "broken"}${report.marks.map((mark) => `; ${mark}`).join("")}`);
  return report.checks.some((check) => check.outcome === "failed") ? 1 : 0;
}

main(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code;
  },
  (error) => {
    console.error(error.message);
    process.exitCode = 2;
  },
);
