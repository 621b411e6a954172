"""Key files are made once, 0600, and refused when others could have read them."""

from __future__ import annotations

from pathlib import Path

import pytest

from contracts.p256 import key_from_secret, public_bytes
from provisioning.account import ChainAccount
from provisioning.errors import KeyFileError
from provisioning.keys import (
    SECP256K1_ORDER,
    ensure_chain_key,
    ensure_ed25519_key,
    ensure_person_seed,
    person_public_key,
)


def test_a_key_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "manager.key"
    secret = ensure_chain_key(path)
    assert ensure_chain_key(path) == secret
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o077 == 0


def test_a_scalar_outside_the_curve_is_drawn_again(tmp_path: Path) -> None:
    draws = iter([bytes(32), SECP256K1_ORDER.to_bytes(32), (5).to_bytes(32)])
    assert ensure_chain_key(tmp_path / "k", lambda _: next(draws)) == (5).to_bytes(32)


@pytest.mark.parametrize(
    ("content", "says"),
    [("zz" * 32, "is not hexadecimal"), ("00" * 31, "holds 31 bytes, not 32")],
    ids=["text", "short"],
)
def test_a_damaged_key_file_says_what_to_do(tmp_path: Path, content: str, says: str) -> None:
    path = tmp_path / "k"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(KeyFileError, match=says):
        ensure_chain_key(path)


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    for ensure in (ensure_chain_key, ensure_ed25519_key):
        path = tmp_path / ensure.__name__
        ensure(path)
        path.chmod(0o644)
        with pytest.raises(KeyFileError, match="0644 lets others read a key; replace the key"):
            ensure(path)


def test_the_account_of_a_known_key_is_the_known_address() -> None:
    # The first account of the development mnemonic that anvil and hardhat print.
    secret = bytes.fromhex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
    assert ChainAccount(secret).address == "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"


def test_an_owners_seed_gives_the_key_that_the_browser_derives(tmp_path: Path) -> None:
    seed = ensure_person_seed(tmp_path / "seed")
    assert person_public_key(seed) == public_bytes(key_from_secret(int.from_bytes(seed)))
