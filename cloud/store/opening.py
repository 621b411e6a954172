"""Values of very many sealed readings, opened as columns.

Making a device's cipher costs more than opening all that is asked of it, and holds the interpreter meanwhile. So where
there is very much, several processes do it beside this one, each with a hand of its own on the key store.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.beside import HANDS, processes_beside
from cloud.store.readings import CLEAR, NONCE_BYTES, DeviceKeys, Integers, Octets, held_keys, keys_in
from cloud.store.sealing import SEALER

__all__ = ["OpenValues", "value_opener"]

_BLOCK = 16
_ROWS_AT_ONCE = 32_768
_MANY = 20 * _ROWS_AT_ONCE
"""Rows from which on it is worth to begin processes, which takes one to two seconds."""

OpenValues = Callable[[Octets, NDArray[Any], Octets, NDArray[Any], Integers], Awaitable[Integers]]
_Stream = Callable[[Octets, Integers, Integers, Octets], "asyncio.Future[Integers]"]


@asynccontextmanager
async def value_opener(connection: AsyncConnection, rows: int) -> AsyncIterator[OpenValues]:
    """What opens the values of rows: `devices`, each row's `place` among them, `leaves`, `sealed_by`, `values`.

    Each device's hash stands once, 32 bytes; of a leaf hash what goes into the stream is enough, `NONCE_BYTES`; values
    as they stand. It raises as `open_entries` does. Where very many rows are to come, processes begin at once, so that
    they are there when the rows are.

    Args:
        rows: how many will be opened, about.
    """
    keys: DeviceKeys | None = connection.info.get(SEALER)
    async with _streams(keys if rows >= _MANY else None) as beside:

        async def opened(
            devices: Octets, place: NDArray[Any], leaves: Octets, sealed_by: NDArray[Any], values: Integers
        ) -> Integers:
            clear = values.copy()
            sealed = np.flatnonzero(sealed_by != CLEAR)
            if len(sealed):
                stream = beside or _alone(keys_in(connection))
                await _open_sealed(stream, clear, sealed, devices, place, leaves, sealed_by)
            return clear

        yield opened


async def _open_sealed(
    stream: _Stream,
    values: Integers,
    sealed: Integers,
    devices: Octets,
    place: NDArray[Any],
    leaves: Octets,
    sealed_by: NDArray[Any],
) -> None:
    """Open some rows' values in place, a key's rows together and keys in the order in which their store has them."""
    rank = np.empty(len(devices), np.int64)
    rank[np.argsort(np.ascontiguousarray(devices[:, :8]).view(">u8").reshape(-1))] = np.arange(len(devices))
    names = (rank[place[sealed]] << 32) | sealed_by[sealed]
    order = np.argsort(names)
    names, order = names[order], sealed[order]
    ahead: deque[tuple[Integers, asyncio.Future[Integers]]] = deque()
    for at in range(0, len(order), _ROWS_AT_ONCE):
        rows, named = order[at : at + _ROWS_AT_ONCE], names[at : at + _ROWS_AT_ONCE]
        firsts = np.flatnonzero(np.diff(named, prepend=-1))
        owners = devices[place[rows[firsts]]]
        ahead.append((rows, stream(owners, sealed_by[rows[firsts]], firsts, leaves[rows, :NONCE_BYTES])))
        if len(ahead) > 2 * HANDS:
            done, told = ahead.popleft()
            values[done] ^= await told
    for done, told in ahead:
        values[done] ^= await told


def _alone(keys: DeviceKeys) -> _Stream:
    loop = asyncio.get_running_loop()
    return lambda *words: loop.run_in_executor(None, partial(_value_stream, keys, *words))


@asynccontextmanager
async def _streams(keys: DeviceKeys | None) -> AsyncIterator[_Stream | None]:
    """Processes beside this one that open what these keys seal; None where there are none."""
    if keys is None:
        yield None
        return
    loop = asyncio.get_running_loop()
    async with processes_beside(partial(_begin, keys.elsewhere())) as pool:
        yield None if pool is None else lambda *words: loop.run_in_executor(pool, partial(_stream_beside, *words))


_keys_beside: list[DeviceKeys] = []  # of a process that only opens


def _begin(elsewhere: Callable[[], DeviceKeys]) -> None:
    _keys_beside[:] = [elsewhere()]


def _stream_beside(owners: Octets, tags: Integers, firsts: Integers, leaves: Octets) -> Integers:
    return _value_stream(_keys_beside[0], owners, tags, firsts, leaves)


def _value_stream(keys: DeviceKeys, owners: Octets, tags: Integers, firsts: Integers, leaves: Octets) -> Integers:
    """What values were XORed with: rows by their leaves, a key's beginning at one of `firsts`."""
    named = list(zip(map(bytes, owners), tags.tolist(), strict=True))
    counters = np.zeros((len(leaves), _BLOCK), np.uint8)
    counters[:, :NONCE_BYTES] = leaves
    octets, bounds = counters.tobytes(), [*(firsts * _BLOCK).tolist(), len(leaves) * _BLOCK]
    opening = zip(held_keys(keys, named), bounds, bounds[1:], strict=False)
    stream = b"".join([key.blocks(octets[start:end]) for key, start, end in opening])
    return np.frombuffer(stream, ">i8")[::2].astype(np.int64)
