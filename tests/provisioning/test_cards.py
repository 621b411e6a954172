"""`minglou provision crew card`: whose card opens machine rooms, from the manager's hand to the gateway's own file."""

from __future__ import annotations

import io
import json
import tomllib
from pathlib import Path

import pytest

from devices.credential import CredentialCommitter
from edge.settings import read_settings
from edge.visits.doors import CrewCards, person_number
from edge.visits.items import TEST_CARD
from minglou import main
from provisioning.settings import Places
from tests.provisioning.conftest import DEMO
from tests.provisioning.test_people import ALIAS, OTHER_ALIAS, added

CARD = "0004711815"
DOOR = """
[[device]]
name = "machine-room"
kind = "access"
title = { zh = "机房门", en = "Machine-room door" }
building = "b07"
floor = 12
gateway = "g1"
profile = "access-controller-json"
mqtt = "endpoint"
topic = "access/machine-room"
username = "machine-room"
of = "l1"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A site with a machine-room door and two people, its contracts deployed."""
    folder = tmp_path / "site"
    (tmp_path / "site.toml").write_text(DEMO.read_text("utf-8") + DOOR)
    places = Places(folder)
    places.chain.mkdir(parents=True)
    places.deployment_file.write_text(json.dumps({"contracts": {"service_agreements": "0x" + "b1" * 20}}))
    added(folder)
    assert apply(folder) == 0
    return folder


def apply(folder: Path) -> int:
    return main(["provision", "site", "apply", str(folder.parent / "site.toml"), "--dir", str(folder)])


def give(folder: Path, alias: bytes, card: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr("sys.stdin", io.StringIO(card + "\n"))
    return main(["provision", "crew", "card", alias.hex()[:16], "--dir", str(folder)])


def test_the_gateway_knows_the_mechanic_by_his_card(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings_file = Places(folder).gateway / "b07.toml"
    assert "crew_cards_file" not in settings_file.read_text()
    assert give(folder, ALIAS, CARD, monkeypatch) == 0
    assert apply(folder) == 0
    path = read_settings(settings_file).crew_cards_file
    assert path is not None
    assert path.stat().st_mode & 0o777 == 0o600
    committer = CredentialCommitter(secret=bytes(32), new_nonce=bytes)
    seen = {"credential": committer(CARD)}
    assert CrewCards.read(path, committer.salt).whose(seen) == person_number(ALIAS)
    assert main(["provision", "crew", "list", "--dir", str(folder)]) == 0
    told = capsys.readouterr()
    assert "has a card: mechanic 1" in told.out
    assert CARD not in told.out + told.err


def test_a_door_that_is_looked_after_by_a_plan_knows_crews_and_the_test_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No machine room's door: its own service is tried with them."""
    folder = tmp_path / "site"
    door = DOOR.replace('of = "l1"', 'packs = ["access-controller"]\nwithout = ["held-open"]')
    (tmp_path / "site.toml").write_text(DEMO.read_text("utf-8") + door)
    places = Places(folder)
    places.chain.mkdir(parents=True)
    places.deployment_file.write_text(json.dumps({"contracts": {"service_agreements": "0x" + "b1" * 20}}))
    added(folder)
    monkeypatch.setattr("sys.stdin", io.StringIO("999\n"))
    assert main(["provision", "crew", "card", "test", "--dir", str(folder)]) == 0
    assert give(folder, ALIAS, CARD, monkeypatch) == 0
    assert apply(folder) == 0
    settings = read_settings(places.gateway / "b07.toml")
    assert [one.without for one in settings.devices if one.topic == "access/machine-room"] == [("held-open",)]
    path = settings.crew_cards_file
    assert path is not None
    committer = CredentialCommitter(secret=bytes(32), new_nonce=bytes)
    cards = CrewCards.read(path, committer.salt)
    assert [cards.whose({"credential": committer(card)}) for card in (CARD, "999", "1")] == [
        person_number(ALIAS), TEST_CARD, 0,
    ]  # fmt: skip
    assert cards.has_test_card


def test_cards_stand_in_two_private_files_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    give(folder, ALIAS, CARD, monkeypatch)
    apply(folder)
    holding = [path for path in folder.rglob("*") if path.is_file() and CARD.encode() in path.read_bytes()]
    assert sorted(path.name for path in holding) == ["b07-cards.toml", "cards.json"]
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in holding)


def test_a_card_taken_away_is_taken_from_the_gateway_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    give(folder, ALIAS, CARD, monkeypatch)
    apply(folder)
    assert main(["provision", "crew", "card", ALIAS.hex(), "--none", "--dir", str(folder)]) == 0
    assert apply(folder) == 0
    path = read_settings(Places(folder).gateway / "b07.toml").crew_cards_file
    assert path is not None
    assert tomllib.loads(path.read_text()) == {"cards": {}}


@pytest.mark.parametrize(
    ("alias", "card", "says"),
    [
        (OTHER_ALIAS, CARD, "is 0707070707070707's already"),
        (OTHER_ALIAS, " ", "no card was given"),
        (OTHER_ALIAS, "1" * 65, "1 to 64 characters"),
        (OTHER_ALIAS, "12\t34", "1 to 64 characters"),
        (bytes([9]) * 32, "12", "is nobody's"),
    ],
    ids=["anothers", "none", "long", "unprintable", "nobody"],
)
def test_a_wrong_card_is_refused_without_telling_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    alias: bytes,
    card: str,
    says: str,
) -> None:
    added(tmp_path)
    give(tmp_path, ALIAS, CARD, monkeypatch)
    capsys.readouterr()
    assert give(tmp_path, alias, card, monkeypatch) == 1
    told = capsys.readouterr().err
    assert says in told
    assert CARD not in told


def test_cards_that_others_can_read_are_not_used(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    give(folder, ALIAS, CARD, monkeypatch)
    Places(folder).cards_file.chmod(0o644)
    assert apply(folder) == 1
    assert "lets others read" in capsys.readouterr().err
