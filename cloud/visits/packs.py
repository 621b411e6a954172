"""Packs by what records call them: the digest that stands as the `plan` of a visit."""

from collections.abc import Mapping
from functools import lru_cache

from contracts.pack import Pack, read_pack
from contracts.packs import NAMES

__all__ = ["pack_of"]


def pack_of(plan: bytes) -> Pack | None:
    """The pack of a visit's `plan`, as far as it came with this version."""
    return _by_digest().get(plan)


@lru_cache(maxsize=1)
def _by_digest() -> Mapping[bytes, Pack]:
    return {pack.digest(): pack for pack in map(read_pack, NAMES)}
