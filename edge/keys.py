"""The gateway's secrets on disk: its signing key, claim code, uplink token and credential secret, each 0600."""

import os
import secrets
from hashlib import sha256
from pathlib import Path

from contracts import p256
from contracts.errors import KeyFormatError
from edge.errors import KeyFileError


def write_secret(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read, whole or not at all, and not over an existing one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".new")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)


def read_secret(path: Path) -> bytes:
    """Raises `KeyFileError` when the file is unreadable or others may read it."""
    try:
        mode = path.stat().st_mode & 0o777
        if mode & 0o077:
            raise KeyFileError(f"{path}: mode {mode:o} lets others read it; run chmod 600 {path}")
        return path.read_bytes()
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror}; restore it or enrol the gateway again") from error


def load_key(path: Path, password_file: Path | None) -> p256.PrivateKey:
    """The gateway's signing key.

    Raises:
        KeyFileError: missing, readable by others, or not openable with this password.
    """
    password = read_secret(password_file).strip() if password_file else None
    try:
        return p256.load_pem(read_secret(path), password)
    except KeyFormatError as error:
        raise KeyFileError(f"{path}: {error}") from error


def load_or_create_key(path: Path, password_file: Path | None) -> p256.PrivateKey:
    """The signing key, made on first use."""
    if not path.exists():
        password = read_secret(password_file).strip() if password_file else None
        write_secret(path, p256.dump_pem(p256.generate_key(), password))
    return load_key(path, password_file)


class Secrets:
    """The random secrets in the data directory, each made when it is first asked for."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir

    @property
    def claim_code(self) -> str:
        """What proves, in `epoch.open`, that this very gateway was enrolled: 20 hex digits."""
        return self._kept("claim.code", 10).hex()

    @property
    def uplink_token(self) -> str:
        """The bearer token of the uplink, as hex; the cloud knows its SHA-256 alone."""
        return self._kept("uplink.token", 32).hex()

    @property
    def uplink_token_digest(self) -> str:
        return sha256(bytes.fromhex(self.uplink_token)).hexdigest()

    @property
    def credential_secret(self) -> bytes:
        """What salts the commitments to access credentials."""
        return self._kept("credential.secret", 32)

    def _kept(self, name: str, length: int) -> bytes:
        path = self._data_dir / name
        if not path.exists():
            write_secret(path, secrets.token_hex(length).encode() + b"\n")
        return bytes.fromhex(read_secret(path).decode().strip())
