"""Evidence files, good and tampered with, each with what a verifier must say about every check.

For each case the table says which check must break, or how far the proof must reach; the outcomes of all checks are
then what the Python verifier answered, for the JavaScript one to agree with.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from hashlib import sha256
from typing import Any

from contracts import onchain
from contracts.entry import device_id
from contracts.evidence import Evidence, format_evidence
from contracts.report import CheckName, State
from contracts.trust import format_trust
from contracts.verifier import verify_evidence
from tests.vectors.deployment import (
    ANCHOR_BLOCK,
    ASSIGNED_BLOCK,
    DOOR,
    GATEWAY_KEY,
    KEY_FROM_BLOCK,
    LIFT,
    METER,
    ORIGIN,
    OTHER_KEY,
    START_S,
    TRUST,
    UNIT,
    Chain,
    Deployment,
)

CLOSING = 9  # index of the boundary entry that most cases are about

Expected = State | CheckName
FileChange = Callable[[Deployment, Evidence], Evidence | bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One file, whom it is shown to, and what must come of it."""

    name: str
    expected: Expected  # the state that is reached, or the one check that breaks
    index: int = CLOSING
    change: FileChange | None = None
    change_chain: Callable[[Chain], None] | None = None
    has_trust: bool = True
    is_online: bool = True


class Recorder:
    """Passes questions on to the chain and keeps them with their answers, for a verifier in another language."""

    def __init__(self, exchanges: list[dict[str, Any]]) -> None:
        self._exchanges = exchanges
        self._numbers: list[int] = []
        self._chain = Chain()

    def start(self, chain: Chain) -> list[int]:
        """Begin with another chain; the list will hold the numbers of the exchanges with it."""
        self._chain, self._numbers = chain, []
        return self._numbers

    def rpc(self, method: str, parameters: list[Any]) -> Any:
        exchange = {"method": method, "params": parameters, "result": self._chain.rpc(method, parameters)}
        if exchange not in self._exchanges:
            self._exchanges.append(exchange)
        number = self._exchanges.index(exchange)
        if number not in self._numbers:
            self._numbers.append(number)
        return exchange["result"]


def evidence_vectors() -> dict[str, Any]:
    """The file `evidence.json`; `docs/formats.md` says how to read it."""
    exchanges: list[dict[str, Any]] = []
    recorder = Recorder(exchanges)
    vectors = [_vector(case, recorder) for case in cases()]
    return {"trust": json.loads(format_trust(TRUST)), "exchanges": exchanges, "cases": vectors}


def cases() -> list[Case]:
    return [*_kinds(), *_readers(), *_honest(), *_chains(), *_tampered_format(), *_tampered_log(), *_tampered_chain()]


def _vector(case: Case, recorder: Recorder) -> dict[str, Any]:
    deployment = Deployment()
    evidence = deployment.evidence(case.index)
    changed = case.change(deployment, evidence) if case.change else evidence
    encoded = changed if isinstance(changed, bytes) else format_evidence(changed)
    if case.change_chain:
        case.change_chain(deployment.chain)
    exchanges = recorder.start(deployment.chain)
    report = verify_evidence(encoded, TRUST if case.has_trust else None, recorder.rpc if case.is_online else None)
    state, broken = (None, (case.expected,)) if isinstance(case.expected, CheckName) else (case.expected, ())
    assert (report.state, report.broken_at) == (state, broken), f"{case.name}: {report}"
    return {
        "name": case.name,
        "evidence": encoded.decode("utf-8"),
        "trust": case.has_trust,
        "rpc": exchanges if case.is_online else None,
        "expect": {
            "outcomes": {check.name: check.outcome for check in report.checks},
            "state": report.state,
            "marks": list(report.marks),
        },
    }


def _kinds() -> list[Case]:
    names = ("epoch.open", "beacon", "opening", "reading", "status", "access", "visit", "verdict", "export", "closing")
    return [Case(name=f"{name}, final", expected=State.FINAL, index=index) for index, name in enumerate(names)]


def _readers() -> list[Case]:
    return [
        Case(name="trust, no chain", expected=State.LOGGED, is_online=False),
        Case(name="no trust, no chain", expected=State.LOGGED, has_trust=False, is_online=False),
    ]


def _honest() -> list[Case]:
    def recorded(_: Deployment, e: Evidence) -> Evidence:
        return replace(e, log=None, assignment=None, super_proof=None, anchor=None)

    def anchored_later(d: Deployment, e: Evidence) -> Evidence:
        later = d.anchored_later()
        d.chain.anchors[:] = [later]
        return replace(e, anchor=later)

    def binding_unconfirmed(d: Deployment, e: Evidence) -> Evidence:
        d.chain.bindings[device_id(METER)] = [(UNIT, bytes(32), 1, 20261023, 0, 0, 1)]
        return _with_binding(e, confirmed=False)

    def binding_confirmed_by_committee(d: Deployment, e: Evidence) -> Evidence:
        d.chain.bindings[device_id(METER)] = [(UNIT, bytes(32), 1, 20261023, 0, 2, 1)]
        return e

    def binding_contested(d: Deployment, e: Evidence) -> Evidence:
        d.chain.bindings[device_id(METER)] = [(UNIT, bytes(32), 1, 20261023, 0, 3, 0)]
        return _with_binding(e, confirmed=False)

    def two_witnesses(d: Deployment, e: Evidence) -> Evidence:
        return _with_super(e, note=d.signed_super_note(5, d.super_log.root(), witnesses=(0, 2)))

    return [
        Case(name="recorded only", expected=State.RECORDED, change=recorded),
        Case(name="logged only", expected=State.LOGGED, change=lambda _, e: replace(e, super_proof=None, anchor=None)),
        Case(name="in the super-log, not anchored", expected=State.LOGGED, change=lambda _, e: replace(e, anchor=None)),
        Case(name="detail redacted", expected=State.FINAL, change=lambda _, e: replace(e, detail="redacted")),
        Case(name="device's name withheld", expected=State.FINAL, change=lambda _, e: _with_assignment(e, urn=None)),
        Case(name="refreshed by a consistency path", expected=State.FINAL, change=anchored_later),
        Case(name="binding not confirmed", expected=State.FINAL, change=binding_unconfirmed),
        Case(name="binding confirmed by the committee", expected=State.FINAL, change=binding_confirmed_by_committee),
        Case(name="binding contested", expected=State.FINAL, change=binding_contested),
        Case(name="witnessed by two of three", expected=State.FINAL, change=two_witnesses),
    ]


def _chains() -> list[Case]:
    key = onchain.origin_id(ORIGIN), sha256(Deployment().public).digest()
    meter = device_id(METER)

    def key_record(key_class: int, from_block: int, to_block: int) -> Callable[[Chain], None]:
        return lambda chain: chain.keys.update({key: (key_class, from_block, to_block)})

    def assignment(*record: bytes | int) -> Callable[[Chain], None]:
        return lambda chain: chain.assignments.update({meter: [record]})

    def binding(*record: bytes | int) -> Callable[[Chain], None]:
        return lambda chain: chain.bindings.update({meter: [record]})

    own = onchain.origin_id(ORIGIN)
    breaks = CheckName
    return [
        _chain("not final yet", State.ANCHORED, lambda chain: setattr(chain, "finalized", ANCHOR_BLOCK - 1)),
        _chain("a node of another chain", State.LOGGED, lambda chain: setattr(chain, "chain_id", 1)),
        _chain("observed after its anchor", State.FINAL, lambda chain: setattr(chain, "anchored_at_s", START_S)),
        _chain("key ended after the anchor", State.FINAL, key_record(1, KEY_FROM_BLOCK, ANCHOR_BLOCK)),
        _chain("key ended before the anchor", breaks.GATEWAY_KEY, key_record(1, KEY_FROM_BLOCK, ANCHOR_BLOCK - 1)),
        _chain("key of a later block", breaks.GATEWAY_KEY, key_record(1, KEY_FROM_BLOCK + 1, 0)),
        _chain("key of another class", breaks.GATEWAY_KEY, key_record(2, KEY_FROM_BLOCK, 0)),
        _chain("key never enrolled", breaks.GATEWAY_KEY, lambda chain: chain.keys.clear()),
        _chain("device never assigned", breaks.ASSIGNMENT, lambda chain: chain.assignments.clear()),
        _chain("device of a neighbour's log", breaks.ASSIGNMENT, assignment(sha256(b"b08").digest(), 0, 2**48 - 1, 15)),
        _chain("assignment ended before", breaks.ASSIGNMENT, assignment(own, 0, CLOSING - 1, ASSIGNED_BLOCK)),
        _chain("assignment ended later", State.FINAL, assignment(own, 0, CLOSING, ASSIGNED_BLOCK)),
        _chain("bound to another unit", breaks.ASSIGNMENT, binding(bytes(32), bytes(32), 1, 20261023, 0, 1, 1)),
        _chain("bound as a pool's", breaks.ASSIGNMENT, binding(UNIT, bytes(32), 2, 20261023, 0, 1, 1)),
        _chain("bound from another day", breaks.ASSIGNMENT, binding(UNIT, bytes(32), 1, 20261024, 0, 1, 1)),
        _chain("bound but not confirmed", breaks.ASSIGNMENT, binding(UNIT, bytes(32), 1, 20261023, 0, 0, 1)),
        _chain("bound but contested", breaks.ASSIGNMENT, binding(UNIT, bytes(32), 1, 20261023, 0, 3, 0)),
        _chain("never bound", breaks.ASSIGNMENT, lambda chain: chain.bindings.clear()),
        _chain("never anchored", breaks.ANCHOR, lambda chain: chain.anchors.clear()),
    ]


def _tampered_format() -> list[Case]:
    def text(old: bytes, new: bytes) -> FileChange:
        return lambda _, e: format_evidence(e).replace(old, new, 1)

    return [
        _broken("another version", CheckName.FORMAT, text(b"evidence/1", b"evidence/2")),
        _broken("white space", CheckName.FORMAT, text(b'{"anchor"', b'{ "anchor"')),
        _broken("a field more", CheckName.FORMAT, text(b'"detail":', b'"debt":0,"detail":')),
        _broken("a field less", CheckName.FORMAT, text(b'"urn"', b'"urm"')),
        _broken("a field twice", CheckName.FORMAT, text(b'"kind":1', b'"kind":1,"kind":1')),
        _broken("hex in capitals", CheckName.FORMAT, text(b'"contract":"0xe7f1', b'"contract":"0xE7f1')),
        _broken("a number as a number", CheckName.FORMAT, text(b'"index":"9"', b'"index":9')),
        _broken("a leading zero", CheckName.FORMAT, text(b'"index":"9"', b'"index":"09"')),
        _broken("anchor without super-log", CheckName.FORMAT, lambda _, e: replace(e, super_proof=None)),
        _broken("no such kind", CheckName.ENTRY, text(b'"kind":1', b'"kind":7')),
        _broken("no such day", CheckName.ENTRY, text(b"*20261127", b"*20261131")),
        _broken("no such quantity", CheckName.ENTRY, text(b"1-0:1.8.0*", b"1-0:1.8.a*")),
        _broken("time before 1970", CheckName.ENTRY, lambda _, e: _with_row(e, 2, -1)),
        _broken("value beyond 2^63", CheckName.ENTRY, lambda _, e: _with_row(e, 4, 2**63)),
    ]


def _tampered_log() -> list[Case]:
    def other_detail(_: Deployment, e: Evidence) -> Evidence:
        assert isinstance(e.detail, dict)
        return replace(e, detail={**e.detail, "source": "poll"})

    def signed_by_another(d: Deployment, e: Evidence) -> Evidence:
        assert e.log is not None
        return _with_log(e, checkpoint=d.checkpoint_note(d.log.size, d.log.root(), OTHER_KEY))

    def wholly_forged(_: Deployment, e: Evidence) -> Evidence:
        forged = Deployment(OTHER_KEY)
        own = forged.evidence(CLOSING)
        return replace(own, super_proof=e.super_proof, anchor=e.anchor)

    def neighbours_checkpoint(d: Deployment, e: Evidence) -> Evidence:
        neighbour = ORIGIN.replace("b07", "b08")
        return _with_log(e, checkpoint=d.checkpoint_note(d.log.size, d.log.root(), GATEWAY_KEY, neighbour))

    inclusion, checkpoint, assignment = CheckName.INCLUSION, CheckName.CHECKPOINT, CheckName.ASSIGNMENT
    return [
        _broken("kind", inclusion, lambda _, e: _with_row(_with_row(e, 0, 2), 3, "lift.mode")),
        _broken("device", inclusion, lambda _, e: _with_row(e, 1, device_id(LIFT))),
        _broken("time", inclusion, lambda _, e: _with_row(e, 2, e.row[2] + 1)),
        _broken("day of the boundary", inclusion, lambda _, e: _with_row(e, 3, "1-0:1.8.0*20261128")),
        _broken("value", inclusion, lambda _, e: _with_row(e, 4, e.row[4] + 5000)),
        _broken("digest", inclusion, lambda _, e: _with_row(e, 5, bytes(32))),
        _broken("salt", inclusion, lambda _, e: _with_row(e, 6, bytes(16))),
        _broken("detail", CheckName.DETAIL, other_detail),
        _broken("detail left out", CheckName.DETAIL, lambda _, e: replace(e, detail=None)),
        _broken("detail without salt", CheckName.DETAIL, lambda _, e: replace(e, detail={"source": "freeze"})),
        _broken("index", inclusion, lambda _, e: _with_log(e, index=8)),
        _broken("index beyond the size", inclusion, lambda _, e: _with_log(e, index=21)),
        _broken("path", inclusion, lambda _, e: _with_log(e, path=(bytes(32), *_log(e).path[1:]))),
        _broken("path cut", inclusion, lambda _, e: _with_log(e, path=_log(e).path[:-1])),
        _broken("size", checkpoint, lambda _, e: _with_log(e, size=22)),
        _broken("origin", checkpoint, lambda _, e: _with_log(e, origin=ORIGIN.replace("b07", "b08"))),
        _broken("checkpoint of a neighbour", checkpoint, neighbours_checkpoint),
        _broken("checkpoint of another key", checkpoint, signed_by_another),
        _broken("key", checkpoint, lambda _, e: _with_key(e, public=Deployment(OTHER_KEY).public)),
        _broken("key class", CheckName.GATEWAY_KEY, lambda _, e: _with_key(e, key_class="attested")),
        _broken("key's first block", CheckName.GATEWAY_KEY, lambda _, e: _with_key(e, from_block=11)),
        _broken("key's last block", CheckName.GATEWAY_KEY, lambda _, e: _with_key(e, to_block=ANCHOR_BLOCK)),
        _broken("key ended before its anchor", CheckName.GATEWAY_KEY, lambda _, e: _with_key(e, to_block=122)),
        _broken("no assignment", assignment, lambda _, e: replace(e, assignment=None)),
        _broken("name of another device", assignment, lambda _, e: _with_assignment(e, urn=DOOR)),
        _broken("assignment of another device", assignment, lambda _, e: _with_assignment(e, device=device_id(DOOR))),
        _broken("assignment to another log", assignment, lambda _, e: _with_assignment(e, origin="h/s/g/e0")),
        _broken("assignment from later on", assignment, lambda _, e: _with_assignment(e, first_index=10)),
        _broken("assignment up to earlier", assignment, lambda _, e: _with_assignment(e, last_index=8)),
        _broken("assignment's block", assignment, lambda _, e: _with_assignment(e, block=16)),
        _broken("unit", assignment, lambda _, e: _with_binding(e, unit=bytes(32))),
        _broken("role", assignment, lambda _, e: _with_binding(e, role="pool")),
        _broken("binding from later on", assignment, lambda _, e: _with_binding(e, from_date=date(2026, 11, 28))),
        _broken("binding up to earlier", assignment, lambda _, e: _with_binding(e, to_date=date(2026, 11, 26))),
        _broken("binding with an end", assignment, lambda _, e: _with_binding(e, to_date=date(2026, 12, 31))),
        _broken("wholly forged by another key", CheckName.SUPER_INCLUSION, wholly_forged, is_online=False),
    ]


def _tampered_chain() -> list[Case]:
    def note_signed_for(size: int) -> FileChange:
        return lambda d, e: _with_super(e, note=d.signed_super_note(size, d.super_log.root()))

    def one_witness(d: Deployment, e: Evidence) -> Evidence:
        return _with_super(e, note=d.signed_super_note(5, d.super_log.root(), witnesses=(1,)))

    def note_text(old: str, new: str) -> FileChange:
        return lambda _, e: _with_super(e, note=_super(e).note.replace(old, new))

    signature, inclusion = CheckName.SUPER_SIGNATURE, CheckName.SUPER_INCLUSION
    witness_line = Deployment().super_note.splitlines()[-1]
    return [
        _broken("super-log's index", inclusion, lambda _, e: _with_super(e, index=2)),
        _broken("super-log's index beyond its size", inclusion, lambda _, e: _with_super(e, index=5)),
        _broken("super-log's path", inclusion, lambda _, e: _with_super(e, path=(bytes(32), *_super(e).path[1:]))),
        _broken("super-log's size", signature, lambda _, e: _with_super(e, size=6)),
        _broken("another super-log", signature, lambda _, e: _with_super(e, origin="other.example/log")),
        _broken("super-log's note of another size", signature, note_signed_for(6)),
        _broken("super-log's text", signature, note_text("\n5\n", "\n6\n")),
        _broken("super-log's name", signature, note_text("— demo.minglou.example/log", "— demo.minglou.example/lag")),
        _broken("a witness's signature", CheckName.WITNESSES, note_text(witness_line[-8:], "AAAAAAA=")),
        _broken("one witness of three", CheckName.WITNESSES, one_witness),
        _broken("anchored on another chain", CheckName.ANCHOR, lambda _, e: _with_anchor(e, chain_id=1)),
        _broken("anchored by another contract", CheckName.ANCHOR, lambda _, e: _with_anchor(e, contract=bytes(20))),
        _broken("anchored size", CheckName.ANCHOR, lambda _, e: _with_anchor(e, size=6)),
        _broken("anchored root", CheckName.ANCHOR, lambda _, e: _with_anchor(e, root=bytes(32))),
        _broken("a path that is not needed", CheckName.ANCHOR, lambda _, e: _with_anchor(e, path=(bytes(32),))),
        _broken("anchor's block", CheckName.ANCHOR, lambda _, e: _with_anchor(e, block=ANCHOR_BLOCK + 1)),
        _broken("anchor's block hash", CheckName.ANCHOR, lambda _, e: _with_anchor(e, block_hash=bytes(32))),
        _broken("anchor's transaction", CheckName.ANCHOR, lambda _, e: _with_anchor(e, transaction=bytes(32))),
    ]


def _chain(name: str, expected: Expected, change: Callable[[Chain], None]) -> Case:
    return Case(name=f"chain: {name}", expected=expected, change_chain=change)


def _broken(name: str, expected: CheckName, change: FileChange, *, is_online: bool = True) -> Case:
    return Case(name=f"tampered: {name}", expected=expected, change=change, is_online=is_online)


def _with_row(evidence: Evidence, position: int, value: Any) -> Evidence:
    row: list[Any] = list(evidence.row)
    row[position] = value
    return replace(evidence, row=tuple(row))


def _log(evidence: Evidence) -> Any:
    return evidence.log


def _super(evidence: Evidence) -> Any:
    return evidence.super_proof


def _with_log(evidence: Evidence, **changes: Any) -> Evidence:
    return replace(evidence, log=replace(_log(evidence), **changes))


def _with_key(evidence: Evidence, **changes: Any) -> Evidence:
    return _with_log(evidence, key=replace(_log(evidence).key, **changes))


def _with_assignment(evidence: Evidence, **changes: Any) -> Evidence:
    assert evidence.assignment is not None
    return replace(evidence, assignment=replace(evidence.assignment, **changes))


def _with_binding(evidence: Evidence, **changes: Any) -> Evidence:
    assert evidence.assignment is not None
    assert evidence.assignment.binding is not None
    return _with_assignment(evidence, binding=replace(evidence.assignment.binding, **changes))


def _with_super(evidence: Evidence, **changes: Any) -> Evidence:
    return replace(evidence, super_proof=replace(_super(evidence), **changes))


def _with_anchor(evidence: Evidence, **changes: Any) -> Evidence:
    assert evidence.anchor is not None
    return replace(evidence, anchor=replace(evidence.anchor, **changes))
