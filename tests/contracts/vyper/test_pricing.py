"""Prices of every shape: the contract's module and Python agree to the fen."""

from random import Random
from typing import Any

import pytest

from contracts.abi import Function, encode_arguments
from contracts.standing import standing_charge
from contracts.tariff import TERMS_TYPE, Component, Season, Terms
from tests.contracts.prices import random_span, random_standing, random_terms
from tests.contracts.vyper.chain import Chain
from tests.contracts.vyper.conftest import refused
from tests.contracts.vyper.harness import compiled

CASES = 150


class Prices:
    """The price module on a chain."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self.address = chain.deploy(chain.accounts[0], bytes.fromhex(str(compiled("Pricing")["bytecode"])[2:]))

    def charge(self, terms: Terms, span: tuple[int, int], residents: int, prior: int, used: list[int]) -> int:
        types = ("bytes", "uint256", "uint256", "uint256", "uint256", "uint256[]")
        return self._ask("charge", types, terms.encode(), *span, residents, prior, used)

    def standing(self, terms: Terms, count: int, span: tuple[int, int]) -> int:
        return self._ask("standing", ("bytes", "uint256", "uint256", "uint256"), terms.encode(), count, *span)

    def _ask(self, name: str, types: tuple[str, ...], *values: Any) -> int:
        from eth_utils.crypto import keccak

        function = Function(name, keccak(text=f"{name}({','.join(types)})")[:4], types, ("uint256",))
        result: int = function.decode(self._chain.view(function.call(self.address, *values)))[0]
        return result


@pytest.fixture(scope="module")
def prices(chain: Chain) -> Prices:
    return Prices(chain)


@pytest.mark.slow
def test_metered_charges_are_pythons(prices: Prices) -> None:
    rng = Random(20261122)
    shapes = set()
    for _ in range(CASES):
        terms = random_terms(rng)
        span = random_span(rng, terms)
        used = [rng.choice((0, rng.randrange(2_000_000))) for _ in terms.registers]
        prior, residents = rng.choice((0, rng.randrange(6_000_000))), rng.randint(0, 9)
        expected = terms.season(*span).charge(used=used, prior=prior, residents=residents)
        assert prices.charge(terms, span, residents, prior, used) == expected
        shapes.add((len(terms.registers), len(terms.seasons), terms.counting))
    assert len(shapes) > 20


@pytest.mark.slow
def test_standing_charges_are_pythons(prices: Prices) -> None:
    rng = Random(944)
    for _ in range(CASES):
        terms = random_standing(rng)
        span = random_span(rng, terms)
        count = rng.choice((0, 1, rng.randrange(100_000)))
        expected = standing_charge(terms, count=count, from_date=span[0], to_date=span[1])
        assert prices.standing(terms, count, span) == expected


FLAT = Terms(quantity="1-0:1.8.0", seasons=(Season(components=(Component(name="energy", price=1),)),))


def test_what_no_bill_can_rest_on_is_refused(prices: Prices) -> None:
    month = (20261101, 20261201)
    for prior, used in ((2**64, [1]), (0, [2**64]), (0, [2**63, 2**63])):
        with refused("pricing: usage is out of range"):
            prices.charge(FLAT, month, 0, prior, used)
    part = FLAT.seasons[0].components
    halves = Terms(
        quantity="1-0:1.8.0",
        seasons=(
            Season(months=(1, 2, 3, 4, 5, 6), components=part),
            Season(months=(7, 8, 9, 10, 11, 12), components=part),
        ),
    )
    assert prices.charge(halves, (20261201, 20270101), 0, 0, [10**9]) == 1
    with refused("pricing: the line crosses seasons"):
        prices.charge(halves, (20261201, 20270102), 0, 0, [1])
    standing = encode_arguments("", (TERMS_TYPE,), ((bytes(32), 0, 3, 0, 0, bytes(32), [], [FLAT.seasons[0].abi()]),))
    fee: Any = type("Fee", (), {"encode": lambda _self: standing})()
    with refused("pricing: usage is out of range"):
        prices.standing(fee, 2**64, month)
    with refused("pricing: span is too long"):
        prices.standing(fee, 1, (20260101, 20280101))
