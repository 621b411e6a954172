"""What a bill's PDF brings beside the bill, `minglou-bill-papers/1`: its readings' evidence, and whose line each is.

Evidence stands as text within the text: a file is checked in its one form, to the byte.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from contracts.errors import ContractsError
from contracts.evidence import EVIDENCE_BYTES_MAX
from contracts.fields import Fields, parse_json
from contracts.key_table import key_proof_from_json

__all__ = [
    "BILL_NAME",
    "PAPERS_BYTES_MAX",
    "READINGS_NAME",
    "TRUST_NAME",
    "BillPapers",
    "BillPapersError",
    "LinePapers",
    "format_bill_papers",
    "papers_of",
    "parse_bill_papers",
]

FORMAT = "minglou-bill-papers/1"
BILL_NAME, READINGS_NAME, TRUST_NAME = "bill.json", "readings.json", "trust.json"
"""Names of the attachments."""
PAPERS_BYTES_MAX = 4 << 20
_FILES_MAX = 256
_LINES_MAX = 24
_KEY_BYTES_MAX = 16_384


class BillPapersError(ContractsError):
    """The papers are not in their form."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinePapers:
    """What one line of the bill rests on."""

    files: tuple[int, ...] = ()  # places among the papers' files
    key: str = ""  # JSON: where the unit's key stands in a table that shares the pool; empty: nowhere


@dataclass(frozen=True, slots=True, kw_only=True)
class BillPapers:
    """Evidence files, each once, and for each line of the bill its own."""

    files: tuple[bytes, ...]  # `minglou-evidence/1`
    lines: tuple[LinePapers, ...]


def papers_of(lines: Sequence[tuple[Sequence[bytes], str]]) -> BillPapers:
    """The papers of a bill whose lines rest on these evidence files and keys."""
    places: dict[bytes, int] = {}
    found = []
    for files, key in lines:
        own = dict.fromkeys(places.setdefault(file, len(places)) for file in files)
        found.append(LinePapers(files=tuple(own), key=key))
    return BillPapers(files=tuple(places), lines=tuple(found))


def format_bill_papers(papers: BillPapers) -> bytes:
    """The attachment. Raises BillPapersError where it would be too large."""
    value = {
        "format": FORMAT,
        "files": [file.decode() for file in papers.files],
        "lines": [{"files": list(line.files), "key": line.key} for line in papers.lines],
    }
    encoded = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    if len(encoded) > PAPERS_BYTES_MAX or len(papers.files) > _FILES_MAX:
        raise BillPapersError(f"{len(papers.files)} readings in {len(encoded)} bytes; a bill's papers hold fewer")
    return encoded


def parse_bill_papers(encoded: bytes) -> BillPapers:
    """The papers in an attachment; evidence and keys are not verified.

    Raises:
        BillPapersError: another format, a field missing, a line that names a file that is not there, a file of no line.
        BillError: a key that is none.
    """
    value = parse_json(encoded, length_max=PAPERS_BYTES_MAX, what="papers", refuse=BillPapersError)
    fields = Fields(value, place="", keys=("format", "files", "lines"), refuse=BillPapersError)
    fields.choice("format", (FORMAT,))
    files = tuple(_file(file) for file in fields.array("files", _FILES_MAX))
    lines = tuple(_line(line, len(files)) for line in fields.each_within("lines", _LINES_MAX, "files", "key"))
    if {place for line in lines for place in line.files} != set(range(len(files))):
        raise BillPapersError("an evidence file belongs to no line")
    return BillPapers(files=files, lines=lines)


def _file(text: Any) -> bytes:
    if not isinstance(text, str) or len(text) > EVIDENCE_BYTES_MAX:
        raise BillPapersError(f"an evidence file is no text of at most {EVIDENCE_BYTES_MAX} characters")
    return text.encode()


def _line(fields: Fields, file_count: int) -> LinePapers:
    places = fields.array("files", _FILES_MAX)
    if not all(type(place) is int and 0 <= place < file_count for place in places):
        raise BillPapersError("a line rests on an evidence file that is not there")
    if len(set(places)) != len(places):
        raise BillPapersError("a line rests on an evidence file twice")
    key = fields.text("key")
    if key:
        key_proof_from_json(parse_json(key.encode(), length_max=_KEY_BYTES_MAX, what="key", refuse=BillPapersError))
    return LinePapers(files=tuple(places), key=key)
