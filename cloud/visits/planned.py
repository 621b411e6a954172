"""Swaps that can be made: a flat's meter, and the ones in stock that wait to take its place.

A meter in stock is named for its flat beforehand and counts for nobody yet. Only while one waits is a crew's phone
told of a flat's meter at all, and of no register but the one that its binding began with.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cloud.chain.records import BindingRecord
from cloud.directory import Directory, DirectoryDevice
from contracts.calls.bindings import ROLE_OWN

__all__ = ["SWAP_PACK", "PlannedSwap", "planned_swap"]

SWAP_PACK = "meter-swap"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedSwap:
    """What one meter's place may be taken by."""

    subject: bytes  # the unit's alias
    from_date: int  # from which boundary date (YYYYMMDD) on the present meter counts
    quantity: str
    spares: Sequence[DirectoryDevice]


def planned_swap(
    directory: Directory, bindings: Mapping[bytes, Sequence[BindingRecord]], device: DirectoryDevice
) -> PlannedSwap | None:
    """The swap of a flat's meter; None where it counts for nobody on chain, or none of its gateway's waits."""
    held = bindings.get(device.device, ())
    present = held[-1] if held else None
    if device.unit is None or device.quantity is None or SWAP_PACK not in device.packs or present is None:
        return None
    if (present.subject, present.role, present.to_date) != (device.unit, ROLE_OWN, 0):
        return None
    like = (device.kind, device.quantity, device.origin)
    spares = tuple(
        one
        for one in directory.devices_of_unit(device.unit)
        if one.device not in bindings and (one.kind, one.quantity, one.origin) == like
    )
    if not spares:
        return None
    return PlannedSwap(subject=device.unit, from_date=present.from_date, quantity=device.quantity, spares=spares)
