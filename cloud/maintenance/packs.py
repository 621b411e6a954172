"""The data packs that are known here, by their names and by the digest that visits name them by."""

from collections.abc import Mapping
from functools import cache

from cloud.maintenance.clock import Interval
from contracts.errors import ContractsError
from contracts.pack import Pack, read_pack
from contracts.packs import NAMES
from contracts.visit import VisitClass

__all__ = ["intervals_of", "pack_named", "pack_of"]


@cache
def _by_digest() -> Mapping[bytes, Pack]:
    return {pack.digest(): pack for pack in map(pack_named, NAMES) if pack is not None}


def pack_named(name: str) -> Pack | None:
    """The pack of a name; None for one that does not come with this version."""
    try:
        return read_pack(name)
    except ContractsError:
        return None


def pack_of(plan: bytes) -> Pack | None:
    """The pack that a visit follows, by the record's `plan`; None for one that is not known here."""
    return _by_digest().get(plan)


def intervals_of(pack: Pack) -> Mapping[VisitClass, Interval]:
    """How often each class of a pack is due; without those that never are."""
    return {
        visit_class: Interval(days=pace.interval_days, warn_days=pace.warn_days)
        for visit_class, pace in pack.classes.items()
        if pace.interval_days
    }
