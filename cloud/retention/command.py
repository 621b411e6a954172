"""`minglou cloud retain` and `minglou cloud erase`: beside a running cloud, or without one."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from cloud.directory import DirectoryFile
from cloud.errors import ArchiveError, SettingsError
from cloud.identity.audit import LOCK, Act, write_entry
from cloud.maintenance.notes import forget_household
from cloud.maintenance.repair_photos import sweep_repair_photos
from cloud.months import month_of
from cloud.retention.holds import read_holds
from cloud.retention.keeper import Retention
from cloud.retention.requests import erase_devices, erase_places
from cloud.retention.returned import erase_returned
from cloud.retention.sealing import seal_store
from cloud.retention.shredding import shred_devices
from cloud.sealed_store import open_store
from cloud.segments import Archive
from cloud.segments.writer import SegmentWriter
from cloud.settings import CloudSettings
from cloud.store import Store
from cloud.super_log import SuperLog, open_super_key

__all__ = ["run_erase", "run_retain", "run_seal"]

Say = Callable[[str], None]


def _print(line: str) -> None:
    print(line, flush=True)


async def run_retain(settings: CloudSettings, say: Say = _print) -> int:
    """Erase what was kept long enough; 0 when it is done, 1 while another process does it."""
    async with _open_store(settings) as store:
        copies = [one.keeper.name for one in settings.copies]
        retention = Retention(store, settings.retention, settings.clock, chain_id=_chain_id(settings), copies=copies)
        done = await retention.run(lambda data, entries: say(f"retain: {entries} {data}") if entries else None)
        if done is None:
            say("retain: another process is at it; nothing to do here")
            return 1
        say(f"{done.entries} entries were erased down to their hashes")
        for name in done.partitions:
            say(f"partition {name} is empty and was dropped")
        for line in done.says:
            say(line)
        await _let_segments_follow(settings, store, say)
    return 0


async def run_seal(settings: CloudSettings, say: Say = _print) -> int:
    """Seal readings that were stored before there were keys; 0 when it is done."""
    async with _open_store(settings) as store:
        count = await seal_store(store, say)
    say(f"{count} entries that stood in clear are sealed; back up the key store {settings.keys_dir} now")
    return 0


async def run_erase(
    settings: CloudSettings, *, entry: str | None, unit: str | None, reason: str, say: Say = _print
) -> int:
    """Erase one entry ORIGIN/INDEX, or what a unit's own devices told. Raises `CloudError`."""
    now_ms = settings.clock.now_ms()
    async with _open_store(settings) as store:
        if entry is not None:
            origin, _, index = entry.rpartition("/")
            if not index.isdecimal():
                raise SettingsError(f"{entry!r} is no entry; write ORIGIN/INDEX")
            await _write_down(store, now_ms, what=f"entry {entry}")
            erased = await erase_places(store, origin, [int(index)], says=reason, now_ms=now_ms)
        else:
            erased = await _erase_unit(settings, store, unit or "", reason, now_ms, say)
        say(f"{erased} entries were erased down to their hashes")
        await _let_segments_follow(settings, store, say)
    return 0


async def _erase_unit(settings: CloudSettings, store: Store, name: str, reason: str, now_ms: int, say: Say) -> int:
    directory = DirectoryFile(settings.directory_file).read()
    unit = directory.unit_named(name)
    if unit is None:
        raise SettingsError(f"no unit is named {name!r}; names are as in public addresses, such as b07-0501")
    await _write_down(store, now_ms, what=f"all of {name}", unit=unit.alias)
    devices = {one.device for one in directory.devices if one.unit == unit.alias}
    due = settings.retention.last_due("boundaries", month_of(now_ms))
    holds = await read_holds(store, _chain_id(settings), now_ms=now_ms, boundaries_due=due)
    erased = await erase_devices(store, devices, says=reason, now_ms=now_ms, holds=holds, boundaries_due=due)
    keys = await shred_devices(store, devices, says=reason, now_ms=now_ms)
    await forget_household(store, unit.alias)
    await sweep_repair_photos(store, settings.photos_dir)
    say(f"{keys} data keys were destroyed: no older backup of the database shows what they sealed")
    say("older backups of segments do: let them go by age, as docs/operations.md says")
    return erased


async def _write_down(store: Store, now_ms: int, *, what: str, unit: bytes | None = None) -> None:
    """In the audit log, and before anything is gone: so nothing is erased untold."""
    async with store.write(LOCK) as connection:
        await write_entry(connection, Act.ERASED, at_ms=now_ms, unit=unit, what=what)


async def _let_segments_follow(settings: CloudSettings, store: Store, say: Say) -> None:
    """Where a cloud is running, its own writer does it within seconds."""
    archive = _archive(settings)
    try:
        archive.lock()
    except ArchiveError:
        say("the running cloud erases it from the segments")
        return
    try:
        super_log = SuperLog(settings.super_origin, open_super_key(settings.super_key_file))
        while await super_log.sequence(store):
            pass
        writer = SegmentWriter(store, archive)
        await writer.prepare()
        while await writer.step():
            pass
    finally:
        archive.unlock()
    say("and from the segments")


@asynccontextmanager
async def _open_store(settings: CloudSettings) -> AsyncIterator[Store]:
    store = open_store(settings)
    try:
        await store.migrate()
        await erase_returned(store, _archive(settings), chain_id=_chain_id(settings))
        yield store
    finally:
        await store.close()


def _archive(settings: CloudSettings) -> Archive:
    return Archive(settings.segments.folder, segment_bytes=settings.segments.segment_bytes)


def _chain_id(settings: CloudSettings) -> int | None:
    return settings.chain.chain_id if settings.chain else None
