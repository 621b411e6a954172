"""Batches that begin before the log's end: replays, resumed uploads, and forks.

Every signed root of a size that we hold can be compared with our own tree, so a gateway that signs another history is
caught whatever
entries it sends along; what can be *proven* of it to a contract depends on what we hold:

* two roots for one size: both notes are enough;
* two leaves at one index under two signed roots: both notes and both inclusion paths;
* a signed root that our prefix contradicts but whose leaves were never shown: both notes are kept, the log is frozen.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.errors import IngestRefused
from cloud.ingest.judgement import Content, LogHead
from cloud.store import tables
from cloud.store.trees import LogTree, walk
from contracts.tree import NodeReader, inclusion_path, node_hash, root_of

__all__ = ["Fork", "compare_with_held"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fork:
    """A gateway's signature under a history that is not the one we hold."""

    kind: str  # same_size, leaf or unproven
    index: int  # first differing leaf; the common size less one for same_size and unproven
    held_note: str
    other_note: str
    material: str  # JSON: what a report on chain needs beside the notes


async def compare_with_held(connection: AsyncConnection, content: Content, head: LogHead) -> Fork | None:
    """Compare a batch with the entries of it that we hold.

    Returns:
        None where all of them are the same (what is left over continues the log), else the fork.

    Raises:
        IngestRefused: 422 wrong_root where the entries differ but the signed root is not theirs: damaged on the way,
        not signed.
    """
    tree = LogTree(head.log_id)
    start, size = content.parts.start, content.checkpoint.size
    held_leaves = await tree.leaf_hashes(connection, start, min(size, head.size))
    differing = next((at for at, leaf in enumerate(held_leaves) if leaf != content.leaves[at]), None)
    if size <= head.size:
        held_root = await walk(connection, tree, lambda node: root_of(node, size))
        if held_root == content.checkpoint.root:
            if differing is None:
                return None
            raise _damaged(content, head, start + differing)
        same = await _held_note(connection, head.log_id, size, exactly=True)
        if same is not None:
            return _fork(content, "same_size", size - 1, same, {})
    elif differing is None:
        return None
    rebuilt = await _signed_tree(connection, tree, content)
    if root_of(rebuilt, size) != content.checkpoint.root:
        if size > head.size:
            raise _damaged(content, head, start + (differing or 0))
        note = await _held_note(connection, head.log_id, size, exactly=False)
        return _fork(content, "unproven", size - 1, note or "", {})
    assert differing is not None, "equal leaves below both sizes cannot make two roots"
    return await _leaf_fork(connection, tree, content, rebuilt, start + differing)


async def _leaf_fork(
    connection: AsyncConnection, tree: LogTree, content: Content, rebuilt: NodeReader, index: int
) -> Fork:
    """The proof that two signed roots hold different leaves at `index`: the smallest held checkpoint that covers it,
    and this one.
    """
    column = tables.checkpoints.c
    query = (
        select(column.size, column.note)
        .where(column.log_id == tree.log_id, column.size > index)
        .order_by(column.size)
        .limit(1)
    )
    held = (await connection.execute(query)).one()
    held_path = await walk(connection, tree, lambda node: inclusion_path(node, index, held.size))
    (held_leaf,) = await tree.leaf_hashes(connection, index, index + 1)
    at = index - content.parts.start
    material = {
        "index": str(index),
        "held": {"size": str(held.size), "leaf": held_leaf.hex(), "path": [node.hex() for node in held_path]},
        "other": {
            "size": str(content.checkpoint.size),
            "leaf": content.leaves[at].hex(),
            "path": [node.hex() for node in inclusion_path(rebuilt, index, content.checkpoint.size)],
        },
    }
    return _fork(content, "leaf", index, held.note, material)


async def _signed_tree(connection: AsyncConnection, tree: LogTree, content: Content) -> NodeReader:
    """The tree that the batch claims: our nodes before its start, its own leaves from there on.

    A walk to a leaf at or behind `start` meets, wholly before `start`, only the complete subtrees of the first `start`
    leaves.
    """
    start, leaves = content.parts.start, content.leaves
    peaks = {(level, (start >> level) - 1) for level in range(start.bit_length()) if start >> level & 1}
    ours = await tree.read(connection, peaks)

    def node(level: int, index: int) -> bytes:
        if (level, index) in ours:
            return ours[level, index]
        if level == 0:
            return leaves[index - start]
        return node_hash(node(level - 1, 2 * index), node(level - 1, 2 * index + 1))

    return node


async def _held_note(connection: AsyncConnection, log_id: int, size: int, *, exactly: bool) -> str | None:
    column = tables.checkpoints.c
    query = select(column.note).where(column.log_id == log_id, column.size == size if exactly else column.size >= size)
    return (await connection.execute(query.order_by(column.size).limit(1))).scalar_one_or_none()


def _fork(content: Content, kind: str, index: int, held_note: str, material: Mapping[str, object]) -> Fork:
    return Fork(
        kind=kind, index=index, held_note=held_note, other_note=content.parts.note, material=json.dumps(material)
    )


def _damaged(content: Content, head: LogHead, index: int) -> IngestRefused:
    return IngestRefused(
        422,
        "wrong_root",
        f"{head.origin}: entry {index} differs from the one held here and the checkpoint of size "
        f"{content.checkpoint.size} does not "
        "cover it; the batch was damaged on the way: send it again",
        size=head.size,
    )
