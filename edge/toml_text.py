"""A settings file that knows its lines, so that every error can say where to look."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.errors import SettingsError


@dataclass(frozen=True, slots=True, kw_only=True)
class TomlTable:
    """One table of a TOML file, with its place, that is read key by key and refuses what was not read."""

    path: Path
    text: str
    heading: str  # "[gateway]", "[[device]]"; "" for the file itself
    position: int  # which one of several [[…]] of the same heading
    values: dict[str, Any]

    def error(self, key: str, says: str) -> SettingsError:
        """The error of one key: `gateway.toml line 12: [[device]] urn: …`."""
        place = f"{self.heading} {key}".strip()
        return SettingsError(f"{self.path.name} line {self._line(key)}: {place}: {says}")

    def string(self, key: str, default: str | None = None) -> str:
        """A string; required unless `default` is given."""
        value = self._value(key, default)
        if not isinstance(value, str):
            raise self.error(key, f"is {value!r}; write a text in quotes")
        return value

    def integer(self, key: str, default: int | None = None, *, least: int = 0, most: int = 2**53) -> int:
        value = self._value(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise self.error(key, f"is {value!r}; write a whole number from {least} to {most}")
        return value

    def seconds(self, key: str, default: float, *, least: float = 0.0, most: float = 86_400.0) -> float:
        value = self._value(key, default)
        if not isinstance(value, int | float) or isinstance(value, bool) or not least <= value <= most:
            raise self.error(key, f"is {value!r}; write seconds from {least} to {most}")
        return float(value)

    def strings(self, key: str) -> tuple[str, ...]:
        """A list of texts, or one alone; empty where it is absent."""
        value = self.values.get(key, [])
        value = [value] if isinstance(value, str) else value
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise self.error(key, f"is {value!r}; write a list of texts in quotes")
        return tuple(value)

    def flag(self, key: str) -> bool:
        """True or false; false where it is absent."""
        value = self.values.get(key, False)
        if not isinstance(value, bool):
            raise self.error(key, f"is {value!r}; write true or false")
        return value

    def tables(self, key: str) -> tuple["TomlTable", ...]:
        """The tables of an array `[[key]]`, none where it is absent."""
        value = self.values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            raise self.error(key, f"write it as [[{self._below(key)}]]")
        return tuple(self._child(f"[[{self._below(key)}]]", position, one) for position, one in enumerate(value))

    def table(self, key: str) -> "TomlTable | None":
        value = self.values.get(key)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise self.error(key, f"write it as [{self._below(key)}]")
        return self._child(f"[{self._below(key)}]", 0, value)

    def only(self, *keys: str) -> None:
        """Refuse keys that nobody reads: a misspelt setting must not be silently ignored."""
        for key in self.values:
            if key not in keys:
                raise self.error(key, f"is not a setting here; write one of {', '.join(sorted(keys))}")

    def _value(self, key: str, default: object) -> object:
        value = self.values.get(key, default)
        if value is None:
            raise self.error(key, "is missing; add it to this table")
        return value

    def _below(self, key: str) -> str:
        outer = self.heading.strip("[]")
        return f"{outer}.{key}" if outer else key

    def _child(self, heading: str, position: int, values: dict[str, Any]) -> "TomlTable":
        return TomlTable(path=self.path, text=self.text, heading=heading, position=position, values=values)

    def _line(self, key: str) -> int:
        """The line of the key, else that of its table's heading, else 1."""
        inside, seen, heading_line = not self.heading, -1, 1
        for number, line in enumerate(self.text.splitlines(), start=1):
            bare = line.split("#", 1)[0].strip()
            if bare.startswith("["):
                seen += bare == self.heading
                inside = bare == self.heading and seen == self.position
                heading_line = number if inside else heading_line
            elif inside and bare.split("=", 1)[0].strip() == key:
                return number
        return heading_line


def read_toml(path: Path) -> TomlTable:
    """The file's top table.

    Raises:
        SettingsError: it cannot be read or is not TOML.
    """
    try:
        text = path.read_text(encoding="utf-8")
        values = tomllib.loads(text)
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}; give the gateway's file with --config") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path.name}: {error}; correct the TOML there") from error
    return TomlTable(path=path, text=text, heading="", position=0, values=values)
