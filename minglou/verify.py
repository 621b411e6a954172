"""Check evidence, of a reading or of a look at your data, or a bill, also as PDF: each named check, and how far the
proof reaches.

Exit code 0: sound, and vouched for by the roots in the trust file. 1: a check failed. 2: a file cannot be read.
3: internally consistent, but nothing that you trust vouches for it.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from contracts.errors import RpcError, TrustError
from contracts.evidence import EVIDENCE_BYTES_MAX
from contracts.look import LOOK_FORMAT
from contracts.look_verifier import verify_look
from contracts.report import Check, CheckName, Outcome, Report, printable
from contracts.trust import TRUST_BYTES_MAX, Trust, parse_trust
from contracts.verifier import verify_evidence
from minglou.bill_pdf import PDF_BYTES_MAX, PdfError, is_pdf, read_bill_pdf
from minglou.rpc import HttpRpc

SOUND, BROKEN, UNREADABLE, ORIGIN_UNKNOWN = 0, 1, 2, 3

_TICKS = {Outcome.PASSED: "✓", Outcome.FAILED: "✗", Outcome.NOT_CHECKED: "·"}
_COLOURS = {Outcome.PASSED: "\x1b[32m", Outcome.FAILED: "\x1b[31;1m", Outcome.NOT_CHECKED: "\x1b[2m"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "files", nargs="+", type=Path, metavar="FILE", help="evidence, of entries or of looks; bills as file or as PDF"
    )
    parser.add_argument("--trust", type=Path, help="trust.json, from the notice board's address")
    parser.add_argument("--rpc", metavar="URL", help="a chain node of your own choice, for what only the chain knows")
    parser.add_argument("--json", action="store_true", help="one line of JSON for each file")


def run(arguments: argparse.Namespace) -> int:
    """Verify each file; the exit code is that of the worst."""
    try:
        trust = parse_trust(_read(arguments.trust, TRUST_BYTES_MAX)) if arguments.trust else None
        rpc = HttpRpc(arguments.rpc) if arguments.rpc else None
    except (OSError, TrustError, RpcError) as error:
        sys.stderr.write(f"minglou verify: {error}\n")
        return UNREADABLE
    if rpc and trust is None:
        sys.stderr.write("minglou verify: --rpc needs --trust, which says which contracts to ask\n")
        return UNREADABLE
    codes = [_verify_file(path, trust, rpc, as_json=arguments.json) for path in arguments.files]
    return next(code for code in (BROKEN, UNREADABLE, ORIGIN_UNKNOWN, SOUND) if code in codes)


class _Told(NamedTuple):
    """One check as it is told; of a PDF, which holds several files, behind the name of the file or line."""

    name: str
    outcome: Outcome
    says: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verdict:
    """What to tell about one file, whichever kind it is."""

    checks: Sequence[_Told]
    state: str | None
    marks: Sequence[str]
    is_vouched_for: bool  # by the roots in the trust file

    @property
    def code(self) -> int:
        if self.state is None:
            return BROKEN
        return SOUND if self.is_vouched_for else ORIGIN_UNKNOWN


def _verify_file(path: Path, trust: Trust | None, rpc: HttpRpc | None, *, as_json: bool) -> int:
    try:
        encoded = _read(path, EVIDENCE_BYTES_MAX)
        if is_pdf(encoded):
            encoded = _read(path, PDF_BYTES_MAX)
        verdict = _judge_file(encoded, trust, rpc)
    except (OSError, PdfError) as error:
        sys.stderr.write(
            f"minglou verify: {path}: {error}\n" if isinstance(error, PdfError) else f"minglou verify: {error}\n"
        )
        return UNREADABLE
    except ModuleNotFoundError as error:
        sys.stderr.write(f"minglou verify: {error.name} is not installed here; pip install 'minglou[pdf]'\n")
        return UNREADABLE
    sys.stdout.write(_json_line(path, verdict) if as_json else _text(path, verdict, has_colour=sys.stdout.isatty()))
    return verdict.code


def _judge_file(encoded: bytes, trust: Trust | None, rpc: HttpRpc | None) -> _Verdict:
    if is_pdf(encoded):
        return _judge_pdf(encoded, trust, rpc)
    if b'"minglou-bill/' in encoded:
        return _judge_bill(encoded, trust, rpc)
    is_look = f'"format":"{LOOK_FORMAT}"'.encode() in encoded
    return _judge(verify_look(encoded, trust, rpc) if is_look else verify_evidence(encoded, trust, rpc))


def _judge(report: Report) -> _Verdict:
    is_vouched_for = any((check.name, check.outcome) == (CheckName.ORIGIN, Outcome.PASSED) for check in report.checks)
    return _Verdict(checks=_told(report.checks), state=report.state, marks=report.marks, is_vouched_for=is_vouched_for)


def _told(checks: Sequence[Check], of: str = "") -> list[_Told]:
    return [_Told(of + one.name, one.outcome, one.says, one.remedy) for one in checks]


def _judge_bill(encoded: bytes, trust: Trust | None, rpc: HttpRpc | None) -> _Verdict:
    from contracts.bill_verifier import BillCheckName, verify_bill_file  # ABI encoding costs a fifth of a second

    checks = verify_bill_file(encoded, trust, rpc)
    outcomes = {check.name: check.outcome for check in checks}
    is_posted = outcomes[BillCheckName.PERIOD] is Outcome.PASSED
    state = None if Outcome.FAILED in outcomes.values() else "posted" if is_posted else "drafted"
    return _Verdict(checks=_told(checks), state=state, marks=(), is_vouched_for=is_posted)


def _judge_pdf(encoded: bytes, trust: Trust | None, rpc: HttpRpc | None) -> _Verdict:
    """All that a bill's PDF carries, checked from it alone. Its trust file is not taken: it would vouch for itself."""
    from contracts.bill_papers_verifier import verify_bill_papers

    carried = read_bill_pdf(encoded)
    bill = _judge_bill(carried.bill, trust, rpc)
    rest = verify_bill_papers(carried.bill, carried.readings, trust, rpc)
    told = [one._replace(name=f"bill.{one.name}") for one in bill.checks]
    for part in rest:
        told += _told(part.checks, f"{part.name}.")
    is_broken = any(one.outcome is Outcome.FAILED for one in told)
    is_vouched_for = bill.is_vouched_for and all(part.is_vouched_for for part in rest)
    marks = () if trust else ("the PDF's own trust file is not taken",)
    return _Verdict(checks=told, state=None if is_broken else bill.state, marks=marks, is_vouched_for=is_vouched_for)


def _read(path: Path, length_max: int) -> bytes:
    """At most one byte more than the limit, so that the parser sees and names what is too long."""
    with path.open("rb") as file:
        return file.read(length_max + 1)


def _json_line(path: Path, verdict: _Verdict) -> str:
    checks = [{"name": c.name, "outcome": c.outcome, "says": c.says, "remedy": c.remedy} for c in verdict.checks]
    fields = {"file": str(path), "state": verdict.state, "marks": list(verdict.marks), "checks": checks}
    return json.dumps(fields, ensure_ascii=False) + "\n"


def _text(path: Path, verdict: _Verdict, *, has_colour: bool) -> str:
    width = max(len(check.name) for check in verdict.checks)
    lines = [str(path)]
    for check in verdict.checks:
        tick, end = _TICKS[check.outcome], ""
        if has_colour:
            tick, end = _COLOURS[check.outcome] + tick, "\x1b[0m"
        lines.append(f"  {tick} {check.name:<{width}}{end}  {printable(check.says)}")
        if check.remedy:
            lines.append(f"    {'':<{width}}  → {check.remedy}")
    lines.append(f"  {_last_line(verdict)}" + (f" ({', '.join(verdict.marks)})" if verdict.marks else ""))
    return "\n".join(lines) + "\n"


def _last_line(verdict: _Verdict) -> str:
    if verdict.state is None:
        return "BROKEN at " + ", ".join(check.name for check in verdict.checks if check.outcome is Outcome.FAILED)
    return verdict.state if verdict.is_vouched_for else f"{verdict.state}: internally consistent, origin unknown"
