"""The half that no rule was fitted to: other seeds, two modules that no rule has met, and worse lines.

It is run when the rules stand, by `make bench ONLY=crew_fakes`, and what it shows is told as it is: whoever fits a rule
to it needs another half, with other seeds.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.fakes.corpus import TRAIN_NOISE, TRAIN_SEEDS_END, Lot, lots

FIRST_SEED = TRAIN_SEEDS_END
MODELS = ("C", "D")
NOISE = TRAIN_NOISE.grown(2)
EACH, HONEST = 125, 1_000


def held_out() -> Iterator[Lot]:
    """All of it."""
    return lots(EACH, HONEST, FIRST_SEED, MODELS, NOISE)
