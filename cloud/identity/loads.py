"""What a request costs, and how many of each kind the settings let one asker have."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from cloud.errors import SettingsError
from cloud.toml_table import Table

__all__ = ["LimitSettings", "Load", "limits_from_settings"]


class Load(StrEnum):
    """What a request costs, as far as limits tell it apart."""

    READS = "reads"
    WRITES = "writes"
    EXPORTS = "exports"
    COSTLY = "costly"  # proofs, whole bills, signatures to be checked
    HASHES = "hashes"  # logs' tiles and checkpoints, which monitors fetch by the thousand
    ELSEWHERE = "elsewhere"  # by a quota of its own, as gateways' batches; or never, as probes


_PER_MINUTE: Mapping[Load, int] = MappingProxyType(
    {Load.READS: 600, Load.WRITES: 120, Load.EXPORTS: 30, Load.COSTLY: 120, Load.HASHES: 3_000}
)
_ADDRESS_FACTOR = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSettings:
    """Requests a minute of one account or token; none where it is 0. An address stands for several people."""

    per_minute: Mapping[Load, int] = field(default_factory=lambda: _PER_MINUTE)
    address_factor: int = _ADDRESS_FACTOR


def limits_from_settings(table: Table) -> LimitSettings:
    """The settings' table `[limits]`. Raises `SettingsError`."""
    found = {load: table.take(f"{load}_per_minute", int, usual) for load, usual in _PER_MINUTE.items()}
    factor = table.take("address_factor", int, _ADDRESS_FACTOR)
    if min(found.values()) < 0 or factor < 1:
        raise SettingsError("[limits] takes numbers of requests a minute, 0 for no limit, and an address_factor from 1")
    table.done()
    return LimitSettings(per_minute=MappingProxyType(found), address_factor=factor)
