# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title Pricing harness
@license Apache-2.0
@notice Makes the price module callable for tests.
"""

import pricing


@external
@view
def charge(
    encoded: Bytes[pricing.TERMS_BYTES],
    from_date: uint256,
    to_date: uint256,
    residents: uint256,
    prior: uint256,
    used: DynArray[uint256, 4],
) -> uint256:
    terms: pricing.Terms = pricing._terms(encoded)
    pricing._check(terms)
    return pricing._charge(pricing._season(terms, from_date, to_date), residents, prior, used)


@external
@view
def standing(encoded: Bytes[pricing.TERMS_BYTES], count: uint256, from_date: uint256, to_date: uint256) -> uint256:
    terms: pricing.Terms = pricing._terms(encoded)
    pricing._check(terms)
    return pricing._standing(pricing._season(terms, from_date, to_date), terms.basis, count, from_date, to_date)
