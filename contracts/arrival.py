"""Arrivals: that a mechanic reached a machine where a work order waits, as he signs it on the spot.

An arrival `minglou-arrival/1` names the order, its round, the device and the scan that he made there. It is signed for
WorkOrders with purpose `work.arrive`; order, round and time stand in what is signed, so that the contract can judge by
them, and all else in the arrival's digest. The time counts as shown once the repair visit's verdict confirms the scan's
slot, and as said until then.
"""

import json
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from contracts import p256
from contracts.detail import canonical_json
from contracts.errors import ContractsError
from contracts.fields import Fields, parse_json
from contracts.person import KeyKind, Purpose, sign_software
from contracts.presence import Scan, scan_fields, scan_of, scan_to_json
from contracts.rotating import VALID_S
from contracts.signed_visit import (
    SIGNATURE_KEYS,
    VisitSignature,
    signature_from_fields,
    signature_to_json,
    verify_signature,
)
from contracts.visit import VisitError

FORMAT = "minglou-arrival/1"
ARRIVAL_BYTES_MAX = 8 * 1024
SALT_BYTES = 16

_NUMBER_END = 2**64
_ROUND_END = 2**16  # of a lane in WorkOrders


class ArrivalError(VisitError):
    """Bytes are no arrival, or its signature does not hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """What the mechanic says."""

    order: bytes  # the work order's name
    round: int  # the order's: it rises whenever the order is reopened or released
    device: bytes  # hash of the URN
    mechanic: bytes  # alias
    scan: Scan  # `by` is 0; its time is that of the arrival
    salt: bytes

    def __post_init__(self) -> None:
        if any(len(word) != 32 for word in (self.order, self.device, self.mechanic)) or len(self.salt) != SALT_BYTES:
            raise ArrivalError(f"arrival: order, device and alias have 32 bytes, the salt {SALT_BYTES}")
        if not 0 <= self.round < _ROUND_END:
            raise ArrivalError(f"arrival: an order has no round {self.round}")
        if self.scan.by != 0 or self.scan.sense != "in":
            raise ArrivalError("arrival: its scan is one in, made by who signs")

    @property
    def at_s(self) -> int:
        """When he came, Unix seconds: by the phone's clock, within the minute in which a display's code counts."""
        moment = self.scan.moment
        if moment is None:
            return self.scan.at_s
        return min(max(self.scan.at_s, moment.starts_at_s), moment.starts_at_s + VALID_S)

    def digest(self) -> bytes:
        """SHA-256 of the canonical JSON of what is said."""
        return sha256(canonical_json(_said(self))).digest()

    def body_digest(self) -> bytes:
        """What a person signature covers."""
        return Purpose.ARRIVE_WORK.body_digest(self.order, self.digest(), self.at_s, self.round)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedArrival:
    """An arrival as it travels."""

    chain_id: int
    contract: str  # 0x…, lower case: WorkOrders
    arrival: Arrival
    signature: VisitSignature


def sign_arrival(
    arrival: Arrival, key: p256.PrivateKey, *, chain_id: int, contract: str, nonce: int, deadline: int
) -> SignedArrival:
    """The arrival, signed with a software key."""
    signature = sign_software(
        key, chain_id=chain_id, contract=contract, purpose=Purpose.ARRIVE_WORK, nonce=nonce, deadline=deadline,
        body_digest=arrival.body_digest(),
    )  # fmt: skip
    one = VisitSignature(public=p256.public_bytes(key), kind=KeyKind.SOFTWARE, signature=signature)
    return SignedArrival(chain_id=chain_id, contract=contract.lower(), arrival=arrival, signature=one)


def verify_arrival(signed: SignedArrival) -> None:
    """Check that the signature is that of the key beside it. Raises `ArrivalError`."""
    try:
        verify_signature(
            signed.signature, chain_id=signed.chain_id, contract=signed.contract, purpose=Purpose.ARRIVE_WORK,
            body_digest=signed.arrival.body_digest(),
        )  # fmt: skip
    except ContractsError as error:
        raise ArrivalError(f"arrival: its signature does not hold: {error}") from error


def arrival_to_json(signed: SignedArrival) -> dict[str, Any]:
    """The file's JSON object."""
    return _said(signed.arrival) | {
        "chain_id": str(signed.chain_id),
        "contract": signed.contract,
        "signature": signature_to_json(signed.signature),
    }


def format_arrival(signed: SignedArrival) -> bytes:
    """The file; `parse_arrival` reads it back."""
    return (json.dumps(arrival_to_json(signed), indent=1, ensure_ascii=False) + "\n").encode()


def parse_arrival(encoded: bytes) -> SignedArrival:
    """The arrival of a JSON file; its signature is not verified yet.

    Raises:
        VisitError: over 8 KB, not JSON, or a field missing, unknown or out of range.
    """
    value = parse_json(encoded, length_max=ARRIVAL_BYTES_MAX, what="arrival", refuse=ArrivalError)
    keys = ("format", "order", "round", "device", "mechanic", "scan", "salt", "chain_id", "contract", "signature")
    fields = Fields(value, place="", keys=keys, refuse=ArrivalError)
    fields.choice("format", (FORMAT,))
    return SignedArrival(
        chain_id=fields.decimal("chain_id", start=1, end=_NUMBER_END),
        contract="0x" + fields.octets("contract", 20, prefix="0x").hex(),
        arrival=Arrival(
            order=fields.octets("order", 32),
            round=fields.integer("round"),
            device=fields.octets("device", 32),
            mechanic=fields.octets("mechanic", 32),
            scan=scan_of(scan_fields(fields, "scan"), by=0),
            salt=fields.octets("salt", SALT_BYTES),
        ),
        signature=signature_from_fields(fields.within("signature", *SIGNATURE_KEYS)),
    )


def _said(arrival: Arrival) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "order": arrival.order.hex(),
        "round": arrival.round,
        "device": arrival.device.hex(),
        "mechanic": arrival.mechanic.hex(),
        "scan": scan_to_json(arrival.scan),
        "salt": arrival.salt.hex(),
    }
