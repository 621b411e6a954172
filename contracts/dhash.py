"""The difference hash of a photograph: 64 bits that stay nearly the same when it is scaled or compressed again.

A picture's luminance is averaged over a grid of 9 by 8 cells; each bit says whether a cell is darker than its right
neighbour, row by row from the top left, the first bit the highest. Two pictures are alike if few bits differ. The phone
writes it into the signed list; the cloud computes it again from the picture that it received, and believes its own.

Source: N. Krawetz, "Kind of Like That" (2013), dHash.
"""

from collections.abc import Sequence

from contracts.errors import ContractsError

COLUMNS, ROWS = 9, 8
CELLS = COLUMNS * ROWS
DHASH_BYTES = 8


class PictureError(ContractsError):
    """A picture is smaller than the grid, or not as long as its sides say."""


def luminance(red: int, green: int, blue: int) -> int:
    """0 to 255 of a pixel's three colours (ITU-R BT.601, in whole numbers)."""
    return (299 * red + 587 * green + 114 * blue) // 1000


def cells_of(grey: Sequence[int], width: int, height: int) -> tuple[int, ...]:
    """The 72 averages of a picture's grid, rounded down, row by row.

    Args:
        grey: luminance of each pixel, row by row, `width * height` of them.

    Raises:
        PictureError: fewer than 9 by 8 pixels, or another number of them.
    """
    if width < COLUMNS or height < ROWS or len(grey) != width * height:
        raise PictureError(
            f"picture of {width} by {height} with {len(grey)} pixels; it needs {COLUMNS} by {ROWS} at least"
        )
    return tuple(
        _average(grey, width, range(height * row // ROWS, height * (row + 1) // ROWS), column)
        for row in range(ROWS)
        for column in range(COLUMNS)
    )


def dhash(cells: Sequence[int]) -> bytes:
    """The 8 bytes of a grid of 9 by 8 averages. Raises `PictureError` for another number of them."""
    if len(cells) != CELLS:
        raise PictureError(f"{len(cells)} cells; a grid has {COLUMNS} by {ROWS}")
    bits = 0
    for at in range(CELLS):
        if at % COLUMNS < COLUMNS - 1:
            bits = bits << 1 | (cells[at] < cells[at + 1])
    return bits.to_bytes(DHASH_BYTES)


def distance(one: bytes, other: bytes) -> int:
    """How many of 64 bits differ."""
    if len(one) != DHASH_BYTES or len(other) != DHASH_BYTES:
        raise PictureError(f"a difference hash has {DHASH_BYTES} bytes")
    return (int.from_bytes(one) ^ int.from_bytes(other)).bit_count()


def _average(grey: Sequence[int], width: int, rows: range, column: int) -> int:
    begin, end = width * column // COLUMNS, width * (column + 1) // COLUMNS
    return sum(sum(grey[row * width + begin : row * width + end]) for row in rows) // ((end - begin) * len(rows))
