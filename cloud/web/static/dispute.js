/**
 * Disputes a bill line: fetches the published bill, makes sure that it says what the page shows, computes the
 * person digest from it, signs with the owner's key and hands the signature to the service, which only relays it.
 */

import { challengeArguments, formatAct, personSignature } from "./verifier/act.js";
import { linesDigest, parseBill, rootOf } from "./verifier/bill.js";
import { equalBytes, fromHex, toHex } from "./verifier/bytes.js";
import { CHALLENGE, challengeBody, keyIdOf, personDigest } from "./verifier/person.js";
import { showOutcome } from "./outcome.js";
import { holds, sign } from "./ownerkey.js";

const panel = document.getElementById("dispute");
const terms = panel.dataset;
const button = document.getElementById("dispute-sign");
const result = document.getElementById("dispute-result");

const show = (name, says) => showOutcome(result, name, says);

/** The published bill and the digest of exactly what the page shows, or null if the bill says something else. */
async function readPage() {
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
  const digest = personDigest({
    chainId: bill.chainId,
    contract,
    purpose: CHALLENGE,
    keyId: keyIdOf(publicKey),
    nonce: BigInt(terms.nonce),
    deadline: BigInt(terms.deadline),
    body,
  });
  return { bill, digest };
}

/** Offer what was signed as a file: whoever has it can bring it to the chain, with or without this service. */
function keep(bill, signature) {
  const file = formatAct({
    chainId: bill.chainId,
    contract: "Challenges",
    address: fromHex(terms.contract.slice(2).toLowerCase(), 20),
    function: "open_challenge",
    arguments: challengeArguments({
      bill,
      number: BigInt(terms.line),
      signature: personSignature({
        keyId: keyIdOf(fromHex(terms.public, 64)),
        nonce: BigInt(terms.nonce),
        deadline: BigInt(terms.deadline),
        signature,
      }),
    }),
  });
  const link = document.getElementById("dispute-file");
  URL.revokeObjectURL(link.href);
  link.href = URL.createObjectURL(new Blob([file], { type: "application/json" }));
  link.closest("p").hidden = false;
}

async function send({ bill, digest }) {
  const signature = await sign(terms.public, digest);
  keep(bill, signature);
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
  const read = await readPage().catch(() => null);
  if (!read) return show("mismatch");
  document.getElementById("dispute-digest").textContent = toHex(read.digest).slice(0, 8);
  if (!(await holds(terms.public).catch(() => false))) return show("no-key");
  button.disabled = false;
  button.addEventListener("click", async () => {
    button.disabled = true;
    const isSent = await send(read).catch(() => show("offline"));
    button.disabled = isSent === true;
  });
  return undefined;
}

await prepare();
