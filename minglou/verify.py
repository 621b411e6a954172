"""Check an evidence file by yourself: each named check with a tick, and how far the proof reaches.

Exit code 0: sound, and vouched for by the roots in the trust file. 1: a check failed. 2: a file cannot be read.
3: internally consistent, but nothing that you trust vouches for it.
"""

import argparse
import json
import sys
from pathlib import Path

from contracts.errors import RpcError, TrustError
from contracts.evidence import EVIDENCE_BYTES_MAX
from contracts.report import CheckName, Outcome, Report
from contracts.trust import TRUST_BYTES_MAX, Trust, parse_trust
from contracts.verifier import verify_evidence
from minglou.rpc import HttpRpc

SOUND, BROKEN, UNREADABLE, ORIGIN_UNKNOWN = 0, 1, 2, 3

_TICKS = {Outcome.PASSED: "✓", Outcome.FAILED: "✗", Outcome.NOT_CHECKED: "·"}
_COLOURS = {Outcome.PASSED: "\x1b[32m", Outcome.FAILED: "\x1b[31;1m", Outcome.NOT_CHECKED: "\x1b[2m"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="evidence files")
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


def _verify_file(path: Path, trust: Trust | None, rpc: HttpRpc | None, *, as_json: bool) -> int:
    try:
        evidence = _read(path, EVIDENCE_BYTES_MAX)
    except OSError as error:
        sys.stderr.write(f"minglou verify: {error}\n")
        return UNREADABLE
    report = verify_evidence(evidence, trust, rpc)
    sys.stdout.write(_json_line(path, report) if as_json else _text(path, report, has_colour=sys.stdout.isatty()))
    if report.state is None:
        return BROKEN
    return SOUND if report.outcome(CheckName.ORIGIN) is Outcome.PASSED else ORIGIN_UNKNOWN


def _read(path: Path, length_max: int) -> bytes:
    """At most one byte more than the limit, so that the parser sees and names what is too long."""
    with path.open("rb") as file:
        return file.read(length_max + 1)


def _json_line(path: Path, report: Report) -> str:
    checks = [{"name": c.name, "outcome": c.outcome, "says": c.says, "remedy": c.remedy} for c in report.checks]
    verdict = {"file": str(path), "state": report.state, "marks": report.marks, "checks": checks}
    return json.dumps(verdict, ensure_ascii=False) + "\n"


def _text(path: Path, report: Report, *, has_colour: bool) -> str:
    width = max(len(check.name) for check in report.checks)
    lines = [str(path)]
    for check in report.checks:
        tick, end = _TICKS[check.outcome], ""
        if has_colour:
            tick, end = _COLOURS[check.outcome] + tick, "\x1b[0m"
        lines.append(f"  {tick} {check.name:<{width}}{end}  {check.says}")
        if check.remedy:
            lines.append(f"    {'':<{width}}  → {check.remedy}")
    lines.append(f"  {_verdict(report)}" + (f" ({', '.join(report.marks)})" if report.marks else ""))
    return "\n".join(lines) + "\n"


def _verdict(report: Report) -> str:
    if report.state is None:
        return f"BROKEN at {', '.join(report.broken_at)}"
    if report.outcome(CheckName.ORIGIN) is not Outcome.PASSED:
        return f"{report.state}: internally consistent, origin unknown"
    return str(report.state)
