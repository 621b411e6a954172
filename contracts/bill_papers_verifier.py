"""Verify what a bill's PDF brings beside the bill: its readings one by one, and each line by its own.

The same parts, checks and names as on the page where a PDF is dropped (`cloud/web/static/verify.js`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from contracts.bill import BillError, BillProof
from contracts.bill_file import bill_from_json
from contracts.bill_papers import BillPapers, BillPapersError, parse_bill_papers
from contracts.bill_verifier import BILL_BYTES_MAX
from contracts.errors import ContractsError
from contracts.evidence import Evidence, parse_evidence
from contracts.fields import parse_json
from contracts.line_verifier import verify_line
from contracts.onchain import ChainView, Rpc
from contracts.report import Check, CheckName, Outcome, run_check
from contracts.trust import Trust
from contracts.verifier import verify_evidence

__all__ = ["PaperPart", "PapersCheckName", "verify_bill_papers"]


class PapersCheckName(StrEnum):
    """The one check of the list itself."""

    PAPERS = "papers"


_REMEDY = "The list of readings is damaged, or another bill's. Take the file as it was downloaded."


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperPart:
    """The checks of one part: the list, one reading, one line."""

    name: str  # papers, reading0, line0
    checks: Sequence[Check]
    is_vouched_for: bool = True  # of a reading: whether the roots that one trusts vouch for it


def verify_bill_papers(
    bill_file: bytes, papers_file: bytes, trust: Trust | None = None, rpc: Rpc | None = None
) -> tuple[PaperPart, ...]:
    """The checks of the list, of each reading and of each line. The bill's own are `contracts.bill_verifier`'s."""
    proof = _bill_of(bill_file)
    papers = BillPapers(files=(), lines=())

    def check_papers() -> str:
        nonlocal papers
        parsed = parse_bill_papers(papers_file)
        if proof is not None and len(parsed.lines) != len(proof.bill.lines):
            raise BillPapersError("the list of readings is for another bill")
        papers = parsed
        return f"{len(parsed.files)} readings of {len(parsed.lines)} lines"

    parts = [PaperPart(name="papers", checks=(run_check(PapersCheckName.PAPERS, check_papers, _REMEDY),))]
    evidence: list[Evidence | None] = []
    for place, file in enumerate(papers.files):
        report = verify_evidence(file, trust, rpc)
        evidence.append(parse_evidence(file) if report.state is not None else None)
        is_vouched_for = report.outcome(CheckName.ORIGIN) is Outcome.PASSED
        parts.append(PaperPart(name=f"reading{place}", checks=report.checks, is_vouched_for=is_vouched_for))
    chain = ChainView(rpc, trust) if rpc is not None and trust is not None else None
    for number in range(len(proof.bill.lines) if proof is not None else 0):
        assert proof is not None
        places = papers.lines[number].files if papers.lines else ()
        readings = [found for place in places if (found := evidence[place]) is not None]
        parts.append(PaperPart(name=f"line{number}", checks=verify_line(proof, number, readings, chain)))
    return tuple(parts)


def _bill_of(encoded: bytes) -> BillProof | None:
    """The bill; None where its own checks say why it cannot be read."""
    try:
        return bill_from_json(parse_json(encoded, length_max=BILL_BYTES_MAX, what="bill", refuse=BillError))
    except ContractsError:
        return None
