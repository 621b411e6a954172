"""Gateways for long loads: their logs, how they send through whatever happens to the cloud, and what came of it."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence

import httpx
from sqlalchemy import select

from cloud.store import Store, tables
from cloud.store.logs import log_number
from contracts.batch import MEDIA_TYPE, encode_batch
from contracts.checkpoint import Checkpoint, sign_checkpoint
from contracts.entry import ENTRY_BYTES
from contracts.tree import Frontier, leaf_hashes
from tests.cloud.gateway import SimulatedGateway

_OPEN_MAX = 2_000  # entries, beyond which it logs no more until some are acknowledged


class LoadGateway:
    """One gateway and what it was told: `acknowledged` entries of its log, which only ever grow at its side."""

    def __init__(
        self, origin: str, seed: int, on_answer: Callable[[LoadGateway, str, float], None] = lambda *_answer: None
    ) -> None:
        """`on_answer` is told who was answered well, from where, and when that request began."""
        self.log = SimulatedGateway(origin=origin, seed=seed)
        self.acknowledged = 0
        self.answers = 0
        self._on_answer = on_answer
        self._rng = random.Random(seed)
        self._frontier = Frontier()
        self._known = 0
        self._next = 0  # where the cloud says that it goes on

    @property
    def origin(self) -> str:
        return self.log.origin

    def leaves(self) -> list[bytes]:
        """Every leaf hash of the log."""
        return leaf_hashes(b"".join(self.log.entries), ENTRY_BYTES)

    async def live(self, urls: Sequence[str], is_over: Callable[[], bool]) -> None:
        """Log and send until it is over, then until everything is acknowledged."""
        async with httpx.AsyncClient(timeout=45, trust_env=False) as client:
            while not is_over() or self.acknowledged < self.log.size:
                if not is_over() and self.log.size - self.acknowledged < _OPEN_MAX:
                    self.log.log_readings(self._rng.randint(1, 30), detailed=False)
                await self._send(client, self._rng.choice(urls))
                await asyncio.sleep(self._rng.uniform(0.1, 0.5))

    async def _send(self, client: httpx.AsyncClient, url: str) -> None:
        """One try. An answer that does not come leaves open what became of the batch: it is sent again, longer."""
        body, begun = self._batch(), time.monotonic()
        headers = {"Content-Type": MEDIA_TYPE, "Authorization": f"Bearer {self.log.token.hex()}"}
        try:
            answer = await client.post(f"{url}/v1/logs/{self.origin}/entries", content=body, headers=headers)
            told = answer.json()
        except (httpx.HTTPError, ValueError):
            return
        if answer.status_code == 200:
            self.acknowledged, self._next = max(self.acknowledged, told["size"]), told["size"]
            self.answers += 1
            self._on_answer(self, url, begun)
        elif answer.status_code == 409 and told["error"] == "gap":
            self._next = told["size"]
        elif answer.status_code not in (429, 503) and told.get("error") != "unknown_gateway":
            raise AssertionError(f"{self.origin}: {answer.status_code} {told}")

    def _batch(self) -> bytes:
        """All that is open. Its checkpoint is that of the whole log, so a long rest goes in one large batch."""
        log = self.log
        self._frontier.extend(leaf_hashes(b"".join(log.entries[self._known :]), ENTRY_BYTES))
        self._known = log.size
        start = min(self._next, log.size - 1)
        checkpoint = Checkpoint(origin=log.origin, size=log.size, root=self._frontier.root())
        return encode_batch(start, sign_checkpoint(checkpoint, log.key), log.entries[start:], log.details[start:])


async def judge_entries(store: Store, gateways: Sequence[LoadGateway]) -> tuple[int, int]:
    """Acknowledged entries that are not where they were signed to be, and leaves that are there twice."""
    lost = doubled = 0
    column = tables.entries.c
    for one in gateways:
        query = select(column.entry_index, column.leaf_hash).where(column.log_id == log_number(one.origin))
        async with store.read() as connection:
            rows = [(int(row.entry_index), bytes(row.leaf_hash)) for row in await connection.execute(query)]
        held, leaves = dict(rows), one.leaves()
        lost += sum(held.get(index) != leaves[index] for index in range(one.acknowledged))
        doubled += len(rows) - len({leaf for _index, leaf in rows})
    return lost, doubled


async def stored_sizes(store: Store, gateways: Sequence[LoadGateway]) -> dict[str, int]:
    """How much of each log is stored, by its origin."""
    logs = tables.logs.c
    query = select(logs.origin, logs.size).where(logs.log_id.in_([log_number(one.origin) for one in gateways]))
    async with store.read() as connection:
        return {row.origin: row.size for row in await connection.execute(query)}
