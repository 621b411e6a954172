"""A monitor's settings: whom it follows, how long silence may last, and whom it tells."""

from dataclasses import dataclass
from pathlib import Path

from cloud.errors import SettingsError
from cloud.toml_table import Table, read_toml

__all__ = ["MonitorSettings", "load_monitor_settings"]

_HOUR_S = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorSettings:
    """Everything `minglou monitor run` reads."""

    trust_file: Path
    cloud_url: str
    rpc: str | None  # a chain node of one's own choice; None leaves the chain unwatched
    from_block: int  # where the deployment began, or later
    state_dir: Path
    site: str  # only logs whose origin begins so; empty for all
    every_seconds: float
    stale_s: int
    unanchored_s: int
    cosign_s: int
    webhook: str | None
    witnesses: tuple[tuple[str, str], ...] = ()  # name in the trust file, monitoring prefix
    gateways: tuple[tuple[str, str], ...] = ()  # origin, address of the gateway's own page


def load_monitor_settings(file: Path) -> MonitorSettings:
    """The settings in a TOML file. Raises `SettingsError` naming file, table, key and remedy."""
    document = Table(file, "file", read_toml(file))
    monitor = Table(file, "monitor", document.take("monitor", dict))
    webhook = monitor.take("webhook", str, None)
    rpc = monitor.take("rpc", str, None)
    settings = MonitorSettings(
        trust_file=monitor.needed_path("trust_file"),
        cloud_url=_url(file, monitor.take("cloud_url", str)),
        rpc=None if rpc is None else _url(file, rpc),
        from_block=monitor.take("from_block", int, 0),
        state_dir=monitor.path("state_dir", "monitor") or file.parent,
        site=monitor.take("site", str, ""),
        every_seconds=monitor.take("every_seconds", float, 60.0),
        stale_s=round(monitor.take("stale_hours", float, 6.0) * _HOUR_S),
        unanchored_s=round(monitor.take("unanchored_hours", float, 6.0) * _HOUR_S),
        cosign_s=round(monitor.take("cosign_minutes", float, 10.0) * 60),
        webhook=None if webhook is None else _url(file, webhook),
        witnesses=_pairs(file, document.tables("witness"), "name"),
        gateways=_pairs(file, document.tables("gateway"), "origin"),
    )
    monitor.done()
    document.done()
    return settings


def _pairs(file: Path, tables: list[Table], key: str) -> tuple[tuple[str, str], ...]:
    found = []
    for table in tables:
        found.append((str(table.take(key, str)), _url(file, table.take("url", str))))
        table.done()
    return tuple(found)


def _url(file: Path, url: str) -> str:
    if not url.startswith(("https://", "http://")):
        raise SettingsError(f"{file}: {url!r} must begin with https:// or http://")
    return url.rstrip("/")
