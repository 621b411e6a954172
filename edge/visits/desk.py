"""The desk where signed visits arrive, wait until their machine has spoken, and leave as two entries of the log.

A visit is judged once: its digest stands in the log's own table of things that happen once, written in the same
transaction as its entries and carried into later epochs. Until then its message stays unacknowledged, so that a
gateway that is killed meanwhile gets it again. What is refused is told on the status page and leaves no entry.

A visit whose times this gateway's clock cannot be right about, still to come or long past, is not refused for that: the
clock may be the wrong one, and an entry that it dates would be refused by the contract for good. It waits, unjudged,
until the clock agrees or two days have gone by on the one that never steps; only so many wait so at once. Nothing is
judged that the clock does not allow, so that waiting makes no old visit a fresh one.
"""

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contracts.clock import Clock
from contracts.detail import decode_detail
from contracts.errors import ContractsError
from contracts.quantities import DEVICE_ONLINE, VISIT
from devices.visit_rules import CALIBRATION_FORMS, SWAP_FORMS, RuleForm, VisitRule
from edge.calendar_days import LocalDays
from edge.committer import Committer, Submission
from edge.errors import VisitRefusedError
from edge.visits.calibration import Calibrations
from edge.visits.calibration_rules import MeterHeard
from edge.visits.finding import UNPROVEN, Finding
from edge.visits.items import SILENT_MS, Track, Window, asked_by, cut_off, without
from edge.visits.judge import Judgement, judge, window_of
from edge.visits.rows import visit_rows
from edge.visits.sightings import ACCESS_GRANTED, Sightings
from edge.visits.swap import Swaps, swap_of
from edge.visits.swap_rules import SwapSeen
from edge.visits.verdicts import line_of
from edge.watch import Line, Watch

if TYPE_CHECKING:
    from contracts.bundle import Bundle
    from contracts.pack import Pack
    from contracts.visit import Visit
    from edge.presence import NoncePage, PresenceDesk
    from edge.visits.plans import Plans

HELD_MAX = 1000
DOUBTED_MAX = 100  # of them, so that no crew with a bad clock keeps the others out
DOUBTED_SECONDS = 2 * 86_400.0
_OWN_LEVEL_MAX = 2  # of a gateway that testifies for itself
_REPAIR = 0  # VisitClass.REPAIR, whose module is loaded with the first visit
_LOOK_SECONDS = 10.0  # how often the log is looked through when nobody waits
_WAITING_SECONDS = 0.25
_NO_CONTRACT = "[maintenance] contract is not in this gateway's settings; name it there"
_log = logging.getLogger("edge.visits")


class VisitDesk:
    """Takes visits from the mail and gives entries to the committer."""

    def __init__(
        self, *, chain_id: int, contract: str, key_class: str, gateway: bytes,
        rules: Mapping[bytes, Sequence[VisitRule]], doors: Mapping[bytes, Sequence[bytes]], packs: Sequence[Path],
        sightings: Sightings, presence: "PresenceDesk | None", swaps: Swaps, calibrations: Calibrations, watch: Watch,
        committer: Committer, clock: Clock, days: LocalDays, say: Callable[[str], None], steps: Callable[[], int],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        """`gateway`: itself; `doors`: those beside each device; `packs`: files of plans of others; `steps`: by how much
        the clock was set since it was last asked, ms.
        """
        self._chain_id = chain_id
        self._contract = contract
        self._key_class = key_class
        self._gateway = gateway
        self._rules = rules
        self._doors = doors
        self._pack_files = packs
        self._sightings = sightings
        self._presence = presence
        self._swaps = swaps
        self._calibrations = calibrations
        self._watch = watch
        self._committer = committer
        self._clock = clock
        self._days = days
        self._say = say
        self._steps = steps
        self._monotonic = monotonic
        self._held: dict[int, Bundle] = {}  # by the number of their messages
        self._taken_at_ms: dict[int, int] = {}
        self._shown: dict[int, tuple[Bundle, bool]] = {}  # of those that others wait beside
        self._doubted: dict[int, float] = {}  # which of them the clock disagrees with, and since when
        self._origin = ""  # of the log whose mail is taken
        self._taken = 0  # number of the last message that was taken, of whatever kind
        self._arrived = asyncio.Event()
        self.judged = 0
        self.refused = 0

    # ---- for the mailbox ----

    def start_epoch(self, origin: str) -> None:
        """A new log: its mail is numbered anew, and what waited comes again."""
        self._origin = origin
        self._held.clear()
        self._taken_at_ms.clear()
        self._doubted.clear()
        self._shown.clear()

    async def take(self, number: int, body: Mapping[str, Any]) -> None:
        """Receive one visit message; what is wrong with it is told, and the message is done with."""
        try:
            bundle = await asyncio.to_thread(self._checked, body)
        except (ContractsError, VisitRefusedError) as error:
            self.refused += 1
            self._say(f"visit in message {number} is refused: {error}")
            return
        digest = bundle.visit.digest()
        held = next((at for at, one in self._held.items() if one.visit.digest() == digest), None)
        if held is None:
            self._held[number] = bundle
            self._taken_at_ms[number] = self._clock.now_ms()
            self._arrived.set()
        elif bundle.checklist is not None and self._held[held].checklist is None:
            self._held[held] = bundle  # a stranger handed in the record alone, and its crew now brings the rest

    def acknowledged(self, number: int) -> bytes:
        """Up to which message everything is done with, after message `number`: what the log remembers."""
        self._taken = number
        return str(min(self._held, default=number + 1) - 1).encode()

    def _checked(self, body: Mapping[str, Any]) -> "Bundle":
        if not self._contract:
            raise VisitRefusedError(_NO_CONTRACT)
        from edge.visits.check import check_visit  # see there why not before

        bundle = check_visit(body, chain_id=self._chain_id, contract=self._contract, devices=self._rules.keys())
        visit = bundle.visit
        if self._is_judged(visit):
            raise VisitRefusedError(f"visit {visit.digest().hex()[:16]}… was judged before")
        if len(self._held) >= HELD_MAX:
            raise VisitRefusedError(f"{HELD_MAX} visits wait already; it may be sent again when they are judged")
        pack = self._plans.of(visit.plan)
        if pack is not None and bundle.checklist is not None:
            bundle.checklist.check(pack)
        self._swaps.check(bundle)
        return bundle

    def _is_judged(self, visit: "Visit") -> bool:
        reader = self._committer.store.reader()
        try:
            return reader.has_boundary(visit.digest(), VISIT)
        finally:
            reader.close()

    @cached_property
    def _plans(self) -> "Plans":
        from edge.visits.plans import Plans  # with the first visit, as `check` is

        return Plans(self._pack_files)

    def close(self) -> None:
        """Close the stores of what was seen."""
        self._sightings.close()
        if self._presence is not None:
            self._presence.close()

    def nonce_page(self, crew_urls: Sequence[str]) -> "NoncePage | None":
        """The page that gives out the building's nonces; None where no crew page is named that they could go to."""
        if self._presence is None or not crew_urls:
            return None
        return self._presence.nonce_page(self._rules.keys(), crew_urls)

    def listen_to(self, lines: Callable[[], Mapping[bytes, Line]]) -> None:
        """How the lines of devices at the endpoint stand, asked again and again."""
        self._watch.lines = lines

    # ---- its own task ----

    async def run(self) -> None:
        """Look through the log and judge what is ready, until cancelled."""
        while True:
            self._arrived.clear()
            try:
                await self._turn()
            except sqlite3.OperationalError as error:
                _log.warning("visits: %s; looking again later", error)
            except sqlite3.DatabaseError as error:
                self._sightings.make_anew(error)  # what waits is judged when the log was looked through again
            seconds = _WAITING_SECONDS if len(self._held) > len(self._doubted) else _LOOK_SECONDS
            try:
                async with asyncio.timeout(seconds):
                    await self._arrived.wait()
            except TimeoutError:
                continue

    async def _turn(self) -> None:
        await asyncio.to_thread(self._look)
        self._watch.look()
        step_ms = self._steps()
        self._taken_at_ms = {number: at_ms + step_ms for number, at_ms in self._taken_at_ms.items()}
        for number, bundle in sorted(self._held.items()):
            try:
                if self._held.get(number) is not bundle or self._is_doubted(number, bundle):
                    continue  # another log, or a fuller one, came meanwhile; or the clock disagrees
                if self._gives_way(number, bundle):
                    continue
                if self._is_ready(number, bundle):
                    swap = await asyncio.to_thread(self._swaps.look, bundle)
                    meter = await asyncio.to_thread(self._calibrations.look, bundle.visit)
                    if self._held.get(number) is bundle:  # and no fuller one, or another log, came meanwhile
                        self._log(number, bundle, swap, meter)
            except sqlite3.Error:
                raise
            except Exception as error:  # noqa: BLE001 - whatever one visit breaks, the others behind it are judged
                self._set_aside(number, bundle, error)

    def _look(self) -> None:
        store = self._committer.store
        reader = store.reader()
        try:
            self._sightings.fold(reader, store.origin)
        finally:
            reader.close()

    def _is_doubted(self, number: int, bundle: "Bundle") -> bool:
        """Whether the clock disagrees with a visit's times. It is told once, and at last the visit is done with."""
        from edge.visits.check import doubt_about

        doubt, digest = doubt_about(bundle.visit, self._clock.now_ms()), bundle.visit.digest().hex()[:16]
        if not doubt:
            self._doubted.pop(number, None)
            return False
        since = self._doubted.get(number)
        if since is None and len(self._doubted) < DOUBTED_MAX:
            self._doubted[number] = self._monotonic()
            self._say(f"visit {digest}… in message {number} waits: {doubt}; or this gateway's is wrong, then check NTP")
        elif since is None or self._monotonic() >= since + DOUBTED_SECONDS:
            self._let_go(number)
            self._say(f"visit {digest}… in message {number} is refused: {doubt}")
        return True

    def _gives_way(self, number: int, bundle: "Bundle") -> bool:
        """Whether nobody was shown to be there, and a visit of others over the same time waits whose people were.

        That one is judged first, whichever came first: the machine's work is credited once. None gives way to one that
        gives way itself, so that all come to their turn.
        """
        rivals = [other for other, one in self._beside(bundle).items() if _meet(bundle.visit, one.visit)]
        return bool(rivals) and not self._is_shown(number) and any(map(self._is_shown, rivals))

    def _is_shown(self, number: int) -> bool:
        """Whether a visit's people were there, by the display's codes or the like; asked once of each that waits."""
        bundle, known = self._held[number], self._shown.get(number)
        if known is None or known[0] is not bundle:
            found = None if self._presence is None else self._presence.find(bundle).word
            known = self._shown[number] = bundle, found is Finding.CONFIRMED
        return known[1]

    def _let_go(self, number: int) -> None:
        self._forget(number)
        self.refused += 1

    def _forget(self, number: int) -> None:
        for held in (self._held, self._taken_at_ms, self._doubted, self._shown):
            held.pop(number, None)

    def _set_aside(self, number: int, bundle: "Bundle", error: Exception) -> None:
        """Done with, and told: it may be handed in again to a program that is put right."""
        self._let_go(number)
        digest = bundle.visit.digest().hex()[:16]
        _log.error("visit %s… cannot be judged", digest, exc_info=error)
        self._say(
            f"visit {digest}… in message {number} cannot be judged: {type(error).__name__}; see the program's log"
        )

    def _is_ready(self, number: int, bundle: "Bundle") -> bool:
        """Whether the machine has told what came after, or has been silent for too long to wait on.

        An old visit waits as well: after a power cut its message may come before what the lift's module still keeps.
        """
        visit = bundle.visit
        end_ms, now_ms = window_of(visit)[1], self._clock.now_ms()
        if visit.device == self._gateway:
            return now_ms >= end_ms
        wait_from_ms = max(end_ms, self._taken_at_ms[number])
        if swap_of(bundle) is not None:
            return self._swaps.is_ready(bundle, wait_from_ms)
        is_heard = self._sightings.heard_after(visit.device, end_ms, now_ms)
        is_heard = is_heard or self._calibrations.heard_after(visit.device, end_ms)
        return is_heard or now_ms >= wait_from_ms + SILENT_MS

    def _judged(self, bundle: "Bundle", swap: SwapSeen | None, meter: MeterHeard | None) -> Judgement:
        visit = bundle.visit
        pack = self._plans.of(visit.plan)
        rules = [rule for rule in self._rules[visit.device] if _fits(rule, pack, swap)]
        line = self._line_of(visit)
        judgement = judge(
            visit, rules, self._tracks(visit, rules),
            asked=asked_by(rules, pack, visit.visit_class, bundle.checklist),
            due=asked_by(rules, pack, visit.visit_class, None),
            presence=UNPROVEN if self._presence is None else self._presence.find(bundle),
            key_class=self._key_class,
            taken=self._others_work(bundle, line),
            level_max=_OWN_LEVEL_MAX if visit.device == self._gateway else 4,
            swap=swap,
            meter=meter,
        )  # fmt: skip
        return judgement if not line else replace(judgement, facts={**judgement.facts, "line": line.hex()})

    def _line_of(self, visit: "Visit") -> bytes:
        """The visits of which one is paid for; empty for a repair, which its order pays."""
        if visit.visit_class == _REPAIR:
            return b""
        return line_of(visit, self._days.day_of(visit.ended_at_s * 1000))

    def _others_work(self, bundle: "Bundle", line: bytes) -> list[Window]:
        """What is another visit's: the work that one was credited with, and the time of one that waits beside this."""
        visit = bundle.visit
        if not line:
            return []
        used = self._sightings.credited(visit.device, window_of(visit))
        taken = [one.work for one in used if one.work and one.visit != visit.digest() and one.line != line]
        own = (visit.started_at_s * 1000, visit.ended_at_s * 1000)
        for other in (one.visit for one in self._beside(bundle).values()):
            taken += without((other.started_at_s * 1000, other.ended_at_s * 1000), [own])
        return taken

    def _beside(self, bundle: "Bundle") -> Mapping[int, "Bundle"]:
        """The visits of other lines at the same device that wait to be judged, by the numbers of their messages."""
        line = self._line_of(bundle.visit)
        same = {
            number: one
            for number, one in self._held.items()
            if line and one.visit.device == bundle.visit.device and number not in self._doubted
        }
        return {number: one for number, one in same.items() if self._line_of(one.visit) not in (b"", line)}

    def _log(self, number: int, bundle: "Bundle", swap: SwapSeen | None, meter: MeterHeard | None) -> None:
        visit, judgement = bundle.visit, self._judged(bundle, swap, meter)
        if swap is not None:
            self._swaps.log(bundle, swap, judgement.findings)
        rows = visit_rows(visit, judgement, self._clock.now_ms())
        self._sightings.expect(visit.device, decode_detail(rows[1][1]))
        self._forget(number)
        self._committer.submit(
            Submission(
                rows,
                boundary=(visit.digest(), VISIT),
                states={"mail": self.acknowledged(self._taken)},
                origin=self._origin,
            )
        )
        self.judged += 1
        _log.info("visit %s judged: level %d", visit.digest().hex()[:16], judgement.level)

    def _tracks(self, visit: "Visit", rules: Sequence[VisitRule]) -> dict[str, Track]:
        """What the device said, and who of the crews passed a door beside it."""
        window = window_of(visit)
        tracks = self._sightings.tracks(visit.device, window)
        if any(rule.form is RuleForm.PASSED for rule in rules):
            doors = self._doors.get(visit.device, ())
            passed = [one for door in doors for one in self._sightings.tracks(door, window)[ACCESS_GRANTED]]
            tracks[ACCESS_GRANTED] = sorted(passed)
        if not any(rule.quantity == DEVICE_ONLINE for rule in rules):
            tracks = cut_off(tracks, tracks.pop(DEVICE_ONLINE, ()), rules)
        if visit.device == self._gateway:
            tracks["gateway"] = [(window[0], 1)]  # what it did not log did not happen
        return tracks


def _meet(one: "Visit", other: "Visit") -> bool:
    """Whether both are judged by some of the same time."""
    mine, theirs = window_of(one), window_of(other)
    return mine[0] < theirs[1] and theirs[0] < mine[1]


def _fits(rule: VisitRule, pack: "Pack | None", swap: SwapSeen | None) -> bool:
    """Whether a rule about meters asks about a visit of this kind; all other rules ask about every visit.

    That a meter was calibrated is said by the pack, whatever the list leaves away or notes beside it.
    """
    if rule.form in CALIBRATION_FORMS:
        return swap is None if pack is None else rule.item in pack.shows
    return swap is not None or rule.form not in SWAP_FORMS
