"""Swaps of a flat's meters, for its owner: what the crew noted, what the gateway read, and the owner's own word."""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import bindparam, select

from cloud.identity.roles import Role
from cloud.questions.bills import BILLS_OF_UNIT, BillQuestions
from cloud.store import tables
from cloud.visits.swaps import KeptSwap
from cloud.web.answers import BillSummary, Person, RelayAnswer
from cloud.web.swap_answers import MeterSwapAnswer, Standing, SwapRequest, SwapTerms
from contracts.meter_swap import meter_swap_to_json
from contracts.person import PersonSignature, key_id_of

__all__ = ["SwapQuestions"]

_SIGNATURE_SECONDS = 7 * 86_400
_VISIT = tables.visits.c
_SWAPPED = select(_VISIT.digest).where(
    _VISIT.device.in_(bindparam("devices", expanding=True)), _VISIT.swap.is_not(None)
)
_BILLS_AND_WHETHER_SWAPPED = BILLS_OF_UNIT.add_columns(_SWAPPED.exists().label("is_swapped"))


class SwapQuestions(BillQuestions):
    """Only the flat's owner sees them: they hold its registers, and the owner alone signs."""

    async def bills_and_swaps(
        self, viewer: Person, door: str
    ) -> tuple[Sequence[BillSummary], Sequence[MeterSwapAnswer]]:
        """What `bills` and `meter_swaps` answer, with one question of the store where a flat's meter never was swapped.

        Every owner looks at the list of bills, and hardly any meter is ever swapped.
        """
        unit, room = self._owned(viewer, door), self.swap_room()
        if unit is None or room is None:
            return await self.bills(viewer, door), ()
        async with self.store.question() as connection:
            named = {"unit": unit.alias, "devices": room.devices_of(unit.alias)}
            rows = (await connection.execute(_BILLS_AND_WHETHER_SWAPPED, named)).all()
        bills = [one for one in self.summaries(unit, rows) if self.is_since(viewer, one.opening)]
        is_never_swapped = bool(rows) and not rows[0].is_swapped
        return bills, () if is_never_swapped else await self.meter_swaps(viewer, door)

    async def meter_swaps(self, viewer: Person, door: str) -> Sequence[MeterSwapAnswer]:
        unit, room = self._owned(viewer, door), self.swap_room()
        if unit is None or room is None:
            return ()
        async with self.store.read() as connection:
            return [await self._answer(connection, unit, one) for one in await room.of_unit(connection, unit.alias)]

    async def meter_swap(self, viewer: Person, door: str, visit: bytes) -> MeterSwapAnswer | None:
        unit, room = self._owned(viewer, door), self.swap_room()
        if unit is None or room is None:
            return None
        async with self.store.read() as connection:
            kept = await room.find(connection, visit)
            is_theirs = kept is not None and kept.signed.file.subject == unit.alias
            return await self._answer(connection, unit, kept) if kept and is_theirs else None

    async def meter_swap_file(self, viewer: Person, door: str, visit: bytes) -> bytes | None:
        """The `minglou-meter-swap/1` file that the page computes its digest from."""
        kept = await self._kept(viewer, door, visit)
        return None if kept is None else json.dumps(meter_swap_to_json(kept.signed), indent=1).encode()

    async def meter_swap_photo(self, viewer: Person, door: str, visit: bytes, name: bytes) -> tuple[str, bytes] | None:
        kept = await self._kept(viewer, door, visit)
        if kept is None or name not in (kept.signed.file.closing_photo, kept.signed.file.opening_photo):
            return None
        photo = await self.cloud.photos.read(visit, name)
        return None if photo is None else (photo.media_type, photo.octets)

    async def relay_meter_swap(self, viewer: Person, request: SwapRequest) -> RelayAnswer:
        """Bring installer's and owner's signature to Bindings."""
        kept = await self._kept(viewer, request.unit, request.visit)
        room, chain = self.swap_room(), self.cloud.chain
        if kept is None or room is None or chain is None:
            return RelayAnswer(accepted=False, code="unknown_swap", remedy="reload the page")
        if kept.standing is Standing.DONE:
            return RelayAnswer(accepted=True, code="known", remedy="it is signed already")
        if kept.standing not in (Standing.TO_CONFIRM, Standing.RELAYED):
            return RelayAnswer(
                accepted=False, code="not_agreed", remedy="the gateway does not bear this swap out; ask the manager"
            )
        from cloud.maintenance.acts import ActRefused  # with the chain's libraries: not without one
        from cloud.visits.swap_act import swap_act

        owner = PersonSignature(
            key_id=key_id_of(request.public), nonce=request.nonce, deadline=request.deadline_s,
            r=int.from_bytes(request.signature[:32]), s=int.from_bytes(request.signature[32:]),
        )  # fmt: skip
        try:
            relayed = await chain.upkeep.acts.take(swap_act(kept.signed, owner))
        except ActRefused as refusal:
            return RelayAnswer(accepted=False, code=refusal.code, remedy=refusal.message)
        await room.note_act(request.visit, relayed.digest)
        return RelayAnswer(accepted=True, code="queued")

    # -- parts ------------------------------------------------------------------------------------------------------

    def _owned(self, viewer: Person, door: str) -> Any:
        is_owner = viewer.role is Role.OWNER and self.is_mine(viewer, door)
        return self.directory.unit_named(door) if is_owner else None

    async def _kept(self, viewer: Person, door: str, visit: bytes) -> KeptSwap | None:
        unit, room = self._owned(viewer, door), self.swap_room()
        if unit is None or room is None:
            return None
        async with self.store.read() as connection:
            kept = await room.find(connection, visit)
        return kept if kept is not None and kept.signed.file.subject == unit.alias else None

    async def _answer(self, connection: Any, unit: Any, kept: KeptSwap) -> MeterSwapAnswer:
        file = kept.signed.file
        act = None if kept.act is None else await _act_state(connection, kept.act)
        standing = Standing.TO_CONFIRM if kept.standing is Standing.RELAYED and _is_refused(act) else kept.standing
        return MeterSwapAnswer(
            visit=file.visit.hex(), quantity=file.noted.quantity, day=file.noted.day, standing=standing,
            ended_at_ms=kept.ended_at_s * 1000,
            closing=kept.closing, opening=kept.opening, photos=(file.closing_photo.hex(), file.opening_photo.hex()),
            entry=kept.entry, act=act, terms=self._terms(unit) if standing is Standing.TO_CONFIRM else None,
        )  # fmt: skip

    def _terms(self, unit: Any) -> SwapTerms | None:
        public, chain = self._owner_key(unit), self.cloud.chain
        if public is None or chain is None:
            return None
        now_ms = self.cloud.settings.clock.now_ms()
        return SwapTerms(
            chain_id=chain.deployment.chain_id, contract=chain.deployment.bindings.lower(), key_public=public,
            nonce=now_ms, deadline_s=max(chain.view.head_time_s, now_ms // 1000) + _SIGNATURE_SECONDS,
        )  # fmt: skip


def _is_refused(act: tuple[str, str] | None) -> bool:
    """Whether the contract would not have it after all, so that the owner may sign anew."""
    return act is not None and act[0] == "refused"


async def _act_state(connection: Any, act: bytes) -> tuple[str, str] | None:
    column = tables.intents.c
    query = select(column.state, column.says).where(column.kind == "act", column.business_key.endswith(act.hex()))
    row = (await connection.execute(query)).first()
    return None if row is None else (row.state, row.says)
