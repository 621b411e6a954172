/**
 * The stand-alone check: any proof, bill or bill's PDF can be dropped, and stays in the browser.
 *
 * It runs on a page of the site, which asks the chain too, and as one file that was saved from there and asks nobody
 * (cloud/web/checker.py). Roots come from the site, from the saved file or from a trust file that the reader drops; those
 * that a PDF brings along count only once the reader has compared their short form with the notice board.
 */

import { PAPERS, parseBillPapers } from "./verifier/billpapers.js";
import { ContractsError } from "./verifier/bytes.js";
import { parseEvidence } from "./verifier/evidence.js";
import { fingerprintOf } from "./verifier/fingerprint.js";
import { parseJson } from "./verifier/json.js";
import { PDF_BYTES_MAX, PdfError, attachmentsOf, isPdf } from "./verifier/pdf.js";
import { runStep } from "./verifier/verifier.js";
import { rootsOf, runGroup, showVerdict } from "./check.js";

const TRUST = "minglou-trust/1";
const KINDS = { "minglou-evidence/1": "evidence", "minglou-bill/1": "bill", [TRUST]: "trust" };
const panel = document.querySelector(".check-panel");
const part = (id) => document.getElementById(id);
const saved = part("saved-roots"); // in the file that was saved from a site
let chosen = null; // roots that the reader named
let last = 0; // a file that is dropped meanwhile ends the check of the one before

function formatOf(text) {
  try {
    return parseJson(text).format;
  } catch {
    return /"format":\s*"(minglou-[a-z]+\/1)"/.exec(text)?.[1]; // damaged, but it says what it should be
  }
}

async function rootsHere() {
  const found = saved ? { trust: saved.textContent.trim() || null, rpc: null } : await rootsOf(panel);
  return chosen ? { ...found, trust: chosen } : found;
}

/** Short form of roots; null where there are none, or none that can be read. */
function shortForm(trust) {
  try {
    return trust && fingerprintOf(trust);
  } catch {
    return null;
  }
}

async function showRoots() {
  const short = shortForm((await rootsHere()).trust);
  part("short-form").textContent = short ?? "";
  part("with-roots").hidden = !short;
  part("without-roots").hidden = Boolean(short);
}

/** One list of steps, made from the page's template. */
function add(kind, role, title = "") {
  const group = part(`group-${kind}`).content.firstElementChild.cloneNode(true);
  group.dataset.role = role;
  if (title) group.querySelector("summary span").firstChild.data += `${title} `;
  part("groups").append(group);
  return group;
}

function clear() {
  for (const notice of panel.querySelectorAll("[data-why]")) notice.hidden = true;
  for (const id of ["verdict", "said", "brought", "other-roots"]) part(id).hidden = true;
  part("groups").replaceChildren();
}

function refuse(why) {
  part(why).hidden = false;
}

async function check(file) {
  const run = (last += 1);
  const isCurrent = () => run === last;
  clear();
  if (file.size > PDF_BYTES_MAX) return refuse("too_large");
  const bytes = new Uint8Array(await file.arrayBuffer());
  if (!isCurrent()) return undefined;
  if (isPdf(bytes)) return checkPdf(bytes, isCurrent);
  const text = new TextDecoder().decode(bytes);
  const kind = KINDS[formatOf(text)];
  if (kind === "trust") return takeRoots(text);
  if (!kind) return refuse("unknown");
  const report = await runGroup(add(kind, kind === "bill" ? "bill" : "reading"), bytes, await rootsHere());
  if (isCurrent()) tell([report]);
  return undefined;
}

function takeRoots(text) {
  if (!shortForm(text)) return refuse("unknown");
  chosen = text;
  return showRoots();
}

async function checkPdf(bytes, isCurrent) {
  let carried;
  try {
    carried = attachmentsOf(bytes);
  } catch (error) {
    if (!(error instanceof PdfError)) throw error;
    return refuse(error.code);
  }
  if (!carried.has(PAPERS.bill) || !carried.has(PAPERS.readings)) return refuse("empty");
  const roots = await rootsHere();
  if (!isCurrent()) return undefined;
  showBrought(carried.get(PAPERS.trust), roots.trust, () => checkPdf(bytes, isCurrent));
  const reports = [];
  for await (const report of reportsOf(carried, roots)) {
    if (!isCurrent()) return undefined;
    reports.push(report);
  }
  return tell(reports);
}

/** The checks of all that a PDF carries, one list of steps after the other. */
async function* reportsOf(carried, roots) {
  const billReport = await runGroup(add("bill", "bill"), carried.get(PAPERS.bill), roots);
  yield billReport;
  const { bill } = billReport; // null where it cannot be read
  const found = { files: [], lines: [] };
  const verify = (options) => verifyPapers(carried.get(PAPERS.readings), bill, found, options);
  yield await runGroup(add("papers", "papers"), null, roots, { verify });
  const evidence = [];
  for (const [place, file] of found.files.entries()) {
    const report = await runGroup(add("evidence", `reading${place}`, titleOf(file)), file, roots);
    evidence.push(report.state ? parseEvidence(file) : null);
    yield report;
  }
  for (const [number, line] of (bill?.lines ?? []).entries()) {
    const group = add("line", `line${number}`, `${number + 1} · ${money(line.amount)}`);
    const { files, key } = found.lines[number] ?? { files: [], key: "" };
    group.dataset.key = key;
    yield await runGroup(group, null, roots, { bill, line: number, readings: files.map((place) => evidence[place]).filter(Boolean) });
  }
}

async function verifyPapers(source, bill, found, { onCheck }) {
  const check = await runStep("papers", () => {
    const papers = parseBillPapers(source);
    if (bill && papers.lines.length !== bill.lines.length) throw new ContractsError("the list of readings is for another bill");
    Object.assign(found, papers);
    return `${papers.files.length} readings of ${papers.lines.length} lines`;
  });
  await onCheck(check);
  return { checks: [check] };
}

function titleOf(file) {
  try {
    const [register, day] = parseEvidence(file).entry.quantity.split("*");
    return day ? `${dayOf(day)} · ${register}` : register;
  } catch {
    return ""; // its first step says why
  }
}

/** Roots that came with the file: never used by themselves. */
function showBrought(brought, own, again) {
  const text = brought && new TextDecoder().decode(brought);
  const short = shortForm(text);
  if (!short || short === shortForm(own)) return;
  part(own ? "other-roots" : "brought").hidden = false;
  for (const place of panel.querySelectorAll(".brought-form")) place.textContent = short;
  part("adopt").onclick = async () => {
    chosen = text;
    await showRoots();
    clear();
    await again();
  };
}

function tell(reports) {
  for (const group of part("groups").children) group.open = group.dataset.outcome === "failed" || part("groups").children.length === 1;
  showVerdict(panel, reports);
  const verdict = part("verdict");
  const unasked = new Set(reports.filter(({ kind }) => kind === "bill" || kind === "line").flatMap(({ unchecked }) => unchecked));
  if (unasked.size && verdict.dataset.show !== "failed" && verdict.dataset.show !== "unknown") {
    Object.assign(verdict.dataset, { outcome: "open", show: "partly" });
    verdict.querySelector(".unchecked").textContent = [...unasked].join(" · ");
  }
  const bill = reports.find((report) => report.bill)?.bill;
  if (bill) say(bill);
}

/** What the file says, to be compared with what is printed: its proofs are of nothing else. */
function say(bill) {
  const [from, to] = [bill.period / 100000000n, bill.period % 100000000n];
  part("said-days").textContent = `${dayOf(from)} – ${dayOf(to)}`;
  part("said-total").textContent = money(bill.amounts.total);
  part("said").hidden = false;
}

/** A boundary date, YYYYMMDD, as it is printed on the bill. */
function dayOf(number) {
  const [year, rest] = [Number(number) / 10000, Number(number) % 10000];
  const day = new Date(Date.UTC(Math.trunc(year), Math.trunc(rest / 100) - 1, rest % 100));
  if (Number.isNaN(day.getTime())) return String(number);
  const language = document.documentElement.lang === "en" ? "en-GB" : "zh-CN";
  return day.toLocaleDateString(language, { year: "numeric", month: language === "en-GB" ? "short" : "long", day: "numeric", timeZone: "UTC" });
}

function money(fen) {
  const yuan = String(fen / 100n).replace(/\B(?=(\d{3})+$)/g, ",");
  return `¥${yuan}.${String(fen % 100n).padStart(2, "0")}`;
}

const [drop, input] = [part("drop"), part("file")];
input.addEventListener("change", () => input.files[0] && check(input.files[0]));
for (const kind of ["dragover", "dragleave", "drop"]) {
  drop.addEventListener(kind, (event) => {
    event.preventDefault();
    drop.toggleAttribute("data-over", kind === "dragover");
    if (kind === "drop" && event.dataTransfer.files[0]) check(event.dataTransfer.files[0]);
  });
}
showRoots();
