"""Ed25519 against RFC 8032, and the ways in which a signature is not one."""

import pytest

from contracts import ed25519, p256
from contracts.errors import KeyFormatError, SignatureError

# RFC 8032, 7.1, TEST 3.
SEED = bytes.fromhex("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7")
PUBLIC = bytes.fromhex("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025")
MESSAGE = bytes.fromhex("af82")
SIGNATURE = bytes.fromhex(
    "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
    "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
)
KEY = ed25519.key_from_seed(SEED)


def test_the_rfcs_key_makes_the_rfcs_signature() -> None:
    assert ed25519.public_bytes(KEY) == PUBLIC
    assert ed25519.sign(KEY, MESSAGE) == SIGNATURE
    ed25519.verify(PUBLIC, MESSAGE, SIGNATURE)


@pytest.mark.parametrize("position", [0, 31, 32, 63])
def test_a_changed_signature_is_refused(position: int) -> None:
    damaged = bytearray(SIGNATURE)
    damaged[position] ^= 1
    with pytest.raises(SignatureError, match="did not sign this"):
        ed25519.verify(PUBLIC, MESSAGE, bytes(damaged))


def test_other_lengths_are_refused_before_they_are_tried() -> None:
    with pytest.raises(KeyFormatError, match="64 bytes, not 63"):
        ed25519.verify(PUBLIC, MESSAGE, SIGNATURE[:-1])
    with pytest.raises(KeyFormatError, match="32 bytes, not 33"):
        ed25519.verify(PUBLIC + b"\0", MESSAGE, SIGNATURE)
    with pytest.raises(KeyFormatError, match="32 bytes, not 31"):
        ed25519.key_from_seed(SEED[:-1])


@pytest.mark.parametrize("password", [None, b"secret"])
def test_a_key_survives_its_pem(password: bytes | None) -> None:
    pem = ed25519.dump_pem(KEY, password)
    assert ed25519.public_bytes(ed25519.load_pem(pem, password)) == PUBLIC


def test_a_pem_that_cannot_be_opened_says_so() -> None:
    with pytest.raises(KeyFormatError, match="check the file and its password"):
        ed25519.load_pem(ed25519.dump_pem(KEY, b"right"), b"wrong")
    with pytest.raises(KeyFormatError, match="not an Ed25519 one"):
        ed25519.load_pem(p256.dump_pem(p256.generate_key()))
