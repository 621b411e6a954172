"""What people wrote about faults and repairs: kept for whoever looks after them, and no longer than that takes."""

from sqlalchemy import delete

from cloud.store import Store, tables

__all__ = ["NOTES_MS", "WORDS_MS", "forget_household", "forget_notes"]

_DAY_MS = 86_400_000
NOTES_MS = 90 * _DAY_MS  # a passenger's, at a device
WORDS_MS = 730 * _DAY_MS  # a household's: what was wrong may matter as long as somebody answers for the work


async def forget_notes(store: Store, now_ms: int) -> None:
    """Delete what is older than that; of a signed report the chain keeps the digest, which tells nothing alone."""
    notes, words = tables.fault_notes.c.received_at_ms, tables.repair_words.c.said_at_ms
    async with store.write(None) as connection:
        await connection.execute(delete(tables.fault_notes).where(notes < now_ms - NOTES_MS))
        await connection.execute(delete(tables.repair_words).where(words < now_ms - WORDS_MS))


async def forget_household(store: Store, unit: bytes) -> None:
    """Delete what one household wrote: somebody of it asked to be erased. The photographs go with the next sweep."""
    async with store.write(None) as connection:
        await connection.execute(delete(tables.repair_words).where(tables.repair_words.c.unit == unit))
