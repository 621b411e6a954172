"""Writing the small TOML subset that the settings files use; `tomllib` reads only."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

__all__ = ["toml_document"]

Value = str | int | float | bool | Sequence[str] | Sequence[int]
Section = Mapping[str, Value | None]


def toml_document(heading: str, sections: Sequence[tuple[str, Section]]) -> str:
    """A TOML document: a comment, then sections in order.

    Args:
        heading: one line, written as a comment.
        sections: (header, keys); an empty header is the root table, a header in brackets (`[device]`) is the next
            table of an array. Keys that are None are left out.
    """
    parts = [f"# {heading}"]
    for header, keys in sections:
        lines = [f"[{header}]"] if header else []
        lines += [f"{key} = {_value(value)}" for key, value in keys.items() if value is not None]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _value(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)  # a JSON string is a TOML basic string, but for U+007F
    if isinstance(value, Sequence):
        return "[" + ", ".join(_value(entry) for entry in value) + "]"
    return repr(value)
