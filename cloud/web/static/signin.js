/**
 * Signs in with a passkey; or opens a letter of the demo: the one-time token goes to the service, the key's seed never does. Both stand in the
 * address's fragment, which browsers do not send, and are removed from the address at once.
 */

import { fromBase64Url } from "./verifier/bytes.js";
import { keepSeed } from "./ownerkey.js";
import { get, onButton, post } from "./passkey.js";

const letter = new URLSearchParams(location.hash.slice(1));
history.replaceState(null, "", location.pathname);
const panel = document.getElementById("signin");

function show(name) {
  for (const line of panel.querySelectorAll("[data-for]")) line.hidden = line.dataset.for !== name;
  panel.dataset.outcome = name;
}

async function open(token) {
  panel.hidden = false;
  document.getElementById("ways")?.remove();
  let response;
  try {
    response = await fetch("/signin", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ token }),
    });
  } catch {
    return show("offline");
  }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) return show(answer.error === "elsewhere" ? "elsewhere" : "refused");
  if (letter.get("k") && !(await keepLetterKey(letter.get("k")))) {
    show("unsafe");
    document.getElementById("signin-next").hidden = false;
    return undefined;
  }
  location.replace(answer.next);
  return undefined;
}

async function keepLetterKey(text) {
  try {
    await keepSeed(fromBase64Url(text));
    return true;
  } catch {
    return false;
  }
}

if (letter.get("t")) {
  await open(letter.get("t"));
} else if (document.getElementById("passkey")) {
  onButton({
    begin: () => post("/signin/passkey/begin", {}),
    perform: get,
    finish: (credential) => post("/signin/passkey", { credential }),
  });
} else {
  panel.hidden = false;
  show("missing");
}
