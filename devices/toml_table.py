"""Strict reading of TOML: every key is asked for by type, and what nobody asked for is a mistake.

Errors name file, line and remedy.
"""

import re
import tomllib
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import NoReturn

from devices.errors import DevicesError, ProfileError

FILE_BYTES_MAX = 256 * 1024


class Table:
    """One table of a TOML file. Ask for its keys, then call `finish`, which refuses what was not asked for.

    Raises (every method): the error class given to `read_toml`, with file, line and remedy.
    """

    def __init__(self, content: dict[str, object], source: "_Source", header: str, occurrence: int = 0) -> None:
        self.content = content
        self._source = source
        self._header = header
        self._occurrence = occurrence
        self._asked: set[str] = set()

    def __contains__(self, key: str) -> bool:
        return key in self.content

    def fail(self, key: str, says: str) -> NoReturn:
        """Raise the error for one key: `says` names the mistake and the remedy."""
        line = self._source.line_of(self._header, self._occurrence, key)
        where = f"[{self._header}] " if self._header else ""
        raise self._source.error(f"{self._source.name}:{line}: {where}{key}: {says}")

    def string(self, key: str, default: str | None = None) -> str:
        value = self._take(key, default)
        if not isinstance(value, str) or not value:
            self.fail(key, f"is {value!r}; write a text in quotes")
        return value

    def choice(self, key: str, choices: tuple[str, ...], default: str | None = None) -> str:
        value = self.string(key, default)
        if value not in choices:
            self.fail(key, f"is {value!r}; write one of {', '.join(choices)}")
        return value

    def integer(self, key: str, default: int | None = None, *, minimum: int, maximum: int) -> int:
        value = self._take(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or not minimum <= value <= maximum:
            self.fail(key, f"is {value!r}; write a whole number from {minimum} to {maximum}")
        return value

    def boolean(self, key: str, default: bool | None = None) -> bool:
        value = self._take(key, default)
        if not isinstance(value, bool):
            self.fail(key, f"is {value!r}; write true or false")
        return value

    def decimal(self, key: str, default: str | None = None) -> Decimal:
        """An exact number, written in quotes so that no float comes between."""
        text = self.string(key, default)
        try:
            value = Decimal(text)
        except InvalidOperation:
            self.fail(key, f'is {text!r}; write an exact decimal in quotes, such as "0.01"')
        if not value.is_finite():
            self.fail(key, f"is {text!r}; write a finite number")
        return value

    def strings(self, key: str, default: tuple[str, ...] | None = None) -> tuple[str, ...]:
        value = self._take(key, default)
        if not isinstance(value, list | tuple) or not all(isinstance(element, str) for element in value):
            self.fail(key, f"is {value!r}; write a list of texts")
        return tuple(value)

    def integers(self, key: str, *, minimum: int, maximum: int) -> tuple[int, ...]:
        value = self._take(key, None)
        if not isinstance(value, list) or not all(type(one) is int and minimum <= one <= maximum for one in value):
            self.fail(key, f"is {value!r}; write a list of whole numbers from {minimum} to {maximum}")
        return tuple(value)

    def integers_by_name(self, key: str) -> dict[str, int]:
        """An inline table of names and whole numbers, such as codes; empty where the key is absent."""
        value = self._take(key, {})
        if not isinstance(value, dict) or not all(type(number) is int for number in value.values()):
            self.fail(key, f"is {value!r}; write {{name = number, …}}")
        return dict(value)

    def strings_by_name(self, key: str) -> dict[str, str]:
        """An inline table of names and texts; empty where the key is absent."""
        value = self._take(key, {})
        if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
            self.fail(key, f'is {value!r}; write {{name = "text", …}}')
        return dict(value)

    def table(self, key: str) -> "Table | None":
        value = self._take(key, {} if key not in self.content else None)
        if key not in self.content:
            return None
        if not isinstance(value, dict):
            self.fail(key, f"is {value!r}; write a table [{self._path(key)}]")
        return Table(value, self._source, self._path(key))

    def tables(self, key: str) -> "tuple[Table, ...]":
        value = self._take(key, [])
        if not isinstance(value, list) or not all(isinstance(element, dict) for element in value):
            self.fail(key, f"is {value!r}; write tables [[{self._path(key)}]]")
        header = self._path(key)
        return tuple(Table(element, self._source, header, self._source.next_occurrence(header)) for element in value)

    def named_tables(self, key: str) -> "Iterator[tuple[str, Table]]":
        """The tables below a key with free names, such as [limits."1-0:1.8.0"]."""
        parent = self.table(key)
        for name, value in parent.content.items() if parent else ():
            if not isinstance(value, dict):
                self.fail(key, f'has {name} = {value!r}; write a table [{self._path(key)}."{name}"]')
            yield name, Table(value, self._source, f'{self._path(key)}."{name}"')

    def finish(self) -> None:
        for key in self.content:
            if key not in self._asked:
                known = ", ".join(sorted(self._asked))
                self.fail(key, f"is not known here; remove it or correct its spelling (known: {known})")

    def _path(self, key: str) -> str:
        return f"{self._header}.{key}" if self._header else key

    def _take(self, key: str, default: object) -> object:
        self._asked.add(key)
        if key in self.content:
            return self.content[key]
        if default is None:
            self.fail(key, "is missing; add it")
        return default


class _Source:
    """A file's text, to find the line that an error is about."""

    def __init__(self, name: str, text: str, error: type[DevicesError]) -> None:
        self.name = name
        self.error = error
        self._lines = text.splitlines()
        self._occurrences: dict[str, int] = {}

    def next_occurrence(self, header: str) -> int:
        """Which of the equally named tables this is, in the order of the file, from 0."""
        number = self._occurrences.get(header, 0)
        self._occurrences[header] = number + 1
        return number

    def line_of(self, header: str, occurrence: int, key: str) -> int:
        """The line of a key, else that of its table's header, else 1. Counts from 1."""
        header_line, seen = 0, 0
        is_inside = not header
        inner_header = re.escape(f"{header}.{key}" if header else key)
        wanted = re.compile(rf'\s*"?{re.escape(key)}"?\s*=|\s*\[+{inner_header}[\].]')
        for number, line in enumerate(self._lines, start=1):
            is_header = re.match(r"\s*\[+([^\]]+)\]+", line)
            if is_inside and wanted.match(line):
                return number
            if is_header:
                is_inside = is_header[1].strip() == header and seen == occurrence
                seen += is_header[1].strip() == header
                header_line = number if is_inside else header_line
        return header_line or 1


def read_toml(path: Path, error: type[DevicesError] = ProfileError) -> Table:
    """A TOML file's top table.

    Raises:
        ProfileError: (or `error`) the file cannot be read, is too large, or is not TOML; the line is named.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as cause:
        raise error(f"{path}: cannot be read ({cause}); check the path and that it is UTF-8 text") from cause
    if len(text) > FILE_BYTES_MAX:
        raise error(f"{path}: {len(text)} characters; a file of settings has at most {FILE_BYTES_MAX}")
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as cause:
        raise error(f"{path}: is not TOML: {cause}; correct that line") from cause
    return Table(content, _Source(str(path), text, error), "")
