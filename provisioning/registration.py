"""What the site's contracts of people and devices must hold: computed from the site file by each party for itself.

The manager announces; the committee computes the same calls from its own copy of the site file and of the gateway's
identity, and approves only what is equal. Neither key alone brings anything into force, nor before the delay.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import sha256

from contracts import bill
from contracts.calls import bindings_changes, labels_changes, registry_changes, roll_changes
from contracts.calls.labels_changes import LABELS_MAX, NewLabel
from contracts.calls.roll_changes import UNITS_MAX, NewUnit
from contracts.entry import device_id
from contracts.label import PLACE_OF, label_digest
from contracts.person import KeyKind
from provisioning.batches import Change
from provisioning.crews import EnrolledFirm, EnrolledPerson, crew_changes
from provisioning.enrolment import KEY_CLASSES, GatewayIdentity
from provisioning.names import SecretNames, device_key
from provisioning.site import Device, Site

__all__ = [
    "ROLE_OPERATOR",
    "Enrolled",
    "binding_commitment",
    "label_changes",
    "site_changes",
]

ROLE_OPERATOR = b"operator".ljust(32, b"\0")
ROLE_REGISTRAR = b"registrar".ljust(32, b"\0")
_DEVICES_A_CALL = registry_changes.DEVICES_MAX
_OWN, _POOL = 1, 2


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


def site_changes(
    site: Site, names: SecretNames, enrolled: Enrolled, contracts: Mapping[str, str]
) -> tuple[Change, ...]:
    """Every change that brings empty contracts to what the site file says, in an order that works.

    Args:
        contracts: addresses by name: `registry`, `roll`, `crews`, `bindings`; and `labels` where the site has it.
    """
    return (
        *_role_changes(enrolled, contracts["registry"]),
        *_unit_changes(site, names, contracts["roll"]),
        *_gateway_changes(site, names, enrolled, contracts["registry"]),
        *_owner_changes(site, names, enrolled, contracts["roll"]),
        *crew_changes(enrolled.firms, enrolled.people, contracts["crews"]),
        *label_changes(site, names, contracts.get("labels", "")),
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
                kind=KeyKind.SOFTWARE,
                relying_party=0,
                letter_code=bytes.fromhex(names.letters[unit.name]),
            ),
        )
        for unit in site.units
        if unit.name in enrolled.owners
    ]


def label_changes(
    site: Site, names: SecretNames, to: str, *, bound: Collection[bytes] = (), at_once: int = LABELS_MAX
) -> list[Change]:
    """Every code of each device, the spares too; none on a deployment without Labels.

    Args:
        bound: digests that the chain has bound already, or revoked.
        at_once: labels of one call.
    """
    changes = []
    for device in site.devices if to else ():
        codes = names.labels.get(device_key(device), {})
        every = [NewLabel(label_digest(code), PLACE_OF[place]) for place in codes for code in codes[place]]
        labels = [label for label in every if label.digest not in bound]
        for first in range(0, len(labels), at_once):
            some = labels[first : first + at_once]
            call = labels_changes.bind_labels(to, device=names.device(site, device), labels=some)
            changes.append(Change(says=f"labels of {device.kind} {device.name}: {len(some)}", call=call))
    return changes


def _binding_changes(site: Site, names: SecretNames, enrolled: Enrolled, to: str) -> list[Change]:
    changes = []
    for device in site.devices:
        if (device.unit is None and device.pool is None) or device.spare:
            continue  # a spare one is bound by the swap that hangs it up
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


def _number(day: date) -> int:
    return int(f"{day:%Y%m%d}")
