"""`minglou provision changes`: a phone's key, a firm's licence and labels come to a running chain by two parties."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.calls import crews, labels
from contracts.calls.crews import Duty
from contracts.label import PLACE_OF, label_digest
from contracts.p256 import public_bytes
from contracts.person import Purpose, key_id_of, sign_software
from provisioning.names import SecretNames, device_key, write_names
from provisioning.settings import Places
from provisioning.site import Site
from tests.conftest import Endpoint
from tests.provisioning.ground import Ground, open_ground
from tests.provisioning.parties import Party, deployment_text, open_party, said
from tests.provisioning.test_people import ALIAS, KEY, OTHER_ALIAS, OTHER_KEY, file_of


@pytest.fixture
def ground(anvil: Endpoint, tmp_path: Path) -> Iterator[Ground]:
    with open_ground(anvil.url, tmp_path) as opened:
        yield opened


@pytest.fixture
def parties(ground: Ground, tmp_path: Path) -> tuple[Party, Party]:
    text = deployment_text(ground.contracts, from_block=ground.from_block)
    secrets = {"manager": ground.manager, "committee": ground.committee}
    manager, committee = (
        open_party(tmp_path / f"of-{role}", role=role, secret=secret, rpc=ground.rpc.url, deployment=text)
        for role, secret in secrets.items()
    )
    return manager, committee


@pytest.fixture
def phone(tmp_path: Path) -> Path:
    """The file that a phone showed."""
    path = tmp_path / "phone.json"
    path.write_bytes(file_of())
    return path


def key_of(ground: Ground, alias: bytes) -> crews.CrewKey:
    return crews.parse_crew_key_of(ground.rpc.view(crews.crew_key_of(ground.contracts["crews"], alias=alias)))


def enrol(ground: Ground, parties: tuple[Party, Party], *added: tuple[Path, str]) -> None:
    """Both parties add the keys; announced, approved, waited for, enacted."""
    manager, committee = parties
    for path, says in added:
        assert manager.add(path, says) == committee.add(path, says) == 0
    assert manager.changes("announce") == committee.changes("approve") == 0
    ground.pass_days(8)
    assert manager.changes("enact", "--as", "manager") == 0


def test_a_phones_key_serves_after_both_parties_and_seven_days(
    ground: Ground, parties: tuple[Party, Party], phone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manager, committee = parties
    assert manager.add(phone, "mechanic 1") == 0
    assert manager.changes("announce") == 0
    assert "announced: key of mechanic 1" in said(capsys)
    assert manager.changes("announce") == 0
    assert said(capsys) == ["nothing to announce: what your files give is on the chain, or waits in a batch"]
    assert committee.changes("approve") == 1, "its own people do not have him"
    assert any("nothing that your own files give" in line for line in said(capsys))
    assert committee.add(phone, "whoever the manager means") == 0
    assert committee.changes("approve") == 0
    assert "approved: key of whoever the manager means" in said(capsys)
    assert manager.changes("enact", "--as", "manager") == 1
    assert any("may be enacted from" in line for line in said(capsys))
    assert key_of(ground, ALIAS).duties == 0
    ground.pass_days(8)
    assert committee.changes("enact", "--as", "committee") == 0
    key = key_of(ground, ALIAS)
    assert (key.duties, key.firm, key.x.to_bytes(32) + key.y.to_bytes(32)) == (Duty.MECHANIC, 1, public_bytes(KEY))
    said(capsys)
    assert manager.changes("show") == 0
    assert said(capsys) == [
        "nothing to do: the chain has the firms, people and labels of your files, and no batch waits"
    ]


def test_one_who_joins_later_brings_nothing_but_himself(
    ground: Ground, parties: tuple[Party, Party], phone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    enrol(ground, parties, (phone, "mechanic 1"))
    passkey = tmp_path / "passkey.json"
    passkey.write_bytes(file_of(OTHER_KEY, alias=OTHER_ALIAS, host="demo.minglou.example"))
    manager, committee = parties
    assert manager.add(passkey, "mechanic 2") == committee.add(passkey, "mechanic 2") == 0
    said(capsys)
    assert manager.changes("announce") == 0
    announced = [line for line in said(capsys) if line.startswith("announced")]
    assert announced == [
        "announced: passkeys of https://demo.minglou.example", "announced: mechanic 2", "announced: key of mechanic 2",
    ]  # fmt: skip
    assert committee.changes("approve") == 0
    ground.pass_days(8)
    assert manager.changes("enact", "--as", "manager") == 0
    assert key_of(ground, OTHER_ALIAS).origin == "https://demo.minglou.example"


def test_whoever_was_ended_is_not_brought_back_by_old_files(
    ground: Ground, parties: tuple[Party, Party], phone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One ended his key by himself, the other was ended by the manager for a lost phone."""
    other = tmp_path / "other.json"
    other.write_bytes(file_of(OTHER_KEY, alias=OTHER_ALIAS))
    enrol(ground, parties, (phone, "mechanic 1"), (other, "mechanic 2"))
    manager, committee = parties
    public = public_bytes(KEY)
    signature = sign_software(
        KEY, chain_id=31337, contract=ground.contracts["crews"], purpose=Purpose.REVOKE_KEY, nonce=1,
        deadline=ground.now() + 3600, body_digest=Purpose.REVOKE_KEY.body_digest(key_id_of(public)),
    )  # fmt: skip
    ground.sender.send(
        ground.manager, crews.revoke_crew_key(ground.contracts["crews"], signature=signature), purpose="revoke"
    )
    assert manager.changes("end", "--alias", OTHER_ALIAS.hex()[:16]) == 0
    assert key_of(ground, ALIAS).duties == key_of(ground, OTHER_ALIAS).duties == 0
    for party in (manager, committee):
        said(capsys)
        assert party.changes("show") == 0
        assert said(capsys)[0].startswith("nothing to do")


def test_a_call_that_hides_among_others_is_not_approved(
    ground: Ground, parties: tuple[Party, Party], phone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manager, committee = parties
    ghost = tmp_path / "ghost.json"
    ghost.write_bytes(file_of(OTHER_KEY, alias=OTHER_ALIAS))
    for party in parties:
        party.add(phone, "mechanic 1")
    manager.add(ghost, "ghost")
    assert manager.changes("announce") == 0
    said(capsys)
    assert committee.changes("approve") == 1
    assert any("batch 0: call 3 to" in line and "do not approve" in line for line in said(capsys))
    ground.pass_days(30)
    assert manager.changes("enact", "--as", "manager") == 1
    assert key_of(ground, ALIAS).duties == 0


def test_labels_that_the_chain_lacks_are_announced_one_by_one(
    ground: Ground, parties: tuple[Party, Party], site: Site, names: SecretNames, capsys: pytest.CaptureFixture[str]
) -> None:
    for party in parties:
        write_names(Places(party.folder).names_file, names)
    enrol(ground, parties)
    told = said(capsys)
    lift = next(device for device in site.devices if device.kind == "lift")
    for place, codes in names.labels[device_key(lift)].items():
        for digest in map(label_digest, codes):
            device = names.device(site, lift)
            call = labels.label(ground.contracts["labels"], digest=digest, device=device, place=PLACE_OF[place])
            assert labels.parse_label(ground.rpc.view(call)) == (True, False)
        assert not [line for line in told if any(code in line for code in codes)], "codes are never told"
    assert parties[0].changes("show") == 0
    assert said(capsys)[0].startswith("nothing to do")


def test_another_chains_deployment_is_refused(
    ground: Ground, parties: tuple[Party, Party], capsys: pytest.CaptureFixture[str]
) -> None:
    path = Places(parties[0].folder).deployment_file
    path.write_text(path.read_text().replace('"31337"', '"1"'))
    assert parties[0].changes("show") == 1
    assert any("is not chain 31337 of the site file" in line for line in said(capsys))
    path.write_text("{}")
    assert parties[0].changes("announce") == 1
    assert any("is no deployment" in line for line in said(capsys))


def test_a_firms_number_is_never_given_to_another_firm(
    ground: Ground, parties: tuple[Party, Party], capsys: pytest.CaptureFixture[str]
) -> None:
    enrol(ground, parties)
    manager = parties[0]
    manager.site_file.write_text(manager.site_file.read_text().replace("Anxing Lift Service 91330106", "Another firm"))
    said(capsys)
    assert manager.changes("announce") == 1
    assert any("firm 1 is not 'Another firm' on the chain" in line for line in said(capsys))
