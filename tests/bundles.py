"""Visits with their filled lists and presence proofs, for the tests of every room."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256

from contracts import p256
from contracts.bundle import Bundle
from contracts.checklist import Checklist, Photo, Result, Tick, challenge_items
from contracts.label import Place, label_digest
from contracts.pack import Pack, read_pack
from contracts.presence import Nonce, Phone, Presence, Scan
from contracts.rotating import SLOT_S, Moment, slot_at, token
from contracts.visit import NOBODY, Visit, VisitClass
from tests.visits import CHAIN_ID, CONTRACT, LIFT, MANAGER, MECHANIC, OTHER, signed, visit_of

ANNEX_A = "cn-tsg-t5002-2017-a"
SECRET = sha256(b"the display's secret").digest()
CODE = "4k7mq2xd90bz"
SALT = bytes(range(16))
ReadBy = tuple[int, Moment]
"""A signer's number and what a display showed him."""


# ---- lists ----


def photo_of(number: int, at_s: int) -> Photo:
    """A photograph that nobody took."""
    digest = sha256(b"photo" + number.to_bytes(4)).digest()
    return Photo(sha256=digest, dhash=digest[:8], at_s=at_s, length=180_000 + number, media_type="image/jpeg")


def filled(
    pack: Pack, visit_class: VisitClass, *, at_s: int = 1, photos: Sequence[Photo] | None = None,
    but: Mapping[str, Result] | None = None, challenge: Sequence[str] = (), salt: bytes = SALT,
) -> Checklist:  # fmt: skip
    """Every item in order, with the numbers that it takes.

    Args:
        at_s: when its photographs were taken.
        photos: the first shows whatever must be photographed; a crew without a camera calls tests faulty. None: each
            item has its own.
        but: what was found otherwise.
        challenge: items that must be photographed beside tests.
    """
    results, taken, ticks = but or {}, list(photos or ()), []
    for item in pack.items_of(visit_class):
        is_shown = item.needs_photo or item.code in challenge
        unseen = Result.FAULT if item.needs_photo and photos is not None and not photos else Result.OK
        result = results.get(item.code, unseen)
        if not result.is_done:
            ticks.append(Tick(code=item.code, result=result))
            continue
        if is_shown and photos is None:
            taken.append(photo_of(len(taken), at_s))
        place = len(taken) - 1 if photos is None else 0
        value = item.limit.warn if item.limit and item.needs_value else None
        ticks.append(Tick(code=item.code, result=result, value=value, photos=(place,) if is_shown else ()))
    return Checklist(
        plan=pack.digest(), visit_class=visit_class, items=tuple(ticks), photos=tuple(taken),
        challenge=tuple(challenge), salt=salt,
    )  # fmt: skip


def without(checklist: Checklist, code: str, result: Result = Result.ABSENT) -> Checklist:
    """The list with one item left otherwise, and without its photographs."""
    ticks = [
        replace(tick, result=result, value=None, photos=()) if tick.code == code else tick for tick in checklist.items
    ]
    return replace(checklist, items=tuple(ticks))


# ---- presence ----


def scan(by: int, sense: str, at_s: int, *, device: bytes, secret: bytes = SECRET) -> Scan:
    """What one person read off the display at this time."""
    slot = slot_at(at_s)
    moment = Moment(slot, token(secret, device, slot))
    return Scan(by=by, sense=sense, place=Place.DISPLAY, way="camera", at_s=at_s, moment=moment)


def whole_presence(visit: Visit, *, number: int = 1) -> Presence:
    """The machine room's label, and the display at the begin and the end, by each mechanic with his own phone."""
    people, begin_s, end_s = range(len(visit.mechanics)), visit.started_at_s, visit.ended_at_s
    room = Scan(
        by=0, sense="in", place=Place.MACHINE_ROOM, way="typed", at_s=begin_s + 60, label=label_digest(CODE)
    )  # fmt: skip
    scans = [scan(by, "in", begin_s + by, device=visit.device) for by in people]
    scans += [room, *(scan(by, "out", end_s - 5 + by, device=visit.device) for by in people)]
    phones = [Phone(by=by, id=bytes([0xF0 + by]) * 16, number=number, previous=NOBODY) for by in people]
    return Presence(device=visit.device, scans=tuple(scans), phones=tuple(phones), salt=SALT)


def presence_of(visit: Visit, codes: Sequence[ReadBy], *, nonce: bytes | None = None) -> Presence:
    """What the crew read off the display, in their phones' time, and nothing else."""
    begin_s, end_s = visit.started_at_s - 600, visit.ended_at_s + 600
    scans = tuple(
        Scan(
            by=by, sense="out" if number else "in", place=Place.DISPLAY, way="camera",
            at_s=min(max(moment.slot * SLOT_S, begin_s), end_s), moment=moment,
        )
        for number, (by, moment) in enumerate(codes)
    )  # fmt: skip
    given = Nonce(value=nonce, at_s=visit.started_at_s) if nonce is not None else None
    return Presence(device=visit.device, scans=scans, nonce=given, salt=SALT)


# ---- bundles ----


def bundle_of(
    started_at_s: int, *keys: p256.PrivateKey, manager: p256.PrivateKey | None = None, minutes: int = 35,
    urn: str = LIFT, visit_class: VisitClass = VisitClass.HALF_MONTH, pack_name: str = ANNEX_A,
    codes: Sequence[ReadBy] | None = None, nonce: bytes | None = None, is_present: bool = True,
    checklist: Checklist | None = None, photos: Sequence[Photo] | None = None,
    but: Mapping[str, Result] | None = None, chain_id: int = CHAIN_ID, contract: str = CONTRACT, salt: int = 1,
    number: int = 1,
) -> Bundle:  # fmt: skip
    """A visit by its pack, signed by its mechanics `keys` and the site manager if there is one.

    Args:
        codes: what they scanned; None: all that they should.
        is_present: False: without any presence proof.
        photos, but: of the list, as `filled` takes them; with photographs the challenge is answered too.
        number: how many visits each of their phones has signed with this one.
    """
    mechanics, pack = keys or (MECHANIC,), read_pack(pack_name)
    bare = replace(
        visit_of(started_at_s, minutes=minutes, urn=urn, salt=salt, mechanics=mechanics, manager=manager),
        plan=pack.digest(), visit_class=visit_class,
    )  # fmt: skip
    presence = None
    if is_present:
        presence = whole_presence(bare, number=number) if codes is None else presence_of(bare, codes, nonce=nonce)
    drawn = presence.first_token() if presence and photos else None
    challenge = challenge_items(drawn, pack, visit_class) if drawn else ()
    checklist = checklist or filled(
        pack, visit_class, at_s=started_at_s + 60, photos=photos, but=but, challenge=challenge
    )  # fmt: skip
    visit = replace(bare, checklist=checklist.digest(), presence=presence.digest() if presence else NOBODY)
    signers = (*mechanics, manager) if manager else mechanics
    one = signed(visit, *signers, chain_id=chain_id, contract=contract)
    return Bundle(signed=one, checklist=checklist, presence=presence)


def bundle_of_three(started_at_s: int, **changes: object) -> Bundle:
    """A whole visit as two mechanics' phones and the site manager's make it."""
    return bundle_of(started_at_s, MECHANIC, OTHER, manager=MANAGER, **changes)  # type: ignore[arg-type]
