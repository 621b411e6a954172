"""The courier: one walk over all hooks, telling each what it was not told yet.

A message counts as told only when the receiver answered 2xx, and only then the hook's position moves: after a crash the
same message is sent again under the same id. One that is refused holds up its own hook alone, which tries again with
growing pauses for as long as it takes.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx
from sqlalchemy import select, text, update

from cloud.chain.intents import insert_new
from cloud.lease import Lease
from cloud.store import Store, tables
from cloud.telemetry import span
from cloud.webhooks.news import SOURCES, News, Source
from cloud.webhooks.settings import Webhook
from cloud.webhooks.signature import headers_of
from contracts.clock import Clock

__all__ = ["Courier"]

_log = logging.getLogger("cloud.webhooks")
_AT_ONCE = 20
_ANSWER_SECONDS = 10.0
_PAUSE_MS_MAX = 3_600_000
_TELL_PEOPLE_AFTER = 5  # failures in a row


class Courier:
    """Brings news to hooks. Of all processes on a store one does, as long as it lives."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        hooks: Sequence[Webhook],
        keys: Mapping[str, bytes],
        real_seconds: Callable[[], float] = time.time,
    ) -> None:
        self._store, self._clock, self._hooks, self._keys = store, clock, hooks, keys
        self._turn = Lease(store, name="webhooks")
        # Receivers refuse what was signed minutes ago by their own clock, so a demo's quick days are not asked.
        self._real_seconds = real_seconds
        self._client = httpx.AsyncClient(timeout=_ANSWER_SECONDS, follow_redirects=False, trust_env=False)

    async def close(self) -> None:
        await self._client.aclose()
        await self._turn.release()

    async def step(self) -> bool:
        """One walk over all hooks; whether anything was told."""
        told = False
        if not self._hooks or not await self._turn.hold():
            return False
        for hook in self._hooks:
            for source in SOURCES:
                told |= await self._tell(hook, source)
        return told

    async def _tell(self, hook: Webhook, source: Source) -> bool:
        cursor = await self._cursor(hook, source)
        if cursor.retry_at_ms > self._real_ms():
            return False
        news = await self._news(source, cursor.position)
        for one in news:
            if not hook.wants(one.kind):
                continue
            refusal = await self._send(hook, one)
            if refusal is not None:
                await self._postpone(hook, source, cursor.failures + 1, refusal)
                return False
            await self._move(hook, source, position=one.position, failures=0, retry_at_ms=0)
        if news and not hook.wants(news[-1].kind):
            await self._move(hook, source, position=news[-1].position)
        return bool(news)

    async def _news(self, source: Source, after: int) -> Sequence[News]:
        """What follows a position, with nothing still to come between."""
        async with self._store.read() as connection:
            news = await source.read(connection, after, _AT_ONCE)
        if not news or source.numbered is None or not self._store.is_postgres:
            return news
        # Numbers are given before transactions end: a smaller one may still be on its way, and would be passed over.
        async with self._store.write(None) as connection:
            await connection.execute(text(f"LOCK TABLE {source.numbered} IN SHARE MODE"))
            return await source.read(connection, after, _AT_ONCE)

    async def _send(self, hook: Webhook, news: News) -> str | None:
        """Try once; what went wrong, or None."""
        body = news.to_json()
        headers = headers_of(
            self._keys[hook.name],
            message_id=news.message_id,
            sent_at_s=self._real_ms() // 1000,
            body=body,
        )
        attributes = {"minglou.webhook": hook.name, "minglou.kind": news.kind}
        with span("webhook", attributes=attributes):
            return await self._post(hook, body, headers)

    async def _post(self, hook: Webhook, body: bytes, headers: Mapping[str, str]) -> str | None:
        try:
            async with (
                asyncio.timeout(_ANSWER_SECONDS),  # of all of it: a header may drip for ever
                self._client.stream("POST", hook.url, content=body, headers=headers) as answer,
            ):
                return None if answer.is_success else f"it answered {answer.status_code}"
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, UnicodeError) as error:
            return f"it did not answer: {type(error).__name__}"

    async def _postpone(self, hook: Webhook, source: Source, failures: int, refusal: str) -> None:
        pause_ms = min(_PAUSE_MS_MAX, 1000 * 2 ** min(failures - 1, 20))
        await self._move(hook, source, failures=failures, retry_at_ms=self._real_ms() + pause_ms)
        _log.warning("cloud: webhook %s: %s; trying again in %d s", hook.name, refusal, pause_ms // 1000)
        if failures == _TELL_PEOPLE_AFTER:
            says = f"webhook {hook.name} was refused {failures} times: {refusal}; nothing is lost, repair the receiver"
            await self._store.notice(says, at_ms=self._clock.now_ms())

    def _real_ms(self) -> int:
        return int(self._real_seconds() * 1000)

    async def _cursor(self, hook: Webhook, source: Source) -> Any:
        """How far this hook was told; a new one begins with what happens from now on."""
        column = tables.webhook_cursors.c
        query = select(tables.webhook_cursors).where(column.hook == hook.name, column.source == source.name)
        async with self._store.read() as connection:
            row = (await connection.execute(query)).one_or_none()
            if row is not None:
                return row
            end = await source.end(connection)
        async with self._store.write() as connection:
            values = {"hook": hook.name, "source": source.name, "position": end, "failures": 0, "retry_at_ms": 0}
            await insert_new(connection, tables.webhook_cursors, values)
            return (await connection.execute(query)).one()

    async def _move(self, hook: Webhook, source: Source, **values: int) -> None:
        column = tables.webhook_cursors.c
        async with self._store.write() as connection:
            await connection.execute(
                update(tables.webhook_cursors)
                .where(column.hook == hook.name, column.source == source.name)
                .values(values)
            )
