"""What looks odd of a visit: each rule at what it is for and just beside it; flags said, answered and decided."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from PIL import Image
from sqlalchemy import select

from cloud.directory import Words
from cloud.identity.audit import Act
from cloud.identity.people import Grant
from cloud.identity.roles import Role
from cloud.integrity import flags_of_visit
from cloud.integrity.facts import Flag, FlagKind, LabelWord, Limits, Phone, Photo, Scan, VerdictFacts, VisitFacts
from cloud.integrity.flags import FlagRefused, FlagState, explain_or_decide, find_flag, flags_of, raise_flags
from cloud.integrity.travel import cell_of, distance_m
from cloud.integrity.words import says
from cloud.sites.travels import elsewhere_of
from cloud.store import Store, tables
from cloud.visits.pictures import read_picture
from tests.cloud.house import House
from tests.cloud.photographs import jpeg, scene
from tests.cloud.test_visit_files import FIRM, hand_in, lift_house, of_firm

Run = Callable[[Any], Any]
START_S = 1_764_000_000
HOUR_S = 3_600
HERE, NEXT_STREET, FAR = (3027, 12015), (3027, 12016), (3035, 12015)
FIRST, SECOND, MANAGER = (bytes([number]) * 32 for number in (1, 2, 3))
LIMITS = Limits()
JUDGED = VerdictFacts(level=3)


def visit(number: int, start_s: int = START_S, **changes: Any) -> VisitFacts:
    """Two mechanics' half-month visit of 40 minutes; each number is another device."""
    usual = VisitFacts(
        digest=number.to_bytes(32), device=number.to_bytes(32), cell=HERE, visit_class=1, started_at_s=start_s,
        ended_at_s=start_s + 2_400, signers=(FIRST, SECOND, MANAGER), mechanics=2,
    )  # fmt: skip
    return replace(usual, **changes)


def found(one: VisitFacts, *others: VisitFacts) -> list[tuple[FlagKind, str, bool]]:
    return [(flag.kind, flag.why, flag.grave) for flag in flags_of_visit(one, others, LIMITS)]


def test_one_person_at_two_places_faster_than_anybody_drives_is_travel() -> None:
    metres = distance_m(HERE, FAR)
    assert metres == 7 * 1_113
    enough_s = metres * 3600 // 80_000 + 1
    came = visit(1)
    for start_s, is_odd in ((enough_s, False), (enough_s - 2, True)):
        later = visit(2, came.ended_at_s + start_s, cell=FAR)
        expected = [(FlagKind.TRAVEL, "too-fast", True)] if is_odd else []
        assert found(later, came) == found(came, later) == expected
    assert found(visit(2, came.ended_at_s + 1, cell=NEXT_STREET), came) == [], "the next street may be next door"
    assert found(visit(2, came.ended_at_s + 1, cell=None), came) == []
    others = visit(2, came.ended_at_s + 1, cell=FAR, signers=(b"4" * 32, b"5" * 32, MANAGER))
    assert found(others, came) == [], "a site manager signs where he sits"
    assert cell_of("30.27,120.15") == HERE


def test_who_left_earlier_by_his_own_scans_may_be_elsewhere_sooner() -> None:
    left = visit(1, scans=(Scan(by=0, sense="out", place="car", at_s=START_S + 600),))
    there = visit(2, START_S + 1_200, signers=(FIRST,), mechanics=1, verdict=None)
    assert found(there, visit(1)) == [(FlagKind.TWICE, "one-person", True)]
    assert found(there, left) == []


def test_one_person_in_two_visits_at_once_is_grave_and_two_visits_of_one_machine_are_asked_about() -> None:
    here = visit(1, verdict=JUDGED)
    assert found(visit(2, here.ended_at_s - LIMITS.overlap_s), here) == []
    assert found(visit(2, here.ended_at_s - LIMITS.overlap_s - 1), here) == [(FlagKind.TWICE, "one-person", True)]
    rival = {"device": here.device, "signers": (b"4" * 32, b"5" * 32), "mechanics": 2, "verdict": JUDGED}
    assert found(visit(2, here.ended_at_s - 1, **rival), here) == [(FlagKind.TWICE, "one-machine", False)]
    assert found(visit(2, here.ended_at_s, **rival), here) == []
    own = visit(2, here.ended_at_s - 60, device=here.device, verdict=JUDGED)
    assert found(own, here) == [(FlagKind.TWICE, "one-work", True)], "one piece of work is one visit"
    assert found(replace(own, visit_class=0), here) == [(FlagKind.TWICE, "one-machine", False)]
    worked = replace(here, work=((START_S + 300, START_S + 900),))
    apart = visit(2, here.ended_at_s - 300, **rival, work=((here.ended_at_s + 60, here.ended_at_s + 600),))
    assert found(apart, worked) == [], "each has work of its own"


def test_a_repair_and_the_service_behind_it_are_no_question() -> None:
    repair = visit(1, START_S, ended_at_s=START_S + 1_200, visit_class=0)
    service = visit(2, START_S + 1_500, device=repair.device)
    assert found(service, repair) == [], "not before a verdict either"
    once = replace(repair, verdict=JUDGED, work=((START_S + 300, START_S + 3_000),))
    both = replace(service, verdict=JUDGED, work=((START_S + 300, START_S + 3_000),))
    assert found(both, once) == [], "the switch was turned once for both"
    assert found(replace(both, signers=(b"4" * 32,), mechanics=1), once) == [(FlagKind.TWICE, "one-machine", False)]
    unjudged = replace(service, started_at_s=START_S + 600)
    assert found(unjudged, repair) == [], "the machine has not been asked yet"


def test_dwell_is_between_scans() -> None:
    scans = (
        Scan(by=0, sense="in", place="car", at_s=START_S), Scan(by=0, sense="out", place="car", at_s=START_S + 60)
    )  # fmt: skip

    def stay(seconds: int, inspection_s: int | None = 900, claims: int | None = None, **changes: Any) -> VisitFacts:
        left = replace(scans[1], at_s=START_S + (seconds if claims is None else claims))
        verdict = VerdictFacts(level=3, dwell_s=seconds, inspection_s=inspection_s)
        return visit(1, verdict=verdict, **{"scans": (scans[0], left), **changes})

    least = LIMITS.dwell_min_s[1]
    assert found(stay(least)) == []
    assert found(stay(least - 1)) == [(FlagKind.DWELL, "short-stay", False)]
    assert found(stay(60)) == [(FlagKind.DWELL, "short-stay", True)]
    both = [(FlagKind.DWELL, "short-stay", True), (FlagKind.DWELL, "short-work", True)]
    assert found(stay(least - 1, inspection_s=30)) == both, "the machine says so too"
    assert found(stay(least, inspection_s=30)) == [(FlagKind.DWELL, "short-work", False)]
    late = stay(30, claims=3_000)
    assert found(late) == [], "he came by the display when he left, and the machine saw him work"
    assert found(stay(30, claims=3_000, inspection_s=None)) == [(FlagKind.DWELL, "short-stay", False)]
    assert found(stay(30, claims=3_000, inspection_s=30)) == both, "the machine says he did not"
    assert found(stay(least, visit_class=4)) != [], "a year's list takes longer"
    assert found(stay(1, visit_class=0)) == [], "a repair takes what it takes"
    assert found(visit(1, scans=scans)) == [(FlagKind.DWELL, "short-stay", True)]
    assert found(visit(1, scans=scans[:1])) == found(stay(60, scans=scans[:1])) == [], (
        "who forgets to scan out is no cheat"
    )


def photo(picture: Image.Image | bytes, at_s: int = START_S + 600, name: int = 0) -> Photo:
    octets = picture if isinstance(picture, bytes) else jpeg(picture)
    seen = read_picture(octets, "image/jpeg")
    return Photo(
        sha256=name.to_bytes(32), dhash=seen.dhash, at_s=at_s, turned=seen.turned, parts=seen.parts, grey=seen.grey
    )  # fmt: skip


def cut(picture: Image.Image, share: float) -> Image.Image:
    side, edge = picture.width, int(picture.width * share / 2)
    return picture.crop((edge, edge, side - edge, side - edge))


@pytest.mark.parametrize(
    "forge",
    [
        lambda one: jpeg(one, quality=35),
        lambda one: one.resize((200, 200)),
        lambda one: one.rotate(90),
        lambda one: one.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        lambda one: cut(one, 0.10),
        lambda one: cut(one, 0.20),
        lambda one: one.rotate(2),
        lambda one: one.point(lambda value: int(value * 0.8)),
    ],
    ids=["pressed", "small", "turned", "mirrored", "cut a tenth", "cut a fifth", "tilted", "darker"],
)
def test_a_copied_photo_is_found_rotated_cropped_or_recompressed(forge: Callable[[Image.Image], Any]) -> None:
    original = scene(7)
    earlier = visit(1, START_S - 14 * 86_400, photos=(photo(original, START_S - 14 * 86_400, 1),))
    copied = visit(2, photos=(photo(scene(8), name=2), photo(forge(original), name=3)))
    assert found(copied, earlier) == [(FlagKind.PHOTO, "copy", True)]
    fresh = visit(3, photos=tuple(photo(scene(seed), name=seed) for seed in range(10, 14)))
    assert found(fresh, earlier) == []


def test_a_photo_that_is_not_here_yet_is_compared_by_what_its_phone_says() -> None:
    original = scene(7)
    seen = photo(original, START_S - 14 * 86_400, 1)
    mirrored = photo(original.transpose(Image.Transpose.FLIP_LEFT_RIGHT), name=2)
    earlier = visit(1, START_S - 14 * 86_400, photos=(seen,))
    assert found(visit(2, photos=(replace(mirrored, turned=(), parts=(), grey=b""),)), earlier) == [
        (FlagKind.PHOTO, "alike", False)
    ]
    other = replace(photo(scene(8), name=2), turned=(), parts=())
    assert found(visit(2, photos=(other,)), earlier) == []
    same_file = replace(other, sha256=seen.sha256)
    assert found(visit(2, photos=(same_file,)), earlier) == [(FlagKind.PHOTO, "copy", True)]


def test_photos_of_another_time_and_missing_ones_are_asked_about() -> None:
    late = visit(1, photos=(photo(scene(1), START_S + 2_400 + LIMITS.photo_margin_s),))
    assert found(late) == []
    later = visit(1, photos=(replace(late.photos[0], at_s=late.photos[0].at_s + 1),))
    assert found(later) == [(FlagKind.PHOTO, "other-time", False)]
    assert found(visit(1, lacks_challenge=True)) == [(FlagKind.PHOTO, "not-asked-ones", False)]


def test_photos_that_never_come_are_asked_about_after_days_and_gravely_after_weeks() -> None:
    named = Photo(sha256=b"s" * 32, dhash=1, at_s=START_S + 60)
    here = replace(named, sha256=b"t" * 32, turned=(1,) * 8, parts=(1,) * 11)
    for days, expected in (
        (2, []),
        (3, [(FlagKind.PHOTO, "missing", False)]),
        (14, [(FlagKind.PHOTO, "missing", False), (FlagKind.PHOTO, "still-missing", True)]),
    ):
        assert found(visit(1, photos=(named, here), waited_s=days * 86_400)) == expected
    assert found(visit(1, photos=(here,), waited_s=90 * 86_400)) == []
    (flag,) = flags_of_visit(visit(1, photos=(named, here), waited_s=3 * 86_400), [], LIMITS)
    words = says(flag.kind, flag.why, flag.facts)
    assert "2 张照片中仍有 1 张" in words.zh and "1 of 2" in words.en


def test_a_label_of_another_device_a_withdrawn_one_and_one_of_nothing_here_are_asked_about() -> None:
    for word, expected in (
        (None, []),
        (LabelWord.ITS_OWN, []),
        (LabelWord.OTHERS, [(FlagKind.CODE, "not-its-label", False)]),
        (LabelWord.WITHDRAWN, [(FlagKind.CODE, "withdrawn-label", False)]),
        (LabelWord.UNKNOWN, [(FlagKind.CODE, "unknown-label", False)]),
    ):
        scan = Scan(by=0, sense="in", place="car", at_s=START_S, label=word)
        flags = flags_of_visit(visit(1, scans=(scan,)), [], LIMITS)
        assert [(flag.kind, flag.why, flag.grave) for flag in flags] == expected
        assert all("1" in says(flag.kind, flag.why, flag.facts).zh for flag in flags)


def test_a_list_that_leaves_most_away_is_asked_about() -> None:
    assert found(visit(1, items=31, left_away=9)) == []
    assert found(visit(1, items=31, left_away=10)) == [(FlagKind.LIST, "left-away", False)]
    assert found(visit(1, items=31, left_away=19)) == [(FlagKind.LIST, "left-away", True)]


def phones(number: int, previous: bytes = b"p" * 32, name: bytes = b"n" * 16, by: int = 0) -> tuple[Phone, ...]:
    return (Phone(by=by, name=name, number=number, previous=previous),)


def test_a_cloned_phone_is_two_visits_at_one_place_of_its_chain() -> None:
    far = START_S + 5 * 86_400
    first = visit(1, phones=phones(7))
    assert found(visit(2, far, phones=phones(8, b"q" * 32)), first) == []
    assert found(visit(2, far, phones=phones(7, b"q" * 32)), first) == [(FlagKind.PHONE, "copied", True)]
    assert found(visit(2, far, phones=phones(7, name=b"m" * 16)), first) == []
    guest = phones(7, b"q" * 32, by=2)
    assert found(visit(2, far, phones=guest), first) == [(FlagKind.PHONE, "copied", True)], "the manager's counts too"


def test_two_mechanics_who_each_lead_a_lift_and_sign_the_others_are_no_clones() -> None:
    """Each joined the other's visit before he froze his own: one visit stands before both, and the numbers differ."""
    before = {FIRST: b"p" * 32, SECOND: b"q" * 32}

    def both(mine: int, others: int, leader: bytes) -> tuple[Phone, ...]:
        guest = SECOND if leader == FIRST else FIRST
        return (
            *phones(mine, before[leader], name=leader[:16]), *phones(others, before[guest], name=guest[:16], by=1),
        )  # fmt: skip

    mine = visit(1, phones=both(8, 8, FIRST))
    theirs = visit(2, START_S + HOUR_S, signers=(SECOND, FIRST, MANAGER), phones=both(9, 9, SECOND))
    assert found(mine, theirs) == found(theirs, mine) == []


def test_two_people_on_one_phone_are_asked_about_and_grave_when_it_happens_again_and_again() -> None:
    def shared(number: int, start_s: int = START_S, words: Sequence[str] = ("confirmed", "confirmed")) -> VisitFacts:
        first, second = phones(number, bytes([number]) * 32), phones(number, bytes([number]) * 32, by=1)
        return visit(
            number, start_s, phones=first + second, verdict=VerdictFacts(level=3, signers=tuple(words)),
        )  # fmt: skip

    once = [(FlagKind.PHONE, "one-for-two", False)]
    grave = [(FlagKind.PHONE, "one-for-two", True)]
    earlier = [shared(9, START_S - 30 * 86_400), shared(8, START_S - 60 * 86_400)]
    assert found(shared(10)) == once, "a battery may be flat"
    assert found(shared(10), earlier[0]) == once
    assert found(shared(10), *earlier) == grave
    assert found(shared(10), earlier[0], shared(8, START_S - 91 * 86_400)) == once
    absent = (FlagKind.CODE, "not-there", False)
    assert found(shared(10, words=("confirmed", "not-seen"))) == [*once, absent], "he may have been there all the same"
    own = visit(1, phones=phones(7) + phones(3, name=b"m" * 16, by=1))
    assert found(own) == []


def test_a_replayed_code_one_of_another_time_and_a_wrong_one_are_told_apart() -> None:
    def read(number: int, start_s: int, slot: int, **changes: Any) -> VisitFacts:
        scan = Scan(by=0, sense="in", place="display", at_s=start_s, slot=slot, token="t" * 13)
        return visit(number, start_s, device=b"d" * 32, scans=(scan,), **changes)

    slot = START_S // 30
    first = read(1, START_S, slot)
    assert found(first) == []
    again = read(2, START_S + 86_400, slot)
    assert (FlagKind.CODE, "used-before", True) in found(again, first)
    assert (FlagKind.CODE, "other-time", True) in found(again)
    assert found(read(1, START_S, slot - 20)) == [], "clocks differ"
    assert found(read(1, START_S, slot - 22)) == [(FlagKind.CODE, "other-time", True)]
    old = Scan(by=0, sense="in", place="display", at_s=START_S + 7_000, slot=slot, token="t" * 13)
    assert found(visit(1, ended_at_s=START_S + 7_200, scans=(old,))) == [(FlagKind.CODE, "other-time", True)]
    wrong = VerdictFacts(level=3, wrong=1, presence="confirmed")
    assert found(visit(1, verdict=wrong)) == [(FlagKind.CODE, "wrong", False)]
    assert found(visit(1, verdict=replace(wrong, presence="contradicted"))) == [(FlagKind.CODE, "wrong", True)]
    alone = VerdictFacts(level=3, signers=("confirmed", "not-seen"))
    assert found(visit(1, verdict=alone)) == [(FlagKind.CODE, "not-there", True)]
    nobody = VerdictFacts(level=0, signers=("not-seen", "not-seen"))
    assert found(visit(1, verdict=nobody)) == [], "its level says that already"


def test_a_flag_has_one_name_from_both_sides_and_reasons_in_both_languages() -> None:
    one, other = visit(1), visit(2, START_S + 600)
    (mine,), (theirs,) = flags_of_visit(one, [other], LIMITS), flags_of_visit(other, [one], LIMITS)
    assert mine.name() == theirs.name() and mine.visit == theirs.visit == other.digest, "the later one is asked about"
    (abroad,) = flags_of_visit(one, [replace(other, is_here=False)], LIMITS)
    assert (abroad.visit, abroad.other) == (one.digest, other.digest), "what is kept elsewhere is asked about there"
    words = says(mine.kind, mine.why, mine.facts)
    assert "30 分钟" in words.zh and "30 min" in words.en


_ACTS = select(tables.audit_entries.c.act).order_by(tables.audit_entries.c.entry_index)
GRANTS = {
    role: Grant(number=1, account=bytes(16), role=role, unit=None, firm=None, granted_at_ms=0, ended_at_ms=None)
    for role in (Role.FIRM, Role.MANAGER)
}


def test_a_flag_alone_moves_no_money_and_a_person_decides(run: Run, store: Store) -> None:
    digest, other = b"1" * 32, b"2" * 32
    flag = Flag(kind=FlagKind.TWICE, why="one-person", visit=digest, other=other, grave=True, facts={"seconds": 600})

    async def scenario() -> None:
        async with store.write() as connection:
            assert await raise_flags(connection, {digest: b"d" * 32}, [flag], now_ms=1) == 1
            assert await raise_flags(connection, {digest: b"d" * 32}, [flag], now_ms=2) == 0, "raised once"
        async with store.read() as connection:
            told = await flags_of(connection, [digest, other, b"3" * 32])
            assert set(told) == {digest, other}
            (view,) = told[other]
            assert (view.state, view.grave, view.raised_at_ms) == (FlagState.OPEN, True, 1)
            assert (await connection.execute(select(tables.intents))).all() == [], "nothing is sent to the chain"
        await _talk(store, flag.name())
        await store.close()

    run(scenario())


async def _talk(store: Store, name: bytes) -> None:
    firm, manager = GRANTS[Role.FIRM], GRANTS[Role.MANAGER]
    for text, status in (("", 422), ("x" * 1_001, 422)):
        with pytest.raises(FlagRefused) as refused:
            await explain_or_decide(store, name, FlagState.EXPLAINED, text, by=firm, now_ms=3)
        assert refused.value.status == status
    with pytest.raises(FlagRefused, match="no such flag"):
        await explain_or_decide(store, b"x" * 16, FlagState.EXPLAINED, "why", by=firm, now_ms=3)
    await explain_or_decide(store, name, FlagState.EXPLAINED, "the phone's clock was wrong", by=firm, now_ms=4)
    await explain_or_decide(store, name, FlagState.DISMISSED, "agreed", by=manager, now_ms=5)
    async with store.read() as connection:
        view = await find_flag(connection, name)
        acts = (await connection.execute(_ACTS)).scalars().all()
    assert view is not None
    assert view.answer is not None
    assert (view.state, view.answer.says) == (FlagState.DISMISSED, "the phone's clock was wrong")
    assert [word.role for word in view.words] == ["firm", "manager"]
    assert acts == [Act.FLAG_EXPLAINED, Act.FLAG_DECIDED]


def _always(cell: tuple[int, int], _device: bytes) -> tuple[int, int]:
    return cell


def test_a_mechanic_at_another_site_of_the_same_service_is_seen(run: Run, tmp_path: Path) -> None:
    """A minute after the end of the first, eight kilometres away."""

    async def scenario() -> None:
        folders = [tmp_path / name for name in ("one", "other")]
        for folder in folders:
            folder.mkdir()
        async with lift_house(folders[0]) as one, lift_house(folders[1]) as other:
            houses = {HERE: one, FAR: other}
            sites: list[Any] = [SimpleNamespace(cloud=house.cloud) for house in houses.values()]
            for site, (cell, house) in zip(sites, houses.items(), strict=True):
                house.cloud.integrity._cells = partial(_always, cell)
                house.cloud.integrity.elsewhere = elsewhere_of(site, lambda: sites)
            first = await hand_in(one, back_s=2 * HOUR_S)
            second = await hand_in(other, back_s=2 * HOUR_S - 36 * 60, salt=2)
            digests = [first.visit.digest(), second.visit.digest()]
            while await other.cloud.integrity.step():
                pass
            async with other.cloud.store.read() as connection:
                told = (await flags_of(connection, digests))[digests[1]]
            assert ("travel", digests[0]) in [(flag.kind, flag.other) for flag in told]

    run(scenario())


async def _of_one_flat(site: House, page: str, public: httpx.AsyncClient, manager: httpx.AsyncClient) -> None:
    """Were it the meter of a flat, nobody but an officer would learn which one, or at what hour."""
    held = site.cloud.directory.read()
    title = Words(zh="0301 电表", en="Meter 0301")
    flats = [replace(one, unit=b"u" * 32, title=title) if one.kind == "lift" else one for one in held.devices]
    known = replace(held, devices=flats)
    site.cloud.directory.read = lambda: known  # type: ignore[method-assign]
    for address in ("/flags", page):
        told, shown = (await public.get(address)).text, (await manager.get(address)).text
        head = told.partition('id="words"')[0]
        assert "Meter 0301" not in told and "Cuiyuan" in told and "<time" not in head
        assert "Meter 0301" in shown and "<time" in shown.partition('id="words"')[0]


def test_everybody_reads_a_flag_its_firm_answers_and_manager_or_committee_decide(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with lift_house(tmp_path) as site:
            bundle = await hand_in(site)
            digest = bundle.visit.digest()
            facts = {"seconds": 60, "least": 1200}
            flag = Flag(kind=FlagKind.DWELL, why="short-stay", visit=digest, grave=True, facts=facts)
            beside = Flag(kind=FlagKind.TWICE, why="one-machine", visit=b"r" * 32, other=digest, grave=False)
            devices = {digest: bundle.visit.device, b"r" * 32: bundle.visit.device}
            async with site.cloud.store.write() as connection:
                await raise_flags(connection, devices, [flag, beside], now_ms=site.clock.at_ms)
            page = f"/flags/{flag.name().hex()}"
            public, manager = site.browser(), await site.member(Role.MANAGER)
            firm, other = [await of_firm(site, name) for name in (FIRM.zh, "Firm B")]
            for address in ("/flags", page):
                told = (await public.get(address)).text
                assert "60 s lie between the scans" in told and "Being asked about" in told
                assert "<textarea" not in told and "Firm B" not in told
            assert (await public.get(f"/flags/{'0' * 32}")).status_code == 404
            assert (await public.get("/flags/nonsense")).status_code == 404
            assert "Answer in public" in (await firm.get(page)).text
            assert "<textarea" not in (await other.get(page)).text
            rivals = f"/flags/{beside.name().hex()}"
            assert "<textarea" not in (await firm.get(rivals)).text, "his visit only stands beside"
            assert (await firm.post(f"{rivals}/explain", data={"says": "we did it"})).status_code == 404
            answer = {"says": "the phone's clock was wrong"}
            assert (await other.post(f"{page}/explain", data=answer)).status_code == 404
            assert (await firm.post(f"{page}/explain", data={"says": " "})).status_code == 422
            assert (await manager.post(f"{page}/explain", data=answer)).status_code == 404
            assert (await firm.post(f"{page}/decide", data={"decision": "dismissed", **answer})).status_code == 404
            assert (await firm.post(f"{page}/explain", data=answer)).status_code == 303
            assert "The firm has answered" in (await public.get(page)).text
            assert "Decide in public" in (await manager.get(page)).text
            assert (await manager.post(f"{page}/decide", data={"decision": "guilty", "says": "so"})).status_code == 422
            done = await manager.post(f"{page}/decide", data={"decision": "dismissed", "says": "he showed me"})
            assert done.status_code == 303
            told = (await public.get(page, headers={"accept-language": "zh"})).text
            assert "he showed me" in told and "两次扫码相隔 60 秒" in told
            for _ in range(4):
                assert (await firm.post(f"{page}/explain", data=answer)).status_code == 303
            assert (await firm.post(f"{page}/explain", data=answer)).status_code == 409
            told = (await public.get(page)).text
            assert "Explained, a person decided" in told and "The firm has answered" not in told
            assert f"{FIRM.zh} ·" in told, "who says it is named"
            assert (await manager.post(f"{page}/decide", data={"decision": "upheld", "says": "no"})).status_code == 303
            assert "Not explained, a person decided" in (await public.get(page)).text
            assert f"{FIRM.zh} says:" in (await public.get("/lifts/b07-l1")).text
            await _of_one_flat(site, page, public, manager)
            stored = (await public.get(f"/v1/visits/{digest.hex()}")).json()
            assert (stored["level"], stored["chain"]) == (None, "waiting"), "nothing followed from it"

    run(scenario())
