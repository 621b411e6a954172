/**
 * Screens: a colleague's phone joins the visit and signs it, and so does the property manager's, with no network: codes go
 * from screen to camera and back. Whoever signs sees what the record's own bytes say, computed anew on their own phone.
 */

import { concat, fromHex, toHex } from "../../verifier/bytes.js";
import { verify } from "../../verifier/p256.js";
import { keyIdOf } from "../../verifier/person.js";
import { encodePresence } from "../../verifier/presence.js";
import { itemsOf } from "../../verifier/pack.js";
import { sha256 } from "../../verifier/sha256.js";
import { decodeVisit } from "../../verifier/visit.js";
import { reader, shown } from "../codes.js";
import { action, h, notice } from "../dom.js";
import * as keys from "../keys.js";
import { step as send } from "../outbox.js";
import { DEADLINE_S, digestToSign, readFrozen, signatureFile } from "../record.js";
import { signForm } from "../signer.js";
import { all } from "../store.js";
import { signersOf } from "../visit.js";
import { openItems, openList } from "../visitlist.js";
import { addSignature, advance, signedElsewhere, takeNumber, visitOf } from "../visits.js";
import * as work from "../work.js";
import { summary } from "./sign.js";

const ALIAS = /^[0-9a-f]{64}$/;
const NAME_LENGTH_MAX = 40;
const SCANS_MAX = 4;

/** A message of the other phone that does not fit; `word` stands under `problem.`. */
class Unfit extends Error {
  constructor(word) {
    super(word);
    this.word = word;
  }
}

const SCREENS = { mine, help, join, ask };

/** `#/exchange/mine`, `#/exchange/help`, `#/exchange/join/VISIT`, `#/exchange/ask/VISIT`. */
export async function show(app, name, id) {
  const screen = await SCREENS[name](app, id);
  return { title: app.say("exchange.title"), ...screen };
}

// ---- joining ----------------------------------------------------------------------------------------------------

/** My joining code: who I am, what this phone scanned just now, and its place in its own row of visits. */
async function mine(app) {
  const { say } = app;
  const people = await keys.people();
  if (!people.length) return { back: "#/people", body: [notice("calm", say("start.nobody"))] };
  const place = h("div", { class: "stack" });
  let codes = null;
  const choose = async (person) => {
    codes?.stop();
    codes = await shown(app, "join", await joining(person));
    place.replaceChildren(codes.element);
  };
  await choose(people[0]);
  const buttons = people.length > 1 ? people.map((person) => action(person.name, () => choose(person), { kind: "button second", failed: app.failed })) : "";
  return {
    back: "#/people",
    body: [h("p", {}, say("exchange.show")), place, h("div", { class: "actions column" }, buttons, h("a", { class: "button", href: "#/exchange/help" }, say("exchange.help")))],
    stop: () => codes?.stop(),
  };
}

/** My word for a colleague's visit. It takes a number of this phone's own row, which nothing else will have. */
async function joining({ alias, name, duty }) {
  const phone = await takeNumber();
  const waiting = (await all("visits")).filter((visit) => visit.state === "scanned");
  const scanned = waiting.flatMap(({ device, scans }) => scans.map(({ by, ...scan }) => ({ device: device.hash, ...scan })));
  const scans = scanned.sort((one, other) => other.at - one.at).slice(0, SCANS_MAX); // the visit takes those of its own time
  return { alias, name, duty, phone, scans };
}

/** Read a colleague's joining code into this visit. */
async function join(app, id) {
  const { say } = app;
  const visit = await visitOf(id);
  const reading = reader(app, "join", async (message) => {
    await advance(id, joined(message, visit));
    // A first changing code draws two items that need a photo: a closed list is opened again for them.
    const list = await openList(id);
    const isClosed = list.visit.state === "ended";
    const lacks = openItems(list).length > 0;
    if (isClosed && lacks) await advance(id, { type: "reopen" });
    app.go(`#/visit/${id}/${isClosed && !lacks ? "sign" : "list"}`);
    app.announce(say("exchange.joined", { name: message.name }));
  }, ({ alias }) => !signersOf(visit).includes(alias));
  return {
    back: `#/visit/${id}/list`,
    body: [h("h2", {}, say("exchange.join")), h("p", {}, say("exchange.join_says")), reading.element],
    stop: reading.stop,
  };
}

/** The other phone's word, taken only in the form that it has: what a proof may not hold would be refused after the work. */
function joined({ alias, name, duty, phone, scans }, visit) {
  const isWhole =
    ALIAS.test(alias) && typeof name === "string" && name.length <= NAME_LENGTH_MAX && ["mechanic", "manager"].includes(duty) &&
    Array.isArray(scans) && scans.length <= SCANS_MAX;
  if (!isWhole) throw new Unfit("exchange_damaged");
  const here = scans.filter((scan) => scan?.device === visit.device.hash).map(({ device, ...scan }) => scan);
  const { id, number, previous } = phone ?? {};
  try {
    encodePresence({
      format: "minglou-presence/1", device: visit.device.hash, salt: "00".repeat(16),
      scans: here.map((scan) => ({ by: 0, ...scan })), phones: [{ by: 0, id, number, previous }],
    });
  } catch {
    throw new Unfit("exchange_damaged");
  }
  return { type: "join", alias, name, manager: duty === "manager", phone: { id, number, previous }, scans: here };
}

// ---- asking -----------------------------------------------------------------------------------------------------

/** Show the record to the other phone, then read its signature. */
async function ask(app, id) {
  const { say } = app;
  const visit = await visitOf(id);
  if (visit?.state !== "asked") return { back: `#/visit/${id}/sign`, body: [notice("warn", say("refused.state"))] };
  const { chainId, contract, record, checklist, presence } = visit.frozen;
  const codes = await shown(app, "ask", { chain_id: chainId, contract, record, checklist, presence });
  const isNews = ({ alias }) => !visit.signatures[signersOf(visit).indexOf(alias)];
  const take = async (message) => {
    const name = await received(id, message);
    app.announce(say("exchange.received", { name }));
    if ((await visitOf(id)).state === "outbox") send().catch(app.failed);
    app.go(`#/visit/${id}/sign`);
  };
  const reading = reader(app, "sign", take, isNews);
  return {
    back: `#/visit/${id}/sign`,
    body: [h("h2", {}, say("exchange.ask")), h("p", {}, say("exchange.ask_says")), codes.element, reading.element],
    stop: () => {
      codes.stop();
      reading.stop();
    },
  };
}

/** Keep a signature that another phone made, if it is one of this record; answers who gave it. */
async function received(id, { visit: digest, alias, signature }) {
  const visit = await visitOf(id);
  const index = signersOf(visit).indexOf(alias);
  if (digest !== visit.frozen.digest || index < 0) throw new Unfit("exchange_wrong");
  await checkKey(alias, signature.key);
  const made = { ...signature, publicKey: fromHex(signature.key, 64), clientData: fromHexText(signature.client_data), authenticatorData: fromHexText(signature.authenticator_data) };
  const signed = digestToSign(visit.frozen, { index, publicKey: made.publicKey, nonce: made.nonce, deadline: made.deadline });
  const message = made.clientData.length ? concat(made.authenticatorData, sha256(made.clientData)) : signed;
  if (!(await verify(made.publicKey, message, fromHex(signature.signature, 64)))) throw new Unfit("exchange_wrong");
  await addSignature(id, index, signature);
  return visit.names[alias] ?? alias.slice(0, 8);
}

const fromHexText = (text) => fromHex(text, Math.floor((text?.length ?? 0) / 2));

// ---- helping ----------------------------------------------------------------------------------------------------

/** Read what a colleague asks, show what it says, sign, and show the signature. */
async function help(app) {
  const { say } = app;
  const place = h("div", { class: "stack" });
  const codes = { stop: () => undefined };
  const reading = reader(app, "ask", async (message) => place.replaceChildren(...(await review(app, message, { place, codes }))));
  place.append(h("p", {}, say("exchange.help_says")), reading.element);
  return {
    back: "#/people",
    body: [h("h2", {}, say("exchange.help")), place],
    stop: () => {
      reading.stop();
      codes.stop();
    },
  };
}

async function review(app, message, { place, codes }) {
  const { say } = app;
  const { frozen, pack, read, held } = await understood(message);
  const signers = [...read.record.mechanics, read.record.manager].map(toHex);
  const people = (await keys.people()).filter((one) => signers.includes(one.alias));
  if (!people.length) return [notice("warn", say("exchange.not_named"))];
  const device = held.file.devices.find((one) => one.device === toHex(read.record.device));
  if (!device) throw new Unfit("exchange_device");
  const list = { items: itemsOf(pack, read.record.visitClass), pack };
  const facts = { record: read.record, checklist: read.checklist, scans: read.presence.scans, inside: read.presence.inside ?? null, timezone: held.file.site.timezone, swap: device.swap };
  const give = async (person, pin) => {
    const index = signers.indexOf(person.alias);
    await signedElsewhere(frozen.digest, read.presence.phones, index);
    const answer = await signature(frozen, { person, index, pin });
    const made = await shown(app, "sign", answer);
    codes.stop = made.stop;
    place.replaceChildren(h("p", {}, say("exchange.give_says")), made.element);
  };
  return [
    h("h2", { class: "name" }, app.title(device.title)),
    h("p", {}, say("exchange.sign_says")),
    summary(app, list, facts),
    h("section", { class: "card digest" }, h("h2", {}, say("sign.digest")), h("p", { class: "big code", id: "digest" }, frozen.digest.slice(0, 8))),
    h("ul", { class: "signers" }, people.map((person) => h("li", {}, signing(app, person, give)))),
  ];
}

/** What the other phone's bytes say, read by this phone's own rules: its own checklist, its own site's contract. */
async function understood({ chain_id: chainId, contract, record, checklist, presence }) {
  const held = await work.kept();
  if (!held) throw new Unfit("exchange_no_work");
  if (chainId !== held.file.chain_id || contract !== held.file.contracts.service_agreements) throw new Unfit("exchange_contract");
  const pack = await work.packOf(toHex(decodeVisit(fromHex(record, 352)).plan));
  if (!pack) throw new Unfit("exchange_no_work");
  const frozen = { chainId, contract, record, checklist, presence, digest: toHex(sha256(fromHex(record, 352))) };
  return { frozen, pack, read: readFrozen(frozen, pack), held };
}

function signing(app, person, give) {
  const words = app.say("exchange.answer");
  return signForm(app, person, { words, give: (pin) => give(person, pin), head: h("b", {}, person.name), class: "form", "data-give": "" });
}

async function signature(frozen, { person, index, pin }) {
  const publicKey = fromHex(person.public, 64);
  const nonce = Date.now();
  const deadline = Math.floor(nonce / 1000) + DEADLINE_S;
  const made = await keys.sign(digestToSign(frozen, { index, publicKey, nonce, deadline }), person.alias, { pin });
  const file = signatureFile({ publicKey, kind: person.kind, nonce, deadline, ...made });
  return { visit: frozen.digest, alias: person.alias, signature: file };
}

/** A key that is not the one under which the site knows this person would be refused by everybody, for ever. */
async function checkKey(alias, key) {
  const known = (await work.kept())?.file.people.find((one) => one.alias === alias);
  if (known && known.key_id !== toHex(keyIdOf(fromHex(key, 64)))) throw new Unfit("exchange_key");
}
