"""A gateway that makes its batches as they are wanted: plain readings, real hashes, real signatures."""

from __future__ import annotations

import hashlib
from random import Random

import numpy as np
import numpy.typing as npt

from contracts import p256
from contracts.batch import encode_batch
from contracts.checkpoint import Checkpoint, sign_checkpoint
from contracts.detail import detail_digest, encode_detail
from contracts.entry import ENTRY_BYTES, NO_DETAIL, Entry, Kind, device_id, encode_entry
from contracts.tree import Frontier, leaf_hashes

DEVICES = 2
START_MS = 1_764_000_000_000


class LeanGateway:
    """One log, batch after batch."""

    def __init__(self, origin: str, key: p256.PrivateKey, seed: int) -> None:
        self.origin, self._key = origin, key
        self.token = hashlib.sha256(f"token {origin}".encode()).digest()
        self._rng, self._numbers = Random(seed), np.random.default_rng(seed)
        self._frontier = self._before = Frontier()
        self._readings = np.stack([self._reading(number) for number in range(DEVICES)])

    @property
    def size(self) -> int:
        return self._frontier.size

    def next_batch(self, count: int) -> bytes:
        """The next `count` entries, up to a checkpoint."""
        self._before = self._frontier
        return self._batch(count)

    def other_batch(self, count: int) -> bytes:
        """Other entries in the place of the last ones, signed too: a fork."""
        self._frontier = self._before
        return self._batch(count)

    def _batch(self, count: int) -> bytes:
        start = self._frontier.size
        entries, details = self._plain(start, count), [b""] * count
        if start == 0:
            opening, details[0] = self._opening()
            entries = opening + entries[ENTRY_BYTES:]
        after = self._frontier.copy()
        after.extend(leaf_hashes(entries, ENTRY_BYTES))
        self._frontier = after
        checkpoint = Checkpoint(origin=self.origin, size=after.size, root=after.root())
        return encode_batch(start, sign_checkpoint(checkpoint, self._key), entries, details)

    def _plain(self, start: int, count: int) -> bytes:
        """Readings of all devices in turn, with times, values and salts of their own."""
        places = np.arange(start, start + count)
        rows = self._readings[places % DEVICES]
        rows[:, 88:96] = (START_MS + 1000 * places).astype(">u8").view(np.uint8).reshape(-1, 8)
        rows[:, 152:160] = (7 * places).astype(">i8").view(np.uint8).reshape(-1, 8)
        rows[:, 192:208] = self._numbers.integers(0, 256, (count, 16), np.uint8)
        return rows.tobytes()

    def _reading(self, number: int) -> npt.NDArray[np.uint8]:
        entry = Entry(
            kind=Kind.READING, device=device_id(f"urn:bench:{self.origin}:m{number}"), observed_at_ms=START_MS,
            quantity="1-0:1.8.0", value=0, detail_digest=NO_DETAIL, salt=bytes(16),
        )  # fmt: skip
        return np.frombuffer(encode_entry(entry), np.uint8)

    def _opening(self) -> tuple[bytes, bytes]:
        declared: dict[str, object] = {
            "claim_code": "claim", "uplink_token_digest": hashlib.sha256(self.token).hexdigest(), "software": "bench",
        }  # fmt: skip
        detail = encode_detail(declared, salt=self._rng.randbytes(16))
        entry = Entry(
            kind=Kind.GATEWAY, device=device_id(f"urn:bench:{self.origin}"), observed_at_ms=START_MS,
            quantity="epoch.open", value=0, detail_digest=detail_digest(detail), salt=self._rng.randbytes(16),
        )  # fmt: skip
        return encode_entry(entry), detail
