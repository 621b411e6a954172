/** Codes on the screen, for another phone's camera: level M, dark on light in every theme, four modules of margin. */

import { correction, generate } from "../vendor/lean-qr.mjs";

const MARGIN = 4;
const MODULE_PX = 4;

/**
 * Draw the code of a text. The canvas gets four pixels a module; styles may show it at any size.
 * @param {HTMLCanvasElement} canvas
 * @param {string} text at most what version 40 holds; texts of `0-9A-Z $%*+-./:` need less room.
 */
export function draw(canvas, text) {
  const code = generate(text, { minCorrectionLevel: correction.M });
  const side = code.size + 2 * MARGIN;
  canvas.width = side * MODULE_PX;
  canvas.height = side * MODULE_PX;
  const context = canvas.getContext("2d");
  context.fillStyle = "#ffffff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.fillStyle = "#000000";
  for (let y = 0; y < code.size; y += 1) {
    for (let x = 0; x < code.size; x += 1) {
      if (code.get(x, y)) context.fillRect((x + MARGIN) * MODULE_PX, (y + MARGIN) * MODULE_PX, MODULE_PX, MODULE_PX);
    }
  }
}
