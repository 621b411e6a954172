"""Pools shared by volume: the table of what each unit's own meter counted, handed in by the operator and kept, so that
every owner can be shown where the own key stands in it.

The chain holds the table's digest: root, sum, number of units (docs/formats.md). The operator hands in keys and salts,
which are taken only if they make that very table. A unit's key is its household's: it lies sealed, and whoever asks is
given the own key, the salt and the sums of the path, the nearest of which is one neighbour's, as on every bill.
"""

import re
from dataclasses import dataclass

from sqlalchemy import delete, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.chain.view import ChainView
from cloud.errors import BillingError
from cloud.store import Store, insert_rows, tables
from cloud.store.sealing import VOLUMES, seal, unseal
from contracts.bill import BLOCK, BLOCK_LEVEL, BillError, BillTree, Node
from contracts.key_table import KeyProof, KeyTable, PostedTable, decode_table, key_before, key_leaf

__all__ = [
    "VOLUMES_BYTES_MAX", "VOLUMES_MEDIA_TYPE", "UnitShare", "decode_volumes", "encode_volumes", "is_held",
    "keep_volumes", "pool_of", "read_key", "read_shares", "read_volumes",
]  # fmt: skip

VOLUMES_MEDIA_TYPE = "application/vnd.minglou.volumes"
UNITS_MAX = 1 << 20
_KEY_BYTES, _SALT_BYTES = 8, 16
_UNIT_BYTES = _KEY_BYTES + _SALT_BYTES
_HEADER = re.compile(rb"minglou-volumes/1\n([0-9a-f]{64})\n([1-9][0-9]{0,6})\n")
_HEADER_BYTES_MAX = 128
VOLUMES_BYTES_MAX = _HEADER_BYTES_MAX + UNITS_MAX * _UNIT_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitShare:
    """One unit's place among a pool's keys."""

    key: int
    before: int  # the sum of all keys before it
    key_sum: int


# -- bytes ------------------------------------------------------------------------------------------------------------


def encode_volumes(table: KeyTable) -> bytes:
    """Header, then key (8 bytes) and salt (16) of each unit in unit order."""
    header = b"minglou-volumes/1\n%s\n%d\n" % (table.pool.hex().encode(), len(table.keys))
    units = (_content(key, salt) for key, salt in zip(table.keys, table.salts, strict=True))
    return header + b"".join(units)


def _content(key: int, salt: bytes) -> bytes:
    return key.to_bytes(_KEY_BYTES) + salt[:_SALT_BYTES]


def _opened(content: bytes) -> tuple[int, bytes]:
    return int.from_bytes(content[:_KEY_BYTES]), content[_KEY_BYTES:].ljust(32, b"\0")


def pool_of(body: bytes) -> bytes:
    """Whose table some bytes begin. Raises BillError."""
    return bytes.fromhex(_header(body)[1].decode())


def _header(body: bytes) -> re.Match[bytes]:
    header = _HEADER.match(body[:_HEADER_BYTES_MAX])
    if header is None:
        raise BillError("not a table of volumes: it begins with minglou-volumes/1, a pool and a number")
    return header


def decode_volumes(body: bytes) -> KeyTable:
    """A table from its bytes. Raises BillError naming the fault."""
    header = _header(body)
    pool, count = bytes.fromhex(header[1].decode()), int(header[2])
    units = body[header.end() :]
    if count > UNITS_MAX or len(units) != count * _UNIT_BYTES:
        raise BillError(f"table of {count} units has {len(units)} bytes of them; {UNITS_MAX} units are the most")
    opened = [_opened(units[at : at + _UNIT_BYTES]) for at in range(0, len(units), _UNIT_BYTES)]
    return KeyTable(pool=pool, keys=[key for key, _ in opened], salts=[salt for _, salt in opened])


# -- writing ----------------------------------------------------------------------------------------------------------


async def keep_volumes(store: Store, view: ChainView, period: int, table: KeyTable) -> None:
    """Keep a table whose digest the chain holds; twice is as once.

    Raises:
        BillingError: another table was posted for the pool and period, or none.
    """
    words = view.volumes.get((table.pool, period))
    if words is None:
        raise BillingError(f"no volumes of pool {table.pool.hex()[:12]}… for {period} are on the followed chain yet")
    if words != table.encode():
        raise BillingError("these volumes do not make the table that was posted; hand in what was posted")
    if len(table.keys) > len(view.roll):
        raise BillingError(f"the table has {len(table.keys)} units, the roll {len(view.roll)}")
    place = {"period": period, "pool": table.pool}
    async with store.write("bills") as connection:
        if await _root(connection, period, decode_table(words)) == table.root:
            return
        for held in (tables.volume_keys, tables.volume_nodes):
            await connection.execute(delete(held).where(*(held.c[name] == value for name, value in place.items())))
        units = [unit.alias for unit in view.roll[: len(table.keys)]]
        contents = [_content(key, salt) for key, salt in zip(table.keys, table.salts, strict=True)]
        sealed = seal(connection, VOLUMES, list(zip(units, contents, strict=True)))
        rows = [(period, table.pool, at, *row) for at, row in enumerate(zip(units, sealed, strict=True))]
        await insert_rows(connection, tables.volume_keys, rows)
        await insert_rows(connection, tables.volume_nodes, _nodes(period, table))


def _nodes(period: int, table: KeyTable) -> list[tuple[int, bytes, int, int, bytes, bytes]]:
    """What lies above the blocks of 64 units. The sum of a last block that is not full would be few households' volumes
    in the clear: it is made again from what lies sealed.
    """
    tree, count = table.tree, len(table.keys)
    return [
        (period, table.pool, level, place, node.hash, node.sums.to_bytes(_KEY_BYTES))
        for level in range(min(BLOCK_LEVEL, tree.height), tree.height + 1)
        for place, node in enumerate(tree.row(level))
        if level == tree.height or count - (place << level) >= BLOCK
    ]


async def is_held(store: Store, view: ChainView, period: int, pool: bytes) -> bool:
    """Whether the table that stands on chain is held already."""
    words = view.volumes.get((pool, period))
    if words is None:
        return False
    posted = decode_table(words)
    async with store.read() as connection:
        return await _root(connection, period, posted) == posted.root


# -- reading ----------------------------------------------------------------------------------------------------------


async def read_key(
    connection: AsyncConnection, view: ChainView, period: int, pool: bytes, unit_index: int
) -> KeyProof | None:
    """Where a unit's key stands in the table that was posted for a pool and period; None where that is not held."""
    words = view.volumes.get((pool, period))
    if words is None:
        return None
    posted = decode_table(words)
    if unit_index >= posted.unit_count or await _root(connection, period, posted) != posted.root:
        return None
    first = unit_index // BLOCK * BLOCK
    opened = await _contents(connection, period, pool, first, BLOCK)
    own = BillTree(key_leaf(index, key, salt) for index, (key, salt) in enumerate(opened, first))
    above = await _above(connection, period, posted, first)
    key, salt = opened[unit_index - first]
    return KeyProof(table=words, key=key, salt=salt, path=(*own.path(unit_index - first), *above))


async def read_shares(
    connection: AsyncConnection, view: ChainView, period: int, unit_index: int
) -> dict[bytes, UnitShare]:
    """A unit's place in every table that was posted for a period, by pool."""
    found = {}
    for pool, of_period in view.volumes:
        proof = await read_key(connection, view, period, pool, unit_index) if of_period == period else None
        if proof is not None:
            posted = decode_table(proof.table)
            before = key_before(proof, unit_index, posted)
            found[pool] = UnitShare(key=proof.key, before=before, key_sum=posted.root.sums)
    return found


async def read_volumes(connection: AsyncConnection, view: ChainView, period: int) -> dict[bytes, list[int]]:
    """All keys of every table that is held of a period, by pool, in unit order, for each unit of the period's roll."""
    found, units = {}, view.unit_count_of(period)
    for (pool, of_period), words in view.volumes.items():
        posted = decode_table(words)
        if of_period == period and await _root(connection, period, posted) == posted.root:
            keys = [key for key, _ in await _contents(connection, period, pool, 0, posted.unit_count)]
            found[pool] = [*keys, *[0] * (units - len(keys))]
    return found


async def _contents(
    connection: AsyncConnection, period: int, pool: bytes, first: int, count: int
) -> list[tuple[int, bytes]]:
    """Key and salt of units in a row."""
    column = tables.volume_keys.c
    query = (
        select(column.unit, column.content)
        .where(column.period == period, column.pool == pool)
        .where(column.unit_index >= first, column.unit_index < first + count)
        .order_by(column.unit_index)
    )
    rows = [(row.unit, row.content) for row in await connection.execute(query)]
    return [_opened(content) for content in unseal(connection, VOLUMES, rows)]


async def _root(connection: AsyncConnection, period: int, posted: PostedTable) -> Node | None:
    """The root of what is held; None where nothing is."""
    column, height = tables.volume_nodes.c, (posted.unit_count - 1).bit_length()
    here = (column.period == period, column.pool == posted.pool, column.level == height, column.place == 0)
    row = (await connection.execute(select(tables.volume_nodes).where(*here))).one_or_none()
    return None if row is None else Node(row.hash, int.from_bytes(row.sums))


async def _above(connection: AsyncConnection, period: int, posted: PostedTable, first: int) -> tuple[Node, ...]:
    """The siblings above an aligned block, from the lowest up."""
    height = (posted.unit_count - 1).bit_length()
    siblings = ((level, first >> level ^ 1) for level in range(BLOCK_LEVEL, height))
    wanted = [(level, place) for level, place in siblings if place << level < posted.unit_count]
    if not wanted:
        return ()
    column = tables.volume_nodes.c
    query = select(column.level, column.hash, column.sums).where(
        column.period == period, column.pool == posted.pool, tuple_(column.level, column.place).in_(wanted)
    )
    found = {row.level: Node(row.hash, int.from_bytes(row.sums)) for row in await connection.execute(query)}
    for level, place in wanted:
        if level not in found:
            found[level] = await _last_block(connection, period, posted.pool, place << level)
    return tuple(found[level] for level, _ in wanted)


async def _last_block(connection: AsyncConnection, period: int, pool: bytes, first: int) -> Node:
    """What stands above the last units, fewer than 64."""
    opened = await _contents(connection, period, pool, first, BLOCK)
    return BillTree(key_leaf(index, key, salt) for index, (key, salt) in enumerate(opened, first)).root
