"""What Challenges says; the events alone rebuild its state."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from contracts.abi import EventForm, event_table, parse_log


@dataclass(frozen=True, slots=True)
class ChallengeOpened:
    """A unit challenged a line of its bill, or (line 25) demanded to see it."""

    FORM: ClassVar[EventForm] = EventForm(
        "ChallengeOpened",
        bytes.fromhex("442166fe7ef1a6985ddc6164e99163d65211fe29cd3ff87d63a3421f065542b4"),
        ("uint256", "uint256"),
        ("uint256", "uint256", "uint256", "bytes32", "uint256", "bytes32"),
    )

    period: int
    unit_index: int
    line: int
    amount: int
    deadline: int
    key_id: bytes
    total: int
    line_digest: bytes


@dataclass(frozen=True, slots=True)
class Answered:
    """A challenge was answered; the line now stands at this charge."""

    FORM: ClassVar[EventForm] = EventForm(
        "Answered",
        bytes.fromhex("d841929ac4f01cf42c64b31e647b36a3892eed67dab8b1ce9df322c9308cb10f"),
        ("uint256", "uint256"),
        ("uint256", "uint256", "address"),
    )

    period: int
    unit_index: int
    line: int
    charge: int
    by: str


@dataclass(frozen=True, slots=True)
class Judged:
    """The arbiter judged a line that the contract cannot recompute."""

    FORM: ClassVar[EventForm] = EventForm(
        "Judged",
        bytes.fromhex("25edd8517175dfd7a26ef77080de0065fe54871342b9a8d3776338bb3cad77b0"),
        ("uint256", "uint256"),
        ("uint256", "uint256", "address", "bytes32"),
    )

    period: int
    unit_index: int
    line: int
    charge: int
    by: str
    reason: bytes


@dataclass(frozen=True, slots=True)
class Reversed:
    """Nobody answered in time; the line, or the whole bill, is reversed."""

    FORM: ClassVar[EventForm] = EventForm(
        "Reversed",
        bytes.fromhex("0d88216298b0b9eb2bc236a0b830513bdbe6817d567164b319371641d6dcf222"),
        ("uint256", "uint256"),
        ("uint256",),
    )

    period: int
    unit_index: int
    line: int


@dataclass(frozen=True, slots=True)
class BillShown:
    """A demanded bill was shown."""

    FORM: ClassVar[EventForm] = EventForm(
        "BillShown",
        bytes.fromhex("ade11ce665734ca14ab1b3c20de42e8ecbc90192c3f3e8489efacdad1099df54"),
        ("uint256", "uint256"),
        ("address",),
    )

    period: int
    unit_index: int
    by: str


@dataclass(frozen=True, slots=True)
class SumCorrected:
    """A bill that asked for more than its lines fell to their sum."""

    FORM: ClassVar[EventForm] = EventForm(
        "SumCorrected",
        bytes.fromhex("cc02cc8c2b645622e374457392fe720600efa9b23fbf4ade5324461147102fc6"),
        ("uint256", "uint256"),
        ("uint256", "uint256", "address"),
    )

    period: int
    unit_index: int
    total: int
    sum: int
    by: str


@dataclass(frozen=True, slots=True)
class DoubleCorrected:
    """Of two lines that charged for the same thing and day the second fell away."""

    FORM: ClassVar[EventForm] = EventForm(
        "DoubleCorrected",
        bytes.fromhex("dcb22377fa1241d43964e054b019a6404d88f69161bce121dddf1d1c670c52bb"),
        ("uint256", "uint256"),
        ("uint256", "uint256", "uint256", "address"),
    )

    period: int
    unit_index: int
    first: int
    second: int
    amount: int
    by: str


@dataclass(frozen=True, slots=True)
class MissingNoteCredited:
    """A credit note that a bill named and nobody had given was given by the bond."""

    FORM: ClassVar[EventForm] = EventForm(
        "MissingNoteCredited",
        bytes.fromhex("a1bf914136b319dda74849948649ebe939737db438cb70963b63335621f33de7"),
        ("uint256", "uint256"),
        ("bytes32", "uint256", "address"),
    )

    period: int
    unit_index: int
    note: bytes
    amount: int
    by: str


@dataclass(frozen=True, slots=True)
class SilenceFlagged:
    """A bill waits for the silent gateway that its meter writes to."""

    FORM: ClassVar[EventForm] = EventForm(
        "SilenceFlagged",
        bytes.fromhex("ca83833326aa26a00e7b34edd9fdbc3e11fd6b2ff5713608205641389d412a34"),
        ("uint256", "uint256"),
        ("bytes32", "bytes32", "address"),
    )

    period: int
    unit_index: int
    device: bytes
    origin_id: bytes
    by: str


@dataclass(frozen=True, slots=True)
class GatewayHeard:
    """A gateway's accepted log was shown to reach until then."""

    FORM: ClassVar[EventForm] = EventForm(
        "GatewayHeard",
        bytes.fromhex("8cf45cce6de43657093dde547caa293e823ab0ecf73f31e54d137ae2c952ed88"),
        ("bytes32",),
        ("uint256", "address"),
    )

    origin_id: bytes
    until: int
    by: str


@dataclass(frozen=True, slots=True)
class SilenceCleared:
    """The gateway that a bill waited for caught up."""

    FORM: ClassVar[EventForm] = EventForm(
        "SilenceCleared",
        bytes.fromhex("05b6c38e643df9fa4d7ca0007b329cc6070b17b4ebe009a2d93de92ef001fe22"),
        ("uint256", "uint256"),
        ("bytes32", "address"),
    )

    period: int
    unit_index: int
    origin_id: bytes
    by: str


Event = (
    ChallengeOpened
    | Answered
    | Judged
    | Reversed
    | BillShown
    | SumCorrected
    | DoubleCorrected
    | MissingNoteCredited
    | SilenceFlagged
    | GatewayHeard
    | SilenceCleared
)

_EVENTS = event_table(
    ChallengeOpened,
    Answered,
    Judged,
    Reversed,
    BillShown,
    SumCorrected,
    DoubleCorrected,
    MissingNoteCredited,
    SilenceFlagged,
    GatewayHeard,
    SilenceCleared,
)


def parse_event(topics: Sequence[bytes], data: bytes) -> Event | None:
    """The event that a log of this contract carries; None if none of these. Raises AbiError if malformed."""
    event: Event | None = parse_log(_EVENTS, topics, data)
    return event
