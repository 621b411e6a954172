"""Profiles of devices that publish over MQTT: where in a message which quantity stands, and in what unit."""

from collections.abc import Mapping
from dataclasses import dataclass

from contracts.entry import Kind
from devices.profile_header import Headed, Header, parse_quantity, parse_unit
from devices.toml_table import Table
from devices.visit_rules import VisitRule, parse_visit_rules
from devices.watch_rules import WatchRule, parse_watch_rules

Path = tuple[str | int, ...]
"""Keys and list positions from the message's top to a value."""

KINDS = {"reading": Kind.READING, "status": Kind.STATUS, "access": Kind.ACCESS}
TIME_FORMATS = ("unix-ms", "unix-s", "iso8601")
EMPTY_PATH: Path = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueRule:
    """A number or a named code at `path` becomes the value of `quantity`.

    A number is multiplied by numerator / denominator and must then be whole, unless `is_rounded_down`.
    """

    path: Path
    kind: Kind
    quantity: str
    numerator: int
    denominator: int
    codes: Mapping[str, int]
    is_required: bool
    is_rounded_down: bool
    detail: tuple[tuple[str, Path], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRule:
    """The text at `path` chooses the quantity, whose value is 1. The credential is committed to, never kept."""

    path: Path
    kind: Kind
    quantities: Mapping[str, str]
    credential: Path | None
    detail: tuple[tuple[str, Path], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageRule:
    """One topic of the device. `is_json` is false for a bare text, which is then the value at the empty path."""

    topic: str  # "{topic}" stands for what the gateway's settings call the device's topic
    is_json: bool
    sequence: Path | None
    time: Path | None
    time_format: str
    values: tuple[ValueRule, ...]
    events: tuple[EventRule, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttJsonProfile(Headed):
    """One family of devices that publish JSON or bare texts."""

    protocol = "mqtt-json"
    messages: tuple[MessageRule, ...]
    visit_rules: tuple[VisitRule, ...] = ()
    watch_rules: tuple[WatchRule, ...] = ()
    pairing_topic: str = ""  # where a display tells its secret, with "{topic}"; "" for what is no display


def parse_mqtt_json_profile(top: Table, header: Header) -> MqttJsonProfile:
    """The profile in a TOML file whose header is read already. Raises `ProfileError`."""
    messages = tuple(_parse_message(table) for table in top.tables("message"))
    if not messages:
        top.fail("message", "is missing; add a [[message]] with its topic and [[message.value]] tables")
    codes = {value.quantity: value.codes for message in messages for value in message.values}
    events = {name for message in messages for event in message.events for name in event.quantities.values()}
    return MqttJsonProfile(
        header=header, messages=messages,
        visit_rules=parse_visit_rules(top, codes, events=events, registers=header.cumulative),
        watch_rules=parse_watch_rules(top, codes), pairing_topic=_parse_pairing(top),
    )  # fmt: skip


def _parse_pairing(top: Table) -> str:
    table = top.table("pairing")
    if table is None:
        return ""
    topic = _parse_topic(table)
    table.finish()
    return topic


def _parse_topic(table: Table) -> str:
    topic = table.string("topic", "{topic}")
    if topic.count("{topic}") != 1 or any(mark in topic for mark in "+#"):
        table.fail("topic", f"is {topic!r}; write {{topic}} once where the device's own topic stands, and no + or #")
    return topic


def _parse_message(table: Table) -> MessageRule:
    topic = _parse_topic(table)
    is_json = table.choice("format", ("json", "text"), "json") == "json"
    message = MessageRule(
        topic=topic,
        is_json=is_json,
        sequence=_parse_path(table, "sequence") if "sequence" in table else None,
        time=_parse_path(table, "time") if "time" in table else None,
        time_format=table.choice("time_format", TIME_FORMATS, TIME_FORMATS[0]),
        values=tuple(_parse_value(value, is_json=is_json) for value in table.tables("value")),
        events=tuple(_parse_event(event) for event in table.tables("event")),
    )
    if not message.values and not message.events:
        table.fail("value", "is missing; add a [[message.value]] or a [[message.event]]")
    table.finish()
    return message


def _parse_value(table: Table, *, is_json: bool) -> ValueRule:
    kind = KINDS[table.choice("kind", tuple(KINDS))]
    quantity = parse_quantity(table, "quantity", table.string("quantity"), kind)
    codes = table.integers_by_name("codes")
    scale = parse_unit(table, quantity) * table.decimal("factor", "1").as_integer_ratio()[0]
    scale /= table.decimal("factor", "1").as_integer_ratio()[1]
    if scale <= 0 or (codes and scale != 1):
        table.fail("factor", "must be above zero, and codes have neither unit nor factor; correct or remove it")
    rule = ValueRule(
        path=_parse_path(table, "path") if is_json else EMPTY_PATH,
        kind=kind,
        quantity=quantity,
        numerator=scale.numerator,
        denominator=scale.denominator,
        codes=codes,
        is_required=table.boolean("required", False),
        is_rounded_down=table.boolean("round_down", False),
        detail=_parse_detail(table),
    )
    table.finish()
    return rule


def _parse_event(table: Table) -> EventRule:
    kind = KINDS[table.choice("kind", ("status", "access"))]
    quantities = table.strings_by_name("quantities")
    if not quantities:
        table.fail("quantities", 'is missing; write {granted = "access.granted", …}')
    rule = EventRule(
        path=_parse_path(table, "path"),
        kind=kind,
        quantities={name: parse_quantity(table, "quantities", quantity, kind) for name, quantity in quantities.items()},
        credential=_parse_path(table, "credential") if "credential" in table else None,
        detail=_parse_detail(table),
    )
    table.finish()
    return rule


def _parse_detail(table: Table) -> tuple[tuple[str, Path], ...]:
    named = table.strings_by_name("detail")
    if "salt" in named or "credential" in named:
        table.fail("detail", "may name neither salt nor credential; those are the gateway's own, choose another name")
    return tuple((name, _split(table, "detail", text)) for name, text in named.items())


def _parse_path(table: Table, key: str) -> Path:
    return _split(table, key, table.string(key))


def _split(table: Table, key: str, text: str) -> Path:
    """`a.b.0` is the keys a and b, then the list's first element."""
    parts = text.split(".")
    if not all(parts) or len(parts) > 8:
        table.fail(key, f"{text!r} is no path; write up to 8 names with dots between, such as ENERGY.Total")
    return tuple(int(part) if part.isdecimal() else part for part in parts)
