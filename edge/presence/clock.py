"""Sets the clocks of the gateway's displays: what a display shows must mean the same time to both."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence

from contracts.clock import Clock

_LOOK_SECONDS = 1.0
_EVERY_SECONDS = 15

Send = Callable[[bytes], int]
"""Sends a command to one display; how many of its connections took it."""


class DisplayClocks:
    """Tells each display the time and what it stands beside, as `{"time_ms":…,"device":"<64 hex>"}`."""

    def __init__(self, sends: Mapping[bytes, Sequence[Send]], clock: Clock) -> None:
        """`sends`: by the hash of the device that the displays stand beside."""
        self._sends = [(device, send) for device, beside in sends.items() for send in beside]
        self._clock = clock

    async def run(self) -> None:
        """Until cancelled: every 15 s, and as soon as a display is back that was not there."""
        rest = [0] * len(self._sends)  # looks until each is told again
        while True:
            for number, (device, send) in enumerate(self._sends):
                rest[number] -= 1
                if rest[number] < 0:
                    told = {"time_ms": self._clock.now_ms(), "device": device.hex()}
                    rest[number] = _EVERY_SECONDS if send(json.dumps(told).encode()) else 0
            await asyncio.sleep(_LOOK_SECONDS)
