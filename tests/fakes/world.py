"""People, phones, buildings and pictures around a visit, as the cloud would come to know them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from hashlib import sha256

from contracts.visit import VisitClass
from devices.simulated.chance import Chance
from devices.simulated.lift.crew import items_of

DAY_S = 86_400
EPOCH_S = 1_790_000_000
CITY_M = 30_000
_TESTED = ("A-1-06", "A-4-04", "A-4-05", "A-4-06", "A-4-07", "A-4-08")  # a photograph is asked for
_EARLIER_VISITS = 6  # of the lift, each about half a month before the next: ninety days


@dataclass(frozen=True, slots=True)
class Place:
    """Metres from a city's south-western corner."""

    east_m: int
    north_m: int

    def metres_to(self, other: Place) -> int:
        """Straight line."""
        return round(((self.east_m - other.east_m) ** 2 + (self.north_m - other.north_m) ** 2) ** 0.5)

    @property
    def cell(self) -> tuple[int, int]:
        """Latitude and longitude in hundredths of a degree, of a city at 30 degrees north."""
        return 3000 + self.north_m // 1113, 12000 + self.east_m // 964


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """A code that somebody read; `token` is right, wrong, or none: a printed label proves no time."""

    by: int
    sense: str
    place: str
    way: str
    at_s: int  # by the phone's clock
    shown_s: int = 0  # when a display showed it, by the display's clock
    token: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneLink:
    """An installation's place in its own chain of visits."""

    by: int
    name: str
    number: int
    previous: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One photograph: what stands there, how it is looked at, and what was done to an old one to pass it as new."""

    item: str
    scene: int
    view: int
    forgery: int = 0  # 0: none
    at_s: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A visit as its crew signed it and handed it in."""

    name: str
    lift: str
    place: Place
    visit_class: VisitClass
    start_s: int
    end_s: int
    signers: tuple[str, ...]  # two mechanics and the site's manager
    ticked: tuple[str, ...]
    scans: tuple[Scan, ...] = ()
    phones: tuple[PhoneLink, ...] = ()
    pictures: tuple[Picture, ...] = ()
    challenged: tuple[str, ...] = ()  # items that the display's code asked a fresh photograph of


def digest_of(name: str) -> bytes:
    """32 bytes for whatever has a name."""
    return sha256(name.encode()).digest()


@dataclass(slots=True, kw_only=True)
class World:
    """One lift, the crew that serves it, and what the cloud knows of both."""

    seed: int
    chance: Chance
    lift: str = field(init=False)
    place: Place = field(init=False)
    start_s: int = field(init=False)
    visit_class: VisitClass = field(init=False)
    signers: tuple[str, str, str] = field(init=False)
    phone_off_s: int = field(init=False)

    def __post_init__(self) -> None:
        chance = self.chance
        self.lift = f"lift {self.seed}"
        self.place = Place(chance.between(0, CITY_M), chance.between(0, CITY_M))
        day_s = EPOCH_S - EPOCH_S % DAY_S + chance.between(100, 700) * DAY_S
        self.start_s = day_s + chance.between(8 * 3600, 16 * 3600)
        luck = chance.share()
        self.visit_class = (
            VisitClass.HALF_MONTH if luck < 0.70 else VisitClass.QUARTER if luck < 0.85
            else VisitClass.HALF_YEAR if luck < 0.95 else VisitClass.YEAR
        )  # fmt: skip
        self.signers = (f"first {self.seed}", f"second {self.seed}", f"manager {self.seed}")
        self.phone_off_s = chance.bell(120, limit=540)

    def phone(self, by: int, ago: int) -> PhoneLink:
        """A signer's own phone at the visit so many visits ago; 0 is this one."""
        number = 500 - ago
        return PhoneLink(
            by=by, name=f"phone {by} {self.seed}", number=number, previous=f"own {by} {self.seed} {number - 1}"
        )

    def earlier(self, habit: float = 0.03) -> list[Signed]:
        """The crew's visits of this lift in the ninety days before; `habit` is how often they shared one phone."""
        chance, found = self.chance, []
        for ago in range(1, _EARLIER_VISITS + 1):
            start_s = self.start_s - ago * 14 * DAY_S + chance.between(-DAY_S // 2, DAY_S // 2)
            phones = (self.phone(0, 20 * ago), self.phone(1, 20 * ago))
            if chance.happens(habit):
                phones = (phones[0], replace(phones[0], by=1))
            found.append(
                Signed(
                    name=f"{self.lift} {ago} ago", lift=self.lift, place=self.place,
                    visit_class=VisitClass.HALF_MONTH, start_s=start_s,
                    end_s=start_s + chance.between(1_600, 4_000), signers=self.signers,
                    ticked=items_of(VisitClass.HALF_MONTH), phones=phones,
                    pictures=self.pictures(VisitClass.HALF_MONTH, start_s, ()),
                )
            )  # fmt: skip
        return found

    def same_day(self, end_s: int) -> list[Signed]:
        """What the crew did elsewhere, before this visit and after its end, as far apart as traffic in a city is slow.

        All by the same phones, whose clocks are off by what they are off at this visit.
        """
        chance, found = self.chance, []
        for side in (-1, 1):
            if not chance.happens(0.6):
                continue
            place = self.near(chance.between(0, 9_000))
            road_s = 240 + self.place.metres_to(place) * 3600 // chance.between(12_000, 38_000)
            length_s = chance.between(1_600, 4_000)
            true_s = self.start_s - road_s - length_s if side < 0 else end_s + road_s
            start_s = true_s + self.phone_off_s
            found.append(self.elsewhere(place, start_s, start_s + length_s, ago=-side))
        return found

    def near(self, metres: int) -> Place:
        """Somewhere about so far away."""
        part = self.chance.between(-1000, 1000)
        east_m = metres * part // 1000
        north_m = round((metres**2 - east_m**2) ** 0.5) * (1 if self.chance.happens(0.5) else -1)
        return Place(self.place.east_m + east_m, self.place.north_m + north_m)

    def elsewhere(self, place: Place, start_s: int, end_s: int, *, ago: int) -> Signed:
        """The same crew's visit of another lift."""
        return Signed(
            name=f"elsewhere {self.seed} {start_s}", lift=f"lift at {place.east_m},{place.north_m}", place=place,
            visit_class=VisitClass.HALF_MONTH, start_s=start_s, end_s=end_s, signers=self.signers,
            ticked=items_of(VisitClass.HALF_MONTH), phones=(self.phone(0, ago), self.phone(1, ago)),
            pictures=self.pictures(VisitClass.HALF_MONTH, start_s, (), lift=str(place)),
        )  # fmt: skip

    def pictures(
        self, visit_class: VisitClass, start_s: int, challenged: tuple[str, ...], lift: str = ""
    ) -> tuple[Picture, ...]:
        """Fresh photographs: of what must be tested, of what the code asked for, and of one or two things more."""
        chance, items = self.chance, items_of(visit_class)
        wanted = [code for code in _TESTED if code in items]
        wanted += [code for code in challenged if code not in wanted]
        wanted += [code for code in chance.some_of(items, chance.between(0, 2)) if code not in wanted]
        return tuple(
            Picture(
                item=code, scene=_number(f"{lift or self.lift} {code}"), view=chance.between(1, 2**31),
                at_s=start_s + chance.between(120, 1_200),
            )
            for code in wanted
        )  # fmt: skip


def _number(name: str) -> int:
    return int.from_bytes(digest_of(name)[:4])
