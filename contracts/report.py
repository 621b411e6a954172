"""What a verifier answers: named checks, the state they show, and marks beside it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from contracts.errors import ContractsError, RpcError


class CheckName(StrEnum):
    """The checks, in the order in which they are told."""

    FORMAT = "format"
    ENTRY = "entry"
    DETAIL = "detail"
    INCLUSION = "inclusion"
    CHECKPOINT = "checkpoint"
    GATEWAY_KEY = "gateway_key"
    ASSIGNMENT = "assignment"
    SUPER_INCLUSION = "super_inclusion"
    SUPER_SIGNATURE = "super_signature"
    WITNESSES = "witnesses"
    ANCHOR = "anchor"
    FINALITY = "finality"
    ORIGIN = "origin"


REMEDIES: Mapping[CheckName, str] = MappingProxyType(
    {
        CheckName.FORMAT: "Ask for a fresh copy of the file; this one was edited, cut or made by another program.",
        CheckName.ENTRY: "The record was changed after the gateway made it. Keep this file and ask for a fresh copy.",
        CheckName.DETAIL: "The detail was changed after the gateway logged it; the entry itself is not in doubt.",
        CheckName.INCLUSION: "This is not what the gateway signed. Keep this file: it shows a changed record.",
        CheckName.CHECKPOINT: "The gateway did not sign this. Keep this file and ask the committee for its key.",
        CheckName.GATEWAY_KEY: "The key was not the gateway's at the time. Keep this file and tell the committee.",
        CheckName.ASSIGNMENT: "The device does not count here; compare its number with the one on your meter.",
        CheckName.SUPER_INCLUSION: "The cloud does not hold this checkpoint where it says. Keep this file; ask again.",
        CheckName.SUPER_SIGNATURE: "Compare the fingerprint of your trust file with the one on the notice board.",
        CheckName.WITNESSES: "Too few independent witnesses saw this history; ask again later, or ask them.",
        CheckName.ANCHOR: "The chain does not hold what the file claims. Keep this file and ask another node.",
        CheckName.FINALITY: "Ask again later.",
        CheckName.ORIGIN: "Take the trust file from the notice board's address, not from whoever sent this file.",
    }
)
"""What to do when a check has failed, for who holds the file."""


def printable(text: str) -> str:
    """A text from a file without what would command a terminal: control, format and unassigned characters."""
    return "".join(one if one.isprintable() else "\ufffd" for one in text)


class Outcome(StrEnum):
    """What became of a check."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_CHECKED = "not_checked"


class State(StrEnum):
    """How far the proof was shown to reach."""

    RECORDED = "recorded"  # an entry without a checkpoint
    LOGGED = "logged"  # in a log that its gateway signed
    ANCHORED = "anchored"  # that log in a super-log whose root stands on the chain
    FINAL = "final"  # and that block can no longer go away


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One named check: its outcome, what it found, and what to do where it did not pass."""

    name: StrEnum  # `CheckName`, or a bill's
    outcome: Outcome
    says: str
    remedy: str = ""


class NotCheckedError(Exception):
    """A check cannot be made; the message says why and what to do about it."""


def run_check(name: StrEnum, step: Callable[[], str], remedy: str) -> Check:
    """Make one check. The step returns what it found, raises `ContractsError` when that is wrong and
    `NotCheckedError`, or `RpcError`, when it cannot tell."""
    try:
        return Check(name=name, outcome=Outcome.PASSED, says=step())
    except (NotCheckedError, RpcError) as reason:
        return Check(name=name, outcome=Outcome.NOT_CHECKED, says=str(reason))
    except ContractsError as error:
        return Check(name=name, outcome=Outcome.FAILED, says=str(error), remedy=remedy)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All checks, the state (None when a check failed) and marks such as `witnessed 2 of 3`."""

    checks: tuple[Check, ...]
    state: State | None
    marks: tuple[str, ...]

    @property
    def broken_at(self) -> tuple[StrEnum, ...]:
        """The checks that failed."""
        return tuple(check.name for check in self.checks if check.outcome is Outcome.FAILED)

    def outcome(self, name: CheckName) -> Outcome:
        return next(check.outcome for check in self.checks if check.name is name)
