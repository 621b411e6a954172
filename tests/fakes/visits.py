"""Honest visits, with what goes wrong on honest days."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from devices.simulated.chance import Chance
from devices.simulated.lift.crew import Deed, Round, inspection_agency, items_of, repair, service
from devices.simulated.lift.noise import Noise
from devices.simulated.lift.physics import LiftForm
from tests.fakes.machine import Told, live, some_form
from tests.fakes.world import PhoneLink, Scan, Signed, World

DISPLAY_OFF, NO_CAMERA, FORGETS_OUT, FLAT_PHONE = 0.10, 0.05, 0.04, 0.03
SCANS_FOR_FLAT_PHONE = 0.8  # the app asks for a scan by each person who signs


class Kind(StrEnum):
    """What a visit of the corpus is."""

    HONEST = "honest"
    NO_SHOW = "no-show"
    ONE_MINUTE = "one-minute"
    RELAYED_CODE = "relayed-code"
    COPIED_PHOTO = "copied-photo"
    CLONED_PHONE = "cloned-phone"
    TELEPORT = "teleport"
    ABSENT_COLLEAGUE = "absent-colleague"
    ITEM_NOT_DONE = "item-not-done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One visit with everything that gateway and cloud hear of it, and the truth."""

    kind: Kind
    seed: int
    signed: Signed
    told: Told
    others: Sequence[Signed]  # the other visits that the cloud knows
    is_display_heard: bool
    left_out: frozenset[str] = frozenset()  # items that were ticked and not done, where that is the cheat
    variant: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What a case is made of."""

    kind: Kind
    seed: int
    model: str
    noise: Noise
    world: World
    form: LiftForm
    is_display_heard: bool

    @property
    def chance(self) -> Chance:
        """The case's stream of chance."""
        return self.world.chance

    def case(
        self, signed: Signed, deeds: Sequence[Deed], others: Sequence[Signed], *, variant: str = "",
        left_out: frozenset[str] = frozenset(),
    ) -> Case:  # fmt: skip
        """The case, once everybody has acted and signed."""
        told = live(self.chance, self.form, self.model, self.noise, deeds, signed.start_s, signed.end_s)
        return Case(
            kind=self.kind, seed=self.seed, signed=signed, told=told, others=tuple(others), left_out=left_out,
            is_display_heard=self.is_display_heard, variant=variant,
        )  # fmt: skip


def stage_of(kind: Kind, seed: int, model: str, noise: Noise) -> Stage:
    """A fresh world; the seed and the kind decide everything in it."""
    chance = Chance(seed, "fakes", kind.value, model)
    return Stage(
        kind=kind, seed=seed, model=model, noise=noise, world=World(seed=seed, chance=chance),
        form=some_form(chance, model), is_display_heard=not chance.happens(DISPLAY_OFF),
    )  # fmt: skip


def honest(seed: int, model: str, noise: Noise) -> Case:
    """A crew of two that does the list."""
    stage = stage_of(Kind.HONEST, seed, model, noise)
    world, chance = stage.world, stage.chance
    done = work(stage)
    deeds = [*done.deeds, *_troubles(stage, done)]
    others = world.earlier() + world.same_day(done.end_ms // 1000)
    if chance.happens(0.03):
        before, by_firm = _somebody_before(stage)
        deeds += before
        others += by_firm
    return stage.case(signed_truly(stage, done), deeds, others)


def work(stage: Stage, left_out: frozenset[str] = frozenset(), *, has_partner: bool = True) -> Round:
    """A crew's real work, as this world's class of visit wants it."""
    chance = stage.chance
    return service(
        stage.world.start_s * 1000, chance, stage.form, stage.world.visit_class, left_out=left_out,
        has_partner=has_partner, called_away=chance.happens(0.04),
        forgets_back_s=chance.between(60, 1_500) if chance.happens(0.05) else 0,
    )  # fmt: skip


def _troubles(stage: Stage, done: Round) -> list[Deed]:
    """A fault that is put right, or a power cut, in the middle of the visit."""
    chance, found = stage.chance, []
    middle_ms = chance.between(done.start_ms, done.end_ms)
    if chance.happens(0.04):
        found += repair(middle_ms, chance)
    if chance.happens(0.02):
        back_ms = middle_ms + chance.between(20, 900) * 1000
        found += [Deed(middle_ms, "drop_supply"), Deed(back_ms, "restore_supply")]
    return found


def _somebody_before(stage: Stage) -> tuple[Sequence[Deed], list[Signed]]:
    """The inspection agency or another firm's crew on the same morning."""
    chance, world = stage.chance, stage.world
    start_s = world.start_s - chance.between(2_700, 3_900)
    deeds = inspection_agency(start_s * 1000, chance, stage.form)
    if chance.happens(0.5):
        return deeds, []
    return deeds, [other_firm(world, start_s, deeds[-1].at_ms // 1000 + 60)]


def other_firm(world: World, start_s: int, end_s: int) -> Signed:
    """Another firm's visit of the same lift."""
    return replace(
        world.elsewhere(world.place, start_s, end_s, ago=0), lift=world.lift, name=f"other firm {world.seed}",
        signers=(f"theirs {world.seed}", f"theirs too {world.seed}", world.signers[2]),
        phones=tuple(PhoneLink(by=by, name=f"their phone {by} {world.seed}", number=7, previous=f"6 {by} {world.seed}")
                     for by in (0, 1)),
    )  # fmt: skip


def signed_truly(stage: Stage, done: Round) -> Signed:
    """What an honest crew signs: what it did, and when by its phones."""
    world, chance = stage.world, stage.chance
    phones: tuple[PhoneLink, ...] = (world.phone(0, 0), world.phone(1, 0))
    scans = [scan for by in (0, 1) for scan in scans_of(stage, by, done.start_ms // 1000, done.end_ms // 1000)]
    if chance.happens(FLAT_PHONE):
        phones = (phones[0], replace(phones[0], by=1))
        if not chance.happens(SCANS_FOR_FLAT_PHONE):
            scans = [scan for scan in scans if scan.by == 0]
    return sign(stage, done.start_ms // 1000, done.end_ms // 1000, scans, phones)


def scans_of(stage: Stage, by: int, start_s: int, end_s: int) -> list[Scan]:
    """One person's scans: the printed label and the display's code when coming, the display's when leaving."""
    world, chance = stage.world, stage.chance
    way = chance.one_of(("photo", "typed")) if chance.happens(NO_CAMERA) else "camera"
    came_s = start_s + chance.between(0, 60) + by * chance.between(0, 120)
    found = [
        Scan(
            by=by, sense="in", place=chance.one_of(("car", "machine-room")), way=way,
            at_s=came_s + chance.between(0, 240) + world.phone_off_s,
        )
    ]  # fmt: skip
    if stage.is_display_heard:
        found.append(display_scan(world, by, "in", way, came_s))
        if not chance.happens(FORGETS_OUT):
            found.append(display_scan(world, by, "out", way, end_s - chance.between(0, 90)))
    return found


def display_scan(world: World, by: int, sense: str, way: str, true_s: int) -> Scan:
    """A right code, read when it was shown."""
    return Scan(
        by=by, sense=sense, place="display", way=way, at_s=true_s + world.phone_off_s, shown_s=true_s, token="right"
    )


def sign(stage: Stage, start_s: int, end_s: int, scans: Sequence[Scan], phones: tuple[PhoneLink, ...]) -> Signed:
    """A record of the whole class with fresh pictures; times are those of the phone."""
    world, chance = stage.world, stage.chance
    items = items_of(world.visit_class)
    has_code = any(scan.token == "right" for scan in scans)
    challenged = tuple(chance.some_of(items, 2)) if has_code else ()
    from_s, to_s = start_s + world.phone_off_s, end_s + world.phone_off_s
    return Signed(
        name=f"{stage.kind} {stage.model} {world.seed}", lift=world.lift, place=world.place,
        visit_class=world.visit_class, start_s=from_s, end_s=to_s, signers=world.signers, ticked=items,
        scans=tuple(scans), phones=phones, challenged=challenged,
        pictures=world.pictures(world.visit_class, from_s, challenged),
    )  # fmt: skip
