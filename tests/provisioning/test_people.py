"""`minglou provision crew add` and `labels`: whose keys are enrolled, and what is printed for the devices."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import date
from hashlib import sha256
from pathlib import Path

import pytest

from contracts.calls import crews_changes
from contracts.calls.crews import Duty
from contracts.crew_key import FORMAT
from contracts.label import Place, label_link, new_code, printed
from contracts.p256 import PrivateKey, key_from_secret, public_bytes, sign, signature_to_der
from contracts.person import (
    KeyKind,
    Purpose,
    challenge_text,
    key_id_of,
    person_digest,
    sign_software,
    webauthn_signature,
)  # fmt: skip
from contracts.signed_visit import VisitSignature, signature_to_json
from minglou import main
from provisioning.errors import PersonRefusedError
from provisioning.labels import LabelError, label_sheet, labels_of
from provisioning.names import SecretNames, device_key
from provisioning.people import add_person, checked_key, read_people
from provisioning.registration import Enrolled, site_changes
from provisioning.settings import Places
from provisioning.site import Site
from tests.provisioning.conftest import DEMO

KEY, ALIAS, NONCE = key_from_secret(77), bytes([7]) * 32, 1_800_000_000_000
OTHER_KEY, OTHER_ALIAS = key_from_secret(78), bytes([8]) * 32
NOWHERE = "0x" + "00" * 20
UNTIL = date(2028, 12, 31)


def file_of(
    key: PrivateKey = KEY, *, alias: bytes = ALIAS, host: str | None = None, origin: str | None = None
) -> bytes:
    """What the phone shows; with a host, of a passkey made there."""
    public, body = public_bytes(key), Purpose.ENROL_KEY.body_digest(alias)
    origin = origin or (f"https://{host}" if host else "")
    if host is None:
        signature = sign_software(
            key, chain_id=0, contract=NOWHERE, purpose=Purpose.ENROL_KEY, nonce=NONCE, deadline=0, body_digest=body
        )
    else:
        digest = person_digest(
            chain_id=0, contract=NOWHERE, purpose=Purpose.ENROL_KEY, key_id=key_id_of(public), nonce=NONCE, deadline=0,
            body_digest=body,
        )  # fmt: skip
        client = f'{{"type":"webauthn.get","challenge":"{challenge_text(digest)}","origin":"{origin}"}}'.encode()
        data = sha256(host.encode()).digest() + bytes([5, 0, 0, 0, 1])
        signed = signature_to_der(sign(key, data + sha256(client).digest()))
        signature = webauthn_signature(
            key_id=key_id_of(public), nonce=NONCE, deadline=0, signature_der=signed, authenticator_data=data,
            client_data=client,
        )  # fmt: skip
    kind = KeyKind.WEBAUTHN if host else KeyKind.SOFTWARE
    document = {
        "format": FORMAT,
        "alias": alias.hex(),
        "rp_id_hash": sha256(host.encode()).hexdigest() if host else "00" * 32,
        "origin": origin,
        "proof": signature_to_json(VisitSignature(public=public, kind=kind, signature=signature)),
    }
    return json.dumps(document).encode()


def added(folder: Path) -> None:
    """Two mechanics among those whom both parties enrol."""
    for number, (key, alias) in enumerate(((KEY, ALIAS), (OTHER_KEY, OTHER_ALIAS)), start=1):
        checked = checked_key(file_of(key, alias=alias), "minglou.example")
        add_person(
            Places(folder).people_file, checked, says=f"mechanic {number}", firm=1, duties=Duty.MECHANIC,
            licence_until=UNTIL,
        )  # fmt: skip


def test_a_person_is_added_once_with_the_key_that_the_phone_proved(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "key.json").write_bytes(file_of())
    words = ["provision", "crew", "add", str(tmp_path / "key.json"), str(DEMO), "--dir", str(tmp_path / "site"),
             "--says", "mechanic 3 of firm 1", "--firm", "1", "--duty", "mechanic",
             "--licence-until", "2028-12-31"]  # fmt: skip
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "mechanic 3 of firm 1: software key" in said
    assert main(words) == 0
    (person,) = read_people(tmp_path / "site" / "people.json")
    assert (person.alias, person.public, person.duties, person.firm) == (ALIAS, public_bytes(KEY), Duty.MECHANIC, 1)
    assert person.licence_until == 1_861_920_000  # 2029-01-01T00:00:00Z
    assert (tmp_path / "site" / "people.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (b'"alias": "07', b'"alias": "08', "proof does not hold"),
        (b'"nonce": "18', b'"nonce": "19', "proof does not hold"),
        (b'"kind": "software"', b'"kind": "passkey"', "names its site"),
        (b'"origin": ""', b'"origin": "https://x.example"', "names its site"),
        (b'"origin": ""', b'"origins": ""', "unknown"),
        (b'"format"', b'"format": "x", "format"', "twice"),
        (b"crew-key/1", b"crew-key/2", "crew-key"),
        (b"{", b"[", "not JSON"),
    ],
)
def test_a_damaged_or_changed_file_is_refused_with_words(old: bytes, new: bytes, says: str) -> None:
    changed = file_of().replace(old, new, 1)
    assert changed != file_of()
    with pytest.raises(PersonRefusedError, match=says):
        checked_key(changed, "minglou.example")


def test_a_passkey_of_another_host_could_never_sign_here() -> None:
    key = checked_key(file_of(host="minglou.example"), "minglou.example")
    assert key.origin == "https://minglou.example"
    with pytest.raises(PersonRefusedError, match=r"the passkey is of https://other\.example"):
        checked_key(file_of(host="other.example"), "minglou.example")
    below = file_of(host="minglou.example", origin="https://old.minglou.example")
    with pytest.raises(PersonRefusedError, match=r"the passkey is of https://old"):
        checked_key(below, "minglou.example")


def test_nobody_takes_anothers_alias_or_key(tmp_path: Path) -> None:
    people = tmp_path / "people.json"
    key = checked_key(file_of(), "minglou.example")
    add_person(people, key, says="first", firm=1, duties=Duty.MECHANIC, licence_until=UNTIL)
    for other in (replace(key, alias=bytes([9]) * 32), checked_key(file_of(key_from_secret(78)), "minglou.example")):
        with pytest.raises(PersonRefusedError, match="stand there already for first"):
            add_person(people, other, says="second", firm=1, duties=Duty.MECHANIC, licence_until=UNTIL)
    assert len(read_people(people)) == 1


def test_the_same_key_again_renews_the_licence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    added(tmp_path)
    key = checked_key(file_of(), "minglou.example")
    later = date(2030, 6, 30)
    add_person(Places(tmp_path).people_file, key, says="mechanic 1", firm=2, duties=Duty.INSTALLER, licence_until=later)
    assert main(["provision", "crew", "list", "--dir", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "0707070707070707 installer of firm 2 until 2030-06-30: mechanic 1",
        "0808080808080808 mechanic of firm 1 until 2028-12-31: mechanic 2",
    ]


def test_both_kinds_of_key_are_in_what_the_parties_approve(tmp_path: Path, site: Site, names: SecretNames) -> None:
    people, host = tmp_path / "people.json", "minglou.example"
    add_person(people, checked_key(file_of(), host), says="one", firm=1, duties=Duty.MECHANIC, licence_until=UNTIL)
    passkey = checked_key(file_of(key_from_secret(78), alias=bytes([8]) * 32, host=host), host)
    add_person(people, passkey, says="other", firm=0, duties=Duty.SITE_MANAGER, licence_until=UNTIL)
    enrolled = Enrolled(
        operator="0x" + "11" * 20, registrar="0x" + "12" * 20, gateways={}, owners={}, from_date=UNTIL,
        people=read_people(people),
    )  # fmt: skip
    people_alone = replace(site, gateways=(), devices=())
    crews = "0x" + "c3" * 20
    at = {"registry": "0x" + "c1" * 20, "roll": "0x" + "c2" * 20, "crews": crews, "bindings": "0x" + "c4" * 20}
    calls = {change.says: change.call for change in site_changes(people_alone, names, enrolled, at)}
    x, y = (int.from_bytes(half) for half in (passkey.public[:32], passkey.public[32:]))
    assert calls["passkeys of https://minglou.example"] == crews_changes.set_relying_party(
        crews, number=0, rp_id_hash=sha256(host.encode()).digest(), origin="https://minglou.example"
    )
    assert calls["key of other"] == crews_changes.add_crew_key(
        crews, alias=passkey.alias, x=x, y=y, kind=KeyKind.WEBAUTHN, relying_party=0
    )
    assert "key of one" in calls


def lift_codes(site: Site) -> dict[str, dict[str, list[str]]]:
    """Two codes for each place of the first lift, and the display's own."""
    lift = next(device for device in site.devices if device.kind == "lift")
    codes = [new_code(sha256(bytes([number])).digest()[:8]) for number in range(5)]
    return {device_key(lift): {"car": codes[:2], "machine-room": codes[2:4], "display": codes[4:]}}


def test_a_sheet_has_each_printed_code_in_both_languages_and_no_script(site: Site) -> None:
    codes = lift_codes(site)
    labels = labels_of(site, codes)
    assert [(label.place, label.number) for label in labels] == [
        (Place.CAR, 1), (Place.CAR, 2), (Place.MACHINE_ROOM, 1), (Place.MACHINE_ROOM, 2),
    ]  # fmt: skip
    sheet = label_sheet(site, labels, base="https://minglou.example")
    assert sheet.count("<svg") == 4
    assert sheet.count('viewBox="0 0 37 37"') == 4, "version 3: 29 modules and the white margin"
    for label in labels:
        assert printed(label.code) in sheet
        assert label_link("https://minglou.example", label.code) not in sheet
    assert all(word in sheet for word in ("轿厢 car", "机房 machine room", "备用 spare 1", "minglou.example"))
    assert not re.search(r"<script|<link|<img|src=", sheet)
    (display,) = next(iter(codes.values()))["display"]
    assert printed(display) not in sheet


def test_a_site_without_labels_says_what_to_write(site: Site) -> None:
    with pytest.raises(LabelError, match=r'give it `labels = \["car"'):
        labels_of(site, {})
    with pytest.raises(LabelError, match="device 'l9'"):
        labels_of(site, lift_codes(site), only="l9")
