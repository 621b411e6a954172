/**
 * Disputes a bill line: fetches the published bill, makes sure that it says what the page shows, computes the
 * person digest from it, signs with the owner's key and hands the signature to the service, which only relays it.
 */

import { linesDigest, parseBill, rootOf } from "./verifier/bill.js";
import { equalBytes, fromHex, toHex } from "./verifier/bytes.js";
import { CHALLENGE, challengeBody, keyIdOf, personDigest } from "./verifier/person.js";
import { holds, sign } from "./ownerkey.js";

const panel = document.getElementById("dispute");
const terms = panel.dataset;
const button = document.getElementById("dispute-sign");
const result = document.getElementById("dispute-result");

function show(name, says = "") {
  for (const line of result.querySelectorAll("[data-for]")) line.hidden = line.dataset.for !== name;
  result.querySelector(".says").textContent = says;
  result.dataset.outcome = name;
  result.focus({ preventScroll: true });
}

/** The digest of exactly what the page shows, or null if the published bill says something else. */
async function digestOfPage() {
  const response = await fetch(terms.bill, { cache: "no-store" });
  const bill = parseBill(await response.text());
  const line = bill.lines[Number(terms.line)];
  const contract = fromHex(terms.contract.slice(2).toLowerCase(), 20);
  const publicKey = fromHex(terms.public, 64);
  const isShown =
    line?.amount === BigInt(terms.amount) &&
    bill.period === BigInt(terms.period) &&
    bill.unitIndex === BigInt(terms.unitIndex) &&
    bill.chainId === BigInt(terms.chainId) &&
    equalBytes(bill.contract, fromHex(terms.fees.slice(2).toLowerCase(), 20)) &&
    equalBytes(rootOf(bill).hash, bill.root.hash) &&
    toHex(keyIdOf(publicKey)) === terms.keyId;
  if (!isShown) return null;
  const body = challengeBody({
    period: bill.period,
    unitIndex: bill.unitIndex,
    line: BigInt(terms.line),
    linesDigest: linesDigest(bill.lines),
  });
  return personDigest({
    chainId: bill.chainId,
    contract,
    purpose: CHALLENGE,
    keyId: keyIdOf(publicKey),
    nonce: BigInt(terms.nonce),
    deadline: BigInt(terms.deadline),
    body,
  });
}

async function send(digest) {
  const signature = await sign(terms.public, digest);
  const response = await fetch(terms.post, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      nonce: terms.nonce,
      deadline: terms.deadline,
      digest: toHex(digest),
      signature: toHex(signature),
      public: terms.public,
    }),
  });
  const answer = await response.json().catch(() => ({}));
  if (response.ok) show("sent");
  else show("refused", answer.remedy ?? "");
  return response.ok;
}

async function prepare() {
  const digest = await digestOfPage().catch(() => null);
  if (!digest) return show("mismatch");
  document.getElementById("dispute-digest").textContent = toHex(digest).slice(0, 8);
  if (!(await holds(terms.public).catch(() => false))) return show("no-key");
  button.disabled = false;
  button.addEventListener("click", async () => {
    button.disabled = true;
    const isSent = await send(digest).catch(() => show("offline"));
    button.disabled = isSent === true;
  });
  return undefined;
}

await prepare();
