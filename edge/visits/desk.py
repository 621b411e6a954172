"""The desk where signed visits arrive, wait until their machine has spoken, and leave as two entries of the log.

A visit is judged once: its digest stands in the log's own table of things that happen once, written in the same
transaction as its entries and carried into later epochs. Until then its message stays unacknowledged, so that a
gateway that is killed meanwhile gets it again. What is refused is told on the status page and leaves no entry.
"""

import asyncio
import logging
import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from contracts.clock import Clock
from contracts.detail import encode_detail
from contracts.entry import SALT_BYTES, Kind, Series
from contracts.errors import ContractsError
from contracts.quantities import VISIT, VISIT_VERDICT
from devices.visit_rules import VisitRule
from edge.committer import Committer, Submission
from edge.errors import VisitRefusedError
from edge.log_store import EntryRow
from edge.settings import Settings
from edge.visits.judge import SILENT_MS, Finding, Judgement, judge, window_of
from edge.visits.sightings import Sightings

if TYPE_CHECKING:
    from contracts.visit import Visit

HELD_MAX = 1000
_LOOK_SECONDS = 10.0  # how often the log is looked through when nobody waits
_WAITING_SECONDS = 0.25
_NO_CONTRACT = "[maintenance] contract is not in this gateway's settings; name it there"
_log = logging.getLogger("edge.visits")


class VisitDesk:
    """Takes visits from the mail and gives entries to the committer."""

    def __init__(
        self, *, chain_id: int, contract: str, key_class: str, rules: Mapping[bytes, Sequence[VisitRule]],
        sightings: Sightings, committer: Committer, clock: Clock, say: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._chain_id = chain_id
        self._contract = contract
        self._key_class = key_class
        self._rules = rules
        self._sightings = sightings
        self._committer = committer
        self._clock = clock
        self._say = say
        self._held: dict[int, Visit] = {}  # by the number of their messages
        self._taken_at_ms: dict[int, int] = {}
        self._taken = 0  # number of the last message that was taken, of whatever kind
        self._arrived = asyncio.Event()
        self.judged = 0
        self.refused = 0

    # ---- for the mailbox ----

    def start_epoch(self) -> None:
        """A new log: its mail is numbered anew, and what waited comes again."""
        self._held.clear()
        self._taken_at_ms.clear()

    async def take(self, number: int, body: Mapping[str, Any]) -> None:
        """Receive one visit message; what is wrong with it is told, and the message is done with."""
        try:
            visit = await asyncio.to_thread(self._checked, body)
        except (ContractsError, VisitRefusedError) as error:
            self.refused += 1
            self._say(f"visit in message {number} is refused: {error}")
            return
        if visit.digest() not in {held.digest() for held in self._held.values()}:
            self._held[number] = visit
            self._taken_at_ms[number] = self._clock.now_ms()
            self._arrived.set()

    def acknowledged(self, number: int) -> bytes:
        """Up to which message everything is done with, after message `number`: what the log remembers."""
        self._taken = number
        return str(min(self._held, default=number + 1) - 1).encode()

    def _checked(self, body: Mapping[str, Any]) -> "Visit":
        if not self._contract:
            raise VisitRefusedError(_NO_CONTRACT)
        from edge.visits.check import check_visit  # see there why not before

        visit = check_visit(
            body, chain_id=self._chain_id, contract=self._contract, devices=self._rules.keys(),
            now_ms=self._clock.now_ms(),
        )  # fmt: skip
        if self._is_judged(visit):
            raise VisitRefusedError(f"visit {visit.digest().hex()[:16]}… was judged before")
        if len(self._held) >= HELD_MAX:
            raise VisitRefusedError(f"{HELD_MAX} visits wait already; it may be sent again when they are judged")
        return visit

    def _is_judged(self, visit: "Visit") -> bool:
        reader = self._committer.store.reader()
        try:
            return reader.has_boundary(visit.digest(), VISIT)
        finally:
            reader.close()

    def close(self) -> None:
        """Close the store of what was seen."""
        self._sightings.close()

    # ---- its own task ----

    async def run(self) -> None:
        """Look through the log and judge what is ready, until cancelled."""
        while True:
            self._arrived.clear()
            await asyncio.to_thread(self._look)
            for number, visit in sorted(self._held.items()):
                if self._is_ready(number, visit):
                    self._log(number, visit)
            seconds = _WAITING_SECONDS if self._held else _LOOK_SECONDS
            try:
                async with asyncio.timeout(seconds):
                    await self._arrived.wait()
            except TimeoutError:
                continue

    def _look(self) -> None:
        store = self._committer.store
        try:
            reader = store.reader()
            try:
                self._sightings.fold(reader, store.origin, self._clock.now_ms())
            finally:
                reader.close()
        except sqlite3.OperationalError as error:
            _log.warning("visits: %s; looking again later", error)
        except sqlite3.DatabaseError as error:
            self._sightings.make_anew(error)

    def _is_ready(self, number: int, visit: "Visit") -> bool:
        """Whether the machine has told what came after, or has been silent for too long to wait on.

        An old visit waits as well: after a power cut its message may come before what the lift's module still keeps.
        """
        end_ms = window_of(visit)[1]
        wait_from_ms = max(end_ms, self._taken_at_ms[number])
        return self._sightings.heard_after(visit.device, end_ms) or self._clock.now_ms() >= wait_from_ms + SILENT_MS

    def _log(self, number: int, visit: "Visit") -> None:
        judgement = judge(
            visit, self._rules[visit.device], self._sightings.tracks(visit.device, window_of(visit)),
            # No display node shows a code yet and no door is known as a machine room's, so nothing can prove presence.
            presence=Finding.NOT_OBSERVABLE,
            key_class=self._key_class,
        )  # fmt: skip
        del self._held[number], self._taken_at_ms[number]
        self._committer.submit(
            Submission(
                visit_rows(visit, judgement, self._clock.now_ms()),
                boundary=(visit.digest(), VISIT),
                states={"mail": self.acknowledged(self._taken)},
            )
        )
        self.judged += 1
        _log.info("visit %s judged: level %d", visit.digest().hex()[:16], judgement.level)


def open_visit_desk(
    settings: Settings, rules: Mapping[bytes, Sequence[VisitRule]], committer: Committer, say: Callable[[str], None]
) -> VisitDesk:
    """The desk of one gateway, over the file of what it saw. Raises `StoreError`."""
    return VisitDesk(
        chain_id=settings.chain_id,
        contract=settings.maintenance_contract,
        key_class="file",  # the only place for a key today
        rules=rules,
        sightings=Sightings(settings.data_dir / "visits.sqlite3", rules),
        committer=committer,
        clock=settings.clock,
        say=say,
    )


def visit_rows(visit: "Visit", judgement: Judgement, at_ms: int) -> list[EntryRow]:
    """The visit entry, and behind it the verdict that explains it."""
    digest = visit.digest()
    fields = {"visit": digest.hex(), "facts": judgement.facts, "verdict": judgement.verdict}
    detail = encode_detail(fields, salt=os.urandom(SALT_BYTES))
    seen = Series(Kind.VISIT, visit.device, VISIT)
    verdict = Series(Kind.STATUS, visit.device, VISIT_VERDICT)
    return [
        (seen.encode(at_ms, judgement.level, digest, os.urandom(SALT_BYTES)), b""),
        (verdict.encode(at_ms, judgement.level, sha256(detail).digest(), os.urandom(SALT_BYTES)), detail),
    ]
