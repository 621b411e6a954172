"""State machines whose every call is predicted by a model beside the contract, and how they are run."""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from tests.contracts.vyper.chain import Reverted


class Predicted(RuleBasedStateMachine):
    """Calls in any order; each is predicted, and its refusal too."""

    succeeded: Counter[str]

    @contextmanager
    def expected(self, what: str, succeeds: bool) -> Iterator[None]:
        """The call must succeed exactly if the model says so."""
        try:
            yield
        except Reverted as refused:
            assert not succeeds, f"{what} was refused: {refused.reason}"
            self.succeeded[f"{what} refused"] += 1
            return
        assert succeeds, f"{what} succeeded"
        self.succeeded[what] += 1


def run_paths(machine: type[Predicted], *, examples: int, steps: int) -> None:
    """Run so many paths of so many steps, the same ones each time."""
    machine.succeeded = Counter()
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=True,
            phases=[Phase.generate],  # the chain's clock runs on, so that a failure cannot be replayed exactly
            suppress_health_check=list(HealthCheck),
        ),
    )


def require(machine: type[Predicted], what: Iterable[str], *, times: int) -> None:
    """All of these really happened: paths on which everything is refused prove nothing."""
    rare = {one: machine.succeeded[one] for one in what if machine.succeeded[one] < times}
    assert not rare, f"fewer than {times}: {rare} of {dict(machine.succeeded)}"
