"""What a household reports to be repaired: kept in words here, signed onto the chain where its owner's browser can.

A report has its order's name from the first moment on, whether the chain has it or not: SHA-256 of unit, device and the
words' digest. So a tenant's words, which nobody signed, become the same order once the flat's owner signs them.
"""

import secrets
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select, update

from cloud.directory import DirectoryDevice, DirectoryFirm, DirectoryUnit, Words
from cloud.identity import audit
from cloud.identity.roles import HOUSEHOLD, Role
from cloud.questions.ground import title
from cloud.questions.work import WorkQuestions
from cloud.store import tables
from cloud.store.upsert import insert_new
from cloud.visits.pictures import PictureRefused
from cloud.web.answers import Person
from cloud.web.device_answers import FaultNote, Work, WorkOrder
from cloud.web.repair_answers import Repair, RepairAnswer, RepairForm, RepairPlace, RepairReason, SigningTerms
from contracts.detail import SALT_BYTES
from contracts.errors import DetailError
from contracts.person import KeyKind, key_id_of
from contracts.repair import Report, parse_reason, parse_report
from contracts.work_order import NO_DEVICE, Cause, Order, owners_order

if TYPE_CHECKING:
    from contracts.act_file import Act

__all__ = ["RepairQuestions"]

_SIGNATURE_S = 86_400  # a page may stay open over dinner
_OF_A_UNIT_A_DAY = 20
_DAY_MS = 86_400_000
_SHOWN = 50
_ELSEWHERE = DirectoryDevice(
    urn="", device=NO_DEVICE, kind="", origin="", floor=None, name="", quantity=None, unit=None, pool=None, tariff=None,
    title=Words(zh="其他（楼里的任何东西）", en="Something else in the building"),
)  # fmt: skip
"""What has no device: a lamp, a tap, a wall."""
_FIRMS = frozenset({Role.CREW, Role.FIRM})
_ANSWERS = frozenset({"confirm", "withdraw"})  # that need no words


class RepairQuestions(WorkQuestions):
    """A household sees what was reported for its own flat; a tenant nothing of who lived there before."""

    async def repair_form(self, viewer: Person, door: str) -> RepairForm | None:
        """What the form of one flat offers; None for one that is not the viewer's."""
        unit = self._own_unit(viewer, door)
        if unit is None:
            return None
        named = [one for one in self.directory.devices if self._may_report(unit, one)]
        places = [
            RepairPlace(device=one.device.hex(), title=title(one.title), place=self.place_of(one)) for one in named
        ]
        nothing = RepairPlace(device="", title=title(_ELSEWHERE.title), place=None)
        return RepairForm(
            door=door, flat=title(unit.title), places=(*places, nothing), terms=self._terms_of(viewer, unit)
        )

    async def repairs(self, viewer: Person) -> Sequence[Repair]:
        """A household's reports, the newest first."""
        units = [unit for door in viewer.units if (unit := self._own_unit(viewer, door)) is not None]
        column = tables.repair_words.c
        query = (
            select(tables.repair_words)
            .where(column.unit.in_([one.alias for one in units]), column.kind == "report")
            .where(column.said_at_ms >= viewer.since_ms)
            .order_by(column.said_at_ms.desc())
            .limit(_SHOWN)
        )
        async with self.store.read() as connection:
            rows = (await connection.execute(query)).all()
            reasons = await self._reasons(connection, [row.order_name for row in rows])
        return [await self._repair(viewer, row, reasons.get(row.order_name, ())) for row in rows]

    async def repair(self, viewer: Person, name: bytes) -> Repair | None:
        """One report of the viewer's own flat by its order's name."""
        row = await self._own_row(viewer, name)
        if row is None:
            return None
        async with self.store.read() as connection:
            reasons = await self._reasons(connection, [name])
        return await self._repair(viewer, row, reasons.get(name, ()))

    async def report_repair(self, viewer: Person, door: str, detail: bytes, act: bytes | None) -> RepairAnswer:
        """Keep a report, and relay what its owner signed; the same words again change nothing but that they are signed.

        Args:
            detail: as `contracts.repair` reads it.
            act: the signed `minglou-act/1`; None where nobody has signed.
        """
        unit = self._own_unit(viewer, door)
        if unit is None:
            return RepairAnswer(status=404, code="not_found", remedy="sign in as somebody of this flat")
        try:
            report, digest = parse_report(detail)
        except DetailError as error:
            return RepairAnswer(status=422, code="malformed", remedy=str(error))
        if not self._knows(unit, report.device):
            return RepairAnswer(status=422, code="unknown_device", remedy="choose one of the things in the list")
        name = owners_order(unit.alias, report.device, digest)
        if act is not None:
            refused = await self._relay(viewer, unit, act, {"device": report.device, "report": digest}, "report")
            if refused is not None:
                return refused
        return await self._keep(viewer, unit, "report", name, report.device, digest, detail, act)

    async def tell_repair(self, viewer: Person, door: str, device: str, place: str, says: str) -> RepairAnswer:
        """Keep what a form without a signature says."""
        try:
            named = bytes.fromhex(device) if device else NO_DEVICE
            at_s = self.now_ms() // 1000
            report = Report(device=named, place=place, says=says, at_s=at_s)
        except (ValueError, DetailError):
            return RepairAnswer(status=422, code="malformed", remedy="say what is wrong, in 1 to 500 letters")
        detail = report.encode(salt=secrets.token_bytes(SALT_BYTES))
        return await self.report_repair(viewer, door, detail, None)

    async def answer_repair(self, viewer: Person, name: bytes, detail: bytes | None, act: bytes) -> RepairAnswer:
        """Relay what an owner signed about finished work, or a report that nobody has accepted; keep the reason."""
        row = await self._row(name)
        unit = self.directory.unit_of(row.unit) if row is not None else None
        if row is None or unit is None or self._own_unit(viewer, unit.name) is None:
            return RepairAnswer(status=404, code="not_found", remedy="begin again from your own page")
        function, expected = "", {"order": name}
        if detail is not None:
            try:
                reason, digest = parse_reason(detail)
            except DetailError as error:
                return RepairAnswer(status=422, code="malformed", remedy=str(error))
            if reason.order != name:
                return RepairAnswer(status=422, code="malformed", remedy="the reason is about another repair")
            function, expected = "reopen", {"order": name, "reason": digest}
        refused = await self._relay(viewer, unit, act, expected, function)
        if refused is not None:
            return refused
        if detail is None:
            return RepairAnswer(status=202, code="sent", name=name.hex())
        return await self._keep(viewer, unit, "reopen", name, row.device, digest, detail, act)

    async def add_repair_photo(self, viewer: Person, name: bytes, octets: bytes) -> RepairAnswer:
        """Keep the photograph of an own report that has none: what was sent once is not exchanged later."""
        row = await self._own_row(viewer, name)
        if row is None:
            return RepairAnswer(status=404, code="not_found", remedy="begin again from your own page")
        try:
            is_new = await self.cloud.repair_photos.add(name, row.unit, octets)
        except PictureRefused as refusal:
            return RepairAnswer(status=422, code="bad_picture", remedy=str(refusal), name=name.hex())
        if not is_new:
            return RepairAnswer(
                status=409, code="has_photo", remedy="the report has its photo already", name=name.hex()
            )
        return RepairAnswer(status=201, code="kept", name=name.hex())

    async def repair_photo(self, viewer: Person, name: bytes) -> bytes | None:
        """A report's photograph for its own household, for the manager, and for the firm that serves what it is about,
        once it is an order; each look of the latter is in the audit log first.
        """
        row = await self._row(name)
        if row is None or not await self._may_look(viewer, row):
            return None
        photo = await self.cloud.repair_photos.read(name, row.unit)
        if photo is not None and viewer.grant is not None and viewer.role not in HOUSEHOLD:
            await self.cloud.identity.audit.write(
                audit.Act.PHOTO_SHOWN, at_ms=self.now_ms(), account=viewer.grant.account, role=viewer.grant.role.value,
                unit=row.unit, what=f"/repairs/{name.hex()[:16]}/photo",
            )  # fmt: skip
        return photo

    async def _may_look(self, viewer: Person, row: Any) -> bool:
        if viewer.role in HOUSEHOLD:
            return await self._own_row(viewer, row.order_name) is not None
        if viewer.role in _FIRMS:
            return await self.order(viewer, row.order_name) is not None
        return viewer.role is Role.MANAGER

    async def _own_row(self, viewer: Person, name: bytes) -> Any:
        """The row of an own flat's report, from since when it is the viewer's; None for any other."""
        row = await self._row(name)
        unit = self.directory.unit_of(row.unit) if row is not None else None
        is_own = unit is not None and self._own_unit(viewer, unit.name) is not None
        return row if is_own and row.said_at_ms >= viewer.since_ms else None

    def _photo_of(self, viewer: Person, name: bytes) -> str:
        """Where somebody who looks after a repair finds its photograph."""
        is_theirs = viewer.role is Role.MANAGER or viewer.role in _FIRMS
        return f"/repairs/{name.hex()}/photo" if is_theirs and self.cloud.repair_photos.has(name) else ""

    # -- what others see of it --------------------------------------------------------------------------------------

    async def work(self, viewer: Person) -> Work | None:
        """With what households told without a signature, for whoever looks after the device."""
        found = await super().work(viewer)
        if found is None:
            return None
        notes = sorted([*found.notes, *await self._unsigned(viewer)], key=lambda note: -note.at_ms)
        return replace(found, notes=tuple(notes[:_SHOWN]))

    async def order(self, viewer: Person, name: bytes) -> WorkOrder | None:
        """With the words of whoever reported it."""
        found = await super().order(viewer, name)
        row = await self._row(name) if found is not None else None
        if found is None or row is None:
            return found
        report, _ = parse_report(row.detail.encode())
        async with self.store.read() as connection:
            reasons = await self._reasons(connection, [name])
        words = (report.says, *(one.says for one in reasons.get(name, ())))
        return replace(found, where=report.place, words=words, photo=self._photo_of(viewer, name))

    async def _unsigned(self, viewer: Person) -> list[FaultNote]:
        column = tables.repair_words.c
        query = (
            select(tables.repair_words)
            .where(column.kind == "report", column.act.is_(None), column.said_at_ms >= self.now_ms() - _DAY_MS * 90)
            .order_by(column.said_at_ms.desc())
            .limit(_SHOWN)
        )
        async with self.store.read() as connection:
            rows = (await connection.execute(query)).all()
        served = {one.device: one for one in self._served(viewer, self._firm_of(viewer)) if one.device != NO_DEVICE}
        return [note for row in rows if (note := self._note(viewer, row, served)) is not None]

    def _note(self, viewer: Person, row: Any, served: dict[bytes, DirectoryDevice]) -> FaultNote | None:
        """What stands at no device, and from which flat it came, is the manager's to read alone."""
        unit = self.directory.unit_of(row.unit) if viewer.role is Role.MANAGER else None
        device = served.get(row.device)
        if device is None and unit is None:
            return None
        report, _ = parse_report(row.detail.encode())
        about = title((device or _ELSEWHERE).title)
        whose = title(unit.title) if unit else None
        return FaultNote(
            at_ms=row.said_at_ms, device=about, name=device.name if device else "", place=report.place,
            says=report.says, flat=whose, photo=self._photo_of(viewer, row.order_name) if unit else "",
        )  # fmt: skip

    def _served(self, viewer: Person, firm: DirectoryFirm | None) -> Sequence[DirectoryDevice]:
        """The manager's are also the orders about what has no device."""
        found = super()._served(viewer, firm)
        return [*found, _ELSEWHERE] if viewer.role is Role.MANAGER else found

    def _firm_of(self, viewer: Person) -> DirectoryFirm | None:
        return self._firm_named(viewer.grant.firm if viewer.grant else None)

    # -- parts ------------------------------------------------------------------------------------------------------

    def _own_unit(self, viewer: Person, door: str) -> DirectoryUnit | None:
        is_theirs = viewer.role in HOUSEHOLD and door in viewer.units
        return self.directory.unit_named(door) if is_theirs else None

    @staticmethod
    def _may_report(unit: DirectoryUnit, device: DirectoryDevice) -> bool:
        """What is everybody's, and what counts for the flat itself."""
        return device.unit in (None, unit.alias)

    def _knows(self, unit: DirectoryUnit, device: bytes) -> bool:
        named = self.directory.device_of(device)
        return device == NO_DEVICE or (named is not None and self._may_report(unit, named))

    async def _row(self, name: bytes) -> Any:
        column = tables.repair_words.c
        query = select(tables.repair_words).where(column.order_name == name, column.kind == "report")
        async with self.store.read() as connection:
            return (await connection.execute(query)).one_or_none()

    async def _reasons(self, connection: Any, names: Sequence[bytes]) -> dict[bytes, list[RepairReason]]:
        column, found = tables.repair_words.c, dict[bytes, list[RepairReason]]()
        if not names:
            return found
        query = (
            select(tables.repair_words)
            .where(column.order_name.in_(names), column.kind == "reopen")
            .order_by(column.said_at_ms)
        )
        for row in await connection.execute(query):
            reason, _ = parse_reason(row.detail.encode())
            found.setdefault(row.order_name, []).append(RepairReason(says=reason.says, said_at_ms=row.said_at_ms))
        return found

    async def _repair(self, viewer: Person, row: Any, reasons: Sequence[RepairReason]) -> Repair:
        report, _ = parse_report(row.detail.encode())
        unit, device = self.directory.unit_of(row.unit), self.directory.device_of(row.device)
        assert unit is not None, "it is the viewer's own"
        order = self.maintenance.book.orders.get(row.order_name) if self.maintenance else None
        state, problem = await self._state(row, order)
        firm = self.directory.firm_numbered(order.firm) if order and order.firm else None
        address = ("/lifts/" if device.kind == "lift" else "/devices/") + device.name if device else ""
        return Repair(
            name=row.order_name.hex(),
            flat=title(unit.title),
            device=title(device.title) if device else None,
            device_page=address if device and device.unit is None else "",
            place=report.place,
            says=report.says,
            detail=row.detail,
            device_hash=row.device,
            said_at_ms=row.said_at_ms,
            by_tenant=row.role == Role.TENANT.value,
            state=state,
            problem=problem,
            round=order.round if order else 0,
            firm=title(firm.title) if firm else None,
            promise_at_ms=(order.promise_at * 1000 or None) if order else None,
            done_at_ms=(order.done_at * 1000 or None) if order else None,
            is_unheard=order is not None and bool(order.escalated & Cause.NOT_ACCEPTED),
            is_missed=order is not None and bool(order.escalated & Cause.PROMISE_MISSED),
            reopened=order.reopened if order else 0,
            transaction=self._reported_in(row.order_name),
            reasons=tuple(reasons),
            terms=self._terms_of(viewer, unit),
            has_photo=self.cloud.repair_photos.has(row.order_name),
        )

    def _reported_in(self, name: bytes) -> str | None:
        found = self.maintenance.reports.get(name) if self.maintenance else None
        return found[1] if found else None

    async def _state(self, row: Any, order: Order | None) -> tuple[str, str]:
        """A report's state in one word, and why the chain does not take it."""
        if order is not None:
            return order.state.name.lower(), ""
        if row.act is None or self.cloud.chain is None:
            return "told", ""
        from cloud.maintenance.acts import ActRefused  # with the chain's libraries: not without one

        try:
            relayed = await self.cloud.chain.upkeep.acts.take(row.act.encode())
        except ActRefused as refused:
            return "refused", refused.message
        return ("refused", relayed.says) if relayed.state in ("refused", "done") else ("sent", "")

    def _terms_of(self, viewer: Person, unit: DirectoryUnit) -> SigningTerms | None:
        """An owner signs with the flat's key in force; a tenant has none."""
        public = self._key_of(unit)
        if viewer.role is not Role.OWNER or not viewer.can_act or self.cloud.chain is None or public is None:
            return None
        contract = self.cloud.chain.deployment.work_orders
        if not contract or self.view is None:
            return None
        now_ms = self.now_ms()
        return SigningTerms(
            chain_id=self.cloud.chain.deployment.chain_id,
            contract=contract,
            key_public=public,
            key_id=key_id_of(public),
            nonce=now_ms,
            deadline_s=max(self.view.head_time_s, now_ms // 1000) + _SIGNATURE_S,
        )

    def _key_of(self, unit: DirectoryUnit) -> bytes | None:
        keys = self.view.keys_of_unit(unit.alias) if self.view else ()
        return next((key.public for key in keys if key.is_in_force and key.kind == KeyKind.SOFTWARE), None)

    async def _relay(
        self, viewer: Person, unit: DirectoryUnit, encoded: bytes, expected: dict[str, bytes], function: str
    ) -> RepairAnswer | None:
        """Hand an act on, if it says exactly what its page showed; why not, where it is refused."""
        if self._terms_of(viewer, unit) is None or self.cloud.chain is None:
            return RepairAnswer(status=409, code="no_key", remedy="sign in as the flat's owner, with the flat's key")
        from cloud.chain.directory import abi_of
        from cloud.maintenance.acts import ActRefused
        from contracts.act_file import ActError, parse_act

        try:
            act = parse_act(encoded, abi_of)
        except ActError as error:
            return RepairAnswer(status=422, code="malformed", remedy=str(error))
        if not _is_meant(act, expected, function) or act.arguments["signature"]["key_id"] != self._key_id(unit):
            return RepairAnswer(status=422, code="other_act", remedy="load the page again and sign once more")
        try:
            await self.cloud.chain.upkeep.acts.take(encoded)
        except ActRefused as refused:
            return RepairAnswer(status=refused.status, code=refused.code, remedy=refused.message)
        return None

    def _key_id(self, unit: DirectoryUnit) -> bytes:
        public = self._key_of(unit)
        return key_id_of(public) if public else b""

    async def _keep(
        self, viewer: Person, unit: DirectoryUnit, kind: str, name: bytes, device: bytes, digest: bytes, detail: bytes,
        act: bytes | None,
    ) -> RepairAnswer:  # fmt: skip
        column, now_ms = tables.repair_words.c, self.now_ms()
        row = {
            "digest": digest, "order_name": name, "unit": unit.alias, "device": device, "kind": kind,
            "detail": detail.decode(), "act": act.decode() if act else None, "role": viewer.role.value,
            "said_at_ms": now_ms,
        }  # fmt: skip
        recent = select(func.count()).where(column.unit == unit.alias, column.said_at_ms > now_ms - _DAY_MS)
        async with self.store.write(None) as connection:
            is_known = (await connection.execute(select(column.digest).where(column.digest == digest))).first()
            if not is_known and (await connection.execute(recent)).scalar_one() >= _OF_A_UNIT_A_DAY:
                remedy = f"{_OF_A_UNIT_A_DAY} were written for this flat today; call the property office"
                return RepairAnswer(status=429, code="too_many", remedy=remedy)
            if not await insert_new(connection, tables.repair_words, row) and act is not None:
                unsigned = (column.digest == digest) & (column.unit == unit.alias) & column.act.is_(None)
                await connection.execute(update(tables.repair_words).where(unsigned).values(act=act.decode()))
        return RepairAnswer(status=202 if act else 201, code="sent" if act else "told", name=name.hex())


def _is_meant(act: "Act", expected: dict[str, bytes], function: str) -> bool:
    """Whether an act is the one that a page asked for: of WorkOrders, about this, and no other function."""
    if act.contract != "WorkOrders" or (act.function != function if function else act.function not in _ANSWERS):
        return False
    return all(act.arguments.get(name) == value for name, value in expected.items())
