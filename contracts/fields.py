"""A JSON object read strictly: exactly the expected keys, each in the one spelling of its type.

In JSON files integers that may reach 2^53 are decimal strings and bytes are lower-case hex, so that JavaScript and
Python read the same values.
"""

import json
import re
from collections.abc import Callable, Collection, Sequence
from typing import Any

from contracts.errors import ContractsError

_HEX = re.compile(r"(?:[0-9a-f]{2})*")
_DECIMAL = re.compile(r"0|-?[1-9][0-9]*")
_DECIMAL_LENGTH_MAX = 80

Refuse = Callable[[str], ContractsError]
"""Makes the error of a format from what is wrong."""


def parse_json(encoded: bytes, *, length_max: int, what: str, refuse: Refuse) -> Any:
    """The value of a JSON file that people may lay out as they like, but in which no key stands twice."""
    if len(encoded) > length_max:
        raise refuse(f"{what} has {len(encoded)} bytes; {length_max} is the limit")

    def without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        fields = dict(pairs)
        if len(fields) != len(pairs):
            raise refuse(f"{what} names a field twice")
        return fields

    try:
        return json.loads(encoded.decode(), object_pairs_hook=without_duplicates)
    except (ValueError, RecursionError) as error:
        raise refuse(f"{what} is not JSON: {error}") from error


class Fields:
    """The fields of one object. Reading one that is missing or misspelt raises the `refuse` error, naming its place."""

    __slots__ = ("_fields", "_place", "_refuse")

    def __init__(
        self, value: object, *, place: str, keys: Sequence[str], refuse: Refuse, optional: Collection[str] = ()
    ) -> None:
        if not isinstance(value, dict):
            raise refuse(f"{place or 'the file'} is not an object")
        given = set(value) - set(optional)
        if given != set(keys):
            missing, unknown = sorted(set(keys) - given), sorted(given - set(keys))
            raise refuse(f"{place or 'the file'}: {_list('missing', missing)}{_list('unknown', unknown)}")
        self._fields: dict[str, Any] = value
        self._place = place
        self._refuse = refuse

    def raw(self, name: str) -> Any:
        """The value as JSON gave it."""
        return self._fields[name]

    def has(self, name: str) -> bool:
        """Whether an optional field stands here."""
        return name in self._fields

    def within(self, name: str, *keys: str, optional: Collection[str] = ()) -> "Fields":
        """An object within, with exactly these keys."""
        return Fields(self._fields[name], place=self._at(name), keys=keys, refuse=self._refuse, optional=optional)

    def within_or_none(self, name: str, *keys: str) -> "Fields | None":
        return None if self._fields[name] is None else self.within(name, *keys)

    def each_within(self, name: str, length_max: int, *keys: str, optional: Collection[str] = ()) -> "list[Fields]":
        """A list of objects, each with exactly these keys."""
        return [
            Fields(value, place=f"{self._at(name)}[{position}]", keys=keys, refuse=self._refuse, optional=optional)
            for position, value in enumerate(self.array(name, length_max))
        ]

    def text(self, name: str) -> str:
        value = self._fields[name]
        if not isinstance(value, str):
            raise self._refuse(f"{self._at(name)} is not a text")
        return value

    def text_or_none(self, name: str) -> str | None:
        return None if self._fields[name] is None else self.text(name)

    def choice(self, name: str, choices: Sequence[str]) -> str:
        value = self.text(name)
        if value not in choices:
            raise self._refuse(f"{self._at(name)} is {value[:40]!r}, not one of {', '.join(choices)}")
        return value

    def boolean(self, name: str) -> bool:
        value = self._fields[name]
        if not isinstance(value, bool):
            raise self._refuse(f"{self._at(name)} is not true or false")
        return value

    def integer(self, name: str) -> int:
        """A JSON number: for what stays below 2^53."""
        value = self._fields[name]
        if not isinstance(value, int) or isinstance(value, bool):
            raise self._refuse(f"{self._at(name)} is not a whole number")
        return value

    def decimal(self, name: str, *, end: int, start: int = 0) -> int:
        """A canonical decimal string of an integer, start <= n < end."""
        value = self.text(name)
        if len(value) > _DECIMAL_LENGTH_MAX or not value.isascii() or not _DECIMAL.fullmatch(value):
            raise self._refuse(f"{self._at(name)} is not an integer as a decimal string")
        number = int(value)
        if not start <= number < end:
            raise self._refuse(f"{self._at(name)} is {number}, outside its range {start} to {end - 1}")
        return number

    def decimal_or_none(self, name: str, *, end: int, start: int = 0) -> int | None:
        return None if self._fields[name] is None else self.decimal(name, end=end, start=start)

    def octets(self, name: str, length: int, *, prefix: str = "") -> bytes:
        """Bytes in lower-case hex, behind `0x` where the format says so."""
        return self._octets(self._fields[name], self._at(name), length, prefix)

    def octets_list(self, name: str, length: int, length_max: int) -> tuple[bytes, ...]:
        return tuple(
            self._octets(value, f"{self._at(name)}[{position}]", length, "")
            for position, value in enumerate(self.array(name, length_max))
        )

    def _octets(self, value: object, place: str, length: int, prefix: str) -> bytes:
        if isinstance(value, str) and value.startswith(prefix):
            digits = value[len(prefix) :]
            if len(digits) == 2 * length and _HEX.fullmatch(digits):
                return bytes.fromhex(digits)
        raise self._refuse(f"{place} is not {length} bytes in lower-case hex{f' behind {prefix}' if prefix else ''}")

    def array(self, name: str, length_max: int) -> list[Any]:
        """A list of anything, no longer than that."""
        value = self._fields[name]
        if not isinstance(value, list) or len(value) > length_max:
            raise self._refuse(f"{self._at(name)} is not a list of at most {length_max}")
        return value

    def _at(self, name: str) -> str:
        return f"{self._place}.{name}" if self._place else name


def _list(what: str, names: Sequence[str]) -> str:
    return f"{what} {', '.join(names)[:200]}; " if names else ""
