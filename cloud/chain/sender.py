"""The outbox's one writer: turns intents into transactions, and transactions into finality.

Every step may be the last before a crash. The signed bytes are stored before they are broadcast; a nonce is given up
only when the chain shows that another transaction used it, otherwise it is replaced; before each new attempt the
contract is asked whether the wish is already true. So whatever is killed, a wish is neither lost nor paid for twice.
"""

import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.chain.client import CallReverted, ChainClient, Receipt, SigningKey
from cloud.chain.fees import FeeCapReached, Fees, first_fees, replacement_fees
from cloud.store import Store, tables
from contracts.clock import Clock

__all__ = ["AlreadyDone", "Builder", "NotYet", "Sender", "SenderLimits", "Transaction"]

_log = logging.getLogger("cloud.chain")


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """What an intent asks to be sent."""

    to: str
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class AlreadyDone:
    """The chain says that what the intent wants is so already."""

    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotYet:
    """The intent must wait for something; nothing is wrong."""

    says: str


Builder = Callable[[Mapping[str, Any]], Awaitable[Transaction | AlreadyDone | NotYet]]
"""Asks the chain whether an intent is done and otherwise builds its transaction, from the intent's parameters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderLimits:
    """Real seconds; fees in wei per gas."""

    chain_id: int
    fee_cap_wei: int
    priority_fee_wei: int
    stuck_seconds: float
    in_flight_max: int = 8
    retry_seconds: float = 2.0
    failures_max: int = 12
    gas_headroom_percent: int = 25


@dataclass(slots=True)
class _Attempt:
    attempt_id: int
    intent_id: int
    nonce: int
    transaction_hash: str
    raw: bytes
    fees: Fees
    state: str
    block_number: int | None


class Sender:
    """One account's outbox. Only one process may run it for an account."""

    def __init__(
        self,
        *,
        store: Store,
        client: ChainClient,
        key: SigningKey,
        clock: Clock,
        limits: SenderLimits,
        builders: Mapping[str, Builder],
        final_number: Callable[[], int],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._client, self._key, self._clock, self._limits = store, client, key, clock, limits
        self._builders = builders
        self._final_number = final_number
        self._monotonic = monotonic
        self._sent_at: dict[int, float] = {}  # attempt id -> when this process last broadcast it
        self._retry_at: dict[int, float] = {}  # intent id -> when to try again

    @property
    def address(self) -> str:
        return self._key.address

    async def step(self) -> bool:
        """Look after every open attempt, then start new ones; whether anything was sent or settled."""
        changed = False
        chain_nonce = await self._client.nonce(self.address)
        for attempt in await self._open_attempts():
            changed |= await self._look_after(attempt, chain_nonce)
        await self._finish_done()
        chain_nonce = await self._client.nonce(self.address)
        for intent in await self._pending():
            changed |= await self._attempt(intent, chain_nonce)
        return changed

    # -- open attempts ----------------------------------------------------------------------------------------------

    async def _open_attempts(self) -> list[_Attempt]:
        column = tables.attempts.c
        query = select(tables.attempts).where(column.state.in_(("signed", "mined"))).order_by(column.nonce)
        async with self._store.read() as connection:
            return [_attempt_of(row) for row in await connection.execute(query)]

    async def _look_after(self, attempt: _Attempt, chain_nonce: int) -> bool:
        receipt = await self._client.receipt(attempt.transaction_hash)
        if receipt is not None:
            return await self._settle(attempt, receipt)
        if attempt.state == "mined":
            await self._unmine(attempt)
        if attempt.nonce < chain_nonce:
            return await self._give_up_if_used(attempt)
        waited = self._monotonic() - self._sent_at.get(attempt.attempt_id, -1e9)
        if attempt.attempt_id in self._sent_at and waited < self._limits.stuck_seconds:
            return False
        if attempt.attempt_id not in self._sent_at or not await self._client.knows(attempt.transaction_hash):
            await self._broadcast(attempt.attempt_id, attempt.raw)  # lost by the node, or we were killed before sending
            return True
        return await self._replace(attempt)

    async def _settle(self, attempt: _Attempt, receipt: Receipt) -> bool:
        """Note where the transaction stands; final only when its block is."""
        is_final = receipt.block_number <= self._final_number()
        if attempt.state == "mined" and attempt.block_number == receipt.block_number and not is_final:
            return False
        state = "reverted" if not receipt.succeeded else "final" if is_final else "mined"
        placed = {"block_number": receipt.block_number, "block_hash": receipt.block_hash, "gas_used": receipt.gas_used}
        async with self._store.write() as connection:
            await self._set_attempt(connection, attempt.attempt_id, state, **placed)
            await self._retire_siblings(connection, attempt)
            if receipt.succeeded:
                await self._set_intent(connection, attempt.intent_id, state, block_number=receipt.block_number)
            else:
                await self._fail(connection, attempt.intent_id, "the transaction was reverted on chain")
        return True

    async def _unmine(self, attempt: _Attempt) -> None:
        """A reorganisation took the block back: the transaction waits again."""
        async with self._store.write() as connection:
            await self._set_attempt(connection, attempt.attempt_id, "signed", block_number=None, block_hash=None)
            await self._set_intent(connection, attempt.intent_id, "sent", block_number=None)
        self._sent_at.pop(attempt.attempt_id, None)

    async def _give_up_if_used(self, attempt: _Attempt) -> bool:
        """The nonce is in a block. If one of ours under it is, that one settles; otherwise the wish is open again."""
        column = tables.attempts.c
        query = select(tables.attempts).where(column.nonce == attempt.nonce, column.attempt_id != attempt.attempt_id)
        async with self._store.read() as connection:
            siblings = [_attempt_of(row) for row in await connection.execute(query)]
        for sibling in siblings:
            receipt = await self._client.receipt(sibling.transaction_hash)
            if receipt is not None and sibling.intent_id == attempt.intent_id:
                return await self._settle(sibling, receipt)  # the one we meant to replace came through after all
        async with self._store.write() as connection:
            await self._set_attempt(connection, attempt.attempt_id, "lost", block_number=None, block_hash=None)
            await self._set_intent(
                connection, attempt.intent_id, "pending", says="its nonce was used by another transaction"
            )
        return True

    async def _replace(self, attempt: _Attempt) -> bool:
        """The node has it and does not include it: offer more under the same nonce."""
        base_fee = (await self._client.latest()).base_fee_wei or 0
        limits = self._limits
        try:
            fees = replacement_fees(attempt.fees, base_fee, priority=limits.priority_fee_wei, cap=limits.fee_cap_wei)
        except FeeCapReached as reached:
            self._sent_at[attempt.attempt_id] = self._monotonic()
            await self._store.notice(
                f"transaction {attempt.transaction_hash} is stuck: {reached}", at_ms=self._clock.now_ms()
            )
            return False
        self._sent_at[attempt.attempt_id] = self._monotonic()
        try:
            built = await self._build(await self._intent(attempt.intent_id))
            if isinstance(built, Transaction):
                await self._sign_and_send(attempt.intent_id, built, attempt.nonce, fees, replaced=attempt.attempt_id)
                return True
        except CallReverted as reverted:
            _log.warning("cloud: replacing %s: the contract says: %s", attempt.transaction_hash, reverted)
        return False  # done by someone else: this one will come through as a no-op, or be reverted, and free its nonce

    # -- new attempts -----------------------------------------------------------------------------------------------

    async def _pending(self) -> list[Any]:
        column = tables.intents.c
        async with self._store.read() as connection:
            open_count = (
                await connection.execute(
                    select(func.count()).select_from(tables.attempts).where(tables.attempts.c.state == "signed")
                )
            ).scalar_one()
            room = max(0, self._limits.in_flight_max - int(open_count))
            query = select(tables.intents).where(column.state == "pending").order_by(column.intent_id).limit(64)
            rows = list(await connection.execute(query)) if room else []
        now = self._monotonic()
        return [row for row in rows if self._retry_at.get(row.intent_id, 0.0) <= now][:room]

    async def _attempt(self, intent: Any, chain_nonce: int) -> bool:
        try:
            built = await self._build(intent)
            if isinstance(built, NotYet):
                self._retry_at[intent.intent_id] = self._monotonic() + self._limits.retry_seconds
                return False
            if isinstance(built, AlreadyDone):
                head = await self._client.latest()
                async with self._store.write() as connection:
                    await self._set_intent(
                        connection, intent.intent_id, "done", says=built.says, block_number=head.number
                    )
                return True
            base_fee = (await self._client.latest()).base_fee_wei or 0
            fees = first_fees(base_fee, priority=self._limits.priority_fee_wei, cap=self._limits.fee_cap_wei)
            nonce = await self._free_nonce(chain_nonce)
            await self._sign_and_send(intent.intent_id, built, nonce, fees, replaced=None)
        except CallReverted as reverted:
            self._retry_at[intent.intent_id] = self._monotonic() + self._limits.retry_seconds
            _log.warning("cloud: %s: the contract says: %s", intent.business_key, reverted)
            async with self._store.write() as connection:
                await self._fail(connection, intent.intent_id, str(reverted))
        return True

    async def _build(self, intent: Any) -> Transaction | AlreadyDone | NotYet:
        return await self._builders[intent.kind](json.loads(intent.params))

    async def _free_nonce(self, chain_nonce: int) -> int:
        """The lowest nonce at or above the chain's that none of our open attempts holds: gaps are filled, not
        jumped.
        """
        column = tables.attempts.c
        query = select(column.nonce).where(column.state.in_(("signed", "mined")), column.nonce >= chain_nonce)
        async with self._store.read() as connection:
            taken = set((await connection.execute(query)).scalars())
        nonce = chain_nonce
        while nonce in taken:
            nonce += 1
        return nonce

    async def _sign_and_send(
        self, intent_id: int, built: Transaction, nonce: int, fees: Fees, *, replaced: int | None
    ) -> None:
        gas = await self._client.estimate_gas(built.to, built.data, sender=self.address)
        raw, transaction_hash = self._key.sign(
            {
                "type": 2,
                "chainId": self._limits.chain_id,
                "nonce": nonce,
                "to": built.to,
                "value": 0,
                "data": "0x" + built.data.hex(),
                "gas": gas + gas * self._limits.gas_headroom_percent // 100,
                "maxFeePerGas": fees.max_fee,
                "maxPriorityFeePerGas": fees.priority,
            }
        )
        values = {
            "intent_id": intent_id,
            "nonce": nonce,
            "transaction_hash": transaction_hash,
            "raw": raw,
            "max_fee_wei": str(fees.max_fee),
            "priority_fee_wei": str(fees.priority),
            "state": "signed",
            "signed_at_ms": self._clock.now_ms(),
        }
        async with self._store.write() as connection:
            if replaced is not None:
                await self._set_attempt(connection, replaced, "replaced")
            attempt_id = await self._keep_attempt(connection, values)
            await self._set_intent(connection, intent_id, "sent")
        await self._broadcast(attempt_id, raw)

    async def _keep_attempt(self, connection: AsyncConnection, values: dict[str, Any]) -> int:
        """Store an attempt. After a chain was lost, the same wish under the same nonce can be the same bytes again."""
        column = tables.attempts.c
        query = select(column.attempt_id).where(column.transaction_hash == values["transaction_hash"])
        same = (await connection.execute(query)).scalar_one_or_none()
        if same is not None:
            await self._set_attempt(connection, same, "signed", block_number=None, block_hash=None)
            return int(same)
        kept = await connection.execute(insert(tables.attempts).values(values))
        assert kept.inserted_primary_key is not None, "one row was inserted"
        return int(kept.inserted_primary_key[0])

    async def _broadcast(self, attempt_id: int, raw: bytes) -> None:
        self._sent_at[attempt_id] = self._monotonic()
        for refusal in await self._client.broadcast(raw):
            # "already known" and "nonce too low" are no failures: the next step reads what became of the nonce.
            _log.debug("cloud: broadcast: %s", refusal)

    # -- rows -------------------------------------------------------------------------------------------------------

    async def _intent(self, intent_id: int) -> Any:
        async with self._store.read() as connection:
            return (
                await connection.execute(select(tables.intents).where(tables.intents.c.intent_id == intent_id))
            ).one()

    async def _finish_done(self) -> None:
        """Ask again about what the contract called done, once the block in which it said so is final."""
        column = tables.intents.c
        query = select(tables.intents).where(column.state == "done", column.block_number <= self._final_number())
        async with self._store.read() as connection:
            rows = list(await connection.execute(query.limit(32)))
        for row in rows:
            try:
                still = isinstance(await self._build(row), AlreadyDone)
            except CallReverted:
                still = False
            async with self._store.write() as connection:
                await self._set_intent(connection, row.intent_id, "final" if still else "pending")

    async def _fail(self, connection: AsyncConnection, intent_id: int, says: str) -> None:
        """Count a refusal by the contract; after the last one the intent is left for a person."""
        column = tables.intents.c
        failures = (
            await connection.execute(select(column.failures).where(column.intent_id == intent_id))
        ).scalar_one() + 1
        state = "refused" if failures >= self._limits.failures_max else "pending"
        await self._set_intent(connection, intent_id, state, says=says, failures=failures, block_number=None)

    async def _set_intent(self, connection: AsyncConnection, intent_id: int, state: str, **values: Any) -> None:
        values["changed_at_ms"] = self._clock.now_ms()
        await connection.execute(
            update(tables.intents).where(tables.intents.c.intent_id == intent_id).values(state=state, **values)
        )

    async def _set_attempt(self, connection: AsyncConnection, attempt_id: int, state: str, **values: Any) -> None:
        await connection.execute(
            update(tables.attempts).where(tables.attempts.c.attempt_id == attempt_id).values(state=state, **values)
        )

    async def _retire_siblings(self, connection: AsyncConnection, attempt: _Attempt) -> None:
        column = tables.attempts.c
        await connection.execute(
            update(tables.attempts)
            .where(column.nonce == attempt.nonce, column.attempt_id != attempt.attempt_id, column.state == "signed")
            .values(state="replaced")
        )


def _attempt_of(row: Any) -> _Attempt:
    return _Attempt(
        attempt_id=row.attempt_id,
        intent_id=row.intent_id,
        nonce=row.nonce,
        transaction_hash=row.transaction_hash,
        raw=row.raw,
        fees=Fees(max_fee=int(row.max_fee_wei), priority=int(row.priority_fee_wei)),
        state=row.state,
        block_number=row.block_number,
    )
