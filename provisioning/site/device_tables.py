"""`[[device]]` tables: which keys a device needs depends on what it is and on how it is reached."""

from __future__ import annotations

from contracts.label import PLACE_OF
from provisioning.site.forms import BLE_ADDRESS, LABEL, METER_ADDRESS, NAME, PACK, PROFILE, TITLE, TOPIC, USERNAME
from provisioning.site.model import Device, Title
from provisioning.site.table import Table

__all__ = ["KINDS", "PLACES", "take_device"]

KINDS = ("meter", "lift", "access", "water", "display")
PLACES = tuple(PLACE_OF)
_FIRM_MAX = 65_535


def take_device(table: Table) -> Device:
    """One device; a wrong mixture of keys is a mistake of the table."""
    titles = table.table("title")
    device = Device(
        name=table.text("name", LABEL, "0501"),
        kind=table.choice("kind", KINDS),
        title=Title(zh=titles.text("zh", TITLE, "电表 0501"), en=titles.text("en", TITLE, "Meter 0501")),
        building=table.text("building", LABEL, "b07"),
        floor=table.whole("floor", -9, 200),
        gateway=table.text("gateway", LABEL, "g1"),
        profile=table.text("profile", PROFILE, "dlt645-2007-single-phase"),
        unit=table.optional_text("unit", NAME, "b07-0501"),
        pool=table.optional_text("pool", LABEL, "common"),
        tariff=table.optional_text("tariff", LABEL, "electricity"),
        bus=table.optional_text("bus", LABEL, "bus1"),
        address=table.optional_text("address", METER_ADDRESS, "000000005011"),
        mqtt=table.optional_text("mqtt", LABEL, "endpoint"),
        topic=table.optional_text("topic", TOPIC, "lift/l1"),
        username=table.optional_text("username", USERNAME, "lift-l1"),
        ble_address=table.optional_text("ble_address", BLE_ADDRESS, "AA:BB:CC:00:05:01"),
        of=table.optional_text("of", LABEL, "l1"),
        without=table.texts("without", LABEL, "fire-switch"),
        labels=table.choices("labels", PLACES),
        packs=table.texts("packs", PACK, "cn-tsg-t5002-2017-a"),
        firm=table.whole("firm", 1, _FIRM_MAX) if table.has("firm") else None,
        inspection_until=table.optional_date("inspection_until"),
        calibration_until=table.optional_date("calibration_until"),
        serviced_since=table.optional_date("serviced_since"),
        spare=table.flag("spare"),
    )
    titles.close()
    _check_reach(table, device)
    _check_counting(table, device)
    _check_belonging(table, device)
    table.close()
    return device


def _check_reach(table: Table, device: Device) -> None:
    ways = [key for key in ("bus", "mqtt", "ble_address") if table.has(key)]
    if len(ways) != 1:
        said = "no way to reach it" if not ways else f"{len(ways)} ways to reach it ({', '.join(ways)})"
        table.wrong(ways[-1] if ways else "name", said, "give exactly one of bus, mqtt, ble_address")
        return
    partners = {"bus": ("address",), "mqtt": ("topic", "username"), "ble_address": ()}
    for key in partners[ways[0]]:
        if not table.has(key):
            table.wrong(ways[0], f"{ways[0]} needs {key}", f"add {key}")
    for key in ("address", "topic", "username"):
        if table.has(key) and key not in partners[ways[0]]:
            table.wrong(key, f"{key} does not belong to a device with {ways[0]}", f"remove {key}")


def _check_counting(table: Table, device: Device) -> None:
    if device.unit and device.pool:
        table.wrong("pool", "it counts for a unit and for a pool", "keep unit or pool; a meter counts for one")
    if (device.unit or device.pool) and device.kind not in ("meter", "water"):
        table.wrong("unit" if device.unit else "pool", f"a {device.kind} counts for nobody", "remove unit and pool")
    if device.spare and (device.kind not in ("meter", "water") or device.pool):
        remedy = "remove spare; a meter or water meter without pool can be one"
        table.wrong("spare", "it can take no flat's meter's place", remedy)
    if device.tariff and not (device.unit or device.pool):
        table.wrong("tariff", "it has a tariff but counts for nobody", "add unit or pool, or remove tariff")


def _check_belonging(table: Table, device: Device) -> None:
    if device.of and device.kind not in ("display", "access"):
        table.wrong("of", f"a {device.kind} belongs to no lift", "remove of; a display or a machine-room door has it")
    if device.kind == "display" and not device.of:
        table.wrong("kind", "it shows codes for no lift", 'add of = "l1", the name of its lift')
    if "display" in device.labels and device.kind != "lift":
        table.wrong("labels", f"a device of kind {device.kind} has no display", 'remove "display" from labels')
