"""A bill as PDF/A-3 that carries its evidence: made when asked for, by a program beside this one, and kept nowhere."""

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import segno

from cloud.web.answers import BillOnPaper
from cloud.web.page import Pages, Visit
from contracts.bill_papers import BILL_NAME, READINGS_NAME, TRUST_NAME
from contracts.trust import parse_trust

__all__ = ["Attached", "Press", "PressBusy", "PressMissing", "print_bill"]

_PROGRAM = Path(__file__).with_name("press.py")
_MISSING = 3
_FONT = "Noto-Sans-CJK"


class PressMissing(Exception):
    """The server lacks what PDFs are made with; the message names it."""


class PressBusy(Exception):
    """Too many wait already; nothing was begun."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attached:
    """A file that a PDF carries."""

    name: str
    description: str
    relationship: str  # to the printed page: Source, Data, Alternative or Supplement (ISO 19005-3, annex E)
    text: str


class Press:
    """Prints one after the other; so many wait, and no more.

    Args:
        waiting_max: how many may wait for the one that is being printed.
        seconds_max: after which a job is given up.
    """

    def __init__(self, *, waiting_max: int = 8, seconds_max: float = 60) -> None:
        self._waiting, self._waiting_max, self._seconds_max = 0, waiting_max, seconds_max
        self._turn = asyncio.Lock()

    async def print(self, html: str, attached: Sequence[Attached], *, created: datetime) -> bytes:
        """The PDF of a page with its attachments: the same bytes for the same job.

        Raises:
            PressMissing: a library or a font is not installed.
            PressBusy: too many wait, or this one took too long.
        """
        if self._waiting > self._waiting_max:
            raise PressBusy
        self._waiting += 1
        try:
            async with asyncio.timeout(self._seconds_max), self._turn:
                return await _run(_job(html, attached, created), created)
        except TimeoutError as error:
            raise PressBusy from error
        finally:
            self._waiting -= 1


async def print_bill(press: Press, pages: Pages, visit: Visit, found: BillOnPaper) -> bytes:
    """A bill in the reader's language, with what checks it. Raises as `Press.print`."""
    address = f"{pages.settings.public_url}/verify"
    code = segno.make(address, error="m", micro=False, boost_error=False)
    posted = json.loads(found.file)
    values = {
        "bill": found.bill,
        "posted": posted,
        "posted_fen": int(posted["amounts"]["total"]),
        "address": address,
        "code": code.svg_data_uri(border=0, dark="#17201f", light=None, omitsize=True),
        "fingerprint": parse_trust(found.trust).fingerprint(),
        "attached": (BILL_NAME, READINGS_NAME, TRUST_NAME),
    }
    says = (
        (BILL_NAME, visit.say("The bill, with its place among all bills"), "Data", found.file),
        (READINGS_NAME, visit.say("The signed readings that its lines rest on"), "Supplement", found.readings),
        (TRUST_NAME, visit.say("The trust file, to be compared with the notice board"), "Supplement", found.trust),
    )
    attached = [
        Attached(name=name, description=words, relationship=relationship, text=content.decode())
        for name, words, relationship, content in says
    ]
    created = datetime.fromtimestamp(found.bill.posted_at_ms // 1000, UTC)
    return await press.print(pages.text(visit, "paper.html", values=values), attached, created=created)


def _job(html: str, attached: Sequence[Attached], created: datetime) -> bytes:
    files = [
        {"name": one.name, "description": one.description, "relationship": one.relationship, "text": one.text}
        for one in attached
    ]
    job = {"html": html, "attachments": files, "created": created.astimezone(UTC).isoformat(), "font": _FONT}
    identifier = sha256(json.dumps(job).encode()).hexdigest()[:32]
    return json.dumps({**job, "identifier": identifier}).encode()


async def _run(job: bytes, created: datetime) -> bytes:
    # Fonts and metadata take their dates from here, or two prints would differ.
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(int(created.timestamp()))}
    pipe = asyncio.subprocess.PIPE
    # -P: this folder's modules are no libraries of the press.
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-P", str(_PROGRAM), stdin=pipe, stdout=pipe, stderr=pipe, env=environment
    )
    try:
        printed, said = await program.communicate(job)
    except asyncio.CancelledError:
        program.kill()
        await program.wait()
        raise
    words = said.decode("utf-8", "replace").strip()
    if program.returncode == _MISSING:
        raise PressMissing(words.splitlines()[0] if words else "")
    if program.returncode != 0:
        raise RuntimeError(f"the press ended with {program.returncode}: {words[-2000:]}")
    return printed
