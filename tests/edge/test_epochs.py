"""What a new epoch takes over from the one before."""

import sqlite3
from pathlib import Path
from zoneinfo import ZoneInfo

from contracts.clock import SystemClock
from contracts.entry import Kind, Series
from edge.calendar_days import LocalDays
from edge.epochs import Epochs
from edge.keys import Secrets
from edge.log_store import Group, LogStore
from edge.voice import Voice

STEM = "test.example/s/g"
DEVICE = bytes(32)


def test_a_judgement_that_was_lost_unsent_is_made_again_and_what_was_said_of_machines_stands(tmp_path: Path) -> None:
    """The cloud mails a visit to the new log as well: refused as judged before, it would stand in no log at all."""
    sent, lost = b"s" * 32, b"l" * 32
    store = LogStore.open(tmp_path / "e0.sqlite3", f"{STEM}/e0")
    for number, digest in enumerate((sent, lost)):
        row = (Series(Kind.VISIT, DEVICE, "visit").encode(number, 3, digest, bytes(16)), b"")
        store.append(Group(rows=[row], boundaries=[(digest, "visit", 0)], states={"watch": b'{"l1 lift.stopped": 1}'}))
    store.append(Group(states={"uploaded": b"1"}))
    store.close()
    broken = sqlite3.connect(tmp_path / "e0.sqlite3")
    (entries,) = broken.execute("SELECT entries FROM block").fetchone()
    damaged = entries[: len(entries) // 2] + bytes(len(entries) // 2)  # the second of two entries
    broken.execute("UPDATE block SET entries = ?", (damaged,))
    broken.commit()
    broken.close()
    voice, days = Voice("urn:minglou:site:b01:gateway:g1"), LocalDays(ZoneInfo("UTC"))
    epochs = Epochs(tmp_path, STEM, voice, Secrets(tmp_path), SystemClock(), days, "0")
    new = epochs.open_next(0, reason="store-broken", seen=None, unsent_from=None)
    reader = new.reader()
    assert reader.has_boundary(sent, "visit"), "the cloud has its entries"
    assert not reader.has_boundary(lost, "visit")
    assert reader.state("watch") == b'{"l1 lift.stopped": 1}'
    reader.close()
    new.close()
