"""The whole rebuild: every step in order, each resumable, and the proof at the end."""

import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from cloud.directory import DirectoryFile
from cloud.errors import ArchiveError, RebuildError
from cloud.identity.audit_tree import catch_up
from cloud.mail import Bell
from cloud.rebuild.compare import Compared, compare_stores
from cloud.rebuild.entries import Progress, rebuild_logs
from cloud.rebuild.primary import carry_over, restore_audit_heads, restore_notes
from cloud.rebuild.super_log import rebuild_super_log
from cloud.retention.returned import erase_returned
from cloud.sealed_store import open_store
from cloud.segments import Archive
from cloud.segments.notes import AUDIT_HEADS, SUPER_NOTES, NotesFile
from cloud.segments.writer import SegmentWriter
from cloud.settings import CloudSettings
from cloud.store import Store, sqlite_url, tables
from cloud.super_log import SuperLog, open_super_key

if TYPE_CHECKING:
    from cloud.chain.connection import ChainConnection

__all__ = ["Rebuilt", "rebuild", "run_rebuild"]

Say = Callable[[str], None]
_SAY_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """What came of it."""

    url: str
    entries: int
    seconds: float
    tables: Sequence[Compared]  # none where there was no present store to compare with

    @property
    def is_same(self) -> bool:
        return all(one.is_same for one in self.tables)


async def rebuild(settings: CloudSettings, *, into: str | None, say: Say) -> Rebuilt:
    """Fill a fresh store from segments and chain; compare it with the present one, or bring a lost one back.

    Args:
        into: URL of the fresh store. None: beside the present one, or in the place of a lost one.

    Raises:
        RebuildError: the segments or the chain do not hold together.
        CloudError: a file, the disk, the chain's node.
    """
    async with AsyncExitStack() as stack:
        present = await _present(settings, stack)
        url = into or (_beside(settings) if present is not None else settings.store_url)
        if present is not None and url == settings.store_url:
            raise RebuildError(f"{url} holds the present store; name a fresh one with --into")
        archive = Archive(settings.segments.folder, segment_bytes=settings.segments.segment_bytes)
        if present is not None:
            await erase_returned(present, archive, chain_id=settings.chain.chain_id if settings.chain else None)
            await _catch_up(settings, present, archive, say)
        fresh = open_store(settings, url)
        stack.push_async_callback(fresh.close)
        await fresh.migrate()
        return await _fill(settings, present, fresh, archive, say, stack)


async def _fill(
    settings: CloudSettings, present: Store | None, fresh: Store, archive: Archive, say: Say, stack: AsyncExitStack
) -> Rebuilt:
    started = time.monotonic()
    await _set_index(fresh, is_there=False)  # sorted in at once, at the end
    if present is not None:
        carried = await carry_over(present, fresh)
        await catch_up(fresh)
        say(f"rebuild: {sum(carried.values())} rows of {len(carried)} primary tables carried over")
    else:
        notes = await restore_notes(fresh, NotesFile(archive.folder / SUPER_NOTES))
        await restore_audit_heads(fresh, NotesFile(archive.folder / AUDIT_HEADS))
        say(f"rebuild: no present store; {notes} notes of the super-log restored, other primary tables begin empty")
    chain = await _follow(settings, fresh, say, stack)
    entries = await rebuild_logs(
        fresh,
        archive,
        present={} if present is None else await _log_rows(present),
        is_known_key=lambda origin, public: chain is None or chain.view.key_of(origin, public) is not None,
        on_progress=_Teller(say),
    )
    say(f"rebuild: {entries} entries; super-log of {await rebuild_super_log(fresh)} checkpoints fits every signed root")
    await _set_index(fresh, is_there=True)
    if chain is not None:
        await _judge(settings, fresh, chain, say)
    seconds = time.monotonic() - started
    compared = [] if present is None else await _compare(present, fresh, say)
    return Rebuilt(url=fresh.url, entries=entries, seconds=seconds, tables=compared)


async def _judge(settings: CloudSettings, fresh: Store, chain: "ChainConnection", say: Say) -> None:
    from cloud.rebuild.judgements import rebuild_mismatches, rebuild_places

    places = await rebuild_places(fresh)
    directory = DirectoryFile(settings.directory_file).read()
    periods = await rebuild_mismatches(fresh, chain.view, directory, chain.deployment)
    say(f"rebuild: {places} visits found again, {periods} posted periods compared again")


async def _follow(settings: CloudSettings, fresh: Store, say: Say, stack: AsyncExitStack) -> "ChainConnection | None":
    """The chain from its first block of ours to its head."""
    if settings.chain is None:
        return None
    from cloud.chain.connection import open_chain

    super_log = SuperLog(settings.super_origin, open_super_key(settings.super_key_file))
    directory = DirectoryFile(settings.directory_file)
    reading = replace(settings, relayer_key_file=None)  # nothing is sent from here
    chain = await open_chain(reading, fresh, super_log, directory, Bell(), stack)
    while await chain.follower.step() or chain.follower.followed[0] < chain.follower.head_number:
        pass
    say(f"rebuild: the chain was followed to block {chain.follower.followed[0]}")
    return chain


async def _compare(present: Store, fresh: Store, say: Say) -> Sequence[Compared]:
    blocks = [await _final_block(store) for store in (present, fresh)]
    compared = await compare_stores(present, fresh, blocks_up_to=min(blocks))
    for one in compared:
        mark = "=" if one.is_same else "≠"
        say(f"  {mark} {one.table:<22} {one.rows_present:>10} {one.rows_rebuilt:>10}  {one.digest_rebuilt[:16]}")
        if one.difference:
            say(f"      {one.difference}")
    return compared


async def _catch_up(settings: CloudSettings, present: Store, archive: Archive, say: Say) -> None:
    """What the present store holds and the segments do not yet; left to the cloud where one is running."""
    try:
        archive.lock()
    except ArchiveError:
        say("rebuild: a cloud is running here: what it takes meanwhile will show as a difference")
        return
    try:
        super_log = SuperLog(settings.super_origin, open_super_key(settings.super_key_file))
        while await super_log.sequence(present):
            pass
        await catch_up(present)
        writer = SegmentWriter(present, archive)
        await writer.prepare()
        while await writer.step():
            pass
    finally:
        archive.unlock()


async def _present(settings: CloudSettings, stack: AsyncExitStack) -> Store | None:
    """The present store; None where it is lost."""
    if _is_missing_file(settings.store_url):
        return None
    store = open_store(settings)
    stack.push_async_callback(store.close)
    try:
        async with store.read() as connection:
            await connection.execute(select(tables.sessions.c.session_digest).limit(1))
    except DBAPIError:
        return None  # a database without our tables
    await store.migrate()
    return store


def _is_missing_file(url: str) -> bool:
    address = make_url(url)
    return address.get_backend_name() == "sqlite" and not (address.database and Path(address.database).exists())


def _beside(settings: CloudSettings) -> str:
    if not settings.store_url.startswith("sqlite"):
        raise RebuildError("name a fresh database with --into postgresql+asyncpg://…/NAME")
    return sqlite_url(settings.data_dir / "rebuilt.sqlite3")


async def _log_rows(present: Store) -> dict[str, dict[str, Any]]:
    query = select(tables.logs).execution_options(every_shard="all logs are rebuilt")
    async with present.read() as connection:
        return {row["origin"]: dict(row) for row in (await connection.execute(query)).mappings()}


async def _final_block(store: Store) -> int:
    async with store.read() as connection:
        found = (await connection.execute(select(tables.chain_cursor.c.final_number))).scalar_one_or_none()
    return -1 if found is None else int(found)


async def _set_index(fresh: Store, *, is_there: bool) -> None:
    """Take the index over devices away, or make it: one sort at the end costs less than ten million insertions."""
    async with fresh.write() as connection:
        for index in sorted(tables.entries.indexes, key=lambda index: str(index.name)):
            change = partial(index.create if is_there else index.drop, checkfirst=True)
            await connection.run_sync(change)


class _Teller:
    """Says how far it is, every few seconds."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._said_at = self._began_at = time.monotonic()
        self._from: int | None = None

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if self._from is None:
            self._from = progress.entries
        if now - self._said_at < _SAY_SECONDS:
            return
        self._said_at = now
        speed = (progress.entries - self._from) / (now - self._began_at)
        percent = 100 * progress.entries // max(1, progress.of_entries)
        self._say(f"rebuild: {progress.entries} of {progress.of_entries} entries ({percent} %), {speed:.0f} a second")


async def run_rebuild(settings: CloudSettings, into: str | None) -> int:
    """For the command line: 0 the same or restored, 1 differences."""
    done = await rebuild(settings, into=into, say=lambda line: print(line, flush=True))
    print(f"{done.url}: {done.entries} entries rebuilt in {done.seconds:.1f} s")
    if not done.tables:
        return 0
    differing = [one.table for one in done.tables if not one.is_same]
    not_same = f"; not the same: {', '.join(differing)}" if differing else ""
    print(f"{len(done.tables) - len(differing)} of {len(done.tables)} tables are the same{not_same}")
    return 1 if differing else 0
