"""What the demo's crew signs, and how its cheats with visits are made; who notices them, `test_demo_survival` shows."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from zoneinfo import ZoneInfo

from cloud.integrity import Limits, flags_of_visit
from cloud.integrity.facts import Photo, VisitFacts
from cloud.visits.pictures import read_picture
from provisioning.demo.calendar import last_month
from provisioning.demo.cheats.visits import copying, free_start_ms
from provisioning.demo.crew import mechanic_visits, month_visits, signed_visits
from provisioning.demo.phone import Picture, draw_picture
from tests.bundles import bundle_of

HOUR_S = 3_600
NOW_MS = 1_764_000_000_000


def test_the_month_has_a_made_visit_and_a_paper_one_of_the_same_lift() -> None:
    month = last_month(NOW_MS, ZoneInfo("Asia/Shanghai"))
    visits = {visit.name: visit for visit in month_visits(month)}
    assert [visits[name].is_made for name in ("l1", "l1-paper", "l2")] == [True, False, False]
    assert visits["l1"].lift == visits["l1-paper"].lift != visits["l2"].lift
    assert visits["l1"].start_ms < visits["l1-paper"].start_ms
    assert all(visit.handed_in_ms < month.closing_ms for visit in visits.values())
    assert mechanic_visits(month) == {"l1": (visits["l1"].start_ms,), "l2": ()}
    assert signed_visits(month)["l1"] == (visits["l1"].start_ms, visits["l1-paper"].start_ms)


def test_a_short_month_has_them_too() -> None:
    early = last_month(1_767_283_200_000, ZoneInfo("Asia/Shanghai"))  # 2 January
    assert early.days == 1
    assert {visit.name for visit in month_visits(early)} == {"l1", "l2", "l1-paper"}
    assert all(early.opening_ms <= visit.start_ms < early.closing_ms for visit in month_visits(early))


def test_a_cheat_takes_a_time_at_which_its_crew_had_signed_nothing() -> None:
    assert free_start_ms((), NOW_MS) == NOW_MS - 4 * HOUR_S * 1000
    begun_s = NOW_MS // 1000 - 4 * HOUR_S
    signed = [bundle_of(begun_s)]
    start_ms = free_start_ms(signed, NOW_MS)
    assert start_ms + 2 * HOUR_S * 1000 <= begun_s * 1000, "before it, with air between"
    assert free_start_ms([bundle_of(begun_s - 100 * HOUR_S)], NOW_MS) == begun_s * 1000


def test_the_cheats_copy_is_one_to_the_cloud_and_another_picture_is_none() -> None:
    rng = Random(7)
    old, others = draw_picture(rng, at_s=1_000), draw_picture(rng, at_s=1_000)
    copies = copying([old.octets])
    first, second = copies(2_000), copies(2_000)
    assert len({old.photo.sha256, first.photo.sha256, second.photo.sha256}) == 3
    before = visit_with(1, 0, old)
    for copy in (first, second):
        found = flags_of_visit(visit_with(2, 30 * 86_400, copy), [before], Limits())
        assert [(flag.kind.value, flag.why, flag.grave) for flag in found] == [("photo", "copy", True)]
    assert flags_of_visit(visit_with(2, 30 * 86_400, others), [before], Limits()) == ()


def visit_with(number: int, start_s: int, picture: Picture) -> VisitFacts:
    """A visit of one lift, whose list holds one photograph as the cloud opened it."""
    seen = read_picture(picture.octets, "image/jpeg")
    photo = Photo(
        sha256=picture.photo.sha256, dhash=seen.dhash, at_s=start_s + 60, turned=seen.turned, parts=seen.parts,
        grey=seen.grey,
    )  # fmt: skip
    usual = VisitFacts(
        digest=number.to_bytes(32), device=bytes(32), cell=None, visit_class=1, started_at_s=start_s,
        ended_at_s=start_s + 2_400, signers=(b"1" * 32, b"2" * 32), mechanics=2,
    )  # fmt: skip
    return replace(usual, photos=(photo,))
