"""What the rules know of a visit, and what they answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256

__all__ = ["Flag", "FlagKind", "LabelWord", "Limits", "Phone", "Photo", "Scan", "VerdictFacts", "VisitFacts"]


class FlagKind(StrEnum):
    """What a flag is about."""

    TRAVEL = "travel"  # one person at two places, faster than anybody drives
    TWICE = "twice"  # one person, or one machine's work, in two visits at once
    DWELL = "dwell"  # there for less time than the work takes
    PHOTO = "photo"  # a photograph of another visit, or none where one was asked for or signed
    PHONE = "phone"  # one phone's memory on two phones, or two people on one phone
    LIST = "list"  # most of the list left away
    CODE = "code"  # a code of another time, of another visit or device, or none of its


class LabelWord(StrEnum):
    """What the site knows of a printed label that somebody scanned."""

    ITS_OWN = "its-own"  # of the device, or of what stands beside it for it
    OTHERS = "others"  # of another device
    WITHDRAWN = "withdrawn"  # before it was scanned
    UNKNOWN = "unknown"  # of nothing here


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """One code that somebody read, as the presence proof tells it."""

    by: int  # position among the signers
    sense: str  # in or out
    place: str
    at_s: int
    slot: int | None = None  # of a display's code: its 30 seconds
    token: str = ""
    label: LabelWord | None = None  # of a printed label


@dataclass(frozen=True, slots=True, kw_only=True)
class Phone:
    """A signer's installation of the app, with its own chain of visits."""

    by: int
    name: bytes  # made at installation
    number: int  # how many visits it has signed, this one counted
    previous: bytes  # digest of the one before; zero for its first


@dataclass(frozen=True, slots=True, kw_only=True)
class Photo:
    """A photograph that the filled list names."""

    sha256: bytes
    dhash: int  # 64 bits
    at_s: int
    # Finer fingerprints, made by the cloud of the picture itself; empty while it is not here. `turned` are those of the
    # picture in its eight positions, `parts` those of it and of its parts as they lie.
    turned: tuple[int, ...] = ()
    parts: tuple[int, ...] = ()
    is_new: bool = True  # nobody has compared it yet as it is known now
    # The picture in grey, `likeness.SIDE` a side, where somebody opened it to compare; nobody keeps it.
    grey: bytes = b""

    @property
    def is_here(self) -> bool:
        """Whether the picture itself came."""
        return bool(self.turned)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictFacts:
    """What the gateway found."""

    level: int
    presence: str = "not-observable"  # of all mechanics: the worst
    signers: tuple[str, ...] = ()  # of each
    dwell_s: int | None = None  # between first and last proven scan
    wrong: int = 0  # codes that were none of the display's
    inspection_s: int | None = None  # on inspection within the visit; None where the machine was silent


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitFacts:
    """One visit."""

    digest: bytes
    device: bytes
    cell: tuple[int, int] | None  # of its building: latitude and longitude in hundredths of a degree, south-west corner
    visit_class: int
    started_at_s: int
    ended_at_s: int
    signers: tuple[bytes, ...]  # SHA-256 of each public key: the mechanics, then the site manager if any
    mechanics: int  # how many of the signers are mechanics
    scans: tuple[Scan, ...] = ()
    phones: tuple[Phone, ...] = ()
    photos: tuple[Photo, ...] = ()
    items: int = 0  # of the list
    left_away: int = 0  # of these, called absent or faulty
    lacks_challenge: bool = False  # the list was asked for fresh photographs of two items, and holds none of one
    work: tuple[tuple[int, int], ...] = ()  # stretches (s) of the machine's own work that the verdict rests on
    verdict: VerdictFacts | None = None
    waited_s: int = 0  # since it came
    is_here: bool = True  # kept by the site that asks

    def stretch_of(self, signer: bytes) -> tuple[int, int]:
        """From when to when (s) a signer says he was there: between his scans in and out, or else the whole visit."""
        place = self.signers.index(signer)
        own = [scan for scan in self.scans if scan.by == place]
        came = min((scan.at_s for scan in own if scan.sense == "in"), default=None)
        left = max((scan.at_s for scan in own if scan.sense == "out"), default=None)
        start = self.started_at_s if came is None else max(came, self.started_at_s)
        end = self.ended_at_s if left is None else min(left, self.ended_at_s)
        return (start, end) if start <= end else (self.started_at_s, self.ended_at_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """From where on something looks odd."""

    speed_km_h: int = 80
    overlap_s: int = 120  # by which two visits of one person may overlap: phones' clocks
    # Seconds that a class takes at the least, by class: repairs take what they take.
    dwell_min_s: Mapping[int, int] = field(default_factory=lambda: {1: 900, 2: 1_200, 3: 1_800, 4: 3_600})
    grave_dwell_permille: int = 350  # of that: below, no person did the list
    inspection_min_s: Mapping[int, int] = field(default_factory=lambda: {1: 240, 2: 300, 3: 420, 4: 600})
    photo_bits: int = 3  # of 64, by which a photo that is not here may differ from another to be asked about
    # Which pictures are laid onto each other: those that differ by so many of 256 bits of their finer fingerprints, of
    # the same device or people; and of anybody's.
    shape_bits: int = 66
    far_shape_bits: int = 30
    # What makes one a copy: see `likeness`.
    copy_agreement: float = 0.97
    copy_beyond: float = 0.05
    copy_turned: float = 0.045
    copy_worst: float = 0.5
    photo_margin_s: int = 900  # how long before or after a visit its photographs may be taken
    missing_photo_days: int = 3  # how long after a visit its photographs may follow
    grave_missing_photo_days: int = 14
    code_margin_s: int = 600
    left_away_permille: int = 300
    grave_left_away_permille: int = 600
    one_phone_times: int = 3  # two people on one phone: so often within the days below it is no flat battery
    one_phone_days: int = 90


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """Something that looks odd. `facts` are numbers, which `cloud.integrity.words` puts into sentences."""

    kind: FlagKind
    why: str  # which of the kind's sentences
    visit: bytes
    other: bytes | None = None
    grave: bool
    facts: Mapping[str, int] = field(default_factory=dict)

    def name(self) -> bytes:
        """16 bytes by which the same oddity of the same visits is the same flag, whichever of them was looked at."""
        visits: Sequence[bytes] = sorted((self.visit, self.other or bytes(32)))
        return sha256(b"\0".join((b"minglou/flag/1", self.kind.encode(), self.why.encode(), *visits))).digest()[:16]
