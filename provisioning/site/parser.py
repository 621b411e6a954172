"""From the text of a site file to a `Site`, or to every mistake in it with its line and remedy."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from provisioning.errors import Mistake, SiteFileError
from provisioning.site.device_tables import take_device
from provisioning.site.forms import CELL, DIRECTORY, HOST, LABEL, NAME, OBIS, PACK, TELEPHONE, TITLE, URL
from provisioning.site.lines import LineMap
from provisioning.site.model import Broker, Building, Bus, Firm, Gateway, Pool, Site, Tariff, Tier, Title, Unit
from provisioning.site.references import check_references
from provisioning.site.table import Mistakes, Table

__all__ = ["FORMAT", "parse_site", "read_site"]

FORMAT = "minglou-site/1"
AREAS = ("built-up", "elsewhere")
_BYTES_MAX = 4 * 1024 * 1024
_FIRM_MAX = 65_535


def read_site(path: Path) -> Site:
    """The site that the file at `path` describes.

    Raises:
        SiteFileError: the file cannot be read, is no TOML, or has mistakes; all of them are listed.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _one(path.name, 0, f"cannot be read ({error.strerror})", "name a site file that exists") from error
    if len(content) > _BYTES_MAX:
        raise _one(path.name, 0, f"is {len(content)} bytes long", f"keep a site file under {_BYTES_MAX} bytes")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise _one(path.name, line, "is not UTF-8", "save the file as UTF-8") from error
    return parse_site(text, name=path.name)


def parse_site(text: str, *, name: str = "site file") -> Site:
    """The site that `text` describes.

    Raises:
        SiteFileError: with every mistake that was found, each with its line and what to write instead.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        match = re.search(r"at line (\d+)", str(error))
        line = int(match.group(1)) if match else text.count("\n") + 1
        says = re.sub(r"\s*\(at [^)]*\)", "", str(error))
        raise _one(name, line, f"is not TOML: {says}", "correct the notation on this line or the one before") from error
    mistakes = Mistakes(lines=LineMap(text))
    site = _take_site(Table(document, (), mistakes))
    if not mistakes.found:
        check_references(site, mistakes)
    if mistakes.found:
        raise SiteFileError(name, tuple(mistakes.found))
    return site


def _one(name: str, line: int, what: str, remedy: str) -> SiteFileError:
    return SiteFileError(name, (Mistake(line=line, what=what, remedy=remedy),))


def _take_site(document: Table) -> Site:
    document.choice("format", (FORMAT,))
    head = document.table("site")
    chain = document.table("chain")
    site = Site(
        name=head.text("name", LABEL, "cuiyuan"),
        host=head.text("host", HOST, "minglou.example"),
        title=_take_title(head),
        timezone=_take_timezone(head),
        chain_id=chain.whole("id", 1, 2**53 - 1),
        buildings=tuple(map(_take_building, document.tables("building", 1, "add one with name, title and floors"))),
        tariffs=tuple(map(_take_tariff, document.tables("tariff", 0, ""))),
        pools=tuple(map(_take_pool, document.tables("pool", 0, ""))),
        units=tuple(
            _take_unit(index, table)
            for index, table in enumerate(document.tables("unit", 1, "add one per flat, in the order that bills use"))
        ),
        gateways=tuple(map(_take_gateway, document.tables("gateway", 1, "add one with name, log and building"))),
        buses=tuple(map(_take_bus, document.tables("bus", 0, ""))),
        brokers=tuple(map(_take_broker, document.tables("broker", 0, ""))),
        devices=tuple(map(take_device, document.tables("device", 1, "add the meters, lifts and other devices"))),
        firms=tuple(map(_take_firm, document.tables("firm", 0, ""))),
    )
    head.close()
    chain.close()
    document.close()
    return site


def _take_title(table: Table) -> Title:
    titles = table.table("title")
    title = Title(zh=titles.text("zh", TITLE, "翠苑小区"), en=titles.text("en", TITLE, "Cuiyuan"))
    titles.close()
    return title


def _take_timezone(table: Table) -> ZoneInfo:
    name = table.text("timezone", re.compile(r"[A-Za-z0-9_+\-/]{1,64}"), "Asia/Shanghai")
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        table.wrong("timezone", f'timezone "{name}" is not known', 'write an IANA name such as "Asia/Shanghai"')
        return ZoneInfo("UTC")


def _take_building(table: Table) -> Building:
    building = Building(
        name=table.text("name", LABEL, "b07"),
        title=_take_title(table),
        floors=table.whole("floors", 1, 200),
        area=table.choice("area", AREAS) if table.has("area") else AREAS[0],
        cell=table.optional_text("cell", CELL, "30.27,120.15"),
    )
    table.close()
    return building


def _take_unit(index: int, table: Table) -> Unit:
    name = table.text("name", NAME, "b07-0501")
    unit = Unit(
        index=index,
        name=name,
        building=table.text("building", LABEL, "b07"),
        floor=table.whole("floor", -9, 200),
        area_centi_m2=table.decimal("area", 2, "89.30"),
        owner=table.text("owner", TITLE, "林秀英"),
        buyer=table.optional_text("buyer", NAME, "developer") or name,
    )
    if unit.area_centi_m2 == 0:
        table.wrong("area", "area is zero", 'write the registered floor area in m², such as area = "89.30"')
    table.close()
    return unit


def _take_tariff(table: Table) -> Tariff:
    tariff = Tariff(
        name=table.text("name", LABEL, "electricity"),
        quantity=table.text("quantity", OBIS, "1-0:1.8.0"),
        span=table.choice("span", ("year", "month")),
        tiers=_take_tiers(table),
        source=table.text("source", TITLE, "浙价资〔2012〕198号"),
    )
    table.close()
    return tariff


def _take_tiers(table: Table) -> tuple[Tier, ...]:
    tiers: list[Tier] = []
    rows = table.tables("tiers", 1, 'add tiers = [{ price = "0.538" }]')
    for number, row in enumerate(rows):
        is_last = number == len(rows) - 1
        up_to = row.decimal("up_to", 3, "2760") if row.has("up_to") else None
        tiers.append(Tier(up_to=up_to, price_micro=row.decimal("price", 6, "0.538")))
        if is_last and up_to is not None:
            row.wrong(
                "up_to", "the last tier has an end", "leave out up_to in the last tier, so that all usage has a price"
            )
        if not is_last and up_to is None:
            row.wrong("price", f"tier {number + 1} has no end", 'add up_to = "2760" in kWh or m³')
        if number and up_to is not None and (before := tiers[number - 1].up_to) is not None and up_to <= before:
            row.wrong("up_to", f"tier {number + 1} ends at or below tier {number}", "let the bounds rise")
        row.close()
    return tuple(tiers)


def _take_pool(table: Table) -> Pool:
    pool = Pool(
        name=table.text("name", LABEL, "common"),
        title=_take_title(table),
        building=table.text("building", LABEL, "b07"),
        tariff=table.text("tariff", LABEL, "electricity"),
        key=table.choice("key", ("area",)),
    )
    table.close()
    return pool


def _take_firm(table: Table) -> Firm:
    firm = Firm(
        number=table.whole("number", 1, _FIRM_MAX),
        title=_take_title(table),
        telephone=table.optional_text("telephone", TELEPHONE, "0571 8888 0000"),
        registered=table.optional_text("registered", TITLE, "杭州安行电梯有限公司 91330106MA2B00000X"),
        licence_until=table.optional_date("licence_until"),
    )
    if table.has("registered") != table.has("licence_until"):
        has, lacks = ("registered", "licence_until") if table.has("registered") else ("licence_until", "registered")
        table.wrong(has, f"a firm on the chain needs {lacks} as well", f"add {lacks}, or remove {has}")
    table.close()
    return firm


def _take_gateway(table: Table) -> Gateway:
    gateway = Gateway(
        name=table.text("name", LABEL, "g1"),
        log=table.text("log", LABEL, "b07"),
        building=table.text("building", LABEL, "b07"),
        epoch=table.whole("epoch", 0, 9999, default=0),
        adapter=table.optional_text("adapter", re.compile(r"hci\d{1,2}"), "hci0"),
        packs=table.texts("packs", PACK, "gateway-service"),
    )
    table.close()
    return gateway


def _take_bus(table: Table) -> Bus:
    bus = Bus(
        name=table.text("name", LABEL, "bus1"),
        gateway=table.text("gateway", LABEL, "g1"),
        port=table.text("port", DIRECTORY, "/dev/serial/by-id/usb-rs485"),
        baud=table.whole("baud", 300, 115200),
        parity=table.choice("parity", ("even", "odd", "none")),
    )
    table.close()
    return bus


def _take_broker(table: Table) -> Broker:
    broker = Broker(
        name=table.text("name", LABEL, "house"),
        gateway=table.text("gateway", LABEL, "g1"),
        url=table.text("url", URL, "mqtt://192.168.1.5:1883"),
    )
    if broker.name == "endpoint":
        table.wrong(
            "name", 'a broker cannot be named "endpoint"', "that word means the gateway's own endpoint; name it house"
        )
    table.close()
    return broker
