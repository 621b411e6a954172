"""Readings lie sealed in the store, each under the key of the device that made it.

What is sealed of an entry is what it says: value and salt (blocks 0 and 1) and detail (from block 2 on), XORed with AES
in counter mode under the device's key. The counter begins with the entry's own leaf hash, which covers all three: two
entries that differ never share a block of the stream, also where a gateway signs two histories, and the same entry
gives the same bytes in every table, file and rebuild. The leaf hash, which stands beside it in clear, tells nothing
while the salt is sealed. An altered row fails by it in an evidence file, in the segments and in a rebuild; whoever only
reads a value, such as a page, does not notice.

A row says by which key it is sealed; 0 is clear: kept before there were keys, or by a store that has none.
"""

import asyncio
from collections import namedtuple
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache
from itertools import groupby
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.errors import StoreError
from cloud.store import tables
from cloud.store.sealing import SEALER
from contracts.entry import Kind
from contracts.quantities import VISIT_VERDICT

__all__ = [
    "CLEAR",
    "HEAD_BYTES",
    "NONCE_BYTES",
    "DeviceKey",
    "DeviceKeys",
    "heads_of",
    "held_keys",
    "is_private",
    "keys_in",
    "mask",
    "mask_rows",
    "mask_runs",
    "open_entries",
    "open_entry",
    "parts_of",
    "sealing_keys",
    "seals_readings",
]  # fmt: skip

CLEAR = 0
"""The key that seals nothing."""

HEAD_BYTES = 24
"""Value and salt, which stand before a detail in what is sealed."""

NONCE_BYTES = 14
"""How much of a leaf hash begins a counter block; two bytes number the block."""

_BLOCK, _VALUE = 16, 8
_HEAD_BLOCKS = 2  # that a head takes, though it fills one and a half
_PADDING = [b"", *(bytes(_BLOCK - over) for over in range(1, _BLOCK))]  # by how far the last block is filled
_NO_SALT = bytes(16)
_HEAD_PADDING = bytes(_HEAD_BLOCKS * _BLOCK - HEAD_BYTES)
_FEW = 32  # rows up to which arrays cost more than they save
_LIFT = "lift."
_ONE = 1
_SEALED_COLUMNS = ("value", "salt", "detail", "sealed_by")

Octets = npt.NDArray[np.uint8]
Integers = npt.NDArray[np.int64]


class DeviceKey(Protocol):
    """One device's data key."""

    @property
    def tag(self) -> int:
        """Which key it is, 1 to 2^31 - 1: what a row that it sealed says."""

    def blocks(self, counters: bytes) -> bytes:
        """AES of counter blocks of 16 bytes each."""


class DeviceKeys(Protocol):
    """Every device's keys: the present one, and those that older rows are sealed by."""

    def present_keys(self, devices: Collection[bytes]) -> Mapping[bytes, DeviceKey]:
        """The keys that seal what these devices say now; a device's first entry makes its key."""

    def keys_of(self, wanted: Collection[tuple[bytes, int]]) -> Mapping[tuple[bytes, int], DeviceKey]:
        """Keys by device and tag, as far as they are there."""

    def is_destroyed(self, device: bytes, tag: int) -> bool:
        """Whether a key was destroyed so that nobody reads what it sealed."""

    def elsewhere(self) -> Callable[[], "DeviceKeys"]:
        """What another process opens the same keys with."""


@lru_cache(maxsize=4_096)
def is_private(kind: int, quantity: str) -> bool:
    """Whether an entry's content is sealed: readings, doors, what sensors tell; not lifts, which are everybody's."""
    if quantity.startswith(_LIFT) or quantity == VISIT_VERDICT:
        return False
    return kind in (Kind.READING, Kind.STATUS, Kind.ACCESS)


async def sealing_keys(connection: AsyncConnection, devices: Collection[bytes]) -> Mapping[bytes, DeviceKey]:
    """The keys that seal what these devices say; none where the store has no keys, or does not seal readings yet."""
    if not devices or not await seals_readings(connection):
        return {}
    keys: Any = connection.info[SEALER]
    # In a thread: a key that is made is on disk before it is used, and another process may be writing.
    found: Mapping[bytes, DeviceKey] = await asyncio.to_thread(keys.present_keys, devices)
    return found


async def seals_readings(connection: AsyncConnection) -> bool:
    """Whether what comes in is sealed: not without keys, and where readings were held before there were any, from when
    the operator says that all processes know how to read them; once it is, for good.
    """
    keys: Any = connection.info.get(SEALER)
    if keys is None:
        return False
    if not keys.seals_readings:
        column = tables.key_store.c
        row = (await connection.execute(select(column.seals_readings).where(column.one == _ONE))).scalar_one_or_none()
        keys.seals_readings = row is None or bool(row)
    return bool(keys.seals_readings)


def mask(
    keys: Sequence[DeviceKey], leaves: Sequence[bytes], heads: Octets, details: Sequence[bytes | None]
) -> tuple[Octets, list[bytes | None]]:
    """Entries' contents, each XORed with its own stream: seals what is clear, and opens what is sealed.

    Args:
        keys: of each entry's device.
        leaves: the entries' leaf hashes, which begin their streams.
        heads: each entry's value and salt, `HEAD_BYTES`.
        details: None, or nothing, where an entry has none.

    Returns:
        Heads and details in the same order.
    """
    if not keys:
        return heads, list(details)
    order = np.argsort(np.fromiter(map(id, keys), np.int64, len(keys)), kind="stable")
    places = order.tolist()
    runs = [(key, len(list(some))) for key, some in groupby([keys[at] for at in places])]
    nonces = np.frombuffer(b"".join(leaves), np.uint8).reshape(len(leaves), -1)[order, :NONCE_BYTES]
    told = {at: detail for at, place in enumerate(places) if (detail := details[place])}
    in_runs, opened = mask_runs(runs, nonces, heads[order], told)
    masked, found = np.empty_like(heads), list(details)
    masked[order] = in_runs
    for at, detail in opened.items():
        found[places[at]] = detail
    return masked, found


def mask_runs(
    runs: Sequence[tuple[DeviceKey, int]], nonces: Octets, heads: Octets, details: Mapping[int, bytes]
) -> tuple[Octets, dict[int, bytes]]:
    """What `mask` does, for entries that stand together by their keys.

    Args:
        runs: each key and how many entries in succession are its device's.
        nonces: the first `NONCE_BYTES` of each entry's leaf hash.
        heads: each entry's value and salt, `HEAD_BYTES`; blocks 0 and 1 of the stream.
        details: from block 2 on, by the entry's place and in that order; none is empty.

    Returns:
        Heads, and details by place.
    """
    places = np.fromiter(details, np.int64, len(details))
    lengths = np.fromiter(map(len, details.values()), np.int64, len(details))
    widths = np.full(len(nonces), _HEAD_BLOCKS)
    widths[places] += -(-lengths // _BLOCK)
    ends = np.cumsum(widths)
    starts = ends - widths
    stream = _stream(runs, nonces, widths, starts)
    in_heads = starts[:, None] + np.arange(_HEAD_BLOCKS)
    masked = heads ^ stream[in_heads].reshape(-1, _HEAD_BLOCKS * _BLOCK)[:, :HEAD_BYTES]
    if not details:
        return masked, {}
    is_detail = np.ones(len(stream), np.bool_)
    is_detail[in_heads] = False
    padded = b"".join([detail + _PADDING[len(detail) % _BLOCK] for detail in details.values()])
    octets = (np.frombuffer(padded, np.uint8) ^ stream[is_detail].reshape(-1)).tobytes()
    firsts = (np.cumsum(widths[places] - _HEAD_BLOCKS) - (widths[places] - _HEAD_BLOCKS)) * _BLOCK
    cuts = zip(details, firsts.tolist(), (firsts + lengths).tolist(), strict=True)
    return masked, {place: octets[first:end] for place, first, end in cuts}


def _stream(runs: Sequence[tuple[DeviceKey, int]], nonces: Octets, widths: Integers, starts: Integers) -> Octets:
    """So many blocks of each entry's stream: AES of its counters, in one call for each run of a key."""
    counters = np.empty((int(starts[-1] + widths[-1]), _BLOCK), np.uint8)
    counters[:, :NONCE_BYTES] = np.repeat(nonces, widths, axis=0)
    number = np.arange(len(counters)) - np.repeat(starts, widths)
    counters[:, NONCE_BYTES:] = number.astype(">u2").view(np.uint8).reshape(-1, 2)
    octets, bounds = counters.tobytes(), [*(starts * _BLOCK).tolist(), counters.size]
    pieces, first = list[bytes](), 0
    for key, count in runs:
        pieces.append(key.blocks(octets[bounds[first] : bounds[first + count]]))
        first += count
    return np.frombuffer(b"".join(pieces), np.uint8).reshape(-1, _BLOCK)


def heads_of(values: Sequence[int], salts: Sequence[bytes]) -> Octets:
    """Values and salts as `mask` takes them; a salt that was not asked for may be empty."""
    joined = b"".join([
        value.to_bytes(_VALUE, signed=True) + (salt or _NO_SALT) for value, salt in zip(values, salts, strict=True)
    ])  # fmt: skip
    return np.frombuffer(joined, np.uint8).reshape(-1, HEAD_BYTES)


def parts_of(head: bytes) -> tuple[int, bytes]:
    """Value and salt of a head."""
    return int.from_bytes(head[:_VALUE], signed=True), head[_VALUE:]


def mask_rows(
    keys: Sequence[DeviceKey],
    leaves: Sequence[bytes],
    values: Sequence[int],
    salts: Sequence[bytes],
    details: Sequence[bytes | None],
) -> list[tuple[int, bytes, bytes | None]]:
    """Values, salts and details as columns have them, sealed or opened as `mask` does it; row by row."""
    if len(keys) <= _FEW:
        return [_mask_row(*row) for row in zip(keys, leaves, values, salts, details, strict=True)]
    heads, masked = mask(keys, leaves, heads_of(values, salts), details)
    return [(*parts_of(head.tobytes()), detail) for head, detail in zip(heads, masked, strict=True)]


def _mask_row(
    key: DeviceKey, leaf: bytes, value: int, salt: bytes, detail: bytes | None
) -> tuple[int, bytes, bytes | None]:
    """The same of one row, straight from the rule."""
    content = value.to_bytes(_VALUE, signed=True) + (salt or _NO_SALT) + _HEAD_PADDING + (detail or b"")
    nonce, blocks = leaf[:NONCE_BYTES], -(-len(content) // _BLOCK)
    stream = key.blocks(b"".join([nonce + number.to_bytes(2) for number in range(blocks)]))[: len(content)]
    masked = (int.from_bytes(content) ^ int.from_bytes(stream)).to_bytes(len(content))
    return *parts_of(masked[:HEAD_BYTES]), masked[_HEAD_BLOCKS * _BLOCK :] if detail else detail


def open_entries(connection: AsyncConnection, rows: Sequence[Any]) -> list[Any]:
    """Rows of a query over `entries` or `boundaries` as they were logged.

    Args:
        rows: with the columns `device`, `leaf_hash`, `sealed_by`, `value`, and maybe `salt` and `detail`.

    Raises:
        StoreError: a row is sealed, and its key is not here.
    """
    opened = list(rows)
    places = [at for at, row in enumerate(rows) if row.sealed_by != CLEAR]
    if not places:
        return opened
    sealed = [rows[at] for at in places]
    names = sealed[0]._fields
    has_salt, has_detail = "salt" in names, "detail" in names
    told = mask_rows(
        held_keys(keys_in(connection), [(row.device, row.sealed_by) for row in sealed]),
        [row.leaf_hash for row in sealed],
        [row.value for row in sealed],
        [row.salt if has_salt else b"" for row in sealed],
        [row.detail if has_detail else None for row in sealed],
    )
    form, changed = _form(names), [(names.index(name), name) for name in _SEALED_COLUMNS if name in names]
    for at, row, (value, salt, detail) in zip(places, sealed, told, strict=True):
        clear = {"value": value, "salt": salt, "detail": detail, "sealed_by": CLEAR}
        columns = list(row)
        for place, name in changed:
            columns[place] = clear[name]
        opened[at] = form(*columns)
    return opened


def open_entry(connection: AsyncConnection, row: Any) -> Any:
    """One row, or None. Raises as `open_entries` does."""
    return None if row is None else open_entries(connection, [row])[0]


def keys_in(connection: AsyncConnection) -> DeviceKeys:
    """The keys that travel with a connection. Raises `StoreError` where none do."""
    keys: DeviceKeys | None = connection.info.get(SEALER)
    if keys is None:
        raise StoreError("readings are sealed in this database; open it with its key store ([identity] keys)")
    return keys


def held_keys(keys: DeviceKeys, wanted: Sequence[tuple[bytes, int]]) -> list[DeviceKey]:
    """The key of each device and tag. Raises `StoreError` naming the first that is not there, and why."""
    found = keys.keys_of(set(wanted))
    for device, tag in wanted:
        if (device, tag) not in found:
            raise StoreError(_missing(keys, device, tag))
    return [found[one] for one in wanted]


def _missing(keys: DeviceKeys, device: bytes, tag: int) -> str:
    if keys.is_destroyed(device, tag):
        return f"device {device.hex()[:12]}…: its key was destroyed on request; nobody reads this entry any more"
    return f"device {device.hex()[:12]}…: data key {tag:08x} is not in the key store; bring back the newest copy of it"


@lru_cache(maxsize=64)
def _form(fields: tuple[str, ...]) -> Callable[..., Any]:
    return namedtuple("OpenedRow", fields)
