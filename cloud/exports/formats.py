"""Rows as CSV, XLSX or Parquet, written piece by piece.

A writer takes rows and gives back what is ready to be sent. XLSX is a zip whose directory stands at its end, and so
is made in a temporary file; the other two flow.
"""

import csv
import io
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from cloud.exports.sheet import ColumnKind, Row, Sheet

__all__ = ["FORMATS", "Writer", "open_writer"]

_PIECE_BYTES = 256 * 1024
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# A spreadsheet takes a cell that begins so for a formula, and would compute what a stranger wrote (OWASP, CSV
# injection). The apostrophe stands for itself, so that taking one away always gives back what was there.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "'")
_EXACT_IN_SHEET = 10**15  # a spreadsheet's numbers are doubles, and shown with 15 digits
_SHEET_ROWS_MAX = 1_048_576


class Writer(Protocol):
    """Takes rows, gives bytes."""

    def write(self, rows: Sequence[Row]) -> Iterator[bytes]:
        """What is ready after these rows; nothing may be."""

    def finish(self) -> Iterator[bytes]:
        """What is left."""

    def close(self) -> None:
        """Let go of temporary files, whether it was finished or not."""


FORMATS: Mapping[str, str] = MappingProxyType(
    {
        "csv": "text/csv; charset=utf-8; header=present",
        "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "parquet": "application/vnd.apache.parquet",
    }
)
"""Media type by format."""


def open_writer(form: str, sheet: Sheet) -> Writer:
    """A writer of one of `FORMATS`."""
    makers: dict[str, Callable[[Sheet], Writer]] = {"csv": _Csv, "xlsx": _Xlsx, "parquet": _Parquet}
    return makers[form](sheet)


def _iso(at_ms: int) -> str:
    return (_EPOCH + timedelta(milliseconds=at_ms)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _plain(value: Any, kind: ColumnKind) -> str:
    """A cell as text: integers in full, instants and days as ISO 8601 writes them, nothing for nothing."""
    if value is None:
        return ""
    if kind is ColumnKind.INSTANT:
        return _iso(value)
    if kind is ColumnKind.DAY:
        return str(value.isoformat())
    if kind is ColumnKind.TEXT and value.startswith(_FORMULA_STARTS):
        return "'" + str(value)
    return str(value)


class _Csv:
    """RFC 4180 with a header, UTF-8, CRLF."""

    def __init__(self, sheet: Sheet) -> None:
        self._kinds = [column.kind for column in sheet.columns]
        self._text = io.StringIO(newline="")
        self._writer = csv.writer(self._text, lineterminator="\r\n")
        self._writer.writerow([column.name for column in sheet.columns])

    def write(self, rows: Sequence[Row]) -> Iterator[bytes]:
        self._writer.writerows([map(_plain, row, self._kinds) for row in rows])
        yield from self.finish()

    def finish(self) -> Iterator[bytes]:
        piece = self._text.getvalue()
        self._text.seek(0)
        self._text.truncate()
        if piece:
            yield piece.encode()

    def close(self) -> None:
        return None


class _Xlsx:
    """One worksheet, and another where Excel's last row is reached. Numbers that a sheet would round are text."""

    def __init__(self, sheet: Sheet) -> None:
        from xlsxwriter import Workbook

        self._sheet = sheet
        self._file = tempfile.NamedTemporaryFile(suffix=".xlsx")  # noqa: SIM115 - close() ends it
        self._folder = tempfile.TemporaryDirectory()
        # constant_memory writes each row to disk once the next begins; nothing that a cell says becomes a formula.
        options = {
            "constant_memory": True,
            "tmpdir": self._folder.name,
            "strings_to_formulas": False,
            "strings_to_urls": False,
            "strings_to_numbers": False,
        }
        self._book = Workbook(self._file.name, options)
        self._book.set_properties({"title": f"minglou {sheet.name}", "comments": sheet.says, "created": _EPOCH})
        self._forms = {
            ColumnKind.INSTANT: self._book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss.000"}),
            ColumnKind.DAY: self._book.add_format({"num_format": "yyyy-mm-dd"}),
            ColumnKind.INTEGER: self._book.add_format({"num_format": "0"}),
        }
        self._heading = self._book.add_format({"bold": True})
        self._begin_page()

    def _begin_page(self) -> None:
        self._page = self._book.add_worksheet()
        self._page.freeze_panes(1, 0)
        for at, column in enumerate(self._sheet.columns):
            self._page.write_string(0, at, column.name, self._heading)
        self._row = 1

    def write(self, rows: Sequence[Row]) -> Iterator[bytes]:
        for row in rows:
            if self._row == _SHEET_ROWS_MAX:
                self._begin_page()
            for at, (value, column) in enumerate(zip(row, self._sheet.columns, strict=True)):
                if value is not None:
                    self._write_cell(at, value, column.kind)
            self._row += 1
        yield from ()

    def _write_cell(self, at: int, value: Any, kind: ColumnKind) -> None:
        if kind is ColumnKind.INSTANT:
            # Excel knows no time zones: the column's name says UTC.
            when = (_EPOCH + timedelta(milliseconds=value)).replace(tzinfo=None)
            self._page.write_datetime(self._row, at, when, self._forms[kind])
        elif kind is ColumnKind.DAY:
            self._page.write_datetime(self._row, at, value, self._forms[kind])
        elif kind is ColumnKind.INTEGER and abs(value) < _EXACT_IN_SHEET:
            self._page.write_number(self._row, at, value, self._forms[kind])
        else:
            self._page.write_string(self._row, at, str(value))

    def finish(self) -> Iterator[bytes]:
        self._book.close()
        with Path(self._file.name).open("rb") as made:
            while piece := made.read(_PIECE_BYTES):
                yield piece

    def close(self) -> None:
        self._file.close()
        self._folder.cleanup()


class _Parquet:
    """Zstandard-compressed row groups, one for each portion of rows; each column's sentence in its metadata."""

    def __init__(self, sheet: Sheet) -> None:
        import pyarrow
        from pyarrow import parquet

        kinds = {
            ColumnKind.TEXT: pyarrow.string(),
            ColumnKind.INTEGER: pyarrow.int64(),
            ColumnKind.INSTANT: pyarrow.timestamp("ms", tz="UTC"),
            ColumnKind.DAY: pyarrow.date32(),
        }
        self._arrow = pyarrow
        fields = [pyarrow.field(one.name, kinds[one.kind], metadata={"description": one.says}) for one in sheet.columns]
        self._schema = pyarrow.schema(fields, metadata={"minglou": sheet.name, "description": sheet.says})
        self._sent = io.BytesIO()
        self._sink = pyarrow.PythonFile(_Appended(self._sent), mode="w")
        self._parquet = parquet.ParquetWriter(self._sink, self._schema, compression="zstd")
        self._is_open = True

    def write(self, rows: Sequence[Row]) -> Iterator[bytes]:
        if rows:
            columns = list(zip(*rows, strict=True))
            arrays = [
                self._arrow.array(values, type=field.type) for values, field in zip(columns, self._schema, strict=True)
            ]
            self._parquet.write_table(self._arrow.Table.from_arrays(arrays, schema=self._schema))
        yield from self._taken()

    def finish(self) -> Iterator[bytes]:
        self.close()
        yield from self._taken()

    def _taken(self) -> Iterator[bytes]:
        piece = self._sent.getvalue()
        self._sent.seek(0)
        self._sent.truncate()
        if piece:
            yield piece

    def close(self) -> None:
        if self._is_open:
            self._is_open = False
            self._parquet.close()


class _Appended(io.RawIOBase):
    """A file that only grows, and remembers how long it is when its beginning has long been sent."""

    def __init__(self, target: io.BytesIO) -> None:
        super().__init__()
        self._target = target
        self._length = 0

    def writable(self) -> bool:
        return True

    def write(self, piece: Any) -> int:
        count = self._target.write(piece)
        self._length += count
        return count

    def tell(self) -> int:
        return self._length


def day_of_number(number: int) -> date | None:
    """The date of YYYYMMDD; None for 0."""
    return date(number // 10_000, number // 100 % 100, number % 100) if number else None
