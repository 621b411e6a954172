"""The gateway's settings: one frozen value, read once at start from `gateway.toml`."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from contracts.clock import Clock, clock_from_settings
from contracts.copy_note import COPIES_MAX, CopyKeeper
from contracts.errors import ClockError, CopyError
from edge.errors import SettingsError
from edge.toml_text import TomlTable, read_toml

_ORIGIN = re.compile(r"[a-z0-9.-]+(/[a-z0-9-]+){2}/e0")
_URN = re.compile(r"urn:minglou:[a-z0-9:-]+")
_ADDRESS = re.compile(r"0x[0-9a-f]{40}")
_CREW_URL = re.compile(r"https?://[a-zA-Z0-9.:-]+/[a-zA-Z0-9._~/-]*")
_PARITIES = ("none", "even", "odd")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """An address of this machine to listen at."""

    host: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointSettings:
    """The gateway's own MQTT endpoint."""

    listen: Listen
    credentials_file: Path
    tls_cert: Path | None
    tls_key: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerSettings:
    """One MQTT broker that the gateway is a client of."""

    name: str
    host: str
    port: int
    tls: bool
    client_id: str
    username: str
    password_file: Path | None
    version: str  # "5" or "3.1.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class SerialSettings:
    """One serial bus with many meters."""

    name: str
    port: str
    baud: int
    parity: str
    reply_timeout_seconds: float  # 0: as the profile says


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeAssistantSettings:
    """Where Home Assistant listens: one of the brokers."""

    broker: str
    discovery_prefix: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSettings:
    """One device and how it is reached: exactly one of bus, mqtt, ble_address."""

    urn: str
    profile: str
    bus: str = ""
    address: str = ""
    mqtt: str = ""  # "endpoint" or a broker's name
    topic: str = ""
    username: str = ""
    ble_address: str = ""
    poll_seconds: int = 0  # 0: as the profile says
    of: tuple[str, ...] = ()  # URNs of the devices that this display or machine room's door belongs to
    without: tuple[str, ...] = ()  # items of its profile's visit rules that are not fitted here
    spare: bool = False  # a meter in stock: it hangs nowhere yet, and will take another one's place


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that `gateway.toml` says."""

    origin: str
    urn: str
    data_dir: Path
    key_file: Path
    key_password_file: Path | None
    zone: ZoneInfo
    clock: Clock
    uplink_url: str
    chain_id: int
    checkpoint_entries: int
    checkpoint_seconds: float
    commit_entries: int
    commit_seconds: float
    status: Listen | None
    endpoint: EndpointSettings | None
    brokers: tuple[BrokerSettings, ...]
    buses: tuple[SerialSettings, ...]
    ble_adapter: str | None
    ble_silence_seconds: float
    home_assistant: HomeAssistantSettings | None
    devices: tuple[DeviceSettings, ...]
    maintenance_contract: str = ""  # whose visits are judged, 0x…; "" judges none
    crew_urls: tuple[str, ...] = ()  # the crew pages that a nonce may be handed back to
    crew_cards_file: Path | None = None  # whose card opens doors, and the one that opens none
    packs: tuple[Path, ...] = ()  # plans of maintenance that do not come with Minglou
    copies: tuple[CopyKeeper, ...] = ()  # who must have acknowledged what is to be pruned

    @property
    def origin_stem(self) -> str:
        """The origin without its epoch: what all epochs of this gateway share."""
        return self.origin.rpartition("/")[0]


def read_settings(path: Path) -> Settings:
    """The settings in one file.

    Raises:
        SettingsError: naming file, line, key and remedy.
    """
    top = read_toml(path)
    top.only(
        "gateway", "clock", "uplink", "checkpoint", "commit", "status", "mqtt", "serial", "ble", "home_assistant",
        "device", "maintenance", "copy",
    )  # fmt: skip
    gateway = _required(top, "gateway")
    gateway.only("origin", "urn", "data_dir", "key_file", "key_password_file", "timezone")
    uplink = _required(top, "uplink")
    uplink.only("url", "chain_id")
    checkpoint = top.table("checkpoint") or _empty(top, "checkpoint")
    checkpoint.only("entries", "seconds")
    commit = top.table("commit") or _empty(top, "commit")
    commit.only("entries", "seconds")
    mqtt = top.table("mqtt") or _empty(top, "mqtt")
    mqtt.only("endpoint", "broker")
    ble = top.table("ble")
    if ble is not None:
        ble.only("adapter", "silence_seconds")
    password_file = gateway.string("key_password_file", "")
    settings = Settings(
        origin=_origin(gateway),
        urn=_urn(gateway),
        data_dir=_path(path, gateway.string("data_dir")),
        key_file=_path(path, gateway.string("key_file")),
        key_password_file=_path(path, password_file) if password_file else None,
        zone=_zone(gateway),
        clock=_clock(top),
        uplink_url=_url(uplink),
        chain_id=uplink.integer("chain_id", least=1),
        checkpoint_entries=checkpoint.integer("entries", 256, least=1, most=4096),
        checkpoint_seconds=checkpoint.seconds("seconds", 2.0, least=0.01),
        commit_entries=commit.integer("entries", 500, least=1, most=4096),
        commit_seconds=commit.seconds("seconds", 0.05, most=1.0),
        status=_status(top),
        endpoint=_endpoint(path, mqtt),
        brokers=tuple(_broker(path, table) for table in mqtt.tables("broker")),
        buses=tuple(_bus(table) for table in top.tables("serial")),
        ble_adapter=ble.string("adapter", "hci0") if ble else None,
        ble_silence_seconds=ble.seconds("silence_seconds", 30.0, least=1.0) if ble else 30.0,
        home_assistant=_home_assistant(top),
        devices=tuple(_device(table) for table in top.tables("device")),
        **_maintenance(path, top),
        copies=_copies(top),
    )
    _check_devices(top, settings)
    return settings


def _required(top: TomlTable, name: str) -> TomlTable:
    table = top.table(name)
    if table is None:
        raise SettingsError(f"{top.path.name} line 1: [{name}] is missing; add that table")
    return table


def _empty(top: TomlTable, name: str) -> TomlTable:
    return TomlTable(path=top.path, text=top.text, heading=f"[{name}]", position=0, values={})


def _path(settings_file: Path, written: str) -> Path:
    """Relative paths are relative to the settings file."""
    return (settings_file.parent / written).resolve()


def _origin(table: TomlTable) -> str:
    origin = table.string("origin")
    if not _ORIGIN.fullmatch(origin) or len(origin) > 60:
        raise table.error("origin", f"is {origin!r}; write HOST/SITE/GATEWAY/e0 in lower case, at most 60 characters")
    return origin


def _urn(table: TomlTable) -> str:
    urn = table.string("urn")
    if not _URN.fullmatch(urn):
        raise table.error("urn", f"is {urn!r}; write urn:minglou:SITE:BUILDING:KIND:NAME in lower case")
    return urn


def _zone(table: TomlTable) -> ZoneInfo:
    name = table.string("timezone")
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise table.error("timezone", f"{name!r} is unknown; write one such as Asia/Shanghai") from error


def _clock(top: TomlTable) -> Clock:
    table = top.table("clock")
    try:
        return clock_from_settings(table.values if table else None)
    except ClockError as error:
        raise (table or top).error("kind", str(error)) from error


def _url(table: TomlTable) -> str:
    url = table.string("url").rstrip("/")
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        raise table.error("url", f"is {url!r}; write the cloud's address such as https://minglou.example")
    return url


def _listen(table: TomlTable) -> Listen:
    host, colon, port = table.string("listen").rpartition(":")
    if not colon or not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise table.error("listen", "write HOST:PORT such as 127.0.0.1:8611")
    return Listen(host=host, port=int(port))


def _status(top: TomlTable) -> Listen | None:
    table = top.table("status")
    if table is None:
        return None
    table.only("listen")
    return _listen(table)


def _endpoint(path: Path, mqtt: TomlTable) -> EndpointSettings | None:
    table = mqtt.table("endpoint")
    if table is None:
        return None
    table.only("listen", "credentials_file", "tls_cert", "tls_key")
    cert, key = table.string("tls_cert", ""), table.string("tls_key", "")
    if bool(cert) != bool(key):
        raise table.error("tls_cert", "needs tls_key beside it; give both or neither")
    return EndpointSettings(
        listen=_listen(table),
        credentials_file=_path(path, table.string("credentials_file")),
        tls_cert=_path(path, cert) if cert else None,
        tls_key=_path(path, key) if key else None,
    )


def _broker(path: Path, table: TomlTable) -> BrokerSettings:
    table.only("name", "url", "client_id", "username", "password_file", "protocol")
    url = urlsplit(table.string("url"))
    if url.scheme not in ("mqtt", "mqtts") or not url.hostname:
        raise table.error("url", "write mqtt://HOST:PORT or mqtts://HOST:PORT")
    version = table.string("protocol", "5")
    if version not in ("5", "3.1.1"):
        raise table.error("protocol", f'is {version!r}; write "5" or "3.1.1"')
    password_file = table.string("password_file", "")
    tls = url.scheme == "mqtts"
    return BrokerSettings(
        name=table.string("name"),
        host=url.hostname,
        port=url.port or (8883 if tls else 1883),
        tls=tls,
        client_id=table.string("client_id"),
        username=table.string("username", ""),
        password_file=_path(path, password_file) if password_file else None,
        version=version,
    )


def _bus(table: TomlTable) -> SerialSettings:
    table.only("name", "port", "baud", "parity", "reply_timeout_seconds")
    parity = table.string("parity", "even")
    if parity not in _PARITIES:
        raise table.error("parity", f"is {parity!r}; write one of {', '.join(_PARITIES)}")
    return SerialSettings(
        name=table.string("name"),
        port=table.string("port"),
        baud=table.integer("baud", 2400, least=300, most=4_000_000),
        parity=parity,
        reply_timeout_seconds=table.seconds("reply_timeout_seconds", 0.0, most=10.0),
    )


def _home_assistant(top: TomlTable) -> HomeAssistantSettings | None:
    table = top.table("home_assistant")
    if table is None:
        return None
    table.only("broker", "discovery_prefix")
    return HomeAssistantSettings(
        broker=table.string("broker"), discovery_prefix=table.string("discovery_prefix", "homeassistant")
    )


def _maintenance(path: Path, top: TomlTable) -> dict[str, Any]:
    table = top.table("maintenance")
    if table is None:
        return {}
    table.only("contract", "crew_urls", "crew_cards_file", "packs")
    contract = table.string("contract").lower()
    if not _ADDRESS.fullmatch(contract):
        raise table.error("contract", f"is {contract!r}; write the address 0x… of the site's maintenance contract")
    crew_urls = table.strings("crew_urls")
    if any(not _CREW_URL.fullmatch(url) for url in crew_urls):
        raise table.error("crew_urls", "write addresses of crew pages, such as https://minglou.example/crew")
    cards_file = table.string("crew_cards_file", "")
    return {
        "maintenance_contract": contract,
        "crew_urls": crew_urls,
        "crew_cards_file": _path(path, cards_file) if cards_file else None,
        "packs": tuple(_path(path, written) for written in table.strings("packs")),
    }


def _copies(top: TomlTable) -> tuple[CopyKeeper, ...]:
    copies: dict[str, CopyKeeper] = {}
    for table in top.tables("copy"):
        table.only("name", "key")
        try:
            copy = CopyKeeper(name=table.string("name"), public=bytes.fromhex(table.string("key")))
        except (CopyError, ValueError) as error:
            raise table.error("key", f"{error}; `minglou mirror key` prints name and key") from error
        if copy.name in copies:
            raise table.error("name", f"{copy.name!r} stands here twice; give each copy its own")
        copies[copy.name] = copy
    if len(copies) > COPIES_MAX:
        raise SettingsError(f"{top.path.name}: {len(copies)} tables [[copy]]; {COPIES_MAX} is the limit")
    return tuple(copies.values())


def _device(table: TomlTable) -> DeviceSettings:
    table.only(
        "urn", "profile", "bus", "address", "mqtt", "topic", "username", "ble_address", "poll_seconds", "of", "without",
        "spare",
    )  # fmt: skip
    device = DeviceSettings(
        urn=_urn(table),
        profile=table.string("profile"),
        bus=table.string("bus", ""),
        address=table.string("address", ""),
        mqtt=table.string("mqtt", ""),
        topic=table.string("topic", ""),
        username=table.string("username", ""),
        ble_address=table.string("ble_address", "").upper(),
        poll_seconds=table.integer("poll_seconds", 0, most=86_400),
        of=table.strings("of"),
        without=table.strings("without"),
        spare=table.flag("spare"),
    )
    if sum(map(bool, (device.bus, device.mqtt, device.ble_address))) != 1:
        raise table.error("urn", f"{device.urn} needs exactly one of bus, mqtt, ble_address")
    if device.bus and not device.address:
        raise table.error("address", f"{device.urn} is on bus {device.bus!r} and needs its address")
    if device.mqtt and (not device.topic or set("#+") & set(device.topic)):
        raise table.error("topic", f"{device.urn} needs its topic, without + or #")
    if device.mqtt == "endpoint" and not device.username:
        raise table.error("username", f"{device.urn} logs in to the endpoint and needs its username")
    return device


def _check_devices(top: TomlTable, settings: Settings) -> None:
    buses, brokers = {bus.name for bus in settings.buses}, {broker.name for broker in settings.brokers}
    urns: set[str] = set()
    known = {device.urn for device in settings.devices}
    for table, device in zip(top.tables("device"), settings.devices, strict=True):
        if not set(device.of) <= known - {device.urn}:
            raise table.error("of", f"{device.urn} stands beside what is no [[device]] here; write their URNs")
        if device.urn in urns or device.urn == settings.urn:
            raise table.error("urn", f"{device.urn} stands here twice; give every device its own")
        urns.add(device.urn)
        if device.bus and device.bus not in buses:
            raise table.error("bus", f"{device.bus!r} is not one of the [[serial]] names {sorted(buses)}")
        if device.mqtt == "endpoint" and settings.endpoint is None:
            raise table.error("mqtt", "needs the table [mqtt.endpoint]")
        if device.mqtt and device.mqtt != "endpoint" and device.mqtt not in brokers:
            raise table.error("mqtt", f'{device.mqtt!r} is neither "endpoint" nor one of the brokers {sorted(brokers)}')
        if device.ble_address and settings.ble_adapter is None:
            raise table.error("ble_address", "needs the table [ble]")
    home, home_table = settings.home_assistant, top.table("home_assistant")
    if home is not None and home_table is not None and home.broker not in brokers:
        raise home_table.error("broker", f"{home.broker!r} is not one of the brokers {sorted(brokers)}")
