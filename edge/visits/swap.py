"""Meter swaps at the gateway: what it read of both meters, and the boundary entries that end one account and begin the
other.

The entries hold the gateway's own readings, never what the crew noted: the last value that the old meter told, and the
first one of the new. Where something speaks against the swap none are made, and midnights get theirs as ever.
"""

import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from contracts.clock import Clock
from contracts.quantities import boundary_quantity
from edge.committer import Committer
from edge.errors import VisitRefusedError
from edge.recorder import DeviceRecorder
from edge.registers import Registers
from edge.visits.finding import Finding
from edge.visits.items import SILENT_MS
from edge.visits.readings import believed_since
from edge.visits.swap_rules import SwapSeen, is_agreed, seen_of

if TYPE_CHECKING:
    from contracts.bundle import Bundle
    from contracts.checklist import MeterSwap

OLD_HEARD_MS = (
    3_600_000  # how long one is waited for that is not asked on a bus: it may still turn out to tell something
)
_log = logging.getLogger("edge.visits")


def swap_of(bundle: "Bundle") -> "MeterSwap | None":
    """The swap that a visit's list notes, if it does."""
    return None if bundle.checklist is None else bundle.checklist.meter


class Swaps:
    """Looks at the log for both meters of a visit."""

    def __init__(
        self, recorders: Mapping[bytes, DeviceRecorder], registers: Registers, committer: Committer, clock: Clock
    ) -> None:
        """`recorders`: of every device of this gateway."""
        self._recorders = recorders
        self._registers = registers
        self._committer = committer
        self._clock = clock

    def check(self, bundle: "Bundle") -> None:
        """Refuse a swap that no reading of this gateway could confirm. Raises `VisitRefusedError`."""
        noted = swap_of(bundle)
        if noted is None:
            return
        if noted.old != bundle.visit.device:
            raise VisitRefusedError("its list takes down another meter than the one it is signed for")
        for device in (noted.old, noted.new):
            recorder = self._recorders.get(device)
            if recorder is None:
                raise VisitRefusedError(
                    f"meter {device.hex()[:16]}… is none of this gateway's; give it a [[device]] with spare = true"
                )
            if noted.quantity not in recorder.cumulative:
                raise VisitRefusedError(f"{noted.quantity} is no register of meter {recorder.urn}")
        day = self._registers.days.day_of(bundle.visit.ended_at_s * 1000) + timedelta(days=1)
        if noted.day != day:
            raise VisitRefusedError(f"it lets the new meter count from {noted.day} on; a swap counts from {day} on")

    def is_ready(self, bundle: "Bundle", wait_from_ms: int) -> bool:
        """Whether the new meter has told something since, and the old one had its time to answer."""
        noted = swap_of(bundle)
        assert noted is not None, "asked about swaps alone"
        if not self._recorders[noted.new].may_use_last_reading():
            return False  # what the cloud holds of this log is not known yet
        now_ms, ended_ms = self._clock.now_ms(), bundle.visit.ended_at_s * 1000
        if now_ms >= wait_from_ms + SILENT_MS:
            return True
        last = self._registers.state(noted.new, noted.quantity).last
        if last is None or last[1] <= ended_ms:
            return False
        return self._recorders[noted.old].unanswered_ms > ended_ms or now_ms >= ended_ms + OLD_HEARD_MS

    def look(self, bundle: "Bundle") -> SwapSeen | None:
        """What the log holds of both meters around a visit; None where its list notes no swap."""
        noted = swap_of(bundle)
        if noted is None:
            return None
        times_ms = bundle.visit.started_at_s * 1000, bundle.visit.ended_at_s * 1000
        counted = boundary_quantity(noted.quantity, noted.day - timedelta(days=1))
        reader = self._committer.store.reader()
        try:
            told = believed_since(reader, (noted.old, noted.new), times_ms[0] - SILENT_MS)
            has_counted = reader.has_boundary(noted.new, counted)
        finally:
            reader.close()
        limits = self._recorders[noted.old].limits_of(noted.quantity)
        assert limits is not None, "checked"
        seen = seen_of(noted, limits, times_ms, told[noted.old], told[noted.new])
        return seen.heard_before(self._registers.days.start_ms(noted.day) - 1) if has_counted else seen

    def log(self, bundle: "Bundle", seen: SwapSeen, findings: Mapping[str, Finding]) -> None:
        """The boundary entries of both meters. They go before the verdict: a visit that is judged has them."""
        noted, visit = seen.noted, bundle.visit.digest()
        if not is_agreed(seen, findings):
            _log.warning("visit %s: what was read speaks against the swap; it makes no entries", visit.hex()[:16])
            return
        now_ms = self._clock.now_ms()
        for device, registers in ((noted.old, seen.last), (noted.new, seen.first)):
            recorder = self._recorders[device]
            for quantity in recorder.cumulative:
                if quantity in registers:
                    recorder.swap_boundary(quantity, noted.day, registers[quantity], visit, now_ms)
