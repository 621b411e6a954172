"""Phones: one phone's memory on two of them, or two people who sign on one."""

from collections.abc import Iterator, Sequence

from cloud.integrity.facts import Flag, FlagKind, Limits, VisitFacts

__all__ = ["phone", "shares_phone"]

_DAY_S = 86_400


def phone(visit: VisitFacts, others: Sequence[VisitFacts], limits: Limits) -> Sequence[Flag]:
    """A grave flag where two visits stand at one place of a phone's chain; a lesser one where two mechanics signed on
    one phone, for batteries go flat; grave when that happens again and again.
    """
    return [*_forks(visit, others), *_shared(visit, others, limits)]


def _forks(visit: VisitFacts, others: Sequence[VisitFacts]) -> Iterator[Flag]:
    """Two visits with one number. What each names as the one before may be the same: a phone that joined a colleague's
    visit took a number for it, and may sign its own first.
    """
    for other in others:
        theirs = {(one.name, one.number) for one in other.phones}
        numbers = [mine.number for mine in visit.phones if (mine.name, mine.number) in theirs]
        if numbers:
            facts = {"number": min(numbers)}
            yield Flag(
                kind=FlagKind.PHONE, why="copied", visit=visit.digest, other=other.digest, grave=True, facts=facts
            )  # fmt: skip


def _shared(visit: VisitFacts, others: Sequence[VisitFacts], limits: Limits) -> Iterator[Flag]:
    if not shares_phone(visit):
        return
    since = visit.started_at_s - limits.one_phone_days * _DAY_S
    pair = set(visit.signers[: visit.mechanics])
    before = [
        other
        for other in others
        if since <= other.started_at_s <= visit.started_at_s
        and shares_phone(other)
        and pair & set(other.signers[: other.mechanics])
    ]
    times = len(before) + 1
    grave = times >= limits.one_phone_times
    facts = {"times": times, "days": limits.one_phone_days}
    yield Flag(kind=FlagKind.PHONE, why="one-for-two", visit=visit.digest, grave=grave, facts=facts)


def shares_phone(visit: VisitFacts) -> bool:
    """Whether two mechanics signed on one phone; the site manager's own place there is not counted."""
    names = [one.name for one in visit.phones if one.by < visit.mechanics]
    return len(set(names)) < len(names)
