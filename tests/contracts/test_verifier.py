"""The verifier: any changed byte breaks exactly the step it belongs to; a silent or lying node breaks nothing."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.detail import canonical_json
from contracts.errors import EvidenceError, RpcError
from contracts.evidence import EVIDENCE_BYTES_MAX, format_evidence, parse_evidence
from contracts.report import REMEDIES, CheckName, Outcome, State
from contracts.superlog import WitnessPolicy
from contracts.verifier import verify_evidence
from tests.vectors.deployment import TRUST, WITNESSES, Chain, Deployment

DEPLOYMENT = Deployment()
CLOSING = DEPLOYMENT.evidence(9)
FILE = format_evidence(CLOSING)
STRICT = replace(TRUST, witness_policy=WitnessPolicy(quorum=3, witnesses=WITNESSES))

F, C = CheckName.FORMAT, CheckName
MAY_BREAK: dict[str, set[CheckName]] = {
    "format": {F},
    "entry": {F, C.ENTRY, C.INCLUSION},
    "detail": {C.DETAIL},
    "log.origin": {C.CHECKPOINT},
    "log.index": {F, C.INCLUSION},
    "log.size": {F, C.CHECKPOINT},
    "log.path": {F, C.INCLUSION},
    "log.checkpoint": {C.CHECKPOINT},
    "log.key.public": {F, C.CHECKPOINT},
    "log.key": {F, C.GATEWAY_KEY},
    "assignment": {F, C.ASSIGNMENT},
    "super.origin": {C.SUPER_SIGNATURE},
    "super.index": {F, C.SUPER_INCLUSION},
    "super.size": {F, C.SUPER_SIGNATURE},
    "super.path": {F, C.SUPER_INCLUSION},
    "super.note": {C.SUPER_SIGNATURE, C.WITNESSES},
    "anchor": {F, C.ANCHOR},
}


def test_the_untouched_file_is_final() -> None:
    report = verify_evidence(FILE, STRICT, DEPLOYMENT.chain.rpc)
    assert (report.state, report.broken_at) == (State.FINAL, ())
    assert report.marks == ("key class file", "witnessed 3 of 3")


def test_each_byte_of_the_file_breaks_exactly_one_step() -> None:
    for position, octet in enumerate(FILE):
        damaged = bytearray(FILE)
        damaged[position] = octet ^ (1 << position % 7)
        broken = verify_evidence(bytes(damaged), STRICT, DEPLOYMENT.chain.rpc).broken_at
        assert len(broken) == 1, f"byte {position}, {FILE[position - 20 : position + 20]!r}: {broken}"


def test_each_character_of_each_field_breaks_the_step_it_belongs_to() -> None:
    evidence = json.loads(FILE)
    for place, parent, key in _values(evidence):
        text = parent[key]
        if not isinstance(text, str):
            continue
        allowed = MAY_BREAK[max((name for name in MAY_BREAK if place.startswith(name)), key=len)]
        for position in range(0, len(text), 1 + len(text) // 40):
            letter = "1" if text[position] != "1" else "2"
            parent[key] = text[:position] + letter + text[position + 1 :]
            broken = verify_evidence(canonical_json(evidence, nulls=True), STRICT, DEPLOYMENT.chain.rpc).broken_at
            assert len(broken) == 1, f"{place}: {parent[key]}"
            assert set(broken) <= allowed, f"{place}: {parent[key]} broke {broken}"
        parent[key] = text


def test_a_value_of_another_shape_breaks_one_step_and_what_may_be_left_out_only_says_less() -> None:
    replacements: list[Any] = [None, True, -1, 2**53 - 1, "", "x", "redacted", "1" * 90, "٣", [], {}, [None], {"a": 1}]
    left_out: set[tuple[str, Any]] = set()
    for place, parent, key in list(_values(evidence := json.loads(FILE))):
        value = parent[key]
        for replacement in replacements:
            parent[key] = replacement
            broken = verify_evidence(canonical_json(evidence, nulls=True), STRICT, DEPLOYMENT.chain.rpc).broken_at
            if not broken and replacement != value:
                left_out.add((place, replacement))
            assert len(broken) <= 1, f"{place} = {replacement!r}: {broken}"
        parent[key] = value
    says_less = {("anchor", None), ("assignment.binding", None), ("assignment.urn", None), ("detail", "redacted")}
    assert left_out == says_less


@given(st.integers(0, len(FILE) - 1), st.integers(0, 255))
def test_without_a_chain_a_changed_byte_is_found_or_is_a_claim_about_the_chain(position: int, octet: int) -> None:
    damaged = bytearray(FILE)
    damaged[position] = octet
    report = verify_evidence(bytes(damaged), STRICT)
    if report.broken_at or damaged == FILE:
        return
    told, said = json.loads(bytes(damaged)), json.loads(FILE)
    for claims in (told, said):
        claims["anchor"] = claims["assignment"] = None
        claims["log"]["key"].update({"class": "", "from_block": "", "to_block": ""})
    assert told == said


def test_without_trust_the_file_is_only_internally_consistent() -> None:
    report = verify_evidence(FILE)
    assert report.state is State.LOGGED
    assert report.broken_at == ()
    assert report.marks[-1] == "origin unknown"
    origin = report.checks[-1]
    assert (origin.name, origin.outcome) == (CheckName.ORIGIN, Outcome.NOT_CHECKED)
    assert "origin unknown" in origin.says


def test_a_failed_check_says_what_to_do() -> None:
    assert set(REMEDIES) == set(CheckName)
    report = verify_evidence(FILE.replace(b'"value":"1322456"', b'"value":"1327456"'), TRUST)
    (check,) = (check for check in report.checks if check.outcome is Outcome.FAILED)
    assert check.name is CheckName.INCLUSION
    assert check.remedy == REMEDIES[CheckName.INCLUSION]
    assert report.state is None


@pytest.mark.parametrize(
    "chain", [Chain(is_silent=True), Chain(chain_id=1)], ids=["a silent node", "a node of another chain"]
)
def test_a_node_that_cannot_tell_breaks_nothing(chain: Chain) -> None:
    report = verify_evidence(FILE, TRUST, chain.rpc)
    assert report.broken_at == ()
    assert report.state is State.LOGGED
    for name in (CheckName.GATEWAY_KEY, CheckName.ASSIGNMENT, CheckName.ANCHOR, CheckName.FINALITY):
        assert report.outcome(name) is Outcome.NOT_CHECKED


nonsense = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(["0x", "0x00", "0xzz", "0x" + "0" * 64]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["number", "hash", "timestamp", "topics", "address", "data"]), inner, max_size=4
        )
    ),
    max_leaves=6,
)


@given(st.sampled_from(["eth_chainId", "eth_getBlockByNumber", "eth_getLogs", "eth_call"]), nonsense)
def test_a_node_that_answers_nonsense_raises_nothing(method: str, answer: Any) -> None:
    def rpc(asked: str, parameters: list[Any]) -> Any:
        return answer if asked == method else DEPLOYMENT.chain.rpc(asked, parameters)

    report = verify_evidence(FILE, TRUST, rpc)
    assert report.outcome(CheckName.CHECKPOINT) is Outcome.PASSED


def test_nothing_is_asked_of_a_chain_without_trust() -> None:
    def rpc(method: str, _: list[Any]) -> Any:
        raise AssertionError(f"{method} was asked")

    assert verify_evidence(FILE, None, rpc).broken_at == ()


def test_a_file_over_the_limit_or_of_another_kind_is_refused() -> None:
    for junk in (b"", b"{}", b"[]", b"null", b"\xff", b" " * (EVIDENCE_BYTES_MAX + 1), b"[" * 60_000):
        assert verify_evidence(junk, TRUST).broken_at == (CheckName.FORMAT,)
        with pytest.raises(EvidenceError):
            parse_evidence(junk)


@given(st.sampled_from(range(21)))
def test_a_file_is_parsed_and_written_back_byte_for_byte(index: int) -> None:
    encoded = format_evidence(DEPLOYMENT.evidence(index))
    assert format_evidence(parse_evidence(encoded)) == encoded
    assert len(encoded) < 8192


def test_the_error_of_a_silent_node_reaches_the_reader() -> None:
    def rpc(method: str, _: list[Any]) -> Any:
        raise RpcError("the node at http://localhost:1 does not answer")

    check = verify_evidence(FILE, TRUST, rpc).checks[5]
    assert (check.name, check.says) == (CheckName.GATEWAY_KEY, "the node at http://localhost:1 does not answer")


def _values(value: Any, place: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Place, container and key of every value, containers too."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        name = f"{place}.{key}" if place else str(key)
        yield name, value, key
        if isinstance(inner, dict | list):
            yield from _values(inner, name)
