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
    "CLEAR", "HEAD_BYTES", "NONCE_BYTES", "DeviceKey", "DeviceKeys", "heads_of", "is_private", "mask", "mask_rows",
    "open_entries", "open_entry", "open_value_columns", "parts_of", "sealing_keys",
]  # fmt: skip

CLEAR = 0
"""The key that seals nothing."""

HEAD_BYTES = 24
"""Value and salt, which stand before a detail in what is sealed."""

NONCE_BYTES = 14
"""How much of a leaf hash begins a counter block; two bytes number the block."""

_BLOCK, _VALUE = 16, 8
_PADDING = [b"", *(bytes(_BLOCK - over) for over in range(1, _BLOCK))]  # by how far the last block is filled
_NO_SALT = bytes(16)
_LIFT = "lift."
_ONE = 1
_ROWS_AT_ONCE = 8_192

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


@lru_cache(maxsize=4_096)
def is_private(kind: int, quantity: str) -> bool:
    """Whether an entry's content is sealed: readings, doors, what sensors tell; not lifts, which are everybody's."""
    if quantity.startswith(_LIFT) or quantity == VISIT_VERDICT:
        return False
    return kind in (Kind.READING, Kind.STATUS, Kind.ACCESS)


async def sealing_keys(connection: AsyncConnection, devices: Collection[bytes]) -> Mapping[bytes, DeviceKey]:
    """The keys that seal what these devices say; none where the store has no keys, or does not seal readings yet."""
    keys: Any = connection.info.get(SEALER)
    if keys is None or not devices or not await _seals(connection, keys):
        return {}
    found: Mapping[bytes, DeviceKey] = keys.present_keys(devices)
    return found


async def _seals(connection: AsyncConnection, keys: Any) -> bool:
    """A store that held readings before there were keys seals from when its operator says that all processes know how
    to read them; once it does, it does so for good.
    """
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
        heads: each entry's value and salt, `HEAD_BYTES`; blocks 0 and 1 of the stream.
        details: from block 2 on; None, or nothing, where an entry has none.

    Returns:
        Heads and details in the same order.
    """
    if not keys:
        return heads, list(details)
    nonces = np.frombuffer(b"".join(leaves), np.uint8).reshape(len(leaves), -1)[:, :NONCE_BYTES]
    same = np.fromiter(map(id, keys), np.int64, len(keys))
    masked = heads ^ _uniform_stream(keys, same, nonces)[:, :HEAD_BYTES]
    has_one = [at for at, detail in enumerate(details) if detail]
    if not has_one:
        return masked, list(details)
    return masked, _mask_details(keys, same, nonces, details, has_one)


def _uniform_stream(keys: Sequence[DeviceKey], same: Integers, nonces: Octets) -> Octets:
    """Blocks 0 and 1 of every entry's stream."""
    order = np.argsort(same, kind="stable")
    counters = np.zeros((len(keys), 2, _BLOCK), np.uint8)
    counters[:, :, :NONCE_BYTES] = nonces[order][:, None]
    counters[:, 1, -1] = 1
    starts = np.arange(len(keys)) * 2
    stream = np.empty((len(keys), 2 * _BLOCK), np.uint8)
    stream[order] = _blocks(keys, order, same[order], starts, counters.reshape(-1, _BLOCK)).reshape(-1, 2 * _BLOCK)
    return stream


def _mask_details(
    keys: Sequence[DeviceKey], same: Integers, nonces: Octets, details: Sequence[bytes | None], places: Sequence[int]
) -> list[bytes | None]:
    order = np.array(places)[np.argsort(same[places], kind="stable")]
    some = [details[at] or b"" for at in order.tolist()]
    lengths = np.fromiter(map(len, some), np.int64, len(some))
    widths = -(-lengths // _BLOCK)
    ends = np.cumsum(widths)
    starts = ends - widths
    counters = np.zeros((int(ends[-1]), _BLOCK), np.uint8)
    counters[:, :NONCE_BYTES] = np.repeat(nonces[order], widths, axis=0)
    number = np.arange(2, len(counters) + 2) - np.repeat(starts, widths)
    counters[:, NONCE_BYTES:] = number.astype(">u2").view(np.uint8).reshape(-1, 2)
    stream = _blocks(keys, order, same[order], starts, counters)
    padded = [detail + _PADDING[len(detail) % _BLOCK] for detail in some]
    masked = (np.frombuffer(b"".join(padded), np.uint8) ^ stream.reshape(-1)).tobytes()
    found = list(details)
    firsts = (starts * _BLOCK).tolist()
    for at, first, length in zip(order.tolist(), firsts, lengths.tolist(), strict=True):
        found[at] = masked[first : first + length]
    return found


def _blocks(keys: Sequence[DeviceKey], order: Integers, same: Integers, starts: Integers, counters: Octets) -> Octets:
    """The streams of all counters, of which each entry's begin at `starts`: one call for each key."""
    firsts = np.flatnonzero(np.concatenate(([True], same[1:] != same[:-1])))
    bounds = [*(starts[firsts] * _BLOCK).tolist(), counters.size]
    octets = counters.tobytes()
    pieces = [
        keys[at].blocks(octets[start:end])
        for at, start, end in zip(order[firsts].tolist(), bounds, bounds[1:], strict=False)
    ]
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
    heads, masked = mask(keys, leaves, heads_of(values, salts), details)
    return [(*parts_of(head.tobytes()), detail) for head, detail in zip(heads, masked, strict=True)]


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
    has_salt, has_detail = "salt" in sealed[0]._fields, "detail" in sealed[0]._fields
    told = mask_rows(
        _keys_of(connection, [(row.device, row.sealed_by) for row in sealed]),
        [row.leaf_hash for row in sealed],
        [row.value for row in sealed],
        [row.salt if has_salt else b"" for row in sealed],
        [row.detail if has_detail else None for row in sealed],
    )
    for at, row, (value, salt, detail) in zip(places, sealed, told, strict=True):
        changes = {"value": value, "salt": salt, "detail": detail, "sealed_by": CLEAR}
        opened[at] = _form(row._fields)(*[changes.get(name, old) for name, old in zip(row._fields, row, strict=True)])
    return opened


def open_entry(connection: AsyncConnection, row: Any) -> Any:
    """One row, or None. Raises as `open_entries` does."""
    return None if row is None else open_entries(connection, [row])[0]


def _keys_of(connection: AsyncConnection, wanted: Sequence[tuple[bytes, int]]) -> list[DeviceKey]:
    keys: Any = connection.info.get(SEALER)
    if keys is None:
        raise StoreError("readings are sealed in this database; open it with its key store ([identity] keys)")
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


async def open_value_columns(
    connection: AsyncConnection, devices: Octets, leaves: Octets, sealed_by: Integers, values: Integers
) -> Integers:
    """Values of very many rows, as columns. Raises as `open_entries` does.

    Args:
        devices: each row's device, 32 bytes.
        leaves: each row's leaf hash, as far as it goes into the stream: `NONCE_BYTES` or more.
        sealed_by: each row's key.
        values: as they stand.
    """
    opened = values.copy()
    sealed = np.flatnonzero(sealed_by != CLEAR)
    order = sealed[np.lexsort((sealed_by[sealed], *devices[sealed, 7::-1].T))]
    for at in range(0, len(order), _ROWS_AT_ONCE):
        some = order[at : at + _ROWS_AT_ONCE]
        opened[some] ^= _value_stream(connection, devices[some], leaves[some], sealed_by[some])
        await asyncio.sleep(0)
    return opened


def _value_stream(connection: AsyncConnection, devices: Octets, leaves: Octets, sealed_by: Integers) -> Integers:
    """What the values of these rows were XORed with; a key's rows stand together."""
    is_other = (devices[1:] != devices[:-1]).any(axis=1) | (sealed_by[1:] != sealed_by[:-1])
    firsts = np.concatenate(([0], np.flatnonzero(is_other) + 1))
    named = [(devices[first].tobytes(), int(sealed_by[first])) for first in firsts.tolist()]
    counters = np.zeros((len(devices), _BLOCK), np.uint8)
    counters[:, :NONCE_BYTES] = leaves[:, :NONCE_BYTES]
    octets, bounds = counters.tobytes(), [*(firsts * _BLOCK).tolist(), len(devices) * _BLOCK]
    keys = _keys_of(connection, named)
    stream = b"".join(
        [key.blocks(octets[start:end]) for key, start, end in zip(keys, bounds, bounds[1:], strict=False)]
    )
    return np.frombuffer(stream, ">i8")[::2].astype(np.int64)
