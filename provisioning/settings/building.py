"""`building.toml`: the simulated building that stands where the real meters, lifts and doors would."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from contracts.clock import DemoClock
from provisioning.settings.places import Places, Ports, clock_section
from provisioning.site import Device, Site
from provisioning.toml_text import Section, toml_document

__all__ = ["building_file"]

_COMMON_AREA_CENTI_M2 = 60_000  # what the simulation scales the common meter's load by


def building_file(
    site: Site,
    *,
    places: Places,
    ports: Ports,
    clock: DemoClock | None,
    seed: int,
    link: str,
    bluetooth: str | None,
    visits: Mapping[str, Sequence[int]],
) -> str:
    """The simulation's settings.

    Args:
        link: where the gateway's serial port of the bus is to appear.
        bluetooth: D-Bus address of the BlueZ service; None leaves the water meters out.
        visits: when, in ms, a lift's mechanic comes, by its name; every other week for lifts that it does not name.
    """
    home = places.building
    sections: list[tuple[str, Section]] = [
        (
            "",
            {
                "seed": seed,
                "timezone": site.timezone.key,
                "state_dir": str(home / "state"),
                "control": str(home / "control.sock"),
            },
        ),
        *clock_section(clock),
        ("serial", {"link": link}),
        ("mqtt.endpoint", {"url": f"mqtt://127.0.0.1:{ports.endpoint}"}),
        ("mqtt.broker", {"url": f"mqtt://127.0.0.1:{ports.broker}"}),
    ]
    if bluetooth is not None:
        sections.append(("bluetooth", {"bus": bluetooth}))
    sections += [("[meter]", _meter(site, device)) for device in site.devices if device.kind == "meter"]
    sections += [("[lift]", _lift(site, places, device, visits)) for device in site.devices if device.kind == "lift"]
    sections += [("[access]", _publisher(places, device)) for device in site.devices if device.kind == "access"]
    if bluetooth is not None:
        water = [device for device in site.devices if device.ble_address]
        sections += [
            ("[water]", {"adapter": f"hci{number}", "ble_address": device.ble_address})
            for number, device in enumerate(water, start=1)
        ]
    return toml_document("Written by `minglou demo`: what is simulated here.", sections)


def _meter(site: Site, device: Device) -> Section:
    unit = next((unit for unit in site.units if unit.name == device.unit), None)
    area = unit.area_centi_m2 if unit is not None else _COMMON_AREA_CENTI_M2
    return {
        "address": device.address,
        "kind": "flat" if unit else "common",
        "floor": device.floor,
        "area_centi_m2": area,
    }


def _lift(site: Site, places: Places, device: Device, visits: Mapping[str, Sequence[int]]) -> Section:
    floors = next(building.floors for building in site.buildings if building.name == device.building)
    return {**_publisher(places, device), "floors": floors, "visits_ms": visits.get(device.name)}


def _publisher(places: Places, device: Device) -> Section:
    assert device.username is not None
    return {
        "name": device.name,
        "via": "endpoint" if device.mqtt == "endpoint" else "broker",
        "topic": device.topic,
        "username": device.username,
        "password_file": str(places.password(device.username)),
    }
