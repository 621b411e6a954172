"""Batches of the Registry: one party announces, the other approves after an own look, anyone enacts after the delay.

`TwoParties` brings a fresh site into force where both keys are at hand. On a running chain each party has its own key
and its own machine, and what waits is read from the chain.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contracts.abi import Call
from contracts.calls import registry
from contracts.calls.registry_events import Announced, parse_event
from provisioning.errors import ChainSetupError
from provisioning.rpc import Rpc, Sender

__all__ = ["PARTIES", "Change", "TwoParties", "WaitingBatch", "announce", "approve", "check_calls", "enact", "waiting"]

PARTIES: Mapping[int, str] = {1: "the manager", 2: "the committee", 3: "both parties", 4: "a person's own signature"}
ENACTABLE_SECONDS = 30 * 86_400  # Registry.vy: afterwards a batch has lapsed
_CALLS_MAX = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One inner call of one of the contracts, with words for whoever approves it."""

    says: str
    call: Call


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingBatch:
    """A batch that was announced and is neither enacted nor lapsed."""

    number: int
    parties: int  # who stands behind it: see `PARTIES`
    effective_at: int  # Unix seconds; 0 until the second party has approved
    vetoed: int  # bit i: call i
    calls: tuple[Call, ...]


class TwoParties:
    """Manager and committee bringing changes into force: announce, approve after an own look, enact after the delay."""

    def __init__(self, sender: Sender, registry_address: str, *, manager: bytes, committee: bytes) -> None:
        self._sender = sender
        self._registry = registry_address
        self._manager = manager
        self._committee = committee

    def announce(self, changes: Sequence[Change]) -> list[tuple[int, list[Call]]]:
        """The manager announces the changes; gives the numbers and calls of their batches."""
        return announce(self._sender, self._registry, self._manager, changes)

    def approve(self, announced: Sequence[tuple[int, list[Call]]], expected: Sequence[Change]) -> None:
        """The committee approves, if what was announced is what its own site file gives.

        Raises:
            ChainSetupError: a call differs; the message names it, and nothing was approved.
        """
        calls = [call for _, batch in announced for call in batch]
        for number, (call, change) in enumerate(zip(calls, expected, strict=False)):
            if call != change.call:
                raise ChainSetupError(
                    f"call {number} was announced as something else than: {change.says}; "
                    "do not approve, ask the manager"
                )
        if len(calls) != len(expected):
            raise ChainSetupError(
                f"{len(calls)} calls were announced, the site file gives {len(expected)}; "
                "do not approve, ask the manager"
            )
        approve(self._sender, self._registry, self._committee, [number for number, _ in announced])

    def enact(self, announced: Sequence[tuple[int, list[Call]]], *, anyone: bytes) -> None:
        """Anyone enacts the batches, in order, once the delay is over."""
        for number, calls in announced:
            enact(self._sender, self._registry, anyone, number, calls)


def announce(sender: Sender, to: str, secret: bytes, changes: Sequence[Change]) -> list[tuple[int, list[Call]]]:
    """One party announces changes in as few batches as they fit; the numbers and calls of these."""
    announced = []
    for start in range(0, len(changes), _CALLS_MAX):
        batch = changes[start : start + _CALLS_MAX]
        calls = [change.call for change in batch]
        receipt = sender.send(
            secret, registry.announce(to, calls=calls), purpose=f"announce {batch[0].says} to {batch[-1].says}"
        )
        announced.append((_announced_number(receipt), calls))
    return announced


def approve(sender: Sender, to: str, secret: bytes, numbers: Sequence[int]) -> None:
    """The other party signs these batches; their delay begins."""
    sender.send_many(secret, [registry.approve(to, number=number) for number in numbers], purpose="approve the changes")


def enact(sender: Sender, to: str, secret: bytes, number: int, calls: Sequence[Call]) -> None:
    """Carry out a batch whose delay is over. Whoever pays the gas may do it."""
    sender.send(secret, registry.enact(to, number=number, calls=calls), purpose=f"enact batch {number}")


def check_calls(batch: WaitingBatch, expected: Collection[Call]) -> None:
    """Refuse a batch with a call that one's own copies do not give: a call to anything may hide among the others.

    Raises:
        ChainSetupError: with the call's place and bytes.
    """
    for place, call in enumerate(batch.calls):
        if call not in expected:
            raise ChainSetupError(
                f"batch {batch.number}: call {place} to {call.to} (0x{call.data[:36].hex()}…) is nothing that your own "
                f"files give; do not approve, ask {PARTIES[batch.parties]}, or add what is meant with `crew add` first"
            )


def waiting(rpc: Rpc, to: str, *, from_block: int) -> list[WaitingBatch]:
    """The batches of a running chain that wait for an approval, for their delay, or for somebody to enact them.

    Args:
        from_block: the first block of the site's contracts.

    Raises:
        ChainSetupError: the endpoint does not answer, or has no event of a batch that the contract knows.
    """
    now = int(rpc.call("eth_getBlockByNumber", ["latest", False])["timestamp"], 16)
    count = registry.parse_batch_count(rpc.view(registry.batch_count(to)))
    found: dict[int, registry.Batch] = {}
    for number in range(count):
        batch = registry.parse_batch(rpc.view(registry.batch(to, number=number)))
        has_lapsed = batch.effective_at and now > batch.effective_at + ENACTABLE_SECONDS
        if not batch.enacted and not has_lapsed:
            found[number] = batch
    calls = _announced_calls(rpc, to, found.keys(), from_block=from_block)
    return [
        WaitingBatch(
            number=number, parties=batch.parties, effective_at=batch.effective_at, vetoed=batch.vetoed,
            calls=calls[number],
        )
        for number, batch in found.items()
    ]  # fmt: skip


def _announced_calls(rpc: Rpc, to: str, numbers: Collection[int], *, from_block: int) -> Mapping[int, tuple[Call, ...]]:
    topics = ["0x" + Announced.FORM.topic.hex(), ["0x" + number.to_bytes(32).hex() for number in numbers]]
    found = {}
    for log in rpc.newest_logs(to, topics, count=len(numbers), from_block=from_block):
        event = _event_of(log)
        if isinstance(event, Announced):
            found[event.number] = tuple(Call(to=target, data=data) for target, data in event.calls)
    if missing := sorted(set(numbers) - found.keys()):
        raise ChainSetupError(
            f"{rpc.url}: gives no announcement of batch {missing[0]} since block {from_block}; ask an archive node"
        )
    return found


def _announced_number(receipt: Mapping[str, Any]) -> int:
    for log in receipt["logs"]:
        event = _event_of(log)
        if isinstance(event, Announced):
            return event.number
    raise ChainSetupError("the Registry announced nothing; is the deployment file of this chain?")


def _event_of(log: Mapping[str, Any]) -> object:
    topics = [bytes.fromhex(topic.removeprefix("0x")) for topic in log["topics"]]
    return parse_event(topics, bytes.fromhex(log["data"].removeprefix("0x")))
