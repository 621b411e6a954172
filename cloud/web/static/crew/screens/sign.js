/**
 * Screen: what will be signed, on one page, and who signs it. Before the record is made it can still be changed; afterwards
 * the page shows what the record's own bytes say.
 */

import { fromHex, toHex } from "../../verifier/bytes.js";
import { CLASSES } from "../../verifier/visit.js";
import { day } from "../clock.js";
import { action, facts, h, notice } from "../dom.js";
import { offer, visitArchive } from "../export.js";
import * as keys from "../keys.js";
import { DEADLINE_S, countsOf, digestToSign, draftOf, readFrozen, signatureFile, swapDigestToSign, swapDraftOf, swapFile } from "../record.js";
import { registerWords } from "../register.js";
import { signForm } from "../signer.js";
import { meterOf, stepOf } from "../swap.js";
import { VisitRefused, signersOf } from "../visit.js";
import { openList } from "../visitlist.js";
import { addSignature, advance, freeze, photosWithBytes } from "../visits.js";
import * as work from "../work.js";
import { step as send } from "../outbox.js";

export async function show(app, id) {
  const list = await openList(id);
  const { state } = list.visit;
  if (state === "outbox") return { title: app.say("sign.title"), back: "#/outbox", body: [signedAlready(app)] };
  if (state === "ended") return preparing(app, id, list);
  if (state === "asked") return signing(app, id, list);
  return { title: app.say("sign.title"), back: `#/visit/${id}/list`, body: [notice("warn", app.say("refused.open_items"))] };
}

const signedAlready = (app) => notice("calm", app.say("sign.done"), h("a", { class: "button", href: "#/outbox" }, app.say("nav.outbox")));

/** The list is closed, nothing is made yet. */
async function preparing(app, id, list) {
  const { say } = app;
  const { visit } = list;
  const held = await work.kept();
  const why = held ? work.whyNoSigning(held.file) : "work.none";
  const left = visit.scans.some((scan) => scan.sense === "out");
  const meter = meterOf(visit, list.items);
  const checklist = { items: list.items.map((item) => ({ code: item.code, ...visit.answers[item.code] })), parts: visit.parts, meter };
  const body = [
    summary(app, list, { device: visit.device, names: visit.names, record: visit, checklist, scans: visit.scans, inside: visit.inside, timezone: held?.file.site.timezone }),
    left ? "" : h("section", { class: "card" }, h("h2", {}, say("sign.check")), h("p", {}, say("sign.scan_out_says")),
      h("a", { class: "button second", href: `#/scan/${id}/out` }, say("sign.scan_out"))),
  ];
  if (!meter && list.items.some(({ register }) => register)) body.push(notice("warn", say("swap.none"), h("p", {}, say("swap.none_says"))));
  body.push(await crew(app, id, visit));
  if (why) body.push(notice("warn", say("sign.contract_missing")));
  else body.push(h("p", { class: "quiet" }, say("sign.freeze_says")));
  const actions = h("div", { class: "actions column" });
  if (visit.people.length < 2 || !visit.manager) actions.append(h("a", { class: "button second", id: "join", href: `#/exchange/join/${id}` }, say("exchange.join")));
  if (!why) actions.append(action(say("sign.freeze"), () => make(app, id, list, held.file), { failed: app.failed, id: "freeze" }));
  actions.append(action(say("sign.reopen"), async () => {
    await advance(id, { type: "reopen" });
    app.go(`#/visit/${id}/list`);
  }, { kind: "button second", failed: app.failed }));
  body.push(actions);
  return { title: say("sign.title"), back: "#/work", body };
}

async function make(app, id, { visit, pack, items, challenge }, file) {
  const people = await keys.people();
  const signsHere = visit.people.some((alias) => people.some((one) => one.alias === alias));
  if (meterOf(visit, items) && !signsHere) throw new VisitRefused("no_installer");
  const contract = { chainId: file.chain_id, address: file.contracts.service_agreements };
  await freeze(id, { pack, items, challenge, contract });
  await app.show();
}

/** The record is made: everything on this page is read back from its bytes. */
async function signing(app, id, list) {
  const { say } = app;
  const { visit } = list;
  const read = readFrozen(visit.frozen, list.pack);
  const people = await keys.people();
  const rows = signersOf(visit).map((alias, index) => signer(app, id, visit, { alias, index, person: people.find((one) => one.alias === alias) }));
  return {
    title: say("sign.title"),
    back: "#/work",
    body: [
      summary(app, list, { device: visit.device, names: visit.names, record: read.record, checklist: read.checklist, scans: read.presence.scans, inside: read.presence.inside ?? null, timezone: (await work.kept())?.file.site.timezone }),
      h("section", { class: "card digest" },
        h("h2", {}, say("sign.digest")),
        h("p", { class: "big code", id: "digest" }, visit.frozen.digest.slice(0, 8)),
        h("p", { class: "quiet" }, say("sign.digest_says"))),
      read.swap ? besideIt(app, visit, (await work.kept())?.file) : "",
      h("section", { class: "card" }, h("h2", {}, say("sign.people")), h("ul", { class: "signers" }, rows)),
      h("div", { class: "actions column" }, exporter(app, visit)),
    ],
  };
}

/** What the first mechanic signs as well, and whether the site knows that key as an installer's. */
function besideIt(app, visit, file) {
  const { say } = app;
  const known = (file?.people ?? []).filter(({ alias }) => visit.people.includes(alias));
  const isUnknown = known.length > 0 && !known.some(({ installs }) => installs);
  return h("section", { class: "card", id: "swap" }, h("h2", {}, say("sign.meter")), h("p", {}, say("swap.signs")),
    isUnknown ? h("p", { class: "warn" }, say("swap.not_installer")) : "");
}

function signer(app, id, visit, { alias, index, person }) {
  const { say } = app;
  const name = nameOf(visit, alias, person);
  const duty = say(index < visit.people.length ? "sign.mechanic" : "sign.countersigner");
  const head = h("p", {}, h("b", {}, name), " ", h("span", { class: "quiet" }, person ? `${duty} · ${say(`sign.kind_${person.kind}`)}` : duty));
  if (visit.signatures[index]) return h("li", {}, head, h("p", { class: "status", "data-tone": "good" }, say("sign.signed")));
  const out = leaver(app, id, visit, { alias, name, words: say("sign.without", { name }) });
  if (!person) return h("li", {}, head, h("p", { class: "quiet" }, say("sign.elsewhere")), h("div", { class: "actions column" }, h("a", { class: "button second", "data-ask": index, href: `#/exchange/ask/${id}` }, say("exchange.ask")), out));
  const give = (pin) => signAs(app, id, visit, { person, index, pin });
  return h("li", {}, head, signForm(app, person, { words: say("sign.do", { name }), give, id: index, "data-signer": index }), h("div", { class: "actions column" }, out));
}

const nameOf = (visit, alias, person) => person?.name ?? visit.names[alias] ?? alias.slice(0, 8);

/** Take somebody out who does not sign: pressed twice, for the record is then made anew and signed anew by the others. */
function leaver(app, id, visit, { alias, name, words }) {
  if (visit.people.length === 1 && visit.people[0] === alias) return "";
  const button = h("button", { type: "button", class: "button second", "data-leave": alias }, words);
  button.addEventListener("click", async () => {
    if (!button.dataset.sure) {
      button.dataset.sure = "yes";
      button.textContent = app.say("sign.without_sure", { name });
      return;
    }
    await advance(id, { type: "leave", alias }).then(() => app.show(), app.failed);
  });
  return button;
}

/** The record as it stands, with whatever signatures it has: nothing that somebody else has to press keeps it on this phone. */
function exporter(app, visit) {
  return action(app.say("outbox.export"), async () => {
    const photos = await photosWithBytes(visit);
    offer(visitArchive({ digest: visit.frozen.digest, bundle: draftOf(visit), swap: swapDraftOf(visit), photos }));
  }, { kind: "button second", failed: app.failed, id: "export" });
}

/** Sign the digest of the record that the page shows, and of its swap; keep both signatures, and with the last one send. */
async function signAs(app, id, visit, { person, index, pin }) {
  const publicKey = fromHex(person.public, 64);
  const nonce = Date.now();
  const deadline = Math.floor(nonce / 1000) + DEADLINE_S;
  const digest = digestToSign(visit.frozen, { index, publicKey, nonce, deadline });
  const signed = async (bytes) => signatureFile({ publicKey, kind: person.kind, nonce, deadline, ...(await keys.sign(bytes, person.alias, { pin })) });
  const signature = await signed(digest);
  const isInstaller = visit.frozen.swap && !visit.swap && index < visit.people.length;
  const swap = isInstaller ? swapFile(visit.frozen, await signed(swapDigestToSign(visit.frozen, { publicKey, nonce, deadline }))) : null;
  const after = await addSignature(id, index, signature, swap);
  if (after.state !== "outbox") return app.show();
  send().catch(app.failed);
  app.go("#/outbox");
  app.announce(app.say("sign.done"));
  return undefined;
}

/** Counts, what was not in order, photos, times: from the very list that is hashed. */
export function summary(app, { items, pack }, { device = null, swap = device?.swap, record, checklist, scans, inside, timezone, names = {} }) {
  const { say } = app;
  const counts = countsOf(checklist);
  const words = Object.entries(counts).filter(([, count]) => count).map(([result, count]) => `${say(`result.${result}`)} ${count}`).join(" · ");
  const minutes = Math.round((record.endedAtS - record.startedAtS) / 60);
  const clock = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  const day = { month: "numeric", day: "numeric" };
  const told = new Intl.DateTimeFormat(app.tag, { timeZone: timezone, ...day, ...clock });
  const time = told.formatRange(record.startedAtS * 1000, record.endedAtS * 1000);
  const photos = checklist.items.reduce((sum, item) => sum + (item.photos?.length ?? 0), 0);
  return h("section", { class: "card summary" },
    h("h2", {}, [device && app.title(device.title), say(`class.${CLASSES[record.visitClass]}`)].filter(Boolean).join(" · ")),
    h("p", { class: "quiet small" }, app.title(pack.title)),
    facts(
      [say("sign.time"), `${time} · ${say("sign.minutes", { n: minutes })}`],
      words ? [say("sign.counts"), words] : null,
      [say("sign.deviations"), deviations(app, items, checklist)],
      checklist.parts?.length ? [say("sign.parts"), checklist.parts.map(({ name, count }) => `${name} × ${count}`).join(" · ")] : null,
      [say("sign.photos"), String(photos)],
      [say("sign.presence"), presence(app, record, scans, names)],
      ...others(app, checklist),
      inside === null ? null : ["", say(inside ? "sign.inside" : "sign.outside")],
    ),
    checklist.meter ? exchanged(app, checklist.meter, swap) : "");
}

function deviations(app, items, checklist) {
  const { say } = app;
  const odd = checklist.items.filter((one) => !["ok", "absent"].includes(one.result) || one.note);
  if (!odd.length) return say("sign.none");
  return h("ul", {}, odd.map((one) => {
    const item = items.find((each) => each.code === one.code);
    const value = item.limit && one.value !== undefined && one.value !== null ? ` ${one.value / (item.limit.factor ?? 1)} ${item.limit.unit}` : "";
    return h("li", {}, `${app.language === "zh" ? item.zh : item.en}: ${say(`result.${one.result}`)}${value}${one.note ? ` – ${one.note}` : ""}`);
  }));
}

/** Who is in the visit, before its record is made; whoever joined by mistake can be taken out. */
async function crew(app, id, visit) {
  const { say } = app;
  const people = await keys.people();
  const rows = signersOf(visit).map((alias) => {
    const name = nameOf(visit, alias, people.find((one) => one.alias === alias));
    const duty = say(alias === visit.manager ? "sign.countersigner" : "sign.mechanic");
    return h("li", {}, h("p", {}, h("b", {}, name), " ", h("span", { class: "quiet" }, duty)), leaver(app, id, visit, { alias, name, words: say("sign.take_out", { name }) }));
  });
  return h("section", { class: "card" }, h("h2", {}, say("sign.people")), h("ul", { class: "signers" }, rows));
}

/** Each who signs, and what each of them scanned: an absent colleague has nothing there. */
function presence(app, record, scans, names) {
  const { say } = app;
  const mechanics = (record.mechanics ?? record.people).map(textOf);
  const manager = record.manager && textOf(record.manager);
  const signers = manager && !/^0*$/.test(manager) ? [...mechanics, manager] : mechanics;
  const rows = signers.map((alias, by) => {
    const own = scans.filter((scan) => scan.by === by || scan.by === alias);
    const duty = say(by < mechanics.length ? "sign.mechanic" : "sign.countersigner");
    const seen = own.length ? say("sign.presence_yes", { n: own.length, m: own.filter((scan) => scan.token).length }) : say("sign.presence_no");
    return h("li", { "data-scans": own.length }, `${names[alias] ?? `${duty} ${alias.slice(0, 8)}`}: ${seen}`);
  });
  return h("ul", {}, rows);
}

const textOf = (alias) => (typeof alias === "string" ? alias : toHex(alias));

/** Both registers as the displays showed them, in the unit that the signed quantity has, and from when the new meter counts. */
function exchanged(app, { quantity, closing, opening, date, ...meter }, swap) {
  const { say } = app;
  const spare = swap?.spares.find(({ device }) => device === meter.new);
  const row = (name, value) => h("p", { class: "beside" }, h("span", {}, name), h("b", {}, value));
  return h("section", { class: "exchanged" },
    h("h3", {}, say("sign.meter")),
    row(say("swap.old_showed"), registerWords(closing, quantity, swap?.step)),
    row(spare ? app.title(spare.title) : meter.new.slice(0, 8), registerWords(opening, quantity, swap && stepOf(swap, meter.new))),
    h("p", {}, say("swap.from", { day: day(date, app) })));
}

/** Whatever else the list says is shown as well: nobody signs what the screen keeps back. */
function others(app, { order, calibration }) {
  const { say } = app;
  return [
    order ? [say("order.title"), order.slice(0, 8)] : null,
    calibration ? [say("sign.calibration"), `${calibration.valid_until} (${calibration.certificate.slice(0, 8)})`] : null,
  ];
}
