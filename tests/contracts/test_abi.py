"""Calls and results as bytes: what does not fit is named, not passed on."""

import pytest

from contracts.abi import AbiError, padded, parse_revert, unpadded
from contracts.calls import anchor_log, token
from contracts.calls.anchor_log import Anchored

ADDRESS = "0x" + "11" * 20


def test_a_call_is_selector_and_words() -> None:
    call = token.transfer(ADDRESS, recipient=ADDRESS, amount=258)
    assert call.to == ADDRESS and call.value == 0
    assert call.data.hex() == "a9059cbb" + "00" * 12 + "11" * 20 + (258).to_bytes(32).hex()


def test_arguments_that_do_not_fit_are_refused_with_the_functions_name() -> None:
    with pytest.raises(AbiError, match="transfer"):
        token.transfer(ADDRESS, recipient=ADDRESS, amount=-1)
    with pytest.raises(AbiError, match="transfer"):
        token.transfer(ADDRESS, recipient="0x11", amount=1)
    with pytest.raises(AbiError, match="anchor"):
        anchor_log.anchor(ADDRESS, size=1, root=bytes(33), proof=[])


def test_results_that_are_no_results_are_refused() -> None:
    with pytest.raises(AbiError, match="head"):
        anchor_log.parse_head(b"\1")
    with pytest.raises(AbiError, match="accepted"):
        anchor_log.parse_accepted(b"\2" * 64)


def test_an_event_is_found_by_its_topic_and_a_malformed_one_refused() -> None:
    topics = [Anchored.FORM.topic, (7).to_bytes(32)]
    assert anchor_log.parse_event(topics, b"\5" * 32) == Anchored(7, b"\5" * 32)
    assert anchor_log.parse_event([bytes(32)], b"") is None
    assert anchor_log.parse_event([], b"") is None
    with pytest.raises(AbiError):
        anchor_log.parse_event(topics[:1], b"\5" * 32)
    with pytest.raises(AbiError):
        anchor_log.parse_event(topics, b"\5" * 31)


def test_a_reverts_reason_is_read() -> None:
    data = bytes.fromhex("08c379a0") + (32).to_bytes(32) + (4).to_bytes(32) + b"nope".ljust(32, b"\0")
    assert parse_revert(data) == "nope"
    assert parse_revert(b"") is None


def test_texts_fit_a_word() -> None:
    assert unpadded(padded("operator")) == "operator"
    with pytest.raises(AbiError, match="33 bytes"):
        padded("x" * 33)
    with pytest.raises(AbiError, match="ASCII"):
        padded("费")
    with pytest.raises(AbiError, match="ASCII"):
        unpadded(b"\xff" * 32)
