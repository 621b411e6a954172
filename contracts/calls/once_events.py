"""What contracts tell of signatures that serve once (once.vy)."""

from dataclasses import dataclass
from typing import ClassVar

from contracts.abi import EventForm


@dataclass(frozen=True, slots=True)
class SignatureUsed:
    """A signed digest was used and serves no more."""

    FORM: ClassVar[EventForm] = EventForm(
        "SignatureUsed",
        bytes.fromhex("a4b9136d77e35241afc25d89e59af837b942ce9a7a4c0a42fcb8bac065140572"),
        ("bytes32",),
        (),
    )

    digest: bytes
