"""Key files: made once, readable by their owner alone (0600), refused when anyone else could have read them."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, derive_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from provisioning.errors import KeyFileError
from provisioning.files import write_private

__all__ = [
    "P256_ORDER",
    "SECP256K1_ORDER",
    "ensure_chain_key",
    "ensure_ed25519_key",
    "ensure_person_seed",
    "person_public_key",
    "private_mode",
    "read_secret_hex",
]

SECP256K1_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141  # SEC 2, 2.4.1
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # FIPS 186-4, D.1.2.3

RandomBytes = Callable[[int], bytes]


def private_mode(path: Path) -> None:
    """Refuse a secret file that others may read.

    Raises:
        KeyFileError: the file is missing or has permission bits for group or others.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise KeyFileError(
            f"{path}: cannot be read ({error.strerror}); make it with `minglou provision site apply`"
        ) from error
    if mode & 0o077:
        raise KeyFileError(
            f"{path}: mode {mode & 0o777:04o} lets others read a key; replace the key, then chmod 600 the new file"
        )


def read_secret_hex(path: Path) -> bytes:
    """The 32 secret bytes of a hex key file."""
    private_mode(path)
    text = path.read_text("ascii", errors="replace").strip().removeprefix("0x")
    try:
        secret = bytes.fromhex(text)
    except ValueError as error:
        raise KeyFileError(f"{path}: is not hexadecimal; restore it from the copy you keep offline") from error
    if len(secret) != 32:
        raise KeyFileError(f"{path}: holds {len(secret)} bytes, not 32; restore it from the copy you keep offline")
    return secret


def ensure_chain_key(path: Path, random_bytes: RandomBytes = secrets.token_bytes) -> bytes:
    """The secp256k1 key of a chain account, made if the file is not there."""
    return _ensure_scalar(path, SECP256K1_ORDER, random_bytes)


def ensure_person_seed(path: Path, random_bytes: RandomBytes = secrets.token_bytes) -> bytes:
    """A person's P-256 private scalar, for the activation letter of a software key."""
    return _ensure_scalar(path, P256_ORDER, random_bytes)


def person_public_key(seed: bytes) -> bytes:
    """The 64-byte public key x || y of a P-256 scalar."""
    numbers = derive_private_key(int.from_bytes(seed), SECP256R1()).public_key().public_numbers()
    return numbers.x.to_bytes(32) + numbers.y.to_bytes(32)


def ensure_ed25519_key(path: Path) -> bytes:
    """The 32-byte public key of the Ed25519 key (PKCS 8 PEM) in the file, made if it is not there."""
    if path.exists():
        private_mode(path)
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
        if not isinstance(key, Ed25519PrivateKey):
            raise KeyFileError(f"{path}: is not an Ed25519 key; the super-log signs with Ed25519 only")
    else:
        key = Ed25519PrivateKey.generate()
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        write_private(path, pem)
    return key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def _ensure_scalar(path: Path, order: int, random_bytes: RandomBytes) -> bytes:
    if path.exists():
        return read_secret_hex(path)
    while not 0 < int.from_bytes(secret := random_bytes(32)) < order:
        continue
    write_private(path, secret.hex().encode() + b"\n")
    return secret
