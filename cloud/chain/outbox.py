"""The outbox as rows: intents, and the attempts to fulfil them, grouped by the nonce that they compete for.

Attempts: `signed` (may be included any moment) -> `mined` or, where the contract reverted it, `failed` -> `final` or
`reverted`. `replaced`: another attempt under its nonce offers more, and still this one may win. `lost`: a transaction
that is not ours has used the nonce for good. Every write is fenced by the sender's lease.
"""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.chain.answers import Receipt
from cloud.chain.fees import Fees
from cloud.store import Store, tables
from contracts.clock import Clock

__all__ = ["Attempt", "Fence", "Intent", "Outbox", "Purpose", "Slot"]

Purpose = Literal["act", "cancel"]
"""`cancel`: a transfer of nothing to ourselves, which frees a nonce whose act is no longer wanted."""
_OPEN = ("signed", "mined", "failed")
_PENDING_MAX = 64


class Fence(Protocol):
    """What lets a write pass only while this process is the one that sends."""

    async def fence(self, connection: AsyncConnection) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """One wish."""

    intent_id: int
    business_key: str
    kind: str
    params: dict[str, Any]
    failures: int = 0  # how often a contract refused it, as far as that was counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One signed transaction."""

    attempt_id: int
    intent_id: int
    purpose: Purpose
    transaction_hash: str
    raw: bytes
    fees: Fees
    state: str
    block_number: int | None
    block_hash: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """All attempts under one nonce of one account, oldest first; at most one of them can ever succeed."""

    account: str
    nonce: int
    attempts: Sequence[Attempt]

    @property
    def newest(self) -> Attempt:
        """The one that offers most."""
        return self.attempts[-1]

    @property
    def mined(self) -> Attempt | None:
        """The one that is in a followed block."""
        return next((attempt for attempt in self.attempts if attempt.state in ("mined", "failed")), None)


class Outbox:
    """Reads and writes of the outbox's rows."""

    def __init__(self, store: Store, clock: Clock, fence: Fence) -> None:
        self._store, self._clock, self._fence = store, clock, fence

    @asynccontextmanager
    async def _write(self) -> AsyncIterator[AsyncConnection]:
        async with self._store.write() as connection:
            await self._fence.fence(connection)
            yield connection

    # -- reading ----------------------------------------------------------------------------------------------------

    async def slots(self) -> list[Slot]:
        """Nonces that are not settled for good, lowest first."""
        column = tables.attempts.c
        is_open = select(column.account, column.nonce).where(column.state.in_(_OPEN)).distinct().subquery()
        query = (
            select(tables.attempts)
            .join(is_open, (is_open.c.account == column.account) & (is_open.c.nonce == column.nonce))
            .where(column.state.in_((*_OPEN, "replaced")))
            .order_by(column.account, column.nonce, column.attempt_id)
        )
        grouped: dict[tuple[str, int], list[Attempt]] = {}
        async with self._store.read() as connection:
            for row in await connection.execute(query):
                grouped.setdefault((row.account, row.nonce), []).append(_attempt_of(row))
        return [Slot(account=account, nonce=nonce, attempts=rows) for (account, nonce), rows in grouped.items()]

    async def pending(self, *, after: int = 0) -> list[Intent]:
        """The oldest wishes that nothing was sent for, of those with larger numbers than `after`; at most 64."""
        column = tables.intents.c
        waiting = (column.state == "pending") & (column.intent_id > after)
        query = select(tables.intents).where(waiting).order_by(column.intent_id).limit(_PENDING_MAX)
        async with self._store.read() as connection:
            return [_intent_of(row) for row in await connection.execute(query)]

    async def intent(self, intent_id: int) -> Intent:
        """One wish."""
        query = select(tables.intents).where(tables.intents.c.intent_id == intent_id)
        async with self._store.read() as connection:
            return _intent_of((await connection.execute(query)).one())

    async def adopt(self, account: str) -> None:
        """Attempts from before accounts were kept are this one's."""
        column = tables.attempts.c
        async with self._write() as connection:
            await connection.execute(update(tables.attempts).where(column.account == "").values(account=account))

    # -- writing ----------------------------------------------------------------------------------------------------

    async def sign_in(
        self, intent_id: int, *, account: str, nonce: int, purpose: Purpose, signed: tuple[bytes, str], fees: Fees
    ) -> int:
        """Keep a signed transaction, before anybody else sees it; its attempt id. What it replaces may still win."""
        raw, transaction_hash = signed
        values = {
            "intent_id": intent_id,
            "account": account,
            "nonce": nonce,
            "purpose": purpose,
            "transaction_hash": transaction_hash,
            "raw": raw,
            "max_fee_wei": str(fees.max_fee),
            "priority_fee_wei": str(fees.priority),
            "is_legacy": int(fees.is_legacy),
            "state": "signed",
            "signed_at_ms": self._clock.now_ms(),
            "block_number": None,
            "block_hash": None,
        }
        column = tables.attempts.c
        async with self._write() as connection:
            await connection.execute(
                update(tables.attempts)
                .where(column.account == account, column.nonce == nonce, column.state == "signed")
                .values(state="replaced")
            )
            # After a chain was lost, the same wish under the same nonce can be the same bytes again.
            same = select(column.attempt_id).where(column.transaction_hash == transaction_hash)
            attempt_id = (await connection.execute(same)).scalar_one_or_none()
            if attempt_id is None:
                kept = await connection.execute(insert(tables.attempts).values(values))
                assert kept.inserted_primary_key is not None, "one row was inserted"
                attempt_id = kept.inserted_primary_key[0]
            else:
                await connection.execute(
                    update(tables.attempts).where(column.attempt_id == attempt_id).values(**values)
                )
            await self._set_intent(connection, intent_id, "sent")
        return int(attempt_id)

    async def call_done(self, intent: Intent, says: str, followed: tuple[int, str]) -> bool:
        """The chain, as of this followed block, calls the wish done; whether the block is still followed."""
        async with self._write() as connection:
            if not await _is_followed(connection, *followed):
                return False
            await self._set_intent(connection, intent.intent_id, "done", says=says, block_number=followed[0])
        return True

    async def settle_done(self, final_number: int) -> bool:
        """Wishes that a block which is final now called done; whether there were any. (The follower reopens those
        whose block was taken back.)
        """
        column = tables.intents.c
        due = (column.state == "done") & (column.block_number <= final_number)
        async with self._store.read() as connection:
            if not (await connection.execute(select(func.count()).where(due))).scalar_one():
                return False
        async with self._write() as connection:
            await connection.execute(
                update(tables.intents).where(due).values(state="final", changed_at_ms=self._clock.now_ms())
            )
        return True

    async def is_followed(self, number: int | None, block_hash: str | None) -> bool:
        """Whether this block is one of those followed."""
        async with self._store.read() as connection:
            return await _is_followed(connection, number, block_hash)

    async def mine(self, slot: Slot, attempt: Attempt, receipt: Receipt) -> Attempt | None:
        """One attempt of the slot is in a block: as it stands then, or None where that block is not followed."""
        placed: dict[str, Any] = {"block_number": receipt.block_number, "block_hash": receipt.block_hash}
        async with self._write() as connection:
            if not await _is_followed(connection, receipt.block_number, receipt.block_hash):
                return None
            await self._set_all(connection, slot, "replaced")
            state = "mined" if receipt.succeeded else "failed"
            await self._set_attempt(connection, attempt, state, **placed, gas_used=receipt.gas_used)
            if attempt.purpose == "act" and receipt.succeeded:
                await self._set_intent(connection, attempt.intent_id, "mined", block_number=receipt.block_number)
            else:
                says = "it was reverted on chain" if attempt.purpose == "act" else "its transaction was cancelled"
                await self._set_intent(
                    connection, attempt.intent_id, "sent", says=f"{says}; the wish opens again once that is final"
                )
        return replace(attempt, state=state, **placed)

    async def unmine(self, slot: Slot) -> None:
        """A reorganisation took the block back: all attempts compete again, the newest is the one to be sent."""
        async with self._write() as connection:
            await self._set_all(connection, slot, "replaced")
            await self._set_attempt(connection, slot.newest, "signed")
            await self._set_intent(connection, slot.newest.intent_id, "sent", block_number=None)

    async def settle(self, slot: Slot, attempt: Attempt, *, failures_max: int | None) -> bool:
        """The mined attempt's block is final; whether it still is the one that is followed.

        `failures_max`: after so many refusals a wish is left for a person; None where they are not counted now.
        """
        async with self._write() as connection:
            if not await _is_followed(connection, attempt.block_number, attempt.block_hash):
                return False
            if attempt.purpose == "cancel":
                await self._set_attempt(connection, attempt, "final", keep_block=True)
                await self._set_intent(connection, attempt.intent_id, "pending", block_number=None)
            elif attempt.state == "mined":
                await self._set_attempt(connection, attempt, "final", keep_block=True)
                await self._set_intent(connection, attempt.intent_id, "final")
            else:
                await self._set_attempt(connection, attempt, "reverted", keep_block=True)
                await self._fail(connection, attempt.intent_id, "it was reverted on chain", failures_max)
        return True

    async def lose(self, slot: Slot) -> None:
        """Another transaction has used the nonce, and its block is final: none of ours can ever be included."""
        async with self._write() as connection:
            await self._set_all(connection, slot, "lost")
            await self._set_intent(
                connection,
                slot.newest.intent_id,
                "pending",
                says="its nonce was used by another transaction",
                block_number=None,
            )

    async def refuse(self, intent: Intent, says: str, *, failures_max: int | None) -> None:
        """The contract would refuse it now."""
        async with self._write() as connection:
            await self._fail(connection, intent.intent_id, says, failures_max)

    # -- rows -------------------------------------------------------------------------------------------------------

    async def _fail(self, connection: AsyncConnection, intent_id: int, says: str, failures_max: int | None) -> None:
        column = tables.intents.c
        found = await connection.execute(select(column.failures).where(column.intent_id == intent_id))
        failures = int(found.scalar_one()) + (failures_max is not None)
        state = "refused" if failures_max is not None and failures >= failures_max else "pending"
        await self._set_intent(connection, intent_id, state, says=says, failures=failures, block_number=None)

    async def _set_intent(self, connection: AsyncConnection, intent_id: int, state: str, **values: Any) -> None:
        values["changed_at_ms"] = self._clock.now_ms()
        await connection.execute(
            update(tables.intents).where(tables.intents.c.intent_id == intent_id).values(state=state, **values)
        )

    async def _set_all(self, connection: AsyncConnection, slot: Slot, state: str) -> None:
        identities = [attempt.attempt_id for attempt in slot.attempts]
        await connection.execute(
            update(tables.attempts)
            .where(tables.attempts.c.attempt_id.in_(identities))
            .values(state=state, block_number=None, block_hash=None)
        )

    async def _set_attempt(
        self, connection: AsyncConnection, attempt: Attempt, state: str, *, keep_block: bool = False, **values: Any
    ) -> None:
        if not keep_block:
            values = {"block_number": None, "block_hash": None, **values}
        await connection.execute(
            update(tables.attempts)
            .where(tables.attempts.c.attempt_id == attempt.attempt_id)
            .values(state=state, **values)
        )


async def _is_followed(connection: AsyncConnection, number: int | None, block_hash: str | None) -> bool:
    column = tables.chain_blocks.c
    query = select(func.count()).where(column.number == number, column.hash == block_hash)
    return bool((await connection.execute(query)).scalar_one())


def _attempt_of(row: Any) -> Attempt:
    return Attempt(
        attempt_id=row.attempt_id,
        intent_id=row.intent_id,
        purpose=row.purpose,
        transaction_hash=row.transaction_hash,
        raw=row.raw,
        fees=Fees(max_fee=int(row.max_fee_wei), priority=int(row.priority_fee_wei), is_legacy=bool(row.is_legacy)),
        state=row.state,
        block_number=row.block_number,
        block_hash=row.block_hash,
    )


def _intent_of(row: Any) -> Intent:
    return Intent(
        intent_id=row.intent_id,
        business_key=row.business_key,
        kind=row.kind,
        params=json.loads(row.params),
        failures=row.failures,
    )
