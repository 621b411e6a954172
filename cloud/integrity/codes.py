"""Codes: a display's of another time, of another visit, or none of its; a label's of another device, or withdrawn."""

from collections.abc import Iterator, Sequence

from cloud.integrity.facts import Flag, FlagKind, LabelWord, Limits, VisitFacts
from cloud.integrity.phone import shares_phone

__all__ = ["SLOT_S", "codes"]

SLOT_S, VALID_S = 30, 60
_LABELS = {
    LabelWord.OTHERS: "not-its-label",
    LabelWord.WITHDRAWN: "withdrawn-label",
    LabelWord.UNKNOWN: "unknown-label",
}


def codes(visit: VisitFacts, others: Sequence[VisitFacts], limits: Limits) -> Sequence[Flag]:
    """Flags codes that prove no presence now: grave where one is of another visit or another time."""
    return [
        *_replayed(visit, others), *_of_another_time(visit, limits), *_wrong(visit), *_absent(visit), *_labels(visit)
    ]  # fmt: skip


def _replayed(visit: VisitFacts, others: Sequence[VisitFacts]) -> Iterator[Flag]:
    mine = _read(visit)
    for other in others:
        if other.device != visit.device or not mine & _read(other):
            continue
        facts = {"count": len(mine & _read(other))}
        yield Flag(
            kind=FlagKind.CODE, why="used-before", visit=visit.digest, other=other.digest, grave=True, facts=facts
        )  # fmt: skip


def _read(visit: VisitFacts) -> set[tuple[bytes, int, str]]:
    """Who of the signers showed which code."""
    return {
        (visit.signers[scan.by], scan.slot, scan.token)
        for scan in visit.scans
        if scan.slot is not None and scan.by < len(visit.signers)
    }


def _of_another_time(visit: VisitFacts, limits: Limits) -> Iterator[Flag]:
    early, late = visit.started_at_s - limits.code_margin_s, visit.ended_at_s + limits.code_margin_s
    shown = [(SLOT_S * scan.slot, scan.at_s) for scan in visit.scans if scan.slot is not None]
    away = [max(early - at_s - SLOT_S, at_s - late) for at_s, _ in shown]
    # A code that was read long after it was shown is an old picture of it, whatever the visit's own times.
    away += [abs(read_s - at_s) - limits.code_margin_s - VALID_S for at_s, read_s in shown]
    if any(seconds > 0 for seconds in away):
        facts = {"seconds": max(away) + limits.code_margin_s}
        yield Flag(kind=FlagKind.CODE, why="other-time", visit=visit.digest, grave=True, facts=facts)


def _wrong(visit: VisitFacts) -> Iterator[Flag]:
    """A typing error is forgiven where the person then showed a right one."""
    if visit.verdict is not None and visit.verdict.wrong:
        grave = visit.verdict.presence == "contradicted"
        facts = {"count": visit.verdict.wrong}
        yield Flag(kind=FlagKind.CODE, why="wrong", visit=visit.digest, grave=grave, facts=facts)


def _absent(visit: VisitFacts) -> Iterator[Flag]:
    """One mechanic showed the display's code and the other, with a phone of his own in his hand, did not.

    Who was there with a flat phone signs on the other's; that is `phone`'s to ask about.
    """
    words = visit.verdict.signers[: visit.mechanics] if visit.verdict else ()
    if "confirmed" in words and "not-seen" in words:
        facts = {"count": words.count("not-seen"), "of": visit.mechanics}
        has_own = not shares_phone(visit)
        yield Flag(kind=FlagKind.CODE, why="not-there", visit=visit.digest, grave=has_own, facts=facts)


def _labels(visit: VisitFacts) -> Iterator[Flag]:
    """Labels prove no time and earn nothing, so none is grave: a sticker may hang at the wrong door."""
    for word, why in _LABELS.items():
        count = sum(scan.label is word for scan in visit.scans)
        if count:
            facts = {"count": count}
            yield Flag(kind=FlagKind.CODE, why=why, visit=visit.digest, grave=False, facts=facts)
