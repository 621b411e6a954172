"""`cloud.toml`, `operator.toml` and `directory.json`: what the cloud knows of a site beside the chain."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache

from contracts.clock import DemoClock
from contracts.entry import device_id
from contracts.label import label_digest
from devices.profile import load_profile, shipped_profiles
from provisioning.names import SecretNames, device_key
from provisioning.settings.mirror import NamedCopy, cloud_copy
from provisioning.settings.places import Places, Ports, clock_section
from provisioning.site import Device, Gateway, Site, Tariff, Title
from provisioning.toml_text import Section, toml_document

__all__ = ["CrewMember", "NamedWitness", "SignIn", "cloud_file", "directory_file", "operator_file"]

_DEVELOPMENT_CHAIN = 31337  # anvil: it may lose its last blocks with its process


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """One one-time sign-in: the cloud learns the digest only."""

    role: str  # owner, manager, committee
    unit: str | None  # alias
    title: Title
    token_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CrewMember:
    """Somebody who serves devices, with a software key."""

    alias: bytes
    public: bytes
    firm: Title
    firm_number: int = 0  # in Crews; 0 for the site's own people
    duty: str = "mechanic"  # or manager


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedWitness:
    """A witness of the super-log, and where it is asked."""

    vkey: str
    url: str


def cloud_file(
    site: Site,
    *,
    places: Places,
    ports: Ports,
    clock: DemoClock | None,
    anchor_seconds: float,
    maintenance: str | None = None,
    copies: Sequence[NamedCopy] = (),
    witnesses: Sequence[NamedWitness] = (),
    witness_quorum: int = 0,
) -> str:
    """The cloud's settings.

    Args:
        maintenance: address of the contract whose visits it relays; None relays none.
        witness_quorum: how many of the witnesses must cosign before anything is anchored.
    """
    home = places.cloud
    sections: list[tuple[str, Section]] = [
        (
            "cloud",
            {
                "listen": f"127.0.0.1:{ports.cloud}",
                "public_url": f"http://localhost:{ports.cloud}",
                "data_dir": str(home / "data"),
                "directory_file": str(home / "directory.json"),
                "trust_file": str(places.trust_file),
            },
        ),
        *clock_section(clock),
        _chain_section(site, places, ports, _sending(site, places)),
        (
            "super_log",
            {
                "origin": site.super_log_origin,
                "key_file": str(places.keys / "superlog.pem"),
                "anchor_seconds": anchor_seconds,
                "witness_quorum": witness_quorum if witnesses else None,
                "witness_retry_seconds": 1.0 if witnesses and clock is not None else None,  # a demo's month is a minute
            },
        ),
        *(("[witness]", {"vkey": one.vkey, "url": one.url}) for one in witnesses),
        ("ingest", {"claims_file": str(home / "claims.json")}),
        *(cloud_copy(copy) for copy in copies),
    ]
    if maintenance is not None:
        sections.append(("maintenance", {"contract": maintenance}))
    return toml_document("Written by `minglou provision`; change the site file and apply it again.", sections)


def operator_file(site: Site, *, places: Places, ports: Ports, clock: DemoClock | None) -> str:
    """The billing operator's settings: his key never comes near the cloud."""
    sections: list[tuple[str, Section]] = [
        ("cloud", {"url": f"http://127.0.0.1:{ports.cloud}"}),
        *clock_section(clock),
        _chain_section(site, places, ports, {"operator_key_file": str(places.key("operator"))}),
    ]
    return toml_document(
        "Written by `minglou provision`: for `minglou billing post`, on the operator's machine.", sections
    )


def _sending(site: Site, places: Places) -> Section:
    """The relayer's key, and whether a chain that loses what was final is sent everything again."""
    is_development = site.chain_id == _DEVELOPMENT_CHAIN
    return {
        "relayer_key_file": str(places.key("relayer")),
        "finality": "finalized",
        "lost_finality": "resend" if is_development else "stop",
    }


def _chain_section(site: Site, places: Places, ports: Ports, more: Section) -> tuple[str, Section]:
    return (
        "chain",
        {
            "rpc": [f"http://127.0.0.1:{ports.chain}"],
            "chain_id": site.chain_id,
            "deployment_file": str(places.deployment_file),
            **more,
        },
    )


def directory_file(
    site: Site,
    names: SecretNames,
    *,
    owners: Mapping[str, bytes],
    tariffs: Mapping[str, int],
    sign_ins: Sequence[SignIn],
    left_out: frozenset[str] = frozenset(),
    crew: Sequence[CrewMember] = (),
) -> str:
    """`minglou-directory/1` as JSON text.

    Args:
        owners: 64-byte public keys by unit name.
        tariffs: on-chain versions by tariff name.
        left_out: kinds of device that this deployment runs without.
    """
    gateways = [
        {"urn": site.gateway_urn(gateway), "origin": site.origin(gateway), "building": gateway.building}
        for gateway in site.gateways
    ]
    document = {
        "format": "minglou-directory/1",
        "site": {
            "name": site.name,
            "host": site.host,
            "title": _title(site.title),
            "timezone": site.timezone.key,
            "site_id": names.site_id,
        },
        "gateways": gateways,
        "buildings": [
            {"name": one.name, "title": _title(one.title), "area": one.area, "cell": one.cell} for one in site.buildings
        ],
        "firms": [
            {"number": firm.number, "title": _title(firm.title), "telephone": firm.telephone} for firm in site.firms
        ],
        "units": [
            {
                "index": unit.index,
                "name": unit.name,
                "building": unit.building,
                "floor": unit.floor,
                "alias": names.units[unit.name],
                "area_centi_m2": unit.area_centi_m2,
                "owner": {
                    "title": {"zh": unit.owner, "en": unit.owner},
                    "public": owners[unit.name].hex(),
                    "kind": "software",
                },
            }
            for unit in site.units
        ],
        "devices": [
            *(_device(site, names, device) for device in site.devices if device.kind not in left_out),
            *(_visited_gateway(site, gateway) for gateway in site.gateways if gateway.packs),
        ],
        "pools": [
            {
                "name": pool.name,
                "alias": names.pools[pool.name],
                "key": pool.key,
                "title": _title(pool.title),
                "tariff": pool.tariff,
            }
            for pool in site.pools
        ],
        "tariffs": [_tariff(tariff, tariffs[tariff.name]) for tariff in site.tariffs],
        "sign_in": [
            {
                "role": sign_in.role,
                "unit": sign_in.unit,
                "title": _title(sign_in.title),
                "token_sha256": sign_in.token_sha256,
            }
            for sign_in in sign_ins
        ],
        "crew": [_member(member) for member in crew],
    }
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def _tariff(tariff: Tariff, version: int) -> dict[str, object]:
    return {
        "name": tariff.name,
        "id": str(version),
        "version": version,
        "unit": "kWh",
        "quantity": tariff.quantity,
        "period": tariff.span,
        "source": tariff.source,
        "tiers": [
            {"up_to": None if tier.up_to is None else str(tier.up_to), "price_micro": str(tier.price_micro)}
            for tier in tariff.tiers
        ],
    }


def _member(member: CrewMember) -> dict[str, object]:
    return {
        "alias": member.alias.hex(),
        "public": member.public.hex(),
        "kind": "software",
        "firm": _title(member.firm),
        "firm_number": member.firm_number,
        "duty": member.duty,
    }


def _device(site: Site, names: SecretNames, device: Device) -> dict[str, object]:
    gateway = next(gateway for gateway in site.gateways if gateway.name == device.gateway)
    counts_for: dict[str, str] | None = None
    if device.unit is not None:
        counts_for = {"unit": names.units[device.unit]}
    elif device.pool is not None:
        counts_for = {"pool": names.pools[device.pool]}
    quantity = {"meter": "1-0:1.8.0", "water": "8-0:1.0.0"}.get(device.kind)
    return {
        "urn": names.urn(site, device),
        "device": names.device(site, device).hex(),
        "kind": device.kind,
        "name": device.name,
        "origin": site.origin(gateway),
        "floor": device.floor,
        "title": _title(device.title),
        "quantity": quantity,
        "register_step": _register_step(device.profile, quantity),
        "tariff": device.tariff,
        "counts_for": counts_for,
        **_service(site, names, device),
    }


@cache
def _register_step(profile: str, quantity: str | None) -> int:
    """The last digit that a meter's register shows, in base units; 1 where its profile lies with the gateway alone."""
    if quantity is None or profile not in shipped_profiles():
        return 1
    limits = load_profile(profile).limits.get(quantity)
    return 1 if limits is None else limits.register_step


def _visited_gateway(site: Site, gateway: Gateway) -> dict[str, object]:
    """A gateway that is looked after by a plan: it keeps the log that judges visits of itself."""
    urn = site.gateway_urn(gateway)
    return {
        "urn": urn,
        "device": device_id(urn).hex(),
        "kind": "gateway",
        "name": gateway.name,
        "origin": site.origin(gateway),
        "floor": None,
        "title": {"zh": f"网关 {gateway.name}", "en": f"Gateway {gateway.name}"},
        "building": gateway.building,
        "labels": [],
        "packs": list(gateway.packs),
    }


def _service(site: Site, names: SecretNames, device: Device) -> dict[str, object]:
    """Where it is, what is scanned there, and how it is looked after. Codes themselves are not the cloud's to know."""
    codes = names.labels.get(device_key(device), {})
    lift = site.lift_of(device)
    return {
        "building": device.building,
        "labels": [
            {"place": place, "digest": label_digest(code).hex()} for place, made in codes.items() for code in made
        ],
        "packs": list(device.packs),
        "firm": device.firm,
        "inspection_until": _day(device.inspection_until),
        "calibration_until": _day(device.calibration_until),
        "serviced_since": _day(device.serviced_since),
        "of": None if lift is None else names.device(site, lift).hex(),
    }


def _day(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def _title(title: Title) -> dict[str, str]:
    return {"zh": title.zh, "en": title.en}
