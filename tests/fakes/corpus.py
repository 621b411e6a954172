"""The corpus: cases drawn from seeds. Train seeds lie below a million; the held-out half is in `held_out`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from devices.simulated.lift.noise import Noise
from tests.fakes.cheats import case_of
from tests.fakes.visits import Case, Kind

FAKES = tuple(kind for kind in Kind if kind is not Kind.HONEST)
TRAIN_MODELS = ("A", "B")
TRAIN_NOISE = Noise()
TRAIN_SEEDS_END = 1_000_000


@dataclass(frozen=True, slots=True)
class Lot:
    """What decides a case, small enough to be handed to another process."""

    kind: Kind
    seed: int
    model: str
    noise: Noise

    def case(self) -> Case:
        """The case itself."""
        return case_of(self.kind, self.seed, self.model, self.noise)


def lots(each: int, honest: int, first_seed: int, models: tuple[str, ...], noise: Noise) -> Iterator[Lot]:
    """`each` fakes of every class and so many honest visits, the models in turn."""
    for kind in Kind:
        for number in range(honest if kind is Kind.HONEST else each):
            yield Lot(kind, first_seed + number, models[number % len(models)], noise)


def train(each: int, honest: int, *, first_seed: int = 0) -> Iterator[Lot]:
    """Of the half that rules may be fitted to."""
    assert first_seed + max(each, honest) <= TRAIN_SEEDS_END, "these seeds belong to the held-out half"
    yield from lots(each, honest, first_seed, TRAIN_MODELS, TRAIN_NOISE)
