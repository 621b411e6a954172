"""What a master asks on a DL/T 645 bus, and how each question ends."""

from dataclasses import dataclass

from devices.dlt645.frame import WILDCARD_ADDRESS, Frame, check_address
from devices.errors import FrameError

READ = 0x11
READ_FOLLOWING = 0x12
READ_ADDRESS = 0x13
CONTROL_MASK = 0x1F
DATA_ID_BYTES = 4

ERROR_BITS = (
    "other error", "no such data", "password or authority", "baud rate cannot change",
    "too many year zones", "too many day periods", "too many tariffs",
)  # fmt: skip
"""What the bits of a refusal's error byte mean, from bit 0. Source: DL/T 645-2007, error word ERR."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadData:
    """Read one data identifier; segments are followed.

    `data_id` is 8 hex digits, DI3 first, as the standard's tables print it; `maximum_bytes` bounds all segments.
    """

    address: str
    data_id: str
    maximum_bytes: int = 4096

    def __post_init__(self) -> None:
        check_address(self.address)
        try:
            identifier = bytes.fromhex(self.data_id)
        except ValueError:
            identifier = b""
        if len(identifier) != DATA_ID_BYTES or len(self.data_id) != 8:
            raise FrameError(f"data id {self.data_id!r}: write 8 hex digits such as 00010000")

    @property
    def wire_data_id(self) -> bytes:
        """The identifier as it travels, DI0 first."""
        return bytes.fromhex(self.data_id)[::-1]

    def frame(self) -> Frame:
        return Frame(self.address, READ, self.wire_data_id)

    def following_frame(self, segment: int) -> Frame:
        """The question for segment 1, 2, … after the first answer (section 7.2)."""
        return Frame(self.address, READ_FOLLOWING, self.wire_data_id + bytes((segment,)))


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadAddress:
    """Ask the only meter on the line for its address (section 7.4)."""

    address: str = WILDCARD_ADDRESS

    def frame(self) -> Frame:
        return Frame(self.address, READ_ADDRESS, b"")


Request = ReadData | ReadAddress


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The meter's data, all segments joined, without identifier and segment numbers; `address` is who answered."""

    request: Request
    address: str
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The meter answered with an error byte."""

    request: Request
    address: str
    code: int

    @property
    def says(self) -> str:
        bits = [meaning for bit, meaning in enumerate(ERROR_BITS) if self.code >> bit & 1]
        return ", ".join(bits) or "no reason given"


@dataclass(frozen=True, slots=True, kw_only=True)
class NoAnswer:
    """No whole answer in all tries; `is_collision` when something was heard that was no frame."""

    request: Request
    tries: int
    is_collision: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """Bytes that belong to no frame were thrown away."""

    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Unasked:
    """A reply that nobody waits for: late, doubled or of another meter."""

    frame: Frame


Outcome = Answered | Refused | NoAnswer
Event = Outcome | Noise | Unasked
