/**
 * Repairs: what an owner reports, confirms, reopens or takes back is signed here, over the words that stand on the page.
 * Where the flat's key is not in this browser the form goes to the property office as it is, without a signature.
 */

import { formatAct, personSignature } from "./verifier/act.js";
import { fromHex, toHex, utf8 } from "./verifier/bytes.js";
import { encodeDetail } from "./verifier/detail.js";
import { keyIdOf, personDigest } from "./verifier/person.js";
import { sha256 } from "./verifier/sha256.js";
import { PURPOSE, body } from "./verifier/work_order.js";
import { reduce } from "./crew/photo.js";
import { holds, sign } from "./ownerkey.js";

const NO_DEVICE = "0".repeat(64);

function show(panel, name, says = "") {
  for (const line of panel.querySelectorAll(".result [data-for]")) line.hidden = line.dataset.for !== name;
  panel.querySelector(".result .says").textContent = says;
  panel.dataset.outcome = name;
}

/** One line of words, as the service keeps them. */
const plain = (text) => text.replace(/[\p{Cc}\p{Zl}\p{Zp}\p{Zs}\s]+/gu, " ").trim();

const salt = () => toHex(crypto.getRandomValues(new Uint8Array(16)));

/** The file of an act on WorkOrders, signed with the flat's key by the terms that the page carries. */
async function signed(terms, name, purpose, bodyBytes, args) {
  const keyId = keyIdOf(fromHex(terms.public, 64));
  const address = fromHex(terms.contract.slice(2).toLowerCase(), 20);
  const chainId = BigInt(terms.chainId);
  const [nonce, deadline] = [BigInt(terms.nonce), BigInt(terms.deadline)];
  const digest = personDigest({ chainId, contract: address, purpose, keyId, nonce, deadline, body: bodyBytes });
  const signature = personSignature({ keyId, nonce, deadline, signature: await sign(terms.public, digest) });
  return formatAct({ chainId, contract: "WorkOrders", address, function: name, arguments: { ...args, signature } });
}

async function post(address, content) {
  const response = await fetch(address, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(content),
  });
  return { isTaken: response.ok, answer: await response.json().catch(() => ({})) };
}

/** Sign a report's words and hand both in. */
async function report(terms, detail, deviceHex) {
  const [device, digest] = [fromHex(deviceHex || NO_DEVICE, 32), sha256(utf8(detail))];
  const words = { device, report: digest };
  const act = await signed(terms, "report", PURPOSE.REPORT, body.report(words), words);
  return post("/repairs", { door: terms.door ?? "", detail, act });
}

/** The chosen photo, made small and rid of its place; null where none was chosen or it is none. */
async function photoOf(form) {
  const [file] = form.elements.photo.files;
  if (!file) return null;
  const { bytes, type } = await reduce(file);
  return new File([bytes], "photo.jpg", { type });
}

/** Hand a report's photo in behind its words; whether it is there. */
async function addPhoto(name, photo) {
  if (!photo) return true;
  const response = await fetch(`/repairs/${name}/photo`, { method: "POST", headers: { "content-type": photo.type }, body: photo });
  return response.ok || response.status === 409;
}

/** A form that nobody signs goes as it is, with the small photo in the large one's place. */
async function sendUnsigned(form) {
  try {
    const photo = await photoOf(form);
    if (photo) {
      const chosen = new DataTransfer();
      chosen.items.add(photo);
      form.elements.photo.files = chosen.files;
    }
    form.submit();
  } catch {
    show(form, "photo");
  }
}

async function answer(panel) {
  const terms = panel.dataset;
  const [order, round] = [fromHex(terms.name, 32), BigInt(terms.round ?? 0)];
  const address = `/repairs/${terms.name}`;
  if (terms.act === "report") return report(terms, terms.detail, terms.device);
  if (terms.act !== "reopen") {
    const purpose = terms.act === "confirm" ? PURPOSE.CONFIRM : PURPOSE.WITHDRAW;
    const act = await signed(terms, terms.act, purpose, body[terms.act]({ order, round }), { order });
    return post(address, { door: "", detail: null, act });
  }
  const says = plain(panel.querySelector("textarea").value);
  if (!says) return null;
  const detail = new TextDecoder().decode(encodeDetail({ kind: "reopen", order: terms.name, salt: salt(), says }));
  const reason = sha256(utf8(detail));
  const act = await signed(terms, "reopen", PURPOSE.REOPEN, body.reopen({ order, reason, round }), { order, reason });
  return post(address, { door: "", detail, act });
}

async function prepareForm(form) {
  const hasKey = form.dataset.public !== undefined && (await holds(form.dataset.public).catch(() => false));
  for (const line of form.querySelectorAll(":scope > [data-for]")) line.hidden = (line.dataset.for === "signs") !== hasKey;
  form.dataset.ready = hasKey ? "signs" : "unsigned";
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (!hasKey) return sendUnsigned(form);
    const [place, says] = [plain(form.elements.place.value), plain(form.elements.says.value)];
    if (!says) return show(form, "empty");
    const button = form.querySelector("button");
    button.disabled = true;
    const at = Math.floor(Number(form.dataset.nonce) / 1000);
    const device = form.elements.device.value;
    const detail = new TextDecoder().decode(encodeDetail({ at, device, kind: "report", place, salt: salt(), says }));
    const photo = await photoOf(form).catch(() => undefined);
    if (photo === undefined) show(form, "photo");
    else if (await sendSigned(form, { detail, device, photo })) return undefined;
    button.disabled = false;
    return undefined;
  });
}

/** Words, signature and photo; whether all are there, and the page goes on. */
async function sendSigned(form, { detail, device, photo }) {
  try {
    const { isTaken, answer: told } = await report(form.dataset, detail, device);
    if (!isTaken) show(form, "refused", told.remedy ?? "");
    else {
      if (await addPhoto(told.name, photo)) location.assign(`/repairs/${told.name}`);
      else show(form, "unshown"); // pressed again it would be a second report
      return true;
    }
  } catch {
    show(form, "offline");
  }
  return false;
}

async function prepareAct(panel) {
  if (!(await holds(panel.dataset.public).catch(() => false))) return show(panel, "no-key");
  const button = panel.querySelector("button");
  button.disabled = false;
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      const done = await answer(panel);
      if (done === null) show(panel, "empty");
      else if (done.isTaken) return show(panel, "sent");
      else show(panel, "refused", done.answer.remedy ?? "");
    } catch {
      show(panel, "offline");
    }
    button.disabled = false;
    return undefined;
  });
  return undefined;
}

for (const form of document.querySelectorAll("form.repair")) await prepareForm(form);
for (const panel of document.querySelectorAll(".repair-act")) await prepareAct(panel);
