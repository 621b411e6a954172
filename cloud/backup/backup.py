"""What a backup is: a folder with the store's dump, the segments and a list of both with their digests.

Keys are not in it. They belong into another place, so that who finds a backup cannot sign, and what is encrypted under
keys that are held apart stays closed.
"""

import asyncio
import hashlib
import json
import os
import re
import shutil
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select

from cloud.backup.engines import Snapshot, dump, dump_name, snapshot_of
from cloud.errors import BackupError
from cloud.settings import CloudSettings
from cloud.store import Store, tables

__all__ = ["FORMAT", "LIST", "Backup", "backup_and_moment", "read_list", "take_backup"]

_Listed = dict[str, dict[str, Any]]
FORMAT = "minglou-backup/1"
LIST = "backup.json"
_STAMP = re.compile(r"\d{8}T\d{6}Z")
_CHUNK_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """One backup on disk."""

    folder: Path
    revision: str  # of the schema
    super_log_size: int  # checkpoints that the super-log had
    bytes_new: int  # what this backup takes beside the one before
    files: int


async def take_backup(settings: CloudSettings, into: Path, *, programs: Path | None) -> Backup:
    """A new folder, named by the moment, below `into`; the cloud goes on meanwhile.

    Args:
        programs: the folder of PostgreSQL's own programs, where they are not on PATH.

    Raises:
        BackupError: the store cannot be dumped, or there is no room.
    """
    store = Store(settings.store_url)
    try:
        folder = into / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        async with backup_and_moment(settings, store, folder, programs=programs) as (backup, _):
            return backup
    finally:
        await store.close()


@asynccontextmanager
async def backup_and_moment(
    settings: CloudSettings, store: Store, folder: Path, *, programs: Path | None
) -> AsyncIterator[tuple[Backup, Snapshot]]:
    """A backup, and the very moment of the store that is in it, for whoever compares."""
    with _disk_errors(folder):
        partial = await asyncio.to_thread(_begin, folder)
        # First: the store must never be behind the segments, whose writer makes up for what they lack.
        unchanged = await asyncio.to_thread(_copy_segments, settings.segments.folder, partial / "segments", folder)
    async with snapshot_of(store) as snapshot:
        with _disk_errors(folder):
            await dump(snapshot, partial / dump_name(store.url), programs)
            document: dict[str, Any] = {
                "format": FORMAT,
                "taken_at": datetime.now(UTC).isoformat(timespec="seconds"),
                "revision": await snapshot.revision(),
                "super_log_size": await _super_log_size(snapshot),
            }
            listed = await asyncio.to_thread(_finish, partial, folder, document, unchanged)
        yield (
            Backup(
                folder=folder,
                revision=document["revision"],
                super_log_size=document["super_log_size"],
                bytes_new=sum(one["bytes"] for name, one in listed.items() if name not in unchanged),
                files=len(listed),
            ),
            snapshot,
        )


def read_list(folder: Path) -> dict[str, Any]:
    """What a backup says of itself, once every file has been held against its digest.

    Raises:
        BackupError: it is no backup, or a file is missing, changed or not in the list.
    """
    document, found = _parse_list(folder), _listed(folder, {})
    for name in sorted(found.keys() | document["files"].keys()):
        if found.get(name) != document["files"].get(name):
            state = "is missing" if name not in found else "is not what was backed up"
            raise BackupError(f"{folder / name}: {state}; take an older backup, or another copy of this one")
    return document


def _parse_list(folder: Path) -> dict[str, Any]:
    """The list as it stands. Raises `BackupError`."""
    try:
        document: dict[str, Any] = json.loads((folder / LIST).read_text())
        if document["format"] == FORMAT:
            document["files"] = {
                name: {"bytes": one["bytes"], "sha256": one["sha256"]} for name, one in document["files"].items()
            }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        says = f"{folder}: is no whole backup ({error!r}); name a folder that holds {LIST} as it was written"
        raise BackupError(says) from error
    if document["format"] != FORMAT:
        raise BackupError(f"{folder}: has format {document['format']!r}; this program reads {FORMAT}")
    return document


def _begin(folder: Path) -> Path:
    if folder.exists():
        raise BackupError(f"{folder} exists already; wait a second, or name another place")
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True, mode=0o700)
    return partial


def _finish(partial: Path, folder: Path, document: dict[str, Any], unchanged: _Listed) -> _Listed:
    """Write the list, see to it that everything is on disk, and only then give the backup its name."""
    listed = _listed(partial, unchanged)
    (partial / LIST).write_text(json.dumps({**document, "files": listed}, indent=1) + "\n")
    for path in [*_files(partial), *(path for path in partial.rglob("*") if path.is_dir()), partial]:
        _sync(path)
    partial.rename(folder)
    _sync(folder.parent)
    return listed


@contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BackupError(f"{folder}: {error.strerror or error}; make room, or name another place") from error


def _copy_segments(source: Path, target: Path, folder: Path) -> _Listed:
    """Copy them; what the backup before holds unchanged is the same file on disk, and is what this returns.

    Unchanged is what has the digest that the backup before lists, here and there: a file that a disk has damaged since
    is not handed on.
    """
    target.mkdir()
    previous = _newest_before(folder)
    listed, unchanged = _listed_in(previous), {}
    for path in _files(source):
        name = path.relative_to(source)
        if name.name == "lock":
            continue
        to = target / name
        to.parent.mkdir(parents=True, exist_ok=True)
        known = f"segments/{name.as_posix()}"
        if previous is not None and _is_same(previous / known, path, listed.get(known)):
            os.link(previous / known, to)
            unchanged[known] = listed[known]
        else:
            shutil.copy2(path, to)
    return unchanged


def _listed_in(previous: Path | None) -> _Listed:
    """What a backup lists; nothing where its list is damaged: then all is copied anew."""
    try:
        files: _Listed = _parse_list(previous)["files"] if previous else {}
    except BackupError:
        return {}
    return files


def _is_same(before: Path, path: Path, listed: Mapping[str, Any] | None) -> bool:
    """Whether a file is what the backup before lists, and that backup's file still is too."""
    if listed is None or not before.exists() or path.stat().st_size != listed["bytes"]:
        return False
    return bool(_digest(path) == listed["sha256"] == _digest(before))


def _newest_before(folder: Path) -> Path | None:
    found = [path for path in folder.parent.iterdir() if _STAMP.fullmatch(path.name) and (path / LIST).exists()]
    return max(found, default=None)


def _files(folder: Path) -> Iterator[Path]:
    yield from sorted(path for path in folder.rglob("*") if path.is_file())


def _listed(folder: Path, known: _Listed) -> _Listed:
    """Size and digest of every file, but for those that are known already."""
    found: _Listed = {}
    for path in _files(folder):
        name = path.relative_to(folder).as_posix()
        if path.name != LIST:
            found[name] = known.get(name) or {"bytes": path.stat().st_size, "sha256": _digest(path)}
    return found


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


async def _super_log_size(snapshot: Snapshot) -> int:
    query = select(tables.super_head.c.size)
    return int((await snapshot.connection.execute(query)).scalar_one_or_none() or 0)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
