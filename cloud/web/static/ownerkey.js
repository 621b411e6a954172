/**
 * The owner's key: imported once from the activation letter as a WebCrypto key that cannot be read out again,
 * kept in this browser's IndexedDB under its public key.
 */

import { toBase64Url, toHex } from "./verifier/bytes.js";
import { normalised, publicKeyOf } from "./verifier/p256.js";

const STORE = "keys";

function database() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open("minglou", 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

async function inStore(mode, use) {
  const opened = await database();
  try {
    const transaction = opened.transaction(STORE, mode);
    const request = use(transaction.objectStore(STORE));
    return await new Promise((resolve, reject) => {
      transaction.oncomplete = () => resolve(request.result);
      transaction.onerror = () => reject(transaction.error);
    });
  } finally {
    opened.close();
  }
}

/** Import the 32-byte seed of a letter; answers the public key x || y. */
export async function keepSeed(seed) {
  const publicKey = publicKeyOf(seed);
  const jwk = {
    kty: "EC",
    crv: "P-256",
    d: toBase64Url(seed),
    x: toBase64Url(publicKey.subarray(0, 32)),
    y: toBase64Url(publicKey.subarray(32)),
  };
  const key = await crypto.subtle.importKey("jwk", jwk, { name: "ECDSA", namedCurve: "P-256" }, false, ["sign"]);
  await inStore("readwrite", (store) => store.put(key, toHex(publicKey)));
  return publicKey;
}

/** Whether this browser holds the key of x || y (hex). */
export async function holds(publicHex) {
  return (await inStore("readonly", (store) => store.getKey(publicHex))) !== undefined;
}

/** r || s, low s, of the key's ECDSA-SHA256 signature over the 32 digest bytes. */
export async function sign(publicHex, digest) {
  const key = await inStore("readonly", (store) => store.get(publicHex));
  if (!key) throw new Error("no such key in this browser");
  return normalised(new Uint8Array(await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, key, digest)));
}

