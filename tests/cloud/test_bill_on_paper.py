"""A bill with all that checks it, from the store of a month: what is printed is what its pages and proofs say.

With proofs of a real log and chain: tests/minglou/test_time_of_use.py.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from cloud.identity.roles import Role
from cloud.questions import StoreQuestions
from cloud.web.answers import Person, Title
from contracts.bill_papers import parse_bill_papers
from contracts.evidence import parse_evidence
from contracts.trust import format_trust
from tests.cloud.billing_site import PERIOD
from tests.cloud.test_owner_pages import pages
from tests.vectors.deployment import TRUST

Run = Callable[[Any], Any]
OWNER = Person(key="owner", role=Role.OWNER, title=Title(zh="业主", en="Owner"), units=("u1",))


def test_a_bill_brings_the_evidence_of_every_reading_that_its_lines_name(
    run: Run, tmp_path: Path, store_url: str
) -> None:
    trust = tmp_path / "trust.json"
    trust.write_bytes(format_trust(TRUST))

    async def scenario() -> None:
        async with pages(tmp_path, store_url, units=3) as opened:
            cloud = opened.house.cloud
            questions = StoreQuestions(replace(cloud, settings=replace(cloud.settings, trust_file=trust)))
            found = await questions.bill_on_paper(OWNER, "u1", str(PERIOD))
            assert found is not None
            assert found.file == await questions.bill_file(OWNER, "u1", str(PERIOD))
            assert found.trust == trust.read_bytes()
            whole = await questions.bill(OWNER, "u1", str(PERIOD))
            assert whole is not None and found.bill.summary == whole.summary
            papers = parse_bill_papers(found.readings)
            for line, own in zip(found.bill.lines, papers.lines, strict=True):
                entries = [parse_evidence(papers.files[place]) for place in own.files]
                told = [(ref.quantity, ref.value) for ref in line.evidence]
                assert [(entry.row[3], entry.row[4]) for entry in entries] == told
            assert [line.amount_fen for line in found.bill.lines] == [line.amount_fen for line in whole.lines]
            assert await questions.bill_on_paper(OWNER, "u2", str(PERIOD)) is None
            assert await questions.bill_on_paper(OWNER, "u1", "1") is None

    run(scenario())
