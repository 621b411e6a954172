"""A visit desk over a real log, its writer thread and its files, without the gateway's process around them."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

from contracts import p256
from contracts.bundle import Bundle, bundle_to_json
from contracts.clock import Clock
from contracts.detail import decode_detail, encode_detail
from contracts.entry import Kind, Series, decode_entry, device_id
from contracts.quantities import DEVICE_ONLINE
from devices.visit_rules import VisitRule
from edge.calendar_days import LocalDays
from edge.committer import Committer, Submission
from edge.log_store import EntryRow, LogStore
from edge.presence import PresenceDesk
from edge.registers import Registers
from edge.signer import CheckpointRule, Signer
from edge.visits.calibration import Calibrations, Place
from edge.visits.desk import VisitDesk
from edge.visits.sightings import CODE_MS, Sightings, Whose, kept_for, retold_by
from edge.visits.swap import Swaps
from edge.watch import Watch
from tests.processes import wait_until
from tests.visits import CHAIN_ID, CONTRACT

GATEWAY = device_id("urn:minglou:site:b01:gateway:g1")
ORIGIN = "test.minglou.example/site/b01/e0"
_SECONDS = 60


class Standing:
    """A clock that stands until it is set, or goes on by so much whenever it is looked at."""

    def __init__(self, at_ms: int) -> None:
        self.at_ms = at_ms
        self.step_ms = 0

    def now_ms(self) -> int:
        self.at_ms += self.step_ms
        return self.at_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A visit's level and the detail behind it."""

    level: int
    facts: Mapping[str, Any]
    items: Mapping[str, str]


class VisitRoom:
    """Use `with`; `judged` hands visits in, in that order."""

    def __init__(
        self, directory: Path, rules: Mapping[bytes, Sequence[VisitRule]], now_ms: int, presence: object = None,
        whose: Whose | None = None, places: Mapping[bytes, Place] | None = None,
    ) -> None:  # fmt: skip
        self.clock = Standing(now_ms)
        self.path = directory / "visits.sqlite3"
        self.store = LogStore.open(directory / "e0.sqlite3", ORIGIN)
        signer = Signer(p256.key_from_secret(7), CheckpointRule(entries=256, seconds=1.0))
        self.committer = Committer(self.store, signer, entries=500, seconds=0.0)
        retold = {device: retold_by(one) for device, one in rules.items()}
        kept = {device: {DEVICE_ONLINE: CODE_MS, **kept_for(one)} for device, one in rules.items()}
        self.sightings = Sightings(self.path, kept, whose, retold)
        self.says: list[str] = []
        self.steps_ms: list[int] = []  # of the clock, that the desk has not noticed yet
        self.running_s = 0.0
        days = LocalDays(ZoneInfo("Asia/Shanghai"))
        self.registers = Registers(days)
        self.desk = VisitDesk(
            chain_id=CHAIN_ID, contract=CONTRACT, key_class="file", gateway=GATEWAY, rules=rules,
            doors={}, packs=(),
            sightings=self.sightings, presence=cast("PresenceDesk | None", presence),
            swaps=Swaps({}, self.registers, self.committer, cast("Clock", self.clock)),
            calibrations=Calibrations(rules, places or {}, GATEWAY, self.registers, self.committer),
            watch=Watch({}, self.sightings, self.committer, self.clock), committer=self.committer, clock=self.clock,
            days=days, say=self.says.append, steps=lambda: self.steps_ms.pop() if self.steps_ms else 0,
            monotonic=lambda: self.running_s,
        )  # fmt: skip
        self.desk.start_epoch(ORIGIN)
        self._messages = 0

    def __enter__(self) -> "VisitRoom":
        self.committer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.committer.stop()
        self.sightings.close()
        self.store.close()

    def tell(self, device: bytes, kind: Kind, quantity: str, told: Sequence[tuple[int, int]], **detail: object) -> None:
        """Entries of one quantity, (instant in ms, value), which the disk holds on return."""
        encoded = encode_detail(detail, salt=bytes(16)) if detail else b""
        series = Series(kind, device, quantity)
        self.committer.submit(
            Submission([(series.encode(at_ms, value, bytes(32), bytes(16)), encoded) for at_ms, value in told])
        )
        self._wait()

    def submit(self, row: EntryRow) -> None:
        """One entry, which the disk holds on return."""
        self.committer.submit(Submission([row]))
        self._wait()

    def look(self) -> None:
        """Look the log through, as the desk does between visits."""
        reader = self.store.reader()
        try:
            self.sightings.fold(reader, ORIGIN)
        finally:
            reader.close()

    def said(self, device: bytes, quantity: str) -> list[int]:
        """The values that the log has of one quantity, once what was submitted is on the disk."""
        self._wait()
        reader = self.store.reader()
        entries = [decode_entry(encoded) for encoded, _ in reader.rows(0, reader.size())]
        reader.close()
        return [one.value for one in entries if (one.device, one.quantity) == (device, quantity)]

    def judged(self, *bundles: Bundle) -> list[Verdict]:
        """The verdicts on visits that arrive together."""
        asyncio.run(self._judge(bundles))
        self._wait()
        return [verdict for bundle in bundles if (verdict := self.verdict_on(bundle)) is not None]

    def verdict_on(self, bundle: Bundle) -> Verdict | None:
        """What the log says of a visit."""
        reader = self.store.reader()
        rows = reader.rows(0, reader.size())
        reader.close()
        for at, (encoded, _) in enumerate(rows):
            entry = decode_entry(encoded)
            if entry.kind is Kind.VISIT and entry.detail_digest == bundle.visit.digest():
                detail = decode_detail(rows[at + 1][1])
                return Verdict(level=entry.value, facts=detail["facts"], items=detail["verdict"]["items"])
        return None

    def step_clock(self, by_ms: int) -> None:
        """Somebody sets the clock; that time has gone by is told by `clock` alone."""
        self.clock.at_ms += by_ms
        self.steps_ms.append(by_ms)

    def taken(self, *bundles: Bundle) -> None:
        """Visits that arrive, and two looks of the desk at them."""
        asyncio.run(self._take(bundles))

    async def _take(self, bundles: Sequence[Bundle]) -> None:
        for bundle in bundles:
            self._messages += 1
            await self.desk.take(self._messages, bundle_to_json(bundle))
        for _ in range(2):
            await self.desk._turn()
        await asyncio.to_thread(self._wait)

    async def _judge(self, bundles: Sequence[Bundle]) -> None:
        done = self.desk.judged + self.desk.refused + len(bundles)
        for bundle in bundles:
            self._messages += 1
            await self.desk.take(self._messages, bundle_to_json(bundle))
        running = asyncio.create_task(self.desk.run(), name="desk")
        ended = partial(wait_until, lambda: running.done() or self.desk.judged + self.desk.refused >= done)
        await asyncio.to_thread(ended, seconds=_SECONDS, what="the verdicts")
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    def _wait(self) -> None:
        """Until what was submitted is on the disk: the writer answers a call before the group that it took with it."""
        for _ in range(2):
            self.committer.call(lambda: None).result(_SECONDS)
