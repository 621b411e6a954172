"""Work orders that machines and the clock move: a fault that a gateway logged becomes an order, what the machine says
after the work confirms or reopens it, and what the time allows is triggered.
"""

from collections.abc import Mapping
from typing import Any

from cloud.chain.builders import contract_head, transaction_of
from cloud.chain.proving import entry_proof, wait_for_heads
from cloud.chain.sender import AlreadyDone, NotYet, Transaction
from cloud.directory import DirectoryFile
from cloud.maintenance.ground import Ground, Wish
from cloud.maintenance.last_words import LastWords
from cloud.store.logs import log_ids_of
from contracts.calls import work_orders
from contracts.calls.anchor_log import Head
from contracts.calls.charges import EntryProof
from contracts.entry import encode_entry
from contracts.onchain import origin_id
from contracts.quantities import LIFT_ENTRAPMENT, LIFT_MODE, LIFT_STOPPED
from contracts.tree import leaf_hash
from contracts.work_order import Order, State, Terms, Trigger, source_of, triggers

__all__ = ["Orders"]

Built = Transaction | AlreadyDone | NotYet
_STANDS_MS = 10 * 60_000
"""So long a fault must stand before it is reported, where its gateway has not watched it first; and so long a machine
must be well before an order that nobody has accepted is taken back."""
_WATCHED = (LIFT_STOPPED, LIFT_ENTRAPMENT)  # the gateway's own conclusions, each after a while of its own
_STANDSTILLS = (LIFT_MODE, LIFT_STOPPED)  # one fault in two words: one order is enough
_AHEAD_MS = 10 * 60_000  # by which a gateway's clock may be ahead, for the contract too


class Orders:
    """Wishes and the builders of `machine-order`, `machine-judge` and `order-clock` intents."""

    def __init__(self, ground: Ground, directory: DirectoryFile) -> None:
        self._ground, self._directory = ground, directory
        self._words = LastWords(ground)

    async def step(self) -> bool:
        """Look at what machines said last, and at the time; whether anything new is wished for."""
        if not self._ground.deployment.work_orders:
            return False
        wishes = self._clock_wishes(await self._ground.work_terms())
        faults, directory = self._ground.view.faults, self._directory.read()
        asked = {
            (device.device, quantity) for quantity in faults for device in directory.of_kind(quantity.partition(".")[0])
        }
        words = await self._words.of(asked)
        for (device, quantity), said in words.items():
            faulty, sound = faults[quantity]
            if _says(faulty | sound, said) and said.observed_at_ms <= self._now_ms() + _AHEAD_MS:
                is_faulty = _says(faulty, said)
                watched = words.get((device, LIFT_STOPPED)) if quantity == LIFT_MODE else None
                is_told = watched is not None and _says(faults[LIFT_STOPPED][0], watched)
                wishes += await self._machine_wishes(said, quantity, is_faulty=is_faulty, may_report=not is_told)
        return await self._ground.wish(wishes)

    # -- wishes -----------------------------------------------------------------------------------------------------

    def _clock_wishes(self, terms: Terms) -> list[Wish]:
        """What anyone may trigger by the time of the newest block."""
        wishes: list[Wish] = []
        for name, order in list(self._ground.view.book.orders.items()):
            for trigger in triggers(order, terms, self._ground.view.head_time_s):
                situation = f"{int(order.state)}.{order.round}.{order.reopened}"
                params = {"order": name.hex(), "trigger": trigger.value}
                wishes.append((f"clock:{name.hex()}:{trigger.value}:{situation}", "order-clock", params))
        return wishes

    async def _machine_wishes(self, said: Any, quantity: str, *, is_faulty: bool, may_report: bool) -> list[Wish]:
        """What follows from a machine's last word. `may_report`: its gateway does not tell the same fault better."""
        terms, seen_at = await self._ground.work_terms(), said.observed_at_ms // 1000
        name = self._ground.view.machine_orders.get(source_of(said.device, quantity))
        order = None if name is None else self._ground.view.book.orders.get(name)
        place = {"origin": said.origin, "index": said.entry_index}
        if order is None or order.is_closed:
            is_new = is_faulty and may_report and (order is None or seen_at > order.done_at)
            is_young = self._ground.view.head_time_s <= seen_at + terms.report_within
            is_due = is_new and is_young and (quantity in _WATCHED or self._stands(said))
            if not is_due or self._is_known_otherwise(said.device, quantity):
                return []
            return [(f"order:{said.leaf_hash.hex()}", "machine-order", place)]
        assert name is not None, "an order was found by it"
        if self._judges(order, name, said, terms, is_faulty=is_faulty):
            key = f"judge:{name.hex()}:{said.leaf_hash.hex()}"
            return [(key, "machine-judge", {"order": name.hex(), **place})]
        return []

    def _judges(self, order: Order, name: bytes, said: Any, terms: Terms, *, is_faulty: bool) -> bool:
        """Whether the machine's last word confirms, reopens or takes back an open order of its own."""
        seen_at = said.observed_at_ms // 1000
        if order.state is State.REPORTED:
            return not is_faulty and seen_at >= order.seen_at and said.leaf_hash != name and self._stands(said)
        if order.state is not State.DONE or seen_at <= order.done_at:
            return False
        is_open = self._ground.view.head_time_s <= order.done_at + terms.confirm_within
        return not is_faulty or (is_open and order.reopened < terms.reopens_max)

    def _stands(self, said: Any) -> bool:
        """Whether a machine has said nothing else for a while."""
        return self._now_ms() >= int(said.observed_at_ms) + _STANDS_MS

    def _now_ms(self) -> int:
        return max(self._ground.clock.now_ms(), self._ground.view.head_time_s * 1000)

    def _is_known_otherwise(self, device: bytes, quantity: str) -> bool:
        """Whether an order for the same standstill is open under its other word."""
        others = [one for one in _STANDSTILLS if one != quantity] if quantity in _STANDSTILLS else []
        names = [self._ground.view.machine_orders.get(source_of(device, one)) for one in others]
        orders = [self._ground.view.book.orders.get(name) for name in names if name is not None]
        return any(order is not None and not order.is_closed for order in orders)

    # -- builders ---------------------------------------------------------------------------------------------------

    async def machine_order(self, params: Mapping[str, Any]) -> Built:
        """`{"origin", "index"}`: a faulty value that a gateway logged, as an order."""
        found = await self._proof(params)
        if not isinstance(found, tuple):
            return found
        head, proof, leaf = found
        name = self._ground.view.machine_orders.get(source_of(proof.entry.device, proof.entry.quantity))
        order = None if name is None else self._ground.view.book.orders.get(name)
        if leaf in self._ground.view.book.orders or (order is not None and not order.is_closed):
            return AlreadyDone(says="the fault is reported")
        if self._is_known_otherwise(proof.entry.device, proof.entry.quantity):
            return AlreadyDone(says="the standstill is reported")
        if order is not None and proof.entry.observed_at_ms // 1000 <= order.done_at:
            return AlreadyDone(says="the fault is older than its last repair")
        terms = await self._ground.work_terms()
        if self._ground.view.head_time_s > proof.entry.observed_at_ms // 1000 + terms.report_within:
            return AlreadyDone(says="the fault is too old to be reported")
        identity = origin_id(str(params["origin"]))
        address = self._ground.deployment.work_orders
        return transaction_of(work_orders.report_by_machine(address, origin_id=identity, head=head, proof=proof))

    async def machine_judge(self, params: Mapping[str, Any]) -> Built:
        """`{"order", "origin", "index"}`: what the machine said of its order since."""
        name = bytes.fromhex(params["order"])
        order = self._ground.view.book.orders.get(name)
        if order is None or order.state not in (State.REPORTED, State.DONE):
            return AlreadyDone(says="the order waits for no word of the machine")
        found = await self._proof(params)
        if not isinstance(found, tuple):
            return found
        head, proof, _leaf = found
        if proof.entry.observed_at_ms // 1000 <= (order.done_at if order.state is State.DONE else order.seen_at - 1):
            return AlreadyDone(says="the machine's word is older than the work")
        call = work_orders.judge_by_machine(
            self._ground.deployment.work_orders,
            order=name,
            origin_id=origin_id(str(params["origin"])),
            head=head,
            proof=proof,
        )
        return transaction_of(call)

    async def order_clock(self, params: Mapping[str, Any]) -> Built:
        """`{"order", "trigger"}`: escalate, release or lapse, where the time has come."""
        name, trigger = bytes.fromhex(params["order"]), Trigger(params["trigger"])
        order = self._ground.view.book.orders.get(name)
        if order is None or trigger not in triggers(
            order, await self._ground.work_terms(), self._ground.view.head_time_s
        ):
            return AlreadyDone(says="the order does not stand so any more")
        build = {
            Trigger.ESCALATE: work_orders.escalate,
            Trigger.RELEASE: work_orders.release,
            Trigger.LAPSE: work_orders.lapse,
        }[trigger]
        return transaction_of(build(self._ground.deployment.work_orders, order=name))

    async def _proof(self, params: Mapping[str, Any]) -> tuple[Head, EntryProof, bytes] | AlreadyDone | NotYet:
        """The accepted head, the entry under it, and its leaf hash."""
        origin, index = str(params["origin"]), int(params["index"])
        ground, now_ms = self._ground, self._ground.clock.now_ms()
        async with ground.store.read() as connection:
            behind = await wait_for_heads(ground.store, connection, ground.chain, [(origin, index)], now_ms=now_ms)
            if behind is not None:
                return behind
            head = ground.chain.head(origin)
            (log_id,) = await log_ids_of(connection, [origin])
            proof = await entry_proof(connection, log_id, index, head.size)
        if proof is None:
            return AlreadyDone(says="the entry was erased; nobody can show it any more")
        return contract_head(head), proof, leaf_hash(encode_entry(proof.entry))


def _says(mask: int, said: Any) -> bool:
    """Whether an entry's value is one of a mask's, as the contract asks."""
    return 0 <= said.value < 256 and bool(mask >> said.value & 1)
