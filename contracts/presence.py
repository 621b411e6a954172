"""The presence proof: which codes each of a visit's people scanned at the device, when and how.

A proof `minglou-presence/1` is canonical JSON of at most 4 KB; SHA-256 of its bytes is the `presence` word of the visit
record. It holds no place: of where a phone was, only whether it was near the device, and only if its owner said so.
The gateway alone can tell a right token from a guess; anybody can check the rest. `phones` is each phone's own chain of
visits: two different visits with one number come of a copied phone.
"""

from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from contracts.detail import canonical_json, parse_canonical_json
from contracts.errors import DetailError
from contracts.fields import Fields
from contracts.label import PLACE_NAMES, PLACE_OF, Place
from contracts.rotating import Moment, RotatingCodeError, token_of, token_text
from contracts.visit import TIME_END_S, Visit, VisitError

FORMAT = "minglou-presence/1"
PRESENCE_BYTES_MAX = 4096
SCANS_MAX = 16
SIGNERS_MAX = 3
SALT_BYTES = 16
NONCE_BYTES = 16
PHONE_BYTES = 16
TOLERANCE_S = 600  # by which a scan may lie outside the visit's times
SENSES = ("in", "out")
WAYS = ("camera", "photo", "typed")

_NUMBER_MAX = 2**32


class PresenceError(VisitError):
    """Bytes are no presence proof, or the proof is not of this visit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """One code that one person read."""

    by: int  # place among the visit's signers: mechanics, then the site manager
    sense: str  # in or out
    place: Place
    way: str  # camera, photo or typed
    at_s: int  # Unix seconds, by the phone's clock
    label: bytes | None = None  # digest of a printed label, or
    moment: Moment | None = None  # what a display showed


@dataclass(frozen=True, slots=True, kw_only=True)
class Nonce:
    """A number that the gateway gave to whoever stood in the building's network."""

    value: bytes  # 16 bytes
    at_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Phone:
    """One link of a phone's own chain."""

    by: int
    id: bytes  # 16 random bytes, made when the app was installed
    number: int  # of visits that this phone signed, with this one; from 1
    previous: bytes  # digest of the visit before, zero for the first


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """A presence proof."""

    device: bytes
    scans: tuple[Scan, ...]
    phones: tuple[Phone, ...] = ()
    nonce: Nonce | None = None
    inside: bool | None = None  # near the device, as the phone's own check said; None if it was not asked
    salt: bytes

    def __post_init__(self) -> None:
        if len(self.device) != 32 or len(self.salt) != SALT_BYTES:
            raise PresenceError(f"presence: a device's hash has 32 bytes, the salt {SALT_BYTES}")
        if len(self.scans) > SCANS_MAX or len({phone.by for phone in self.phones}) != len(self.phones):
            raise PresenceError(f"presence: over {SCANS_MAX} scans, or one person signs with two phones")
        for scan in self.scans:
            if (scan.label is None) == (scan.moment is None) or (scan.moment is None) != (scan.place != Place.DISPLAY):
                raise PresenceError("presence: a display's scan has its moment, any other its label's digest")

    def encode(self) -> bytes:
        """The canonical bytes. Raises `PresenceError` if they are more than 4 KB."""
        encoded = canonical_json(presence_to_json(self))
        if len(encoded) > PRESENCE_BYTES_MAX:
            raise PresenceError(f"presence has {len(encoded)} bytes; {PRESENCE_BYTES_MAX} is the limit")
        return encoded

    def digest(self) -> bytes:
        """The `presence` word of the visit record."""
        return sha256(self.encode()).digest()

    def moments_of(self, signer: int) -> tuple[Moment, ...]:
        """What a display showed to one of the visit's people, in the order of the scans."""
        return tuple(scan.moment for scan in self.scans if scan.by == signer and scan.moment is not None)

    def first_token(self) -> bytes | None:
        """The token that draws the challenge: of the first scan of a display by somebody who came, whoever made it. Who
        first comes by the display as he leaves has closed his list.
        """
        return next((scan.moment.token for scan in self.scans if scan.moment is not None and scan.sense == "in"), None)

    def dwell_s(self, signer: int) -> int | None:
        """Seconds from one person's first scan in to his last scan out; None if he did not make both."""
        entered = [scan.at_s for scan in self.scans if scan.by == signer and scan.sense == "in"]
        left = [scan.at_s for scan in self.scans if scan.by == signer and scan.sense == "out"]
        return max(0, max(left) - min(entered)) if entered and left else None

    def check(self, visit: Visit) -> None:
        """Refuse a proof that is not of this visit.

        Raises:
            PresenceError: another device, somebody whom the record does not name, or a time far outside the visit.
        """
        signers = len(visit.mechanics) + any(visit.manager)
        if self.device != visit.device:
            raise PresenceError("presence: is of another device than the visit")
        if any(scan.by >= signers for scan in self.scans) or any(phone.by >= signers for phone in self.phones):
            raise PresenceError(f"presence: names a signer beyond the record's {signers}")
        begin, end = visit.started_at_s - TOLERANCE_S, visit.ended_at_s + TOLERANCE_S
        times = [scan.at_s for scan in self.scans] + ([self.nonce.at_s] if self.nonce else [])
        if any(not begin <= at_s <= end for at_s in times):
            raise PresenceError(
                f"presence: a scan lies over {TOLERANCE_S} s outside the visit; check the phone's clock"
            )


def presence_to_json(presence: Presence) -> dict[str, Any]:
    """The proof's JSON object, as bundles carry it."""
    value: dict[str, Any] = {
        "format": FORMAT,
        "device": presence.device.hex(),
        "salt": presence.salt.hex(),
        "scans": [scan_to_json(scan) | {"by": scan.by} for scan in presence.scans],
        "phones": [
            {"by": phone.by, "id": phone.id.hex(), "number": phone.number, "previous": phone.previous.hex()}
            for phone in presence.phones
        ],
    }
    if presence.nonce is not None:
        value["nonce"] = {"value": presence.nonce.value.hex(), "at": presence.nonce.at_s}
    if presence.inside is not None:
        value["inside"] = presence.inside
    return value


def parse_presence(encoded: bytes) -> Presence:
    """The proof of its canonical bytes; no token is judged here.

    Raises:
        PresenceError: over 4 KB, not canonical, or a field missing, unknown or out of range.
    """
    if len(encoded) > PRESENCE_BYTES_MAX:
        raise PresenceError(f"presence has {len(encoded)} bytes; {PRESENCE_BYTES_MAX} is the limit")
    try:
        value = parse_canonical_json(encoded)
    except DetailError as error:
        raise PresenceError(f"presence is {error}") from error
    return presence_from_json(value)


def presence_from_json(value: object, *, place: str = "") -> Presence:
    """The proof of a JSON object. Raises `PresenceError`."""
    keys = ("format", "device", "salt", "scans", "phones")
    fields = Fields(value, place=place, keys=keys, refuse=PresenceError, optional=("nonce", "inside"))
    fields.choice("format", (FORMAT,))
    scans = fields.each_within("scans", SCANS_MAX, "by", *_SCAN_KEYS, optional=_SCAN_OPTIONAL)
    phones = fields.each_within("phones", SIGNERS_MAX, "by", "id", "number", "previous")
    nonce = fields.within("nonce", "value", "at") if fields.has("nonce") else None
    return Presence(
        device=fields.octets("device", 32),
        scans=tuple(scan_of(one, by=_by(one)) for one in scans),
        phones=tuple(_phone(one) for one in phones),
        nonce=Nonce(value=nonce.octets("value", NONCE_BYTES), at_s=_time(nonce)) if nonce else None,
        inside=fields.boolean("inside") if fields.has("inside") else None,
        salt=fields.octets("salt", SALT_BYTES),
    )


# ---- a scan, which an arrival holds too ----

_SCAN_KEYS = ("sense", "place", "way", "at")
_SCAN_OPTIONAL = ("label", "slot", "token")


def scan_fields(fields: Fields, name: str) -> Fields:
    """A scan without `by`, within another object."""
    return fields.within(name, *_SCAN_KEYS, optional=_SCAN_OPTIONAL)


def scan_to_json(scan: Scan) -> dict[str, Any]:
    """A scan's JSON object, without `by`."""
    value: dict[str, Any] = {
        "sense": scan.sense, "place": PLACE_NAMES[scan.place], "way": scan.way, "at": scan.at_s,
    }  # fmt: skip
    if scan.label is not None:
        value["label"] = scan.label.hex()
    if scan.moment is not None:
        value |= {"slot": scan.moment.slot, "token": token_text(scan.moment.token)}
    return value


def scan_of(fields: Fields, *, by: int) -> Scan:
    """The scan of its object. Raises `PresenceError`."""
    if fields.has("slot") != fields.has("token"):
        raise PresenceError("presence: a display's scan has both slot and token")
    try:
        moment = Moment(fields.integer("slot"), token_of(fields.text("token"))) if fields.has("slot") else None
    except RotatingCodeError as error:
        raise PresenceError(f"presence: {error}") from error
    return Scan(
        by=by,
        sense=fields.choice("sense", SENSES),
        place=PLACE_OF[fields.choice("place", tuple(PLACE_OF))],
        way=fields.choice("way", WAYS),
        at_s=_time(fields),
        label=fields.octets("label", 32) if fields.has("label") else None,
        moment=moment,
    )


def _phone(fields: Fields) -> Phone:
    number = fields.integer("number")
    if not 0 < number < _NUMBER_MAX:
        raise PresenceError(f"presence: a phone's visit number {number} is none from 1 on")
    return Phone(
        by=_by(fields), id=fields.octets("id", PHONE_BYTES), number=number, previous=fields.octets("previous", 32)
    )


def _by(fields: Fields) -> int:
    by = fields.integer("by")
    if not 0 <= by < SIGNERS_MAX:
        raise PresenceError(f"presence: signer {by} is none of {SIGNERS_MAX}")
    return by


def _time(fields: Fields) -> int:
    at_s = fields.integer("at")
    if not 0 < at_s < TIME_END_S:
        raise PresenceError(f"presence: {at_s} is no Unix time in seconds; check the phone's clock")
    return at_s
