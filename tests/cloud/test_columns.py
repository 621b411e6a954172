"""Reading a batch as columns accepts, refuses and finds what reading it entry by entry does."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.ingest.columns import Columns, read_columns
from contracts.batch import decode_batch, split_batch
from contracts.entry import ENTRY_BYTES, Kind
from contracts.errors import BatchError
from tests.cloud.gateway import SimulatedGateway

LIFT = "urn:minglou:cuiyuan:b07:lift:1"


def every_kind() -> bytes:
    gateway = SimulatedGateway()
    gateway.log_readings(3)
    gateway.log_readings(4, detailed=False)
    gateway.log(Kind.READING, LIFT, "1-0:1.8.0*20261201", -5)
    gateway.log(Kind.STATUS, LIFT, "lift.mode", 2, detail={"source": "poll"})
    gateway.log(Kind.ACCESS, LIFT, "access.granted", 1)
    gateway.log_visit(LIFT, 3, bytes(range(32)), at_ms=1_764_000_000_000)
    gateway.log(Kind.BEACON, gateway.urn, "block:31337", 7, digest=bytes(range(1, 33)))
    return gateway.batch()


WHOLE = every_kind()
PARTS = split_batch(WHOLE)


def by_entries(body: bytes) -> list[tuple[object, ...]] | None:
    try:
        batch = decode_batch(body)
    except BatchError:
        return None
    return [(*row, detail or None) for row, detail in zip(batch.rows, batch.details, strict=True)]


def by_columns(body: bytes) -> list[tuple[object, ...]] | None:
    try:
        columns = read_columns(split_batch(body))
    except BatchError:
        return None
    read_apart = zip(columns.kinds, columns.observed_at_ms.tolist(), columns.quantities, strict=True)
    found = [(*columns.row(position), columns.details.get(position)) for position in range(columns.count)]
    assert [(row[0], row[2], row[3]) for row in found] == list(read_apart)
    return found


def test_all_kinds_of_entries_read_the_same() -> None:
    assert by_columns(WHOLE) == by_entries(WHOLE) is not None


def test_boundary_entries_are_found_by_kind_and_quantity() -> None:
    columns: Columns = read_columns(PARTS)
    assert [(position, columns.row(position)[4]) for position in columns.boundaries(0)] == [(8, -5)]
    assert list(columns.boundaries(9)) == []


@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
def test_a_damaged_byte_is_judged_alike(at: int, flip: int) -> None:
    damaged = WHOLE[:at] + bytes([WHOLE[at] ^ flip]) + WHOLE[at + 1 :]
    assert by_columns(damaged) == by_entries(damaged)


@pytest.mark.parametrize("seed", range(4))
def test_every_word_of_an_entry_set_to_an_edge_is_judged_alike(seed: int) -> None:
    rng = random.Random(seed)
    first = len(WHOLE) - len(PARTS.details) - len(PARTS.entries)
    edges = (
        bytes(8),
        b"\xff" * 8,
        b"\x80" + bytes(7),
        bytes(7) + b"\x01",
        b"\0\x20" + bytes(6),
        b"\0\x1f" + b"\xff" * 6,
    )
    for word in range(ENTRY_BYTES // 8):
        for edge in edges:
            at = first + rng.randrange(PARTS.count) * ENTRY_BYTES + 8 * word
            damaged = WHOLE[:at] + edge + WHOLE[at + 8 :]
            assert by_columns(damaged) == by_entries(damaged), (word, edge)
