"""What configured copies have not acknowledged yet: retention waits for them, but not for ever.

An entry that the cloud erases before a copy has it is one that this copy never gets whole: it refuses the log there
until a person has it take what is left. So what is due waits for the copies' acknowledgements, `copies_wait_days` long.
Then it is erased all the same, for the law that says how long data may be kept knows no copies, and it is said.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import select

from cloud.store import Store, tables

__all__ = ["Awaited", "Waited", "acknowledged_by"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Awaited:
    """The copies of one log, for one kind of its data."""

    sizes: Mapping[str, int]  # how many of its entries each has acknowledged
    overdue_ms: int  # what arrived before waits no more

    def let_go(self, size: int, received_at_ms: int) -> bool:
        """Whether entries up to the checkpoint of this size need not wait for it."""
        return received_at_ms < self.overdue_ms or not self.without(size)

    def without(self, size: int) -> list[str]:
        """The copies that have not acknowledged as much."""
        return [name for name, held in self.sizes.items() if held < size]


@dataclass(slots=True)
class Waited:
    """What one run of retention has to say of copies: logs, by the copies' names."""

    waiting: dict[str, set[str]] = field(default_factory=dict)  # what is due there is kept for the copy
    missed: dict[str, set[str]] = field(default_factory=dict)  # something was erased without the copy

    def wait(self, copies: Sequence[str], origin: str) -> None:
        """Something of this log is kept for these copies."""
        for name in copies:
            self.waiting.setdefault(name, set()).add(origin)

    def go_on_without(self, copies: Sequence[str], origin: str) -> None:
        """Something of this log was erased that these copies had not acknowledged."""
        for name in copies:
            self.missed.setdefault(name, set()).add(origin)

    def says_what_waits(self) -> list[str]:
        """In sentences, what is kept for copies."""
        return [
            f"retention: entries of {len(origins)} logs are due and wait for copy {name} (first {min(origins)})"
            for name, origins in self.waiting.items()
        ]

    def says_what_was_missed(self, days: int) -> list[str]:
        """In sentences, what copies missed and what to do."""
        return [
            f"retention: entries of {len(origins)} logs (first {min(origins)}) were erased that copy {name} had not "
            f"acknowledged {days} days after their time was over; on its machine, run: minglou mirror run --once "
            "--take-erased --config mirror.toml"
            for name, origins in self.missed.items()
        ]


async def acknowledged_by(store: Store, log_id: int, copies: Sequence[str]) -> Mapping[str, int]:
    """How many entries of a log these copies have acknowledged."""
    if not copies:
        return {}
    column = tables.acknowledgements.c
    query = select(column.keeper, column.size).where(column.log_id == log_id)
    async with store.read() as connection:
        sizes = {row.keeper: row.size for row in await connection.execute(query)}
    return {name: sizes.get(name, 0) for name in copies}
