"""The building's RS-485 bus: a pseudo-terminal with many DL/T 645 meters on it, half-duplex, one pair of wires.

The terminal's other end has a name that stays: a symbolic link, replaced at every start. We keep that end open too, so
that the gateway may close and reopen it as it likes.
"""

import asyncio
import os
import tty
from functools import reduce
from pathlib import Path

from contracts.clock import Clock
from devices.dlt645.frame import REPLY, WAKE_UP, Frame, FrameScanner, encode_frame
from devices.simulated.chance import draw
from devices.simulated.fault import Fault, Faults
from devices.simulated.meter import Meter

READ_BYTES = 4096
LATE_SECONDS = 2.5
"""Longer than a master waits, with all its tries."""
REPLY_WAKE_UP = bytes((WAKE_UP,)) * 4


class Bus:
    """Serves the meters on a pseudo-terminal. `frames_answered` counts replies that were sent whole and in time."""

    def __init__(self, *, link: Path, meters: list[Meter], clock: Clock, seed: int, faults: Faults) -> None:
        self._link = link
        self._meters = {meter.address: meter for meter in meters}
        self._clock = clock
        self._seed = seed
        self._faults = faults
        self._scanner = FrameScanner()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._master = self._slave = -1
        self.frames_answered = 0
        self.frames_asked = 0

    def open(self, loop: asyncio.AbstractEventLoop) -> None:
        """Open the terminal, name it, and answer from now on."""
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self._link.parent.mkdir(parents=True, exist_ok=True)
        next_link = self._link.with_name(f"{self._link.name}.next")
        next_link.unlink(missing_ok=True)
        next_link.symlink_to(os.ttyname(self._slave))
        next_link.replace(self._link)
        self._loop = loop
        loop.add_reader(self._master, self._readable)

    def hang(self, meter: Meter, *, instead_of: str) -> None:
        """Let a meter take another one's place on the wires."""
        del self._meters[instead_of]
        self._meters[meter.address] = meter

    def close(self) -> None:
        """Stop answering; the link goes, so that nobody opens a terminal that is gone."""
        if self._loop is not None:
            self._loop.remove_reader(self._master)
            self._loop = None
            self._link.unlink(missing_ok=True)
            os.close(self._master)
            os.close(self._slave)

    def _readable(self) -> None:
        for frame in self._scanner.feed(os.read(self._master, READ_BYTES)):
            if not frame.control & REPLY:
                self._asked(frame)

    def _asked(self, frame: Frame) -> None:
        self.frames_asked += 1
        now_ms = self._clock.now_ms()
        meter = self._meters.get(frame.address)
        if meter is not None:
            self._answer(meter, frame, now_ms)
        elif frame.address[0] == "A":
            self._answer_together(frame, now_ms)

    def _answer(self, meter: Meter, frame: Frame, now_ms: int) -> None:
        fault = self._faults.take(meter.address)
        meter.is_backwards = fault is Fault.BACKWARDS
        reply = meter.answer(frame, now_ms)
        meter.is_backwards = False
        if reply is None:
            return
        if fault is None or fault is Fault.BACKWARDS:
            self._write(REPLY_WAKE_UP + encode_frame(reply))
            self.frames_answered += 1
        else:
            self._answer_wrongly(fault, REPLY_WAKE_UP + encode_frame(reply))

    def _answer_wrongly(self, fault: Fault, reply: bytes) -> None:
        loop = self._loop
        assert loop is not None
        if fault is Fault.LATE:
            loop.call_later(LATE_SECONDS, self._write, reply)
        elif fault is Fault.DOUBLED:
            self._write(reply + reply)
            self.frames_answered += 1
        elif fault is Fault.CUT:
            self._write(reply[: len(reply) // 2])
        elif fault is Fault.NOISE:
            noise = draw(self._seed, "noise", self.frames_asked).to_bytes(8, "big")
            position = 5 + noise[0] % (len(reply) - 5)
            self._write(noise + reply[:position] + bytes((reply[position] ^ (noise[1] | 1),)) + reply[position + 1 :])

    def _answer_together(self, frame: Frame, now_ms: int) -> None:
        """All meters that a wildcard names drive the wires at once: a zero of any of them wins."""
        ending = frame.address.lstrip("A")
        replies = [
            REPLY_WAKE_UP + encode_frame(reply)
            for address, meter in self._meters.items()
            if address.endswith(ending) and (reply := meter.answer(frame, now_ms)) is not None
        ]
        if replies:
            self._write(reduce(_collide, replies))
            self.frames_answered += len(replies) == 1

    def _write(self, reply: bytes) -> None:
        if self._loop is not None:
            try:
                os.write(self._master, reply)
            except BlockingIOError:
                return  # nobody reads the line, and it is full: the bytes are lost, as on a real one


def _collide(first: bytes, second: bytes) -> bytes:
    length = max(len(first), len(second))
    pairs = zip(first.ljust(length, b"\xff"), second.ljust(length, b"\xff"), strict=True)
    return bytes(left & right for left, right in pairs)
