"""Bring a backup back: into an empty database and an empty folder of segments, and only if every byte is as it was."""

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy.exc import DBAPIError

from cloud.backup.backup import read_list
from cloud.backup.engines import check_loadable, clear, dump_name, load, to_the_end
from cloud.errors import BackupError
from cloud.store import Store

__all__ = ["restore"]


async def restore(
    folder: Path, *, url: str, segments: Path, programs: Path | None, say: Callable[[str], None]
) -> dict[str, Any]:
    """Restore a backup; what it says of itself.

    Args:
        url: the empty store.
        segments: where its segments go; must not hold any yet.
        programs: the folder of PostgreSQL's own programs, where they are not on PATH.

    Raises:
        BackupError: the backup is not whole, of the other kind of database, or something stands there already; or it
            could not be brought back, and then nothing of it is left.
    """
    document = await asyncio.to_thread(read_list, folder)
    path = folder / dump_name(url)
    if path.name not in document["files"]:
        kind = "SQLite" if path.suffix == ".dump" else "PostgreSQL"
        raise BackupError(f"{folder} is a backup of a {kind} store; name one of the same kind in [store] url")
    say(f"restore: {len(document['files'])} files are as they were when they were backed up, {document['taken_at']}")
    await asyncio.to_thread(_check_folder, segments)
    await check_loadable(url, programs)
    partial = segments.with_name(segments.name + ".partial")
    try:
        await to_the_end(lambda _unwanted: _copy_segments(folder / "segments", partial))
        await check_loadable(url, programs)  # copying takes its time
        await _fill(path, url, programs, then=lambda: _give_name(partial, segments))
    except (OSError, DBAPIError) as error:
        says = f"{folder} was not restored ({error}), and nothing of it is left; remove the cause and restore again"
        raise BackupError(says) from error
    finally:
        await asyncio.to_thread(shutil.rmtree, partial, ignore_errors=True)
    say(f"restore: the store holds {document['super_log_size']} checkpoints of the super-log")
    return document


async def _fill(path: Path, url: str, programs: Path | None, *, then: Callable[[], None]) -> None:
    """All of the store, or nothing of it: once it is loaded what stands there is ours to take away, and not before."""
    await load(path, url, programs)
    try:
        store = Store(url)
        try:
            await store.migrate()
        finally:
            await store.close()
        then()  # the last thing, and at once: nobody is stopped between this and the end
    except BaseException:
        await clear(url)
        raise


def _check_folder(segments: Path) -> None:
    if segments.exists() and any(segments.iterdir()):
        raise BackupError(f"{segments} holds segments already; move it away first, and keep it until all is well")


def _copy_segments(source: Path, partial: Path) -> None:
    shutil.rmtree(partial, ignore_errors=True)  # of a restore that was killed
    partial.mkdir(parents=True)
    if source.exists():
        shutil.copytree(source, partial, dirs_exist_ok=True)


def _give_name(partial: Path, segments: Path) -> None:
    if segments.exists():
        segments.rmdir()  # empty, as was asked before
    partial.rename(segments)
