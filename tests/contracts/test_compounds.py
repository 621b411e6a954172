"""Whole compounds close to the cent; `make bench ONLY=bills` closes 100,000 of them."""

import pytest

from contracts import bill
from tests.contracts import compounds
from tests.contracts.compounds import OpenError, close_compound


def test_random_compounds_close_to_the_cent() -> None:
    assert sum(close_compound(seed) for seed in range(400)) > 4_000


def test_a_fen_lost_in_sharing_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a hundred thousand closed compounds prove nothing: shares rounded each for itself leave fen over."""
    monkeypatch.setattr(compounds, "share", lambda pool, before, key, key_sum: pool * key // key_sum)
    with pytest.raises(OpenError, match="shares"):
        for seed in range(20):
            close_compound(seed)
    assert bill.share(10, 0, 1, 3) + bill.share(10, 1, 1, 3) + bill.share(10, 2, 1, 3) == 10
