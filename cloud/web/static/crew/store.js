/**
 * What the phone keeps: IndexedDB, written with strict durability. Whatever a screen shows as kept stands here, and it
 * says so only after the transaction has completed.
 *
 * visits    id            one visit each, as visit.js describes it
 * photos    visit, sha256 the reduced pictures, each with the item that it belongs to
 * keys      alias         people who sign on this phone; private keys that cannot be read out, or a passkey's name
 * phone     key           this installation: its id, how many visits it signed, the digest of the last one; choices
 * work      key           what the cloud last told this phone: lifts, labels, lists, what is due
 * packs     sha256        checklists, by the SHA-256 of their bytes
 * sends     key           what is to be handed in, and the cloud's receipts
 * log       (counted)     the app's own diary, for support
 */

const NAME = "minglou-crew";
const VERSION = 1;
const STORES = {
  visits: { keyPath: "id" },
  photos: { keyPath: ["visit", "sha256"] },
  keys: { keyPath: "alias" },
  phone: { keyPath: "key" },
  work: { keyPath: "key" },
  packs: { keyPath: "sha256" },
  sends: { keyPath: "key" },
  log: { autoIncrement: true },
};

/** Tells `kept` after every transaction that has come to rest on the phone's disk. */
export const news = new EventTarget();

let opening = null;

function opened() {
  opening ??= new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, VERSION);
    request.onupgradeneeded = () => {
      for (const [name, options] of Object.entries(STORES)) request.result.createObjectStore(name, options);
    };
    request.onsuccess = () => {
      const forget = () => (opening = null);
      request.result.onclose = forget;
      request.result.onversionchange = () => {
        request.result.close();
        forget();
      };
      resolve(request.result);
    };
    request.onerror = () => reject(request.error);
  }).catch((error) => {
    opening = null;
    throw error;
  });
  return opening;
}

const answered = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

/** One store within a transaction. Await nothing but these within it: a transaction ends when nobody asks it anything. */
function shelf(store) {
  return {
    get: (key) => answered(store.get(key)),
    all: (query) => answered(store.getAll(query)),
    put: (value) => answered(store.put(value)),
    delete: (key) => answered(store.delete(key)),
  };
}

/**
 * All of it or nothing: runs `act` within one strict transaction over these stores.
 * @param {string[]} names the stores that it reads and writes.
 * @param {(shelves: Record<string, ReturnType<typeof shelf>>) => Promise<T>} act awaits nothing but its shelves.
 * @returns {Promise<T>} what `act` answered, once it is on disk.
 * @template T
 */
export async function atomically(names, act) {
  const transaction = (await opened()).transaction(names, "readwrite", { durability: "strict" });
  const completed = new Promise((resolve, reject) => {
    transaction.oncomplete = resolve;
    transaction.onabort = () => reject(transaction.error ?? new Error("the phone did not keep it"));
  });
  const shelves = Object.fromEntries(names.map((name) => [name, shelf(transaction.objectStore(name))]));
  let answer;
  try {
    answer = await act(shelves);
  } catch (error) {
    completed.catch(() => undefined);
    if (transaction.error === null) stop(transaction);
    throw error;
  }
  await completed;
  news.dispatchEvent(new Event("kept"));
  return answer;
}

function stop(transaction) {
  try {
    transaction.abort();
  } catch {
    // It had ended by itself.
  }
}

async function reading(name, ask) {
  const transaction = (await opened()).transaction(name, "readonly");
  return answered(ask(transaction.objectStore(name)));
}

/** The value of a key, undefined where there is none. */
export const get = (name, key) => reading(name, (store) => store.get(key));

/** All values of a store. */
export const all = (name) => reading(name, (store) => store.getAll());

/** Keep one value; resolves once it is on disk. */
export const put = (name, value) => atomically([name], (shelves) => shelves[name].put(value));

const LOG_LINES_MAX = 500;

/** A line in the app's own diary; it never fails what it tells of. */
export async function note(what) {
  try {
    await atomically(["log"], async ({ log }) => {
      const number = await log.put({ at: Date.now(), what: String(what).slice(0, 400) });
      if (number > LOG_LINES_MAX) await log.delete(number - LOG_LINES_MAX);
    });
  } catch {
    // A full phone has said so elsewhere.
  }
}

/**
 * Ask the phone not to clear away what is kept here.
 * @returns {Promise<boolean>} whether it promised; many do not, and then the app says so.
 */
export async function persist() {
  const storage = navigator.storage;
  if (!storage?.persist) return false;
  return (await storage.persisted()) || (await storage.persist());
}

/** Bytes that this phone holds for the app; null where it does not tell. */
export async function bytesUsed() {
  const estimate = await navigator.storage?.estimate?.();
  return estimate?.usage ?? null;
}
