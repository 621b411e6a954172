"""Codes that people type and tokens that programs send: random, spelt one way, stored as SHA-256 only."""

import hashlib
import re
import secrets

__all__ = ["code_digest", "new_code"]

# Crockford's base 32: no I, L, O, U; what is misread for another is taken for it.
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LENGTH = 16  # 80 bits
_SPELLING = re.compile(f"[{_ALPHABET}]{{{_LENGTH}}}")
_MISREAD = str.maketrans({"I": "1", "L": "1", "O": "0", "-": None, " ": None})


def new_code() -> str:
    """80 random bits as `XXXX-XXXX-XXXX-XXXX`."""
    letters = "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
    return "-".join(letters[at : at + 4] for at in range(0, _LENGTH, 4))


def code_digest(typed: str) -> bytes | None:
    """SHA-256 of the code that somebody typed, or None if it is none."""
    plain = typed[:64].upper().translate(_MISREAD)
    return hashlib.sha256(plain.encode()).digest() if _SPELLING.fullmatch(plain) else None
