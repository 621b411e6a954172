/**
 * The two WebAuthn ceremonies. Options and answers travel as JSON in which bytes are base64url, as the specification's
 * own toJSON writes them; written out here because older phones have passkeys and no toJSON.
 */

import { fromBase64Url, toBase64Url } from "./verifier/bytes.js";

export const hasPasskeys = typeof PublicKeyCredential === "function" && isSecureContext;

/** Post JSON; answers {ok, status, body}. Throws where the service cannot be reached. */
export async function post(address, body) {
  const response = await fetch(address, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  return { ok: response.ok, body: await response.json().catch(() => ({})) };
}

/** Make a passkey by the service's options; its answer as JSON. */
export async function create({ publicKey }) {
  const made = await navigator.credentials.create({
    publicKey: {
      ...publicKey,
      challenge: fromBase64Url(publicKey.challenge),
      user: { ...publicKey.user, id: fromBase64Url(publicKey.user.id) },
      excludeCredentials: (publicKey.excludeCredentials ?? []).map(asKnown),
    },
  });
  return written(made, { attestationObject: toBase64Url(new Uint8Array(made.response.attestationObject)) });
}

/** Sign in by the service's options; the answer as JSON. */
export async function get({ publicKey }) {
  const found = await navigator.credentials.get({
    publicKey: { ...publicKey, challenge: fromBase64Url(publicKey.challenge), allowCredentials: [] },
  });
  const { authenticatorData, signature, userHandle } = found.response;
  return written(found, {
    authenticatorData: toBase64Url(new Uint8Array(authenticatorData)),
    signature: toBase64Url(new Uint8Array(signature)),
    userHandle: userHandle ? toBase64Url(new Uint8Array(userHandle)) : undefined,
  });
}

function asKnown(one) {
  return { ...one, id: fromBase64Url(one.id) };
}

function written(credential, answer) {
  const clientDataJSON = toBase64Url(new Uint8Array(credential.response.clientDataJSON));
  const id = toBase64Url(new Uint8Array(credential.rawId));
  return { id, rawId: id, type: credential.type, response: { clientDataJSON, ...answer }, clientExtensionResults: {} };
}

/**
 * Run a ceremony behind the page's button and say what became of it in the page's own words.
 * `begin` answers the service's options, `perform` asks the device, `finish` hands its answer in.
 */
export function onButton({ begin, perform, finish, ready = () => true }) {
  const button = document.getElementById("passkey");
  const words = button.closest("section").querySelector(".words");
  const show = (name) => {
    for (const line of words.querySelectorAll("[data-for]")) line.hidden = line.dataset.for !== name;
    words.dataset.outcome = name;
  };
  const refusal = (body) => (words.querySelector(`[data-for="${CSS.escape(String(body.error))}"]`) ? body.error : "offline");
  const run = async () => {
    const options = await begin();
    if (!options.ok) return show(refusal(options.body));
    let credential;
    try {
      credential = await perform(options.body);
    } catch {
      return show("cancelled");
    }
    const answer = await finish(credential);
    if (!answer.ok) return show(refusal(answer.body));
    location.replace(answer.body.next);
    return undefined;
  };
  button.addEventListener("click", async () => {
    if (!ready()) return;
    if (!hasPasskeys) {
      show("missing");
      return;
    }
    button.disabled = true;
    show("working");
    try {
      await run();
    } catch {
      show("offline");
    } finally {
      button.disabled = false;
    }
  });
}
