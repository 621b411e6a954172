"""What a month's exports must say of it: bills, lines, payments and anchors, each as the contracts have it."""

import csv
import io

import httpx

from contracts.bill_file import bill_from_json
from tests.cloud.month import AREAS, Month
from tests.cloud.served import ServedCloud

__all__ = ["exports_tell_the_month"]


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


def _table(answer: httpx.Response) -> list[dict[str, str]]:
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))
