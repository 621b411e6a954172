"""From intents to transactions: asks the contract whether the wish is true already, otherwise builds the call."""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from cloud.chain.deployment import Deployment
from cloud.chain.reading import ContractReader
from cloud.chain.sender import AlreadyDone, Builder, NotYet, Transaction
from cloud.chain.view import ChainView, HeadRecord
from cloud.errors import ChainError
from cloud.store import Store, log_id_of, tables
from cloud.store.trees import LogTree, SuperTree, walk
from contracts.abi import Call
from contracts.calls import anchor_log
from contracts.checkpoint import SignedCheckpoint, open_checkpoint
from contracts.tree import consistency_path, root_of

__all__ = ["ChainBuilders", "contract_head", "transaction_of"]

Built = Transaction | AlreadyDone | NotYet


class ChainBuilders:
    """Builders of what the cloud itself wants on chain: anchors, accepted heads, fork reports."""

    def __init__(self, *, store: Store, reader: ContractReader, deployment: Deployment, view: ChainView) -> None:
        self._store, self._reader, self._deployment, self._view = store, reader, deployment, view

    def by_kind(self) -> dict[str, Builder]:
        """Builders by the intents' kind."""
        return {"anchor": self.anchor, "accept": self.accept, "fork": self.fork}

    async def anchor(self, params: Mapping[str, Any]) -> Built:
        """`{"size": n}`: the super-log's head of n leaves, with the proof that it extends the one on chain."""
        size = int(params["size"])
        address = self._deployment.anchor_log
        held = anchor_log.parse_head(await self._reader.call(address, anchor_log.head(address).data))
        held_size, held_root = held.size, held.root
        tree = SuperTree()
        async with self._store.read() as connection:
            if held_size:
                ours = (await connection.execute(select(tables.super_head.c.size))).scalar_one()
                if held_size > ours or await walk(connection, tree, lambda node: root_of(node, held_size)) != held_root:
                    raise ChainError(
                        f"AnchorLog holds ({held_size}, {held_root.hex()[:16]}…), which is not our history of "
                        f"{ours} leaves: the database "
                        "was rolled back or the relayer key is used elsewhere; restore it, or let the site name "
                        "a successor super-log"
                    )
            if held_size >= size:
                return AlreadyDone(says=f"anchored at size {held_size}")
            root = await walk(connection, tree, lambda node: root_of(node, size))
            path = (
                await walk(connection, tree, lambda node: consistency_path(node, held_size, size)) if held_size else []
            )
        return transaction_of(anchor_log.anchor(address, size=size, root=root, proof=path))

    async def accept(self, params: Mapping[str, Any]) -> Built:
        """`{"origin": o, "size": n}`: the gateway's own signed head, from its last accepted one."""
        origin, size = str(params["origin"]), int(params["size"])
        head = self._view.head(origin)
        if head.size >= size:
            return AlreadyDone(says=f"accepted at size {head.size}")
        async with self._store.read() as connection:
            row = await self._checkpoint(connection, origin, size)
            if row is None:
                return NotYet(says=f"no checkpoint of size {size} is held")
            tree = LogTree(row.log_id)
            path = (
                await walk(connection, tree, lambda node: consistency_path(node, head.size, size)) if head.size else []
            )
        signed = open_checkpoint(row.note, row.public_key)
        r, s = _numbers(signed)
        call = anchor_log.accept(
            self._deployment.anchor_log,
            origin=origin,
            previous=contract_head(head),
            size=size,
            root=signed.checkpoint.root,
            r=r,
            s=s,
            proof=path,
        )
        return transaction_of(call)

    async def fork(self, params: Mapping[str, Any]) -> Built:
        """`{"fork_id": n}`: both signed heads, and for kind `leaf` both inclusion proofs."""
        async with self._store.read() as connection:
            query = (
                select(tables.forks, tables.logs.c.origin)
                .join(tables.logs, tables.logs.c.log_id == tables.forks.c.log_id)
                .where(tables.forks.c.fork_id == int(params["fork_id"]))
                .execution_options(every_shard="a fork is known by its number")
            )
            row = (await connection.execute(query)).one()
        if self._view.is_ended_by_fork(row.origin):
            return AlreadyDone(says="the fork is reported")
        key = self._view.gateway_key(row.origin)
        if key is None:
            return NotYet(says="the gateway's key is not in the followed Registry")
        held, other = open_checkpoint(row.held_note, key.public), open_checkpoint(row.other_note, key.public)
        address = self._deployment.anchor_log
        a, b = _signed_head(held), _signed_head(other)
        if row.kind == "same_size":
            return transaction_of(anchor_log.report_two_roots(address, origin=row.origin, a=a, b=b))
        material = json.loads(row.material)
        ours, other = material["held"], material["other"]
        call = anchor_log.report_two_leaves(
            address,
            origin=row.origin,
            a=a,
            b=b,
            index=int(material["index"]),
            leaf_a=bytes.fromhex(ours["leaf"]),
            path_a=[bytes.fromhex(node) for node in ours["path"]],
            leaf_b=bytes.fromhex(other["leaf"]),
            path_b=[bytes.fromhex(node) for node in other["path"]],
        )
        return transaction_of(call)

    async def _checkpoint(self, connection: Any, origin: str, size: int) -> Any:
        column, log_id = tables.checkpoints.c, await log_id_of(connection, origin)
        query = select(tables.checkpoints).where(column.log_id == log_id, column.size == size)
        return (await connection.execute(query)).one_or_none()


def contract_head(head: HeadRecord) -> anchor_log.Head:
    """An accepted head as the contracts take it."""
    return anchor_log.Head(size=head.size, root=head.root, accepted_at=head.accepted_at_s)


def transaction_of(call: Call) -> Transaction:
    """What the sender signs for a call."""
    return Transaction(to=call.to, data=call.data)


def _numbers(signed: SignedCheckpoint) -> tuple[int, int]:
    return int.from_bytes(signed.signature[:32]), int.from_bytes(signed.signature[32:])


def _signed_head(signed: SignedCheckpoint) -> anchor_log.SignedHead:
    r, s = _numbers(signed)
    return anchor_log.SignedHead(size=signed.checkpoint.size, root=signed.checkpoint.root, r=r, s=s)
