"""A gateway's entry as the maintenance contracts take it: under the head that was accepted last for its log."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.chain.builders import contract_head
from cloud.chain.proving import entry_proof, wait_for_heads
from cloud.chain.sender import AlreadyDone, NotYet
from cloud.maintenance.ground import Ground
from contracts.calls.counterevidence import LoggedEntry

__all__ = ["logged_entry"]


async def logged_entry(
    ground: Ground, connection: AsyncConnection, device: bytes, entry: Any
) -> LoggedEntry | AlreadyDone | NotYet:
    """An entry about a device with what proves it, or why there is nothing to bring now, or ever.

    Args:
        entry: a row with `log_id`, `origin` and `entry_index`.
    """
    number = ground.assignment_number(device, entry.origin, entry.entry_index)
    if number is None:
        return NotYet(says=f"the Registry does not assign the device to {entry.origin} at {entry.entry_index}")
    chain, place = ground.chain, (entry.origin, entry.entry_index)
    behind = await wait_for_heads(ground.store, connection, chain, [place], now_ms=ground.clock.now_ms())
    if behind is not None:
        return behind
    head = chain.head(entry.origin)
    proof = await entry_proof(connection, entry.log_id, entry.entry_index, head.size)
    if proof is None:
        return AlreadyDone(says="the gateway's entry was erased; nobody can show it any more")
    return LoggedEntry(number, contract_head(head), proof)
