"""Trust files: people may lay them out as they like, but not leave anything open."""

import json
from dataclasses import replace
from typing import Any

import pytest

from contracts.errors import TrustError
from contracts.trust import format_trust, parse_trust
from tests.vectors.deployment import TRUST


def test_a_trust_file_survives_its_text_in_any_layout() -> None:
    fields = json.loads(format_trust(TRUST))
    assert parse_trust(format_trust(TRUST)) == TRUST
    assert parse_trust(json.dumps(fields, sort_keys=True).encode()) == TRUST


def test_the_fingerprint_is_short_the_same_everywhere_and_of_every_root() -> None:
    assert TRUST.fingerprint() == "4xpv-7tfq-yc6i-m4cd"
    others = [
        replace(TRUST, chain_id=1),
        replace(TRUST, registry=bytes(20)),
        replace(TRUST, anchor_log=bytes(20)),
        replace(TRUST, usage_fees=bytes(20)),
        replace(TRUST, super_log_origin="other.example/log"),
        replace(TRUST, super_log_public=bytes(32)),
        replace(TRUST, witness_policy=replace(TRUST.witness_policy, quorum=1)),
    ]
    assert len({trust.fingerprint() for trust in [TRUST, *others]}) == 8


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"format": "minglou-trust/2"}, "format"),
        ({"chain_id": 31337}, "chain_id"),
        ({"chain_id": "0"}, "chain_id"),
        ({"registry": "0x00"}, "registry is not 20 bytes"),
        ({"registry": "5fbdb2315678afecb367f032d93f642f64180aa3"}, "behind 0x"),
        ({"anchor_log": "0xE7F1725E7734CE288F8367E1BB143E90BB3F0512"}, "lower-case"),
        ({"super_log": {"origin": "h/s/g/e0", "key": "00" * 32}}, "HOST/log"),
        ({"super_log": {"origin": "h/log"}}, "missing key"),
        ({"witness_policy": {"quorum": 1, "witnesses": []}}, "can never be met"),
        ({"witness_policy": {"quorum": -1, "witnesses": []}}, "can never be met"),
        ({"witness_policy": {"quorum": 0, "witnesses": [{"name": "w", "key": "00" * 32}] * 2}}, "share one key"),
        ({"witness_policy": {"quorum": 0, "witnesses": [{"name": "w", "key": "00" * 32}] * 33}}, "at most 32"),
        ({"surprise": 1}, "unknown surprise"),
    ],
)
def test_a_trust_file_with_a_mistake_is_refused_and_the_mistake_named(change: dict[str, Any], says: str) -> None:
    fields = {**json.loads(format_trust(TRUST)), **change}
    with pytest.raises(TrustError, match=says):
        parse_trust(json.dumps(fields).encode())


def test_texts_that_are_no_trust_file_are_refused() -> None:
    for junk in (b"", b"\xff", b"[]", b"[" * 70_000, format_trust(TRUST)[:-5], b'{"format":"a","format":"a"}'):
        with pytest.raises(TrustError, match="trust file"):
            parse_trust(junk)
