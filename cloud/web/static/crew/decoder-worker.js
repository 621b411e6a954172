/**
 * Reads QR codes off pixels, beside the page so that it never stops. A classic worker: the reader is a script that names
 * one global, `ZXingWASM`.
 *
 * Script and program of the reader are one pair; of two releases they crash each other. The script carries the SHA-256 of
 * its program, so another one is refused here with words before it runs. Nothing is ever fetched from elsewhere: the
 * reader's own default would be a public server.
 *
 * In: {id, pixels: ArrayBuffer (RGBA), width, height, deep}, where `deep` asks for looks that take longer. Out: {id, text} with null where no code stands, or {id, refused}.
 */

/* global importScripts, ZXingWASM */
"use strict";

const SCRIPT = "/static/vendor/zxing-reader.js";
const PROGRAM = "/static/vendor/zxing_reader.wasm";
const TEXT_LENGTH_MAX = 1024;
const OPTIONS = { formats: ["QRCode"], maxNumberOfSymbols: 1, tryHarder: true, tryRotate: true, tryInvert: true };
const ENLARGED_SIDE_MAX = 1280;

class Refused extends Error {}

function hexOf(buffer) {
  return Array.from(new Uint8Array(buffer), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function programOfTheScript() {
  const answer = await fetch(PROGRAM);
  if (!answer.ok) throw new Refused("reader_missing");
  const program = await answer.arrayBuffer();
  if (hexOf(await crypto.subtle.digest("SHA-256", program)) !== ZXingWASM.ZXING_WASM_SHA256) {
    throw new Refused("reader_pair");
  }
  return program;
}

async function prepare() {
  try {
    importScripts(SCRIPT);
  } catch {
    throw new Refused("reader_missing");
  }
  const wasmBinary = await programOfTheScript();
  await ZXingWASM.prepareZXingModule({
    overrides: { wasmBinary, locateFile: () => PROGRAM },
    equalityFn: Object.is,
    fireImmediately: true,
  });
}

/** The picture as it is; softened, where grain hides a code in a dim pit; enlarged, where blur melts its modules. */
function* looks(image) {
  yield image;
  const grey = greyOf(image);
  yield asImage(softened(grey));
  const scale = Math.min(2, ENLARGED_SIDE_MAX / Math.max(image.width, image.height));
  if (scale > 1) yield asImage(enlarged(grey, scale));
}

function greyOf({ data, width, height }) {
  const pixels = new Float32Array(width * height);
  for (let at = 0; at < pixels.length; at += 1) {
    pixels[at] = 0.299 * data[4 * at] + 0.587 * data[4 * at + 1] + 0.114 * data[4 * at + 2];
  }
  return { pixels, width, height };
}

/** Each pixel the mean of itself, weighed by four, its neighbours, by two, and those at its corners: one row, one column. */
function softened({ pixels, width, height }) {
  const across = new Float32Array(pixels.length);
  const both = new Float32Array(pixels.length);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const at = y * width + x;
      const left = x > 0 ? pixels[at - 1] : pixels[at];
      const right = x + 1 < width ? pixels[at + 1] : pixels[at];
      across[at] = (left + 2 * pixels[at] + right) / 4;
    }
  }
  for (let at = 0; at < both.length; at += 1) {
    const above = at >= width ? across[at - width] : across[at];
    const below = at + width < both.length ? across[at + width] : across[at];
    both[at] = (above + 2 * across[at] + below) / 4;
  }
  return { pixels: both, width, height };
}

function enlarged({ pixels, width, height }, scale) {
  const wide = Math.round(width * scale);
  const high = Math.round(height * scale);
  const larger = new Float32Array(wide * high);
  for (let y = 0; y < high; y += 1) {
    const fromY = Math.min(Math.max((y + 0.5) / scale - 0.5, 0), height - 1.001);
    const top = Math.floor(fromY);
    for (let x = 0; x < wide; x += 1) {
      const fromX = Math.min(Math.max((x + 0.5) / scale - 0.5, 0), width - 1.001);
      const left = Math.floor(fromX);
      const at = top * width + left;
      const upper = pixels[at] + (pixels[at + 1] - pixels[at]) * (fromX - left);
      const lower = pixels[at + width] + (pixels[at + width + 1] - pixels[at + width]) * (fromX - left);
      larger[y * wide + x] = upper + (lower - upper) * (fromY - top);
    }
  }
  return { pixels: larger, width: wide, height: high };
}

function asImage({ pixels, width, height }) {
  const image = new ImageData(width, height);
  const words = new Uint32Array(image.data.buffer);
  for (let at = 0; at < pixels.length; at += 1) words[at] = 0xff000000 | (Math.round(pixels[at]) * 0x010101);
  return image;
}

async function textIn(image) {
  const found = await ZXingWASM.readBarcodes(image, OPTIONS);
  return found.find((code) => code.isValid && code.text && code.text.length <= TEXT_LENGTH_MAX)?.text ?? null;
}

const ready = prepare().then(
  () => null,
  (error) => (error instanceof Refused ? error.message : "reader_missing"),
);

self.onmessage = async ({ data: { id, pixels, width, height, deep } }) => {
  const refused = await ready;
  if (refused) return self.postMessage({ id, refused });
  try {
    for (const image of looks(new ImageData(new Uint8ClampedArray(pixels), width, height))) {
      const text = await textIn(image);
      if (text || !deep) return self.postMessage({ id, text });
    }
    return self.postMessage({ id, text: null });
  } catch {
    return self.postMessage({ id, text: null });
  }
};
