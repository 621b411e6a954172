"""What a gateway can say about visits of itself: a profile without messages, for its words are its own entries."""

from dataclasses import dataclass
from types import MappingProxyType

from contracts.quantities import CLOCK_STEP, EPOCH_OPEN, GAP, SOFTWARE
from devices.profile_header import Headed, Header
from devices.toml_table import Table
from devices.visit_rules import VisitRule, parse_visit_rules

OWN = MappingProxyType(
    {
        SOFTWARE: MappingProxyType[str, int]({}),
        EPOCH_OPEN: MappingProxyType[str, int]({}),
        CLOCK_STEP: MappingProxyType[str, int]({}),
        GAP: MappingProxyType({"stopped": 1, "device_silent": 2, "entries_lost": 3}),
    }
)
"""The quantities of a gateway's own entries, and their codes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayProfile(Headed):
    """Of gateways that run this program."""

    protocol = "minglou-gateway"
    visit_rules: tuple[VisitRule, ...]


def parse_gateway_profile(top: Table, header: Header) -> GatewayProfile:
    """The profile in a TOML file whose header is read already. Raises `ProfileError`."""
    return GatewayProfile(header=header, visit_rules=parse_visit_rules(top, OWN))
