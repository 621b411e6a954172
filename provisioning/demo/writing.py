"""Writing every settings file of the demo, for the first time and again when clock or doors change."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence

from contracts.clock import DemoClock
from edge.credentials import hash_password
from provisioning.demo.processes import bluetooth_address
from provisioning.demo.programs import mosquitto_program
from provisioning.demo.witnesses import QUORUM, named_witnesses
from provisioning.files import write_private, write_text
from provisioning.keys import ensure_ed25519_key, ensure_person_seed, person_public_key
from provisioning.names import SecretNames
from provisioning.settings import (
    NamedCopy,
    Places,
    Ports,
    VisitTimes,
    building_file,
    cloud_file,
    credentials_file,
    directory_file,
    gateway_file,
    maintenance_contract,
    mirror_file,
    mosquitto_files,
    nats_file,
    operator_file,
)
from provisioning.settings.cloud import CrewMember, SignIn
from provisioning.site import Site

__all__ = ["bus_link", "committee_copy", "owner_keys", "write_directory", "write_passwords", "write_settings"]

SEED = 7
ANCHOR_SECONDS = 2.0
COPY_SECONDS = 1.0  # a demo's month is a minute
_NO_VISITS = VisitTimes()
_ANY_PORT = -1  # how NATS is told to take a free one; nobody uses its own protocol here


def bus_link(places: Places) -> str:
    """Where the building's pseudo-terminal appears."""
    return str(places.building / "bus1")


def committee_copy(places: Places) -> NamedCopy:
    """The committee's mirror; its key and its token are made at the first call."""
    token_file = places.mirror / "cloud.token"
    if not token_file.exists():
        write_private(token_file, secrets.token_hex(32).encode() + b"\n")
    public = ensure_ed25519_key(places.mirror / "copy.pem")
    return NamedCopy(name="committee.example/copy", public=public, token_file=token_file)


def owner_keys(site: Site, places: Places) -> dict[str, bytes]:
    """The owners' public keys by unit name; their seeds are made at the first call."""
    return {
        unit.name: person_public_key(ensure_person_seed(places.owners / f"{unit.name}.seed")) for unit in site.units
    }


def write_passwords(site: Site, names: SecretNames, places: Places, ports: Ports) -> None:
    """Passwords for the MQTT users, and the broker's and the endpoint's files that know their hashes."""
    for user, password in names.passwords.items():
        write_private(places.password(user), password.encode() + b"\n")
    if mosquitto_program() is not None:
        for name, text in mosquitto_files(site, names, directory=places.broker, port=ports.broker).items():
            write_private(places.broker / name, text.encode())
    else:
        text = nats_file(site, names, directory=places.broker, port=ports.broker, client_port=_ANY_PORT)
        write_private(places.broker / "nats.conf", text.encode())
    text = credentials_file(site, names, site.gateways[0], hash_password)
    write_private(places.gateway / "credentials.toml", text.encode())


def write_settings(
    site: Site,
    names: SecretNames,
    places: Places,
    ports: Ports,
    clock: DemoClock,
    *,
    with_bluetooth: bool,
    visits: VisitTimes = _NO_VISITS,
) -> None:
    """The settings of gateway, building, cloud and operator, with one clock in all of them.

    Once the contracts are deployed, gateway and cloud also learn which one visits are signed for.
    """
    maintenance, copies = maintenance_contract(places), [committee_copy(places)]
    write_text(
        places.gateway / "edge.toml",
        gateway_file(
            site,
            names,
            site.gateways[0],
            places=places,
            ports=ports,
            clock=clock,
            cloud_url=f"http://127.0.0.1:{ports.cloud}",
            bus_ports={bus.name: bus_link(places) for bus in site.buses},
            broker_urls={broker.name: f"mqtt://127.0.0.1:{ports.broker}" for broker in site.brokers},
            with_bluetooth=with_bluetooth,
            broker_protocol="5" if mosquitto_program() is not None else "3.1.1",  # NATS speaks no MQTT 5
            maintenance=maintenance,
            copies=copies,
        ),
    )
    write_text(places.mirror / "mirror.toml", mirror_file(copies[0], places=places, ports=ports, seconds=COPY_SECONDS))
    write_text(
        places.building / "building.toml",
        building_file(
            site,
            names,
            places=places,
            ports=ports,
            clock=clock,
            seed=SEED,
            base=f"http://127.0.0.1:{ports.cloud}",
            link=bus_link(places),
            bluetooth=bluetooth_address(places) if with_bluetooth else None,
            visits=visits,
        ),
    )
    write_text(
        places.cloud / "cloud.toml",
        cloud_file(
            site,
            places=places,
            ports=ports,
            clock=clock,
            anchor_seconds=ANCHOR_SECONDS,
            maintenance=maintenance,
            copies=copies,
            witnesses=named_witnesses(places, ports),
            witness_quorum=QUORUM,
        ),
    )
    write_text(places.cloud / "operator.toml", operator_file(site, places=places, ports=ports, clock=clock))


def write_directory(
    site: Site,
    names: SecretNames,
    places: Places,
    *,
    sign_ins: Sequence[SignIn],
    tariffs: Mapping[str, int],
    with_bluetooth: bool,
    crew: Sequence[CrewMember] = (),
) -> None:
    """What the cloud knows of the site's people and things."""
    text = directory_file(
        site,
        names,
        owners=owner_keys(site, places),
        tariffs=tariffs,
        sign_ins=sign_ins,
        left_out=frozenset() if with_bluetooth else frozenset({"water"}),
        crew=crew,
    )
    write_private(places.cloud / "directory.json", text.encode())
