"""The writer: what a batch can hold decides where the checkpoints stand, however much comes at once."""

import threading
from pathlib import Path
from typing import Any

import pytest

from contracts import p256
from contracts.batch import BATCH_ENTRIES_MAX
from contracts.entry import NO_DETAIL, Kind, Series
from edge.committer import Committer, Submission
from edge.errors import StoreBrokenError
from edge.log_store import LogStore
from edge.signer import CheckpointRule, Signer
from tests.processes import wait_until

STATUS = Series(Kind.STATUS, bytes(32), "lift.trips")


@pytest.mark.parametrize("sizes", [(10_000,), (100, 9_000, 5)])
def test_however_much_comes_at_once_no_batch_must_hold_more_than_the_cloud_takes(
    tmp_path: Path, sizes: tuple[int, ...]
) -> None:
    signer = Signer(p256.generate_key(), CheckpointRule(entries=256, seconds=0.05))
    signer.permitted = True
    store = LogStore.open(tmp_path / "e0.sqlite3", "test.example/s/g/e0")
    committer = Committer(store, signer, entries=500, seconds=0.01)
    for size in sizes:
        committer.submit(Submission([(STATUS.encode(0, number, NO_DETAIL, bytes(16)), b"") for number in range(size)]))
    committer.start()
    committer.stop()
    reader, reached = store.reader(), 0
    while reached < sum(sizes):
        checkpoint = reader.checkpoint_for(reached, reached + BATCH_ENTRIES_MAX)
        assert checkpoint is not None, f"no signed checkpoint within a batch behind {reached}"
        reached = checkpoint.size
    assert reached == sum(sizes)
    reader.close()
    store.close()


def test_a_checkpoint_that_is_written_beside_something_else_is_told_at_once(tmp_path: Path) -> None:
    """Else the forwarder does not know of it until it looks by itself, half a minute later."""
    signer = Signer(p256.generate_key(), CheckpointRule(entries=1, seconds=9))
    signer.permitted = True
    store = LogStore.open(tmp_path / "e0.sqlite3", "test.example/s/g/e0")
    committer = Committer(store, signer, entries=9, seconds=0.01)
    sign, told = signer.sign, threading.Event()

    def sign_while_more_comes(*words: Any) -> str:
        note = sign(*words)
        committer.submit(Submission([], states={"mail": b"1"}))
        return note

    signer.sign = sign_while_more_comes  # type: ignore[method-assign]
    committer.on_checkpoint = told.set
    committer.submit(Submission([(STATUS.encode(0, 1, NO_DETAIL, bytes(16)), b"")]))
    committer.start()
    assert told.wait(30), "nobody is told of the checkpoint"
    committer.stop()
    reader = store.reader()
    assert reader.checkpoint_for(0, 1) is not None
    reader.close()
    store.close()


def test_what_speaks_of_one_log_is_not_written_into_the_next(tmp_path: Path) -> None:
    """A message's number of the old log would make the new one skip as many of its own messages."""
    old = LogStore.open(tmp_path / "e0.sqlite3", "test.example/s/g/e0")
    new = LogStore.open(tmp_path / "e1.sqlite3", "test.example/s/g/e1")
    committer = Committer(
        old, Signer(p256.generate_key(), CheckpointRule(entries=256, seconds=9)), entries=9, seconds=1
    )
    committer.on_broken = lambda error: new
    row = (STATUS.encode(0, 1, NO_DETAIL, bytes(16)), b"")
    states = {"mail": b"7"}

    def broken(*_: object, **__: object) -> None:
        raise StoreBrokenError("the card is broken")

    old.append = broken  # type: ignore[assignment]
    committer.submit(Submission([row], states={"watch": b"{}"}))
    committer.submit(Submission([row], states=states, origin=old.origin))
    committer.start()
    wait_until(lambda: committer.entries == 2, seconds=30, what="both rows in the next log")
    committer.submit(Submission([row], states=states, origin=old.origin))  # fetched before, acted on after
    committer.stop()
    reader = new.reader()
    assert (new.size, reader.number("mail"), reader.state("watch")) == (3, 0, b"{}")
    reader.close()
    for store in (old, new):
        store.close()
