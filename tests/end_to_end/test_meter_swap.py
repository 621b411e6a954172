"""One meter takes another's place: read by the gateway, confirmed by the owner, renewed on chain, billed."""

import json
import re
import subprocess
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from contracts import p256
from contracts.bill_file import bill_from_json
from contracts.bill_verifier import verify_bill_file
from contracts.bundle import format_bundle
from contracts.calls import bindings
from contracts.calls.bindings import Confirmed
from contracts.entry import device_id
from contracts.meter_swap import meter_swap_to_json, parse_meter_swap
from contracts.person import Purpose, sign_software
from contracts.quantities import boundary_quantity
from contracts.report import Outcome
from contracts.trust import parse_trust
from tests.cloud.photographs import jpeg, photo_of, scene
from tests.cloud.served import minglou
from tests.cloud.test_billing import sign_in
from tests.edge.house import urn
from tests.end_to_end.swapped_flat import (
    DAYS,
    DOOR,
    NEW,
    OLD,
    OPENED,
    OWNER,
    OWNERS_LINK,
    UNIT,
    Flat,
    number_of,
    swapped_flat,
)
from tests.meter_swaps import noted_of, signed_swap, swap_bundle
from tests.processes import wait_until

WITNESS_DELAY = timedelta(days=7, hours=1)
PHOTOS = tuple(jpeg(scene(seed)) for seed in (1, 2))


@pytest.mark.slow
@pytest.mark.timeout(1500)  # a quarter of an hour of it for a day that is about to end
def test_a_swapped_meter_splits_the_bill(tmp_path: Path) -> None:
    with swapped_flat(tmp_path) as flat:
        with flat.living():
            visit, stood, day = swapped(flat)
            judged = wait_for_verdict(flat, visit)
            assert judged["level"] == 3
            owner = sign_in(flat.cloud, OWNERS_LINK)
            owner.headers["accept-language"] = "en"
            page = f"/bills/{DOOR}/swaps/{visit}"
            shown = owner.get(page).text
            assert "The gateway read the same" in shown and f"{stood / 1000:,.2f}" in shown
            assert owner.get(re.search(rf"{page}/photos/[0-9a-f]{{64}}", shown)[0]).content == PHOTOS[0]  # type: ignore[index]
            announced = flat.batches()
            confirm(flat, owner, page, shown)
        assert "After seven public days" in owner.get(page).text
        wait_until(lambda: flat.batches() > announced, seconds=60, what="the swap is announced")
        flat.asking.ask(flat.chain.pass_seconds(int(WITNESS_DELAY.total_seconds())))
        wait_until(lambda: "Confirmed, and entered" in owner.get(page).text, seconds=60, what="the swap on chain")
        renewed(flat, day)

        closing = day + timedelta(days=1)
        ahead = timedelta(milliseconds=DAYS.start_ms(closing) - int(time.time() * 1000)) + timedelta(hours=2)
        last = boundary_quantity("1-0:1.8.0", closing)
        with flat.living(ahead=ahead):
            wait_until(lambda: flat.counted(NEW)["boundaries"] > 0, seconds=90, what="the midnight after")
            wait_until(lambda: flat.read(NEW, last), seconds=90, what="its entry at the cloud")
        billed(flat, owner, stood, day)
        owner.close()


def swapped(flat: Flat) -> tuple[str, int, Any]:
    """What the installer did and handed in: the visit's digest, the closing register, the day of the new meter."""
    wait_until(lambda: flat.counted(OLD)["boundaries"] > 0, seconds=60, what="the midnight that the bill begins with")
    wait_until(lambda: flat.counted(OLD)["readings"] > 1, seconds=60, what="the old meter's readings")
    stood = flat.house.control(do="switch-off", address=OLD)["energy_wh"] // 10 * 10
    held = flat.counted(OLD)["readings"]
    wait_until(lambda: flat.counted(OLD)["readings"] > held + 1, seconds=60, what="a reading with the load off")
    at_ms = flat.house.control(do="swap", address=OLD, new=NEW, opening_wh=OPENED)["at_ms"]
    ended_s = int(at_ms) // 1000 + 1
    day = DAYS.day_of(ended_s * 1000) + timedelta(days=1)
    at = flat.chain.deployment
    noted = noted_of(urn(OLD), urn(NEW), closing=stood, opening=OPENED // 10 * 10, day=day)
    names = tuple(photo_of(one, ended_s).sha256 for one in PHOTOS)
    photos = (names[0], names[1])
    bundle = swap_bundle(
        noted, started_at_s=ended_s - 400, ended_at_s=ended_s, old=urn(OLD), contract=at.service_agreements.lower(),
        photos=photos, lengths=(len(PHOTOS[0]), len(PHOTOS[1])),
    )  # fmt: skip
    visit = bundle.visit.digest().hex()
    posted = handed_in(flat, "POST", "/v1/visits", format_bundle(bundle))
    assert posted["digest"] == visit
    signed = signed_swap(bundle, subject=UNIT, old_from=flat.opening, contract=at.bindings, photos=photos)
    handed_in(flat, "PUT", f"/v1/visits/{visit}/swap", json.dumps(meter_swap_to_json(signed)).encode())
    for name, octets in zip(names, PHOTOS, strict=True):
        handed_in(flat, "PUT", f"/v1/visits/{visit}/files/{name.hex()}", octets, media="image/jpeg")
    return visit, stood, day


def handed_in(flat: Flat, method: str, path: str, body: bytes, *, media: str = "application/json") -> dict[str, Any]:
    answer = httpx.request(
        method, flat.cloud.url + path, content=body, headers={"Content-Type": media}, timeout=60, trust_env=False
    )
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def wait_for_verdict(flat: Flat, visit: str) -> dict[str, Any]:
    found: dict[str, Any] = {}

    def is_judged() -> bool:
        found.update(flat.cloud.get(f"/v1/visits/{visit}").json())
        return found["state"] == "judged"

    wait_until(is_judged, seconds=90, what="the gateway's verdict")
    return found


def confirm(flat: Flat, owner: httpx.Client, page: str, shown: str) -> None:
    """What the page's script does with the owner's key: the digest from the signed file, the signature posted."""
    nonce, deadline = (int(re.search(rf'data-{name}="(\d+)"', shown)[1]) for name in ("nonce", "deadline"))  # type: ignore[index]
    file = parse_meter_swap(owner.get(f"{page}/swap.json").content).file
    signature = sign_software(
        OWNER, chain_id=file.chain_id, contract=file.contract, purpose=Purpose.SWAP_METER, nonce=nonce,
        deadline=deadline, body_digest=file.body_digest(),
    )  # fmt: skip
    posted = {
        "nonce": str(nonce), "deadline": str(deadline), "public": p256.public_bytes(OWNER).hex(),
        "signature": (signature.r.to_bytes(32) + signature.s.to_bytes(32)).hex(),
    }  # fmt: skip
    headers = {"Origin": f"http://localhost:{flat.cloud.port}"}
    forged = posted | {"signature": "11" * 64}
    assert owner.post(page, json=forged, headers=headers).status_code == 422, "the contract is asked first"
    answer = owner.post(page, json=posted, headers=headers)
    assert answer.status_code == 202, answer.text


def renewed(flat: Flat, day: Any) -> None:
    """Bindings itself: the old meter's account has ended, the new one's begun, both by installer and owner."""
    at = flat.chain.deployment.bindings
    for address, dates in ((OLD, (number_of(flat.opening), number_of(day))), (NEW, (number_of(day), 0))):
        call = bindings.binding(at, device=device_id(urn(address)), number=0)
        held = bindings.parse_binding(flat.asking.ask(flat.chain.client.call(call.to, call.data)))
        assert (held.subject, held.from_date, held.to_date) == (UNIT, *dates)
        assert (held.attested, held.confirmed) == (True, Confirmed.OWNER)


def billed(flat: Flat, owner: httpx.Client, stood: int, day: Any) -> None:
    """The bill from the opening day to the day after the swap: both meters' own Wh, and nothing estimated."""
    closing = day + timedelta(days=1)
    spans = []
    for address, days in ((OLD, (flat.opening, day)), (NEW, (day, closing))):
        entries = [flat.read(address, boundary_quantity("1-0:1.8.0", one)) for one in days]
        assert [len(found) for found in entries] == [1, 1], "one entry for each boundary"
        spans.append([found[0][0] for found in entries])
    assert (spans[0][1], spans[1][0]) == (stood, OPENED // 10 * 10)
    used = sum(ended - began for began, ended in spans)

    folder, period = flat.cloud.folder, f"{flat.opening}..{closing}"
    posted = billing(
        folder, "run", "--config", "cloud.toml", "--operator", "operator.toml", "--period", period, "--folder", "run"
    )
    assert posted.returncode == 0 and "look at" not in posted.stdout, posted.stdout + posted.stderr
    number = f"{number_of(flat.opening)}{number_of(closing)}"
    file = owner.get(f"/bills/{DOOR}/{number}/bill.json").content
    (line,) = bill_from_json(json.loads(file)).bill.lines
    assert (line.kind, line.usage, line.from_date, line.to_date) == (
        1,
        used,
        number_of(flat.opening),
        number_of(closing),
    )
    trust = parse_trust((folder / "trust.json").read_bytes())
    assert not [check for check in verify_bill_file(file, trust) if check.outcome is Outcome.FAILED]
    told = flat.cloud.get(f"/v1/bills/{number}/units/0/derivations", flat.cloud.program_token).json()["lines"][0]
    assert told["derivation"]["matches"] and [one["device"] for one in told["derivation"]["spans"]] == [
        device_id(urn(address)).hex() for address in (OLD, NEW)
    ]
    again = billing(folder, "replay", "--config", "cloud.toml", "--period", period)
    assert again.returncode == 0 and "0 lines" in again.stderr, again.stderr
    proved(flat, day)


def proved(flat: Flat, day: Any) -> None:
    """The entry that ended the old meter's account, by `minglou verify`."""
    ((_, index),) = flat.read(OLD, boundary_quantity("1-0:1.8.0", day))
    evidence = flat.cloud.folder / "closing.json"
    answer = flat.cloud.get(f"/v1/evidence/test.minglou.example/site/b01/e0/{index}", flat.cloud.program_token)
    evidence.write_bytes(answer.content)
    assert answer.json()["detail"]["source"] == "swap"
    command = [minglou(), "verify", evidence, "--trust", flat.cloud.folder / "trust.json", "--json"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def billing(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [minglou(), "billing", *words], cwd=folder, capture_output=True, text=True, timeout=280, check=False
    )
