"""A meter swap as its installer signs it, and as the owner confirms it: `minglou-meter-swap/1`.

The file opens what Bindings will hold only as commitments: both meters, both registers, both photographs. Installer and
owner each sign the same six words (`binding.swap`), so the owner's page computes them again from what it shows. The
registers are what both people read off the displays; bills rest on the gateway's own readings, beside which they stand.
"""

from dataclasses import dataclass
from datetime import date
from typing import Any

from contracts.bill import binding_commitment
from contracts.calls.bindings import ROLE_OWN, Swap
from contracts.checklist import MeterSwap
from contracts.detail import INTEGER_END, canonical_json
from contracts.errors import ContractsError, QuantityError
from contracts.fields import Fields, parse_json
from contracts.person import Purpose
from contracts.quantities import check_obis
from contracts.signed_visit import (
    SIGNATURE_KEYS,
    VisitSignature,
    signature_from_fields,
    signature_to_json,
    verify_signature,
)

FORMAT = "minglou-meter-swap/1"
METER_SWAP_BYTES_MAX = 8 * 1024

_NUMBER_END = 2**64
_KEYS = ("format", "chain_id", "contract", "visit", "subject", "quantity", "date", "old", "new", "salt", "installer")


class MeterSwapError(ContractsError):
    """A file is no meter swap, or not the one that its visit notes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterSwapFile:
    """One swap of a unit's meter. Devices are hashes of their URNs, registers stand in the quantity's base unit."""

    chain_id: int
    contract: str  # Bindings, 0x… in lower case
    visit: bytes  # digest of the visit whose list notes it
    subject: bytes  # the unit's alias
    noted: MeterSwap  # as the visit's list has it
    old_from: date  # from which day on the old meter counted
    old_opening: int  # the register that its binding began with; 0: not yet read then
    closing_photo: bytes  # SHA-256
    opening_photo: bytes
    salt: bytes

    def swap(self) -> Swap:
        """The six words that installer and owner sign."""
        noted = self.noted
        day = number_of(noted.day)
        closing = binding_commitment(
            device=noted.old, subject=self.subject, role=ROLE_OWN, from_date=number_of(self.old_from), to_date=day,
            opening_register=self.old_opening, closing_register=noted.closing, photo_digest=self.closing_photo,
            salt=self.salt,
        )  # fmt: skip
        opening = binding_commitment(
            device=noted.new, subject=self.subject, role=ROLE_OWN, from_date=day, to_date=0,
            opening_register=noted.opening, closing_register=0, photo_digest=self.opening_photo, salt=self.salt,
        )  # fmt: skip
        return Swap(
            subject=self.subject, old_device=noted.old, new_device=noted.new, date=day, closing=closing, opening=opening
        )

    def body_digest(self) -> bytes:
        """What a person's digest covers."""
        return Purpose.SWAP_METER.body_digest(*self.swap().abi())


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedMeterSwap:
    """A swap with its installer's signature; `verify_meter_swap` says whether it holds."""

    file: MeterSwapFile
    installer: VisitSignature


def number_of(day: date) -> int:
    """A boundary date as contracts have it, 20261124."""
    return day.year * 10_000 + day.month * 100 + day.day


def verify_meter_swap(signed: SignedMeterSwap) -> None:
    """Check that the installer's key signed this very swap. Raises `MeterSwapError`."""
    file = signed.file
    try:
        verify_signature(
            signed.installer, chain_id=file.chain_id, contract=file.contract, purpose=Purpose.SWAP_METER,
            body_digest=file.body_digest(),
        )  # fmt: skip
    except ContractsError as error:
        raise MeterSwapError(f"meter swap: the installer's signature does not hold: {error}") from error


def meter_swap_to_json(signed: SignedMeterSwap) -> dict[str, Any]:
    """The file's JSON object."""
    file, noted = signed.file, signed.file.noted
    return {
        "format": FORMAT,
        "chain_id": str(file.chain_id),
        "contract": file.contract,
        "visit": file.visit.hex(),
        "subject": file.subject.hex(),
        "quantity": noted.quantity,
        "date": noted.day.isoformat(),
        "old": {
            "device": noted.old.hex(), "from": file.old_from.isoformat(), "opening": file.old_opening,
            "closing": noted.closing, "photo": file.closing_photo.hex(),
        },
        "new": {"device": noted.new.hex(), "opening": noted.opening, "photo": file.opening_photo.hex()},
        "salt": file.salt.hex(),
        "installer": signature_to_json(signed.installer),
    }  # fmt: skip


def format_meter_swap(signed: SignedMeterSwap) -> bytes:
    """The file's canonical bytes, as a phone hands them in."""
    return canonical_json(meter_swap_to_json(signed))


def parse_meter_swap(encoded: bytes) -> SignedMeterSwap:
    """The swap of a JSON file, laid out as people like; its signature is not verified yet.

    Raises:
        MeterSwapError: over 8 KB, not JSON, a field missing, unknown, misspelt or out of range.
    """
    value = parse_json(encoded, length_max=METER_SWAP_BYTES_MAX, what="meter swap", refuse=MeterSwapError)
    fields = Fields(value, place="", keys=_KEYS, refuse=MeterSwapError)
    fields.choice("format", (FORMAT,))
    old = fields.within("old", "device", "from", "opening", "closing", "photo")
    new = fields.within("new", "device", "opening", "photo")
    try:
        installer = signature_from_fields(fields.within("installer", *SIGNATURE_KEYS))
        quantity = fields.text("quantity")
        check_obis(quantity)
    except MeterSwapError:
        raise
    except (ContractsError, QuantityError) as error:
        raise MeterSwapError(f"meter swap: {error}") from error
    noted = MeterSwap(
        old=old.octets("device", 32), new=new.octets("device", 32), quantity=quantity,
        closing=_register(old, "closing"), opening=_register(new, "opening"), day=_date(fields, "date"),
    )  # fmt: skip
    file = MeterSwapFile(
        chain_id=fields.decimal("chain_id", start=1, end=_NUMBER_END),
        contract="0x" + fields.octets("contract", 20, prefix="0x").hex(),
        visit=fields.octets("visit", 32),
        subject=fields.octets("subject", 32),
        noted=noted,
        old_from=_date(old, "from"),
        old_opening=_register(old, "opening"),
        closing_photo=old.octets("photo", 32),
        opening_photo=new.octets("photo", 32),
        salt=fields.octets("salt", 32),
    )
    if noted.old == noted.new or file.old_from >= noted.day:
        raise MeterSwapError("meter swap: a meter takes another one's place, on a day after that one began to count")
    return SignedMeterSwap(file=file, installer=installer)


def _register(fields: Fields, name: str) -> int:
    number = fields.integer(name)
    if not 0 <= number < INTEGER_END:
        raise MeterSwapError(f"meter swap: {name} is {number}; a register lies from 0 to 2^53 - 1")
    return number


def _date(fields: Fields, name: str) -> date:
    text = fields.text(name)
    try:
        found = date.fromisoformat(text)
    except ValueError as error:
        raise MeterSwapError(f"meter swap: {name} {text[:20]!r} is no date such as 2026-11-24") from error
    if found.isoformat() != text:
        raise MeterSwapError(f"meter swap: {name} {text[:20]!r} is not written as {found.isoformat()}")
    return found
