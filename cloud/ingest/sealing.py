"""The entries of one group of batches as the store keeps them: what is a household's sealed, in a few array operations
for many of them together.

A group is sealed ahead, while the group before it is being written. Which keys seal is asked once more by the writer,
who holds the logs' rows locked by then: a key that was destroyed meanwhile seals nothing that comes after.
"""

import asyncio
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.ingest.judgement import Continuation
from cloud.store.readings import CLEAR, NONCE_BYTES, DeviceKey, is_private, mask_runs, sealing_keys, seals_readings

__all__ = ["SealedGroup", "StoredPart", "keep_or_seal_again", "seal_parts"]

Octets = npt.NDArray[np.uint8]
Integers = npt.NDArray[np.int64]

# Where an entry's device, value and salt lie in its 224 bytes.
_DEVICE, _VALUE, _SALT = slice(32, 64), slice(152, 160), slice(192, 208)
_VALUE_BYTES = 8
_ENTRIES_AT_ONCE = 1_024  # whose arrays stay in the processor's cache, and after which others get their turn


@dataclass(frozen=True, slots=True)
class StoredPart:
    """What one continuation adds, with sealed values, salts and details."""

    part: Continuation
    entries: Octets  # 224 bytes of each
    details: Mapping[int, bytes]  # by place among these entries, in order; none is empty
    sealed_by: npt.NDArray[np.int32]  # each entry's key


@dataclass(frozen=True, slots=True)
class SealedGroup:
    """A group's batches as the store keeps them, and by which keys."""

    parts: Sequence[StoredPart]
    is_sealed: bool  # else the store does not seal
    tags: Mapping[bytes, int]  # of the key of each device that says something private


@dataclass(frozen=True, slots=True)
class _Portion:
    """Some batches' entries side by side, and the places of the private ones, ordered by their devices."""

    parts: Sequence[Continuation]
    entries: Octets
    places: Integers
    devices: Sequence[bytes]  # of each run in that order
    lengths: Sequence[int]  # of each run


async def seal_parts(connection: AsyncConnection, parts: Sequence[Continuation]) -> SealedGroup:
    """The parts as the store keeps them: sealed, or as they are where the store does not seal."""
    if not await seals_readings(connection):
        return SealedGroup([_clear(part) for part in parts], is_sealed=False, tags={})
    portions = list[_Portion]()
    for some in _some_at_once(parts):
        portions.append(_arrange(some))
        await asyncio.sleep(0)
    keys = await sealing_keys(connection, {device for portion in portions for device in portion.devices})
    stored = list[StoredPart]()
    for portion in portions:
        stored += _seal(portion, keys)
        await asyncio.sleep(0)
    return SealedGroup(stored, is_sealed=True, tags={device: key.tag for device, key in keys.items()})


async def keep_or_seal_again(
    connection: AsyncConnection, ahead: SealedGroup, parts: Sequence[Continuation]
) -> Sequence[StoredPart]:
    """These of the parts that were sealed ahead; sealed again where another key seals by now.

    Args:
        connection: in the transaction that has the logs' rows locked.
    """
    if ahead.is_sealed == await seals_readings(connection):
        keys = await sealing_keys(connection, ahead.tags.keys())
        if all(key.tag == ahead.tags[device] for device, key in keys.items()):
            kept = set(map(id, parts))
            return [one for one in ahead.parts if id(one.part) in kept]
    return (await seal_parts(connection, parts)).parts


def _some_at_once(parts: Sequence[Continuation]) -> Iterator[Sequence[Continuation]]:
    """Batches in their order, so many together that array operations pay."""
    some, entries = list[Continuation](), 0
    for part in parts:
        some.append(part)
        entries += part.added
        if entries >= _ENTRIES_AT_ONCE:
            yield some
            some, entries = [], 0
    if some:
        yield some


def _arrange(parts: Sequence[Continuation]) -> _Portion:
    entries = np.concatenate([part.content.columns.array[part.skipped :] for part in parts])
    private = np.flatnonzero(np.concatenate([_is_private(part) for part in parts]))
    words = np.ascontiguousarray(entries[private, _DEVICE]).view(np.uint64)
    # A device is a hash: ordered by the first word alone, others that share it only make some runs more.
    by_device = np.argsort(words[:, 0], kind="stable")
    words = words[by_device]
    is_first = np.ones(len(words), np.bool_)
    is_first[1:] = (words[1:] != words[:-1]).any(axis=1)
    firsts = np.flatnonzero(is_first)
    lengths = np.diff(firsts, append=len(words)).tolist()
    return _Portion(parts, entries, private[by_device], _cut_rows(words[firsts]), lengths)


def _is_private(part: Continuation) -> npt.NDArray[np.bool_]:
    """Of each entry that is new in a batch, whether its content is a household's."""
    columns, start = part.content.columns, part.skipped
    told = list(zip(columns.kinds[start:], columns.quantities[start:], strict=True))
    private = {one: is_private(*one) for one in set(told)}
    if all(private.values()):  # as nearly always
        return np.ones(len(told), np.bool_)
    return np.fromiter((private[one] for one in told), np.bool_, len(told))


def _seal(portion: _Portion, keys: Mapping[bytes, DeviceKey]) -> Iterator[StoredPart]:
    """The portion's parts, their entries sealed in place."""
    entries, places = portion.entries, portion.places
    details = _details(portion.parts)
    sealed_by = np.full(len(entries), CLEAR, np.int32)
    if len(places):
        used = [keys[device] for device in portion.devices]
        sealed_by[places] = np.repeat(np.array([key.tag for key in used], np.int32), portion.lengths)
        heads = np.concatenate([entries[places, _VALUE], entries[places, _SALT]], axis=1)
        runs = list(zip(used, portion.lengths, strict=True))
        ranked = _ranked(details, places, len(entries))
        told = {rank: details[place] for rank, place in ranked}
        heads, sealed = mask_runs(runs, _nonces(portion.parts)[places], heads, told)
        entries[places, _VALUE], entries[places, _SALT] = heads[:, :_VALUE_BYTES], heads[:, _VALUE_BYTES:]
        details |= {place: sealed[rank] for rank, place in ranked}
    return _split(portion.parts, entries, details, sealed_by)


def _details(parts: Sequence[Continuation]) -> dict[int, bytes]:
    """What is new of the details, by place among all new entries, in that order."""
    found, first = dict[int, bytes](), 0
    for part in parts:
        start, details = part.skipped, part.content.columns.details
        found |= {first + at - start: detail for at, detail in details.items() if at >= start}
        first += part.added
    return found


def _ranked(details: Mapping[int, bytes], places: Integers, count: int) -> list[tuple[int, int]]:
    """Rank among the private entries, and place, of each of them that has a detail; in the order of ranks."""
    has_detail = np.zeros(count, np.bool_)
    has_detail[list(details)] = True
    ranks = np.flatnonzero(has_detail[places])
    return list(zip(ranks.tolist(), places[ranks].tolist(), strict=True))


def _nonces(parts: Sequence[Continuation]) -> Octets:
    leaves = b"".join(chain.from_iterable(part.content.leaves[part.skipped :] for part in parts))
    return np.frombuffer(leaves, np.uint8).reshape(-1, 32)[:, :NONCE_BYTES]


def _split(
    parts: Sequence[Continuation], entries: Octets, details: Mapping[int, bytes], sealed_by: npt.NDArray[np.int32]
) -> Iterator[StoredPart]:
    told, first = deque(details.items()), 0
    for part in parts:
        end, own = first + part.added, dict[int, bytes]()
        while told and told[0][0] < end:
            place, detail = told.popleft()
            own[place - first] = detail
        yield StoredPart(part, entries[first:end], own, sealed_by[first:end])
        first = end


def _clear(part: Continuation) -> StoredPart:
    entries = part.content.columns.array[part.skipped :]
    return StoredPart(part, entries, _details([part]), np.full(part.added, CLEAR, np.int32))


def _cut_rows(array: npt.NDArray[Any]) -> list[bytes]:
    """The bytes of each row."""
    joined = array.tobytes()
    width = len(joined) // max(1, len(array))
    return [joined[at : at + width] for at in range(0, len(joined), width)] if width else []
