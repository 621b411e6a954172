"""Verify evidence: named checks, never a bare yes, and a state that says how far the proof reaches.

Exactly the broken step fails; what rests on it is left unchecked, because it would prove nothing. The same checks, with
the same names and outcomes, run in the browser (`contracts/js`) against the same golden vectors.
"""

from collections.abc import Callable
from datetime import UTC, datetime

from contracts.anchored import AnchoredProof
from contracts.checkpoint import SignedCheckpoint, open_checkpoint
from contracts.detail import canonical_json, decode_detail, detail_digest
from contracts.entitlement import (
    check_assignment,
    check_assignment_claim,
    check_binding,
    check_key,
    check_key_end,
    check_key_range,
)
from contracts.entry import NO_DETAIL, Entry, Kind, encode_entry
from contracts.errors import ContractsError, EvidenceError
from contracts.evidence import Evidence, LogProof, parse_evidence
from contracts.onchain import ChainView, Rpc
from contracts.quantities import unit_of
from contracts.report import REMEDIES, Check, CheckName, NotCheckedError, Outcome, Report, State
from contracts.superlog import superlog_leaf
from contracts.tree import leaf_hash, verify_inclusion
from contracts.trust import Trust

TIME_TOLERANCE_S = 600


def verify_evidence(evidence: bytes | Evidence, trust: Trust | None = None, rpc: Rpc | None = None) -> Report:
    """Verify one evidence file.

    Args:
        evidence: the file's bytes, or what `parse_evidence` made of them.
        trust: the roots to start from; without them the best verdict is *internally consistent, origin unknown*.
        rpc: asks a chain node; without it, what only the chain knows stays unchecked. It raises `RpcError` when the
            node does not answer.
    """
    if isinstance(evidence, bytes):
        try:
            evidence = parse_evidence(evidence)
        except EvidenceError as error:
            return _report_of_broken(CheckName.FORMAT, str(error))
    try:
        entry = evidence.entry()
    except ContractsError as error:
        return _report_of_broken(CheckName.ENTRY, str(error))
    chain = ChainView(rpc, trust) if rpc is not None and trust is not None else None
    return _Verification(evidence, entry, trust, chain).report()


class _Verification(AnchoredProof):
    """One run over one evidence, from the gateway's signature outwards."""

    _leaf_is, _remedies = "the gateway's checkpoint", REMEDIES

    def __init__(self, evidence: Evidence, entry: Entry, trust: Trust | None, chain: ChainView | None) -> None:
        super().__init__(evidence.super_proof, evidence.anchor, trust, chain)
        self._entry = entry
        self._detail = evidence.detail
        self._log = evidence.log
        self._assignment = evidence.assignment
        self._signed: SignedCheckpoint | None = None
        self._is_key_on_chain = False
        self._has_key_ended = False
        self._is_contested = False

    def report(self) -> Report:
        steps: tuple[tuple[CheckName, Callable[[], str]], ...] = (
            (CheckName.FORMAT, lambda: "the file is evidence in its one canonical form"),
            (CheckName.ENTRY, self._check_entry),
            (CheckName.CHECKPOINT, self._check_checkpoint),
            (CheckName.INCLUSION, self._check_inclusion),
            (CheckName.DETAIL, self._check_detail),
            (CheckName.SUPER_SIGNATURE, self._check_super_signature),
            (CheckName.SUPER_INCLUSION, self._check_super_inclusion),
            (CheckName.WITNESSES, self._check_witnesses),
            (CheckName.ANCHOR, self._check_anchor),
            (CheckName.FINALITY, self._check_finality),
            (CheckName.GATEWAY_KEY, self._check_gateway_key),
            (CheckName.ASSIGNMENT, self._check_assignment),
            (CheckName.ORIGIN, self._check_origin),
        )
        checks = {name: self._run(name, step) for name, step in steps}
        return Report(checks=tuple(checks[name] for name in CheckName), state=self._state(), marks=self._marks())

    def _state(self) -> State | None:
        if Outcome.FAILED in self._outcomes.values():
            return None
        if self._log is None:
            return State.RECORDED
        return self._reached()

    def _marks(self) -> tuple[str, ...]:
        binding = self._assignment.binding if self._assignment else None
        suspect_from_s = None if self._anchored_at_s is None else self._anchored_at_s + TIME_TOLERANCE_S
        is_sound = Outcome.FAILED not in self._outcomes.values()
        marks = (
            ("detail redacted", self._detail == "redacted"),
            (f"key class {self._log.key.key_class}" if self._log else "", self._log is not None),
            ("binding not confirmed", binding is not None and not binding.confirmed),
            ("binding contested", self._is_contested),
            ("key ended", self._has_key_ended),
            ("time-suspect", suspect_from_s is not None and self._entry.observed_at_ms > 1000 * suspect_from_s),
            (self._witnessed or "", self._witnessed is not None),
            ("origin unknown", is_sound and not self._has_passed(CheckName.ORIGIN)),
        )
        return tuple(mark for mark, is_set in marks if is_set)

    # What the gateway said.

    def _check_entry(self) -> str:
        entry = self._entry
        unit = f" {unit_of(entry.quantity)}" if unit_of(entry.quantity) else ""
        observed_at = utc_text(entry.observed_at_ms)
        return f"{entry.kind.name.lower()} {entry.quantity} is {entry.value}{unit}, observed {observed_at}"

    def _check_checkpoint(self) -> str:
        log = self._require_log()
        signed = open_checkpoint(log.checkpoint, log.key.public)
        said = signed.checkpoint
        if (said.origin, said.size) != (log.origin, log.size):
            raise EvidenceError(f"the file names {log.origin} at {log.size}, its note {said.origin} at {said.size}")
        self._signed = signed
        return f"signed by the gateway's key over the first {log.size} entries of {log.origin}"

    def _check_inclusion(self) -> str:
        log = self._require_log()
        self._needs(CheckName.CHECKPOINT)
        assert self._signed is not None
        leaf = leaf_hash(encode_entry(self._entry))
        verify_inclusion(leaf, log.index, log.size, log.path, self._signed.checkpoint.root)
        return f"the entry is number {log.index} of the log"

    def _check_detail(self) -> str:
        has_bytes = self._entry.detail_digest != NO_DETAIL and not self._entry.kind.has_raw_detail
        if self._log is not None:
            self._needs(CheckName.INCLUSION)
        if self._detail is None and not has_bytes:
            return "the entry has no detail beside its seven words"
        if self._detail is None or not has_bytes:
            raise EvidenceError("the file's detail and the entry disagree on whether there is one")
        if isinstance(self._detail, str):
            raise NotCheckedError("the detail is withheld; the entry's digest of it stands")
        encoded = canonical_json(self._detail)
        decode_detail(encoded)
        if detail_digest(encoded) != self._entry.detail_digest:
            raise EvidenceError("the detail is not the one whose digest the entry holds")
        return "the detail is the one whose digest the entry holds"

    def _super_leaf(self) -> bytes:
        assert self._signed is not None, "the check `checkpoint` has passed"
        return superlog_leaf(self._signed)

    # What the chain says.

    def _check_gateway_key(self) -> str:
        log, anchor = self._require_log(), self._anchor
        self._needs(CheckName.CHECKPOINT)
        if self._outcomes[CheckName.ANCHOR] is not Outcome.FAILED:
            check_key_range(log.key, anchor)
        registered = check_key(log, self._require_chain().gateway_key(log.origin, log.key.public))
        if registered.to_block is not None:
            if anchor is not None:
                self._needs(CheckName.ANCHOR)
            check_key_end(registered.to_block, anchor)
            self._has_key_ended = True
        self._is_key_on_chain = True
        return f"the Registry holds the key ({log.key.key_class}) for this log since block {log.key.from_block}"

    def _check_assignment(self) -> str:
        log, assignment = self._require_log(), self._assignment
        self._needs(CheckName.INCLUSION)
        if assignment is None:
            if self._entry.kind in (Kind.GATEWAY, Kind.BEACON):
                raise NotCheckedError("the gateway speaks of itself")
            raise EvidenceError("the file does not say that the device belongs to this log; a neighbour's might not")
        check_assignment_claim(self._entry, log, assignment)
        chain = self._require_chain()
        check_assignment(log, assignment, chain.assignments(assignment.device))
        if assignment.binding is None:
            return "the Registry gives the device to this log"
        self._is_contested = check_binding(assignment.binding, chain.bindings(assignment.device)).contested
        return f"the Registry gives the device to this log, and to {assignment.binding.unit.hex()[:16]}…"

    def _check_origin(self) -> str:
        trust = self._require_trust()
        if Outcome.FAILED in self._outcomes.values():
            raise NotCheckedError("a check has failed: whatever is vouched for, it is not this")
        if self._is_key_on_chain:
            return f"vouched for by the Registry you trust ({trust.fingerprint()})"
        if self._has_passed(CheckName.SUPER_SIGNATURE) and self._has_passed(CheckName.SUPER_INCLUSION):
            return f"in the super-log you trust ({trust.fingerprint()}); only the chain tells whose key it is"
        raise NotCheckedError("internally consistent, origin unknown: nothing that you trust vouches for it yet")

    # What the checks need to be made at all.

    def _require_log(self) -> LogProof:
        if self._log is None:
            raise NotCheckedError("the entry is recorded, but no checkpoint holds it yet; ask again later")
        return self._log


def utc_text(at_ms: int) -> str:
    try:
        return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (ValueError, OverflowError, OSError):
        return f"{at_ms} ms after 1970, which no calendar here reaches"


def _report_of_broken(name: CheckName, says: str) -> Report:
    """The report on a file that is not in the format, or whose entry is none: nothing else can be looked at."""
    checks = []
    for other in CheckName:
        if other is name:
            checks.append(Check(name=name, outcome=Outcome.FAILED, says=says, remedy=REMEDIES[name]))
        elif name is CheckName.ENTRY and other is CheckName.FORMAT:
            checks.append(Check(name=other, outcome=Outcome.PASSED, says="the file is in its one canonical form"))
        else:
            checks.append(Check(name=other, outcome=Outcome.NOT_CHECKED, says=f"rests on the check {name}"))
    return Report(checks=tuple(checks), state=None, marks=())
