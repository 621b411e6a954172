"""How schemathesis sends the bodies that are bytes."""

from typing import Any

import schemathesis
from schemathesis import SerializationContext

__all__: list[str] = []


@schemathesis.serializer(
    "application/vnd.minglou.batch", "application/vnd.minglou.bills", "application/vnd.minglou.volumes"
)
def as_bytes(_context: SerializationContext, value: Any) -> bytes:
    """Bytes as they are, everything else as its text: a stranger may send anything."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")
