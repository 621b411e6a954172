"""What the gateway tells about itself: one JSON object, from which the page and the metrics are made."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from contracts.clock import Clock
from contracts.tree import HASH_BYTES
from edge.committer import Committer
from edge.copies import Copies
from edge.forwarder import Forwarder
from edge.mail import Mailbox
from edge.recorder import DeviceRecorder
from edge.supervision import Health


class Status:
    """Collects the state of all parts; reads the log through aiosqlite, beside the writer."""

    def __init__(
        self, urn: str, clock: Clock, committer: Committer, forwarder: Forwarder, mailbox: Mailbox, copies: Copies,
        recorders: Sequence[DeviceRecorder], collectors: Sequence[Health], counts: Callable[[], dict[str, int]],
    ) -> None:  # fmt: skip
        self._urn = urn
        self._clock = clock
        self._committer = committer
        self._forwarder = forwarder
        self._mailbox = mailbox
        self._copies = copies
        self._recorders = recorders
        self._collectors = collectors
        self._counts = counts
        self._started_at_ms = clock.now_ms()
        self._started = time.monotonic()
        self.notices: list[str] = []
        self.step_ms = 0

    @property
    def state(self) -> str:
        if self._committer.disk_full:
            return "disk_full"
        if self._committer.signer.revoked:
            return "revoked"
        return self._forwarder.state

    async def fields(self) -> dict[str, Any]:
        """The content of `/status.json`."""
        store = self._committer.store
        size, checkpoint = await _read_log(store.path)
        return {
            "urn": self._urn,
            "origin": store.origin,
            "epoch": int(store.origin.rpartition("/e")[2]),
            "state": self.state,
            "entries": size,
            "checkpoint_size": checkpoint[0] if checkpoint else 0,
            "uploaded": self._forwarder.uploaded,
            "anchored": self._mailbox.anchored,
            "copies": [{"name": name, "size": size} for name, size in self._copies.sizes.items()],
            "pruned": self._mailbox.pruned,
            "uplink_error": self._forwarder.last_error,
            "collectors": [
                {"name": h.name, "state": h.state, "restarts": h.restarts, "last_error": h.last_error}
                for h in self._collectors
            ],
            "devices": [
                {
                    "urn": r.urn, "last_seen_ms": r.last_seen_ms, "readings": r.readings, "suspect": r.suspect,
                    "boundaries": r.boundaries, "refused": r.refused, "last_error": r.last_error,
                }
                for r in self._recorders
            ],
            "clock": {"now_ms": self._clock.now_ms(), "step_ms": self.step_ms},
            "started_at_ms": self._started_at_ms,
            "uptime_s": int(time.monotonic() - self._started),
            "counts": {
                **self._counts(),
                "groups": self._committer.groups,
                "batches": self._forwarder.batches,
                "suspect": sum(r.suspect for r in self._recorders),
                "boundaries": sum(r.boundaries for r in self._recorders),
            },
            "notices": self.notices[-20:],
        }  # fmt: skip

    async def checkpoint_note(self) -> str | None:
        """The newest signed checkpoint."""
        _, checkpoint = await _read_log(self._committer.store.path)
        return checkpoint[1] if checkpoint else None


async def _read_log(path: Path) -> tuple[int, tuple[int, str] | None]:
    """Entries held, and size and note of the newest signed checkpoint."""
    import aiosqlite  # not before somebody asks: the start must be quick

    async with aiosqlite.connect(f"{path.as_uri()}?mode=ro", uri=True) as log:
        async with log.execute("SELECT start, length(leaves) FROM block ORDER BY start DESC LIMIT 1") as rows:
            row = await rows.fetchone()
        query = "SELECT size, note FROM checkpoint WHERE note IS NOT NULL ORDER BY size DESC LIMIT 1"
        async with log.execute(query) as rows:
            newest = await rows.fetchone()
    size = 0 if row is None else int(row[0]) + int(row[1]) // HASH_BYTES
    return size, None if newest is None else (int(newest[0]), str(newest[1]))
