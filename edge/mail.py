"""Downlink mail: numbered messages from the cloud, each acted on once. The cloud is only the postman.

Nothing in it can change what is logged or how: a block hash becomes a beacon entry, an anchored size lets old rows be
pruned to their hashes once every copy in the settings has signed that it holds them, a revocation stops the signing, a
visit carries its crew's signatures and is judged by what this gateway saw itself. Each at most delays; none can forge.
"""

import asyncio
import logging
import random
import re
from collections.abc import Callable
from typing import Any

from contracts.clock import Clock
from edge.backoff import Backoff
from edge.committer import Committer, Submission
from edge.copies import Copies
from edge.errors import UplinkError
from edge.forwarder import Forwarder
from edge.uplink import Message, Uplink
from edge.visits.desk import VisitDesk
from edge.voice import Voice

_WAIT_SECONDS = 25
_PRUNE_ROWS = 2000
_DECIMAL = re.compile(r"[0-9]{1,18}")
_HASH = re.compile(r"(0x)?[0-9a-f]{64}")
_log = logging.getLogger("edge.mail")


class Mailbox:
    """Fetches and acts; starts once the head is known, for before that the cloud may not know this log."""

    def __init__(
        self, uplink: Uplink, committer: Committer, forwarder: Forwarder, voice: Voice, clock: Clock, chain_id: int,
        rng: random.Random, say: Callable[[str], None], visits: VisitDesk, copies: Copies,
    ) -> None:  # fmt: skip
        self._uplink = uplink
        self._committer = committer
        self._forwarder = forwarder
        self._voice = voice
        self._clock = clock
        self._chain_id = chain_id
        self._say = say
        self._visits = visits
        self._copies = copies
        self._backoff = Backoff(0.5, 60.0, rng)
        self._origin = ""
        self._after = 0
        self._block = 0
        self.anchored = 0
        self.pruned = 0
        self.last_error = ""

    async def run(self) -> None:
        """Fetch until cancelled."""
        while True:
            try:
                if self._origin != self._committer.store.origin:
                    self._start_epoch()
                if self._forwarder.uploaded == 0:
                    await asyncio.sleep(0.1)
                    continue
                for message in await self._uplink.mail(self._origin, self._after, _WAIT_SECONDS):
                    if message.number > self._after:
                        await self._take(message)
                self._backoff.reset()
                self.last_error = ""
            except UplinkError as error:
                self.last_error = str(error)
                await asyncio.sleep(self._backoff.next_seconds())

    def _start_epoch(self) -> None:
        store = self._committer.store
        reader = store.reader()
        self._origin = store.origin
        self._after, self.anchored = reader.number("mail"), reader.number("anchored")
        self._block, self.pruned = reader.number("block"), reader.number("pruned")
        reader.close()
        self._visits.start_epoch(store.origin)
        self._copies.start_epoch(store)

    async def _take(self, message: Message) -> None:
        states, rows = dict[str, bytes](), []
        if message.kind == "block" and (block := _block(message.body, self._chain_id)) and block[0] > self._block:
            self._block = block[0]
            states["block"] = str(block[0]).encode()
            rows.append(self._voice.beacon(self._clock.now_ms(), self._chain_id, *block))
        elif message.kind == "anchored":
            self.anchored = max(self.anchored, _anchored(message.body))
            states["anchored"] = str(self.anchored).encode()
        elif message.kind == "copied":
            states.update(await asyncio.to_thread(self._copies.take, message.body, self._committer.store))
        elif message.kind == "revoked":
            self._revoke()
        elif message.kind == "visit":
            await self._visits.take(message.number, message.body)
        elif message.kind not in ("block", "config"):
            _log.warning("mail %d is of the unknown kind %r; a newer program is needed", message.number, message.kind)
        self._after = message.number
        states["mail"] = self._visits.acknowledged(message.number)
        # The beacon and its number share one transaction, so a restart repeats neither.
        self._committer.submit(Submission(rows, states=states, origin=self._origin))
        await self._prune()

    def _revoke(self) -> None:
        if not self._committer.signer.revoked:
            self._committer.signer.revoked = True
            self._forwarder.state = "revoked"
            self._say("revoked: the Registry no longer knows this key; entries are kept, nothing is signed any more")

    async def _prune(self) -> None:
        """Empty rows that the cloud and every copy hold and the chain has anchored, a few at a time."""
        below = min(self.anchored, self._forwarder.uploaded, *self._copies.sizes.values())
        if self.pruned < below and self._committer.store.origin == self._origin:
            store = self._committer.store
            call = self._committer.call(lambda: store.prune(below - KEPT_ENTRIES, _PRUNE_ROWS))
            self.pruned += await asyncio.wrap_future(call)


KEPT_ENTRIES = 100_000
"""The newest entries stay whole even when anchored: the LAN page shows them, and a cloud may ask for them again."""


def _block(body: dict[str, Any], chain_id: int) -> tuple[int, bytes] | None:
    number, block_hash = str(body.get("number", "")), str(body.get("hash", ""))
    is_formed = _DECIMAL.fullmatch(number) is not None and _HASH.fullmatch(block_hash) is not None
    if str(body.get("chain_id", "")) != str(chain_id) or not is_formed:
        _log.warning("mail: a block message of another chain or form was dropped")
        return None
    digest = bytes.fromhex(block_hash.removeprefix("0x"))
    return (int(number), digest) if any(digest) else None


def _anchored(body: dict[str, Any]) -> int:
    size = str(body.get("size", ""))
    return int(size) if _DECIMAL.fullmatch(size) else 0
