"""Reading one TOML table strictly: each take checks a key's type and form, and records what is wrong with its line."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from provisioning.errors import Mistake
from provisioning.site.lines import LineMap, Path

__all__ = ["Mistakes", "Table"]


@dataclass(slots=True)
class Mistakes:
    """The mistakes found so far, and the map that gives each its line."""

    lines: LineMap
    found: list[Mistake] = field(default_factory=list)

    def add(self, path: Path, what: str, remedy: str) -> None:
        """Record one mistake at `path`."""
        self.found.append(Mistake(line=self.lines.line(path), what=what, remedy=remedy))


class Table:
    """One table of the document. After all takes, `close` reports the keys that nobody asked for."""

    def __init__(self, values: object, path: Path, mistakes: Mistakes) -> None:
        self.path = path
        self.mistakes = mistakes
        self._known: list[str] = []
        self._values: Mapping[str, object] = {}
        self.is_table = isinstance(values, Mapping)
        if isinstance(values, Mapping):
            self._values = values
        else:
            mistakes.add(path, f"{self.where} is not a table", f"write it as [{path[0]}] or [[{path[0]}]]")

    @property
    def where(self) -> str:
        """How messages name this table, such as `[[unit]] b07-0101` or `[site]`."""
        if not self.path:
            return "the file"
        if len(self.path) == 1:
            return f"[{self.path[0]}]"
        name = self._values.get("name")
        return f"[[{self.path[0]}]] {name}" if isinstance(name, str) else f"[[{self.path[0]}]] number {self.path[1]}"

    def wrong(self, key: str, what: str, remedy: str) -> None:
        """Record a mistake about one key."""
        self.mistakes.add((*self.path, key), f"{self.where}: {what}", remedy)

    def has(self, key: str) -> bool:
        """Whether the key is written."""
        self._note(key)
        return key in self._values

    def text(self, key: str, form: re.Pattern[str], example: str) -> str:
        """A string that `form` matches as a whole; empty after a mistake."""
        value = self._take(key, example)
        if value is None:
            return ""
        if not isinstance(value, str):
            self.wrong(key, f"{key} is {_kind(value)}, not text", f'write {key} = "{example}"')
            return ""
        if not form.fullmatch(value):
            self.wrong(key, f'{key} "{value}" has not the form of one', f'write it like "{example}"')
            return ""
        return value

    def optional_text(self, key: str, form: re.Pattern[str], example: str) -> str | None:
        """As `text`, or None when the key is not written."""
        return (self.text(key, form, example) or None) if self.has(key) else None

    def choice(self, key: str, choices: Iterable[str]) -> str:
        """One of a few words; empty after a mistake."""
        words = tuple(choices)
        value = self._take(key, words[0] if words else "…")
        if value is None:
            return ""
        if value not in words:
            self.wrong(key, f"{key} {value!r} is not known", _nearest(str(value), words))
            return ""
        return str(value)

    def choices(self, key: str, choices: Collection[str]) -> tuple[str, ...]:
        """An array of different words out of a few; empty when the key is not written, or after a mistake."""
        if not self.has(key):
            return ()
        value = self._take(key, "…")
        if not isinstance(value, list) or len({*map(str, value)}) != len(value):
            self.wrong(key, f"{key} is not an array of different words", f'write {key} = ["{next(iter(choices))}"]')
            return ()
        for word in value:
            if word not in choices:
                self.wrong(key, f"{key} {word!r} is not known", _nearest(str(word), choices))
                return ()
        return tuple(map(str, value))

    def texts(self, key: str, form: re.Pattern[str], example: str) -> tuple[str, ...]:
        """An array of different strings of one form; empty when the key is not written, or after a mistake."""
        if not self.has(key):
            return ()
        value = self._take(key, example)
        is_right = isinstance(value, list) and all(isinstance(one, str) and form.fullmatch(one) for one in value)
        if not isinstance(value, list) or not is_right or len(set(value)) != len(value):
            self.wrong(key, f"{key} is not an array of different names", f'write {key} = ["{example}"]')
            return ()
        return tuple(value)

    def flag(self, key: str) -> bool:
        """True or false; false when the key is not written, or after a mistake."""
        if not self.has(key):
            return False
        value = self._take(key, "true")
        if not isinstance(value, bool):
            self.wrong(key, f"{key} is {_kind(value)}, neither true nor false", f"write {key} = true, or remove it")
        return value is True

    def optional_date(self, key: str) -> date | None:
        """A calendar date, or None when the key is not written."""
        if not self.has(key):
            return None
        value = self._take(key, "…")
        if not isinstance(value, date) or isinstance(value, datetime):
            self.wrong(key, f"{key} is {_kind(value)}, not a date", f"write {key} = 2027-05-31, without quotes")
            return None
        return value

    def whole(self, key: str, minimum: int, maximum: int, default: int | None = None) -> int:
        """A whole number within bounds; `minimum` after a mistake."""
        if default is not None and not self.has(key):
            return default
        value = self._take(key, str(max(minimum, 1)))
        if value is None:
            return minimum
        if isinstance(value, bool) or not isinstance(value, int):
            self.wrong(key, f"{key} is {_kind(value)}, not a whole number", f"write {key} = {max(minimum, 1)}")
            return minimum
        if not minimum <= value <= maximum:
            self.wrong(key, f"{key} {value} is out of range", f"write a number from {minimum} to {maximum}")
            return minimum
        return value

    def decimal(self, key: str, places: int, example: str) -> int:
        """A positive decimal written as text, scaled by 10**places; 1 after a mistake. Text, since floats round."""
        value = self._take(key, example)
        if value is None:
            return 1
        if not isinstance(value, str) or not re.fullmatch(rf"\d{{1,12}}(\.\d{{1,{places}}})?", value):
            shown = f'"{value}"' if isinstance(value, str) else f"{value} ({_kind(value)})"
            self.wrong(
                key,
                f"{key} {shown} is not a decimal with at most {places} places in quotes",
                f'write {key} = "{example}", in quotes so that nothing is rounded',
            )
            return 1
        whole, _, fraction = value.partition(".")
        return int(whole + fraction.ljust(places, "0"))

    def table(self, key: str) -> Table:
        """A table inside this one; an empty one after a mistake."""
        value = self._take(key, "{ … }")
        return Table(value if value is not None else {}, (*self.path, key), self.mistakes)

    def tables(self, key: str, at_least: int, remedy: str) -> list[Table]:
        """An array of tables."""
        self._note(key)
        value = self._values.get(key, [])
        if not isinstance(value, list):
            self.wrong(key, f"{key} is {_kind(value)}, not an array of tables", f"write [[{key}]], with two brackets")
            return []
        if len(value) < at_least:
            self.wrong(key, f"there is no [[{key}]]", remedy)
        return [Table(entry, (*self.path, key, number), self.mistakes) for number, entry in enumerate(value)]

    def close(self) -> None:
        """Report the keys that no take asked for."""
        for key in self._values:
            if key not in self._known:
                self.wrong(key, f"{key} is not a key here", _nearest(key, self._known))

    def _note(self, key: str) -> None:
        if key not in self._known:
            self._known.append(key)

    def _take(self, key: str, example: str) -> object | None:
        self._note(key)
        if key in self._values:
            return self._values[key]
        if self.is_table:
            written = example if example.startswith("{") or example.isdigit() else f'"{example}"'
            self.wrong(key, f"{key} is missing", f"add {key} = {written}")
        return None


def _nearest(word: str, words: Iterable[str]) -> str:
    choices = list(words)
    near = difflib.get_close_matches(word, choices, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]}?"
    return f"write one of: {', '.join(choices)}" if choices else "write it first"


def _kind(value: object) -> str:
    names = {
        bool: "true or false",
        int: "a number",
        float: "a fraction",
        str: "text",
        list: "an array",
        dict: "a table",
    }
    return names.get(type(value), "a date or time")
