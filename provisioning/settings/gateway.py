"""`edge.toml` and the credentials of the gateway's own MQTT endpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from contracts.clock import DemoClock
from provisioning.names import SecretNames
from provisioning.settings.mirror import NamedCopy, gateway_copy
from provisioning.settings.places import Places, Ports, clock_section
from provisioning.site import Bus, Device, Gateway, Site
from provisioning.toml_text import Section, toml_document

__all__ = ["cards_path", "credentials_file", "gateway_file", "knows_cards"]


def gateway_file(
    site: Site,
    names: SecretNames,
    gateway: Gateway,
    *,
    places: Places,
    ports: Ports,
    clock: DemoClock | None,
    cloud_url: str,
    bus_ports: Mapping[str, str],
    broker_urls: Mapping[str, str],
    with_bluetooth: bool,
    broker_protocol: str = "5",
    maintenance: str | None = None,
    copies: Sequence[NamedCopy] = (),
    with_cards: bool = False,
) -> str:
    """The settings of one gateway.

    Args:
        cloud_url: where its forwarder posts to.
        bus_ports: serial ports by bus name, where they differ from the site file.
        broker_urls: brokers by name, where they differ from the site file.
        with_bluetooth: False leaves out the adapter and every device behind it.
        broker_protocol: MQTT version that the brokers speak, "5" or "3.1.1".
        maintenance: address of the contract whose visits it judges; None judges none.
        copies: who must have signed for what is to be pruned.
        with_cards: whether the crew's cards stand beside these settings, for its machine-room doors.
    """
    home = places.gateway
    brokers = [broker for broker in site.brokers if broker.gateway == gateway.name]
    sections: list[tuple[str, Section]] = [
        (
            "gateway",
            {
                "origin": site.origin(gateway),
                "urn": site.gateway_urn(gateway),
                "data_dir": str(home / "data"),
                "key_file": str(home / "key.pem"),
                "timezone": site.timezone.key,
            },
        ),
        *clock_section(clock),
        ("uplink", {"url": cloud_url, "chain_id": site.chain_id}),
        ("checkpoint", {"entries": 256, "seconds": 2.0}),
        ("status", {"listen": f"127.0.0.1:{ports.status}"}),
        (
            "mqtt.endpoint",
            {"listen": f"127.0.0.1:{ports.endpoint}", "credentials_file": str(home / "credentials.toml")},
        ),
    ]
    sections += [
        (
            "[mqtt.broker]",
            {
                "name": broker.name,
                "url": broker_urls.get(broker.name, broker.url),
                "client_id": f"minglou-{gateway.log}",
                "username": "gateway",
                "password_file": str(places.password("gateway")),
                "protocol": broker_protocol,
            },
        )
        for broker in brokers
    ]
    sections += [("[serial]", _bus(bus, bus_ports)) for bus in site.buses if bus.gateway == gateway.name]
    if with_bluetooth and gateway.adapter is not None:
        sections.append(("ble", {"adapter": gateway.adapter}))
    if brokers:
        sections.append(("home_assistant", {"broker": brokers[0].name, "discovery_prefix": "homeassistant"}))
    devices = [device for device in site.devices if device.gateway == gateway.name]
    if maintenance is not None:
        # Only beside a display or a machine-room door does a gateway load what judges presence.
        crew_urls = [f"{cloud_url}/crew"] if any(device.of for device in devices) else None
        cards = str(cards_path(places, gateway)) if with_cards and knows_cards(site, gateway) else None
        sections.append(("maintenance", {"contract": maintenance, "crew_urls": crew_urls, "crew_cards_file": cards}))
    sections += [gateway_copy(copy) for copy in copies]
    sections += [
        ("[device]", _device(site, names, device)) for device in devices if with_bluetooth or not device.ble_address
    ]
    return toml_document("Written by `minglou provision`; change the site file and apply it again.", sections)


def cards_path(places: Places, gateway: Gateway) -> Path:
    """Where a gateway reads whose card opens its machine rooms."""
    return places.gateway / f"{gateway.log}-cards.toml"


def knows_cards(site: Site, gateway: Gateway) -> bool:
    """Whether one of its access controllers stands at a lift's machine room, or is itself visited by a plan."""
    doors = (one for one in site.devices if one.kind == "access" and one.gateway == gateway.name)
    return any(one.of or one.packs for one in doors)


def credentials_file(site: Site, names: SecretNames, gateway: Gateway, hash_password: Callable[[str], str]) -> str:
    """The users of the gateway's endpoint with the hashes of their passwords."""
    users = [
        device.username
        for device in site.devices
        if device.gateway == gateway.name and device.mqtt == "endpoint" and device.username
    ]
    return toml_document(
        "Users of the gateway's own MQTT endpoint; the passwords themselves are with the devices.",
        [("users", {user: hash_password(names.passwords[user]) for user in users})],
    )


def _bus(bus: Bus, bus_ports: Mapping[str, str]) -> Section:
    return {"name": bus.name, "port": bus_ports.get(bus.name, bus.port), "baud": bus.baud, "parity": bus.parity}


def _device(site: Site, names: SecretNames, device: Device) -> Section:
    return {
        "urn": names.urn(site, device),
        "profile": device.profile,
        "bus": device.bus,
        "address": device.address,
        "mqtt": device.mqtt,
        "topic": device.topic,
        "username": device.username,
        "ble_address": device.ble_address,
        "of": _urn_of(site, names, device),
        "without": list(device.without) or None,
        "spare": True if device.spare else None,
    }


def _urn_of(site: Site, names: SecretNames, device: Device) -> str | None:
    lift = site.lift_of(device)
    return None if lift is None else names.urn(site, lift)
