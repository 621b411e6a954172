/**
 * People's signing keys on this phone: a passkey of this site (the screen lock or the finger opens it), or, where the
 * browser has none, a key that WebCrypto keeps and never gives out, behind a number that the person chose. Which of the
 * two signed stands on every record (`kind`).
 *
 * These keys sign visits; they never sign anybody in. A record of the store `keys`:
 * {alias, name, duty, kind: "passkey"|"software", public, credential?, key?, pin?, enrolment?}. The name stays on the
 * phone.
 */

import { concat, equalBytes, fromHex, toBase64Url, toHex, utf8 } from "../verifier/bytes.js";
import { fromAnyDer, isPublicKey, normalised, verify } from "../verifier/p256.js";
import { ENROL_KEY, keyIdOf, personDigest } from "../verifier/person.js";
import { sha256 } from "../verifier/sha256.js";
import { all, atomically, get } from "./store.js";

export const FORMAT = "minglou-crew-key/1";
export const CLIENT_DATA_MAX = 256; // bytes of all signers of one visit that the contract takes together
const CURVE = { name: "ECDSA", namedCurve: "P-256" };
const SIGNATURE = { name: "ECDSA", hash: "SHA-256" };
const ES256 = -7;
const SPKI_BYTES = 91;
const AUTHENTICATOR_BYTES = 37; // with no extension
const PRESENT_AND_VERIFIED = 0b101;
const CEREMONY_MS = 120_000;
const PIN = /^[0-9]{6,12}$/;
const PIN_ROUNDS = 200_000;
const WRONG_FREE = 5;
const WAIT_MS = 60_000;
const WAIT_MS_MAX = 3_600_000;
const NOTHING = new Uint8Array(0);

/**
 * A key that cannot be made or used. `word` is one of `pin_form`, `pin_wrong`, `pin_wait` (with `seconds`), `key_unknown`,
 * `passkey_none`, `passkey_refused`, `passkey_kind`, `passkey_answer`, `passkey_long`.
 */
export class KeyRefused extends Error {
  constructor(word, seconds = 0) {
    super(word);
    this.word = word;
    this.seconds = seconds;
  }
}

/** Whether this browser has passkeys with a check of the person. */
export async function hasPasskeys() {
  if (typeof PublicKeyCredential !== "function" || !isSecureContext) return false;
  return (await PublicKeyCredential.isUserVerifyingPlatformAuthenticatorAvailable?.().catch(() => false)) ?? false;
}

/** Everybody who signs on this phone: [{alias, name, kind, public, duty}]. */
export async function people() {
  return (await all("keys")).map(shown);
}

const shown = ({ alias, name, kind, public: publicHex, duty }) => ({ alias, name, kind, public: publicHex, duty });

/**
 * Make a person's key.
 * @param {{name: string, kind: "passkey"|"software", pin?: string, duty?: string}} person `pin` six to twelve digits,
 *        for a software key.
 * @returns {Promise<{alias: string, name: string, kind: string, public: string, duty: string}>}
 */
export async function make({ name, kind, pin = "", duty = "mechanic" }) {
  const alias = crypto.getRandomValues(new Uint8Array(32));
  const made = kind === "passkey" ? await passkey(alias, name) : await deviceKey(pin);
  const person = { alias: toHex(alias), name, duty, kind, ...made };
  if (kind === "software") person.enrolment = await enrolmentOf(person, (digest) => bySoftware(person, digest));
  await atomically(["keys"], ({ keys }) => keys.put(person));
  return shown(person);
}

/**
 * Sign 32 bytes as this person, after the passkey's own check or the right number.
 * @param {Uint8Array} digest
 * @param {string} alias
 * @param {{pin?: string}} proof
 * @returns {Promise<{signature: Uint8Array, authenticatorData: Uint8Array, clientData: Uint8Array, publicKey: Uint8Array,
 *          kind: string}>} `signature` is r || s with low s.
 */
export async function sign(digest, alias, { pin = "" } = {}) {
  const person = await get("keys", alias);
  if (!person) throw new KeyRefused("key_unknown");
  if (person.kind === "software") await checkPin(alias, pin);
  return signed(person, digest);
}

/**
 * What a firm's office brings to the site's two parties: the key, the alias, and the key's own signature over both.
 * A passkey is asked for it once.
 * @returns {Promise<object>} the file `minglou-crew-key/1`.
 */
export async function enrolment(alias) {
  const person = await get("keys", alias);
  if (!person) throw new KeyRefused("key_unknown");
  if (person.enrolment) return person.enrolment;
  const file = await enrolmentOf(person, (digest) => signed(person, digest));
  await atomically(["keys"], ({ keys }) => keys.put({ ...person, enrolment: file }));
  return file;
}

/** Take a person's key off this phone. What it signed stays valid. */
export async function forget(alias) {
  await atomically(["keys"], ({ keys }) => keys.delete(alias));
}

/** Bytes of the room in the contract that one answer takes: nothing for a software key. */
export function chainBytes(clientData) {
  if (clientData.length === 0) return 0;
  const before = utf8('","origin":"');
  const at = indexOf(clientData, before) + before.length;
  const rest = clientData.subarray(at);
  const usual = utf8(`${location.origin}","crossOrigin":false}`);
  return equalBytes(rest, usual) ? utf8(location.origin).length : rest.length;
}

/**
 * Refuse a signature that the contract could not take beside those that stand: a passkey's answer may be long, and then its
 * person signs with a software key.
 * @param {{client_data: string}[]} signatures as the file holds them.
 */
export function checkTogether(signatures) {
  const lengths = signatures.map((one) => chainBytes(fromHex(one.client_data, one.client_data.length / 2)));
  if (lengths.reduce((sum, length) => sum + length, 0) > CLIENT_DATA_MAX) throw new KeyRefused("passkey_long");
}

// ---- a key that WebCrypto keeps ---------------------------------------------------------------------------------

async function deviceKey(pin) {
  if (!PIN.test(pin)) throw new KeyRefused("pin_form");
  const salt = crypto.getRandomValues(new Uint8Array(16));
  const { privateKey, publicKey } = await crypto.subtle.generateKey(CURVE, false, ["sign", "verify"]);
  const point = new Uint8Array(await crypto.subtle.exportKey("raw", publicKey));
  const digest = await pinDigest(pin, salt);
  return { public: toHex(point.subarray(1)), key: privateKey, pin: { salt, digest, wrong: 0, waitUntil: 0 } };
}

async function pinDigest(pin, salt) {
  const typed = await crypto.subtle.importKey("raw", utf8(pin), "PBKDF2", false, ["deriveBits"]);
  const how = { name: "PBKDF2", hash: "SHA-256", salt, iterations: PIN_ROUNDS };
  return new Uint8Array(await crypto.subtle.deriveBits(how, typed, 256));
}

/** A try counts as wrong before it is looked at: closing the app in between gives no free one. */
async function checkPin(alias, pin) {
  const { salt, digest, waitUntil } = await atomically(["keys"], async ({ keys }) => {
    const person = await keys.get(alias);
    const now = Date.now();
    if (now < person.pin.waitUntil) throw new KeyRefused("pin_wait", secondsUntil(person.pin.waitUntil));
    const tries = person.pin.wrong + 1;
    const waitMs = tries < WRONG_FREE ? 0 : Math.min(WAIT_MS * 2 ** (tries - WRONG_FREE), WAIT_MS_MAX);
    const counted = { ...person.pin, wrong: tries, waitUntil: waitMs && now + waitMs };
    await keys.put({ ...person, pin: counted });
    return counted;
  });
  if (!equalBytes(await pinDigest(pin, salt), digest)) {
    throw new KeyRefused("pin_wrong", waitUntil && secondsUntil(waitUntil));
  }
  await atomically(["keys"], async ({ keys }) => {
    const person = await keys.get(alias);
    await keys.put({ ...person, pin: { ...person.pin, wrong: 0, waitUntil: 0 } });
  });
}

function secondsUntil(at) {
  return Math.max(1, Math.ceil((at - Date.now()) / 1000));
}

async function bySoftware(person, digest) {
  const signature = normalised(new Uint8Array(await crypto.subtle.sign(SIGNATURE, person.key, digest)));
  return { signature, authenticatorData: NOTHING, clientData: NOTHING };
}

// ---- a passkey --------------------------------------------------------------------------------------------------

async function passkey(alias, name) {
  const made = await ceremony("create", {
    rp: { id: location.hostname, name: "明楼 Minglou" },
    user: { id: alias, name, displayName: name },
    challenge: crypto.getRandomValues(new Uint8Array(32)),
    pubKeyCredParams: [{ type: "public-key", alg: ES256 }],
    authenticatorSelection: { residentKey: "preferred", userVerification: "required" },
    attestation: "none",
  });
  const spki = new Uint8Array(made.response.getPublicKey?.() ?? NOTHING);
  const publicKey = spki.subarray(spki.length - 64);
  const isOurs = made.response.getPublicKeyAlgorithm?.() === ES256 && spki.length === SPKI_BYTES && isPublicKey(publicKey);
  if (!isOurs) throw new KeyRefused("passkey_kind");
  return { public: toHex(publicKey), credential: new Uint8Array(made.rawId) };
}

async function byPasskey(person, digest) {
  const { response } = await ceremony("get", {
    challenge: digest,
    rpId: location.hostname,
    allowCredentials: [{ type: "public-key", id: person.credential }],
    userVerification: "required",
  });
  const authenticatorData = new Uint8Array(response.authenticatorData);
  const clientData = new Uint8Array(response.clientDataJSON);
  const begin = utf8(`{"type":"webauthn.get","challenge":"${toBase64Url(digest)}","origin":"${location.origin}"`);
  const isWhole =
    authenticatorData.length === AUTHENTICATOR_BYTES &&
    equalBytes(authenticatorData.subarray(0, 32), rpIdHash()) &&
    (authenticatorData[32] & PRESENT_AND_VERIFIED) === PRESENT_AND_VERIFIED &&
    equalBytes(clientData.subarray(0, begin.length), begin);
  if (!isWhole) throw new KeyRefused("passkey_answer");
  return { signature: normalised(fromAnyDer(new Uint8Array(response.signature))), authenticatorData, clientData };
}

async function ceremony(name, publicKey) {
  if (typeof PublicKeyCredential !== "function" || !isSecureContext) throw new KeyRefused("passkey_none");
  const answer = await navigator.credentials[name]({ publicKey: { ...publicKey, timeout: CEREMONY_MS } }).catch(() => null);
  if (!answer) throw new KeyRefused("passkey_refused");
  return answer;
}

const rpIdHash = () => sha256(utf8(location.hostname));

// ---- both -------------------------------------------------------------------------------------------------------

/** A signature is checked before it is given out: a broken one would be found only when the visit is long over. */
async function signed(person, digest) {
  const made = await (person.kind === "passkey" ? byPasskey : bySoftware)(person, digest);
  const publicKey = fromHex(person.public, 64);
  const message = made.clientData.length ? concat(made.authenticatorData, sha256(made.clientData)) : digest;
  if (!(await verify(publicKey, message, made.signature))) throw new KeyRefused("passkey_answer");
  return { ...made, publicKey, kind: person.kind };
}

/** The key signs the alias that it is to stand for. No chain and no contract are named: nothing else can come of it. */
async function enrolmentOf(person, signer) {
  const isPasskey = person.kind === "passkey";
  const publicKey = fromHex(person.public, 64);
  const nonce = BigInt(Date.now());
  const digest = personDigest({
    chainId: 0n,
    contract: new Uint8Array(20),
    purpose: ENROL_KEY,
    keyId: keyIdOf(publicKey),
    nonce,
    deadline: 0n,
    body: fromHex(person.alias, 32),
  });
  const { signature, authenticatorData, clientData } = await signer(digest);
  return {
    format: FORMAT,
    alias: person.alias,
    rp_id_hash: toHex(isPasskey ? rpIdHash() : new Uint8Array(32)),
    origin: isPasskey ? location.origin : "",
    proof: {
      key: person.public,
      kind: person.kind,
      nonce: String(nonce),
      deadline: "0",
      signature: toHex(signature),
      authenticator_data: toHex(authenticatorData),
      client_data: toHex(clientData),
    },
  };
}

function indexOf(bytes, wanted) {
  for (let at = 0; at + wanted.length <= bytes.length; at += 1) {
    if (wanted.every((byte, i) => bytes[at + i] === byte)) return at;
  }
  throw new KeyRefused("passkey_answer");
}
