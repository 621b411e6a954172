"""Everybody sees their own, and nobody learns that another's exists."""

import pytest

from cloud.web.answers import Person
from tests.cloud.web.conftest import SignIn
from tests.cloud.web.reader import Reader
from tests.cloud.web.world import (
    CLOSING_INDEX,
    COMMITTEE,
    CREW,
    DOOR,
    LIFT_INDEX,
    MANAGER,
    NEIGHBOUR,
    OWNER,
    PERIOD,
    World,
)
from tests.vectors.deployment import ORIGIN

BILL = f"/bills/{DOOR}/{PERIOD}"
READING = f"/readings/{ORIGIN}/{CLOSING_INDEX}"
HOUSEHOLD = [
    f"/bills/{DOOR}", BILL, f"{BILL}/bill.json", f"{BILL}/lines/0", f"{BILL}/lines/1", f"{BILL}/lines/0/dispute",
    READING, f"{READING}/evidence.json",
]  # fmt: skip
PUBLIC = ["/", "/signin", "/lifts", "/lifts/b07-l1", "/verify", "/trust", "/trust.json",
          f"/readings/{ORIGIN}/{LIFT_INDEX}", f"/readings/{ORIGIN}/{LIFT_INDEX}/evidence.json"]  # fmt: skip


@pytest.mark.parametrize("path", HOUSEHOLD)
def test_a_household_is_its_owners_alone(sign_in: SignIn, stranger: Reader, path: str) -> None:
    assert sign_in(OWNER).get(path).status_code == 200
    for person in (NEIGHBOUR, MANAGER, COMMITTEE, CREW):
        assert sign_in(person).get(path).status_code == 404, person.key
    assert stranger.get(path).status_code == 401


def test_anothers_page_is_the_same_as_one_that_never_was(sign_in: SignIn) -> None:
    client = sign_in(NEIGHBOUR)
    theirs = client.get(BILL)
    nobodys = client.get(BILL.replace("0501", "9999"))
    assert theirs.status_code == nobodys.status_code == 404
    assert theirs.text.replace("0501", "") == nobodys.text.replace("9999", "")


@pytest.mark.parametrize("path", PUBLIC)
def test_the_public_needs_no_door(stranger: Reader, path: str) -> None:
    assert stranger.get(path).status_code == 200


@pytest.mark.parametrize(("person", "status"), [(MANAGER, 200), (COMMITTEE, 200), (OWNER, 404), (CREW, 404)])
def test_the_site_is_for_its_officers(sign_in: SignIn, person: Person, status: int) -> None:
    assert sign_in(person).get("/site").status_code == status


def test_the_committee_sees_sums_and_no_household(world: World, sign_in: SignIn) -> None:
    page = sign_in(COMMITTEE).get("/site").text
    assert DOOR not in page
    assert DOOR in sign_in(MANAGER).get("/site").text


def test_nobody_but_the_owner_can_dispute(world: World, sign_in: SignIn, stranger: Reader) -> None:
    body = {"nonce": "1", "deadline": "2", "digest": "00" * 32, "signature": "00" * 64, "public": "00" * 64}
    for person in (NEIGHBOUR, MANAGER, COMMITTEE, CREW):
        assert sign_in(person).post(f"{BILL}/lines/0/dispute", json=body).status_code == 404
    assert stranger.post(f"{BILL}/lines/0/dispute", json=body).status_code == 401
    evil = sign_in(OWNER).post(f"{BILL}/lines/0/dispute", json=body, headers={"origin": "http://evil.example"})
    assert evil.status_code == 403
    assert world.relayed == []


@pytest.mark.parametrize(
    "change",
    [{"nonce": 1}, {"nonce": "-1"}, {"digest": "00"}, {"signature": "GG" * 64}, {"public": "AB" * 64}, {"more": "1"}],
)
def test_a_malformed_dispute_is_refused(world: World, sign_in: SignIn, change: dict[str, object]) -> None:
    body = {"nonce": "1", "deadline": "2", "digest": "00" * 32, "signature": "00" * 64, "public": "00" * 64, **change}
    answer = sign_in(OWNER).post(f"{BILL}/lines/0/dispute", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")
    assert world.relayed == []


@pytest.mark.parametrize("path", ["/nope", "/lifts/none", f"/readings/{ORIGIN}/-1", f"/readings/{ORIGIN}/x", "/bills"])
def test_what_is_not_there_says_what_to_do(sign_in: SignIn, path: str) -> None:
    answer = sign_in(OWNER).get(path, headers={"accept-language": "en"})
    assert answer.status_code == 404
    assert "Begin again from your own page" in answer.text


def test_personal_pages_are_kept_by_no_cache(sign_in: SignIn, stranger: Reader) -> None:
    for path in (BILL, READING, f"{BILL}/bill.json", f"{READING}/evidence.json"):
        assert sign_in(OWNER).get(path).headers["cache-control"] == "no-store"
