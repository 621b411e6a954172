"""`building.toml`: which devices the simulated building has and where they speak."""

from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from contracts.clock import Clock, clock_from_settings
from contracts.errors import ClockError
from devices.dlt645.frame import check_address
from devices.errors import BuildingError, FrameError
from devices.simulated.display import REPORT_SECONDS, DisplaySettings
from devices.simulated.lift.module import MODELS
from devices.simulated.publisher import Link
from devices.toml_table import Table, read_toml

_SECTIONS = {"endpoint": "mqtt.endpoint", "broker": "mqtt.broker"}


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterSettings:
    """One meter on the bus; `segment_bytes` is how much data one of its replies holds."""

    address: str
    is_common: bool
    floor: int
    area_centi_m2: int
    segment_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleSettings:
    """A lift or an access controller; `size` is its floors, or how many people pass it in a day.

    `visits_ms` is when a lift's mechanic comes; None for every other week. `model` is its monitoring module's.
    """

    link: Link
    is_lift: bool
    size: int
    visits_ms: tuple[int, ...] | None = None
    model: str = "A"


@dataclass(frozen=True, slots=True, kw_only=True)
class WaterSettings:
    """One water meter's radio: a virtual adapter of its own, which has that address."""

    adapter: str
    ble_address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildingSettings:
    """`serial_link`, `bluetooth_bus` and `control` are None where the building has no such thing.

    `begin_ms` is when MQTT devices that remember nothing begin, however late the building starts; None for its start.
    """

    seed: int
    zone: ZoneInfo
    clock: Clock
    begin_ms: int | None
    state_dir: Path
    control: Path | None
    serial_link: Path | None
    bluetooth_bus: str | None
    meters: tuple[MeterSettings, ...]
    modules: tuple[ModuleSettings, ...]
    water: tuple[WaterSettings, ...]
    displays: tuple[DisplaySettings, ...] = ()


def load_building(path: Path) -> BuildingSettings:
    """The settings in a file.

    Raises:
        BuildingError: a mistake; file, line and remedy are named.
    """
    top = read_toml(path, BuildingError)
    urls = _parse_mqtt(top)
    serial = top.table("serial")
    bluetooth = top.table("bluetooth")
    settings = BuildingSettings(
        seed=top.integer("seed", minimum=0, maximum=2**63 - 1),
        zone=_parse_zone(top),
        clock=_parse_clock(top),
        begin_ms=top.integer("begin_ms", minimum=0, maximum=2**53 - 1) if "begin_ms" in top else None,
        state_dir=Path(top.string("state_dir")),
        control=Path(top.string("control")) if "control" in top else None,
        serial_link=None if serial is None else Path(serial.string("link")),
        bluetooth_bus=None if bluetooth is None else bluetooth.string("bus"),
        meters=tuple(_parse_meter(table) for table in top.tables("meter")),
        modules=(
            *(_parse_module(table, urls, is_lift=True) for table in top.tables("lift")),
            *(_parse_module(table, urls, is_lift=False) for table in top.tables("access")),
        ),
        water=tuple(_parse_water(table) for table in top.tables("water")),
        displays=tuple(_parse_display(table, urls) for table in top.tables("display")),
    )
    for table in (serial, bluetooth):
        if table is not None:
            table.finish()
    top.finish()
    _check_names(top, settings)
    return settings


def _parse_mqtt(top: Table) -> dict[str, str]:
    mqtt = top.table("mqtt")
    urls = {}
    for via in _SECTIONS:
        table = None if mqtt is None else mqtt.table(via)
        if table is not None:
            urls[via] = table.string("url")
            table.finish()
    if mqtt is not None:
        mqtt.finish()
    return urls


def _parse_zone(top: Table) -> ZoneInfo:
    name = top.string("timezone", "Asia/Shanghai")
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        top.fail("timezone", f"is {name!r}; write a name such as Asia/Shanghai")


def _parse_clock(top: Table) -> Clock:
    clock = top.table("clock")
    try:
        return clock_from_settings(None if clock is None else clock.content)
    except ClockError as error:
        top.fail("clock", str(error))


def _parse_meter(table: Table) -> MeterSettings:
    address = table.string("address")
    try:
        check_address(address)
    except FrameError as error:
        table.fail("address", str(error))
    meter = MeterSettings(
        address=address,
        is_common=table.choice("kind", ("flat", "common"), "flat") == "common",
        floor=table.integer("floor", 1, minimum=-10, maximum=200),
        area_centi_m2=table.integer("area_centi_m2", 9000, minimum=100, maximum=10_000_000),
        segment_bytes=table.integer("segment_bytes", 190, minimum=1, maximum=190),
    )
    table.finish()
    return meter


def _parse_link(table: Table, urls: dict[str, str]) -> Link:
    """Where and as whom a device speaks MQTT."""
    name = table.string("name")
    via = table.choice("via", tuple(_SECTIONS))
    if via not in urls:
        table.fail("via", f"is {via!r}, but there is no [{_SECTIONS[via]}] with its url; add it")
    password = ""
    if "password_file" in table:
        try:
            password = Path(table.string("password_file")).read_text().strip()
        except OSError as error:
            table.fail("password_file", f"cannot be read ({error}); write the password into it")
    return Link(
        name=table.string("client_id", name),
        url=urls[via],
        topic=table.string("topic"),
        username=table.string("username") if "username" in table else "",
        password=password,
    )


def _parse_display(table: Table, urls: dict[str, str]) -> DisplaySettings:
    display = DisplaySettings(
        link=_parse_link(table, urls),
        base=table.string("base"),
        code=table.string("code"),
        report_seconds=table.integer("report_seconds", REPORT_SECONDS, minimum=1, maximum=86_400),
        visits_ms=table.integers("visits_ms", minimum=0, maximum=2**53 - 1) if "visits_ms" in table else (),
        often_from_ms=table.integer("often_from_ms", minimum=0, maximum=2**53 - 1)
        if "often_from_ms" in table
        else None,
    )
    table.finish()
    return display


def _parse_module(table: Table, urls: dict[str, str], *, is_lift: bool) -> ModuleSettings:
    module = ModuleSettings(
        link=_parse_link(table, urls),
        is_lift=is_lift,
        size=table.integer("floors", 12, minimum=2, maximum=200)
        if is_lift
        else table.integer("entries_a_day", 50, minimum=1, maximum=100_000),
        visits_ms=table.integers("visits_ms", minimum=0, maximum=2**53 - 1)
        if is_lift and "visits_ms" in table
        else None,
        model=table.choice("model", tuple(MODELS), "A") if is_lift else "A",
    )
    table.finish()
    return module


def _parse_water(table: Table) -> WaterSettings:
    water = WaterSettings(adapter=table.string("adapter"), ble_address=table.string("ble_address"))
    table.finish()
    return water


def _check_names(top: Table, settings: BuildingSettings) -> None:
    for key, names in (
        ("meter", [meter.address for meter in settings.meters]),
        ("lift", [module.link.name for module in settings.modules]),
        ("water", [water.adapter for water in settings.water]),
    ):
        if len(set(names)) != len(names):
            top.fail(key, f"{sorted(names)} has one name twice; each device needs its own")
    if settings.meters and settings.serial_link is None:
        top.fail("serial", 'is missing; meters need [serial] link = "…", the name of their bus')
