"""The audit log's heads in a copy: taken only where the super-log, as its operator signed it, holds them."""

import asyncio
from collections.abc import Sequence

from cloud.errors import MirrorError
from cloud.mirror.cloud_client import CloudClient
from cloud.segments.notes import NotesFile, StoredNote
from contracts.checkpoint import Checkpoint, audit_origin
from contracts.errors import ContractsError
from contracts.superlog import audit_leaf_of, open_superlog, parse_superlog
from contracts.tiles import TILE_WIDTH, decode_tile, tile_at
from contracts.tree import leaf_hash
from contracts.trust import Trust

__all__ = ["AuditHeads"]

_PORTIONS_MAX = 8
_ROUND_SECONDS = 600.0
_ASK = "ask its operator; what this copy holds stays as it is"


class AuditHeads:
    """Keeps the leaves of the super-log that no log's frames hold: a store is made anew from the copy with them.

    Args:
        trust: whose signature a checkpoint of the super-log needs; None believes the cloud's word for its size, as a
            copy that pins gateways' keys knows no other.
    """

    def __init__(self, cloud: CloudClient, file: NotesFile, trust: Trust | None) -> None:
        self._cloud, self._file, self._trust = cloud, file, trust
        self._checked: Checkpoint | None = None

    async def follow(self) -> int:
        """Keep the heads that came, as many as one round may take; how many.

        Raises:
            MirrorError: one is not what the super-log holds at its place, or a kept one is not any more.
        """
        taken = 0
        try:
            async with asyncio.timeout(_ROUND_SECONDS):
                for _ in range(_PORTIONS_MAX):
                    portion = await self._take_portion()
                    taken += portion
                    if not portion:
                        break
        except TimeoutError as error:
            raise MirrorError(f"the audit log's heads took over {_ROUND_SECONDS:g} s; they go on next round") from error
        return taken

    async def _take_portion(self) -> int:
        last, signed = await asyncio.to_thread(self._file.last), await self._signed()
        size, kept = signed.size if signed else 0, [last] if last.order >= 0 else []
        if kept and last.order >= size:
            raise MirrorError(
                f"the cloud signs {size} leaves of its super-log, and has shown a head of its audit log at "
                f"{last.order}: it was set back to an older state; {_ASK}"
            )
        if signed is None:
            return 0
        listed = await self._cloud.audit_heads(last.order + 1)
        new = [head for head in listed if head.order < size]  # the others come with the next checkpoint
        if new or signed != self._checked:
            # The last one kept too: behind a history that was rewritten, no head is one of ours.
            await self._check([*kept, *new], signed)
            self._checked = signed
        if new:
            await asyncio.to_thread(self._file.append, new)
        return len(new)

    async def _signed(self) -> Checkpoint | None:
        note = await self._cloud.super_checkpoint()
        if note is None:
            return None
        try:
            if self._trust is None:
                return parse_superlog(note)
            return open_superlog(note, self._trust.super_log_origin, self._trust.super_log_public)
        except ContractsError as error:
            raise MirrorError(f"the cloud shows a super-log that does not hold: {error}; {_ASK}") from error

    async def _check(self, heads: Sequence[StoredNote], signed: Checkpoint) -> None:
        """Each must be of this deployment's audit log and the leaf that is served for its place."""
        origin, row, index = audit_origin(signed.origin), list[bytes](), -1
        for head in heads:
            try:
                said, leaf = parse_superlog(head.note).origin, audit_leaf_of(head.note)
                if head.order // TILE_WIDTH != index:
                    index = head.order // TILE_WIDTH
                    tile = tile_at(0, index, signed.size)
                    row = decode_tile(await self._cloud.super_tile(tile), tile.width)
            except ContractsError as error:
                raise MirrorError(f"the head of the audit log at {head.order} of the super-log: {error}") from error
            if said != origin or leaf_hash(leaf) != row[head.order % TILE_WIDTH]:
                raise MirrorError(
                    f"the super-log holds another leaf at {head.order} than the head of {said} with {head.size} "
                    f"entries; {_ASK}"
                )
