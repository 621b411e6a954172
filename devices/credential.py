"""Access credentials never leave the gateway in the clear: what is logged is a commitment that only it can open.

The salt of each commitment is HMAC-SHA256(secret, nonce), so that a reader of the details, who sees the nonce, cannot
try the few million card numbers there are; and revealing one salt opens one record alone.
"""

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass

SECRET_BYTES = 32
NONCE_BYTES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialCommitter:
    """Commits to credentials under one gateway's secret.

    `secret` is 32 random bytes that never leave the gateway; `new_nonce(n)` gives n random bytes.
    """

    secret: bytes
    new_nonce: Callable[[int], bytes]

    def __post_init__(self) -> None:
        if len(self.secret) != SECRET_BYTES:
            raise ValueError(f"credential secret has {len(self.secret)} bytes; give {SECRET_BYTES} random ones")

    def __call__(self, credential: str) -> dict[str, str]:
        """`{"commitment": 64 hex digits, "nonce": 32 hex digits}` for a credential's text."""
        nonce = self.new_nonce(NONCE_BYTES)
        return {"commitment": commitment(self.salt(nonce), credential).hex(), "nonce": nonce.hex()}

    def salt(self, nonce: bytes) -> bytes:
        """The 32-byte salt that opens the commitment made with this nonce."""
        return hmac.digest(self.secret, nonce, "sha256")


def commitment(salt: bytes, credential: str) -> bytes:
    """SHA-256(salt || credential in UTF-8); whoever is given salt and credential can check it."""
    return hashlib.sha256(salt + credential.encode()).digest()
