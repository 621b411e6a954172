"""Rules of the fund and of repairs in the deploy options."""

import pytest

from cloud.chain.terms import FUND_TERMS, WORK_TERMS, fund_terms, work_terms


def test_what_a_pack_says_replaces_the_default_rule() -> None:
    terms = fund_terms({"share_bp": 6000, "months": [6, 3, 12], "grace_days": [1, 2, 3]}, utc_offset_seconds=3600)
    assert (terms.share_bp, terms.grace_days, terms.utc_offset_seconds) == (6000, (1, 2, 3), 3600)
    assert terms.emergency_cap == FUND_TERMS.emergency_cap
    assert work_terms({}) == WORK_TERMS and work_terms({"reopens_max": 1}).reopens_max == 1


@pytest.mark.parametrize("given", [{"shares": 1}, {"share_bp": "most"}])
def test_a_rule_that_there_is_not_is_refused(given: dict[str, object]) -> None:
    with pytest.raises((KeyError, ValueError)):
        fund_terms(given, utc_offset_seconds=0)
