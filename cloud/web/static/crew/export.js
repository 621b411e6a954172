/**
 * A visit as a file, for when no network will have it: a ZIP archive whose members are stored as they are, the bundle, the
 * meter swap if it is one, and every photo under its SHA-256. Whoever has it can hand it in, with or without this phone.
 */

import { concat, utf8 } from "../verifier/bytes.js";

const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;
const UTF8_NAMES = 0x0800;
const EXTENSIONS = { "image/jpeg": "jpg", "image/webp": "webp" };

/**
 * The archive of one visit.
 * @param {{digest: string, bundle: string, swap: string | null, photos: {sha256: string, type: string, blob: ArrayBuffer}[]}} visit
 * @returns {{name: string, bytes: Uint8Array}}
 */
export function visitArchive({ digest, bundle, swap, photos }) {
  const members = [
    { name: `visit-${digest}.json`, bytes: utf8(bundle) },
    ...(swap ? [{ name: `swap-${digest}.json`, bytes: utf8(swap) }] : []),
    ...photos.map((photo) => ({ name: `photos/${photo.sha256}.${EXTENSIONS[photo.type]}`, bytes: new Uint8Array(photo.blob) })),
  ];
  return { name: `minglou-visit-${digest.slice(0, 8)}.zip`, bytes: zip(members) };
}

/** Hand a file to the person, as a download. */
export function offer({ name, bytes, type = "application/zip" }) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([bytes], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** A ZIP archive (APPNOTE 6.3.10, 4.3) of stored members. */
export function zip(members) {
  const parts = [];
  const directory = [];
  let offset = 0;
  for (const { name, bytes } of members) {
    const named = utf8(name);
    const common = fields([2, 20], [2, UTF8_NAMES], [2, 0], [2, 0], [2, DATE], [4, crc32(bytes)], [4, bytes.length], [4, bytes.length], [2, named.length], [2, 0]);
    parts.push(fields([4, LOCAL]), common, named, bytes);
    directory.push(fields([4, CENTRAL], [2, 20]), common, fields([2, 0], [2, 0], [2, 0], [4, 0], [4, offset]), named);
    offset += 30 + named.length + bytes.length;
  }
  const listed = concat(...directory);
  const count = members.length;
  return concat(...parts, listed, fields([4, END], [2, 0], [2, 0], [2, count], [2, count], [4, listed.length], [4, offset], [2, 0]));
}

const DATE = 0x21; // 1980-01-01, the format's first day: the same visit gives the same file

function fields(...pairs) {
  const bytes = new Uint8Array(pairs.reduce((sum, [width]) => sum + width, 0));
  let at = 0;
  for (const [width, value] of pairs) {
    for (let byte = 0; byte < width; byte += 1) bytes[at + byte] = Math.floor(value / 2 ** (8 * byte)) & 255;
    at += width;
  }
  return bytes;
}

const TABLE = Uint32Array.from({ length: 256 }, (_, value) => {
  let rest = value;
  for (let bit = 0; bit < 8; bit += 1) rest = rest & 1 ? (rest >>> 1) ^ 0xedb88320 : rest >>> 1;
  return rest;
});

function crc32(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = TABLE[(crc ^ byte) & 255] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}
