"""Where a key stands in a TOML document: `tomllib` gives values without lines, an error needs the line."""

from __future__ import annotations

import re

__all__ = ["LineMap"]

_HEADER = re.compile(r"^\s*(\[{1,2})\s*([A-Za-z0-9_.\-\"' ]+?)\s*(\]{1,2})\s*(?:#.*)?$")
_ASSIGNMENT = re.compile(r"^\s*([A-Za-z0-9_\-]+|\"[^\"]*\")\s*(?:\.\s*[A-Za-z0-9_\-]+\s*)*=")

Path = tuple[str | int, ...]


class LineMap:
    """Lines of the headers and of the plain keys of one document.

    A path is like `("device", 3, "profile")`. A path that has no line of its own (a key inside an inline table, a key
    that is missing) takes the line of the nearest enclosing path that has one.
    """

    def __init__(self, text: str) -> None:
        self._lines: dict[Path, int] = {}
        self._scan(text)

    def line(self, path: Path) -> int:
        """The line of `path` or of what encloses it, counted from 1; 0 for the document as a whole."""
        for length in range(len(path), 0, -1):
            if (found := self._lines.get(path[:length])) is not None:
                return found
        return 0

    def _scan(self, text: str) -> None:
        counts: dict[str, int] = {}
        table: Path = ()
        state = _Nesting()
        for number, line in enumerate(text.splitlines(), start=1):
            if state.inside:
                state.feed(line)
                continue
            if header := _HEADER.match(line):
                table = self._enter(header.group(2).strip().strip("\"'"), len(header.group(1)) == 2, counts)
                self._lines.setdefault(table, number)
            elif assignment := _ASSIGNMENT.match(line):
                self._lines.setdefault((*table, assignment.group(1).strip('"')), number)
                state.feed(line[assignment.end() :])

    @staticmethod
    def _enter(name: str, is_array: bool, counts: dict[str, int]) -> Path:
        if not is_array:
            return (name,)
        counts[name] = counts.get(name, -1) + 1
        return (name, counts[name])


class _Nesting:
    """Whether a value that began on an earlier line is still open: a bracketed array or a multi-line string."""

    def __init__(self) -> None:
        self._depth = 0
        self._quote = ""

    @property
    def inside(self) -> bool:
        return self._depth > 0 or bool(self._quote)

    def feed(self, line: str) -> None:
        position = 0
        while position < len(line):
            if self._quote:
                end = line.find(self._quote, position)
                if end < 0:
                    break
                position, self._quote = end + len(self._quote), ""
                continue
            position = self._step(line, position)
        if len(self._quote) == 1:  # a one-line string cannot stay open; tomllib reports it
            self._quote = ""

    def _step(self, line: str, position: int) -> int:
        character = line[position]
        if character == "#":
            return len(line)
        if character in "\"'":
            triple = character * 3
            self._quote = triple if line.startswith(triple, position) else character
            return position + len(self._quote)
        if character in "[{":
            self._depth += 1
        elif character in "]}":
            self._depth = max(0, self._depth - 1)
        return position + 1
