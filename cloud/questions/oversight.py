"""What those see who look after the firms: late devices by firm, trapped people with when somebody came."""

from collections.abc import Sequence

from cloud.directory import DirectoryDevice
from cloud.identity.roles import Role
from cloud.questions.ground import title
from cloud.questions.repairs import RepairQuestions
from cloud.questions.work import rescue_s_of
from cloud.web.answers import Person, Title
from cloud.web.device_answers import Entrapment, FirmStanding, Oversight, TrappedPeople, WorkRow

__all__ = ["OversightQuestions"]

_OVERSEES = frozenset({Role.MANAGER, Role.COMMITTEE, Role.REGULATOR})
_BUILT_UP_S = 1_800  # TSG T5002-2017: half an hour in built-up areas
_SHOWN = 50


class OversightQuestions(RepairQuestions):
    """Manager, committee and regulator; nothing of any household."""

    async def oversight(self, viewer: Person) -> Oversight | None:
        if viewer.role not in _OVERSEES:
            return None
        work = await self.work(viewer)
        assert work is not None, "who oversees the work sees it"
        late = [row for row in work.rows if row.state == "overdue"]
        return Oversight(
            today=work.today,
            firms=_by_firm(work.rows),
            late=tuple(sorted(late, key=lambda row: (-row.overdue_days, row.name))),
            trapped=tuple(await self._trapped()),
            orders=tuple(order for order in work.orders if order.is_unheard or order.is_missed),
        )

    async def _trapped(self) -> Sequence[TrappedPeople]:
        """Everybody who was trapped within a year, the newest first, beside how soon somebody must be there."""
        lifts = self.directory.of_kind("lift")
        async with self.store.read() as connection:
            found = [
                self._beside(lift, one) for lift in lifts for one in await self._entrapments(connection, lift)
            ]  # fmt: skip
        return sorted(found, key=lambda one: -one.entrapment.at_ms)[:_SHOWN]

    def _beside(self, lift: DirectoryDevice, entrapment: Entrapment) -> TrappedPeople:
        firm = self.firm_of(lift)
        return TrappedPeople(
            name=lift.name,
            title=title(lift.title),
            firm=title(firm.title) if firm else None,
            limit_s=rescue_s_of(self.directory, lift) or _BUILT_UP_S,
            entrapment=entrapment,
        )


def _by_firm(rows: Sequence[WorkRow]) -> tuple[FirmStanding, ...]:
    """Each firm's devices; the one with most of them late first."""
    grouped: dict[Title | None, list[WorkRow]] = {}
    for row in rows:
        grouped.setdefault(row.firm, []).append(row)
    found = [
        FirmStanding(
            firm=firm,
            devices=len(theirs),
            late=sum(row.state == "overdue" for row in theirs),
            soon=sum(row.state == "warning" for row in theirs),
            days_most=max(row.overdue_days for row in theirs),
        )
        for firm, theirs in grouped.items()
    ]
    return tuple(sorted(found, key=lambda one: (-one.late, -one.days_most, one.firm.en if one.firm else "")))
