"""The state machine of one DL/T 645 bus: bytes and the time in, events and bytes out. One question at a time.

The line is half-duplex and shared: a question is repeated when its answer does not come or is damaged, replies that
nobody asked for are reported and dropped, and an echo of our own question is ignored.
"""

from dataclasses import dataclass

from devices.dlt645.frame import (
    DATA_BYTES_MAX,
    FRAME_BYTES_MIN,
    MORE,
    REFUSED,
    REPLY,
    WAKE_UP,
    Frame,
    FrameScanner,
    encode_frame,
)
from devices.dlt645.request import (
    CONTROL_MASK,
    DATA_ID_BYTES,
    Answered,
    Event,
    NoAnswer,
    Noise,
    Outcome,
    ReadAddress,
    ReadData,
    Refused,
    Request,
    Unasked,
)

BITS_PER_BYTE = 11
"""Start, 8 data, parity, stop."""
SEGMENTS_MAX = 255
LONGEST_REPLY_BYTES = FRAME_BYTES_MIN + DATA_BYTES_MAX + 16  # wake-up bytes too


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How patient a master is. The standard gives a meter 500 ms to begin its reply and 500 ms between bytes."""

    baud: int = 2400
    wake_up_bytes: int = 4
    reply_timeout_seconds: float = 0.6
    gap_seconds: float = 0.5
    retries: int = 2

    def sending_seconds(self, count: int) -> float:
        """How long `count` bytes are on the line."""
        return count * BITS_PER_BYTE / self.baud


@dataclass(frozen=True, slots=True)
class Step:
    """What to write to the port, and what happened."""

    send: bytes = b""
    events: tuple[Event, ...] = ()


_NOTHING = Step()


class Connection:
    """Asks one question at a time. `deadline` (monotonic seconds) is when to call `tick`; None while idle.

    Feed whatever waits in the port to `receive` before `start`, so that a late reply cannot pass for the new answer.
    """

    __slots__ = ("_expected", "_heard", "_parts", "_patience_ends", "_question", "_request",
                 "_scanner", "_segment", "_timing", "_tries", "deadline")  # fmt: skip

    def __init__(self, timing: Timing) -> None:
        self._timing = timing
        self._scanner = FrameScanner()
        self._request: Request | None = None
        self._question = b""
        self._expected = 0
        self._parts: list[bytes] = []
        self._segment = 0
        self._tries = 0
        self._heard = False
        self._patience_ends = 0.0
        self.deadline: float | None = None

    @property
    def is_idle(self) -> bool:
        return self._request is None

    def start(self, request: Request, now: float) -> bytes:
        """Begin a question; the bytes to write."""
        assert self._request is None, "one question at a time: wait for its outcome"
        self._scanner.flush()
        self._request = request
        self._parts = []
        self._segment = 0
        return self._ask(request.frame(), now)

    def receive(self, chunk: bytes, now: float) -> Step:
        """Take what the port gave."""
        garbage = self._scanner.garbage_bytes
        step = self._take(self._scanner.feed(chunk), now)
        if self._request is not None and not step.send:
            self._heard = True
            self.deadline = min(now + self._timing.gap_seconds, self._patience_ends)
            if now >= self._patience_ends:  # a line that never falls silent must not hold the bus for ever
                step = self._repeat_or_give_up(step, now)
        return self._with_noise(step, garbage)

    def tick(self, now: float) -> Step:
        """Call when `deadline` has passed: silence ends a damaged answer, and the question is repeated or given up."""
        if self.deadline is None or now < self.deadline:
            return _NOTHING
        garbage = self._scanner.garbage_bytes
        step = self._take(self._scanner.flush(), now)
        if self._request is not None and not step.send:
            step = self._repeat_or_give_up(step, now)
        return self._with_noise(step, garbage)

    def _ask(self, frame: Frame, now: float) -> bytes:
        self._question = bytes((WAKE_UP,)) * self._timing.wake_up_bytes + encode_frame(frame)
        self._expected = frame.control | REPLY
        self._tries = 0
        self._heard = False
        return self._send(now)

    def _send(self, now: float) -> bytes:
        self._tries += 1
        timing = self._timing
        self.deadline = now + timing.sending_seconds(len(self._question)) + timing.reply_timeout_seconds
        self._patience_ends = self.deadline + timing.sending_seconds(LONGEST_REPLY_BYTES) + timing.gap_seconds
        return self._question

    def _take(self, frames: list[Frame], now: float) -> Step:
        send = b""
        events: list[Event] = []
        for frame in frames:
            if not frame.control & REPLY:
                continue  # our own question, echoed by the line driver
            request = self._request
            if request is None or send or not self._is_expected(request, frame):
                events.append(Unasked(frame=frame))
                continue
            outcome = self._outcome(request, frame)
            if outcome is None:
                assert isinstance(request, ReadData)
                send = self._ask(request.following_frame(self._segment), now)
            else:
                events.append(self._end(outcome))
        return Step(send, tuple(events)) if send or events else _NOTHING

    def _is_expected(self, request: Request, frame: Frame) -> bool:
        """Whether a reply answers the question that is out: its code, its address, its identifier and its segment."""
        if frame.control & (CONTROL_MASK | REPLY) != self._expected or not _matches(request.address, frame.address):
            return False
        if frame.control & REFUSED:
            return len(frame.data) == 1
        if isinstance(request, ReadAddress):
            return len(frame.data) == 6 and frame.data[::-1].hex() == frame.address
        if frame.data[:DATA_ID_BYTES] != request.wire_data_id:
            return False
        return self._segment == 0 or (len(frame.data) > DATA_ID_BYTES and frame.data[-1] == self._segment)

    def _outcome(self, request: Request, frame: Frame) -> Outcome | None:
        """How the question ends, or None when another segment is to be asked for."""
        if frame.control & REFUSED:
            return Refused(request=request, address=frame.address, code=frame.data[0])
        if isinstance(request, ReadAddress):
            return Answered(request=request, address=frame.address, data=frame.data)
        self._parts.append(frame.data[DATA_ID_BYTES : -1 if self._segment else None])
        received = sum(map(len, self._parts))
        if received > request.maximum_bytes or (frame.control & MORE and self._segment == SEGMENTS_MAX):
            return NoAnswer(request=request, tries=self._tries, is_collision=False)
        if frame.control & MORE:
            self._segment += 1
            return None
        return Answered(request=request, address=frame.address, data=b"".join(self._parts))

    def _repeat_or_give_up(self, step: Step, now: float) -> Step:
        request = self._request
        assert request is not None
        if self._tries <= self._timing.retries:
            return Step(self._send(now), step.events)
        given_up = NoAnswer(request=request, tries=self._tries, is_collision=self._heard)
        return Step(b"", (*step.events, self._end(given_up)))

    def _end(self, outcome: Outcome) -> Outcome:
        self._request = None
        self.deadline = None
        return outcome

    def _with_noise(self, step: Step, garbage_before: int) -> Step:
        thrown_away = self._scanner.garbage_bytes - garbage_before
        return step if not thrown_away else Step(step.send, (Noise(count=thrown_away), *step.events))


def _matches(asked: str, answering: str) -> bool:
    """Whether a meter's address fits the one asked for, of which leading pairs may be wildcards."""
    return answering == asked or (asked[0] == "A" and answering.endswith(asked.lstrip("A")))
