"""Builds `minglou-evidence/1` for any entry: from its row through log, super-log and anchor, as far as the entry has
come.

The checkpoint chosen is the smallest that holds the entry and the anchor the first that holds that checkpoint, because
the first anchor is the entry's upper time bound; later ones would prove less.
"""

import json
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.chain.deployment import Deployment
from cloud.chain.view import AnchorRecord, BindingRecord, ChainView
from cloud.errors import StoreError
from cloud.identity.audit import EVERY_UNIT
from cloud.identity.audit_tree import grown_size
from cloud.retention.record import ErasedEntry, read_record
from cloud.store import Store, log_id_of, tables
from cloud.store.erasing import ERASED_KIND
from cloud.store.months import entries_at
from cloud.store.readings import open_entry
from cloud.store.trees import AuditTree, LogTree, SuperTree, walk
from cloud.super_log import signed_head
from contracts.checkpoint import audit_origin
from contracts.evidence import Anchor, Assignment, Binding, Evidence, GatewayKey, LogProof, SuperProof, format_evidence
from contracts.look import HeadProof, LookEvidence, format_look
from contracts.tree import inclusion_path

__all__ = ["EvidenceRoom"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceRoom:
    """Answers *prove it* for every entry that is held."""

    store: Store
    view: ChainView | None
    deployment: Deployment | None
    super_origin: str

    async def erased(self, origin: str, index: int) -> ErasedEntry | None:
        """What is left of an erased entry; None where none is held, or where it was not erased."""
        async with self.store.read() as connection:
            row = await _entry(connection, origin, index)
            if row is None or row.kind != ERASED_KIND:
                return None
            checkpoint = await _first_checkpoint(connection, row.log_id, index)
            path = await walk(
                connection, LogTree(row.log_id), lambda node: inclusion_path(node, index, checkpoint.size)
            )
            return ErasedEntry(
                origin=origin,
                index=index,
                leaf=row.leaf_hash,
                size=checkpoint.size,
                path=tuple(path),
                checkpoint=checkpoint.note,
                erased_by=await read_record(connection, row.log_id, index),
            )

    async def evidence(
        self, origin: str, index: int, *, urn: str | None = None, redacted: bool = False
    ) -> bytes | None:
        """The evidence file of one entry; None where no such entry is held, or where it was erased.

        Args:
            urn: the device's name, where the asker may know it; it must hash to the entry's device.
            redacted: leave the detail out, for askers who may see the entry but not its detail.
        """
        async with self.store.read() as connection:
            row = await _entry(connection, origin, index)
            if row is None or row.kind == ERASED_KIND:
                return None
            checkpoint = await _first_checkpoint(connection, row.log_id, index)
            log = None if checkpoint is None else await self._log_proof(connection, origin, index, checkpoint)
            anchor = self._anchor_of(checkpoint)
            proof = None if anchor is None else await self._super_proof(connection, checkpoint, anchor)
        has_anchor = anchor is not None and proof is not None
        evidence = Evidence(
            row=(row.kind, row.device, row.observed_at_ms, row.quantity, row.value, row.detail_digest, row.salt),
            detail=_detail(row, redacted=redacted),
            log=log,
            assignment=self._assignment(origin, index, row, urn),
            super_proof=proof,
            anchor=self._anchor(anchor) if has_anchor and anchor is not None else None,
        )
        return format_evidence(evidence)

    async def look(self, unit: bytes, index: int, *, from_ms: int = 0) -> bytes | None:
        """The `minglou-look/1` file of an entry of the audit log; None where none of that number concerns the unit.

        The head chosen is the first in the super-log that covers the entry.

        Args:
            from_ms: since when what concerns the unit is the asker's to know.
        """
        column, head, note = tables.audit_entries.c, tables.audit_heads.c, tables.audit_notes.c
        mine = column.unit.in_([unit, EVERY_UNIT]) & (column.at_ms >= from_ms)
        # A head of a log that was lost covers none of these entries: its note is not among theirs.
        covering = select(tables.audit_heads).join(tables.audit_notes, note.note == head.note)
        covering = covering.where(head.size > index, note.size == head.size).order_by(head.super_index).limit(1)
        async with self.store.read() as connection:
            entry = select(column.body).where(column.entry_index == index, mine)
            body = (await connection.execute(entry)).scalar_one_or_none()
            if body is None:
                return None
            # A head that an older version signed may be ahead of the tree: no path leads to it yet.
            in_tree = head.size <= await grown_size(connection)
            found = (await connection.execute(covering.where(in_tree))).one_or_none()
            log = (
                None if found is None else await _head_proof(connection, index, found, audit_origin(self.super_origin))
            )
            anchor = self._anchor_of(found)
            proof = None if anchor is None else await self._super_proof(connection, found, anchor)
        return format_look(
            LookEvidence(
                entry=body,
                log=log,
                super_proof=proof,
                anchor=self._anchor(anchor) if anchor is not None and proof is not None else None,
            )
        )

    def _anchor_of(self, checkpoint: Any) -> AnchorRecord | None:
        if self.view is None or checkpoint is None or checkpoint.super_index is None:
            return None
        return self.view.first_anchor(checkpoint.super_index)

    async def _log_proof(self, connection: AsyncConnection, origin: str, index: int, checkpoint: Any) -> LogProof:
        path = await walk(
            connection, LogTree(checkpoint.log_id), lambda node: inclusion_path(node, index, checkpoint.size)
        )
        record = self.view.key_of(origin, checkpoint.public_key) if self.view else None
        if record is None:
            raise StoreError(
                f"the key that signed {origin} at {checkpoint.size} is not in the followed Registry; is this its chain?"
            )
        key = GatewayKey(
            public=record.public, key_class=record.key_class, from_block=record.from_block, to_block=record.to_block
        )
        return LogProof(
            origin=origin, index=index, size=checkpoint.size, path=tuple(path), checkpoint=checkpoint.note, key=key
        )

    async def _super_proof(
        self, connection: AsyncConnection, checkpoint: Any, anchor: AnchorRecord
    ) -> SuperProof | None:
        head = await signed_head(connection, anchor.size)
        if head is None:
            return None
        index = checkpoint.super_index
        path = await walk(connection, SuperTree(), lambda node: inclusion_path(node, index, anchor.size))
        return SuperProof(origin=self.super_origin, index=index, size=anchor.size, path=tuple(path), note=head.note)

    def _anchor(self, anchor: AnchorRecord) -> Anchor:
        assert self.deployment is not None, "anchors come from a followed deployment"
        return Anchor(
            chain_id=self.deployment.chain_id,
            contract=bytes.fromhex(self.deployment.anchor_log[2:]),
            size=anchor.size,
            root=anchor.root,
            path=(),
            block=anchor.block_number,
            block_hash=bytes.fromhex(anchor.block_hash[2:]),
            transaction=bytes.fromhex(anchor.transaction_hash[2:]),
        )

    def _assignment(self, origin: str, index: int, row: Any, urn: str | None) -> Assignment | None:
        record = self.view.assignment(row.device, origin, index) if self.view else None
        if record is None:
            return None
        return Assignment(
            urn=urn,
            device=row.device,
            origin=origin,
            first_index=record.first_index,
            last_index=record.last_index,
            block=record.block,
            binding=self._binding(row),
        )

    def _binding(self, row: Any) -> Binding | None:
        records = self.view.bindings.get(row.device, []) if self.view else []
        boundary = row.quantity.partition("*")[2]
        # A boundary entry counts only for whom the meter was bound to on that day; other entries show the present one.
        fitting = [record for record in records if not boundary or _covers(record, int(boundary))]
        at = fitting[-1] if fitting else None
        if at is None:
            return None
        return Binding(
            unit=at.subject,
            role="own" if at.role == 1 else "pool",
            from_date=_date(at.from_date),
            to_date=_date(at.to_date) if at.to_date else None,
            confirmed=at.confirmed,
        )


def _covers(record: BindingRecord, day: int) -> bool:
    return record.from_date <= day and (not record.to_date or day <= record.to_date)


def _date(number: int) -> date:
    return date(number // 10_000, number // 100 % 100, number % 100)


def _detail(row: Any, *, redacted: bool) -> Any:
    if row.detail is None:
        return None
    return "redacted" if redacted else json.loads(row.detail)


async def _entry(connection: AsyncConnection, origin: str, index: int) -> Any:
    here = await entries_at(connection, await log_id_of(connection, origin), index)
    return open_entry(connection, (await connection.execute(select(tables.entries).where(here))).one_or_none())


async def _head_proof(connection: AsyncConnection, index: int, head: Any, origin: str) -> HeadProof:
    path = await walk(connection, AuditTree(), lambda node: inclusion_path(node, index, head.size))
    return HeadProof(origin=origin, index=index, size=head.size, path=tuple(path), checkpoint=head.note)


async def _first_checkpoint(connection: AsyncConnection, log_id: int, index: int) -> Any:
    column = tables.checkpoints.c
    query = (
        select(tables.checkpoints).where(column.log_id == log_id, column.size > index).order_by(column.size).limit(1)
    )
    return (await connection.execute(query)).one_or_none()
