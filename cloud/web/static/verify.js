/**
 * The stand-alone page: any evidence or bill file can be dropped, and stays in the browser.
 */

import { parseJson } from "./verifier/json.js";
import { rootsOf, runGroup, showVerdict } from "./check.js";

const panel = document.querySelector(".check-panel");
const drop = document.getElementById("drop");
const input = document.getElementById("file");
const unknown = document.getElementById("unknown");
const groups = Object.fromEntries([...panel.querySelectorAll(".group")].map((group) => [group.dataset.kind, group]));
const KINDS = { "minglou-evidence/1": "evidence", "minglou-bill/1": "bill" };

for (const group of Object.values(groups)) group.hidden = true;

function formatOf(text) {
  try {
    return parseJson(text).format;
  } catch {
    return /"format":"(minglou-[a-z]+\/1)"/.exec(text)?.[1]; // damaged, but it says what it should be
  }
}

async function check(file) {
  panel.querySelector("#verdict").hidden = true;
  const bytes = new Uint8Array(await file.arrayBuffer());
  const kind = KINDS[formatOf(new TextDecoder().decode(bytes))];
  unknown.hidden = Boolean(kind);
  for (const [name, group] of Object.entries(groups)) group.hidden = name !== kind;
  if (!kind) return;
  showVerdict(panel, [await runGroup(groups[kind], bytes, await rootsOf(panel))]);
}

input.addEventListener("change", () => input.files[0] && check(input.files[0]));
for (const kind of ["dragover", "dragleave", "drop"]) {
  drop.addEventListener(kind, (event) => {
    event.preventDefault();
    drop.toggleAttribute("data-over", kind === "dragover");
    if (kind === "drop" && event.dataTransfer.files[0]) check(event.dataTransfer.files[0]);
  });
}
