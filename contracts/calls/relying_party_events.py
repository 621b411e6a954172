"""What the contracts that know people's keys say of the web origins where passkeys are made: Roll and Crews."""

from dataclasses import dataclass
from typing import ClassVar

from contracts.abi import EventForm


@dataclass(frozen=True, slots=True)
class RelyingPartySet:
    """Passkeys of this web origin count."""

    FORM: ClassVar[EventForm] = EventForm(
        "RelyingPartySet",
        bytes.fromhex("ff8c4cde61c7f22252a811256ea63de4e98c5abf154e2d89b6497010188032d4"),
        ("uint256",),
        ("bytes32", "string"),
    )

    number: int
    rp_id_hash: bytes
    origin: str
