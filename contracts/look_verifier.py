"""Verify evidence of a look at a household's data, with the names and outcomes of `contracts.verifier`'s checks.

Nobody has to know the audit log's key: what counts is that the super-log, whose key the trust file names, holds this
head of this name.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from contracts.anchored import AnchoredProof
from contracts.checkpoint import Checkpoint, audit_origin
from contracts.detail import parse_canonical_json
from contracts.errors import DetailError, EvidenceError
from contracts.fields import Fields
from contracts.look import HeadProof, LookEvidence, parse_look
from contracts.onchain import ChainView, Rpc
from contracts.report import REMEDIES, Check, CheckName, NotCheckedError, Outcome, Report, State, printable
from contracts.superlog import audit_leaf_of, parse_superlog
from contracts.tree import leaf_hash, verify_inclusion
from contracts.trust import Trust
from contracts.verifier import utc_text

_ENTRY_KEYS = ("account", "act", "at_ms", "index", "role", "salt", "unit", "what")
_REMEDIES: Mapping[CheckName, str] = MappingProxyType(
    {
        **REMEDIES,
        CheckName.ENTRY: "This is no entry of an audit log. Keep this file and ask for a fresh copy.",
        CheckName.INCLUSION: "This is not what was written down then. Keep this file: it shows a changed entry.",
        CheckName.CHECKPOINT: "This is not the head of this site's audit log. Keep this file and tell the committee.",
    }
)


def verify_look(encoded: bytes, trust: Trust | None = None, rpc: Rpc | None = None) -> Report:
    """Verify one `minglou-look/1` file.

    Args:
        trust: the roots to start from; without them the best verdict is *internally consistent, origin unknown*.
        rpc: asks a chain node; without it, what only the chain knows stays unchecked.
    """
    try:
        look = parse_look(encoded)
    except EvidenceError as error:
        failed = Check(
            name=CheckName.FORMAT, outcome=Outcome.FAILED, says=str(error), remedy=_REMEDIES[CheckName.FORMAT]
        )
        return Report(checks=(failed,), state=None, marks=())
    chain = ChainView(rpc, trust) if rpc is not None and trust is not None else None
    return _LookVerification(look, trust, chain).report()


class _LookVerification(AnchoredProof):
    """One run over one file, from the entry outwards."""

    _leaf_is, _remedies = "the audit log's head", _REMEDIES

    def __init__(self, look: LookEvidence, trust: Trust | None, chain: ChainView | None) -> None:
        super().__init__(look.super_proof, look.anchor, trust, chain)
        self._look = look
        self._head: Checkpoint | None = None

    def report(self) -> Report:
        steps: tuple[tuple[CheckName, Callable[[], str]], ...] = (
            (CheckName.FORMAT, lambda: "the file is evidence in its one canonical form"),
            (CheckName.ENTRY, self._check_entry),
            (CheckName.CHECKPOINT, self._check_checkpoint),
            (CheckName.INCLUSION, self._check_inclusion),
            (CheckName.SUPER_SIGNATURE, self._check_super_signature),
            (CheckName.SUPER_INCLUSION, self._check_super_inclusion),
            (CheckName.WITNESSES, self._check_witnesses),
            (CheckName.ANCHOR, self._check_anchor),
            (CheckName.FINALITY, self._check_finality),
            (CheckName.ORIGIN, self._check_origin),
        )
        checks = tuple(self._run(name, step) for name, step in steps)
        return Report(checks=checks, state=self._state(), marks=self._marks())

    def _state(self) -> State | None:
        if Outcome.FAILED in self._outcomes.values():
            return None
        return State.RECORDED if self._look.log is None else self._reached()

    def _marks(self) -> tuple[str, ...]:
        is_sound = Outcome.FAILED not in self._outcomes.values()
        unknown = ("origin unknown",) if is_sound and not self._has_passed(CheckName.ORIGIN) else ()
        return (*((self._witnessed,) if self._witnessed else ()), *unknown)

    def _check_entry(self) -> str:
        try:
            told = parse_canonical_json(self._look.entry.encode())
        except DetailError as error:
            raise EvidenceError(f"the entry is {error}") from error
        fields = Fields(told, place="the entry", keys=_ENTRY_KEYS, refuse=EvidenceError)
        index, at_ms = fields.integer("index"), fields.integer("at_ms")
        texts = {name: fields.text(name) for name in _ENTRY_KEYS if name not in ("at_ms", "index")}
        if self._look.log is not None and self._look.log.index != index:
            raise EvidenceError(f"the file is about entry {self._look.log.index}, the entry says that it is {index}")
        said = printable(" ".join(" ".join(texts[name] for name in ("act", "role", "what")).split()))
        return f"number {index}, {utc_text(at_ms)}: {said[:200]}"

    def _check_checkpoint(self) -> str:
        log = self._require_log()
        said = parse_superlog(log.checkpoint)
        if (said.origin, said.size) != (log.origin, log.size):
            raise EvidenceError(f"the file names {log.origin} at {log.size}, its note {said.origin} at {said.size}")
        super_origin = self._super.origin if self._super is not None else None
        if super_origin is not None and said.origin != audit_origin(super_origin):
            raise EvidenceError(f"{said.origin} is not the audit log beside {super_origin}")
        self._head = said
        return f"a head of the first {log.size} entries of {log.origin}"

    def _check_inclusion(self) -> str:
        log = self._require_log()
        self._needs(CheckName.CHECKPOINT)
        assert self._head is not None
        verify_inclusion(leaf_hash(self._look.entry.encode()), log.index, log.size, log.path, self._head.root)
        return f"the entry is number {log.index} of the log"

    def _super_leaf(self) -> bytes:
        return audit_leaf_of(self._require_log().checkpoint)

    def _check_origin(self) -> str:
        trust = self._require_trust()
        if Outcome.FAILED in self._outcomes.values():
            raise NotCheckedError("a check has failed: whatever is vouched for, it is not this")
        if not self._has_passed(CheckName.SUPER_SIGNATURE) or not self._has_passed(CheckName.SUPER_INCLUSION):
            raise NotCheckedError("internally consistent, origin unknown: nothing that you trust vouches for it yet")
        return f"in the super-log you trust ({trust.fingerprint()})"

    def _require_log(self) -> HeadProof:
        if self._look.log is None:
            raise NotCheckedError("the entry is written, but no head in the super-log covers it yet; ask again later")
        return self._look.log
