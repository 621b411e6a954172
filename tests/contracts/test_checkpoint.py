"""Checkpoints: what a gateway signs, and texts it never would."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import p256
from contracts.checkpoint import (
    Checkpoint,
    checkpoint_note,
    epoch_of,
    is_log_origin,
    is_super_origin,
    open_checkpoint,
    parse_checkpoint,
    parse_checkpoint_body,
    sign_checkpoint,
)
from contracts.errors import CheckpointError, ContractsError, SignatureError
from tests.vectors.deployment import GATEWAY_KEY, ORIGIN, OTHER_KEY, SUPER_KEY, SUPER_ORIGIN

PUBLIC = p256.public_bytes(GATEWAY_KEY)
CHECKPOINT = Checkpoint(origin=ORIGIN, size=4096, root=bytes(range(32)))
NOTE = sign_checkpoint(CHECKPOINT, GATEWAY_KEY)


def test_a_checkpoint_is_three_lines_and_one_signature() -> None:
    text, _, line = NOTE.partition("\n\n")
    assert text == f"{ORIGIN}\n4096\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
    assert line.startswith(f"— {ORIGIN} ")
    signed = open_checkpoint(NOTE, PUBLIC)
    assert signed.checkpoint == parse_checkpoint(NOTE) == CHECKPOINT
    assert checkpoint_note(CHECKPOINT, PUBLIC, signed.signature) == NOTE


@given(st.integers(0, len(NOTE.encode()) - 1), st.integers(0, 255))
def test_a_damaged_checkpoint_is_refused(position: int, octet: int) -> None:
    damaged = bytearray(NOTE.encode())
    if damaged[position] == octet:
        return
    damaged[position] = octet
    with pytest.raises((ContractsError, UnicodeDecodeError)):
        open_checkpoint(bytes(damaged).decode(), PUBLIC)


def test_another_gateways_signature_is_refused() -> None:
    with pytest.raises(CheckpointError, match="another key"):
        open_checkpoint(sign_checkpoint(CHECKPOINT, OTHER_KEY), PUBLIC)
    other = p256.sign(OTHER_KEY, CHECKPOINT.body().encode())
    with pytest.raises(SignatureError, match="did not sign this"):
        open_checkpoint(checkpoint_note(CHECKPOINT, PUBLIC, other), PUBLIC)


def test_a_super_logs_checkpoint_is_not_a_gateways() -> None:
    from contracts.superlog import sign_superlog

    note = sign_superlog(Checkpoint(origin=SUPER_ORIGIN, size=1, root=bytes(32)), SUPER_KEY)
    with pytest.raises(CheckpointError, match="super-log"):
        open_checkpoint(note, PUBLIC)
    with pytest.raises(CheckpointError, match="a gateway's log"):
        sign_superlog(CHECKPOINT, SUPER_KEY)


@pytest.mark.parametrize("origin", [ORIGIN, "h/s/g/e0", "a.b-c/x/y/e12", "h" * 57 + "/s/g/e0"])
def test_a_log_origin_names_host_site_gateway_and_epoch(origin: str) -> None:
    assert is_log_origin(origin)
    assert epoch_of(origin) == int(origin.rpartition("e")[2])
    assert not is_super_origin(origin)


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "h/s/g",
        "h/s/g/e",
        "h/s/g/e01",
        "h/s/g/x0",
        "h/s/g/e0/",
        "h/s/g/e0\n",
        "H/s/g/e0",
        "h/s_/g/e0",
        "h/s/g/e0/e1",
        "h" * 58 + "/s/g/e0",
        "h//g/e0",
        "h/s/g/e٠",
    ],
)
def test_another_text_is_no_log_origin(origin: str) -> None:
    assert not is_log_origin(origin)
    with pytest.raises(CheckpointError, match="HOST/SITE/GATEWAY/eN"):
        epoch_of(origin)
    if origin:
        with pytest.raises(CheckpointError):
            Checkpoint(origin=origin, size=1, root=bytes(32))


@pytest.mark.parametrize("size", ["0", "-1", "+1", "01", str(2**48), "1 ", "", "٣"])
def test_a_size_that_is_not_canonical_or_out_of_bounds_is_refused(size: str) -> None:
    with pytest.raises(CheckpointError, match="size"):
        parse_checkpoint_body(f"{ORIGIN}\n{size}\n{'A' * 43}=\n")


@pytest.mark.parametrize("root", ["", "A" * 42 + "==", "A" * 44, "A" * 42 + "B=", "-" * 43 + "=", "A" * 43])
def test_a_root_that_is_not_32_bytes_of_canonical_base64_is_refused(root: str) -> None:
    assert parse_checkpoint_body(f"{ORIGIN}\n1\n{'A' * 43}=\n").root == bytes(32)
    with pytest.raises(CheckpointError, match="root"):
        parse_checkpoint_body(f"{ORIGIN}\n1\n{root}\n")
