/** Joining: the letter's code and a new passkey. The code may stand in the address's fragment, which is never sent. */

import { create, onButton, post } from "./passkey.js";

const form = document.getElementById("join-form");
const field = document.getElementById("code");
const fragment = new URLSearchParams(location.hash.slice(1));
history.replaceState(null, "", location.pathname);
if (fragment.get("c")) field.value = fragment.get("c");

onButton({
  ready: () => form.reportValidity(),
  begin: () => post("/join/begin", { code: field.value }),
  perform: create,
  finish: (credential) => post("/join", { code: field.value, credential }),
});
