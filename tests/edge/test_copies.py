"""What may be pruned: only what every copy in the gateway's own settings has signed, whatever the cloud says."""

import asyncio
import random
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, cast

import pytest

from contracts import ed25519
from contracts.checkpoint import Checkpoint
from contracts.clock import SystemClock
from contracts.copy_note import CopyKeeper, sign_acknowledgement
from contracts.note import parse_note
from contracts.tree import MemoryTree, leaf_hash
from edge import mail
from edge.committer import Submission
from edge.copies import Copies
from edge.log_store import Group, LogStore
from edge.mail import Mailbox
from edge.uplink import Message
from tests.edge.cloud_stub import CloudStub
from tests.edge.site import ORIGIN, Site
from tests.processes import wait_until

KEYS = {name: ed25519.key_from_seed(name.encode().ljust(32)) for name in ("committee.example/copy", "city.example")}
COMMITTEE, CITY = KEYS
ENTRIES = 320
ROWS = [(number.to_bytes(2) * 112, b"") for number in range(ENTRIES)]
TREE = MemoryTree(leaf_hash(row) for row, _ in ROWS)


def note(name: str, size: int, *, origin: str = ORIGIN, root: bytes | None = None, key: str = "") -> str:
    held = Checkpoint(origin=origin, size=size, root=TREE.root(size) if root is None else root)
    return sign_acknowledgement(held, name, KEYS[key or name])


def copied(name: str, text: str) -> dict[str, Any]:
    return {"copy": name, "note": text}


class _Committer:
    """Does at once what the writer thread would; the log is a real one."""

    def __init__(self, store: LogStore) -> None:
        self.store = store

    def call(self, work: Any) -> "Future[Any]":
        done: Future[Any] = Future()
        done.set_result(work())
        return done

    def submit(self, submission: Submission) -> None:
        self.store.append(Group(states=dict(submission.states)))


class _Visits:
    def start_epoch(self, origin: str) -> None: ...

    def acknowledged(self, number: int) -> bytes:
        return str(number).encode()


class _Forwarder:
    uploaded = ENTRIES


class Pruner:
    """A mailbox over a real log; the forwarder has sent everything."""

    def __init__(self, store: LogStore, names: tuple[str, ...] = (COMMITTEE, CITY)) -> None:
        self.said: list[str] = []
        keepers = [CopyKeeper(name=name, public=ed25519.public_bytes(KEYS[name])) for name in names]
        self.copies = Copies(keepers, self.said.append)
        made = cast(Any, Mailbox)(
            None, _Committer(store), _Forwarder(), None, SystemClock(), 1, random.Random(1), self.said.append,
            _Visits(), self.copies,
        )  # fmt: skip
        self.mailbox: Mailbox = made
        self.mailbox._start_epoch()
        self.number = 0

    def take(self, kind: str, body: dict[str, Any]) -> int:
        """Give one message; how many entries are pruned afterwards."""
        self.number += 1
        asyncio.run(self.mailbox._take(Message(number=self.number, kind=kind, body=body)))
        return self.mailbox.pruned


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LogStore]:
    monkeypatch.setattr(mail, "KEPT_ENTRIES", 0)
    store = LogStore.open(tmp_path / "e0.sqlite3", ORIGIN)
    for at in range(0, ENTRIES, 16):
        store.append(Group(rows=ROWS[at : at + 16]))
    yield store
    store.close()


def test_nothing_is_pruned_until_every_copy_of_the_settings_has_signed_it(store: LogStore) -> None:
    pruner = Pruner(store)
    assert pruner.take("anchored", {"size": str(ENTRIES)}) == 0
    assert pruner.take("copied", copied(COMMITTEE, note(COMMITTEE, ENTRIES))) == 0, "the city is away, for weeks"
    assert pruner.take("anchored", {"size": str(10**12)}) == 0
    assert pruner.take("copied", copied(CITY, note(CITY, 160))) == 160
    assert pruner.take("copied", copied(CITY, note(CITY, 288))) == 288
    assert pruner.copies.sizes == {COMMITTEE: ENTRIES, CITY: 288}
    again = Pruner(store)
    assert again.copies.sizes == {COMMITTEE: ENTRIES, CITY: 288}, "and after a restart"
    assert pruner.said == []


def test_without_copies_in_the_settings_the_chain_and_the_cloud_suffice(store: LogStore) -> None:
    assert Pruner(store, names=()).take("anchored", {"size": "160"}) == 160


@pytest.mark.parametrize(
    ("lie", "is_said"),
    [
        ({}, False),
        ({"copy": COMMITTEE}, False),
        (copied(COMMITTEE, "no note"), False),
        (copied(COMMITTEE, note(COMMITTEE, 320).replace("\n320\n", "\n319\n")), False),
        (copied(COMMITTEE, note(COMMITTEE, 320, key=CITY)), False),
        (copied(COMMITTEE, note(CITY, 320)), False),
        (copied("nobody.example", note(COMMITTEE, 320)), False),
        (copied(COMMITTEE, note(COMMITTEE, 320, origin=ORIGIN[:-1] + "1")), False),
        (copied(COMMITTEE, note(COMMITTEE, 319, root=bytes(32))), True),
        (copied(COMMITTEE, note(COMMITTEE, 10**9, root=bytes(32))), True),
        (copied(COMMITTEE, parse_note(note(COMMITTEE, 320)).text), False),
    ],
    ids=lambda value: "" if isinstance(value, bool) else str(value)[:24],
)
def test_a_hostile_acknowledgement_prunes_nothing(store: LogStore, lie: dict[str, Any], *, is_said: bool) -> None:
    pruner = Pruner(store)
    pruner.take("anchored", {"size": str(ENTRIES)})
    pruner.take("copied", copied(CITY, note(CITY, ENTRIES)))
    assert pruner.take("copied", lie) == 0
    assert pruner.copies.sizes[COMMITTEE] == 0
    assert bool(pruner.said) is is_said
    assert pruner.take("copied", copied(COMMITTEE, note(COMMITTEE, 160))) == 160, "and the mail goes on"


def test_a_replayed_older_acknowledgement_takes_nothing_back(store: LogStore) -> None:
    pruner = Pruner(store, names=(CITY,))
    pruner.take("anchored", {"size": str(ENTRIES)})
    old = copied(CITY, note(CITY, 64))
    assert pruner.take("copied", old) == 64
    assert pruner.take("copied", copied(CITY, note(CITY, 240))) == 240
    assert pruner.take("copied", old) == 240
    assert pruner.copies.sizes == {CITY: 240}


def test_a_new_key_under_an_old_name_has_acknowledged_nothing(store: LogStore) -> None:
    pruner = Pruner(store, names=(CITY,))
    pruner.take("copied", copied(CITY, note(CITY, 240)))
    renewed = Copies([CopyKeeper(name=CITY, public=ed25519.public_bytes(KEYS[COMMITTEE]))], pruner.said.append)
    renewed.start_epoch(store)
    assert renewed.sizes == {CITY: 0}


def test_the_status_tells_how_far_each_copy_is(tmp_path: Path) -> None:
    site = Site(directory=tmp_path / "gateway")
    site.add_sensor("s1")
    for name, key in KEYS.items():
        site.tables.append(f'[[copy]]\nname="{name}"\nkey="{ed25519.public_bytes(key).hex()}"\n')
    with CloudStub(site.public) as cloud:
        site.uplink = cloud.url
        with site.running():
            wait_until(lambda: cloud.size(ORIGIN) > 0, seconds=30, what="the first batch")
            held = cloud.log(ORIGIN).frontier  # one state of it; the next batch brings another object
            text = note(COMMITTEE, held.size, root=held.root())
            cloud.mail.append({"number": 1, "kind": "copied", "body": copied(COMMITTEE, text)})
            expected = [{"name": COMMITTEE, "size": held.size}, {"name": CITY, "size": 0}]
            wait_until(lambda: site.status()["copies"] == expected, seconds=30, what="the acknowledgement")
