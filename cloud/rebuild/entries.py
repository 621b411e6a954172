"""From segments to the tables of entries, tree nodes, boundaries, checkpoints and logs.

Reading and verifying runs in a thread while the rows before it are written. Each transaction holds whole frames and
moves the logs' right edges with them, so an interrupted rebuild goes on from what the fresh store holds.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import delete, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.errors import RebuildError
from cloud.segments import Archive, LogFiles
from cloud.segments.rows import entry_row
from cloud.store import Store, insert_new, insert_rows, tables
from cloud.store.logs import log_number
from cloud.store.months import left_of, month_of
from cloud.store.readings import CLEAR, is_private, mask_rows, sealing_keys
from cloud.store.trees import STORED_LEVEL
from contracts.detail import decode_detail
from contracts.entry import EntryRow, Kind
from contracts.errors import ContractsError
from contracts.quantities import parse_boundary_quantity
from contracts.segment import Frame, VerifiedFrame, decode_frame, verify_frame
from contracts.tree import Frontier, Node

__all__ = ["IsKnownKey", "Progress", "rebuild_logs"]

IsKnownKey = Callable[[str, bytes], bool]
"""Whether a key is or was a log's, as the chain says."""

_ENTRIES_AT_ONCE = 20_000
# Where a row of `entries` has what is sealed, and what it is sealed by.
_INDEX, _KIND, _DEVICE, _QUANTITY, _VALUE, _SALT, _DETAIL, _LEAF = 1, 2, 3, 5, 6, 8, 9, 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far the rebuild is."""

    entries: int
    of_entries: int


@dataclass(slots=True)
class _Portion:
    """What one transaction writes of one log."""

    origin: str
    entries: list[tuple[Any, ...]] = field(default_factory=list)
    nodes: list[tuple[Any, ...]] = field(default_factory=list)
    boundaries: list[tuple[Any, ...]] = field(default_factory=list)
    checkpoints: list[tuple[Any, ...]] = field(default_factory=list)
    frontier: Frontier = field(default_factory=Frontier)
    retired: int = 0  # entries that have left their months' partitions, whether or not they were erased
    months: set[int] = field(default_factory=set)
    first: tuple[Frame, EntryRow | None] | None = None  # where the log begins here
    received_at_ms: int = 0


async def rebuild_logs(
    fresh: Store,
    archive: Archive,
    *,
    present: Mapping[str, Mapping[str, Any]],
    is_known_key: IsKnownKey,
    on_progress: Callable[[Progress], None],
) -> int:
    """Every log of the archive, from where the fresh store is; how many entries it then holds.

    Args:
        present: the rows of `logs` in the present store, by origin: what of them no segment tells is taken over.

    Raises:
        RebuildError: a frame does not hold, or does not follow on the one before.
    """
    origins = await asyncio.to_thread(archive.origins)
    known = await _log_rows(fresh)
    retired = await _retired(fresh)
    numbers = {origin: row["log_id"] for origin, row in {**present, **known}.items()}
    done = sum(int(row["size"]) for row in known.values())
    total = await asyncio.to_thread(lambda: sum(archive.log(origin).size for origin in origins))
    for origin in origins:
        log_id = numbers.setdefault(origin, log_number(origin))
        stored = Frontier.from_bytes(known[origin]["peaks"]) if origin in known else Frontier()
        portions = _portions(archive.log(origin), log_id, stored, is_known_key, retired.get(log_id, 0))
        async for portion in _ahead(portions):
            await _write(fresh, portion, log_id, present.get(origin), is_new=origin not in known)
            known.setdefault(origin, {})
            done += len(portion.entries)
            on_progress(Progress(entries=done, of_entries=total))
    return done


async def _ahead(portions: Iterator[_Portion]) -> Any:
    """The portions, the next one being made in a thread while this one is used."""
    task = asyncio.create_task(asyncio.to_thread(next, portions, None))
    while (portion := await task) is not None:
        task = asyncio.create_task(asyncio.to_thread(next, portions, None))
        try:
            yield portion
        except BaseException:
            await asyncio.wait({task})
            raise


def _portions(
    files: LogFiles, log_id: int, stored: Frontier, is_known_key: IsKnownKey, retired: int
) -> Iterator[_Portion]:
    portion = _Portion(files.origin, frontier=stored.copy(), retired=retired)
    for encoded in files.frames(stored.size) if files.size > stored.size else ():
        frame, nodes = decode_frame(encoded), list[Node]()
        if (frame.start, frame.peaks) != (portion.frontier.size, portion.frontier.peaks):
            raise RebuildError(
                f"{files.origin}: the frame from {frame.start} does not follow on {portion.frontier.size}"
            )
        if not is_known_key(files.origin, frame.public):
            raise RebuildError(f"{files.origin}: the frame from {frame.start} is signed by a key that the chain lacks")
        try:
            verified = verify_frame(frame, frame.public, nodes)
        except ContractsError as error:
            raise RebuildError(f"segments of {files.origin}: {error}; restore them from another copy") from error
        _add(portion, log_id, verified, nodes)
        if len(portion.entries) >= _ENTRIES_AT_ONCE:
            yield portion
            portion = _Portion(files.origin, frontier=portion.frontier.copy(), retired=retired)
    if portion.entries:
        yield portion


def _add(portion: _Portion, log_id: int, verified: VerifiedFrame, nodes: Sequence[Node]) -> None:
    frame, rows = verified.frame, verified.rows
    if frame.start == 0:
        portion.first = frame, rows[0]
    month = month_of(frame.received_at_ms)
    for at, (row, detail, leaf) in enumerate(zip(rows, frame.details, verified.leaves, strict=True)):
        index = frame.start + at
        stands_in = left_of(month) if row is None or index < portion.retired else month
        portion.months.add(stands_in)
        portion.entries.append((*entry_row(log_id, index, row, detail, leaf), stands_in))
        if row is not None and row[0] == Kind.READING and "*" in row[3]:
            boundary = parse_boundary_quantity(row[3])
            assert boundary is not None, "verified"
            day = int(boundary.day.strftime("%Y%m%d"))
            portion.boundaries.append((log_id, index, row[1], boundary.obis, day, row[4], leaf))
    portion.nodes += [(log_id, level, index, node) for level, index, node in nodes if level >= STORED_LEVEL]
    root = verified.checkpoint.root
    portion.checkpoints.append(
        (log_id, frame.end, root, frame.note, frame.public, frame.received_at_ms, frame.super_index)
    )
    portion.frontier, portion.received_at_ms = verified.frontier, frame.received_at_ms


async def _write(
    fresh: Store, portion: _Portion, log_id: int, present: Mapping[str, Any] | None, *, is_new: bool
) -> None:
    for month in sorted(portion.months):
        await fresh.prepare_month(month)
    try:
        async with fresh.write() as connection:
            await _seal(connection, portion)
            await insert_rows(connection, tables.entries, portion.entries)
            await insert_rows(connection, tables.nodes, portion.nodes)
            await insert_rows(connection, tables.boundaries, portion.boundaries)
            await insert_rows(connection, tables.checkpoints, portion.checkpoints)
            await _write_log(connection, portion, log_id, present, is_new=is_new)
    except IntegrityError as error:
        raise RebuildError(
            f"{portion.origin}: the fresh store holds something else in this place already; begin with an empty one"
        ) from error


async def _seal(connection: AsyncConnection, portion: _Portion) -> None:
    """What is a household's, sealed as ingest seals it; every row with the key that sealed it."""
    rows = portion.entries
    private = [at for at, row in enumerate(rows) if is_private(row[_KIND], row[_QUANTITY])]
    keys = await sealing_keys(connection, {rows[at][_DEVICE] for at in private})
    some = [rows[at] for at in private] if keys else []
    used = [keys[row[_DEVICE]] for row in some]
    told = mask_rows(
        used,
        [row[_LEAF] for row in some],
        [row[_VALUE] for row in some],
        [row[_SALT] for row in some],
        [row[_DETAIL] for row in some],
    )
    sealed = {row[_INDEX]: (*parts, key.tag) for row, key, parts in zip(some, used, told, strict=True)}
    portion.entries = [_sealed_row(row, sealed.get(row[_INDEX])) for row in rows]
    portion.boundaries = [_sealed_boundary(row, sealed.get(row[_INDEX])) for row in portion.boundaries]


def _sealed_row(row: tuple[Any, ...], sealed: tuple[int, bytes, bytes | None, int] | None) -> tuple[Any, ...]:
    if sealed is None:
        return (*row, CLEAR)
    value, salt, detail, tag = sealed
    return (*row[:_VALUE], value, row[_VALUE + 1], salt, detail, *row[_LEAF:], tag)


def _sealed_boundary(row: tuple[Any, ...], sealed: tuple[int, bytes, bytes | None, int] | None) -> tuple[Any, ...]:
    *fields, value, leaf = row
    return (*fields, value, CLEAR, None) if sealed is None else (*fields, sealed[0], sealed[3], leaf)


async def _write_log(
    connection: AsyncConnection, portion: _Portion, log_id: int, present: Mapping[str, Any] | None, *, is_new: bool
) -> None:
    """The log's row: its right edge from the segments; the notes that the service made for itself, as they were."""
    column = tables.logs.c
    if is_new:
        row = {**(present or {"last_seen_at_ms": portion.received_at_ms}), "log_id": log_id, "origin": portion.origin}
        assert portion.first is not None, "a new log begins at 0"
        frame, opening = portion.first
        row["token_digest"] = _token_digest(frame, opening, present)
        row["opened_at_ms"] = frame.received_at_ms
        await insert_new(connection, tables.origins, {"origin": portion.origin, "log_id": log_id})
    else:
        query = select(tables.logs).where(column.log_id == log_id)
        row = dict((await connection.execute(query)).mappings().one())
        await connection.execute(delete(tables.logs).where(column.log_id == log_id))
    row |= {"size": portion.frontier.size, "peaks": portion.frontier.to_bytes()}
    await connection.execute(insert(tables.logs).values(row))


def _token_digest(frame: Frame, opening: EntryRow | None, present: Mapping[str, Any] | None) -> bytes:
    """What entry 0 declares; where it was erased, what the present store knows."""
    detail = frame.details[0]
    if opening is not None and detail:
        digest = decode_detail(detail).get("uplink_token_digest")
        if isinstance(digest, str):
            return bytes.fromhex(digest)
    if present is not None:
        return bytes(present["token_digest"])
    raise RebuildError("entry 0 of a log was erased: the token that opens it is lost; enrol the gateway's next epoch")


async def _retired(store: Store) -> dict[int, int]:
    """How many entries of each log have left their months' partitions; none where that was lost with the store."""
    column = tables.retained.c
    query = select(column.log_id, column.reached_index).where(column.data == "readings")
    async with store.read() as connection:
        rows = await connection.execute(query.execution_options(every_shard="all logs are rebuilt"))
        return {row.log_id: row.reached_index for row in rows}


async def _log_rows(store: Store) -> dict[str, dict[str, Any]]:
    """The rows of `logs` by origin."""
    query = select(tables.logs).execution_options(every_shard="all logs are rebuilt")
    async with store.read() as connection:
        return {row["origin"]: dict(row) for row in (await connection.execute(query)).mappings()}
