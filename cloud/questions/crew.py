"""What a crew's phone keeps: `minglou-work/1`, the lifts of its firm with labels, lists and due days.

A phone that once had it needs no network to begin, fill and sign a visit. It names people by alias alone; their names
stay on their own phones. Of a flat's meter it is told only while another one waits to take its place.
"""

import json
from collections.abc import Iterable, Sequence
from functools import lru_cache
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import select

from cloud.directory import CrewMember, Directory, DirectoryDevice, DirectoryFirm, Words
from cloud.identity.roles import Role
from cloud.maintenance.visited import read_done
from cloud.questions.devices import due_work
from cloud.questions.ground import day_of
from cloud.questions.work import WorkQuestions
from cloud.store import tables
from cloud.visits.letters import find_judgement
from cloud.visits.planned import SWAP_PACK, PlannedSwap, planned_swap
from cloud.web.answers import Person
from cloud.web.crew import pack_address
from cloud.web.device_answers import WorkOrder
from contracts.due import DoneDay, day_number
from contracts.packs import NAMES, pack_bytes
from contracts.person import key_id_of
from contracts.visit import CLASS_NAMES, VisitClass
from contracts.work_order import Order

__all__ = ["CrewQuestions"]

FORMAT = "minglou-work/1"
_FENCE_RADIUS_M = 1_500  # a building's cell is a hundredth of a degree, up to 1.1 km
_MICRO = 1_000_000


class CrewQuestions(WorkQuestions):
    """What phones of crews keep."""

    async def crew_work(self, viewer: Person) -> bytes:
        """The file for one member of a crew or a firm: the same bytes until something changes."""
        devices = self._served_by_crew(viewer)
        async with self.store.read() as connection:
            done = await read_done(connection, devices, self.directory.timezone, now_s=self.now_ms() // 1000)
            rows = [await self._crew_device(connection, one, done.get(one.device, ())) for one in devices]
            orders = [order for one in devices for order in await self._crew_orders(connection, one)]
        room, directory = self.cloud.visits, self.directory
        names = sorted({name for device in devices for name in self.packs_of(device)})
        work = {
            "format": FORMAT,
            "site": {
                "name": directory.site, "title": _words(directory.title), "timezone": directory.timezone.key,
            },
            "host": urlsplit(self.cloud.settings.public_url).netloc,
            "chain_id": str(room.chain_id),
            "contracts": {
                "service_agreements": room.contract, "work_orders": self.cloud.arrivals.contract or None,
                "bindings": self.cloud.chain.deployment.bindings.lower() if self.cloud.chain else None,
            },
            "packs": [_pack(name) for name in names],
            "devices": rows,
            "orders": sorted(orders, key=lambda one: (one["cause"] != "entrapment", one["seen_at"], one["name"])),
            "people": [_member(one) for one in self._signers(viewer)],
        }  # fmt: skip
        return json.dumps(work, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()

    def _served_by_crew(self, viewer: Person) -> Sequence[DirectoryDevice]:
        """Devices with a code and a list that the viewer's firm looks after; where a site knows one firm or none, all:
        there is nobody from whom they would have to be kept."""
        served = [one for one in self.directory.devices if one.unit is None]
        firm = self._crews_firm(viewer)
        if self.directory.firms:
            served = list(self._served(viewer, firm))
        known = {one.device for one in served}
        planned = [one for one in self._meters_to_swap(firm) if one.device not in known]
        return [device for device in (*served, *planned) if device.labels and device.packs]

    def _meters_to_swap(self, firm: DirectoryFirm | None) -> Sequence[DirectoryDevice]:
        """Flats' meters whose place another one waits to take, by this firm's hands where the site knows firms."""
        everybodys = not self.directory.firms
        waiting = [one for one in self.directory.devices if SWAP_PACK in one.packs and self._planned(one) is not None]
        return [one for one in waiting if everybodys or (firm is not None and self.firm_of(one) == firm)]

    def _planned(self, device: DirectoryDevice) -> PlannedSwap | None:
        return None if self.view is None else planned_swap(self.directory, self.view.bindings, device)

    def _crews_firm(self, viewer: Person) -> DirectoryFirm | None:
        firms = self.directory.firms
        return self._firm_named(viewer.grant.firm if viewer.grant else None) or (firms[0] if len(firms) == 1 else None)

    def _signers(self, viewer: Person) -> Sequence[CrewMember]:
        """Whose signatures the viewer's phone may meet: its own firm's and the site's own people's; a manager's any."""
        firm = self._crews_firm(viewer)
        if viewer.role is Role.MANAGER or not self.directory.firms:
            return self.directory.crew
        known = {0, firm.number if firm else 0}
        return [one for one in self.directory.crew if one.duty == "manager" or one.firm_number in known]

    async def _crew_device(self, connection: Any, device: DirectoryDevice, done: Sequence[DoneDay]) -> dict[str, Any]:
        since_ms = None if device.serviced_since else await self.first_seen_ms(connection, device)
        due = [due_work(row) for row in self.due_of(device, done, since_ms)]
        return {
            **_device(self.directory, device, self.packs_of(device)),
            "due": [
                {"class": one.visit_class, "due_on": one.due.isoformat(), "warn_on": one.warn.isoformat(),
                 "overdue_days": one.overdue_days}
                for one in due
            ],
            "last_visit": await _last_visit(connection, device),
            "swap": await self._swap(connection, device),
        }  # fmt: skip

    async def _swap(self, connection: Any, device: DirectoryDevice) -> dict[str, Any] | None:
        """What the installer's half of a swap is made of, beside what he reads himself."""
        planned, room = self._planned(device), self.swap_room()
        if planned is None or room is None:
            return None
        return {
            "subject": planned.subject.hex(),
            "from": day_of(planned.from_date).isoformat(),
            "opening": await room.opening_of(connection, planned.subject, device.device),
            "quantity": planned.quantity,
            "step": device.register_step,
            "spares": [
                {
                    "device": one.device.hex(),
                    "name": one.name,
                    "title": _words(one.title),
                    "step": one.register_step,
                    "labels": [label.digest.hex() for label in one.labels],
                }
                for one in planned.spares
            ],
        }

    def packs_of(self, device: DirectoryDevice) -> Sequence[str]:
        """A device's lists, its agreements' before its directory's: a visit by another list's bytes earns nothing."""
        today = day_number(self.today())
        agreed = self.maintenance.agreements_of(device.device, today) if self.maintenance else ()
        plans = [name for one in agreed for name in NAMES if _digest_of(name) == one.terms.plan]
        return list(dict.fromkeys((*plans, *(name for name in device.packs if name in NAMES))))

    async def _crew_orders(self, connection: Any, device: DirectoryDevice) -> list[dict[str, Any]]:
        """Open work orders on a device: what an arrival and a firm's acts are signed for, and whether a colleague is
        there already, whose phone alone would know it else.
        """
        view = self.maintenance
        held = {name.hex(): order for name, order, _at in view.orders(device.device)} if view else {}
        told = await self._orders(connection, device)
        return [_order(device, held[one.name], one) for one in told if not held[one.name].is_closed]


def _order(device: DirectoryDevice, order: Order, told: WorkOrder) -> dict[str, Any]:
    return {
        "name": told.name,
        "device": device.device.hex(),
        "cause": told.cause,
        "state": told.state,
        "round": order.round,
        "seen_at": told.seen_at_ms // 1000,
        "promise_at": order.promise_at or None,
        "firm": order.firm,
        "rescue_s": told.rescue_s,
        "arrived_after_s": told.arrived_after_s,
        "arrival_shown": told.arrival_shown,
    }


async def _last_visit(connection: Any, device: DirectoryDevice) -> dict[str, Any] | None:
    column = tables.visits.c
    query = select(tables.visits).where(column.device == device.device).order_by(column.started_at_s.desc()).limit(1)
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        return None
    entry = await find_judgement(connection, row)
    visit_class = CLASS_NAMES[VisitClass(row.visit_class)]
    return {"at": row.started_at_s, "class": visit_class, "level": entry.value if entry else None}


def _device(directory: Directory, device: DirectoryDevice, packs: Sequence[str]) -> dict[str, Any]:
    building = directory.building_named(device.building)
    return {
        "name": device.name,
        "title": _words(device.title),
        "kind": device.kind,
        "device": device.device.hex(),
        "place": {"building": _words(building.title) if building else None, "floor": device.floor},
        "labels": [
            {"place": label.place, "digest": label.digest.hex()}
            for label in (*device.labels, *_display_labels(directory, device))
        ],
        "packs": [_digest_of(name).hex() for name in packs],
        "fence": _fence(building.cell if building else None),
    }


def _display_labels(directory: Directory, device: DirectoryDevice) -> Iterable[Any]:
    """A display is a device of its own; its code stands for the lift in which it hangs."""
    return (label for one in directory.devices if one.of == device.device for label in one.labels)


def _fence(cell: str | None) -> dict[str, int] | None:
    if cell is None:
        return None
    latitude, longitude = (round(float(part) * _MICRO) for part in cell.split(","))
    return {"latitude_e6": latitude, "longitude_e6": longitude, "radius_m": _FENCE_RADIUS_M}


def _member(member: CrewMember) -> dict[str, Any]:
    return {
        "alias": member.alias.hex(),
        "key_id": key_id_of(member.public).hex(),
        "duty": member.duty,
        "installs": member.installs,
    }


def _pack(name: str) -> dict[str, str]:
    return {"name": name, "url": pack_address(_digest_of(name)), "sha256": _digest_of(name).hex()}


@lru_cache(maxsize=len(NAMES))
def _digest_of(name: str) -> bytes:
    return sha256(pack_bytes(name)).digest()


def _words(words: Words) -> dict[str, str]:
    return {"zh": words.zh, "en": words.en}
