"""What Labels says; the events alone rebuild its state."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from contracts.abi import EventForm, event_table, parse_log


@dataclass(frozen=True, slots=True)
class LabelBound:
    """A label belongs to this device, at this place."""

    FORM: ClassVar[EventForm] = EventForm(
        "LabelBound",
        bytes.fromhex("ecc724b29649117d558ba70c1dd6ac3f82fd3b39749ec5550701fc205c22c9a3"),
        ("bytes32", "bytes32"),
        ("uint256",),
    )

    device: bytes
    digest: bytes
    place: int


@dataclass(frozen=True, slots=True)
class LabelRevoked:
    """A label is out of use."""

    FORM: ClassVar[EventForm] = EventForm(
        "LabelRevoked",
        bytes.fromhex("35e90eb0222e5bdc905148b89336eef509b49a957cb9109510ddce3d8ba5e34f"),
        ("bytes32",),
        ("address",),
    )

    digest: bytes
    by: str


Event = LabelBound | LabelRevoked

_EVENTS = event_table(LabelBound, LabelRevoked)


def parse_event(topics: Sequence[bytes], data: bytes) -> Event | None:
    """The event that a log of this contract carries; None if none of these. Raises AbiError if malformed."""
    event: Event | None = parse_log(_EVENTS, topics, data)
    return event
