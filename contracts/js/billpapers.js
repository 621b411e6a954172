/**
 * What a bill's PDF brings beside the bill (`minglou-bill-papers/1`): the evidence of its readings, and which lines rest
 * on which.
 */

import { ContractsError } from "./bytes.js";
import { Fields } from "./fields.js";
import { parseJson } from "./json.js";
import { parseKey } from "./line.js";

export const FORMAT = "minglou-bill-papers/1";
/** Names of the attachments, as cloud/press.py writes them. */
export const PAPERS = Object.freeze({ bill: "bill.json", readings: "readings.json", trust: "trust.json" });
const FILES_MAX = 256;
const LINES_MAX = 24;

/**
 * @param {string | Uint8Array} source the attachment.
 * @returns {{files: string[], lines: {files: number[], key: string}[]}} texts of evidence files, and for each line of the
 *   bill the places of its own, and where the unit's key stands in a table that shares a pool (empty: nowhere).
 */
export function parseBillPapers(source) {
  const fields = new Fields(parseJson(source), "", ["format", "files", "lines"]);
  fields.choice("format", [FORMAT]);
  const files = fields.list("files", FILES_MAX);
  if (!files.every((file) => typeof file === "string")) throw new ContractsError("an evidence file is not a text");
  const lines = fields.eachWithin("lines", LINES_MAX, "files", "key").map((line) => {
    const places = line.list("files", FILES_MAX);
    if (!places.every((place) => Number.isSafeInteger(place) && place >= 0 && place < files.length)) {
      throw new ContractsError("a line rests on an evidence file that is not there");
    }
    if (new Set(places).size !== places.length) throw new ContractsError("a line rests on an evidence file twice");
    const key = line.text("key");
    if (key) parseKey(key); // refused here, so that whoever uses it need not
    return { files: places, key };
  });
  const named = new Set(lines.flatMap((line) => line.files));
  if (named.size !== files.length) throw new ContractsError("an evidence file belongs to no line");
  return { files, lines };
}
