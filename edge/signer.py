"""Checkpoints of one epoch's log: when one is due, and the signature that never contradicts an earlier one.

The rule that keeps a gateway from two histories: the root is on disk before the signature exists, only a root that is
on disk is signed, and after a start nothing is signed before the cloud's head was seen.
"""

from dataclasses import dataclass

from contracts import p256
from contracts.checkpoint import Checkpoint, sign_checkpoint
from edge.errors import SigningError


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointRule:
    """A checkpoint is due after so many entries, or so many seconds after the first unsigned one."""

    entries: int
    seconds: float


class Signer:
    """Decides and signs; the writer thread owns it, but for `permit` and `revoke`, which only set flags."""

    def __init__(self, key: p256.PrivateKey, rule: CheckpointRule) -> None:
        self._key = key
        self._rule = rule
        self._unsigned_since: float | None = None
        self.permitted = False
        self.revoked = False
        self.signed_size = 0

    @property
    def may_sign(self) -> bool:
        return self.permitted and not self.revoked

    def due(self, size: int, now: float) -> bool:
        """Whether the log at `size` entries is to be signed now (monotonic seconds)."""
        if size <= self.signed_size:
            self._unsigned_since = None
            return False
        if self._unsigned_since is None:
            self._unsigned_since = now
        waited = now - self._unsigned_since
        return self.may_sign and (
            self.signed_size == 0 or size - self.signed_size >= self._rule.entries or waited >= self._rule.seconds
        )

    def seconds_until_due(self, now: float) -> float | None:
        """How long until the oldest unsigned entry must be signed; None when nothing waits for it."""
        if self._unsigned_since is None or not self.may_sign:
            return None
        return max(0.0, self._unsigned_since + self._rule.seconds - now)

    def sign(self, origin: str, size: int, root: bytes, written_root: bytes | None) -> str:
        """The checkpoint's note.

        Args:
            origin: the epoch's origin.
            size: entries in the log.
            root: of those entries.
            written_root: what the disk holds for this size.

        Raises:
            SigningError: not permitted yet, or the disk does not hold this very root.
        """
        if not self.may_sign:
            raise SigningError(f"{origin}: not permitted to sign yet; wait for the cloud's head")
        if written_root != root:
            raise SigningError(f"{origin}: the root of size {size} was not written down before signing")
        note = sign_checkpoint(Checkpoint(origin=origin, size=size, root=root), self._key)
        self.signed_size = max(self.signed_size, size)
        self._unsigned_since = None
        return note
