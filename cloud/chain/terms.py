"""The rules that votes, fund and repairs are deployed with: what a site's data pack says, else those of one city."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from contracts.fund import Terms as FundTerms
from contracts.work_order import Terms as WorkTerms

__all__ = [
    "ASSEMBLY_TERMS",
    "FUND_TERMS",
    "WORK_TERMS",
    "AssemblyTerms",
    "assembly_terms",
    "fund_terms",
    "work_terms",
]

_DAY = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class AssemblyTerms:
    """How owners vote."""

    notice_seconds: int  # between convening and opening
    voting_seconds: int  # shortest time that a vote is open
    window_seconds: int  # of the public roll before opening, of paper before and of sealed ballots after the close
    proxies_max: int  # that one head may hold


# Beijing asks for 15 days of notice (articles 35 and 37, read in a public copy); the others are ours.
ASSEMBLY_TERMS = AssemblyTerms(
    notice_seconds=15 * _DAY, voting_seconds=7 * _DAY, window_seconds=3 * _DAY, proxies_max=3
)

# Shanghai's rules of 2020-12-30, articles 65 to 67, read in a public copy, to be checked before production: reports on
# the fund half-yearly, on income quarterly, yearly reconciliation, more than half of income to the fund, top-up below
# 30 % of the first amount. Amounts, delays and the cap are ours.
FUND_TERMS = FundTerms(
    public_delay=7 * _DAY,
    share_bp=7_000,
    cost_bp=3_000,
    review_above=5_000_000,
    emergency_cap=2_000_000,
    ratify_within=60 * _DAY,
    first_rates=(0, 10_000),
    notice_below_bp=3_000,
    utc_offset_seconds=8 * 3_600,
    since=20260701,
    months=(6, 3, 12),
    grace_days=(30, 15, 90),
)
WORK_TERMS = WorkTerms(
    accept_within=_DAY,
    promise_max=30 * _DAY,
    confirm_within=7 * _DAY,
    redo_within=3 * _DAY,
    give_up_after=7 * _DAY,
    report_within=7 * _DAY,
    reopens_max=2,
    price_max=200_000,
)


def assembly_terms(given: Mapping[str, Any]) -> AssemblyTerms:
    """How owners vote: the rules given by name, else the ones above.

    Raises:
        KeyError, TypeError, ValueError: no such rule, or a value that is none.
    """
    return replace(ASSEMBLY_TERMS, **_numbers(AssemblyTerms, given))


def fund_terms(given: Mapping[str, Any], *, utc_offset_seconds: int) -> FundTerms:
    """The fund's rules, likewise."""
    return replace(FUND_TERMS, utc_offset_seconds=utc_offset_seconds, **_numbers(FundTerms, given))


def work_terms(given: Mapping[str, Any]) -> WorkTerms:
    """The rules of repairs, likewise."""
    return replace(WORK_TERMS, **_numbers(WorkTerms, given))


def _numbers(terms: type, given: Mapping[str, Any]) -> dict[str, Any]:
    unknown = set(given) - {field.name for field in fields(terms)}
    if unknown:
        raise KeyError(f"no such rule: {', '.join(sorted(unknown))}")
    return {
        name: tuple(int(each) for each in value) if isinstance(value, list) else int(value)
        for name, value in given.items()
    }
