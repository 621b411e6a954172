/**
 * Keeps the crew app on the phone. At its installation it fetches every file of the list that the server made, checks each
 * against its SHA-256, and keeps the whole or nothing; a new version is fetched whole beside the old one and takes over
 * when no window of the app is open any more, so never during a visit.
 *
 * It answers for the app's own files and nothing else. A scanned address (/d/CODE) goes to the network as ever, and to the
 * app only where the network or the server fails. It repeats no request: sending is the outbox's.
 */

const SHELL = ""; // SHA-256 of the list, written in by the server: a new list makes a new worker
const LIST = "/crew/shell.json";
const APP = "/crew";
const NAME = `minglou-crew-${SHELL}`;
const PREFIXES = ["/static/crew/", "/static/vendor/", "/static/verifier/", "/static/minglou.css", "/static/forms.css", "/crew.webmanifest"];
const NETWORK_MS = 8_000;

const sha256 = async (bytes) =>
  Array.from(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)), (byte) => byte.toString(16).padStart(2, "0")).join("");

async function fetchChecked(address, digest) {
  const answer = await fetch(address, { cache: "reload", credentials: "omit", redirect: "error" });
  const bytes = await answer.clone().arrayBuffer();
  if (!answer.ok || (await sha256(bytes)) !== digest) throw new Error(`${address} is not of this version; it will be tried again`);
  return answer;
}

async function install() {
  const list = await fetchChecked(LIST, SHELL);
  const { files } = await list.clone().json();
  const cache = await caches.open(NAME);
  try {
    await Promise.all(files.map(async (file) => cache.put(file.path, await fetchChecked(file.path, file.sha256))));
    await cache.put(LIST, list);
  } catch (error) {
    await caches.delete(NAME);
    throw error;
  }
}

async function activate() {
  for (const name of await caches.keys()) {
    if (name.startsWith("minglou-crew-") && name !== NAME) await caches.delete(name);
  }
  await self.clients.claim();
}

self.addEventListener("install", (event) => event.waitUntil(install()));
self.addEventListener("activate", (event) => event.waitUntil(activate()));

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  if (request.method !== "GET" || origin !== self.location.origin) return;
  if (request.mode === "navigate") {
    if (pathname === APP) event.respondWith(kept(APP, request));
    else if (/^\/d\/[^/]+$/.test(pathname)) event.respondWith(networkElseApp(request));
  } else if (PREFIXES.some((prefix) => pathname.startsWith(prefix))) {
    event.respondWith(forTheApp(event, pathname));
  }
});

let opening = null; // a start asks for seventy files: the cache is opened once, and each window asked once whose it is
const owners = new Map();

function opened() {
  opening ??= caches.open(NAME).catch((error) => {
    opening = null;
    throw error;
  });
  return opening;
}

async function kept(path, request) {
  return (await (await opened()).match(path)) ?? fetch(request);
}

/** Other pages of the site load scripts from the same folders: theirs are always the server's. */
async function forTheApp(event, pathname) {
  const isOurs = pathname.startsWith("/static/crew/") || (await isTheApps(event.clientId));
  return isOurs ? kept(pathname, event.request) : fetch(event.request);
}

function isTheApps(client) {
  if (!client) return false;
  if (!owners.has(client)) owners.set(client, addressOf(client).then((path) => path === APP || path.startsWith("/d/") || path.startsWith("/static/crew/")));
  return owners.get(client);
}

async function addressOf(client) {
  const found = await self.clients.get(client);
  return found ? new URL(found.url).pathname : "";
}

async function networkElseApp(request) {
  try {
    const answer = await fetch(request, { signal: AbortSignal.timeout(NETWORK_MS) });
    return answer.status < 500 ? answer : await kept(APP, request);
  } catch {
    return kept(APP, request);
  }
}
