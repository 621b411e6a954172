"""The entries that the gateway makes about itself, and the beacons that bound its time from below."""

import os
from collections.abc import Mapping
from hashlib import sha256

from contracts.detail import encode_detail
from contracts.entry import SALT_BYTES, Kind, Series, device_id
from contracts.quantities import CLOCK_STEP, EPOCH_OPEN, GAP, SOFTWARE, beacon_quantity
from edge.log_store import EntryRow

GAP_STOPPED, GAP_DEVICE_SILENT, GAP_ENTRIES_LOST = 1, 2, 3
"""Values of a `gap` entry: the gateway did not run, a device did not answer, entries were destroyed."""


class Voice:
    """Makes rows of kind 5 and 6 in the name of one gateway."""

    def __init__(self, urn: str) -> None:
        self.device = device_id(urn)

    def software(self, at_ms: int, fields: Mapping[str, object]) -> EntryRow:
        return self._row(SOFTWARE, at_ms, 1, fields)

    def epoch_open(self, at_ms: int, epoch: int, fields: Mapping[str, object]) -> EntryRow:
        return self._row(EPOCH_OPEN, at_ms, epoch, fields)

    def gap(self, at_ms: int, code: int, from_ms: int, until_ms: int, fields: Mapping[str, object]) -> EntryRow:
        """Nothing was recorded between two times: of everything, or of the device that `fields` names."""
        return self._row(GAP, at_ms, code, {"from_ms": from_ms, "until_ms": until_ms, **fields})

    def clock_step(self, at_ms: int, step_ms: int, fields: Mapping[str, object]) -> EntryRow:
        return self._row(CLOCK_STEP, at_ms, step_ms, fields)

    def beacon(self, at_ms: int, chain_id: int, number: int, block_hash: bytes) -> EntryRow:
        """A finalized block: its hash stands raw in the detail word, there are no detail bytes."""
        series = Series(Kind.BEACON, self.device, beacon_quantity(chain_id))
        return series.encode(at_ms, number, block_hash, os.urandom(SALT_BYTES)), b""

    def _row(self, quantity: str, at_ms: int, value: int, fields: Mapping[str, object]) -> EntryRow:
        detail = encode_detail(fields, salt=os.urandom(SALT_BYTES))
        series = Series(Kind.GATEWAY, self.device, quantity)
        return series.encode(at_ms, value, sha256(detail).digest(), os.urandom(SALT_BYTES)), detail
