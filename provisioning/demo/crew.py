"""The demo's crew: two mechanics and the site's manager, their keys, and the visits that they sign in the month.

Their keys are software keys on this machine's disk and are labelled so everywhere. Lift 1 is served once, and once more
on paper alone; lift 2 is only signed for. What the phones do with it is `provisioning.demo.phones`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from contracts.calls.crews import Duty
from contracts.p256 import key_from_secret
from provisioning.crews import EnrolledPerson
from provisioning.demo.calendar import Month
from provisioning.demo.phone import Person
from provisioning.keys import ensure_person_seed, person_public_key
from provisioning.settings import Places
from provisioning.settings.cloud import CrewMember
from provisioning.site import Title

__all__ = [
    "FIRM",
    "FIRM_NUMBER",
    "LICENCE_SECONDS",
    "PACK",
    "PAPER_LIFT",
    "SERVICED_LIFT",
    "MonthVisit",
    "crew_members",
    "crew_people",
    "enrolled_people",
    "installer_seed",
    "mechanic_visits",
    "month_visits",
    "signed_visits",
]

SERVICED_LIFT, PAPER_LIFT = "l1", "l2"
FIRM_NUMBER = 1
LICENCE_SECONDS = 4 * 365 * 86_400
FIRM = Title(zh="安行电梯维保（演示）", en="Anxing Lift Service (demo)")
PACK = "cn-tsg-t5002-2017-a"
_SITE = Title(zh="翠苑物业（演示）", en="Cuiyuan site management (demo)")
_MECHANICS, _MANAGER = ("mechanic", "colleague"), "site-manager"
_MORNING, _AFTERNOON = 9 * 60 + 40, 14 * 60  # minutes of the day
_MINUTE_MS, _DAY_MS = 60_000, 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthVisit:
    """One visit that the crew signs in the month."""

    name: str
    lift: str
    start_ms: int  # by the crew's own word
    is_made: bool
    handed_in_after_days: int  # phones sync when they can; the gateway remembers 60 days

    @property
    def handed_in_ms(self) -> int:
        """When its phone hands it in."""
        return self.start_ms + self.handed_in_after_days * _DAY_MS


def month_visits(month: Month) -> tuple[MonthVisit, ...]:
    """The month's signed visits, in the order in which they are handed in."""
    middle, late = month.days // 2, max(month.days // 2, month.days - 3)

    def visit(name: str, lift: str, day: int, minute: int, *, days: int, is_made: bool = False) -> MonthVisit:
        start_ms = month.opening_ms + day * _DAY_MS + minute * _MINUTE_MS
        return MonthVisit(name=name, lift=lift, start_ms=start_ms, is_made=is_made, handed_in_after_days=days)

    visits = (
        visit("l1", SERVICED_LIFT, middle, _MORNING, days=1, is_made=True),
        visit("l2", PAPER_LIFT, middle, _AFTERNOON, days=4),
        visit("l1-paper", SERVICED_LIFT, late, _AFTERNOON, days=1),
    )
    return tuple(sorted(visits, key=lambda one: one.handed_in_ms))


def mechanic_visits(month: Month) -> dict[str, tuple[int, ...]]:
    """When the mechanics really come, by lift: what the simulated building does."""
    return {
        lift: tuple(visit.start_ms for visit in month_visits(month) if visit.lift == lift and visit.is_made)
        for lift in (SERVICED_LIFT, PAPER_LIFT)
    }


def signed_visits(month: Month) -> dict[str, tuple[int, ...]]:
    """When they say that they came, by lift."""
    return {
        lift: tuple(visit.start_ms for visit in month_visits(month) if visit.lift == lift)
        for lift in (SERVICED_LIFT, PAPER_LIFT)
    }


def crew_members(places: Places) -> tuple[CrewMember, ...]:
    """The people as the cloud's directory knows them; their keys are made at the first call."""
    publics = {name: _public(places, name) for name in (*_MECHANICS, _MANAGER)}
    return (
        *(
            CrewMember(alias=_alias(publics[name]), public=publics[name], firm=FIRM, firm_number=FIRM_NUMBER)
            for name in _MECHANICS
        ),
        CrewMember(alias=_alias(publics[_MANAGER]), public=publics[_MANAGER], firm=_SITE, duty="manager"),
    )


def enrolled_people(places: Places, licence_until: int) -> tuple[EnrolledPerson, ...]:
    """The crew, and the installer who read the meters' first registers, as both parties enrol them."""
    installer = person_public_key(ensure_person_seed(installer_seed(places)))
    mechanic, colleague, manager = (_public(places, name) for name in (*_MECHANICS, _MANAGER))
    return tuple(
        EnrolledPerson(
            says=says, alias=_alias(public), public=public, duties=duty, firm=firm, licence_until=licence_until
        )
        for says, public, duty, firm in (
            ("the mechanic", mechanic, Duty.MECHANIC, FIRM_NUMBER),
            ("his colleague", colleague, Duty.MECHANIC, FIRM_NUMBER),
            ("the site's manager", manager, Duty.SITE_MANAGER, 0),
            ("the installer", installer, Duty.INSTALLER, FIRM_NUMBER),
        )
    )


def crew_people(places: Places, *, number: int, previous: bytes) -> Sequence[Person]:
    """Two mechanics and the manager, each with a phone of his own.

    Args:
        number: which of the phones' visits they are about to sign, from 1.
        previous: digest of the one before.
    """
    people = []
    for name in (*_MECHANICS, _MANAGER):
        seed = ensure_person_seed(_seed_file(places, name))
        public = person_public_key(seed)
        phone = sha256(b"minglou demo phone" + public).digest()[:16]
        key = key_from_secret(int.from_bytes(seed))
        people.append(Person(alias=_alias(public), key=key, phone=phone, number=number, previous=previous))
    return people


def installer_seed(places: Places) -> Path:
    """Where the installer's software key stands."""
    return places.crews / "installer.seed"


def _seed_file(places: Places, name: str) -> Path:
    return places.crews / f"{name}.seed"


def _public(places: Places, name: str) -> bytes:
    return person_public_key(ensure_person_seed(_seed_file(places, name)))


def _alias(public: bytes) -> bytes:
    """The name under which somebody signs; real crews get random ones from the Registry."""
    return sha256(b"minglou demo crew" + public).digest()
