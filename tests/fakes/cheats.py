"""Eight ways to sign for work that was not done, each after a published case or a rule that a regulator found needed.

- no-show, relayed code: sheets filled without the items, Schindler Zhejiang
- one minute: sign-in and sign-out that tell no work, the Beijing Daxing checks
- copied photo, absent colleague, item not done: Xiamen, March 2024: a paper cut-out in place of the partner, oil cups
  empty, the pit dirty
- teleport: Suzhou, April 2024: one mechanic 8.3 km apart within one minute
- cloned phone: a key that is moved is what the others come to when each person must sign

What no machine and no code can see is not here: an oil cup not filled, dirt left, a brake gap guessed, a code passed
on to an absent colleague while the other one works, or a lift whose module is silent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from devices.simulated.chance import Chance
from devices.simulated.lift.crew import Deed, inspection_agency, look_in, observable
from devices.simulated.lift.module import MODELS
from devices.simulated.lift.noise import Noise
from tests.fakes.visits import (
    Case,
    Kind,
    Stage,
    honest,
    other_firm,
    scans_of,
    sign,
    signed_truly,
    stage_of,
    work,
)  # fmt: skip
from tests.fakes.world import Picture, Scan, Signed

Cheat = Callable[[Stage], Case]


def case_of(kind: Kind, seed: int, model: str, noise: Noise) -> Case:
    """One case of a kind; the same arguments give the same case."""
    if kind is Kind.HONEST:
        return honest(seed, model, noise)
    return _CHEATS[kind](stage_of(kind, seed, model, noise))


def _no_show(stage: Stage) -> Case:
    """Nobody comes. The list is filled at a desk: labels known by heart, pictures from the last visits or none."""
    world, chance = stage.world, stage.chance
    start_s, end_s = world.start_s, world.start_s + _claimed_s(stage)
    scans = [
        Scan(by=by, sense="in", place=chance.one_of(("car", "machine-room")), way="typed",
             at_s=start_s + world.phone_off_s + chance.between(0, 120))
        for by in (0, 1)
    ]  # fmt: skip
    if chance.happens(0.10):  # one tries his luck with a code
        scans.append(replace(scans[0], place="display", token="wrong", shown_s=start_s))
    others = world.earlier() + world.same_day(end_s)
    signed = sign(stage, start_s, end_s, scans, (world.phone(0, 0), world.phone(1, 0)))
    how = chance.one_of(("old pictures", "old pictures", "no pictures", "pictures of something"))
    if how == "old pictures":
        signed = replace(signed, pictures=_forged(signed.pictures, others, chance, whole=True))
    elif how == "no pictures":
        signed = replace(signed, pictures=())
    return stage.case(signed, (), others, variant=how)


def _one_minute(stage: Stage) -> Case:
    """Somebody comes, scans, turns a switch for a minute or two, and claims the whole visit."""
    world, chance = stage.world, stage.chance
    done = look_in(world.start_s * 1000 + chance.between(20, 200) * 1000, chance)
    end_s = world.start_s + _claimed_s(stage)
    left_s = done.end_ms // 1000
    how = chance.one_of(("goes", "goes", "goes", "waits in the car", "beside another firm"))
    scans = [scan for by in (0, 1) for scan in scans_of(stage, by, world.start_s, left_s)]
    if how == "waits in the car":
        scans = [scan for by in (0, 1) for scan in scans_of(stage, by, world.start_s, end_s)]
    deeds: Sequence[Deed] = done.deeds
    others = world.earlier() + world.same_day(end_s)
    if how == "beside another firm":
        deeds = inspection_agency((end_s + chance.between(-120, 120)) * 1000, chance, stage.form) + tuple(deeds)
        their_end_s = max(deed.at_ms for deed in deeds) // 1000
        others = [one for one in others if one.start_s < end_s]
        others.append(other_firm(world, end_s, max(their_end_s, end_s + 1_500)))
    signed = sign(stage, world.start_s, end_s, scans, (world.phone(0, 0), world.phone(1, 0)))
    return stage.case(signed, deeds, others, variant=how)


def _relayed_code(stage: Stage) -> Case:
    """Nobody works; an accomplice at the door sends the display's codes by chat as they change."""
    world = stage.world
    stage = replace(stage, is_display_heard=True)
    end_s = world.start_s + _claimed_s(stage)
    scans = [scan for by in (0, 1) for scan in scans_of(stage, by, world.start_s, end_s)]
    scans = [replace(scan, way="photo", at_s=scan.at_s + stage.chance.between(5, 55)) for scan in scans]
    others = world.earlier() + world.same_day(end_s)
    signed = sign(stage, world.start_s, end_s, scans, (world.phone(0, 0), world.phone(1, 0)))
    if stage.chance.happens(0.5):
        signed = replace(signed, pictures=_forged(signed.pictures, others, stage.chance, whole=True))
    return stage.case(signed, (), others)


def _copied_photo(stage: Stage) -> Case:
    """A picture of another visit stands for what was not looked at; the rest of the work is done, or hardly."""
    world, chance = stage.world, stage.chance
    is_worked = chance.happens(0.6)
    if is_worked:
        done = work(stage)
        signed = signed_truly(stage, done)
    else:
        done = look_in(world.start_s * 1000 + 60_000, chance)
        end_s = world.start_s + _claimed_s(stage)
        scans = [scan for by in (0, 1) for scan in scans_of(stage, by, world.start_s, end_s)]
        signed = sign(stage, world.start_s, end_s, scans, (world.phone(0, 0), world.phone(1, 0)))
    others = world.earlier() + world.same_day(signed.end_s - world.phone_off_s)
    signed = replace(signed, pictures=_forged(signed.pictures, others, chance, whole=False))
    return stage.case(signed, done.deeds, others, variant="work done" if is_worked else "no work")


def _cloned_phone(stage: Stage) -> Case:
    """A mechanic's phone was copied to a second one: both sign, each believing to be the only one."""
    world, chance = stage.world, stage.chance
    how = chance.one_of(("a stand-in works", "nobody works"))
    if how == "a stand-in works":
        done = work(stage, has_partner=chance.happens(0.5))
        signed, deeds = signed_truly(stage, done), done.deeds
    else:
        end_s = world.start_s + _claimed_s(stage)
        scans = [scan for by in (0, 1) for scan in scans_of(stage, by, world.start_s, end_s)]
        signed, deeds = sign(stage, world.start_s, end_s, scans, (world.phone(0, 0), world.phone(1, 0))), ()
    others = world.earlier() + world.same_day(signed.end_s - world.phone_off_s)
    # The other copy signed elsewhere, some days before or after, where nothing but the copy is odd.
    days = chance.one_of((-3, -2, -1, 1, 2, 3))
    start_s = world.start_s + days * 86_400 + chance.between(-7_200, 7_200)
    twin = world.elsewhere(world.near(chance.between(1_000, 9_000)), start_s, start_s + 2_400, ago=0)
    return stage.case(signed, deeds, [*others, twin], variant=how)


def _teleport(stage: Stage) -> Case:
    """One key signs at two places sooner than anybody drives from one to the other; a stand-in may work here."""
    world, chance = stage.world, stage.chance
    how = chance.one_of(("a stand-in works", "nobody works"))
    if how == "a stand-in works":
        done = work(stage)
        signed, deeds = signed_truly(stage, done), done.deeds
    else:
        end_s = world.start_s + _claimed_s(stage)
        scans = [scan for by in (0, 1) for scan in scans_of(stage, by, world.start_s, end_s)]
        signed, deeds = sign(stage, world.start_s, end_s, scans, (world.phone(0, 0), world.phone(1, 0))), ()
    metres = chance.between(3_000, 40_000)
    length_s = chance.between(1_600, 4_000)
    if chance.happens(0.5):
        start_s = chance.between(signed.start_s - length_s * 3 // 4, signed.end_s - length_s // 4)
    else:  # one after the other, at twice the speed of a motorway at the least
        road_s = metres * 3600 // 240_000
        gap_s = chance.between(0, min(300, road_s))
        start_s = signed.end_s + gap_s if chance.happens(0.5) else signed.start_s - gap_s - length_s
    twin = world.elsewhere(world.near(metres), start_s, start_s + length_s, ago=1)
    return stage.case(signed, deeds, [*world.earlier(), twin], variant=how)


def _absent_colleague(stage: Stage) -> Case:
    """One works, two sign: the second from far away, or by the first one's phone, as this crew often does."""
    world, chance = stage.world, stage.chance
    done = work(stage, has_partner=False)
    start_s, end_s = done.start_ms // 1000, done.end_ms // 1000
    scans = scans_of(stage, 0, start_s, end_s)
    phones = (world.phone(0, 0), world.phone(1, 0))
    how = chance.one_of(("from afar", "the same phone"))
    if how == "the same phone":
        phones = (phones[0], replace(phones[0], by=1))
        if chance.happens(0.3):  # he scans for the other as well
            scans += scans_of(stage, 1, start_s, end_s)
    signed = sign(stage, start_s, end_s, scans, phones)
    others = world.earlier(habit=0.6 if how == "the same phone" else 0.03) + world.same_day(end_s)
    return stage.case(signed, done.deeds, others, variant=how)


def _item_not_done(stage: Stage) -> Case:
    """Items that the machine would have shown are ticked and left out; everything else is honest."""
    model, chance = MODELS[stage.model], stage.chance
    groups = observable(stage.world.visit_class, model.told, model.merged)
    left_out = frozenset().union(*chance.some_of(groups, chance.between(1, 3)))
    done = work(stage, left_out)
    others = stage.world.earlier() + stage.world.same_day(done.end_ms // 1000)
    return stage.case(signed_truly(stage, done), done.deeds, others, left_out=left_out)


def _claimed_s(stage: Stage) -> int:
    """How long a made-up visit says it took."""
    usual = {1: (1_800, 3_000), 2: (3_000, 4_800), 3: (5_400, 7_800), 4: (10_800, 15_000)}
    return stage.chance.between(*usual[int(stage.world.visit_class)])


def _forged(
    pictures: Sequence[Picture], others: Sequence[Signed], chance: Chance, *, whole: bool
) -> tuple[Picture, ...]:
    """Pictures of other visits in place of fresh ones: pressed again, cut, or turned a little."""
    old = [picture for other in others for picture in other.pictures]
    if not old or not pictures:
        return tuple(pictures)
    count = len(pictures) if whole else chance.between(1, max(1, len(pictures) // 2))
    chosen = set(chance.some_of(range(len(pictures)), count))
    return tuple(_forgery(one, old, chance) if at in chosen else one for at, one in enumerate(pictures))


def _forgery(picture: Picture, old: Sequence[Picture], chance: Chance) -> Picture:
    """An old picture of the same thing, if there is one, at the new one's time."""
    alike = [one for one in old if one.scene == picture.scene]
    source = chance.one_of(alike or old)
    return replace(source, item=picture.item, at_s=picture.at_s, forgery=chance.between(1, 2**31))


_CHEATS: Mapping[Kind, Cheat] = MappingProxyType(
    {
        Kind.NO_SHOW: _no_show,
        Kind.ONE_MINUTE: _one_minute,
        Kind.RELAYED_CODE: _relayed_code,
        Kind.COPIED_PHOTO: _copied_photo,
        Kind.CLONED_PHONE: _cloned_phone,
        Kind.TELEPORT: _teleport,
        Kind.ABSENT_COLLEAGUE: _absent_colleague,
        Kind.ITEM_NOT_DONE: _item_not_done,
    }
)
