/** One more passkey for this account. */

import { create, onButton, post } from "./passkey.js";

if (document.getElementById("passkey")) {
  onButton({
    begin: () => post("/account/passkeys/begin", {}),
    perform: create,
    finish: (credential) => post("/account/passkeys", { credential }),
  });
}
