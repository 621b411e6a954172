"""The table of `--once`: counts of separate processes beside each other, and any that differ."""

from __future__ import annotations

from provisioning.demo.figures import Snapshot
from provisioning.demo.once import Row, agreements, table


def snapshot(*, frames: int = 7, entries: int = 30, copied: int = 30) -> Snapshot:
    return Snapshot(
        building={"frames_answered": 7, "mqtt_acknowledged": {"l1": 2, "l2": 3}},
        gateway={
            "entries": 30,
            "anchored": 30,
            "copies": [{"name": "committee.example/copy", "size": copied}],
            "counts": {"serial_exchanges": frames, "messages": 5},
        },
        cloud={"entries": entries},
    )


def test_equal_counts_hold() -> None:
    assert [row.holds for row in agreements(snapshot())] == [True] * 5


def test_a_frame_that_nobody_sent_does_not_hold() -> None:
    rows = agreements(snapshot(frames=8))
    assert [row.holds for row in rows] == [False, True, True, True, True]
    assert rows[0].found == "7 ≠ 8"


def test_an_entry_that_the_cloud_lacks_does_not_hold() -> None:
    assert [row.holds for row in agreements(snapshot(entries=29))] == [True, True, False, True, True]


def test_a_copy_that_has_not_signed_for_everything_does_not_hold() -> None:
    assert [row.holds for row in agreements(snapshot(copied=29))] == [True, True, True, True, False]


def test_processes_that_do_not_answer_do_not_agree_by_their_silence() -> None:
    silent = Snapshot(building={}, gateway={}, cloud={})
    assert not any(row.holds for row in agreements(silent)[::2])


def test_the_table_is_aligned_and_marks_what_failed() -> None:
    rows = [Row(what="short", found="1 = 1", holds=True), Row(what="much longer", found="1 ≠ 2", holds=False)]
    assert table(rows) == "  ✓ short        1 = 1\n  ✗ much longer  1 ≠ 2"
