"""Profiles of DL/T 645-2007 meters: which identifiers to read, what they mean, where the meter keeps its freezes."""

from dataclasses import dataclass

from contracts.entry import Kind
from devices.dlt645.connection import Timing
from devices.dlt645.request import ReadData
from devices.dlt645.value import BcdFormat, parse_bcd_format
from devices.errors import FrameError, MeterError, ProfileError
from devices.profile_header import Headed, Header, parse_quantity, parse_unit
from devices.toml_table import Table
from devices.visit_rules import VisitRule, parse_visit_rules

FREEZES_KEPT_MAX = 62
SETTLEMENTS_KEPT_MAX = 12
SKIPPED = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """One data identifier: `quantities` in the order of its equally long fields; None is skipped."""

    data_id: str
    quantities: tuple[str | None, ...]
    format: BcdFormat

    def values(self, content: bytes) -> list[tuple[str, int]]:
        """(quantity, value in base units) of each field that the profile wants and the meter supports.

        Raises:
            MeterError: the meter sent another number of bytes, or digits above 9.
        """
        size = self.format.bytes_count
        if len(content) != size * len(self.quantities):
            raise MeterError(
                f"register {self.data_id} has {len(content)} bytes; "
                f"the profile says {len(self.quantities)} fields of {size}"
            )
        found = []
        for position, quantity in enumerate(self.quantities):
            if quantity is None:
                continue
            value = self.format.decode(content[position * size : (position + 1) * size])
            if value is not None:
                found.append((quantity, value))
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyFreeze:
    """Where the meter keeps its registers as they were at each local midnight; `kept` of them, DI0 = 01 the newest."""

    time_id: str
    register: Register
    kept: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """Where the meter keeps its registers of its monthly settlements; `day_id` holds their day and hour (DDhh)."""

    day_id: str
    registers: tuple[Register, ...]
    kept: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Dlt645Profile(Headed):
    """One family of DL/T 645-2007 meters."""

    protocol = "dlt645-2007"
    timing: Timing
    parity: str
    poll_seconds: int
    registers: tuple[Register, ...]
    daily_freeze: DailyFreeze | None
    settlement: Settlement | None
    visit_rules: tuple[VisitRule, ...] = ()


def parse_dlt645_profile(top: Table, header: Header) -> Dlt645Profile:
    """The profile in a TOML file whose header is read already. Raises `ProfileError`."""
    bus = top.table("bus") or top.fail("bus", "is missing; add a table [bus] with baud and parity")
    timing = Timing(
        baud=bus.integer("baud", 2400, minimum=300, maximum=115_200),
        wake_up_bytes=bus.integer("wake_up_bytes", 4, minimum=0, maximum=16),
        reply_timeout_seconds=bus.integer("reply_timeout_ms", 600, minimum=1, maximum=60_000) / 1000,
        gap_seconds=bus.integer("gap_ms", 500, minimum=1, maximum=60_000) / 1000,
        retries=bus.integer("retries", 2, minimum=0, maximum=10),
    )
    parity = bus.choice("parity", ("even", "odd", "none"), "even")
    bus.finish()
    registers = tuple(_parse_register(table) for table in top.tables("register"))
    if not registers:
        top.fail("register", "is missing; add a [[register]] with id, quantities, format and unit")
    return Dlt645Profile(
        header=header,
        timing=timing,
        parity=parity,
        poll_seconds=top.integer("poll_seconds", 3600, minimum=1, maximum=86_400),
        registers=registers,
        daily_freeze=_parse_daily_freeze(top),
        settlement=_parse_settlement(top),
        visit_rules=parse_visit_rules(top, {}, registers=header.cumulative),
    )


def _parse_register(table: Table, *, is_last: bool = True) -> Register:
    quantities = tuple(
        None if quantity == SKIPPED else parse_quantity(table, "quantities", quantity, Kind.READING)
        for quantity in table.strings("quantities")
    )
    named = [quantity for quantity in quantities if quantity is not None]
    if not named or len(set(named)) != len(named):
        table.fail("quantities", f'is {quantities}; name each field once, "{SKIPPED}" for one to skip')
    factors = {parse_unit(table, quantity) for quantity in named}
    if len(factors) != 1:
        table.fail("quantities", "need different scales; read them as registers of their own")
    try:
        form = parse_bcd_format(table.string("format"), factors.pop(), is_signed=table.boolean("signed", False))
    except ProfileError as error:
        table.fail("format", str(error))
    register = Register(data_id=_parse_data_id(table, "id"), quantities=quantities, format=form)
    if is_last:
        table.finish()
    return register


def _parse_daily_freeze(top: Table) -> DailyFreeze | None:
    table = top.table("daily_freeze")
    if table is None:
        return None
    freeze = DailyFreeze(
        time_id=_parse_data_id(table, "time_id"),
        kept=table.integer("kept", FREEZES_KEPT_MAX, minimum=1, maximum=FREEZES_KEPT_MAX),
        register=_parse_register(table, is_last=False),
    )
    table.finish()
    return freeze


def _parse_settlement(top: Table) -> Settlement | None:
    table = top.table("settlement")
    if table is None:
        return None
    settlement = Settlement(
        day_id=_parse_data_id(table, "day_id"),
        kept=table.integer("kept", SETTLEMENTS_KEPT_MAX, minimum=1, maximum=SETTLEMENTS_KEPT_MAX),
        registers=tuple(_parse_register(register) for register in table.tables("register")),
    )
    table.finish()
    return settlement


def _parse_data_id(table: Table, key: str) -> str:
    data_id = table.string(key)
    try:
        ReadData(address="0" * 12, data_id=data_id)
    except FrameError as error:
        table.fail(key, str(error))
    if data_id != data_id.upper():
        table.fail(key, f"is {data_id!r}; write it in capitals, {data_id.upper()!r}")
    return data_id
