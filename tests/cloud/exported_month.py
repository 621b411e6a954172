"""What a month's exports must say of it: bills, lines, payments and anchors, each as the contracts have it."""

import csv
import io
import json
from zipfile import ZipFile

import httpx

from contracts.bill_file import bill_from_json
from contracts.bill_verifier import verify_bill_file
from contracts.entry import device_id
from contracts.report import Check, Outcome
from contracts.trust import parse_trust
from contracts.verifier import verify_evidence
from tests.cloud.month import AREAS, REGISTERS, Month, alias, urn
from tests.cloud.served import ServedCloud

__all__ = ["exports_tell_the_month", "personal_file_tells_the_flat"]


def exports_tell_the_month(cloud: ServedCloud, month: Month, owner: httpx.Client, unit: int) -> None:
    """The operator's program gets everything, an owner the own flat's."""
    period, door = month.period, f"b07-010{unit + 1}"
    bills = _table(cloud.get("/v1/exports/bills.csv", cloud.program_token))
    assert [bill["unit"] for bill in bills] == [f"b07-010{at + 1}" for at in range(len(AREAS))]
    own = _table(owner.get("/v1/exports/bills.csv"))
    assert own == [bills[unit]] and own[0]["period"] == str(period)
    proof = bill_from_json(owner.get(f"/bills/{door}/{period}/bill.json").json())
    assert (own[0]["total_fen"], own[0]["root_sha256"]) == (str(proof.bill.amounts.total), proof.root.hash.hex())
    lines = _table(owner.get("/v1/exports/bill-lines.csv"))
    assert [int(line["amount_fen"]) for line in lines] == [line.amount for line in proof.bill.lines]
    payments = _table(owner.get("/v1/exports/payments.csv"))
    assert {payment["unit"] for payment in payments} == {door}
    debited = [int(payment["amount_fen"]) for payment in payments if payment["event"] == "Debited"]
    assert debited == [int(own[0]["paid_fen"])]
    anchors = _table(httpx.get(f"{cloud.url}/v1/exports/anchors.csv", timeout=70, trust_env=False))
    assert anchors and {anchor["contract"] for anchor in anchors} == {month.site.deployment.anchor_log}
    sizes = [int(anchor["super_log_size"]) for anchor in anchors]
    assert sizes == sorted(set(sizes))


def personal_file_tells_the_flat(
    cloud: ServedCloud, month: Month, owner: httpx.Client, neighbour: httpx.Client, unit: int
) -> None:
    """All of one flat, with proofs that hold, and nothing of another; kept in the audit log, and shown there."""
    door, others = f"b07-010{unit + 1}", [at for at in range(len(AREAS)) if at != unit]
    assert httpx.get(f"{cloud.url}/v1/personal.zip", timeout=70, trust_env=False).status_code == 403, "a stranger"
    held = _members(owner.get("/v1/personal.zip"))
    assert held["README.txt"].decode().startswith(door)
    assert held[f"bills/{month.period}.json"] == owner.get(f"/bills/{door}/{month.period}/bill.json").content
    trust = parse_trust(held["trust.json"])
    assert not [check for check in verify_bill_file(held[f"bills/{month.period}.json"], trust) if _failed(check)]
    proofs = {name: verify_evidence(file, trust) for name, file in held.items() if name.startswith("evidence/")}
    assert len(proofs) == 2 and all(proof.state and not proof.broken_at for proof in proofs.values()), proofs
    readings = list(csv.DictReader(io.StringIO(held["readings.csv"].decode())))
    assert {one["device_urn"] for one in readings} == {urn(unit)}
    assert {int(one["value"]) for one in readings} >= set(REGISTERS[unit])
    everything = b"".join(held.values())
    for other in others:
        assert urn(other).encode() not in everything and device_id(urn(other)).hex().encode() not in everything
        assert alias(other).hex().encode() not in everything
    assert f"b07-010{others[0] + 1}".encode() not in everything
    looks = json.loads(held["looks.json"])["entries"]
    assert [one for one in looks if one["act"] == "exported" and one["what"] == "personal.zip"], "and is told so"
    assert alias(unit).hex().encode() not in b"".join(_members(neighbour.get("/v1/personal.zip")).values())
    served = _members(cloud.get("/v1/personal.zip", cloud.program_token, unit=door))
    assert served["bill-lines.csv"] == held["bill-lines.csv"] and "sessions" not in json.loads(served["person.json"])
    assert "sessions" in json.loads(held["person.json"])


def _members(answer: httpx.Response) -> dict[str, bytes]:
    assert answer.status_code == 200, answer.text
    with ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def _failed(check: Check) -> bool:
    return check.outcome is Outcome.FAILED


def _table(answer: httpx.Response) -> list[dict[str, str]]:
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))
