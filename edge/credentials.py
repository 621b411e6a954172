"""Device passwords: how they are stored (scrypt) and checked, slowly once and quickly after that."""

import hashlib
import hmac
import os
import re
import secrets
from pathlib import Path

from edge.errors import CredentialError
from edge.toml_text import read_toml

# Passwords are made by provisioning and have 128 bits; the cost only has to make a stolen file useless for weak ones.
_COST, _BLOCK, _PARALLEL = 4096, 8, 1
_STORED = re.compile(r"scrypt\$(\d{3,7})\$(\d{1,2})\$(\d{1,2})\$([0-9a-f]{32})\$([0-9a-f]{64})")
_MEMORY_MAX = 128 * 1024 * 1024


def hash_password(password: str, *, salt: bytes | None = None) -> str:
    """`scrypt$N$r$p$salt$hash`, the form that a credentials file holds. `salt` is 16 random bytes unless given."""
    salt = secrets.token_bytes(16) if salt is None else salt
    digest = _scrypt(password.encode(), salt, _COST, _BLOCK, _PARALLEL)
    return f"scrypt${_COST}${_BLOCK}${_PARALLEL}${salt.hex()}${digest.hex()}"


def _scrypt(password: bytes, salt: bytes, cost: int, block: int, parallel: int) -> bytes:
    return hashlib.scrypt(password, salt=salt, n=cost, r=block, p=parallel, maxmem=_MEMORY_MAX, dklen=32)


class Credentials:
    """The users of one file. `check` takes milliseconds the first time: call it in a thread."""

    def __init__(self, stored: dict[str, str]) -> None:
        self._stored = {name: _parse(name, text) for name, text in stored.items()}
        self._key = os.urandom(32)
        self._known: dict[str, bytes] = {}

    @classmethod
    def read(cls, path: Path) -> "Credentials":
        """Raises `SettingsError` or `CredentialError` naming what to correct."""
        users = read_toml(path).table("users")
        return cls({} if users is None else {name: users.string(name) for name in users.values})

    def is_known(self, username: str, password: bytes) -> bool:
        """Whether this very password was right before: no scrypt, for the storm of reconnections after an outage."""
        known = self._known.get(username)
        return known is not None and hmac.compare_digest(known, self._mark(password))

    def check(self, username: str, password: bytes) -> bool:
        stored = self._stored.get(username)
        cost, block, parallel, salt, digest = stored or (_COST, _BLOCK, _PARALLEL, bytes(16), bytes(32))
        right = hmac.compare_digest(_scrypt(password, salt, cost, block, parallel), digest) and stored is not None
        if right:
            self._known[username] = self._mark(password)
        return right

    def _mark(self, password: bytes) -> bytes:
        return hmac.digest(self._key, password, "sha256")


def _parse(name: str, text: str) -> tuple[int, int, int, bytes, bytes]:
    match = _STORED.fullmatch(text)
    if match is None:
        raise CredentialError(f"credentials of {name!r}: not scrypt$N$r$p$salt$hash; write them with hash_password")
    cost, block, parallel, salt, digest = match.groups()
    return int(cost), int(block), int(parallel), bytes.fromhex(salt), bytes.fromhex(digest)
