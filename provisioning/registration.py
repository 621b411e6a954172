"""What Registry, Roll, Crews and Bindings must hold for a site: computed from the site file by each party for itself.

The manager announces; the committee computes the same calls from its own copy of the site file and of the gateway's
identity, and approves only what is equal. Neither key alone brings anything into force, nor before the delay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from typing import Any

from contracts import bill
from contracts.abi import Call
from contracts.calls import bindings_changes, crews_changes, registry, registry_changes, roll_changes
from contracts.calls.crews import Duty
from contracts.calls.registry_events import Announced, parse_event
from contracts.calls.roll_changes import UNITS_MAX, NewUnit
from contracts.entry import device_id
from provisioning.enrolment import KEY_CLASSES, GatewayIdentity
from provisioning.errors import ChainSetupError
from provisioning.names import SecretNames
from provisioning.rpc import Sender
from provisioning.site import Device, Site

__all__ = [
    "ROLE_OPERATOR",
    "Change",
    "Enrolled",
    "EnrolledFirm",
    "EnrolledPerson",
    "TwoParties",
    "binding_commitment",
    "site_changes",
]

ROLE_OPERATOR = b"operator".ljust(32, b"\0")
ROLE_REGISTRAR = b"registrar".ljust(32, b"\0")
_BATCH_CALLS = 32
_DEVICES_A_CALL = registry_changes.DEVICES_MAX
_SOFTWARE_KEY = 2
_OWN, _POOL = 1, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolledPerson:
    """Somebody with duties: a mechanic, an installer."""

    says: str
    alias: bytes
    public: bytes  # 64 bytes
    duties: Duty
    firm: int  # a firm's number; 0 for the site's own people
    licence_until: int  # Unix seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolledFirm:
    """A firm that serves the site."""

    number: int
    name: str
    licence_until: int  # Unix seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolled:
    """Who takes part: accounts by role, gateways by origin, owners' keys by unit name, firms and their people."""

    operator: str
    registrar: str
    gateways: Mapping[str, GatewayIdentity]
    owners: Mapping[str, bytes]  # 64-byte public keys
    from_date: date  # the first day that the meters count for their units
    firms: Sequence[EnrolledFirm] = ()
    people: Sequence[EnrolledPerson] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One inner call of one of the contracts, with words for whoever approves it."""

    says: str
    call: Call


def site_changes(
    site: Site, names: SecretNames, enrolled: Enrolled, contracts: Mapping[str, str]
) -> tuple[Change, ...]:
    """Every change that brings empty contracts to what the site file says, in an order that works.

    Args:
        contracts: addresses by name: `registry`, `roll`, `crews`, `bindings`.
    """
    return (
        *_role_changes(enrolled, contracts["registry"]),
        *_unit_changes(site, names, contracts["roll"]),
        *_gateway_changes(site, names, enrolled, contracts["registry"]),
        *_owner_changes(site, names, enrolled, contracts["roll"]),
        *_crew_changes(enrolled, contracts["crews"]),
        *_binding_changes(site, names, enrolled, contracts["bindings"]),
    )


def binding_commitment(site: Site, names: SecretNames, device: Device, enrolled: Enrolled) -> bytes:
    """What the owner confirms: this device counts for this subject from this day. Zero register: not yet read."""
    subject, role = _subject(names, device)
    return bill.binding_commitment(
        device=names.device(site, device),
        subject=subject,
        role=role,
        from_date=_number(enrolled.from_date),
        to_date=0,
        opening_register=0,
        closing_register=0,
        photo_digest=bytes(32),
        salt=sha256(b"minglou/binding" + subject + names.device(site, device)).digest(),
    )


class TwoParties:
    """Manager and committee bringing changes into force: announce, approve after an own look, enact after the delay."""

    def __init__(self, sender: Sender, registry_address: str, *, manager: bytes, committee: bytes) -> None:
        self._sender = sender
        self._registry = registry_address
        self._manager = manager
        self._committee = committee

    def announce(self, changes: Sequence[Change]) -> list[tuple[int, list[Call]]]:
        """The manager announces the changes; gives the numbers and calls of their batches."""
        batches = [list(changes[start : start + _BATCH_CALLS]) for start in range(0, len(changes), _BATCH_CALLS)]
        announced = []
        for batch in batches:
            calls = [change.call for change in batch]
            receipt = self._sender.send(
                self._manager,
                registry.announce(self._registry, calls=calls),
                purpose=f"announce {batch[0].says} to {batch[-1].says}",
            )
            announced.append((_announced_number(receipt), calls))
        return announced

    def approve(self, announced: Sequence[tuple[int, list[Call]]], expected: Sequence[Change]) -> None:
        """The committee approves, if what was announced is what its own site file gives.

        Raises:
            ChainSetupError: a call differs; the message names it, and nothing was approved.
        """
        calls = [call for _, batch in announced for call in batch]
        for number, (call, change) in enumerate(zip(calls, expected, strict=False)):
            if call != change.call:
                raise ChainSetupError(
                    f"call {number} was announced as something else than: {change.says}; "
                    "do not approve, ask the manager"
                )
        if len(calls) != len(expected):
            raise ChainSetupError(
                f"{len(calls)} calls were announced, the site file gives {len(expected)}; "
                "do not approve, ask the manager"
            )
        self._sender.send_many(
            self._committee,
            [registry.approve(self._registry, number=number) for number, _ in announced],
            purpose="approve the changes",
        )

    def enact(self, announced: Sequence[tuple[int, list[Call]]], *, anyone: bytes) -> None:
        """Anyone enacts the batches, in order, once the delay is over."""
        for number, calls in announced:
            self._sender.send(
                anyone, registry.enact(self._registry, number=number, calls=calls), purpose=f"enact batch {number}"
            )


def _role_changes(enrolled: Enrolled, to: str) -> list[Change]:
    return [
        Change(says="role operator", call=registry_changes.set_role(to, role=ROLE_OPERATOR, account=enrolled.operator)),
        Change(
            says="role registrar", call=registry_changes.set_role(to, role=ROLE_REGISTRAR, account=enrolled.registrar)
        ),
    ]


def _unit_changes(site: Site, names: SecretNames, to: str) -> list[Change]:
    changes = []
    heads = _heads(site)
    buildings = _buildings(site)
    for start in range(0, len(site.units), UNITS_MAX):
        block = site.units[start : start + UNITS_MAX]
        units = [
            NewUnit(
                alias=bytes.fromhex(names.units[unit.name]),
                area_centi_m2=unit.area_centi_m2,
                head=heads[unit.buyer],
                building=buildings[unit.building],
                floor=unit.floor,
            )
            for unit in block
        ]
        changes.append(
            Change(says=f"units {block[0].name} to {block[-1].name}", call=roll_changes.add_units(to, units=units))
        )
    changes += [
        Change(says=f"pool {pool.name}", call=roll_changes.add_pool(to, pool=bytes.fromhex(names.pools[pool.name])))
        for pool in site.pools
    ]
    return changes


def _gateway_changes(site: Site, names: SecretNames, enrolled: Enrolled, to: str) -> list[Change]:
    changes = []
    for gateway in site.gateways:
        origin = site.origin(gateway)
        identity = enrolled.gateways[origin]
        changes.append(
            Change(
                says=f"gateway {origin}",
                call=registry_changes.set_gateway_key(
                    to,
                    origin=origin,
                    x=int.from_bytes(identity.public[:32]),
                    y=int.from_bytes(identity.public[32:]),
                    key_class=KEY_CLASSES[identity.key_class],
                    building=_buildings(site)[gateway.building],
                ),
            )
        )
        devices = [device_id(site.gateway_urn(gateway))]
        devices += [names.device(site, device) for device in site.devices if device.gateway == gateway.name]
        for start in range(0, len(devices), _DEVICES_A_CALL):
            block = devices[start : start + _DEVICES_A_CALL]
            changes.append(
                Change(
                    says=f"{len(block)} devices of {origin}",
                    call=registry_changes.assign_devices(
                        to,
                        origin_id=sha256(origin.encode()).digest(),
                        first_index=0,
                        devices=block,
                    ),
                )
            )
    return changes


def _owner_changes(site: Site, names: SecretNames, enrolled: Enrolled, to: str) -> list[Change]:
    return [
        Change(
            says=f"owner's key of {unit.name}",
            call=roll_changes.add_owner_key(
                to,
                unit=bytes.fromhex(names.units[unit.name]),
                x=int.from_bytes(enrolled.owners[unit.name][:32]),
                y=int.from_bytes(enrolled.owners[unit.name][32:]),
                kind=_SOFTWARE_KEY,
                relying_party=0,
                letter_code=bytes.fromhex(names.letters[unit.name]),
            ),
        )
        for unit in site.units
        if unit.name in enrolled.owners
    ]


def _crew_changes(enrolled: Enrolled, to: str) -> list[Change]:
    changes = [
        Change(
            says=f"firm {firm.name}",
            call=crews_changes.set_firm(
                to,
                firm=firm.number,
                name_digest=sha256(firm.name.encode()).digest(),
                licence_until=firm.licence_until,
            ),
        )
        for firm in enrolled.firms
    ]
    for person in enrolled.people:
        duties = crews_changes.set_member(
            to, alias=person.alias, firm=person.firm, duties=person.duties, licence_until=person.licence_until
        )
        key = crews_changes.add_crew_key(
            to,
            alias=person.alias,
            x=int.from_bytes(person.public[:32]),
            y=int.from_bytes(person.public[32:]),
            kind=_SOFTWARE_KEY,
            relying_party=0,
        )
        changes += [Change(says=person.says, call=duties), Change(says=f"key of {person.says}", call=key)]
    return changes


def _binding_changes(site: Site, names: SecretNames, enrolled: Enrolled, to: str) -> list[Change]:
    changes = []
    for device in site.devices:
        if device.unit is None and device.pool is None:
            continue
        subject, role = _subject(names, device)
        changes.append(
            Change(
                says=f"{device.kind} {device.name} counts for {device.unit or device.pool}",
                call=bindings_changes.bind(
                    to,
                    subject=subject,
                    device=names.device(site, device),
                    role=role,
                    from_date=_number(enrolled.from_date),
                    commitment=binding_commitment(site, names, device, enrolled),
                ),
            )
        )
    return changes


def _subject(names: SecretNames, device: Device) -> tuple[bytes, int]:
    if device.unit is not None:
        return bytes.fromhex(names.units[device.unit]), _OWN
    assert device.pool is not None
    return bytes.fromhex(names.pools[device.pool]), _POOL


def _heads(site: Site) -> dict[str, int]:
    """The number of each buyer, in the order in which the units name them: one buyer's units are one head."""
    return {buyer: number for number, buyer in enumerate(dict.fromkeys(unit.buyer for unit in site.units))}


def _buildings(site: Site) -> dict[str, int]:
    """The number of each building: its place in the site file."""
    return {building.name: number for number, building in enumerate(site.buildings)}


def _announced_number(receipt: Mapping[str, Any]) -> int:
    for log in receipt["logs"]:
        topics = [bytes.fromhex(topic.removeprefix("0x")) for topic in log["topics"]]
        event = parse_event(topics, bytes.fromhex(log["data"].removeprefix("0x")))
        if isinstance(event, Announced):
            return event.number
    raise ChainSetupError("the Registry announced nothing; is the deployment file of this chain?")


def _number(day: date) -> int:
    return int(f"{day:%Y%m%d}")
