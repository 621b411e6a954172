"""Ed25519 keys in PEM files: super-log, audit log, copy and witness each make their own at the first start."""

import os
import secrets
from contextlib import suppress
from pathlib import Path

from cloud.errors import SettingsError
from contracts import ed25519
from contracts.errors import KeyFormatError

__all__ = ["make_key_file", "open_key_file"]


def open_key_file(path: Path, what: str) -> ed25519.PrivateKey:
    """The key in a file; made there where there is none.

    Args:
        what: how people call it, such as `super-log key`.

    Raises:
        SettingsError: the file is readable by others, is no Ed25519 key, or cannot be made.
    """
    if not path.exists():
        make_key_file(path, what)
    try:
        if path.stat().st_mode & 0o077:
            raise SettingsError(f"{what} {path} can be read by others; run: chmod 600 {path}")
        return ed25519.load_pem(path.read_bytes())
    except (OSError, KeyFormatError) as error:
        raise SettingsError(f"{what} {path}: {error}") from error


def make_key_file(path: Path, what: str) -> None:
    """A new key, readable by its owner only: on the disk whole before it has its name, or not there at all.

    Where another process makes it at the same time, one of the two keys comes to stay. Raises `SettingsError`.
    """
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(ed25519.dump_pem(ed25519.generate_key()))
                file.flush()
                os.fsync(file.fileno())
            with suppress(FileExistsError):
                os.link(fresh, path)
        finally:
            fresh.unlink(missing_ok=True)
        _sync(path.parent)
    except OSError as error:
        raise SettingsError(f"{what} {path} cannot be made: {error}; make room there, or let us write there") from error


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
