"""Mail to gateways: numbered, idempotent messages. The cloud is only the postman.

What the cloud itself has to say (a finalized block for a beacon, the anchored size, what copies acknowledged, a
revocation) is made when a gateway asks, so that gateways that sleep for weeks cost nothing and wake to the newest of
each, not to a sack of old ones.
"""

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Protocol

from sqlalchemy import delete, insert, select

from cloud.copies.acknowledgements import acknowledgements_of
from cloud.store import Store, log_id_of, tables
from cloud.visits.letters import letters_for, letters_sent
from contracts.clock import Clock
from contracts.mail import MAIL_BYTES_MAX

__all__ = ["Bell", "ChainNews", "FinalBlock", "MailRoom"]

_KEPT_MESSAGES = 100
_AT_ONCE = 50
_BYTES_AT_ONCE = MAIL_BYTES_MAX * 3 // 4  # of bodies, so that the answer stays under what a gateway reads
_VISIT = "visit"
_RECHECK_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalBlock:
    """The newest block that the chain will not take back."""

    chain_id: int
    number: int
    hash: str  # 0x…


class ChainNews(Protocol):
    """What the mail room asks about the followed chain."""

    def final_block(self) -> FinalBlock | None: ...

    def final_super_size(self) -> int:
        """Size of the super-log whose anchor is final; 0 for none."""
        ...

    def revoked_from_block(self, origin: str) -> int | None:
        """The block from which the origin's key is no longer in force; None while one is."""
        ...


class Bell:
    """Rings when something happened that a waiting gateway may want to hear."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def ring(self) -> None:
        self._event.set()
        self._event = asyncio.Event()

    async def wait(self, timeout_seconds: float) -> None:
        """Until the next ring, or the timeout."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._event.wait()
        except TimeoutError:
            return


class MailRoom:
    """Makes, keeps and hands out messages."""

    def __init__(
        self,
        *,
        store: Store,
        news: ChainNews,
        clock: Clock,
        bell: Bell,
        block_seconds: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._news, self._clock, self._bell = store, news, clock, bell
        self._block_seconds = block_seconds
        self._monotonic = monotonic
        self._block_told_at: dict[str, float] = {}
        self._is_closing = False

    def close(self) -> None:
        """Answer everybody who waits: the server is to stop."""
        self._is_closing = True
        self._bell.ring()

    async def fetch(self, origin: str, *, after: int, wait_seconds: float) -> list[dict[str, Any]]:
        """Messages with numbers above `after`, oldest first; waits up to `wait_seconds` (real) for the first one."""
        deadline = self._monotonic() + wait_seconds
        while True:
            await self._make(origin)
            messages = await self._read(origin, after)
            left = deadline - self._monotonic()
            if messages or left <= 0 or self._is_closing:
                return messages
            await self._bell.wait(min(left, _RECHECK_SECONDS, self._until_block(origin)))

    def _until_block(self, origin: str) -> float:
        told = self._block_told_at.get(origin)
        return 0.05 if told is None else max(0.05, told + self._block_seconds - self._monotonic())

    async def post(self, origin: str, kind: str, body: dict[str, Any]) -> None:
        """Leave one message for a gateway whose log is held."""
        async with self._store.write() as connection:
            log_id = await log_id_of(connection, origin)
            if log_id is not None:
                await self._append(connection, log_id, [(kind, body)])
        self._bell.ring()

    async def _make(self, origin: str) -> None:
        """Turn what is new since this gateway's last message into messages."""
        async with self._store.read() as connection:
            log_id = await log_id_of(connection, origin)
            if log_id is None:
                return
            news = await self._news_for(connection, origin, log_id)
            letters = await letters_for(connection, origin, log_id, self._clock.now_ms())
        if not news and not letters:
            return
        async with self._store.write() as connection:
            # Asked again under the writer's lock: two requests of one gateway must not say the same thing twice.
            news = await self._news_for(connection, origin, log_id)
            letters = await letters_for(connection, origin, log_id, self._clock.now_ms())
            messages = [(_VISIT, letter.body) for letter in letters] + news
            first = await self._append(connection, log_id, messages)
            await letters_sent(connection, letters, log_id, first)
        if any(kind == "block" for kind, _body in news):
            self._block_told_at[origin] = self._monotonic()

    async def _news_for(self, connection: Any, origin: str, log_id: int) -> list[tuple[str, dict[str, Any]]]:
        told = await _last_bodies(connection, log_id)
        news: list[tuple[str, dict[str, Any]]] = []
        anchored = await _anchored_size(connection, log_id, self._news.final_super_size())
        if anchored > int(told.get("anchored", {}).get("size", "0")):
            news.append(("anchored", {"size": str(anchored)}))
        copied = [("copied", one.body()) for one in await acknowledgements_of(connection, log_id)]
        news.extend((kind, body) for kind, body in copied if told.get(_told_key(kind, body)) != body)
        block = self._news.final_block()
        rested = self._monotonic() - self._block_told_at.get(origin, -1e9) >= self._block_seconds
        revoked = self._news.revoked_from_block(origin)
        # A revoked gateway needs no beacons: its last messages stay what it should read.
        told_number = int(told.get("block", {}).get("number", "-1"))
        if block is not None and revoked is None and rested and told_number != block.number:
            news.append(("block", {"chain_id": str(block.chain_id), "number": str(block.number), "hash": block.hash}))
        if revoked is not None and "revoked" not in told:
            news.append(("revoked", {"origin": origin, "from_block": str(revoked)}))
        return news

    async def _append(self, connection: Any, log_id: int, news: list[tuple[str, dict[str, Any]]]) -> int:
        """Number and keep messages, and let old ones go, visits excepted; the first one's number."""
        column = tables.mail.c
        query = select(column.number).where(column.log_id == log_id).order_by(column.number.desc()).limit(1)
        last = (await connection.execute(query)).scalar_one_or_none() or 0
        now_ms = self._clock.now_ms()
        for number, (kind, body) in enumerate(news, last + 1):
            await connection.execute(
                insert(tables.mail).values(
                    log_id=log_id, number=number, kind=kind, body=json.dumps(body), created_at_ms=now_ms
                )
            )
        await connection.execute(
            delete(tables.mail).where(
                column.log_id == log_id, column.number <= last + len(news) - _KEPT_MESSAGES, column.kind != _VISIT
            )
        )
        return int(last) + 1

    async def _read(self, origin: str, after: int) -> list[dict[str, Any]]:
        column = tables.mail.c
        query = select(column.number, column.kind, column.body).order_by(column.number).limit(_AT_ONCE)
        async with self._store.read() as connection:
            log_id = await log_id_of(connection, origin)
            found = (await connection.execute(query.where(column.log_id == log_id, column.number > after))).all()
        so_far = accumulate(len(row.body) for row in found)
        return [
            {"number": row.number, "kind": row.kind, "body": json.loads(row.body), "signature": None}
            for place, (row, length) in enumerate(zip(found, so_far, strict=True))
            if not place or length <= _BYTES_AT_ONCE
        ]


async def _last_bodies(connection: Any, log_id: int) -> dict[str, dict[str, Any]]:
    """The last message of each kind, of acknowledgements that of each copy."""
    column = tables.mail.c
    query = select(column.kind, column.body).where(column.log_id == log_id).order_by(column.number)
    messages = [(row.kind, json.loads(row.body)) for row in await connection.execute(query)]
    return {_told_key(kind, body): body for kind, body in messages}


def _told_key(kind: str, body: dict[str, Any]) -> str:
    return f"copied {body['copy']}" if kind == "copied" else kind


async def _anchored_size(connection: Any, log_id: int, super_size: int) -> int:
    """The largest checkpoint of this log below the given size of the super-log."""
    column = tables.checkpoints.c
    query = (
        select(column.size)
        .where(column.log_id == log_id, column.super_index < super_size)
        .order_by(column.size.desc())
        .limit(1)
    )
    return int((await connection.execute(query)).scalar_one_or_none() or 0)
