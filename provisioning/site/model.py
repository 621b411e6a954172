"""What a site file says, as frozen types. Money is micro-yuan per base unit, areas 0.01 m², energy Wh."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

__all__ = [
    "Broker",
    "Building",
    "Bus",
    "Device",
    "Firm",
    "Gateway",
    "Pool",
    "Site",
    "Tariff",
    "Tier",
    "Title",
    "Unit",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Title:
    """A name that people read, in both languages."""

    zh: str
    en: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Building:
    """One building of the compound."""

    name: str
    title: Title
    floors: int
    area: str = "built-up"  # or "elsewhere": how soon somebody must be with trapped passengers
    cell: str | None = None  # latitude and longitude to 0.01 degree: where phones may say that they are, never nearer


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One flat or shop. Its index is its place in the file, and never changes once bills rest on it."""

    index: int
    name: str
    building: str
    floor: int
    area_centi_m2: int  # 0.01 m²
    owner: str  # a name for the letter that carries the owner's key; never on the chain
    buyer: str  # units of one buyer, such as the developer's unsold ones, are one head in votes; else the unit's name


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """One price step: usage up to `up_to` base units in the tariff's span; None: everything above."""

    up_to: int | None
    price_micro: int  # 0.000001 yuan per 1,000 base units (per kWh, per m³)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """Prices of one quantity, with the source that anybody can look up."""

    name: str
    quantity: str  # an OBIS code such as 1-0:1.8.0
    span: str  # "year" or "month": what the tiers' bounds count
    tiers: tuple[Tier, ...]
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """What several units share, and by which key."""

    name: str
    title: Title
    building: str
    tariff: str
    key: str  # "area"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bus:
    """One serial line of a gateway."""

    name: str
    gateway: str
    port: str
    baud: int
    parity: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """One MQTT broker that stands in the house, which a gateway joins as a client."""

    name: str
    gateway: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """One gateway: the log it keeps and where it listens."""

    name: str  # in URNs, such as g1
    log: str  # third part of the origin, such as b07
    building: str
    epoch: int
    adapter: str | None  # Bluetooth adapter, such as hci0
    packs: tuple[str, ...] = ()  # whose lists visits of it follow; with one it stands among the devices


@dataclass(frozen=True, slots=True, kw_only=True)
class Firm:
    """A firm that looks after devices."""

    number: int  # in Crews
    title: Title
    telephone: str | None
    registered: str | None = None  # its registered name and credit code, of which Crews holds the hash
    licence_until: date | None = None  # the last day, by UTC, on which its licence holds


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One meter, lift, access controller or sensor, and how a gateway reaches it."""

    name: str  # last part of the URN, such as 0501 or l1
    kind: str  # meter, lift, access, water, display
    title: Title
    building: str
    floor: int
    gateway: str
    profile: str
    unit: str | None
    pool: str | None
    tariff: str | None
    bus: str | None
    address: str | None
    mqtt: str | None  # "endpoint" or a broker's name
    topic: str | None
    username: str | None
    ble_address: str | None
    of: str | None = None  # a display's or a machine-room door's: the lift that it belongs to
    without: tuple[str, ...] = ()  # items of its profile's visit rules that are not fitted here
    labels: tuple[str, ...] = ()  # places that carry a code to scan
    packs: tuple[str, ...] = ()  # whose lists its visits follow; the first has the classes that fall due
    firm: int | None = None  # who maintains it, until an agreement on chain says so
    inspection_until: date | None = None  # the authority's last inspection holds until then, by the manager's word
    calibration_until: date | None = None
    serviced_since: date | None = None  # its last visit before there were records, from which due days are counted
    spare: bool = False  # a meter in stock, which will take another one's place


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One compound as its site file describes it; every reference in it has been resolved once."""

    name: str
    host: str
    title: Title
    timezone: ZoneInfo
    chain_id: int
    buildings: tuple[Building, ...]
    units: tuple[Unit, ...]
    pools: tuple[Pool, ...]
    tariffs: tuple[Tariff, ...]
    gateways: tuple[Gateway, ...]
    buses: tuple[Bus, ...]
    brokers: tuple[Broker, ...]
    devices: tuple[Device, ...]
    firms: tuple[Firm, ...] = ()

    def origin(self, gateway: Gateway) -> str:
        """The name of the gateway's log: `HOST/SITE/LOG/eN`."""
        return f"{self.host}/{self.name}/{gateway.log}/e{gateway.epoch}"

    @property
    def super_log_origin(self) -> str:
        """The name of the deployment's super-log: `HOST/log`."""
        return f"{self.host}/log"

    def gateway_urn(self, gateway: Gateway) -> str:
        """The URN of a gateway itself."""
        return f"urn:minglou:{self.name}:{gateway.building}:gateway:{gateway.name}"

    def device_urn(self, device: Device, suffix: str | None) -> str:
        """The URN of a device; `suffix` is the random end of a flat's meter, so that its hash cannot be guessed."""
        tail = f"-{suffix}" if suffix else ""
        return f"urn:minglou:{self.name}:{device.building}:{device.kind}:{device.name}{tail}"

    def lift_of(self, device: Device) -> Device | None:
        """The lift that a display or a machine-room door belongs to."""
        whose = ("lift", device.building, device.of)
        return next((one for one in self.devices if (one.kind, one.building, one.name) == whose), None)
