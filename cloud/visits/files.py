"""Photographs of visits: taken when a kept list names them, looked at, and kept sealed beside the database.

They never travel to a gateway. A file lies under the name of its visit and its own hash, sealed by its device's key;
the hash, which its crew signed, is checked whenever it is read.
"""

import asyncio
import logging
import os
import shutil
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import delete, func, select, update

from cloud.errors import StoreError
from cloud.store import Store, tables
from cloud.store.readings import CLEAR, DeviceKey, DeviceKeys
from cloud.store.upsert import put
from cloud.visits.bundles import photos_named
from cloud.visits.letters import KEPT_S
from cloud.visits.pictures import Fingerprints, PictureRefused, read_picture
from cloud.visits.quota import PhotoQuota, check_quota
from cloud.visits.room import VisitRefused
from contracts.clock import Clock

__all__ = ["KeptPhoto", "PhotoRoom", "photos_here"]

_log = logging.getLogger("cloud.visits")
_BLOCK = 16
_NONCE_BYTES = 12
_SWEPT_AT_ONCE = 500
_REST_MS = 300_000  # after a photograph that is not the last one: the others are on their way
# For how long photographs outlive a visit that the database does not know: longer than a phone may hand it in again.
_UNKNOWN_KEPT_S = KEPT_S + 10 * 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptPhoto:
    """One photograph, opened."""

    device: bytes
    media_type: str
    octets: bytes


class PhotoRoom:
    """Takes, finds and sweeps photographs."""

    def __init__(self, *, store: Store, folder: Path, clock: Clock, quota: PhotoQuota) -> None:
        self._store, self._folder, self._clock, self._quota = store, folder, clock, quota
        self._taking = asyncio.Lock()
        # One picture at a time of those that come and of those that are compared, and never in the store's threads.
        self._eyes = ThreadPoolExecutor(max_workers=1, thread_name_prefix="pictures")
        self._comparing = ThreadPoolExecutor(max_workers=1, thread_name_prefix="greys")

    def close(self) -> None:
        for pool in (self._eyes, self._comparing):
            pool.shutdown(wait=False, cancel_futures=True)

    async def check_named(self, visit: bytes, name: bytes) -> None:
        """Raises `VisitRefused` where no kept visit's list names this photograph, or its signer brought too many."""
        _, named = await self._named(visit, name)
        if not await self._is_held(visit, name):
            await self._check_quota(visit, named)

    async def take(self, visit: bytes, name: bytes, octets: bytes) -> None:
        """Keep one photograph that the list of a kept visit names; the same again changes nothing.

        Raises:
            VisitRefused: no such visit, a file that its list does not name, other bytes, no photograph, or one too many
                of its signer today.
        """
        row, named = await self._named(visit, name)
        if len(octets) != named["bytes"] or sha256(octets).digest() != name:
            raise VisitRefused(
                422, "wrong_hash", "these are not the bytes whose hash was signed; send the photo itself"
            )
        async with self._taking:  # one after the other: the quota counts what is noted
            if not await self._is_held(visit, name):
                await self._check_quota(visit, named)
                await self._keep(row, named, name, octets)

    async def _keep(self, row: Any, named: Mapping[str, Any], name: bytes, octets: bytes) -> None:
        loop, visit = asyncio.get_running_loop(), row.digest
        try:
            seen = await loop.run_in_executor(self._eyes, read_picture, octets, named["type"])
        except PictureRefused as refusal:
            raise VisitRefused(422, "bad_picture", str(refusal)) from refusal
        key = await self._key_for(row.device)
        sealed = octets if key is None else _masked(key, visit, name, octets)
        await asyncio.to_thread(_write, self._place(visit, name), sealed)
        tag = CLEAR if key is None else key.tag
        values = {"sha256": name, "bytes_length": len(octets), "media_type": named["type"], "tag": tag}
        await self._note(row, values, seen)

    async def _check_quota(self, visit: bytes, named: Mapping[str, Any]) -> None:
        async with self._store.read() as connection:
            await check_quota(connection, visit, self._quota, more=named["bytes"], now_ms=self._clock.now_ms())

    async def read(self, visit: bytes, name: bytes) -> KeptPhoto | None:
        """A kept photograph; None where there is none.

        Raises:
            StoreError: its file is gone or altered, or its key is missing.
        """
        column = tables.visit_files.c
        query = select(tables.visit_files, tables.visits.c.device).join(
            tables.visits, tables.visits.c.digest == column.digest
        )
        async with self._store.read() as connection:
            found = await connection.execute(query.where(column.digest == visit, column.sha256 == name))
            row = found.one_or_none()
        if row is None:
            return None
        try:
            sealed = await asyncio.to_thread(self._place(visit, name).read_bytes)
        except OSError as error:
            raise StoreError(
                f"photo {name.hex()[:16]}… of a visit is gone: {error}; bring it back from a copy"
            ) from error
        octets = sealed if row.tag == CLEAR else await self._opened(row.device, row.tag, visit, name, sealed)
        if sha256(octets).digest() != name:
            raise StoreError(f"photo {name.hex()[:16]}… of a visit was altered; bring it back from a copy")
        return KeptPhoto(device=row.device, media_type=row.media_type, octets=octets)

    async def grey(self, visit: bytes, name: bytes) -> bytes:
        """A kept photograph, small and in grey, to compare it with others; empty where it cannot be opened."""
        try:
            photo = await self.read(visit, name)
            if photo is None:
                return b""
            loop = asyncio.get_running_loop()
            return (await loop.run_in_executor(self._comparing, read_picture, photo.octets, photo.media_type)).grey
        except (StoreError, PictureRefused) as error:
            _log.warning("cloud: a photo is not compared: %s", error)
            return b""

    async def sweep(self) -> bool:
        """Remove the photographs of visits that were erased, and of those that this database does not know once nobody
        can hand them in any more: an older one that was put back knows fewer visits, and phones send them again.
        """
        more = await self._sweep_erased()
        folders = await asyncio.to_thread(self._folders)
        unknown = 0
        for first in range(0, len(folders), _SWEPT_AT_ONCE):
            some = {bytes.fromhex(one.name): one for one in folders[first : first + _SWEPT_AT_ONCE]}
            kept = await self._kept(some)
            gone = [folder for digest, folder in some.items() if digest not in kept]
            unknown += await asyncio.to_thread(_remove_old, gone, self._clock.now_ms() // 1000 - _UNKNOWN_KEPT_S)
        if unknown:
            says = "this database does not know; they stay for 70 days, and phones send these visits again"
            _log.warning("cloud: photographs of %d visits lie here that %s", unknown, says)
        return more

    async def _sweep_erased(self) -> bool:
        """Take away what was erased, unless it was handed in anew; whether there is more."""
        column = tables.erased_visits.c
        async with self._store.read() as connection:
            query = select(column.digest).order_by(column.erased_at_ms).limit(_SWEPT_AT_ONCE)
            erased = (await connection.execute(query)).scalars().all()
        if not erased:
            return False
        kept = await self._kept(erased)
        for digest in erased:
            if digest not in kept:
                await asyncio.to_thread(_remove, self._place_of(digest))
        async with self._store.write() as connection:
            await connection.execute(delete(tables.erased_visits).where(column.digest.in_(erased)))
        return len(erased) >= _SWEPT_AT_ONCE

    async def _kept(self, digests: Collection[bytes]) -> set[bytes]:
        column = tables.visits.c.digest
        async with self._store.read() as connection:
            return set((await connection.execute(select(column).where(column.in_(digests)))).scalars())

    def _folders(self) -> list[Path]:
        return [one for one in self._folder.glob("??/*") if len(one.name) == 64]

    async def _named(self, visit: bytes, name: bytes) -> tuple[Any, dict[str, Any]]:
        """The visit's row, and what its list says of a photograph."""
        query = select(tables.visits).where(tables.visits.c.digest == visit)
        async with self._store.read() as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            raise VisitRefused(404, "unknown_visit", "no such visit was handed in here; POST it to /v1/visits first")
        named = next((one for one in photos_named(row) if one["sha256"] == name.hex()), None)
        if named is None:
            raise VisitRefused(404, "unknown_file", "the visit's list names no photo of this hash; send those it names")
        return row, named

    async def _is_held(self, visit: bytes, name: bytes) -> bool:
        column = tables.visit_files.c
        query = select(column.digest).where(column.digest == visit, column.sha256 == name)
        async with self._store.read() as connection:
            is_noted = (await connection.execute(query)).scalar_one_or_none() is not None
        return is_noted and await asyncio.to_thread(self._place(visit, name).exists)

    async def _note(self, row: Any, values: Mapping[str, Any], seen: Fingerprints) -> None:
        """That a photograph is here. They are compared once the last is, or when no more have come for a while."""
        now_ms, digest = self._clock.now_ms(), row.digest
        found = {"digest": digest, "dhash": seen.dhash.to_bytes(8), "shapes": seen.shapes(), "stored_at_ms": now_ms}
        async with self._store.write() as connection:
            await put(connection, tables.visit_files, {**values, **found})
            here = (await photos_here(connection, [digest]))[digest]
            rest_ms = 0 if here >= len(photos_named(row)) else _REST_MS
            change = update(tables.visits).where(tables.visits.c.digest == digest)
            await connection.execute(change.values(examined=0, look_at_ms=now_ms + rest_ms))

    async def _key_for(self, device: bytes) -> DeviceKey | None:
        keys: Any = self._store.sealer
        if keys is None:
            return None
        found = await asyncio.to_thread(keys.present_keys, [device])
        key: DeviceKey = found[device]
        return key

    async def _opened(self, device: bytes, tag: int, visit: bytes, name: bytes, sealed: bytes) -> bytes:
        keys: DeviceKeys | None = self._store.sealer  # type: ignore[assignment]  # the vault is both
        found = {} if keys is None else await asyncio.to_thread(keys.keys_of, [(device, tag)])
        if (device, tag) not in found:
            raise StoreError(f"no data key of device {device.hex()[:8]}… opens this photo; bring back the key store")
        return _masked(found[device, tag], visit, name, sealed)

    def _place(self, visit: bytes, name: bytes) -> Path:
        return self._place_of(visit) / name.hex()

    def _place_of(self, visit: bytes) -> Path:
        return self._folder / visit.hex()[:2] / visit.hex()


async def photos_here(connection: Any, visits: Collection[bytes]) -> Mapping[bytes, int]:
    """How many photographs of each visit are kept; none of those that are missing."""
    column = tables.visit_files.c
    query = select(column.digest, func.count()).where(column.digest.in_(visits)).group_by(column.digest)
    return dict((await connection.execute(query)).all()) if visits else {}


def _masked(key: DeviceKey, visit: bytes, name: bytes, octets: bytes) -> bytes:
    """XORed with the device's stream, which begins anew for each photograph of each visit: seals and opens."""
    count = -(-len(octets) // _BLOCK)
    nonce = sha256(b"minglou/photo/1\0" + visit + name).digest()[:_NONCE_BYTES]
    counters = np.empty((count, _BLOCK), np.uint8)
    counters[:, :_NONCE_BYTES] = np.frombuffer(nonce, np.uint8)
    counters[:, _NONCE_BYTES:] = np.arange(count, dtype=">u4").view(np.uint8).reshape(count, 4)
    stream = np.frombuffer(key.blocks(counters.tobytes()), np.uint8)[: len(octets)]
    return (np.frombuffer(octets, np.uint8) ^ stream).tobytes()


def _write(place: Path, octets: bytes) -> None:
    """On disk whole, or not at all."""
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = place.with_name(f".{place.name}.{os.getpid()}.{os.urandom(4).hex()}")
    try:
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(octets)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(place)
    finally:
        fresh.unlink(missing_ok=True)
    folder = os.open(place.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def _remove_old(folders: Collection[Path], before_s: int) -> int:
    """Remove those that nothing was added to since; how many stay."""
    old = [folder for folder in folders if folder.exists() and folder.stat().st_mtime < before_s]
    for folder in old:
        _remove(folder)
    return len(folders) - len(old)
