"""Visits that swap a meter, as an installer's phone makes them, for the tests of every room."""

from dataclasses import replace
from datetime import date
from hashlib import sha256

from contracts import p256
from contracts.bundle import Bundle
from contracts.checklist import Checklist, MeterSwap, Photo, Result, Tick
from contracts.entry import device_id
from contracts.meter_swap import MeterSwapFile, SignedMeterSwap
from contracts.pack import read_pack
from contracts.person import KeyKind, Purpose, sign_software
from contracts.signed_visit import VisitSignature
from contracts.visit import VisitClass
from tests.visits import CHAIN_ID, CONTRACT, MECHANIC, signed, visit_of

PACK = read_pack("meter-swap")
REGISTER = "1-0:1.8.0"
FAR_S = 2**40
CLOSING_PHOTO, OPENING_PHOTO = (sha256(name).digest() for name in (b"closing photo", b"opening photo"))


def swap_bundle(
    noted: MeterSwap, *, started_at_s: int, ended_at_s: int, old: str, key: p256.PrivateKey = MECHANIC,
    contract: str = CONTRACT, chain_id: int = CHAIN_ID, photos: tuple[bytes, bytes] = (CLOSING_PHOTO, OPENING_PHOTO),
    lengths: tuple[int, int] = (1000, 1000),
) -> Bundle:  # fmt: skip
    """A visit of the meter-swap pack in which everything went well, signed by its installer."""
    held = tuple(
        Photo(sha256=one, dhash=bytes(8), at_s=ended_at_s, length=length, media_type="image/jpeg")
        for one, length in zip(photos, lengths, strict=True)
    )
    places = {"MS-02": (0,), "MS-06": (1,)}
    ticks = tuple(
        Tick(code=item.code, result=Result.OK, photos=places.get(item.code, ()))
        for item in PACK.items_of(VisitClass.REPAIR)
    )
    checklist = Checklist(
        plan=PACK.digest(), visit_class=VisitClass.REPAIR, items=ticks, photos=held, meter=noted, salt=bytes(16)
    )
    visit = replace(
        visit_of(started_at_s, urn=old, mechanics=(key,)), ended_at_s=ended_at_s, plan=PACK.digest(),
        visit_class=VisitClass.REPAIR, checklist=checklist.digest(),
    )  # fmt: skip
    one = signed(visit, key, chain_id=chain_id, contract=contract, deadline=FAR_S)
    return Bundle(signed=one, checklist=checklist)


def noted_of(old: str, new: str, *, closing: int, opening: int, day: date) -> MeterSwap:
    """What an installer writes down, of two URNs."""
    return MeterSwap(
        old=device_id(old), new=device_id(new), quantity=REGISTER, closing=closing, opening=opening, day=day
    )


def signed_swap(
    bundle: Bundle, *, subject: bytes, old_from: date, contract: str, key: p256.PrivateKey = MECHANIC,
    chain_id: int = CHAIN_ID, photos: tuple[bytes, bytes] = (CLOSING_PHOTO, OPENING_PHOTO),
) -> SignedMeterSwap:  # fmt: skip
    """The same swap for Bindings, signed by the installer with a software key."""
    assert bundle.checklist is not None and bundle.checklist.meter is not None
    file = MeterSwapFile(
        chain_id=chain_id, contract=contract.lower(), visit=bundle.visit.digest(), subject=subject,
        noted=bundle.checklist.meter, old_from=old_from, old_opening=0, closing_photo=photos[0],
        opening_photo=photos[1], salt=sha256(b"salt of a swap").digest(),
    )  # fmt: skip
    signature = sign_software(
        key, chain_id=chain_id, contract=contract.lower(), purpose=Purpose.SWAP_METER, nonce=1, deadline=FAR_S,
        body_digest=file.body_digest(),
    )  # fmt: skip
    installer = VisitSignature(public=p256.public_bytes(key), kind=KeyKind.SOFTWARE, signature=signature)
    return SignedMeterSwap(file=file, installer=installer)
