"""What a judged visit leaves in the log: its entry, and behind it the verdict that explains it."""

import os
from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING

from contracts.detail import encode_detail
from contracts.entry import SALT_BYTES, Kind, Series
from contracts.errors import DetailError
from contracts.quantities import VISIT, VISIT_VERDICT
from edge.log_store import EntryRow
from edge.visits.judge import Judgement

if TYPE_CHECKING:
    from contracts.visit import Visit

_FACTS_KEPT = ("from_ms", "to_ms", "heard", "left_out", "taken_s", "work", "line", "presence")


def visit_rows(visit: "Visit", judgement: Judgement, at_ms: int) -> list[EntryRow]:
    """The visit entry, and behind it the verdict that explains it."""
    digest = visit.digest()
    detail = _verdict_detail(digest, judgement)
    seen = Series(Kind.VISIT, visit.device, VISIT)
    verdict = Series(Kind.STATUS, visit.device, VISIT_VERDICT)
    return [
        (seen.encode(at_ms, judgement.level, digest, os.urandom(SALT_BYTES)), b""),
        (verdict.encode(at_ms, judgement.level, sha256(detail).digest(), os.urandom(SALT_BYTES)), detail),
    ]


def _verdict_detail(digest: bytes, judgement: Judgement) -> bytes:
    """The verdict, with as much of what it rests on as an entry holds: a long profile must not keep a visit out."""
    salt = os.urandom(SALT_BYTES)
    facts, verdict = judgement.facts, judgement.verdict
    short = {name: facts[name] for name in _FACTS_KEPT if name in facts}
    brief = {name: verdict[name] for name in ("presence", "key_class")}
    for told, found in ((facts, verdict), (short, verdict)):
        with suppress(DetailError):
            return encode_detail({"visit": digest.hex(), "facts": told, "verdict": found}, salt=salt)
    return encode_detail({"visit": digest.hex(), "facts": short, "verdict": brief}, salt=salt)
