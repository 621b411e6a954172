/**
 * Confirms a meter's swap: fetches the swap as its installer signed it, makes sure that it says what the page shows,
 * computes the person digest from it, signs with the owner's key and hands the signature to the service, which only
 * relays it.
 */

import { equalBytes, fromHex, toHex } from "./verifier/bytes.js";
import { parseMeterSwap, swapBody } from "./verifier/meterswap.js";
import { SWAP_METER, keyIdOf, personDigest } from "./verifier/person.js";
import { showOutcome } from "./outcome.js";
import { holds, sign } from "./ownerkey.js";

const panel = document.getElementById("swap");
const terms = panel.dataset;
const button = document.getElementById("swap-sign");
const result = document.getElementById("swap-result");

const show = (name, says) => showOutcome(result, name, says);

/** The digest of exactly what the page shows, or null if the signed swap says something else. */
async function readPage() {
  const response = await fetch(terms.file, { cache: "no-store" });
  const swap = parseMeterSwap(await response.text());
  const publicKey = fromHex(terms.public, 64);
  const contract = fromHex(terms.contract.slice(2), 20);
  const isShown =
    swap.quantity === terms.quantity && // which says in what unit the page shows both registers
    swap.old.closing === BigInt(terms.closing) &&
    swap.fresh.opening === BigInt(terms.opening) &&
    swap.day === BigInt(terms.day) &&
    swap.chainId === BigInt(terms.chainId) &&
    equalBytes(swap.contract, contract) &&
    toHex(swap.visit) === terms.visit &&
    toHex(swap.old.photo) === terms.closingPhoto &&
    toHex(swap.fresh.photo) === terms.openingPhoto;
  if (!isShown) return null;
  return personDigest({
    chainId: swap.chainId,
    contract,
    purpose: SWAP_METER,
    keyId: keyIdOf(publicKey),
    nonce: BigInt(terms.nonce),
    deadline: BigInt(terms.deadline),
    body: swapBody(swap),
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
  const digest = await readPage().catch(() => null);
  if (!digest) return show("mismatch");
  document.getElementById("swap-digest").textContent = toHex(digest).slice(0, 8);
  if (!(await holds(terms.public).catch(() => false))) return show("no-key");
  button.disabled = false;
  button.addEventListener("click", async () => {
    button.disabled = true;
    const isSent = await send(digest).catch(() => show("offline"));
    button.disabled = isSent === true;
  });
  return undefined;
}

if (button) await prepare();
