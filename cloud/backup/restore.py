"""Bring a backup back: into an empty database and an empty folder of segments, and only if every byte is as it was."""

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cloud.backup.backup import read_list
from cloud.backup.engines import dump_name, load
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
        BackupError: the backup is not whole, of the other kind of database, or something stands there already.
    """
    document = await asyncio.to_thread(read_list, folder)
    path = folder / dump_name(url)
    if path.name not in document["files"]:
        kind = "SQLite" if path.suffix == ".dump" else "PostgreSQL"
        raise BackupError(f"{folder} is a backup of a {kind} store; name one of the same kind in [store] url")
    say(f"restore: {len(document['files'])} files are as they were when they were backed up, {document['taken_at']}")
    await asyncio.to_thread(_bring_segments_back, folder / "segments", segments)
    await load(path, url, programs)
    store = Store(url)
    try:
        await store.migrate()
    finally:
        await store.close()
    say(f"restore: the store holds {document['super_log_size']} checkpoints of the super-log")
    return document


def _bring_segments_back(source: Path, target: Path) -> None:
    if target.exists() and any(target.iterdir()):
        raise BackupError(f"{target} holds segments already; move it away first, and keep it until all is well")
    target.mkdir(parents=True, exist_ok=True)
    if source.exists():
        shutil.copytree(source, target, dirs_exist_ok=True)
