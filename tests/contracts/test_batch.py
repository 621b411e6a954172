"""Batches: what a gateway posts comes back whole, and anything else is refused whole."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.batch import BATCH_BYTES_MAX, BATCH_ENTRIES_MAX, Batch, decode_batch, encode_batch
from contracts.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from contracts.entry import NO_DETAIL, Kind, Series, device_id, encode_entry
from contracts.errors import BatchError, BatchTooLargeError
from contracts.tree import Frontier
from tests.vectors.deployment import GATEWAY_KEY, METER, ORIGIN, Deployment

DEPLOYMENT = Deployment()
ENTRIES = [encode_entry(entry) for entry, _ in DEPLOYMENT.entries]
DETAILS = [detail for _, detail in DEPLOYMENT.entries]
WHOLE = encode_batch(0, DEPLOYMENT.note, ENTRIES, DETAILS)


def test_a_batch_survives_its_bytes() -> None:
    batch = decode_batch(WHOLE)
    assert (batch.start, batch.count, batch.note) == (0, 21, DEPLOYMENT.note)
    assert batch.entries == b"".join(ENTRIES)
    assert list(batch.details) == DETAILS
    assert [row[4] for row in batch.rows] == [entry.value for entry, _ in DEPLOYMENT.entries]
    frontier = Frontier()
    frontier.extend(batch.leaf_hashes())
    assert frontier.root() == open_checkpoint(batch.note, DEPLOYMENT.public).checkpoint.root


def test_a_batch_goes_on_where_the_last_one_ended() -> None:
    batch = decode_batch(encode_batch(5, DEPLOYMENT.note, ENTRIES[5:], DETAILS[5:]))
    assert (batch.start, batch.count) == (5, 16)
    assert batch.leaf_hashes()[0] == DEPLOYMENT.log.node(0, 5)


@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 255))
def test_a_damaged_batch_is_refused_or_another_batch(position: int, octet: int) -> None:
    damaged = bytearray(WHOLE)
    damaged[position] = octet
    try:
        batch = decode_batch(bytes(damaged))
    except BatchError:  # the only error that a peer's bytes may cause
        return
    assert encode_batch(batch.start, batch.note, batch.entries, batch.details) == bytes(damaged)


@given(st.integers(0, len(WHOLE) - 1))
def test_a_batch_that_is_cut_off_is_refused(length: int) -> None:
    with pytest.raises(BatchError):
        decode_batch(WHOLE[:length])


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (b"minglou-batch/1", b"minglou-batch/2", "five lines"),
        (b"\n0\n21\n", b"\n00\n21\n", "five lines"),
        (b"\n0\n21\n", b"\n1\n21\n", "ends at 22, its checkpoint at 21"),
        (b"\n0\n21\n", b"\n0\n20\n", "adds up to"),
        (b"\n0\n21\n", b"\n0\n0\n", "is none"),
        (b"/e0\n21\n", b"/e0\n2l\n", "size"),
        (b'"source":"freeze"', b'"source":"FREEZE"', "entry 2 does not have the entry's digest"),
        (b"lift.mode", b"lift mode", "index 0: entry 4"),
    ],
)
def test_a_batch_with_a_mistake_is_refused_and_the_mistake_named(old: bytes, new: bytes, says: str) -> None:
    assert old in WHOLE
    with pytest.raises(BatchError, match=says):
        decode_batch(WHOLE.replace(old, new, 1))


def test_bytes_behind_the_last_detail_are_refused() -> None:
    with pytest.raises(BatchError, match="adds up to"):
        decode_batch(WHOLE + b"\0")


def test_a_detail_that_is_missing_or_not_asked_for_is_refused() -> None:
    for position, detail, says in ((0, b"", "digest"), (3, b"{}", "digest"), (6, b"{}", "raw digest")):
        details = [*DETAILS[:position], detail, *DETAILS[position + 1 :]]
        with pytest.raises(BatchError, match=says):
            decode_batch(encode_batch(0, DEPLOYMENT.note, ENTRIES, details))


def test_too_many_entries_or_bytes_are_refused_before_they_are_read() -> None:
    with pytest.raises(BatchTooLargeError, match="send it in parts"):
        encode_batch(0, DEPLOYMENT.note, bytes(224 * 4097), [b""] * 4097)
    with pytest.raises(BatchTooLargeError, match="send it in parts"):
        decode_batch(b"minglou-batch/1\n0\n4097\n1\n1\n")
    with pytest.raises(BatchTooLargeError, match="send it in parts"):
        decode_batch(bytes(BATCH_BYTES_MAX + 1))


def test_entries_and_details_must_be_as_many() -> None:
    for entries, details in (([], []), (ENTRIES, DETAILS[1:]), (b"x", [b""])):
        with pytest.raises(BatchError, match="one detail"):
            encode_batch(0, DEPLOYMENT.note, entries, details)


def test_the_largest_batch_is_decoded_and_hashed_whole() -> None:
    series = Series(Kind.READING, device_id(METER), "1-0:1.8.0")
    entries = [series.encode(10**12 + n, n, NO_DETAIL, n.to_bytes(16)) for n in range(BATCH_ENTRIES_MAX)]
    frontier = Frontier()
    frontier.extend(Batch.leaf_hashes(_batch_of(entries)))
    note = sign_checkpoint(Checkpoint(origin=ORIGIN, size=BATCH_ENTRIES_MAX, root=frontier.root()), GATEWAY_KEY)
    again = Frontier()
    again.extend(decode_batch(encode_batch(0, note, entries, [b""] * BATCH_ENTRIES_MAX)).leaf_hashes())
    assert again.root() == frontier.root()


def _batch_of(entries: list[bytes]) -> Batch:
    checkpoint = Checkpoint(origin=ORIGIN, size=len(entries), root=bytes(32))
    return Batch(start=0, note="", checkpoint=checkpoint, entries=b"".join(entries), rows=(), details=())
