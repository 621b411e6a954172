"""Boundary values of many devices as columns: one number and one state a device for each register and date.

A value is plain where exactly one entry holds it, in a log that the Registry gave the device and no other. Whatever is
not plain is looked at one device at a time, by `cloud.billing.usage`.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import BigInteger, case, cast, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.billing.pricing_columns import Integers
from cloud.chain.view import ChainView
from cloud.store import tables
from cloud.store.bulk_read import HASH_BYTES, Uncut, read_uncut
from cloud.store.opening import OpenValues, value_opener
from cloud.store.readings import NONCE_BYTES
from contracts.ending import end_tasks
from contracts.onchain import origin_id
from contracts.tree import SIZE_END

__all__ = ["Devices", "Mask", "RegisterColumns", "assignments_of", "load_register_columns"]

Mask = NDArray[np.bool_]
_NO_LOG = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterColumns:
    """What is held of some devices at some dates."""

    count: int
    is_plain: Mask  # whether a device's entries can be judged by columns at all
    values: dict[tuple[str, int], Integers] = field(default_factory=dict)
    held: dict[tuple[str, int], Integers] = field(default_factory=dict)  # how many entries hold the value

    def is_held(self, register: str, dates: Iterable[int]) -> Mask:
        """Devices with an entry of a register at one of the dates."""
        found = np.zeros(self.count, np.bool_)
        for day in dates:
            if (register, day) in self.held:
                found |= self.held[register, day] > 0
        return found

    def at(self, register: str, day: int) -> tuple[Integers, Mask]:
        """Values of a register at a date, and where they are plain."""
        return self.values[register, day], (self.held[register, day] == 1) & self.is_plain


class Assigned(NamedTuple):
    """Log (-1 where none is held), first index and end of each device's assignment; and whether it has exactly one."""

    logs: Integers
    firsts: Integers
    ends: Integers
    has_one: Mask


class Devices:
    """Devices in the order of their hashes' first 64 bits, to find a row's place at once."""

    def __init__(self, devices: Sequence[bytes]) -> None:
        self.hashes = np.frombuffer(b"".join(devices), np.uint8).reshape(-1, HASH_BYTES)
        heads = _heads(self.hashes)
        self._order = np.argsort(heads, kind="stable")
        self._heads = heads[self._order]
        # Two that begin alike cannot be told apart here; hashes do so once in 10^19 pairs.
        alike = np.zeros(len(devices), np.bool_)
        same = np.flatnonzero(self._heads[1:] == self._heads[:-1])
        alike[self._order[same]] = alike[self._order[same + 1]] = True
        self.is_single = ~alike

    def places(self, hashes: NDArray[np.uint8]) -> Integers:
        """Each row's device by its place, -1 for another device's."""
        if not len(self._heads) or not len(hashes):
            return np.full(len(hashes), -1, np.int64)
        at = np.minimum(np.searchsorted(self._heads, _heads(hashes)), len(self._heads) - 1)
        place = self._order[at]
        return np.where((self.hashes[place] == hashes).all(axis=1), place, -1)


def _heads(hashes: NDArray[np.uint8]) -> NDArray[np.uint64]:
    return np.ascontiguousarray(hashes[:, :8]).view(">u8").reshape(-1).astype(np.uint64)


async def load_register_columns(
    connection: AsyncConnection,
    view: ChainView,
    *,
    devices: Sequence[bytes],
    asked: Sequence[tuple[str, int]],
    say: Callable[[str], None] = lambda words: None,
) -> RegisterColumns:
    """Values of all `devices` for each (register, boundary date) that is asked for.

    Args:
        say: told of each register and date before it is read.
    """
    places = Devices(devices)
    assigned = await assignments_of(connection, view, devices)
    found = RegisterColumns(count=len(devices), is_plain=places.is_single & assigned.has_one)
    by_day: dict[int, list[str]] = {}
    for register, day in sorted(set(asked)):
        by_day.setdefault(day, []).append(register)
    days = sorted(by_day.items())

    def reading(number: int) -> "asyncio.Task[Uncut]":
        day, registers = days[number]
        say(f"reading boundary {number + 1} of {len(days)}: {day}")
        return asyncio.create_task(read_uncut(connection, _held_at(day, registers), hashes=2))

    sealed: list[_Sealed] = []
    async with value_opener(connection, len(devices) * len(set(asked))) as open_values:
        ahead = reading(0) if days else None
        try:
            for number, (day, registers) in enumerate(days, 1):
                assert ahead is not None
                uncut = await ahead
                ahead = reading(number) if number < len(days) else None
                # While the database sends the next date's, in a thread: this takes about as long.
                sealed += await asyncio.to_thread(_taken, uncut, found, places, assigned, day, registers)
                del uncut
        finally:
            await end_tasks([ahead] if ahead is not None else [])
        await _open(open_values, places, sealed)
    return found


def _taken(
    uncut: Uncut, found: RegisterColumns, places: Devices, assigned: Assigned, day: int, registers: Sequence[str]
) -> list["_Sealed"]:
    """Put one date's rows where they belong, their values still sealed."""
    hashes, numbers = uncut()
    hashes, leaves = hashes[:, :HASH_BYTES], hashes[:, HASH_BYTES:]
    place, log, index = places.places(hashes), numbers[:, 1], numbers[:, 2]
    is_own = (place >= 0) & (assigned.logs[place] == log)
    is_own &= (assigned.firsts[place] <= index) & (index < assigned.ends[place])
    sealed: list[_Sealed] = []
    for at, register in enumerate(registers):
        here = numbers[:, 0] == at
        counted, strange = here & is_own, here & ~is_own & (place >= 0)
        found.values[register, day] = np.zeros(found.count, np.int64)
        sealed.append(
            _Sealed(
                into=found.values[register, day],
                place=place[counted].astype(np.int32),
                leaves=leaves[counted, :NONCE_BYTES],
                keys=numbers[counted, 4].astype(np.int32),
                values=numbers[counted, 3],
            )
        )
        # One in another log than the device's own counts for nothing, but makes the value not plain.
        held = np.bincount(place[counted], minlength=found.count)
        found.held[register, day] = held + 2 * np.bincount(place[strange], minlength=found.count)
    return sealed


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sealed:
    """Values of one register at one date as they stand, and where they go when they are opened."""

    into: Integers
    place: NDArray[np.int32]
    leaves: NDArray[np.uint8]
    keys: NDArray[np.int32]
    values: Integers


async def _open(open_values: OpenValues, devices: Devices, sealed: Sequence[_Sealed]) -> None:
    """Open all dates' values together, so that each device's key is asked for once."""
    if not sealed:
        return
    opened = await open_values(
        devices.hashes,
        np.concatenate([one.place for one in sealed]),
        np.concatenate([one.leaves for one in sealed]),
        np.concatenate([one.keys for one in sealed]).astype(np.int64),
        np.concatenate([one.values for one in sealed]),
    )
    at = 0
    for one in sealed:
        one.into[one.place] = opened[at : at + len(one.place)]
        at += len(one.place)


def _held_at(day: int, registers: Sequence[str]) -> Any:
    """Device, leaf hash (anything where the value is clear), the register's number among those asked for, log, index,
    value, key.
    """
    column = tables.boundaries.c
    number = case({register: at for at, register in enumerate(registers)}, value=column.register)
    return (
        select(
            column.device,
            func.coalesce(column.leaf_hash, column.device),
            cast(number, BigInteger),
            cast(column.log_id, BigInteger),
            column.entry_index,
            column.value,
            cast(column.sealed_by, BigInteger),
        )
        .where(column.boundary_date == day, column.register.in_(registers))
        .execution_options(every_shard="a site's meters may report through any of its gateways' logs")
    )


async def assignments_of(connection: AsyncConnection, view: ChainView, devices: Sequence[bytes]) -> Assigned:
    """To what logs these devices are assigned."""
    query = select(tables.logs.c.log_id, tables.logs.c.origin).execution_options(every_shard="all logs of the site")
    numbers = {origin_id(row.origin): row.log_id for row in await connection.execute(query)}
    logs, firsts = np.full(len(devices), _NO_LOG, np.int64), np.zeros(len(devices), np.int64)
    ends, has_one = np.zeros(len(devices), np.int64), np.zeros(len(devices), np.bool_)
    for place, device in enumerate(devices):
        records = view.assignments.get(device, ())
        if len(records) == 1:
            record = records[0]
            logs[place] = numbers.get(record.origin_id, _NO_LOG)
            firsts[place] = record.first_index
            ends[place] = SIZE_END if record.last_index is None else record.last_index + 1
            has_one[place] = True
    return Assigned(logs, firsts, ends, has_one)
