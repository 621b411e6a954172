"""A display node, until its firmware exists: it makes its secret, tells it to its gateway once, and shows the code.

It speaks MQTT as the real one will: it takes the time from its gateway, shows nothing before it has it, and forgets its
secret never. What it shows stands in a file beside its state, and the control socket reads it out.
"""

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from paho.mqtt.client import Client, MQTTMessageInfo

from contracts.label import parse_code
from contracts.rotating import SECRET_BYTES, SLOT_S, Moment, display_link, slot_at, token
from devices.simulated.calendar import day_start_ms, next_day
from devices.simulated.publisher import Link, Publisher
from devices.simulated.schedule import HOUR_MS, Numbered

REPORT_SECONDS = 300
_SLOT_MS = SLOT_S * 1000
_TIME_END_MS = 2**45
_VISIT_MS = 8 * HOUR_MS  # no visit takes longer, but for those that nobody made


@dataclass(frozen=True, slots=True, kw_only=True)
class DisplaySettings:
    """One display: where it speaks, what its label says, and how often it reports its slot."""

    link: Link
    base: str  # https://HOST, which its codes lead to
    code: str  # of its own label
    report_seconds: int = REPORT_SECONDS
    visits_ms: tuple[int, ...] = ()  # when visits to what it stands beside begin, by whosever word
    often_from_ms: int | None = None  # until when it reports hourly but about them; None: it never does


class Reports:
    """The schedule of a display: its slot, every few minutes.

    A month that is lived through in a minute has no room for that: until `often_from_ms` it reports hourly, and as
    often as ever about the times at which a visit is said to have been.
    """

    def __init__(
        self, zone: ZoneInfo, seconds: int, *, visits_ms: Sequence[int] = (), often_from_ms: int | None = None
    ) -> None:
        self._zone = zone
        self._step_ms = seconds * 1000
        self._often = [range(start_ms - HOUR_MS, start_ms + _VISIT_MS) for start_ms in visits_ms]
        self._often.append(range(often_from_ms or 0, _TIME_END_MS))

    def count(self, day: date) -> int:
        return len(self._times(day))

    def contents(self, day: date) -> list[tuple[int, dict[str, object]]]:
        return [(at_ms, {"slot": at_ms // _SLOT_MS}) for at_ms in self._times(day)]

    def _times(self, day: date) -> Sequence[int]:
        start_ms, end_ms = day_start_ms(day, self._zone), day_start_ms(next_day(day), self._zone)
        every = range(start_ms, end_ms, self._step_ms)
        hourly = range(start_ms, end_ms, max(HOUR_MS, self._step_ms))
        often = [one for one in self._often if one.start < end_ms and one.stop > start_ms]
        if any(one.start <= start_ms and end_ms <= one.stop for one in often):
            return every
        return sorted({*hourly, *(at_ms for at_ms in every if any(at_ms in one for one in often))}) if often else hourly


class Display(Publisher):
    """One display node. Its reports are a publisher's; beside them it is paired, is told the time, and shows."""

    def __init__(self, settings: DisplaySettings, zone: ZoneInfo, state_dir: Path) -> None:
        name = settings.link.name
        reports = Reports(
            zone, settings.report_seconds, visits_ms=settings.visits_ms, often_from_ms=settings.often_from_ms
        )
        super().__init__(settings.link, Numbered(reports, zone), state_dir / f"{name}.json")
        self._base = settings.base
        self._code = parse_code(settings.code)
        self._secret_topic = f"{settings.link.topic}/secret"
        self._paired_file = state_dir / f"{name}.paired"
        self._screen_file = state_dir / f"{name}.screen"
        self._secret = _secret_of(state_dir / f"{name}.secret")
        self._told: MQTTMessageInfo | None = None  # the secret on its way
        self._beside: bytes | None = None  # the device that its gateway says it stands beside
        self._ahead_ms = 0  # how far its gateway's clock is ahead of the building's
        self._now_ms = 0
        self._shown = ""

    @property
    def is_paired(self) -> bool:
        """Whether its gateway acknowledged the secret."""
        return self._paired_file.exists()

    def step(self, now_ms: int) -> None:
        """Publish what is due, be paired, and show what counts now."""
        self._now_ms = now_ms
        super().step(now_ms)
        self._pair()
        shown = self.shown(now_ms)
        if shown != self._shown:
            self._shown = shown
            self._screen_file.write_text(shown, encoding="ascii")

    def shown(self, now_ms: int) -> str:
        """The text of the QR code on its screen; "" as long as it does not know the time or where it stands."""
        if self._beside is None:
            return ""
        slot = slot_at((now_ms + self._ahead_ms) // 1000)
        return display_link(self._base, self._code, Moment(slot, token(self._secret, self._beside, slot)))

    def showed(self, at_ms: int) -> str:
        """What it showed at an instant, had its clock been right; "" before it knows where it stands.

        A month that runs thousands of times faster than the wires makes hours of their milliseconds, which no
        display's clock would be wrong by.
        """
        if self._beside is None:
            return ""
        slot = slot_at(at_ms // 1000)
        return display_link(self._base, self._code, Moment(slot, token(self._secret, self._beside, slot)))

    def pair_again(self) -> None:
        """As after a factory reset, but with the same secret: tell it once more."""
        self._paired_file.unlink(missing_ok=True)

    def _pair(self) -> None:
        if self.is_paired or not self.is_connected:
            return
        if self._told is None:
            self._told = self._client.publish(self._secret_topic, self._secret.hex().encode(), qos=1)
        elif self._told.is_published():
            self._told = None
            self.acknowledged_count += 1  # a message like any other, to who counts them at both ends
            self._paired_file.touch()

    def _on_message(self, client: Client, userdata: Any, message: Any) -> None:
        """A command of the gateway, in paho's thread; what is not understood changes nothing."""
        super()._on_message(client, userdata, message)
        with suppress(ValueError, KeyError, TypeError):
            told = json.loads(message.payload)
            time_ms, beside = int(told["time_ms"]), bytes.fromhex(told["device"])
            if len(beside) == 32 and 0 < time_ms < _TIME_END_MS:
                self._ahead_ms, self._beside = time_ms - self._now_ms, beside


def _secret_of(path: Path) -> bytes:
    """The secret in a file that only its owner reads, made from the system's random source on first use."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(os.urandom(SECRET_BYTES).hex())
    return bytes.fromhex(path.read_text(encoding="ascii"))
