"""The drill: a backup is taken, really brought back beside, and every row held against the moment it was taken."""

import asyncio
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path

from cloud.backup.backup import backup_and_moment
from cloud.backup.engines import database_of_its_own
from cloud.backup.restore import restore
from cloud.errors import ArchiveError, BackupError
from cloud.rebuild.compare import Compared, compare_stores
from cloud.segments import Archive
from cloud.settings import CloudSettings
from cloud.store import Store
from contracts.errors import ContractsError
from contracts.segment import decode_frame

__all__ = ["Drilled", "drill"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drilled:
    """What came of it."""

    tables: Sequence[Compared]
    frames: int  # of segments that were brought back, each read and decoded
    seconds: float

    @property
    def is_same(self) -> bool:
        return all(one.is_same for one in self.tables)


async def drill(
    settings: CloudSettings, *, into: str | None, programs: Path | None, say: Callable[[str], None]
) -> Drilled:
    """Back up, restore into a fresh database, compare; the cloud goes on meanwhile, and nothing is left behind.

    Args:
        into: URL of an empty store; None makes one on the same server, or in a file, and drops it.
        programs: the folder of PostgreSQL's own programs, where they are not on PATH.

    Raises:
        BackupError: the backup cannot be taken or brought back.
    """
    started = time.monotonic()
    async with AsyncExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="drill-", dir=settings.data_dir)))
        store = Store(settings.store_url)
        stack.push_async_callback(store.close)
        backup, moment = await stack.enter_async_context(
            backup_and_moment(settings, store, place / "backup", programs=programs)
        )
        say(f"drill: backed up, {backup.bytes_new} bytes in {backup.files} files, schema {backup.revision}")
        fresh = nullcontext(into) if into else database_of_its_own(settings.store_url, place)
        url = await stack.enter_async_context(fresh)
        segments = place / "segments"
        await restore(backup.folder, url=url, segments=segments, programs=programs, say=say)
        restored = Store(url)
        try:
            compared = await compare_stores(moment, restored)
        finally:
            await restored.close()
        frames = await asyncio.to_thread(_read_segments, segments)
    for one in compared:
        mark = "=" if one.is_same else "≠"
        say(f"  {mark} {one.table:<22} {one.rows_present:>10} {one.rows_rebuilt:>10}  {one.digest_rebuilt[:16]}")
        if one.difference:
            say(f"      {one.difference}")
    return Drilled(tables=compared, frames=frames, seconds=time.monotonic() - started)


def _read_segments(folder: Path) -> int:
    archive = Archive(folder)
    frames = 0
    try:
        for origin in archive.origins():
            for encoded in archive.log(origin).frames():
                decode_frame(encoded)
                frames += 1
    except (ArchiveError, ContractsError) as error:
        raise BackupError(f"a segment that came back cannot be read: {error}") from error
    return frames
