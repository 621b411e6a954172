/**
 * A picture's difference hash: 64 bits that stay nearly the same when it is scaled or compressed anew, so that the cloud
 * can find a photo of another visit. The cloud computes it again and believes its own (contracts/dhash.py).
 *
 * The brightness is averaged over 9 by 8 cells; each bit says whether a cell is darker than its right neighbour, row by
 * row, the first bit the highest.
 */

const COLUMNS = 9;
const ROWS = 8;

/**
 * @param {ImageData} image at least 9 by 8 pixels.
 * @returns {string} 16 hex digits.
 */
export function dhash(image) {
  const cells = cellsOf(image);
  let bits = 0n;
  for (let at = 0; at < COLUMNS * ROWS; at += 1) {
    if (at % COLUMNS < COLUMNS - 1) bits = (bits << 1n) | (cells[at] < cells[at + 1] ? 1n : 0n);
  }
  return bits.toString(16).padStart(16, "0");
}

/** The 72 averages, rounded down, row by row. */
function cellsOf({ data, width, height }) {
  const cells = [];
  for (let row = 0; row < ROWS; row += 1) {
    for (let column = 0; column < COLUMNS; column += 1) {
      const area = {
        left: Math.floor((width * column) / COLUMNS),
        right: Math.floor((width * (column + 1)) / COLUMNS),
        top: Math.floor((height * row) / ROWS),
        bottom: Math.floor((height * (row + 1)) / ROWS),
      };
      cells.push(averageOf(data, width, area));
    }
  }
  return cells;
}

function averageOf(data, width, { left, right, top, bottom }) {
  let sum = 0;
  for (let y = top; y < bottom; y += 1) {
    for (let x = left; x < right; x += 1) {
      const at = 4 * (y * width + x);
      sum += Math.floor((299 * data[at] + 587 * data[at + 1] + 114 * data[at + 2]) / 1000);
    }
  }
  return Math.floor(sum / ((right - left) * (bottom - top)));
}
