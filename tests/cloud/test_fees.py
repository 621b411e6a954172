"""What is offered for a transaction."""

import pytest

from cloud.chain.fees import Asked, FeeCapReached, Fees, first_fees, replacement_fees

GWEI = 10**9
CAP = 200 * GWEI


def test_a_first_offer_bears_the_base_fee_doubling() -> None:
    fees = first_fees(Asked(price=30 * GWEI, priority=GWEI), cap=CAP)
    assert fees.fields() == {"type": 2, "maxFeePerGas": 61 * GWEI, "maxPriorityFeePerGas": GWEI}


def test_an_offer_never_passes_the_cap_and_none_is_made_where_the_chain_asks_for_more() -> None:
    assert first_fees(Asked(price=150 * GWEI, priority=GWEI), cap=CAP).max_fee == CAP
    with pytest.raises(FeeCapReached, match="raise \\[chain\\] fee_cap_gwei"):
        first_fees(Asked(price=CAP, priority=GWEI), cap=CAP)


@pytest.mark.parametrize("last", [1, 7, GWEI, 33 * GWEI])
def test_a_replacement_is_at_least_an_eighth_higher_in_both_parts(last: int) -> None:
    fees = replacement_fees(Fees(max_fee=last, priority=last), Asked(price=0, priority=0), cap=CAP)
    assert 8 * fees.max_fee >= 9 * last and 8 * fees.priority >= 9 * last


def test_a_replacement_that_passes_the_cap_is_not_made() -> None:
    with pytest.raises(FeeCapReached, match="replacing needs"):
        replacement_fees(Fees(max_fee=CAP - 1, priority=1), Asked(price=1, priority=1), cap=CAP)


def test_without_a_base_fee_the_nodes_price_is_paid() -> None:
    asked = Asked(price=5 * GWEI, priority=0, is_legacy=True)
    fees = first_fees(asked, cap=CAP)
    assert fees.fields() == {"gasPrice": 5 * GWEI}
    assert replacement_fees(fees, asked, cap=CAP).fields() == {"gasPrice": 5 * GWEI * 9 // 8}


def test_where_gas_is_free_nothing_is_offered_and_nothing_more_in_its_place() -> None:
    asked = Asked(price=0, priority=0, is_legacy=True)
    free = first_fees(asked, cap=CAP)
    assert free.fields() == {"gasPrice": 0}
    assert replacement_fees(free, asked, cap=CAP) == free
