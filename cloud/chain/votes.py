"""Counting what several endpoints answer to one question: pure, no I/O."""

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from cloud.chain.errors import CallReverted, Disagreement, NodeRefused, Unreachable
from cloud.errors import ChainError

__all__ = ["Votes"]

Result = TypeVar("Result", bound=Hashable)
_TOLD_LENGTH = 70


@dataclass(slots=True)
class Votes(Generic[Result]):
    """One question's answers by the endpoints' names; `needed` equal ones decide."""

    what: str
    needed: int
    answers: dict[str, Result] = field(default_factory=dict)
    refusals: dict[str, CallReverted] = field(default_factory=dict)
    failures: dict[str, ChainError] = field(default_factory=dict)

    def add(self, name: str, answer: Result | ChainError) -> None:
        """Count one endpoint's answer, a contract's refusal, or its failure to answer."""
        if isinstance(answer, CallReverted):
            self.refusals[name] = answer
        elif isinstance(answer, ChainError):
            self.failures[name] = answer
        else:
            self.answers[name] = answer

    def is_decided(self) -> bool:
        """Whether enough endpoints say the same."""
        return len(self.refusals) >= self.needed or self._winner() is not None

    def outcome(self) -> Result:
        """What the majority says.

        Raises:
            CallReverted: the majority says that the contract refuses.
            Disagreement: enough answered, and no majority stands behind one answer.
            NodeRefused: enough answered, with errors of their own.
            Unreachable: too few answered.
        """
        if len(self.refusals) >= self.needed:
            raise next(iter(self.refusals.values()))
        winner = self._winner()
        if winner is not None:
            return self.answers[winner]
        raise self._no_outcome()

    def dissenters(self) -> dict[str, str]:
        """Who said otherwise than the decision, and what. Not to have something is to be behind, no contradiction."""
        if len(self.refusals) >= self.needed:
            return {name: _told(answer) for name, answer in self.answers.items()}
        winner = self._winner()
        if winner is None:
            return {}
        said = self.answers[winner]
        others = {name: _told(answer) for name, answer in self.answers.items() if answer not in (said, None)}
        return others | dict.fromkeys(self.refusals, "the contract refuses")

    def _winner(self) -> str | None:
        for name, answer in self.answers.items():
            if sum(other == answer for other in self.answers.values()) >= self.needed:
                return name
        return None

    def _no_outcome(self) -> ChainError:
        spoken = len(self.answers) + len(self.refusals)
        if spoken >= self.needed:
            told = {name: _told(answer) for name, answer in self.answers.items()} | dict.fromkeys(
                self.refusals, "the contract refuses"
            )
            return Disagreement(
                f"{self.what}: no {self.needed} endpoints agree ("
                + "; ".join(f"{name}: {said}" for name, said in told.items())
                + "); nothing is sent or called final meanwhile: run `minglou chain doctor`, and correct or remove the "
                "endpoint that is wrong in [chain] rpc"
            )
        return self.too_few()

    def too_few(self) -> ChainError:
        """Why there is no answer: a node's own words where that is what they say, otherwise who does not answer."""
        spoken = len(self.answers) + len(self.refusals)
        said_no = [error for error in self.failures.values() if isinstance(error, NodeRefused)]
        if said_no and len(said_no) + spoken >= self.needed:
            return NodeRefused(str(said_no[0]))
        reasons = "; ".join(str(error)[:200] for error in self.failures.values()) or "all others are set aside"
        return Unreachable(
            f"{self.what}: {spoken} endpoints answer and {self.needed} are needed ({reasons}); start the nodes, or "
            "name others in [chain] rpc"
        )


def _told(answer: object) -> str:
    text = str(answer)
    return text if len(text) <= _TOLD_LENGTH else text[:_TOLD_LENGTH] + "…"
