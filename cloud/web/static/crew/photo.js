/**
 * A photo as the visit keeps it: at most 1600 pixels a side and drawn anew, so that nothing of the camera's file is left
 * but the picture: no place, no name, no second picture. Its SHA-256 is that of the bytes that are kept and sent.
 */

import { toHex } from "../verifier/bytes.js";
import { sha256 } from "../verifier/sha256.js";
import { dhash } from "./dhash.js";

export const SIDE_MAX = 1600;
const SIDES = [SIDE_MAX, 1200, 800]; // a picture that is all grain is made smaller still
export const BYTES_MAX = 512 * 1024; // what the cloud takes
const TYPE = "image/jpeg"; // every phone writes it; some write no other
const QUALITIES = [0.8, 0.6, 0.4];
const SIDE_MIN = 32;
const HASH_SIDE = 256;

/** A file that is no photo for a visit; `word` is `picture_unreadable`, `picture_small` or `picture_large`. */
export class PhotoRefused extends Error {
  constructor(word) {
    super(word);
    this.word = word;
  }
}

/**
 * Reduce a photo, standing upright as its camera says.
 * @param {Blob} file
 * @returns {Promise<{bytes: Uint8Array, type: string, sha256: string, dhash: string, width: number, height: number}>}
 */
export async function reduce(file) {
  const picture = await createImageBitmap(file, { imageOrientation: "from-image" }).catch(() => {
    throw new PhotoRefused("picture_unreadable");
  });
  try {
    if (Math.min(picture.width, picture.height) < SIDE_MIN) throw new PhotoRefused("picture_small");
    const { canvas, bytes } = await fitting(picture);
    const { width, height } = canvas;
    return { bytes, type: TYPE, sha256: toHex(await digestOf(bytes)), dhash: dhash(pixelsOf(canvas)), width, height };
  } finally {
    picture.close();
  }
}

function drawn(source, sideMax) {
  const scale = Math.min(1, sideMax / Math.max(source.width, source.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(source.width * scale));
  canvas.height = Math.max(1, Math.round(source.height * scale));
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.fillStyle = "#ffffff"; // what is transparent would become black in a JPEG
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(source, 0, 0, canvas.width, canvas.height);
  return canvas;
}

/** The hash looks at a small square copy, as the cloud does: it averages anyway, and a phone has better to do than to add
 * up two million pixels. */
function pixelsOf(canvas) {
  const small = document.createElement("canvas");
  small.width = HASH_SIDE;
  small.height = HASH_SIDE;
  const context = small.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(canvas, 0, 0, HASH_SIDE, HASH_SIDE);
  return context.getImageData(0, 0, HASH_SIDE, HASH_SIDE);
}

/** The largest and finest form that the cloud takes. */
async function fitting(picture) {
  for (const side of SIDES) {
    const canvas = drawn(picture, side);
    for (const quality of QUALITIES) {
      const blob = await new Promise((resolve) => canvas.toBlob(resolve, TYPE, quality));
      if (blob && blob.size <= BYTES_MAX) return { canvas, bytes: new Uint8Array(await blob.arrayBuffer()) };
    }
  }
  throw new PhotoRefused("picture_large");
}

async function digestOf(bytes) {
  return crypto.subtle ? new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)) : sha256(bytes);
}
