"""`building.toml`: the simulated building that stands where the real meters, lifts and doors would."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from contracts.clock import DemoClock
from provisioning.errors import ProvisioningError
from provisioning.names import SecretNames, device_key
from provisioning.settings.places import Places, Ports, clock_section
from provisioning.site import Device, Site
from provisioning.toml_text import Section, toml_document

__all__ = ["VisitTimes", "building_file"]

_LIFT_MODELS = {"lift-module-json": "A", "lift-monitor-json": "B"}  # which of the simulated modules speaks a profile
_COMMON_AREA_CENTI_M2 = 60_000  # what the simulation scales the common meter's load by


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitTimes:
    """When lifts are visited, in ms by the lift's name: what really happens, and what is signed."""

    made: Mapping[str, Sequence[int]] = field(default_factory=dict)  # every other week for lifts not named
    signed: Mapping[str, Sequence[int]] = field(default_factory=dict)  # about then displays report often
    # Displays report hourly before, for a month of five minutes each would double the demo's log; None: never.
    often_from_ms: int | None = None


def building_file(
    site: Site,
    names: SecretNames,
    *,
    places: Places,
    ports: Ports,
    clock: DemoClock | None,
    seed: int,
    base: str,
    link: str,
    bluetooth: str | None,
    visits: VisitTimes,
) -> str:
    """The simulation's settings.

    Args:
        base: https://HOST, which the displays' codes lead to.
        link: where the gateway's serial port of the bus is to appear.
        bluetooth: D-Bus address of the BlueZ service; None leaves the water meters out.
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
    lifts = [device for device in site.devices if device.kind == "lift"]
    sections += [("[lift]", _lift(site, places, device, visits.made)) for device in lifts]
    sections += [("[access]", _publisher(places, device)) for device in site.devices if device.kind == "access"]
    displays = [device for device in site.devices if device.kind == "display"]
    sections += [("[display]", _display(site, names, places, device, base, visits)) for device in displays]
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
    return {
        **_publisher(places, device),
        "floors": floors,
        "visits_ms": visits.get(device.name),
        "model": _lift_model(device),
    }


def _lift_model(device: Device) -> str:
    if device.profile not in _LIFT_MODELS:
        raise ProvisioningError(
            f"device {device.name}: no simulated lift speaks {device.profile!r}; write one of {', '.join(_LIFT_MODELS)}"
        )
    return _LIFT_MODELS[device.profile]


def _display(site: Site, names: SecretNames, places: Places, device: Device, base: str, visits: VisitTimes) -> Section:
    lift = site.lift_of(device)
    codes = names.labels.get(device_key(lift), {}).get("display", ()) if lift is not None else ()
    if not codes:
        raise ProvisioningError(
            f'device {device.name}: lift {device.of} has no label for its display; add "display" to its labels'
        )
    return {
        **_publisher(places, device),
        "base": base,
        "code": codes[0],
        "visits_ms": visits.signed.get(device.of or "", ()),
        "often_from_ms": visits.often_from_ms,
    }


def _publisher(places: Places, device: Device) -> Section:
    assert device.username is not None
    return {
        "name": device.name,
        "via": "endpoint" if device.mqtt == "endpoint" else "broker",
        "topic": device.topic,
        "username": device.username,
        "password_file": str(places.password(device.username)),
    }
