"""The cloud's settings: one TOML file, read once, every key checked."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cloud.cosigners import Cosigners, read_cosigners
from cloud.errors import SettingsError
from cloud.identity.loads import LimitSettings, limits_from_settings
from cloud.ingest_log.settings import IngestLogSettings, ingest_log_from_settings
from cloud.proxies import Network, networks
from cloud.retention.periods import Periods, periods_from_settings
from cloud.segments.archive import SEGMENT_BYTES
from cloud.telemetry import TelemetrySettings, telemetry_from_settings
from cloud.toml_table import Table as _Table
from cloud.toml_table import read_toml as _read_toml
from cloud.webhooks.settings import Webhook, webhooks_from_settings
from contracts.clock import Clock, clock_from_settings
from contracts.copy_note import COPIES_MAX, CopyKeeper
from contracts.errors import ClockError, CopyError

__all__ = [
    "ChainSettings",
    "CloudSettings",
    "CopySettings",
    "OperatorSettings",
    "SegmentSettings",
    "load_operator_settings",
    "load_settings",
    "read_secret",
]

_GWEI = 10**9
_MIB = 1024 * 1024
_WORKERS_MAX = 64
_PORT_MAX = 65_535
_TABLES = {
    "webhook",
    "cloud",
    "clock",
    "store",
    "chain",
    "super_log",
    "identity",
    "ingest",
    "ingest_log",
    "limits",
    "mail",
    "maintenance",
    "segments",
    "copy",
    "witness",
    "retention",
    "telemetry",
}
_ADDRESS = re.compile(r"0x[0-9a-f]{40}")
_PHOTOS_A_DAY_MAX = 100_000
_LOG_LEVELS = ("debug", "info", "warning", "error", "critical")
_STORE = re.compile(r"(sqlite|postgresql)(\+[a-z0-9]+)?://.*", re.DOTALL)
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?|\[[0-9a-f:.]+\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainSettings:
    """How to reach the chain and what to pay at most. Real seconds."""

    rpc: tuple[str, ...]
    chain_id: int
    deployment_file: Path
    finality_depth: int | None  # None: the chain's own `finalized` tag
    poll_seconds: float
    stuck_seconds: float
    fee_cap_wei: int
    priority_fee_wei: int
    quorum: int | None  # endpoints that must say the same; None: a majority
    legacy_transactions: bool
    resends_lost: bool  # a chain that loses what was final is sent everything again


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentSettings:
    """Where and how often what is stored is written into segments. Real seconds."""

    folder: Path
    pause_seconds: float
    segment_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CopySettings:
    """One independent copy that may fetch all logs: a committee's or a second operator's mirror."""

    keeper: CopyKeeper
    token_file: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudSettings:
    """Everything `minglou cloud serve` reads."""

    host: str
    port: int
    hosts: tuple[str, ...]  # the names that this site answers to; none: whatever it is called
    workers: int  # server processes behind the one address
    public_url: str
    data_dir: Path
    directory_file: Path | None
    trust_file: Path | None
    rpc_for_browsers: str
    demo_note: bool
    log_level: str
    store_url: str
    clock: Clock
    chain: ChainSettings | None
    relayer_key_file: Path | None
    super_origin: str
    super_key_file: Path
    anchor_seconds: float
    accept_seconds: float | None
    entries_per_second: float
    claims_file: Path | None
    keys_dir: Path
    master_key_file: Path
    audit_key_file: Path
    block_mail_seconds: float
    segments: SegmentSettings
    copies: tuple[CopySettings, ...] = ()
    maintenance_contract: str | None = None  # whose visits are relayed
    photos_dir: Path = Path("photos")  # of visits; replicas share it
    photos_per_day: int = 500  # of one crew member; ten yearly visits have no more
    photo_bytes_per_day: int = 256 * _MIB
    webhooks: tuple[Webhook, ...] = ()
    cosigners: Cosigners = field(default_factory=Cosigners)
    retention: Periods = field(default_factory=Periods)
    telemetry: TelemetrySettings | None = None
    ingest_log: IngestLogSettings | None = None  # None: the store is the log
    trusted_proxies: tuple[Network, ...] = ()  # whose X-Forwarded-For is believed
    limits: LimitSettings = field(default_factory=LimitSettings)

    @property
    def site(self) -> str:
        """How figures and logs call this site."""
        return self.hosts[0] if self.hosts else str(urlsplit(self.public_url).hostname)


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorSettings:
    """What `minglou billing post` reads: the operator's own key, never the cloud's."""

    cloud_url: str
    chain: ChainSettings
    operator_key_file: Path
    clock: Clock


def load_settings(file: Path) -> CloudSettings:
    """The settings of a cloud.

    Raises:
        SettingsError: naming file, table, key and remedy.
    """
    document = _read_toml(file)
    _check_tables(file, document, _TABLES)
    cloud, superlog = (
        _Table(file, "cloud", document.get("cloud", {})),
        _Table(file, "super_log", document.get("super_log", {})),
    )
    ingest, mail = _Table(file, "ingest", document.get("ingest", {})), _Table(file, "mail", document.get("mail", {}))
    store = _Table(file, "store", document.get("store", {}))
    segments = _Table(file, "segments", document.get("segments", {}))
    retention = _Table(file, "retention", document.get("retention", {}))
    maintenance = _Table(file, "maintenance", document["maintenance"]) if "maintenance" in document else None
    chain = _Table(file, "chain", document["chain"]) if "chain" in document else None
    telemetry = _Table(file, "telemetry", document["telemetry"]) if "telemetry" in document else None
    host, _, port = str(cloud.take("listen", str)).rpartition(":")
    if not host or not port.isdecimal() or int(port) > _PORT_MAX:
        raise SettingsError(f'{file}: [cloud] listen must be "ADDRESS:PORT"')
    data_dir = cloud.needed_path("data_dir")
    identity = _Table(file, "identity", document.get("identity", {}))
    keys_dir = identity.path("keys_dir", None) or data_dir / "keys"
    store_url = _store_url(file, store, data_dir)
    relayer = chain.path("relayer_key_file", None) if chain else None
    chain_settings = _chain_settings(chain) if chain else None
    public_url = cloud.take("public_url", str, f"http://{host}:{port}")
    settings = CloudSettings(
        host=host.strip("[]"),
        port=int(port),
        hosts=_hosts(file, cloud, public_url),
        workers=_workers(file, cloud, store_url),
        public_url=public_url,
        data_dir=data_dir,
        directory_file=cloud.path("directory_file", None),
        trust_file=cloud.path("trust_file", None),
        rpc_for_browsers=cloud.take("rpc_for_browsers", str, chain_settings.rpc[0] if chain_settings else ""),
        demo_note=cloud.take("demo_note", bool, False),
        log_level=_log_level(file, cloud),
        store_url=store_url,
        clock=_clock(file, document),
        chain=chain_settings,
        relayer_key_file=relayer,
        retention=periods_from_settings(retention),
        cosigners=read_cosigners(_witnesses(file, document), superlog),
        super_origin=superlog.take("origin", str),
        super_key_file=superlog.path("key_file", None) or data_dir / "superlog.pem",
        anchor_seconds=superlog.take("anchor_seconds", float, 60.0),
        accept_seconds=superlog.take("accept_seconds", float, None),
        entries_per_second=ingest.take("entries_per_gateway_per_second", float, 20_000.0),
        claims_file=ingest.path("claims_file", None),
        keys_dir=keys_dir,
        master_key_file=identity.path("master_key_file", None) or keys_dir / "master.key",
        audit_key_file=identity.path("audit_key_file", None) or data_dir / "audit.pem",
        block_mail_seconds=mail.take("block_seconds", float, 60.0),
        segments=_segments(segments, data_dir),
        copies=_copies(file, document),
        maintenance_contract=_address(file, maintenance) if maintenance else None,
        photos_dir=(maintenance.path("photos_dir", None) if maintenance else None) or data_dir / "photos",
        photos_per_day=_photos_a_day(file, maintenance, "photos_per_day", 500),
        photo_bytes_per_day=_photos_a_day(file, maintenance, "photo_mib_per_day", 256) * _MIB,
        webhooks=webhooks_from_settings(file, document.get("webhook", ())),
        ingest_log=ingest_log_from_settings(file, document),
        telemetry=telemetry_from_settings(telemetry),
        trusted_proxies=networks(cloud.take("trusted_proxies", list, [])),
        limits=limits_from_settings(_Table(file, "limits", document.get("limits", {}))),
    )
    _check_replicas(file, settings, document)
    for table in (cloud, superlog, identity, ingest, mail, store, segments, retention, chain, maintenance, telemetry):
        if table is not None:
            table.done()
    return settings


def _hosts(file: Path, table: _Table, public_url: str) -> tuple[str, ...]:
    hosts = tuple(table.take("hosts", list, []))
    if not all(isinstance(host, str) and _HOST.fullmatch(host) for host in hosts) or len(set(hosts)) != len(hosts):
        raise SettingsError(
            f'{file}: [cloud] hosts lists host names in lower case, each once and without a port: ["cuiyuan.example"]'
        )
    own = _host_of(public_url)
    if not own:
        raise SettingsError(f"{file}: [cloud] public_url is {public_url!r}; write an address such as https://HOST")
    if hosts and own not in [host.strip("[]") for host in hosts]:
        raise SettingsError(f"{file}: [cloud] hosts lacks {own}, the host of public_url; add it")
    return hosts


def _host_of(url: str) -> str:
    """The host that an address names; empty where it is no address."""
    try:
        parts = urlsplit(url)
        return "" if parts.port == 0 else parts.hostname or ""
    except ValueError:
        return ""


def _store_url(file: Path, table: _Table, data_dir: Path) -> str:
    url = str(table.take("url", str, f"sqlite+aiosqlite:///{data_dir / 'cloud.sqlite3'}"))
    if not _STORE.fullmatch(url):  # not shown: it may hold a password
        says = "is neither sqlite+aiosqlite:////PATH nor postgresql+asyncpg://USER:PASSWORD@HOST/DATABASE"
        raise SettingsError(f"{file}: [store] url {says}; write one of them")
    return url


def _log_level(file: Path, table: _Table) -> str:
    level = str(table.take("log_level", str, "info"))
    if level.lower() not in _LOG_LEVELS:
        raise SettingsError(f"{file}: [cloud] log_level is {level!r}; write one of {', '.join(_LOG_LEVELS)}")
    return level


def _check_replicas(file: Path, settings: CloudSettings, document: Mapping[str, Any]) -> None:
    """What several clouds on one database share cannot lie in the data_dir of each."""
    if settings.ingest_log is None:
        return
    if not settings.store_url.startswith("postgresql"):
        raise SettingsError(f"{file}: [ingest_log] needs PostgreSQL: replicas share one store; set [store] url")
    missing = [key for key in ("keys_dir", "audit_key_file") if key not in document.get("identity", {})]
    if missing:
        raise SettingsError(
            f"{file}: [ingest_log] is for replicas, and each would make its own keys in its data_dir; "
            f"name what they share in [identity]: {', '.join(missing)} (docs/operations.md, Keys of replicas)"
        )
    if settings.maintenance_contract and "photos_dir" not in document.get("maintenance", {}):
        raise SettingsError(
            f"{file}: [ingest_log] is for replicas, and each would keep visits' photos in its data_dir; name "
            "the folder that they share as [maintenance] photos_dir"
        )


def _workers(file: Path, table: _Table, store_url: str) -> int:
    workers: int = table.take("workers", int, 1)
    if not 1 <= workers <= _WORKERS_MAX:
        raise SettingsError(f"{file}: [cloud] workers is {workers}; write a number from 1 to {_WORKERS_MAX}")
    if workers > 1 and store_url.startswith("sqlite"):
        raise SettingsError(
            f"{file}: [cloud] workers is {workers}, and SQLite has one writer, so more would only wait for each other; "
            "set workers = 1, or [store] url to a PostgreSQL database"
        )
    return workers


def load_operator_settings(file: Path) -> OperatorSettings:
    """The settings of a property firm's billing desk. Raises `SettingsError`."""
    document = _read_toml(file)
    _check_tables(file, document, {"cloud", "clock", "chain"})
    cloud, chain = _Table(file, "cloud", document.get("cloud", {})), _Table(file, "chain", document.get("chain", {}))
    settings = OperatorSettings(
        cloud_url=cloud.take("url", str),
        operator_key_file=chain.needed_path("operator_key_file"),
        chain=_chain_settings(chain),
        clock=_clock(file, document),
    )
    chain.done()
    return settings


def read_secret(path: Path) -> str:
    """The text of a secret's file.

    Raises:
        SettingsError: the file is missing or readable by others.
    """
    try:
        mode = path.stat().st_mode
        text = path.read_text().strip()
    except OSError as error:
        raise SettingsError(
            f"secret file {path} cannot be read: {error}; create it, readable by its owner only"
        ) from error
    if mode & 0o077:
        raise SettingsError(f"secret file {path} can be read by others; run: chmod 600 {path}")
    return text


def _chain_settings(table: _Table) -> ChainSettings:
    rpc = tuple(table.take("rpc", list))
    if not rpc or not all(isinstance(url, str) for url in rpc):
        raise SettingsError('[chain] rpc must list at least one URL, such as ["http://127.0.0.1:8545"]')
    finality = table.take("finality", str, "finalized")
    depth = table.take("finality_depth", int, None)
    if finality != "finalized" or (depth is not None and depth < 0):
        raise SettingsError('[chain] finality is "finalized", or finality_depth is a number of blocks >= 0')
    quorum = table.take("quorum", int, None)
    if quorum is not None and not 1 <= quorum <= len(rpc):
        raise SettingsError(f"[chain] quorum is {quorum}; it is a number of endpoints, 1 to {len(rpc)}")
    lost = table.take("lost_finality", str, "stop")
    if lost not in ("stop", "resend"):
        raise SettingsError('[chain] lost_finality is "stop", or "resend" for a development chain')
    return ChainSettings(
        rpc=rpc,
        chain_id=table.take("chain_id", int),
        deployment_file=table.needed_path("deployment_file"),
        finality_depth=depth,
        poll_seconds=table.take("poll_seconds", float, 0.5),
        stuck_seconds=table.take("stuck_seconds", float, 20.0),
        fee_cap_wei=int(table.take("fee_cap_gwei", float, 200.0) * _GWEI),
        priority_fee_wei=int(table.take("priority_fee_gwei", float, 1.0) * _GWEI),
        quorum=quorum,
        legacy_transactions=table.take("legacy_transactions", bool, False),
        resends_lost=lost == "resend",
    )


def _segments(table: _Table, data_dir: Path) -> SegmentSettings:
    mebibytes = table.take("mib", int, SEGMENT_BYTES // _MIB)
    if not 1 <= mebibytes <= 1024:
        raise SettingsError(f"[segments] mib is {mebibytes}; write a number from 1 to 1024")
    return SegmentSettings(
        folder=table.path("folder", None) or data_dir / "segments",
        pause_seconds=table.take("seconds", float, 2.0),
        segment_bytes=mebibytes * _MIB,
    )


def _witnesses(file: Path, document: Mapping[str, Any]) -> list[_Table]:
    return _Table(file, "file", {"witness": document.get("witness", [])}).tables("witness")


def _copies(file: Path, document: Mapping[str, Any]) -> tuple[CopySettings, ...]:
    written = document.get("copy", [])
    if not isinstance(written, list) or len(written) > COPIES_MAX:
        raise SettingsError(f"{file}: write each copy as a table [[copy]], at most {COPIES_MAX}")
    found = []
    for values in written:
        table = _Table(file, "[copy]", values)
        found.append(CopySettings(keeper=read_keeper(file, table), token_file=table.needed_path("token_file")))
        table.done()
    if len({one.keeper.name for one in found}) != len(found):
        raise SettingsError(f"{file}: two [[copy]] tables have one name; give each copy its own")
    return tuple(found)


def read_keeper(file: Path, table: _Table) -> CopyKeeper:
    """The `name` and `key` of a copy."""
    try:
        return CopyKeeper(name=table.take("name", str), public=bytes.fromhex(table.take("key", str)))
    except (CopyError, ValueError) as error:
        raise SettingsError(f"{file}: [[copy]]: {error}; `minglou mirror key` prints name and key") from error


def _address(file: Path, table: _Table) -> str:
    contract = str(table.take("contract", str)).lower()
    if not _ADDRESS.fullmatch(contract):
        raise SettingsError(f"{file}: [maintenance] contract is {contract!r}; write the address 0x…")
    return contract


def _photos_a_day(file: Path, table: _Table | None, key: str, otherwise: int) -> int:
    number: int = table.take(key, int, otherwise) if table else otherwise
    if not 1 <= number <= _PHOTOS_A_DAY_MAX:
        raise SettingsError(
            f"{file}: [maintenance] {key} is {number}; write what one crew member may send in a day, "
            f"1 to {_PHOTOS_A_DAY_MAX}"
        )
    return number


def _check_tables(file: Path, document: Mapping[str, Any], known: set[str]) -> None:
    unknown = set(document) - known
    if unknown:
        raise SettingsError(f"{file}: unknown tables {', '.join(sorted(unknown))}; remove or correct them")


def _clock(file: Path, document: Mapping[str, Any]) -> Clock:
    try:
        return clock_from_settings(document.get("clock"))
    except ClockError as error:
        raise SettingsError(f"{file}: {error}") from error
