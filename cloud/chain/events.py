"""Followed events as the store holds them."""

from dataclasses import dataclass

from sqlalchemy import select

from cloud.store import Store, tables

__all__ = ["StoredEvent", "read_events"]

_TOPIC_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvent:
    """One event of one of our contracts in a followed block."""

    block_number: int
    block_hash: str
    block_time_s: int
    log_index: int
    transaction_hash: str
    contract: str  # its name in the deployment: registry, roll, usage_fees
    topics: tuple[bytes, ...]
    data: bytes


async def read_events(store: Store) -> list[StoredEvent]:
    """All followed events, in order."""
    event, block = tables.chain_events.c, tables.chain_blocks.c
    query = (
        select(tables.chain_events, block.timestamp)
        .join(tables.chain_blocks, block.number == event.block_number)
        .order_by(event.block_number, event.log_index)
    )
    async with store.read() as connection:
        return [
            StoredEvent(
                block_number=row.block_number,
                block_hash=row.block_hash,
                block_time_s=row.timestamp,
                log_index=row.log_index,
                transaction_hash=row.transaction_hash,
                contract=row.contract,
                topics=tuple(row.topics[at : at + _TOPIC_BYTES] for at in range(0, len(row.topics), _TOPIC_BYTES)),
                data=row.data,
            )
            for row in await connection.execute(query)
        ]
