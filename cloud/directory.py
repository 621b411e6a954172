"""directory.json: what the cloud knows about people and things that the chain does not say. Written by provisioning,
re-read on change.

It holds names, never keys that could make anything true: an owner's public key here is only shown, the Registry's
counts.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cloud.errors import SettingsError
from contracts.entry import device_id
from contracts.quantities import COLD_WATER, ENERGY_IMPORT

__all__ = [
    "CrewMember",
    "Directory",
    "DirectoryBuilding",
    "DirectoryBus",
    "DirectoryDevice",
    "DirectoryFile",
    "DirectoryFirm",
    "DirectoryLabel",
    "DirectoryPool",
    "DirectoryUnit",
    "Overlay",
    "SignIn",
    "Words",
]

FORMAT = "minglou-directory/1"
_ACCOUNT_BYTES = 16  # of a link's digest, by which `cloud.identity.accounts` knows who came by it
_log = logging.getLogger("cloud.directory")


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """A name in both languages."""

    zh: str
    en: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryUnit:
    """One flat or shop."""

    index: int
    name: str  # b07-0501
    building: str
    floor: int
    alias: bytes
    area_centi_m2: int
    title: Words


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryBuilding:
    """One building."""

    name: str  # b07
    title: Words
    area: str = "built-up"  # or "elsewhere": how soon somebody must be with trapped passengers
    cell: str | None = None  # its coarse place, such as 30.27,120.15


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryFirm:
    """A firm that looks after devices."""

    number: int  # in Crews
    title: Words
    telephone: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryLabel:
    """One code that is stuck on a device or shown at it, by its digest (`contracts.label`)."""

    place: str  # car, machine-room, display, housing
    digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryDevice:
    """One device, by its name and by the hash that stands in entries."""

    urn: str
    device: bytes
    kind: str  # meter, lift, access, water, display, gateway
    origin: str
    floor: int | None
    title: Words
    quantity: str | None
    unit: bytes | None  # the unit that it counts for
    pool: bytes | None
    tariff: str | None  # a tariff's name in `Directory.tariffs`
    name: str  # as in public addresses: b07-l1
    building: str | None = None
    labels: Sequence[DirectoryLabel] = ()
    packs: Sequence[str] = ()  # whose lists its visits follow; the first has the classes that fall due
    firm: int | None = None  # who maintains it, where no agreement on chain says so
    inspection_until: date | None = None  # by the manager's word
    calibration_until: date | None = None
    serviced_since: date | None = None  # its last visit before there were records
    of: bytes | None = None  # the lift that a display or a machine-room door belongs to
    register_step: int = 1  # of a meter: the last digit that its register shows, in base units


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryPool:
    """What several units share."""

    name: str
    alias: bytes
    title: Words
    volume_register: str = COLD_WATER  # of the units' own meters, where a tariff shares the pool by volumes


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryBus:
    """Main meters, and the sub-meters behind them whose sum they should show but for a loss."""

    name: str
    register: str
    main: Sequence[bytes]
    subs: Sequence[bytes]
    building: str | None = None  # whose owners may look at it; None: every owner of the site
    low_permille: int  # of what the main meters count: below zero where sub-meters may count a little more
    high_permille: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CrewMember:
    """Somebody who serves devices. Pages show the firm, never the person."""

    alias: bytes
    public: bytes  # x || y
    firm: Words
    firm_number: int = 0  # in Crews; 0 for the site's own people
    duty: str = "mechanic"  # or manager, installer
    installs: bool = False  # may hang up meters, whatever else the duty is


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """One one-time link: only the token's hash."""

    role: str
    unit: bytes | None
    title: Words
    token_digest: bytes


@dataclass(frozen=True, kw_only=True)  # without slots: its indexes are kept beside the fields
class Directory:
    """One site's directory."""

    site: str
    title: Words
    timezone: ZoneInfo
    units: Sequence[DirectoryUnit] = ()
    devices: Sequence[DirectoryDevice] = ()
    pools: Sequence[DirectoryPool] = ()
    tariffs: Mapping[str, int] = field(default_factory=dict)  # versions on chain by name
    sign_ins: Mapping[bytes, SignIn] = field(default_factory=dict)
    crew: Sequence[CrewMember] = ()
    buses: Sequence[DirectoryBus] = ()
    buildings: Sequence[DirectoryBuilding] = ()
    firms: Sequence[DirectoryFirm] = ()

    def crew_of(self, alias: bytes) -> CrewMember | None:
        return self._crew_by_alias.get(alias)

    def unit_named(self, name: str) -> DirectoryUnit | None:
        return self._units_by_name.get(name)

    def unit_of(self, alias: bytes) -> DirectoryUnit | None:
        return self._units_by_alias.get(alias)

    def device_of(self, device: bytes) -> DirectoryDevice | None:
        return self._devices_by_hash.get(device)

    def pool_of(self, alias: bytes) -> DirectoryPool | None:
        return self._pools_by_alias.get(alias)

    def device_named(self, name: str) -> DirectoryDevice | None:
        return self._devices_by_name.get(name)

    def label_of(self, digest: bytes) -> tuple[DirectoryDevice, str] | None:
        """The device that carries a code, and where on it."""
        return self._labels_by_digest.get(digest)

    def units_in(self, building: str) -> Sequence[DirectoryUnit]:
        return self._units_by_building.get(building, ())

    def building_named(self, name: str | None) -> DirectoryBuilding | None:
        return next((one for one in self.buildings if one.name == name), None)

    def cell_of(self, device: bytes) -> str | None:
        """The coarse place of the building that a device is in."""
        named = self.device_of(device)
        building = self.building_named(named.building) if named else None
        return building.cell if building else None

    def firm_numbered(self, number: int | None) -> DirectoryFirm | None:
        return next((one for one in self.firms if one.number == number), None)

    def sign_in_of(self, account: bytes) -> SignIn | None:
        """The one-time link by which somebody came whose account this is."""
        return self._sign_ins_by_account.get(account)

    # Made when first asked for; of two with one name the first in the file counts.

    @cached_property
    def _units_by_name(self) -> Mapping[str, DirectoryUnit]:
        return {unit.name: unit for unit in reversed(self.units)}

    @cached_property
    def _units_by_building(self) -> Mapping[str, Sequence[DirectoryUnit]]:
        groups: dict[str, list[DirectoryUnit]] = {}
        for unit in self.units:
            groups.setdefault(unit.building, []).append(unit)
        return groups

    @cached_property
    def _units_by_alias(self) -> Mapping[bytes, DirectoryUnit]:
        return {unit.alias: unit for unit in reversed(self.units)}

    @cached_property
    def _devices_by_hash(self) -> Mapping[bytes, DirectoryDevice]:
        return {one.device: one for one in reversed(self.devices)}

    @cached_property
    def _devices_by_name(self) -> Mapping[str, DirectoryDevice]:
        return {one.name: one for one in reversed(self.devices)}

    @cached_property
    def _labels_by_digest(self) -> Mapping[bytes, tuple[DirectoryDevice, str]]:
        return {label.digest: (one, label.place) for one in reversed(self.devices) for label in one.labels}

    @cached_property
    def _pools_by_alias(self) -> Mapping[bytes, DirectoryPool]:
        return {pool.alias: pool for pool in reversed(self.pools)}

    @cached_property
    def _crew_by_alias(self) -> Mapping[bytes, CrewMember]:
        return {one.alias: one for one in reversed(self.crew)}

    @cached_property
    def _sign_ins_by_account(self) -> Mapping[bytes, SignIn]:
        return {one.token_digest[:_ACCOUNT_BYTES]: one for one in reversed(list(self.sign_ins.values()))}

    @cached_property
    def _devices_by_kind(self) -> Mapping[str, Sequence[DirectoryDevice]]:
        groups: dict[str, list[DirectoryDevice]] = {}
        for one in self.devices:
            groups.setdefault(one.kind, []).append(one)
        return groups

    @cached_property
    def _devices_by_unit(self) -> Mapping[bytes, Sequence[DirectoryDevice]]:
        groups: dict[bytes, list[DirectoryDevice]] = {}
        for one in self.devices:
            if one.unit is not None:
                groups.setdefault(one.unit, []).append(one)
        return groups

    @cached_property
    def shared_devices(self) -> Sequence[DirectoryDevice]:
        """Meters whose cost several units share."""
        return [one for one in self.devices if one.pool is not None]

    def devices_of_unit(self, alias: bytes) -> Sequence[DirectoryDevice]:
        return self._devices_by_unit.get(alias, ())

    def of_kind(self, kind: str) -> Sequence[DirectoryDevice]:
        return self._devices_by_kind.get(kind, ())


EMPTY = Directory(site="", title=Words(zh="明楼", en="Minglou"), timezone=ZoneInfo("Asia/Shanghai"))


class Overlay(Protocol):
    """What is known elsewhere, such as on a chain, and goes before the file."""

    @property
    def version(self) -> int:
        """Another number whenever `over` may give something else."""

    def over(self, directory: Directory) -> Directory: ...


class DirectoryFile:
    """The directory in a file, re-read when the file changes; a broken new version keeps the old one in use."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._stamp: tuple[int, int] | None = None
        self._held = EMPTY
        self._overlay: Overlay | None = None
        self._laid: tuple[Directory, int] | None = None  # the file and the overlay of which `_shown` was made
        self._shown = EMPTY

    def join(self, overlay: Overlay) -> None:
        """From now on what is known elsewhere is laid over the file."""
        self._overlay = overlay

    def read(self) -> Directory:
        """The present directory. Raises `SettingsError` only if no good version was ever read."""
        file = self._read_file()
        if self._overlay is None:
            return file
        laid = (file, self._overlay.version)
        if self._laid is None or self._laid[0] is not file or self._laid[1] != laid[1]:
            self._shown, self._laid = self._overlay.over(file), laid
        return self._shown

    def _read_file(self) -> Directory:
        if self._path is None:
            return EMPTY
        try:
            found = self._path.stat()
            stamp = (found.st_mtime_ns, found.st_size)
            if stamp != self._stamp:
                self._held = parse_directory(json.loads(self._path.read_text()))
                self._stamp = stamp
        except (OSError, ValueError, KeyError, TypeError, SettingsError, ZoneInfoNotFoundError) as error:
            if self._stamp is None:
                raise SettingsError(f"directory {self._path} cannot be used: {error!r}; write it again") from error
            _log.warning("cloud: directory %s cannot be used (%r); going on with the one before", self._path, error)
            self._stamp = (found.st_mtime_ns, found.st_size) if "found" in locals() else self._stamp
        return self._held


def parse_directory(document: Mapping[str, Any]) -> Directory:
    """The directory in a parsed JSON document. Raises KeyError, TypeError or ValueError where it is not one."""
    if document["format"] != FORMAT:
        raise SettingsError(f"directory format is {document['format']!r}, not {FORMAT}")
    site = document["site"]
    return Directory(
        site=str(site["name"]),
        title=_words(site["title"]),
        timezone=ZoneInfo(site["timezone"]),
        units=tuple(sorted((_unit(unit) for unit in document["units"]), key=lambda unit: unit.index)),
        devices=tuple(_device(device) for device in document["devices"]),
        pools=tuple(
            DirectoryPool(
                name=pool["name"],
                alias=bytes.fromhex(pool["alias"]),
                title=_words(pool.get("title")),
                volume_register=str(pool.get("volume_register", COLD_WATER)),
            )
            for pool in document.get("pools", ())
        ),
        tariffs={
            str(tariff["name"]): int(tariff["version"])
            for tariff in document.get("tariffs", ())
            if tariff.get("version") is not None
        },
        sign_ins={one.token_digest: one for one in map(_sign_in, document.get("sign_in", ()))},
        crew=tuple(_member(one) for one in document.get("crew", ())),
        buses=tuple(_bus(bus) for bus in document.get("buses", ())),
        buildings=tuple(_building(one) for one in document.get("buildings", ())),
        firms=tuple(_firm(one) for one in document.get("firms", ())),
    )


def _words(value: Any) -> Words:
    if isinstance(value, str):
        return Words(zh=value, en=value)
    if not value:
        return Words(zh="", en="")
    return Words(zh=str(value["zh"]), en=str(value["en"]))


def _unit(unit: Mapping[str, Any]) -> DirectoryUnit:
    name = str(unit["name"])
    return DirectoryUnit(
        index=int(unit["index"]),
        name=name,
        building=str(unit["building"]),
        floor=int(unit["floor"]),
        alias=bytes.fromhex(unit["alias"]),
        area_centi_m2=int(unit["area_centi_m2"]),
        title=_words(unit.get("title") or name),
    )


def _device(device: Mapping[str, Any]) -> DirectoryDevice:
    urn = str(device["urn"])
    counts_for = device.get("counts_for") or {}
    floor = device.get("floor")
    return DirectoryDevice(
        urn=urn,
        device=device_id(urn),
        kind=str(device["kind"]),
        origin=str(device["origin"]),
        floor=None if floor is None else int(floor),
        title=_words(device.get("title")),
        quantity=device.get("quantity"),
        unit=bytes.fromhex(counts_for["unit"]) if counts_for.get("unit") else None,
        pool=bytes.fromhex(counts_for["pool"]) if counts_for.get("pool") else None,
        tariff=device.get("tariff"),
        name=str(device.get("name") or urn.rpartition(":")[2]),
        building=device.get("building"),
        labels=tuple(
            DirectoryLabel(place=str(one["place"]), digest=bytes.fromhex(one["digest"]))
            for one in device.get("labels", ())
        ),
        packs=tuple(map(str, device.get("packs", ()))),
        firm=None if device.get("firm") is None else int(device["firm"]),
        inspection_until=_day(device.get("inspection_until")),
        calibration_until=_day(device.get("calibration_until")),
        serviced_since=_day(device.get("serviced_since")),
        of=bytes.fromhex(device["of"]) if device.get("of") else None,
        register_step=max(1, int(device.get("register_step", 1))),
    )


def _day(text: Any) -> date | None:
    return None if text is None else date.fromisoformat(text)


def _building(one: Mapping[str, Any]) -> DirectoryBuilding:
    return DirectoryBuilding(
        name=str(one["name"]),
        title=_words(one.get("title")),
        area=str(one.get("area", "built-up")),
        cell=one.get("cell"),
    )


def _firm(one: Mapping[str, Any]) -> DirectoryFirm:
    return DirectoryFirm(number=int(one["number"]), title=_words(one.get("title")), telephone=one.get("telephone"))


def _member(one: Mapping[str, Any]) -> CrewMember:
    return CrewMember(
        alias=bytes.fromhex(one["alias"]),
        public=bytes.fromhex(one["public"]),
        firm=_words(one.get("firm")),
        firm_number=int(one.get("firm_number", 0)),
        duty=str(one.get("duty", "mechanic")),
        installs=one.get("duty") == "installer",
    )


def _bus(bus: Mapping[str, Any]) -> DirectoryBus:
    low, high = bus.get("loss_permille", (-5, 50))
    return DirectoryBus(
        name=str(bus["name"]),
        building=None if bus.get("building") is None else str(bus["building"]),
        register=str(bus.get("register", ENERGY_IMPORT)),
        main=tuple(device_id(str(urn)) for urn in bus["main"]),
        subs=tuple(device_id(str(urn)) for urn in bus["subs"]),
        low_permille=int(low),
        high_permille=int(high),
    )


def _sign_in(one: Mapping[str, Any]) -> SignIn:
    return SignIn(
        role=str(one["role"]),
        unit=bytes.fromhex(one["unit"]) if one.get("unit") else None,
        title=_words(one.get("title")),
        token_digest=bytes.fromhex(one["token_sha256"]),
    )
