"""People's signatures through the EVM: passkeys as browsers make them, software keys as WebCrypto makes them."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from contracts import p256
from contracts.person import (
    PersonError,
    PersonSignature,
    Purpose,
    challenge_text,
    key_id_of,
    person_digest,
    sign_software,
    webauthn_signature,
)
from tests.contracts.vyper.chain import Chain
from tests.contracts.vyper.harness import Harness
from tests.contracts.vyper.site import FOREVER, SECP256R1_ORDER, WEB_ORIGIN, coordinates, key_of, name

KEY = key_of(4242)
RP_ID_HASH = hashlib.sha256(b"localhost").digest()
BODY = Purpose.MANDATE.body_digest(3, 5000)
FLAGS_UP, FLAGS_UV, FLAGS_BACKUP, FLAGS_EXTENSIONS = 1, 4, 24, 128


@pytest.fixture(scope="session")
def harness(chain: Chain) -> Harness:
    return Harness(chain)


def accepted(harness: Harness, signature: PersonSignature, *, kind: int, purpose: str = "fees.mandate") -> bool:
    x, y = coordinates(KEY)
    key = (name("unit"), 3, x, y, kind, RP_ID_HASH, WEB_ORIGIN)
    return bool(harness.ask("is_signed_by", key, purpose.encode().ljust(32, b"\0"), BODY, signature.abi()))


def digest(harness: Harness) -> bytes:
    return person_digest(
        chain_id=31337,
        contract=harness.address,
        purpose=Purpose.MANDATE,
        key_id=key_id_of(p256.public_bytes(KEY)),
        nonce=7,
        deadline=FOREVER,
        body_digest=BODY,
    )


def client_data(challenge: str, *, cross_origin: str | None = "false", extra: str = "") -> bytes:
    text = f'{{"type":"webauthn.get","challenge":"{challenge}","origin":"{WEB_ORIGIN}"'
    if cross_origin is not None:
        text += f',"crossOrigin":{cross_origin}'
    return (text + extra + "}").encode()


def passkey(harness: Harness, *, authenticator: bytes | None = None, client: bytes | None = None) -> PersonSignature:
    """What an authenticator would answer to the digest."""
    if authenticator is None:
        authenticator = RP_ID_HASH + bytes([FLAGS_UP | FLAGS_UV | FLAGS_BACKUP]) + bytes(4)
    if client is None:
        client = client_data(challenge_text(digest(harness)))
    signature = p256.sign(KEY, authenticator + hashlib.sha256(client).digest())
    return webauthn_signature(
        key_id=key_id_of(p256.public_bytes(KEY)),
        nonce=7,
        deadline=FOREVER,
        signature_der=p256.signature_to_der(signature),
        authenticator_data=authenticator,
        client_data=client,
    )


def software(harness: Harness, **changes: Any) -> PersonSignature:
    fields: dict[str, Any] = {
        "chain_id": 31337,
        "contract": harness.address,
        "purpose": Purpose.MANDATE,
        "nonce": 7,
        "deadline": FOREVER,
        "body_digest": BODY,
    }
    return sign_software(KEY, **(fields | changes))


def test_a_software_signature_means_one_act_in_one_place(harness: Harness) -> None:
    good = software(harness)
    assert accepted(harness, good, kind=2)
    assert not accepted(harness, good, kind=2, purpose="fees.withdraw")
    for other in (
        software(harness, chain_id=1),
        software(harness, contract="0x" + "11" * 20),
        software(harness, purpose=Purpose.WITHDRAW),
        software(harness, body_digest=name("other body")),
        replace(good, nonce=8),
        replace(good, deadline=FOREVER - 1),
        replace(good, key_id=name("other key")),
    ):
        assert not accepted(harness, other, kind=2)


def test_a_passkey_signature_is_accepted_with_either_s(harness: Harness) -> None:
    good = passkey(harness)
    assert accepted(harness, good, kind=1)
    assert accepted(harness, replace(good, s=SECP256R1_ORDER - good.s), kind=1)
    low = software(harness)
    assert accepted(harness, replace(low, s=SECP256R1_ORDER - low.s), kind=2)


def test_neither_kind_passes_for_the_other(harness: Harness) -> None:
    assert not accepted(harness, passkey(harness), kind=2)
    assert not accepted(harness, software(harness), kind=1)
    assert not accepted(harness, passkey(harness), kind=3)
    extended = replace(software(harness), client_data=b"{}")
    assert not accepted(harness, extended, kind=2)


@pytest.mark.parametrize(
    "make",
    [
        lambda text: client_data(text, cross_origin=None),
        lambda text: client_data(text, extra=',"other_keys_can_be_added_here":"do not compare"'),
        lambda text: client_data(text, cross_origin=None, extra=',"topOrigin":"x"'),
    ],
)
def test_client_data_may_go_on_as_browsers_do(harness: Harness, make: Callable[[str], bytes]) -> None:
    assert accepted(harness, passkey(harness, client=make(challenge_text(digest(harness)))), kind=1)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: client_data(text, cross_origin="true"),
        lambda text: client_data(text).replace(b"webauthn.get", b"webauthn.create"),
        lambda text: client_data(text).replace(b"localhost", b"elsewhere"),
        lambda text: client_data(text).replace(WEB_ORIGIN.encode() + b'"', WEB_ORIGIN.encode() + b'1"'),
        lambda text: client_data("A" + text[1:]),
        lambda text: json.dumps(json.loads(client_data(text))).encode(),
        lambda text: b'{"origin":"' + WEB_ORIGIN.encode() + b'",' + client_data(text)[1:],
        lambda text: client_data(text)[:-1].replace(b',"crossOrigin":false', b"") + b'x"}',
        lambda text: b"",
    ],
)
def test_client_data_that_begins_otherwise_is_refused(harness: Harness, damage: Callable[[str], bytes]) -> None:
    text = challenge_text(digest(harness))
    assert not accepted(harness, passkey(harness, client=damage(text)), kind=1)


@pytest.mark.parametrize(
    "authenticator",
    [
        RP_ID_HASH + bytes([FLAGS_UP]) + bytes(4),
        RP_ID_HASH + bytes([FLAGS_UV]) + bytes(4),
        hashlib.sha256(b"elsewhere").digest() + bytes([5]) + bytes(4),
        RP_ID_HASH + bytes([5]) + bytes(3),
        b"",
    ],
)
def test_presence_verification_and_relying_party_are_checked(harness: Harness, authenticator: bytes) -> None:
    assert not accepted(harness, passkey(harness, authenticator=authenticator), kind=1)


def test_extensions_and_counters_are_no_obstacle(harness: Harness) -> None:
    with_extensions = RP_ID_HASH + bytes([5 | FLAGS_EXTENSIONS]) + b"\0\0\1\2" + b"\xa1\x63abc\x01"
    assert accepted(harness, passkey(harness, authenticator=with_extensions), kind=1)
    with pytest.raises(PersonError, match="extensions"):
        passkey(harness, authenticator=RP_ID_HASH + bytes(300))
