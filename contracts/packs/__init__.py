"""The data packs that come with Minglou: what maintenance a kind of device needs, by whose rules.

A pack is data, never code: one JSON file each, laid out for people to read and check line by line. Programs, phones and
records know it by its canonical bytes (`contracts.pack`). It may import `contracts`.
"""

import json
from functools import lru_cache
from pathlib import Path

from contracts.detail import canonical_json
from contracts.errors import ContractsError

__all__ = ["DIRECTORY", "NAMES", "pack_bytes"]

DIRECTORY = Path(__file__).parent
NAMES = (
    "cn-tsg-t5002-2017-a",
    "meter-swap",
    "meter-calibration",
    "access-controller",
    "gateway-service",
    "lift-repair",
    "maker-example",
    "asme-mcp-example",
)


@lru_cache(maxsize=len(NAMES))
def pack_bytes(name: str) -> bytes:
    """The canonical JSON of a pack that comes with Minglou: what is served, kept by phones, and hashed.

    Raises:
        ContractsError: there is no pack of this name.
    """
    if name not in NAMES:
        raise ContractsError(f"pack {name[:40]!r}: none of that name comes with Minglou; there are {', '.join(NAMES)}")
    return canonical_json(json.loads((DIRECTORY / f"{name}.json").read_text(encoding="utf-8")))
