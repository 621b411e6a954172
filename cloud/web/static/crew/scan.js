/**
 * Codes by the camera, and by a photo where the camera does not work (an app on an iPhone's home screen, a torn
 * permission, a phone that lends its camera to another app). What was read goes to the page as text; nothing is opened.
 *
 * What can go wrong has a word, which the page says in both languages: `camera_denied`, `camera_missing`, `camera_busy`,
 * `camera_ended`, `reader_missing`, `reader_pair`.
 */

const WORKER = "/static/crew/decoder-worker.js";
const FRAME_SIDE_MAX = 960;
const FRAME_GAP_MS = 60; // about ten looks a second: a code is found at once, and the phone stays cool
const FRAME_WAIT_MS = 200;
const DEEP_EVERY = 4; // looks, of which one takes three times as long and sees what is blurred or dark
const SAME_TEXT_MS = 2_000; // a code that stays in sight is told once
const PICTURE_SIDES = [1600, 3200, 800]; // as it is, a far code, a noisy one
const CAMERA_PROBLEMS = {
  NotAllowedError: "camera_denied",
  SecurityError: "camera_denied",
  NotReadableError: "camera_busy",
  AbortError: "camera_busy",
};

let reader = null;

/** The one worker of this page; made at the first use, after the page stands. */
function theReader() {
  reader ??= new Reader();
  return reader;
}

class ReaderRefused extends Error {
  constructor(word) {
    super(word);
    this.word = word;
  }
}

class Reader {
  constructor() {
    this.asked = new Map();
    this.number = 0;
    this.worker = new Worker(WORKER);
    this.worker.onmessage = ({ data }) => this.answer(data);
    this.worker.onerror = () => this.fail();
  }

  /** The text of a code in these pixels, or null; a deep look finds more and takes longer. Throws ReaderRefused where there is no reader. */
  read(image, { deep }) {
    this.number += 1;
    const id = this.number;
    const answered = new Promise((resolve, reject) => this.asked.set(id, { resolve, reject }));
    const pixels = image.data.buffer;
    this.worker.postMessage({ id, pixels, width: image.width, height: image.height, deep }, [pixels]);
    return answered;
  }

  answer({ id, text, refused }) {
    const { resolve, reject } = this.asked.get(id);
    this.asked.delete(id);
    if (refused) reject(new ReaderRefused(refused));
    else resolve(text);
  }

  /** The worker itself could not be loaded; the next use tries anew. */
  fail() {
    for (const { reject } of this.asked.values()) reject(new ReaderRefused("reader_missing"));
    this.asked.clear();
    this.worker.terminate();
    if (reader === this) reader = null;
  }
}

/** Load the reader ahead of its first use: after the first paint, so that the page does not wait for it. */
export function warmUp() {
  theReader();
}

/**
 * Show the camera in `video` and tell each code that comes into its sight.
 * @param {HTMLVideoElement} video
 * @param {(text: string) => void} onCode called once for each new text, again when it comes back after two seconds.
 * @param {{onProblem?: (word: string) => void}} options
 * @returns {Promise<{stop: () => void, torch: null | ((on: boolean) => Promise<void>)}>} `torch` where the camera has a lamp.
 */
export async function start(video, onCode, { onProblem = () => undefined } = {}) {
  const nothing = { stop: () => undefined, torch: null };
  let stream;
  try {
    stream = await openCamera();
  } catch (error) {
    onProblem(CAMERA_PROBLEMS[error.name] ?? "camera_missing");
    return nothing;
  }
  const [track] = stream.getVideoTracks();
  let running = true;
  const stop = () => {
    running = false;
    for (const one of stream.getTracks()) one.stop();
    if (video.srcObject === stream) video.srcObject = null;
  };
  track.onended = () => {
    if (running) onProblem("camera_ended");
    stop();
  };
  await show(video, stream);
  watch(video, onCode, () => running).catch((error) => {
    stop();
    onProblem(error.word ?? "reader_missing");
  });
  return { stop, torch: torchOf(track) };
}

function openCamera() {
  if (!navigator.mediaDevices?.getUserMedia) throw new DOMException("no camera for pages here", "NotFoundError");
  const size = { width: { ideal: 1280 }, height: { ideal: 720 } };
  return navigator.mediaDevices.getUserMedia({ audio: false, video: { facingMode: { ideal: "environment" }, ...size } });
}

async function show(video, stream) {
  video.muted = true;
  video.playsInline = true;
  video.srcObject = stream;
  await video.play().catch(() => undefined); // stopped at once, or a phone that wants a touch: the page shows its button
}

/** How to switch the camera's lamp, or null where it has none. */
function torchOf(track) {
  if (!track.getCapabilities?.().torch) return null;
  return (on) => track.applyConstraints({ advanced: [{ torch: on }] });
}

async function watch(video, onCode, isRunning) {
  const canvas = document.createElement("canvas");
  let last = { text: null, at: -Infinity };
  for (let look = 1; isRunning(); look += 1) {
    await nextFrame(video);
    if (!isRunning()) return;
    const image = pixelsOf(canvas, video, video.videoWidth, video.videoHeight, FRAME_SIDE_MAX);
    const text = image && (await theReader().read(image, { deep: look % DEEP_EVERY === 0 }));
    const now = performance.now();
    if (text && isRunning()) {
      const isNew = text !== last.text || now - last.at > SAME_TEXT_MS;
      last = { text, at: now };
      if (isNew) {
        navigator.vibrate?.(30);
        onCode(text);
      }
    }
    await new Promise((resolve) => setTimeout(resolve, FRAME_GAP_MS));
  }
}

/** The camera's next picture. A browser that tells of none, as of a video that is scrolled away, is asked all the same. */
function nextFrame(video) {
  return new Promise((resolve) => {
    video.requestVideoFrameCallback?.(resolve);
    setTimeout(resolve, FRAME_WAIT_MS);
  });
}

/** Pixels of a picture, made smaller where it is larger than `sideMax`; null while there is no picture. */
function pixelsOf(canvas, source, width, height, sideMax) {
  if (!width || !height) return null;
  const scale = Math.min(1, sideMax / Math.max(width, height));
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(source, 0, 0, canvas.width, canvas.height);
  return context.getImageData(0, 0, canvas.width, canvas.height);
}

/**
 * The text of the code on a photo, or null where none is found.
 * @param {Blob} file as a file input gives it.
 * @throws {Error} with `word`: `picture_unreadable`, `reader_missing`, `reader_pair`.
 */
export async function readPicture(file) {
  const picture = await createImageBitmap(file).catch(() => {
    throw new ReaderRefused("picture_unreadable");
  });
  try {
    const canvas = document.createElement("canvas");
    const largest = Math.max(picture.width, picture.height);
    const sides = PICTURE_SIDES.filter((side, at) => at === 0 || side < 2 * largest);
    for (const side of sides) {
      const text = await theReader().read(pixelsOf(canvas, picture, picture.width, picture.height, side), { deep: true });
      if (text) return text;
    }
    return null;
  } finally {
    picture.close();
  }
}
