"""How the super-log's newest head stands with the witnesses, as it is on disk: every replica says the same."""

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.cosigners import Cosigners
from cloud.store import Store, tables

__all__ = ["CosignerStanding", "Standing", "cosignature_lines", "read_standing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CosignerStanding:
    """How one witness stands."""

    name: str
    size: int  # the largest head that it has cosigned; 0 for none
    has_cosigned: bool  # the newest head
    says: str  # why it does not cosign, and what to do; empty while all is well


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How the super-log's newest signed head stands with the witnesses."""

    quorum: int
    size: int  # of that head; 0 before the first
    each: tuple[CosignerStanding, ...]

    @property
    def cosigned(self) -> int:
        """How many have cosigned it."""
        return sum(one.has_cosigned for one in self.each)

    @property
    def has_quorum(self) -> bool:
        return self.cosigned >= self.quorum

    @property
    def waiting(self) -> str:
        """Why anchoring waits for witnesses, and what to do; empty while it does not."""
        if self.has_quorum or not self.size:
            return ""
        missing = "; ".join(f"{one.name}: {one.says or 'asked'}" for one in self.each if not one.has_cosigned)
        return (
            f"anchoring waits: {self.cosigned} of the {self.quorum} cosignatures needed of {len(self.each)} witnesses "
            f"for checkpoint {self.size} are here; {missing}"
        )


async def read_standing(store: Store, cosigners: Cosigners) -> Standing:
    """How the newest signed head stands, as it is on disk."""
    async with store.read() as connection:
        size = (await connection.execute(select(func.max(tables.super_notes.c.size)))).scalar_one() or 0
        column = tables.super_cosignatures.c
        largest = select(column.vkey, func.max(column.size).label("size")).group_by(column.vkey)
        sizes = {row.vkey: row.size for row in await connection.execute(largest)}
        says = {row.vkey: row.says for row in await connection.execute(select(tables.witness_states))}
    each = tuple(
        CosignerStanding(
            name=one.key.name,
            size=sizes.get(one.vkey, 0),
            has_cosigned=size > 0 and sizes.get(one.vkey, 0) == size,
            says=says.get(one.vkey, ""),
        )
        for one in cosigners.each
    )
    return Standing(quorum=cosigners.quorum, size=size, each=each)


async def cosignature_lines(connection: AsyncConnection, size: int) -> str:
    """The cosignature lines that are kept of the head of this size, in a fixed order."""
    column = tables.super_cosignatures.c
    query = select(column.line).where(column.size == size).order_by(column.vkey)
    return "".join((await connection.execute(query)).scalars())
