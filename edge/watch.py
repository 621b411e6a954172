"""Watches machines between visits: what their profiles' `[[watch]]` rules conclude becomes a status entry, once a turn.

It looks at what was logged, by the devices' own time, so that a module which was cut off and comes back tells no fault
that is over. What was said last stands in the log's own state, in one transaction with the entry.
"""

import json
import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from hashlib import sha256

from contracts.clock import Clock
from contracts.detail import encode_detail
from contracts.entry import SALT_BYTES, Kind, Series
from contracts.quantities import DEVICE_ONLINE
from devices.watch_rules import WatchRule
from edge.committer import Committer, Submission
from edge.log_store import EntryRow
from edge.visits.items import SILENT_MS, Track
from edge.visits.sightings import Sightings

STATE = "watch"
Line = tuple[bool, int]
"""Whether a device is connected, and how many connections it has made since the start."""
_QUIET_SECONDS = 60.0  # by the clock that never steps: a wrong wall clock alone makes nobody silent


class Watch:
    """Looks when it is told to, after what was logged was looked through."""

    def __init__(
        self, rules: Mapping[bytes, Sequence[WatchRule]], sightings: Sightings, committer: Committer, clock: Clock,
        lined: Collection[bytes] = (), *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        """`rules`: by device; `lined`: the devices whose line to the endpoint is told."""
        self.lines: Callable[[], Mapping[bytes, Line]] = dict
        self._lined = frozenset(lined)
        self._made: dict[bytes, int] = {}  # connections of each, when it was looked at last
        self._rules = rules
        self._sightings = sightings
        self._committer = committer
        self._clock = clock
        self._monotonic = monotonic
        self._noticed: dict[str, tuple[int, int, float]] = {}  # the last report, and when this process noticed it
        self._origin = ""
        self._said: dict[str, int] = {}  # by device and status

    def look(self) -> None:
        """Log what has changed."""
        if not (self._rules or self._lined):
            return
        if self._origin != self._committer.store.origin:
            self._recall()
        now_ms = self._clock.now_ms()
        for device, rules in self._rules.items():
            for rule in rules:
                name = f"{device.hex()[:16]} {rule.says}"
                track = self._sightings.latest(device, rule.quantity, now_ms)
                found = (
                    self._silence(name, rule, track, now_ms) if rule.is_of_silence else conclude(rule, track, now_ms)
                )
                if found is not None and found[0] != self._said.get(name, 0):
                    detail = {"since_ms": found[1], "of": rule.quantity}
                    self._say(name, device, rule.says, found[0], detail, now_ms)
        for device, line in self.lines().items():
            if device in self._lined:
                self._look_at(device, line, now_ms)

    def _silence(self, name: str, rule: WatchRule, track: Track, now_ms: int) -> tuple[int, int] | None:
        """As `conclude`; a silence is counted from when this process began to listen, or heard the device last."""
        if not track:
            return None  # it never spoke
        last_ms = track[-1][0]
        if self._noticed.get(name, (0, 0, 0.0))[0] != last_ms:
            self._noticed[name] = last_ms, now_ms, self._monotonic()
        _, noticed_ms, noticed_at = self._noticed[name]
        if now_ms - last_ms <= rule.seconds * 1000:
            return 0, last_ms
        is_long = now_ms - noticed_ms > rule.seconds * 1000 and self._monotonic() - noticed_at >= _QUIET_SECONDS
        return (1, last_ms) if is_long else None

    def _look_at(self, device: bytes, line: Line, now_ms: int) -> None:
        """Tell that a device lost its line or is back; one that came and went between two looks did both.

        What this process has not seen connected yet may be on its way: a start of the gateway says nothing of devices.
        """
        is_on, made = line
        name = f"{device.hex()[:16]} {DEVICE_ONLINE}"
        before = self._made.get(device, 0)
        self._made[device] = made
        if made and self._said.get(name, 1) and (not is_on or 0 < before < made):
            self._say(name, device, DEVICE_ONLINE, 0, {}, now_ms)
        if is_on and not self._said.get(name, 1):
            self._say(name, device, DEVICE_ONLINE, 1, {}, now_ms)

    def _say(self, name: str, device: bytes, says: str, value: int, fields: Mapping[str, object], now_ms: int) -> None:
        self._said[name] = value
        detail = encode_detail(fields, salt=os.urandom(SALT_BYTES))
        series = Series(Kind.STATUS, device, says)
        row: EntryRow = (series.encode(now_ms, value, sha256(detail).digest(), os.urandom(SALT_BYTES)), detail)
        self._committer.submit(Submission([row], states={STATE: json.dumps(self._said).encode()}))

    def _recall(self) -> None:
        store = self._committer.store
        reader = store.reader()
        try:
            self._said = json.loads(reader.state(STATE) or b"{}")
        finally:
            reader.close()
        self._origin = store.origin


def conclude(rule: WatchRule, track: Track, now_ms: int) -> tuple[int, int] | None:
    """What a rule concludes, and since when (ms): 1 out of order, 0 in order again; None where nothing new follows.

    Args:
        track: the quantity as it was told of late, oldest first.
    """
    if not track or now_ms - track[-1][0] > SILENT_MS:
        return None  # nobody knows what the machine does now
    last_ms, last = track[-1]
    if last in rule.sound:
        return 0, last_ms
    since_ms = None
    for at_ms, value in reversed(track):
        if value not in rule.faulty:
            break
        since_ms = at_ms
    if since_ms is None or now_ms - since_ms < rule.seconds * 1000:
        return None
    return 1, since_ms
