/**
 * Runs the checks of a page visibly: fetches the files and the trust roots, asks the chain's node itself, and
 * marks each named step as it ends. The first broken step is named in the verdict.
 */

import { LINE_KIND, parseBill, verifyBill } from "./verifier/bill.js";
import { ChainView, remembering, rpcAt } from "./verifier/chain.js";
import { parseEvidence } from "./verifier/evidence.js";
import { parseKey, verifyLine } from "./verifier/line.js";
import { parseTrust } from "./verifier/trust.js";
import { verifyEvidence } from "./verifier/verifier.js";

export const STATES = ["recorded", "logged", "anchored", "final"];
export const nextFrame = () => new Promise((resolve) => requestAnimationFrame(() => resolve()));

/** One list of steps on the page. */
class Group {
  constructor(element) {
    this.element = element;
    this.kind = element.dataset.kind;
    this.role = element.dataset.role;
    this.url = element.dataset.url;
    this.passed = 0;
    this.steps = new Map([...element.querySelectorAll("[data-check]")].map((step) => [step.dataset.check, step]));
  }

  begin() {
    this.passed = 0;
    this.element.open = true;
    delete this.element.dataset.outcome;
    for (const step of this.steps.values()) step.dataset.outcome = "running";
    this.count();
  }

  mark({ name, outcome, says }) {
    const step = this.steps.get(name);
    step.dataset.outcome = outcome;
    step.querySelector(".says code").textContent = says;
    if (outcome === "passed") this.passed += 1;
    this.count();
  }

  count() {
    this.element.querySelector(".count").textContent = `${this.passed} / ${this.steps.size}`;
  }

  nameOf(check) {
    return this.steps.get(check).querySelector(".name").textContent;
  }
}

export async function textOf(url) {
  const response = await fetch(url, { cache: "no-store" });
  if (!response.ok) throw new Error(`${url}: ${response.status}`);
  return response.text();
}

/** What a panel checks against: the trust file and the node, asked by this page. */
export async function rootsOf(panel) {
  const trust = await textOf(panel.dataset.trust).catch(() => null);
  return { trust, rpc: panel.dataset.rpc ? remembering(rpcAt(panel.dataset.rpc)) : null };
}

/** Run one group on a file's text and tell what came out. */
export async function runGroup(element, source, roots, context = {}) {
  const group = new Group(element);
  group.begin();
  await nextFrame();
  const options = { ...roots, onCheck: (check) => group.mark(check) };
  const report = await runKind(group, source, options, context);
  const failing = report.checks.filter((check) => check.outcome === "failed").map((check) => group.nameOf(check.name));
  const unchecked = report.checks.filter((check) => check.outcome === "not_checked").map((check) => group.nameOf(check.name));
  const isAnyPassed = report.checks.some((check) => check.outcome === "passed");
  if (failing.length || isAnyPassed) element.dataset.outcome = failing.length ? "failed" : "passed";
  return { ...report, failing, unchecked, kind: group.kind, role: group.role };
}

async function runKind(group, source, options, context) {
  if (context.verify) return context.verify(options);
  if (group.kind === "evidence") return verifyEvidence(source, options);
  if (group.kind === "timed") {
    const { verifyTimed } = await import("./timed.js"); // few lines need it, and every page would have to load it
    return verifyTimed(group, source, options, context);
  }
  if (group.kind === "bill") return verifyBill(source, options);
  if (context.bill) return verifyLine(context.bill, context.line, { ...context, key: keyOf(group) }, options);
  for (const step of group.steps.values()) step.dataset.outcome = "not_checked";
  return { checks: [] };
}

function keyOf(group) {
  const { key } = group.element.dataset;
  return key ? parseKey(key) : null;
}

/** Say the verdict of all groups. */
export function showVerdict(panel, reports) {
  const verdict = panel.querySelector("#verdict");
  const failing = reports.flatMap((report) => report.failing);
  const states = reports.map((report) => report.state).filter(Boolean);
  const weakest = STATES.find((state) => states.includes(state));
  const isUnknown = reports.some((report) => report.marks?.includes("origin unknown"));
  const all = reports.flatMap((report) => report.checks);
  // A line whose usage or price nobody could check is not called right.
  const unchecked = reports.filter((report) => report.kind === "line").flatMap((report) => report.unchecked);
  verdict.dataset.outcome = failing.length ? "failed" : unchecked.length ? "open" : "passed";
  verdict.dataset.state = failing.length ? "broken" : (weakest ?? "bill");
  const fits = unchecked.length ? "partly" : (weakest ?? "bill");
  verdict.dataset.show = failing.length ? "failed" : isUnknown ? "unknown" : fits;
  verdict.querySelector(".unchecked").textContent = unchecked.join(" · ");
  verdict.querySelector(".failing").textContent = failing.join(" · ");
  const needsChain = ["anchor", "period", "gateway_key"];
  const isUnasked = all.some((check) => needsChain.includes(check.name) && check.outcome === "not_checked");
  verdict.querySelector(".asked").hidden = failing.length > 0 || !isUnasked;
  verdict.hidden = false;
  verdict.focus({ preventScroll: true });
}

/** Put all questions to the node at once, so that the steps need not wait for one round trip each. */
function foresee(sources, elements, { trust, rpc }, line) {
  if (!trust || !rpc) return;
  try {
    const chain = new ChainView(rpc, parseTrust(trust));
    elements.forEach((element, i) => {
      if (element.dataset.kind === "evidence") chain.foresee(parseEvidence(sources[i]));
      if (element.dataset.kind === "bill") foreseeBill(chain, parseBill(sources[i]), line);
    });
  } catch {
    // A file that cannot be read now will be named by its own check.
  }
}

function foreseeBill(chain, bill, line) {
  chain.period(bill.period).catch(() => {});
  for (const { version } of bill.terms) chain.tariff(version).catch(() => {});
  const kind = bill.lines[line]?.kind;
  if (kind === LINE_KIND.OWN || kind === LINE_KIND.SHARED) chain.unitArea(bill.unitIndex).catch(() => {});
}

async function checkPage(panel) {
  panel.querySelector("#verdict").hidden = true;
  const elements = [...panel.querySelectorAll(".group")];
  const files = elements.map((element) => textOf(element.dataset.url).catch(() => ""));
  const [roots, ...sources] = await Promise.all([rootsOf(panel), ...files]);
  foresee(sources, elements, roots, Number(panel.dataset.line ?? 0));
  const context = { line: Number(panel.dataset.line ?? 0), zone: panel.dataset.zone ?? null, readings: [], bill: null };
  const reports = [];
  for (const [i, element] of elements.entries()) {
    const source = sources[i];
    const report = await runGroup(element, source, roots, context);
    if (report.kind === "evidence" && report.state) context.readings.push(parseEvidence(source));
    if (report.bill) context.bill = report.bill;
    reports.push(report);
    const isOpen = report.kind === "line" && report.unchecked.length > 0; // so that its steps say why
    element.open = report.failing.length > 0 || isOpen || elements.length === 1;
  }
  showVerdict(panel, reports);
}

const button = document.getElementById("check");
button?.addEventListener("click", async () => {
  button.disabled = true;
  try {
    await checkPage(button.closest(".check-panel"));
  } finally {
    button.disabled = false;
  }
});

