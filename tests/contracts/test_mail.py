"""Mail: the cloud is only the postman."""

import json
from dataclasses import replace
from typing import Any

import pytest

from contracts import p256
from contracts.errors import MailError, SignatureError
from contracts.mail import (
    Block,
    MailKind,
    Message,
    Revocation,
    format_mail,
    parse_anchored,
    parse_block,
    parse_mail,
    parse_revocation,
    sign_message,
    verify_message,
)
from tests.vectors.deployment import GATEWAY_KEY, ORIGIN, OTHER_KEY

ADMIN = p256.public_bytes(GATEWAY_KEY)
CONFIG = {"poll_interval_seconds": 60, "profile": "dlt645"}
BLOCK = Block(chain_id=31337, number=123, hash=bytes(range(32)))
MESSAGES = (
    Message(number=3, kind=MailKind.BLOCK, body=BLOCK.body()),
    Message(number=4, kind=MailKind.ANCHORED, body={"size": "4096"}),
    Message(number=7, kind=MailKind.REVOKED, body=Revocation(origin=ORIGIN, from_block=9).body()),
    Message(
        number=8,
        kind=MailKind.CONFIG,
        body=CONFIG,
        signature=sign_message(ORIGIN, MailKind.CONFIG, CONFIG, GATEWAY_KEY),
    ),
)


def test_mail_survives_its_bytes() -> None:
    assert parse_mail(format_mail(MESSAGES), after=2) == MESSAGES
    assert parse_block(MESSAGES[0].body) == BLOCK
    assert parse_anchored(MESSAGES[1].body) == 4096
    assert parse_revocation(MESSAGES[2].body) == Revocation(origin=ORIGIN, from_block=9)


def test_what_the_chain_says_needs_no_signature_and_settings_do() -> None:
    for message in MESSAGES:
        verify_message(message, ORIGIN, {ADMIN})
    with pytest.raises(MailError, match="not signed; it is left undone"):
        verify_message(replace(MESSAGES[3], signature=None), ORIGIN, {ADMIN})


def test_settings_of_another_sender_for_another_gateway_or_with_another_value_are_refused() -> None:
    with pytest.raises(MailError, match="may not say it"):
        verify_message(MESSAGES[3], ORIGIN, {p256.public_bytes(OTHER_KEY)})
    with pytest.raises(SignatureError):
        verify_message(MESSAGES[3], ORIGIN.replace("b07", "b08"), {ADMIN})
    with pytest.raises(SignatureError):
        verify_message(replace(MESSAGES[3], body={**CONFIG, "poll_interval_seconds": 61}), ORIGIN, {ADMIN})
    with pytest.raises(MailError, match="outside the profile"):
        verify_message(replace(MESSAGES[3], body={"poll_interval_seconds": None}), ORIGIN, {ADMIN})


@pytest.mark.parametrize("after", [3, 4, 8])
def test_numbers_that_do_not_grow_are_refused(after: int) -> None:
    with pytest.raises(MailError, match="numbers only grow"):
        parse_mail(format_mail(MESSAGES), after=after)
    with pytest.raises(MailError, match="numbers only grow"):
        parse_mail(format_mail((MESSAGES[0], MESSAGES[0])), after=0)


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "letter"},
        {"number": "3"},
        {"number": True},
        {"number": 2**53},
        {"body": []},
        {"signature": {}},
        {"more": 1},
    ],
)
def test_a_message_that_is_none_is_refused(change: dict[str, Any]) -> None:
    mail = json.loads(format_mail(MESSAGES[:1]))
    mail["messages"][0].update(change)
    with pytest.raises(MailError, match="mail"):
        parse_mail(json.dumps(mail).encode(), after=0)


def test_answers_that_are_no_mail_are_refused() -> None:
    for junk in (b"", b"[]", b'{"messages":{}}', b'{"messages":[1]}', b"[" * 10_000, bytes(1024 * 1024 + 1)):
        with pytest.raises(MailError, match="mail"):
            parse_mail(junk, after=0)
    with pytest.raises(MailError, match="list of at most 100"):
        parse_mail(format_mail([replace(MESSAGES[0], number=n) for n in range(1, 102)]), after=0)


@pytest.mark.parametrize(
    "body",
    [{}, {"chain_id": "0", "number": "1", "hash": "0x" + "00" * 32}, {"chain_id": "1", "number": 1, "hash": "0x00"}],
)
def test_a_block_that_is_none_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(MailError, match="block"):
        parse_block(body)


def test_a_size_or_an_origin_that_is_none_is_refused() -> None:
    with pytest.raises(MailError, match="anchored"):
        parse_anchored({"size": "0"})
    with pytest.raises(MailError, match="revoked"):
        parse_revocation({"origin": "nobody", "from_block": "1"})
