"""The outbox's one writer: turns intents into transactions, and transactions into finality.

Every step may be the last before a crash. What makes a wish come true once and never twice, whatever the contract:

- the signed bytes are stored, under the sender's lease, before they are broadcast;
- a wish has one nonce at a time. All its transactions compete for that nonce, so at most one can ever be included;
- the nonce is given up only when a *final* block shows it used: by ours, by a reverted one of ours, or by a stranger's;
- everything is read at the followed block, which a quorum of endpoints has, so that no node's delay looks like a loss.
"""

import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from cloud.chain.breaker import Breaker, Cause, cause_of
from cloud.chain.client import CallReverted, ChainClient, SigningKey
from cloud.chain.fees import Asked, FeeCapReached, Fees, first_fees, replacement_fees
from cloud.chain.intents import add_intent
from cloud.chain.outbox import Attempt, Intent, Outbox, Purpose, Slot
from cloud.chain.queue import Queue
from cloud.errors import ChainError
from cloud.lease import Lease, LeaseLost
from cloud.store import Store
from cloud.telemetry import span
from contracts.clock import Clock

__all__ = ["AlreadyDone", "Builder", "ChainPlace", "NotYet", "Sender", "SenderLimits", "Transaction"]

_log = logging.getLogger("cloud.chain")
_GAP = "gap"
_REFUSED_IN_A_ROW_MAX = 5
_UNSEEN_MAX = 2
_STOPPED = (Cause.UNREACHABLE, Cause.DISAGREEMENT, Cause.FINALITY)


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


Built = Transaction | AlreadyDone | NotYet
Builder = Callable[[Mapping[str, Any]], Awaitable[Built]]
"""Asks the followed chain whether an intent is done, otherwise builds its transaction, from the intent's parameters."""


class ChainPlace(Protocol):
    """How far the chain is followed: numbers and hashes of blocks. The follower."""

    @property
    def followed(self) -> tuple[int, str]: ...

    @property
    def final(self) -> tuple[int, str]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderLimits:
    """Real seconds; fees in wei per gas."""

    chain_id: int
    fee_cap_wei: int
    priority_fee_wei: int
    stuck_seconds: float
    legacy: bool = False  # gas price in place of EIP-1559, also where the chain has a base fee
    in_flight_max: int = 8
    retry_seconds: float = 2.0
    failures_max: int = 12
    gas_headroom_percent: int = 25


class Sender:
    """One account's outbox. Any number of processes may run it; the lease lets one of them work."""

    def __init__(
        self,
        *,
        store: Store,
        client: ChainClient,
        key: SigningKey,
        clock: Clock,
        limits: SenderLimits,
        builders: Mapping[str, Builder],
        place: ChainPlace,
        lease: Lease,
        breaker: Breaker,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._client, self._key, self._clock, self._limits = store, client, key, clock, limits
        self._builders = {**builders, _GAP: self._fill}
        self._place, self._lease, self._breaker = place, lease, breaker
        self._outbox = Outbox(store, clock, lease)
        self._monotonic = monotonic
        self._sent_at: dict[int, float] = {}  # attempt id -> when this process last broadcast it
        self._unseen: dict[int, int] = {}  # attempt id -> how often the nodes did not know it any more
        self._queue = Queue(self._outbox, retry_seconds=limits.retry_seconds, monotonic=monotonic)
        self._probe_at = 0.0
        self._needed_wei = 0
        self._has_adopted = False

    @property
    def address(self) -> str:
        """The account that pays, in lower case."""
        return self._key.address.lower()

    @property
    def is_holder(self) -> bool:
        """Whether this process is the one that sends."""
        return self._lease.term is not None

    async def step(self) -> bool:
        """Look after every open nonce, then start new ones; whether anything was sent or settled.

        Raises:
            ChainError: the chain cannot be asked now; the next step begins anew.
        """
        if not await self._lease.hold() or self._place.followed[0] < 0:
            return False
        try:
            with span("outbox.step"):
                changed = await self._step()
        except LeaseLost:
            return False
        except ChainError as error:
            cause = cause_of(error)
            if cause is not None:
                await self._breaker.trouble(cause, str(error))
            raise
        await self._breaker.gone(Cause.UNREACHABLE, Cause.DISAGREEMENT)
        return changed

    async def _step(self) -> bool:
        if not self._has_adopted:
            await self._outbox.adopt(self.address)
            self._has_adopted = True
        followed = self._place.followed[0]
        nonces = {self.address: await self._client.nonce(self.address, at=followed)}
        changed = await self._outbox.settle_done(self._place.final[0])
        slots = await self._outbox.slots()
        self._forget_settled(slots)
        for slot in slots:
            if slot.account not in nonces:  # an earlier key's transactions are still looked after, not replaced
                nonces[slot.account] = await self._client.nonce(slot.account, at=followed)
            changed |= await self._look_after(slot, nonces[slot.account])
        if not self._is_stopped():
            await self._look_again(nonces[self.address])
            changed |= await self._start_new(nonces[self.address])
        return changed

    def _forget_settled(self, slots: Sequence[Slot]) -> None:
        """What was noted of attempts whose nonces are settled is of no use any more."""
        of_open = {attempt.attempt_id for slot in slots for attempt in slot.attempts}
        self._sent_at = {one: at for one, at in self._sent_at.items() if one in of_open}
        self._unseen = {one: times for one, times in self._unseen.items() if one in of_open}

    def _is_stopped(self) -> bool:
        """Whether the follower has lost its footing: then nothing that is new is sent."""
        return self._breaker.is_open(*_STOPPED, who="follower")

    # -- open nonces ------------------------------------------------------------------------------------------------

    async def _look_after(self, slot: Slot, chain_nonce: int) -> bool:
        if slot.nonce >= chain_nonce:
            if slot.mined is not None:
                await self._outbox.unmine(slot)
            return await self._urge(slot, is_next=slot.nonce == chain_nonce)
        mined = slot.mined
        if mined is None or not await self._outbox.is_followed(mined.block_number, mined.block_hash):
            return await self._find(slot)
        return await self._settle(slot, mined)

    async def _settle(self, slot: Slot, mined: Attempt) -> bool:
        """Call it final where its block is."""
        if mined.block_number is None or mined.block_number > self._place.final[0]:
            return False
        counted = None if self._breaker.is_open(Cause.REFUSED) else self._limits.failures_max
        return await self._outbox.settle(slot, mined, failures_max=counted)

    async def _find(self, slot: Slot) -> bool:
        """The nonce is used in a followed block: by which transaction?"""
        for attempt in reversed(slot.attempts):
            receipt = await self._client.receipt(attempt.transaction_hash)
            if receipt is None:
                continue
            mined = await self._outbox.mine(slot, attempt, receipt)
            if mined is None:
                return False  # its block is not followed yet
            for other in slot.attempts:  # should a reorganisation free the nonce, they are sent again at once
                self._sent_at.pop(other.attempt_id, None)
            await self._settle(slot, mined)
            return True
        final = self._place.final
        if final[0] < 0 or await self._client.nonce(slot.account, at=final[0]) <= slot.nonce:
            return False  # a stranger's, and a reorganisation may still take it back
        for attempt in slot.attempts:
            if await self._client.receipt(attempt.transaction_hash, by=final) is not None:
                return False  # ours after all: those who knew nothing of it were behind
        await self._outbox.lose(slot)
        return True

    async def _urge(self, slot: Slot, *, is_next: bool) -> bool:
        """Not included yet: send it again where nodes lost it, offer more where they have it and leave it."""
        newest = slot.newest
        waited = self._monotonic() - self._sent_at.get(newest.attempt_id, -1e9)
        if newest.attempt_id not in self._sent_at:
            await self._broadcast(newest.attempt_id, newest.raw)  # we may have been killed before we sent it
            return True
        if waited < self._limits.stuck_seconds:
            return False
        is_known = await self._client.knows(newest.transaction_hash)
        self._unseen[newest.attempt_id] = 0 if is_known else self._unseen.get(newest.attempt_id, 0) + 1
        may_replace = is_next and slot.account == self.address and not self._is_stopped()
        is_due = may_replace and (is_known or self._unseen[newest.attempt_id] > _UNSEEN_MAX)
        if is_due and await self._replace(slot):
            return True
        await self._broadcast(newest.attempt_id, newest.raw)
        return not is_known

    async def _replace(self, slot: Slot) -> bool:
        """Offer more under the same nonce; whether that was done."""
        last, limits = slot.newest, self._limits
        try:
            fees = replacement_fees(last.fees, await self._fees_asked(), cap=limits.fee_cap_wei)
        except FeeCapReached as reached:
            says = f"transaction {last.transaction_hash} is stuck: {reached}"
            await self._breaker.trouble(Cause.FEE_CAP, says, at_once=True)
            return False
        if fees == last.fees:
            return False  # gas is free here, so there is nothing to offer
        intent = await self._outbox.intent(last.intent_id)
        purpose: Purpose = "act"
        try:
            built = await self._build(intent)
            if isinstance(built, NotYet):
                return False
            if isinstance(built, AlreadyDone):
                purpose, built = "cancel", self._nothing()
            gas = await self._gas(built)
        except CallReverted as reverted:
            _log.warning("cloud: %s is cancelled: the contract says: %s", last.transaction_hash, reverted)
            purpose, built = "cancel", self._nothing()
            gas = await self._gas(built)
        await self._send(intent, built, slot.nonce, fees, gas=gas, purpose=purpose)
        return True

    # -- new nonces -------------------------------------------------------------------------------------------------

    async def _start_new(self, chain_nonce: int) -> bool:
        slots = [slot for slot in await self._outbox.slots() if slot.account == self.address]
        taken = {slot.nonce for slot in slots}
        room = self._limits.in_flight_max - sum(slot.nonce >= chain_nonce for slot in slots)
        now = self._monotonic()
        is_probing = self._breaker.is_open(Cause.REFUSED)
        due = await self._queue.due(is_probing=is_probing)
        if not due or room <= 0:
            return await self._mind_gaps(chain_nonce, taken)
        if is_probing:  # one wish now and then finds out whether the contracts take any
            room = 1 if now >= self._probe_at else 0
            self._probe_at = now + 15 * self._limits.retry_seconds if room else self._probe_at
        changed = False
        for intent in due:
            if room <= 0:
                break
            if await self._attempt(intent, _lowest_free(chain_nonce, taken)):
                changed, room = True, room - 1  # what must wait takes nobody's room
                taken = {slot.nonce for slot in await self._outbox.slots() if slot.account == self.address}
            if self._breaker.is_open(Cause.FUNDS, Cause.FEE_CAP):
                break
        return changed or await self._mind_gaps(chain_nonce, taken)

    async def _attempt(self, intent: Intent, nonce: int) -> bool:
        """Begin with one wish; whether anything came of it."""
        followed = self._place.followed
        self._queue.looked_at(intent)
        try:
            built = await self._build(intent)
            if isinstance(built, NotYet):
                return False
            if isinstance(built, AlreadyDone):
                return await self._outbox.call_done(intent, built.says, followed)
            gas = await self._gas(built)
        except CallReverted as reverted:
            await self._count_refusal(intent, reverted)
            return True
        self._queue.taken()
        await self._breaker.gone(Cause.REFUSED)
        fees = await self._affordable(gas)
        if fees is None:
            return False
        await self._send(intent, built, nonce, fees, gas=gas, purpose="act")
        return True

    async def _count_refusal(self, intent: Intent, reverted: CallReverted) -> None:
        _log.warning("cloud: %s: the contract says: %s", intent.business_key, reverted)
        if self._queue.refused(intent) >= _REFUSED_IN_A_ROW_MAX:
            says = (
                f"contracts refuse every wish, the last one ({intent.business_key}) with: {reverted}; run `minglou "
                "chain doctor`: is the relayer's role still granted, and is this the deployment that the site uses?"
            )
            await self._breaker.trouble(Cause.REFUSED, says, at_once=True)
        counted = None if self._breaker.is_open(Cause.REFUSED) else self._limits.failures_max
        await self._outbox.refuse(intent, str(reverted), failures_max=counted)

    async def _look_again(self, chain_nonce: int) -> None:
        """Whether money has come and fees have fallen, also while nobody wishes for anything."""
        if self._breaker.is_open(Cause.FUNDS):
            held = await self._client.balance(self.address, at=self._place.followed[0])
            if held >= self._needed_wei:
                await self._breaker.gone(Cause.FUNDS)
        if self._breaker.is_open(Cause.FEE_CAP):
            is_stuck = any(slot.nonce >= chain_nonce for slot in await self._outbox.slots())
            if not is_stuck and (await self._fees_asked()).least <= self._limits.fee_cap_wei:
                await self._breaker.gone(Cause.FEE_CAP)

    async def _affordable(self, gas: int) -> Fees | None:
        """What to offer; None where that is above the cap or more than the account holds."""
        asked = await self._fees_asked()
        try:
            fees = first_fees(asked, cap=self._limits.fee_cap_wei)
        except FeeCapReached as reached:
            await self._breaker.trouble(Cause.FEE_CAP, str(reached))
            return None
        await self._breaker.gone(Cause.FEE_CAP)
        self._needed_wei = gas * fees.max_fee
        held = await self._client.balance(self.address, at=self._place.followed[0])
        if held < self._needed_wei:
            says = (
                f"account {self.address} holds {held} wei and the next transaction may cost {self._needed_wei}; "
                "send it money"
            )
            await self._breaker.trouble(Cause.FUNDS, says, at_once=True)
            return None
        await self._breaker.gone(Cause.FUNDS)
        return fees

    async def _mind_gaps(self, chain_nonce: int, taken: set[int]) -> bool:
        """A nonce below all open ones that nobody uses holds the others up for ever: fill it with nothing."""
        if not taken or min(taken) <= chain_nonce:
            return False
        key = f"{_GAP}:{chain_nonce}:{self._place.followed[1][2:18]}"
        async with self._store.write() as connection:
            return await add_intent(connection, key, _GAP, {"nonce": chain_nonce}, now_ms=self._clock.now_ms())

    async def _fill(self, params: Mapping[str, Any]) -> Built:
        """`{"nonce": n}`: a transfer of nothing to ourselves under the nonce, unless it is used."""
        if await self._client.nonce(self.address, at=self._place.followed[0]) > int(params["nonce"]):
            return AlreadyDone(says="the nonce is used")
        return self._nothing()

    # -- sending ----------------------------------------------------------------------------------------------------

    async def _build(self, intent: Intent) -> Built:
        return await self._builders[intent.kind](intent.params)

    def _nothing(self) -> Transaction:
        return Transaction(to=self.address, data=b"")

    async def _gas(self, built: Transaction) -> int:
        followed = self._place.followed[0]
        gas = await self._client.estimate_gas(built.to, built.data, sender=self.address, at=followed)
        return gas + gas * self._limits.gas_headroom_percent // 100

    async def _fees_asked(self) -> Asked:
        limits, followed = self._limits, self._place.followed[0]
        return await self._client.fees_asked(priority=limits.priority_fee_wei, legacy=limits.legacy, at=followed)

    async def _send(
        self, intent: Intent, built: Transaction, nonce: int, fees: Fees, *, gas: int, purpose: Purpose
    ) -> None:
        signed = self._key.sign(
            {
                **fees.fields(),
                "chainId": self._limits.chain_id,
                "nonce": nonce,
                "to": built.to,
                "value": 0,
                "data": "0x" + built.data.hex(),
                "gas": gas,
            }
        )
        attempt_id = await self._outbox.sign_in(
            intent.intent_id, account=self.address, nonce=nonce, purpose=purpose, signed=signed, fees=fees
        )
        await self._broadcast(attempt_id, signed[0])

    async def _broadcast(self, attempt_id: int, raw: bytes) -> None:
        self._sent_at[attempt_id] = self._monotonic()
        for refusal in await self._client.broadcast(raw):
            # "already known" and "nonce too low" are no failures: the next step reads what became of the nonce.
            _log.debug("cloud: broadcast: %s", refusal)
            if "insufficient funds" in refusal.lower():
                says = f"a node refuses a transaction: account {self.address} holds too little; send it money"
                await self._breaker.trouble(Cause.FUNDS, says)


def _lowest_free(nonce: int, taken: set[int]) -> int:
    """Gaps are filled, not jumped."""
    while nonce in taken:
        nonce += 1
    return nonce
