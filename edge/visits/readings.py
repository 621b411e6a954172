"""Readings of a few devices out of the log's end, for judgements that come too seldom to keep anything for them."""

from collections.abc import Collection, Mapping

from contracts.detail import decode_detail
from contracts.entry import Kind, decode_entry
from contracts.errors import ContractsError
from contracts.quantities import parse_boundary_quantity
from edge.errors import StoreBrokenError
from edge.log_reader import LogReader
from edge.registers import Believed
from edge.visits.swap_rules import Told

_STEP_ENTRIES = 4096
_ENTRIES_MAX = 4_000_000  # looked through, some seconds of it: what is older is not known
_DEVICE = slice(32, 64)  # where an entry names its device


def believed_since(log: LogReader, devices: Collection[bytes], since_ms: int) -> Mapping[bytes, Mapping[str, Told]]:
    """What the registers of some devices were believed to show from a time on, by device and quantity.

    The log is read from its end backwards, until a whole step of it is older. What was pruned is not known.
    """
    found: dict[bytes, dict[str, list[Believed]]] = {device: {} for device in devices}
    end = log.size()
    pruned = max(log.number("pruned"), end - _ENTRIES_MAX)
    while end > pruned:
        start = max(pruned, end - _STEP_ENTRIES)
        try:
            rows = log.rows(start, end)
        except StoreBrokenError:
            break
        for encoded, detail in reversed(rows):
            device = encoded[_DEVICE]
            if device in found and encoded[31] == Kind.READING:
                entry = decode_entry(encoded)
                if entry.observed_at_ms >= since_ms and _is_believed(entry.quantity, detail):
                    found[device].setdefault(entry.quantity, []).append((entry.value, entry.observed_at_ms))
        newest_ms = max(decode_entry(rows[0][0]).observed_at_ms, decode_entry(rows[-1][0]).observed_at_ms)
        if newest_ms < since_ms:
            break
        end = start
    return {
        device: {name: sorted(told, key=lambda one: one[1]) for name, told in by_name.items()}
        for device, by_name in found.items()
    }


def _is_believed(quantity: str, detail: bytes) -> bool:
    if parse_boundary_quantity(quantity) is not None:
        return False
    try:
        return not detail or "suspect" not in decode_detail(detail)
    except ContractsError:
        return False
