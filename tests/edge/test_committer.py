"""The writer: what a batch can hold decides where the checkpoints stand, however much comes at once."""

from pathlib import Path

import pytest

from contracts import p256
from contracts.batch import BATCH_ENTRIES_MAX
from contracts.entry import NO_DETAIL, Kind, Series
from edge.committer import Committer, Submission
from edge.log_store import LogStore
from edge.signer import CheckpointRule, Signer

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
