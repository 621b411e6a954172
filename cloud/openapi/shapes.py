"""Shapes that the JSON schemas are made of."""

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = [
    "COUNT", "COUNTS", "DAY", "FLAG", "MAYBE_DAY", "MAYBE_MS", "TEXT", "TEXTS", "WORDS", "Schema", "array",
    "decimal", "members", "octets",
]  # fmt: skip

Schema = Mapping[str, Any]


def octets(count: int, says: str) -> Schema:
    return {"type": "string", "pattern": f"^[0-9a-f]{{{2 * count}}}$", "description": says}


def decimal(says: str) -> Schema:
    return {"type": "string", "pattern": "^-?(0|[1-9][0-9]*)$", "description": f"{says}; a decimal string"}


def members(says: str, fields: Mapping[str, Schema], *, optional: Sequence[str] = ()) -> Schema:
    required = [name for name in fields if name not in optional]
    return {"type": "object", "description": says, "properties": dict(fields), "required": required}


def array(items: Schema) -> Schema:
    return {"type": "array", "items": items}


TEXT: Schema = {"type": "string"}
COUNT: Schema = {"type": "integer", "minimum": 0}
FLAG: Schema = {"type": "boolean"}
MAYBE_MS: Schema = {"type": ["integer", "null"], "description": "UTC milliseconds"}
DAY: Schema = {"type": "string", "format": "date"}
MAYBE_DAY: Schema = {"type": ["string", "null"], "format": "date"}
COUNTS: Schema = {"type": "object", "additionalProperties": COUNT}
TEXTS: Schema = {"type": "object", "additionalProperties": TEXT}
WORDS = members("a name in both languages", {"zh": TEXT, "en": TEXT})
