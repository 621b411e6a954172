"""The photograph that a household may add to a repair: one each, drawn anew, sealed under the flat's own key.

It lies beside the photographs of visits, named after the order. What its words' row no longer names is swept away.
"""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from sqlalchemy import select

from cloud.errors import StoreError
from cloud.store import Store, tables
from cloud.store.sealing import REPAIR_PHOTOS, seal, unseal
from cloud.visits.redrawn import redrawn

__all__ = ["RepairPhotos", "sweep_repair_photos"]

_SWEPT_AT_ONCE = 500


class RepairPhotos:
    """Takes and finds photographs of repairs."""

    def __init__(self, *, store: Store, folder: Path) -> None:
        """`folder`: of visits' photographs; theirs lie below it."""
        self._store, self._folder = store, folder / "repairs"
        self._eyes = ThreadPoolExecutor(max_workers=1, thread_name_prefix="repair pictures")

    def close(self) -> None:
        self._eyes.shutdown(wait=False, cancel_futures=True)

    def has(self, order: bytes) -> bool:
        """Whether there is one."""
        return self._place(order).exists()

    async def add(self, order: bytes, unit: bytes, octets: bytes) -> bool:
        """Keep a report's photograph; False where it has one. Raises `PictureRefused`."""
        if self.has(order):
            return False
        loop = asyncio.get_running_loop()
        photo = await loop.run_in_executor(self._eyes, redrawn, octets)
        async with self._store.read() as connection:
            (sealed,) = seal(connection, _purpose(order), [(unit, photo)])
        return await asyncio.to_thread(_write_once, self._place(order), sealed)

    async def read(self, order: bytes, unit: bytes) -> bytes | None:
        """A report's photograph, a JPEG; None where there is none, or where its flat's key is gone."""
        try:
            sealed = await asyncio.to_thread(self._place(order).read_bytes)
            async with self._store.read() as connection:
                (photo,) = unseal(connection, _purpose(order), [(unit, sealed)])
        except (OSError, StoreError):
            return None
        return photo

    async def sweep(self) -> None:
        """Remove the photographs of reports that are kept no more."""
        await sweep_repair_photos(self._store, self._folder.parent)

    def _place(self, order: bytes) -> Path:
        return self._folder / order.hex()


async def sweep_repair_photos(store: Store, folder: Path) -> None:
    """The same, for whoever erases a household beside the running cloud."""
    files = await asyncio.to_thread(lambda: sorted((folder / "repairs").glob("*")))
    column = tables.repair_words.c.order_name
    for first in range(0, len(files), _SWEPT_AT_ONCE):
        some = {one.name: one for one in files[first : first + _SWEPT_AT_ONCE] if len(one.name) == 64}
        async with store.read() as connection:
            held = await connection.execute(select(column).where(column.in_([bytes.fromhex(name) for name in some])))
            kept = {name.hex() for name in held.scalars()}
        for name, path in some.items():
            if name not in kept:
                path.unlink(missing_ok=True)


def _purpose(order: bytes) -> str:
    """Sealed for its order alone: moved to another one's place it does not open."""
    return f"{REPAIR_PHOTOS} {order.hex()}"


def _write_once(place: Path, octets: bytes) -> bool:
    """On disk whole, or not at all; never over another."""
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = place.with_name(f".{place.name}.{os.getpid()}.{os.urandom(4).hex()}")
    try:
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(octets)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(fresh, place)
            return True
        return False
    finally:
        fresh.unlink(missing_ok=True)
