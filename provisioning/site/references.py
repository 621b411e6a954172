"""What must hold between the tables of a site file: names are unique, and whatever is referred to is there."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from typing import TypeVar

from provisioning.site.model import Broker, Bus, Device, Gateway, Pool, Site, Unit
from provisioning.site.table import Mistakes

__all__ = ["check_references"]

_ORIGIN = re.compile(r"[a-z0-9.-]+(/[a-z0-9-]+){3}")
_ORIGIN_BYTES_MAX = 64


def check_references(site: Site, mistakes: Mistakes) -> None:
    """Record every name that is used twice or refers to nothing."""
    _check_unique(site, mistakes)
    buildings = [building.name for building in site.buildings]
    tariffs = [tariff.name for tariff in site.tariffs]
    gateways = [gateway.name for gateway in site.gateways]
    placed: list[tuple[str, int, Unit | Gateway | Pool | Device]] = [
        *_numbered("unit", site.units),
        *_numbered("gateway", site.gateways),
        *_numbered("pool", site.pools),
        *_numbered("device", site.devices),
    ]
    for kind, number, placed_row in placed:
        _refer(mistakes, (kind, number, "building"), placed_row.building, "building", buildings)
    for number, pool in enumerate(site.pools):
        _refer(mistakes, ("pool", number, "tariff"), pool.tariff, "tariff", tariffs)
    linked: list[tuple[str, int, Bus | Broker | Device]] = [
        *_numbered("bus", site.buses),
        *_numbered("broker", site.brokers),
        *_numbered("device", site.devices),
    ]
    for kind, number, linked_row in linked:
        _refer(mistakes, (kind, number, "gateway"), linked_row.gateway, "gateway", gateways)
    for number, device in enumerate(site.devices):
        _check_device(site, number, device, mistakes)
        _check_service(site, number, device, mistakes)
    _check_floors(site, mistakes)
    _check_origins(site, mistakes)


def _check_device(site: Site, number: int, device: Device, mistakes: Mistakes) -> None:
    units, pools = [unit.name for unit in site.units], [pool.name for pool in site.pools]
    tariffs = [tariff.name for tariff in site.tariffs]
    for key, value, what, names in (
        ("unit", device.unit, "unit", units),
        ("pool", device.pool, "pool", pools),
        ("tariff", device.tariff, "tariff", tariffs),
        ("bus", device.bus, "bus", [bus.name for bus in site.buses if bus.gateway == device.gateway]),
    ):
        if value is not None:
            _refer(mistakes, ("device", number, key), value, what, names)
    if device.mqtt is not None and device.mqtt != "endpoint":
        brokers = [broker.name for broker in site.brokers if broker.gateway == device.gateway]
        _refer(mistakes, ("device", number, "mqtt"), device.mqtt, "broker", brokers)
    gateway = next((gateway for gateway in site.gateways if gateway.name == device.gateway), None)
    if device.ble_address and gateway is not None and gateway.adapter is None:
        mistakes.add(
            ("device", number, "ble_address"),
            f"device {device.name} speaks Bluetooth but gateway {gateway.name} has no adapter",
            f'add adapter = "hci0" to [[gateway]] {gateway.name}',
        )


def _check_service(site: Site, number: int, device: Device, mistakes: Mistakes) -> None:
    """Whose display or door it is, and who maintains it."""
    if device.of is not None:
        lifts = [one.name for one in site.devices if one.kind == "lift" and one.building == device.building]
        if device.of not in lifts:
            says = f"building {device.building} has no lift {device.of}"
            remedy = f"name one of its lifts: {', '.join(lifts)}" if lifts else "add its lift as a [[device]] first"
            mistakes.add(("device", number, "of"), says, remedy)
    firms = [firm.number for firm in site.firms]
    if device.firm is not None and device.firm not in firms:
        says = f"there is no firm {device.firm}"
        mistakes.add(("device", number, "firm"), says, "add a [[firm]] with that number, or correct the reference")


def _check_unique(site: Site, mistakes: Mistakes) -> None:
    _unique(mistakes, "building", "name", [row.name for row in site.buildings])
    _unique(mistakes, "unit", "name", [row.name for row in site.units])
    _unique(mistakes, "tariff", "name", [row.name for row in site.tariffs])
    _unique(mistakes, "pool", "name", [row.name for row in site.pools])
    _unique(mistakes, "firm", "number", [str(firm.number) for firm in site.firms])
    _unique(mistakes, "gateway", "name", [row.name for row in site.gateways])
    _unique(mistakes, "gateway", "log", [row.log for row in site.gateways])
    _unique(mistakes, "bus", "name", [row.name for row in site.buses])
    _unique(mistakes, "broker", "name", [row.name for row in site.brokers])
    _unique(mistakes, "device", "name", [f"{row.building}:{row.kind}:{row.name}" for row in site.devices])
    _unique(mistakes, "device", "address", [f"{row.bus}:{row.address}" if row.address else "" for row in site.devices])
    _unique(mistakes, "device", "topic", [f"{row.mqtt}:{row.topic}" if row.topic else "" for row in site.devices])
    _unique(
        mistakes, "device", "username", [f"{row.mqtt}:{row.username}" if row.username else "" for row in site.devices]
    )
    _unique(mistakes, "device", "ble_address", [row.ble_address or "" for row in site.devices])


def _unique(mistakes: Mistakes, kind: str, key: str, values: Sequence[str]) -> None:
    first: dict[str, int] = {}
    for number, value in enumerate(values):
        if value and value in first:
            earlier = mistakes.lines.line((kind, first[value], key))
            mistakes.add(
                (kind, number, key),
                f"{key} {value.rpartition(':')[2]} is used twice, first on line {earlier}",
                f"give each [[{kind}]] its own {key}",
            )
        first.setdefault(value, number)


def _refer(mistakes: Mistakes, path: tuple[str, int, str], value: str, what: str, names: Iterable[str]) -> None:
    known = list(names)
    if value in known:
        return
    near = difflib.get_close_matches(value, known, n=1, cutoff=0.6)
    remedy = f"did you mean {near[0]}?" if near else f"add a [[{what}]] with that name, or correct the reference"
    mistakes.add(path, f"there is no {what} {value}", remedy)


Row = TypeVar("Row")


def _numbered(kind: str, rows: Sequence[Row]) -> list[tuple[str, int, Row]]:
    return [(kind, number, row) for number, row in enumerate(rows)]


def _check_floors(site: Site, mistakes: Mistakes) -> None:
    floors = {building.name: building.floors for building in site.buildings}
    rows: list[tuple[str, int, Unit | Device]] = [*_numbered("unit", site.units), *_numbered("device", site.devices)]
    for kind, number, row in rows:
        if row.floor > floors.get(row.building, row.floor):
            mistakes.add(
                (kind, number, "floor"),
                f"{kind} {row.name} is on floor {row.floor}, but building {row.building} has {floors[row.building]}",
                "correct the floor, or floors of the building",
            )


def _check_origins(site: Site, mistakes: Mistakes) -> None:
    for number, gateway in enumerate(site.gateways):
        origin = site.origin(gateway)
        if len(origin) > _ORIGIN_BYTES_MAX or not _ORIGIN.fullmatch(origin):
            mistakes.add(
                ("gateway", number, "log"),
                f"the log's origin {origin} is longer than {_ORIGIN_BYTES_MAX} bytes",
                "shorten host, site name or log",
            )
