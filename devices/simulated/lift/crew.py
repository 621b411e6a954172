"""What mechanics do to a lift: a visit is a round of stations, at each the acts of the list's items, by people with a
style of their own.

Items and their acts follow TSG T5002-2017 annex A. Only what a hand does to the machine leaves a trace; cleaning,
looking and greasing take time and nothing else.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

from contracts.visit import VisitClass
from devices.simulated.chance import Chance
from devices.simulated.lift.physics import Contact, Lift, LiftForm

_ITEMS_OF = {VisitClass.HALF_MONTH: 31, VisitClass.QUARTER: 13, VisitClass.HALF_YEAR: 15, VisitClass.YEAR: 17}


class Deed(NamedTuple):
    """One thing that somebody does to a lift: a method of `Lift` and what it is called with."""

    at_ms: int
    act: str
    arguments: tuple[Any, ...] = ()


def play(lift: Lift, deeds: Iterable[Deed], until_ms: int) -> None:
    """Let a lift live through what everybody does to it, in the order of time."""
    for deed in sorted(deeds, key=lambda deed: deed.at_ms):
        if deed.at_ms > until_ms:
            break
        lift.advance(max(lift.now_ms, deed.at_ms))
        getattr(lift, deed.act)(*deed.arguments)
    lift.advance(until_ms)


def items_of(visit_class: VisitClass) -> tuple[str, ...]:
    """The codes of annex A that a visit of a class holds: its own and all lower classes'."""
    return tuple(
        f"A-{int(of)}-{number:02}" for of, count in _ITEMS_OF.items() if of <= visit_class
        for number in range(1, count + 1)
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How somebody works."""

    pace_permille: int  # of the usual time that each thing takes
    runs: int  # up and down on the car's roof
    repeats: int  # of what is tried more than once
    landings_permille: int  # of the landing doors that are opened each time
    starts_at_pit: bool


def some_style(chance: Chance) -> Style:
    """Somebody's style."""
    return Style(
        pace_permille=chance.between(750, 1_500),
        runs=chance.between(1, 3),
        repeats=chance.between(1, 3),
        landings_permille=chance.between(400, 1_000),
        starts_at_pit=chance.happens(0.25),
    )


@dataclass(slots=True, kw_only=True)
class Hands:
    """One person at work: time passes, and what they do to the lift is kept."""

    at_ms: int
    chance: Chance
    style: Style
    form: LiftForm
    left_out: Collection[str] = ()
    has_partner: bool = False
    deeds: list[Deed] = field(default_factory=list)

    def work(self, low_s: int, high_s: int) -> None:
        """Take some time, by this person's pace."""
        self.at_ms += self.chance.between(low_s, high_s) * self.style.pace_permille

    def wait(self, low_s: int, high_s: int) -> None:
        """Take some time that no pace changes."""
        self.at_ms += self.chance.between(low_s * 1000, high_s * 1000)

    def do(self, act: str, *arguments: object) -> None:
        """Do it now."""
        self.deeds.append(Deed(self.at_ms, act, arguments))

    def does(self, *codes: str) -> bool:
        """Whether any of these items is really done."""
        return any(code not in self.left_out for code in codes)

    def touch(self, contact: Contact, low_s: int, high_s: int) -> None:
        """Open a contact of the chain, see that the lift is dead, and close it."""
        self.do("open_contact", contact)
        self.wait(low_s, high_s)
        self.do("close_contact", contact)
        self.wait(2, 6)

    def run(self, direction: int, low_s: int, high_s: int) -> None:
        """Drive slowly for a while."""
        self.do("run", direction)
        self.wait(low_s, high_s)
        self.do("halt")
        self.wait(2, 8)


# ---- the stations, each a part of the visit; classes hold the lower ones' items ----


def _machine_room(hands: Hands, visit_class: VisitClass) -> None:
    hands.work(180, 420)
    if hands.does("A-1-10"):
        _take_out_of_service(hands)
        hands.do("switch", "emergency_electric", True)
        hands.wait(3, 10)
        for _ in range(hands.style.repeats):
            hands.run(-1, 8, 20)
            hands.run(1, 8, 20)
        hands.do("switch", "emergency_electric", False)
        _give_back(hands)
        hands.work(10, 40)
    if hands.does("A-1-08"):
        _take_out_of_service(hands)
        hands.do("open_contact", Contact.GOVERNOR)
        hands.wait(15, 60)
        hands.do("reset_governor")
        _give_back(hands)
    if visit_class >= VisitClass.QUARTER:
        hands.work(300, 600)
        if hands.does("A-2-11"):
            hands.do("switch", "fire", True)
            hands.wait(40, 120)
            hands.do("switch", "fire", False)
            hands.work(20, 60)
    if visit_class >= VisitClass.HALF_YEAR:
        hands.work(900, 1_500)
    if visit_class >= VisitClass.YEAR:
        hands.work(1_500, 2_700)
        _emergency_stops(hands)


def _emergency_stops(hands: Hands) -> None:
    """The yearly trials: the car runs at rated speed without people and is stopped by what is being tried."""
    _take_out_of_service(hands)
    hands.do("dispatch", 1)
    hands.wait(40, 60)
    top, turn = hands.form.floors, 0
    for code in ("A-4-04", "A-4-06", "A-4-07", "A-4-08"):
        if hands.does(code):
            hands.do("dispatch", 1 if turn % 2 else top)
            hands.wait(5, 8)
            hands.do("open_contact", Contact.GOVERNOR)
            hands.wait(60, 240)
            hands.do("reset_governor")
            hands.wait(10, 30)
            hands.do("dispatch", 1 if turn % 2 else top)
            hands.wait(40, 70)
            turn += 1
        hands.work(120, 300)
    _give_back(hands)


def _car_top(hands: Hands, visit_class: VisitClass) -> None:
    hands.do("call", 1, hands.form.floors)
    hands.wait(40, 70)
    _take_out_of_service(hands)
    hands.do("switch", "car_top", True)
    hands.do("switch", "out_of_service", False)
    hands.wait(10, 40)
    if hands.does("A-1-12"):
        hands.touch(Contact.CAR_TOP_STOP, 20, 90)
        for _ in range(hands.style.runs):
            hands.run(1, 6, 15)
            hands.run(-1, 6, 15)
    hands.work(240, 480)
    if hands.does("A-1-21"):
        hands.touch(Contact.CAR_DOOR, 8, 30)
    landings = max(2, hands.form.floors * hands.style.landings_permille // 1000)
    if hands.does("A-1-26", "A-1-27", "A-1-28"):
        for _ in range(landings):
            hands.run(-1, 5, 9)
            hands.do("open_landing_door")
            hands.wait(6, 25)
            hands.do("close_doors")
            hands.wait(2, 5)
    else:
        hands.work(60, 120)
    if visit_class >= VisitClass.QUARTER:
        hands.work(400, 700)
        if hands.does("A-2-08"):
            hands.touch(Contact.CAR_DOOR, 8, 30)
    if visit_class >= VisitClass.HALF_YEAR:
        hands.work(900, 1_500)
        if hands.does("A-3-15"):
            _final_limits(hands)
    if visit_class >= VisitClass.YEAR:
        hands.work(1_500, 2_700)
    hands.do("switch", "car_top", False)
    hands.wait(5, 20)


def _final_limits(hands: Hands) -> None:
    whole_s = (hands.form.top_mm + hands.form.overrun_mm) // hands.form.inspection_speed_mm_s + 2
    for direction in (1, -1):
        hands.do("switch", "finals_bridged", True)
        hands.run(direction, whole_s, whole_s + 3)
        hands.wait(10, 30)
        hands.run(-direction, 4, 6)
        hands.do("switch", "finals_bridged", False)
        hands.wait(5, 10)


def _car(hands: Hands, visit_class: VisitClass) -> None:
    _take_out_of_service(hands)
    hands.do("switch", "car", True)
    hands.do("switch", "out_of_service", False)
    hands.wait(5, 15)
    if hands.does("A-1-17"):
        hands.run(1, 5, 10)
        hands.run(-1, 4, 9)
    for _ in range(hands.style.repeats + 1):
        if not hands.does("A-1-22", "A-1-20"):
            break
        hands.do("open_doors")
        hands.wait(4, 10)
        if hands.does("A-1-20"):
            hands.do("reopen_doors")
            hands.wait(3, 8)
        hands.do("close_doors")
        hands.wait(3, 6)
    if hands.does("A-1-18"):
        for _ in range(hands.style.repeats):
            hands.do("press_alarm")
            hands.wait(10, 40)
    hands.work(60, 180)
    if visit_class >= VisitClass.HALF_YEAR:
        hands.work(180, 400)
    hands.do("switch", "car", False)
    if hands.does("A-1-16"):
        hands.wait(10, 30)
        hands.do("drop_supply")
        hands.wait(20, 90)
        hands.do("restore_supply")
        hands.wait(20, 40)


def _landings(hands: Hands, visit_class: VisitClass) -> None:
    """Rides to some floors, to look at buttons and how level it stops; sills are cleaned on the way."""
    for _ in range(3 + hands.style.repeats):
        hands.do("call", 1, hands.chance.between(2, hands.form.floors))
        hands.wait(50, 90)
    hands.work(120, 300 + 100 * int(visit_class))


def _pit(hands: Hands, visit_class: VisitClass) -> None:
    """One climbs down; a partner on the car's roof drives slowly past, alone the lift is taken out of service."""
    _take_out_of_service(hands)
    with_driver = hands.has_partner and hands.chance.happens(0.8)
    if with_driver:
        hands.do("switch", "car_top", True)
        hands.do("switch", "out_of_service", False)
    hands.work(20, 60)
    if hands.does("A-1-31"):
        hands.touch(Contact.PIT_STOP, 60, 240)
    if with_driver:
        hands.run(1, 4, 10)
        hands.run(-1, 4, 10)
    hands.work(100, 200)
    if visit_class >= VisitClass.QUARTER:
        hands.work(150, 300)
        if hands.does("A-2-13"):
            hands.touch(Contact.TENSION_WEIGHT, 10, 40)
    if visit_class >= VisitClass.YEAR:
        hands.work(900, 1_800)
    if with_driver:
        hands.do("switch", "car_top", False)
        hands.wait(5, 15)
    else:
        _give_back(hands)


def _take_out_of_service(hands: Hands) -> None:
    hands.do("switch", "out_of_service", True)
    hands.wait(20, 40)  # whoever rides still gets out
    hands.do("close_doors")


def _give_back(hands: Hands) -> None:
    hands.do("switch", "out_of_service", False)
    hands.wait(5, 15)


Station = Callable[[Hands, VisitClass], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """A visit as it happened."""

    start_ms: int
    end_ms: int
    deeds: tuple[Deed, ...]


def service(
    start_ms: int, chance: Chance, form: LiftForm, visit_class: VisitClass, *,
    left_out: Collection[str] = (), has_partner: bool = True, called_away: bool = False, forgets_back_s: int = 0,
) -> Round:  # fmt: skip
    """A visit with all items of its class but those left out.

    Args:
        called_away: the crew leaves in the middle for another emergency and comes back.
        forgets_back_s: for how long the lift stays out of service after the crew believes to be done.
    """
    style = some_style(chance)
    hands = Hands(at_ms=start_ms, chance=chance, style=style, form=form, left_out=left_out, has_partner=has_partner)
    hands.wait(60, 240)
    stations = _route(style)
    gap = chance.between(1, len(stations) - 1) if called_away else None
    for number, station in enumerate(stations):
        if number == gap:
            hands.wait(1_200, 4_000)
        station(hands, visit_class)
        hands.work(15, 60)
        if not has_partner:  # one pair of hands goes up and down the stairs alone
            hands.work(60, 150)
    end_ms = hands.at_ms + chance.between(30, 120) * 1000
    if forgets_back_s:
        hands.do("switch", "out_of_service", True)
        hands.at_ms = end_ms + forgets_back_s * 1000
        hands.do("switch", "out_of_service", False)
    return Round(start_ms=start_ms, end_ms=end_ms, deeds=tuple(hands.deeds))


def _route(style: Style) -> tuple[Station, ...]:
    """Down from the machine room, or up from the pit."""
    down: tuple[Station, ...] = (_machine_room, _car_top, _car, _landings, _pit)
    return (_pit, _machine_room, _car_top, _car, _landings) if style.starts_at_pit else down


def look_in(start_ms: int, chance: Chance) -> Round:
    """Somebody who comes, turns the inspection switch for a minute or two so that it was seen, and goes."""
    back_ms = start_ms + chance.between(30, 180) * 1000
    deeds = (Deed(start_ms, "switch", ("car_top", True)), Deed(back_ms, "switch", ("car_top", False)))
    return Round(start_ms=start_ms, end_ms=back_ms + chance.between(10, 60) * 1000, deeds=deeds)


def repair(at_ms: int, chance: Chance) -> tuple[Deed, ...]:
    """A fault that shows while a crew is there, and is put right."""
    mended_ms = at_ms + chance.between(240, 1_200) * 1000
    return Deed(at_ms, "break_down", (chance.between(10, 40),)), Deed(mended_ms, "repair")


def inspection_agency(start_ms: int, chance: Chance, form: LiftForm) -> tuple[Deed, ...]:
    """The inspection agency, or another firm's crew: they try some of the same things, for themselves."""
    style = some_style(chance)
    hands = Hands(at_ms=start_ms, chance=chance, style=style, form=form, has_partner=True)
    hands.work(60, 240)
    _car_top(hands, VisitClass.HALF_MONTH)
    if chance.happens(0.5):
        _pit(hands, VisitClass.HALF_MONTH)
    return tuple(hands.deeds)


TRACES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "A-1-08": frozenset(("chain:governor",)),
        "A-1-10": frozenset(("mode:emergency_electric",)),
        "A-1-12": frozenset(("chain:car_top_stop",)),
        "A-1-16": frozenset(("supply_drops",)),
        "A-1-18": frozenset(("alarms",)),
        "A-1-20": frozenset(("doors", "chain:car_door", "reopenings")),
        "A-1-22": frozenset(("doors", "chain:car_door")),
        "A-1-21": frozenset(("chain:car_door",)),
        "A-1-26": frozenset(("doors", "chain:landing_door")),
        "A-1-27": frozenset(("doors", "chain:landing_door")),
        "A-1-28": frozenset(("doors", "chain:landing_door")),
        "A-1-31": frozenset(("chain:pit_stop",)),
        "A-2-08": frozenset(("chain:car_door",)),
        "A-2-11": frozenset(("mode:fire",)),
        "A-2-13": frozenset(("chain:tension_weight",)),
        "A-3-15": frozenset(("chain:final_limit",)),
        "A-4-04": frozenset(("emergency_stops", "chain:governor")),
        "A-4-06": frozenset(("emergency_stops", "chain:governor")),
        "A-4-07": frozenset(("emergency_stops", "chain:governor")),
        "A-4-08": frozenset(("emergency_stops", "chain:governor")),
    }
)
"""Which traces an item's act leaves in the machine: what a module may or may not be able to tell."""


def observable(visit_class: VisitClass, told: Collection[str], merged: Mapping[str, str]) -> tuple[frozenset[str], ...]:
    """Groups of items whose acts, left out together, take a trace away that a module tells and nothing else leaves.

    Args:
        told: the traces that the module tells.
        merged: traces that the module tells under another's name, as two contacts on one wire.
    """
    by_trace: dict[str, set[str]] = {}
    for code in items_of(visit_class):
        for trace in TRACES.get(code, ()):
            by_trace.setdefault(merged.get(trace, trace), set()).add(code)
    return tuple(frozenset(by_trace[trace]) for trace in sorted(by_trace) if trace in told)
