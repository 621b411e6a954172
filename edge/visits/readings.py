"""Readings of a few devices out of the log's end, for judgements that come too seldom to keep anything for them."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from contracts.detail import decode_detail
from contracts.entry import Kind, decode_entry
from contracts.errors import ContractsError
from contracts.quantities import GAP, parse_boundary_quantity
from edge.errors import StoreBrokenError
from edge.log_reader import LogReader
from edge.log_store import EntryRow
from edge.registers import Believed
from edge.visits.calibration_rules import MeterHeard, Telling
from edge.visits.items import Window
from edge.visits.swap_rules import Told
from edge.voice import GAP_DEVICE_SILENT

_STEP_ENTRIES = 4096
_ENTRIES_MAX = 4_000_000  # looked through, some seconds of it: what is older is not known
_DEVICE = slice(32, 64)  # where an entry names its device
_KIND = 31


def believed_since(log: LogReader, devices: Collection[bytes], since_ms: int) -> Mapping[bytes, Mapping[str, Told]]:
    """What the registers of some devices were believed to show from a time on, by device and quantity.

    What was pruned is not known.
    """
    found: dict[bytes, dict[str, list[Believed]]] = {device: {} for device in devices}
    for encoded, detail in _rows_since(log, since_ms):
        device = encoded[_DEVICE]
        if device in found and encoded[_KIND] == Kind.READING:
            entry = decode_entry(encoded)
            if entry.observed_at_ms >= since_ms and _is_reading(entry.quantity) and not _suspected(detail):
                found[device].setdefault(entry.quantity, []).append((entry.value, entry.observed_at_ms))
    return {
        device: {name: sorted(told, key=lambda one: one[1]) for name, told in by_name.items()}
        for device, by_name in found.items()
    }


def heard_of(log: LogReader, meter: bytes, beside: Collection[bytes], gateway: bytes, times_ms: Window) -> MeterHeard:
    """When a meter was read between two times, whether each value was believed, and when others beside it were."""
    since_ms, until_ms = times_ms
    told: dict[str, list[Telling]] = {}
    silences: list[Window] = []
    others: set[int] = set()
    for encoded, detail in _rows_since(log, since_ms):
        device, kind = encoded[_DEVICE], encoded[_KIND]
        if kind == Kind.GATEWAY and device == gateway:
            silences += _silence_of(meter, encoded, detail)
        elif kind == Kind.READING and (device == meter or device in beside):
            entry = decode_entry(encoded)
            if not since_ms <= entry.observed_at_ms <= until_ms or not _is_reading(entry.quantity):
                continue
            if device == meter:
                told.setdefault(entry.quantity, []).append((entry.observed_at_ms, _suspected(detail)))
            else:
                others.add(entry.observed_at_ms)
    return MeterHeard(
        told={name: sorted(one, key=lambda telling: telling[0]) for name, one in told.items()},
        silences=sorted(one for one in silences if one[0] <= until_ms and one[1] >= since_ms),
        beside=sorted(others),
    )


def _rows_since(log: LogReader, since_ms: int) -> Iterator[EntryRow]:
    """The log's entries from its end backwards, until a whole step of it is older; some of them may be."""
    end = log.size()
    pruned = max(log.number("pruned"), end - _ENTRIES_MAX)
    while end > pruned:
        start = max(pruned, end - _STEP_ENTRIES)
        try:
            rows = log.rows(start, end)
        except StoreBrokenError:
            return
        yield from reversed(rows)
        newest_ms = max(decode_entry(rows[0][0]).observed_at_ms, decode_entry(rows[-1][0]).observed_at_ms)
        if newest_ms < since_ms:
            return
        end = start


def _is_reading(quantity: str) -> bool:
    return parse_boundary_quantity(quantity) is None


def _suspected(detail: bytes) -> tuple[str, ...]:
    """What speaks against a value, as its recorder logged it; a detail that cannot be read does as well."""
    match _fields(detail):
        case {"suspect": [*says]}:
            return tuple(map(str, says))
        case None:
            return ("unreadable",)
        case _:
            return ()


def _silence_of(meter: bytes, encoded: bytes, detail: bytes) -> list[Window]:
    """From when to when this gateway asked the meter in vain, if that is what the entry says."""
    entry = decode_entry(encoded)
    if entry.quantity != GAP or entry.value != GAP_DEVICE_SILENT:
        return []
    match _fields(detail):
        case {"device": device, "from_ms": int(from_ms), "until_ms": int(until_ms)} if device == meter.hex():
            return [(from_ms, until_ms)]
        case _:
            return []


def _fields(detail: bytes) -> Mapping[str, Any] | None:
    try:
        return decode_detail(detail) if detail else {}
    except ContractsError:
        return None
