"""From a stored event to its type: which contract of a deployment says what."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from contracts.calls import (
    anchor_log,
    assembly,
    ballots,
    bindings_events,
    challenges_events,
    counterevidence,
    crews_events,
    labels_events,
    registry_events,
    reserve_fund_events,
    resolutions,
    roll_events,
    service_agreements_events,
    tariffs,
    token,
    usage_fees_events,
    work_orders_events,
)

__all__ = ["PARSERS", "Parser"]

Parser = Callable[[Sequence[bytes], bytes], Any]

PARSERS: Mapping[str, Parser] = MappingProxyType(
    {
        "registry": registry_events.parse_event,
        "roll": roll_events.parse_event,
        "crews": crews_events.parse_event,
        "labels": labels_events.parse_event,
        "bindings": bindings_events.parse_event,
        "anchor_log": anchor_log.parse_event,
        "tariffs": tariffs.parse_event,
        "usage_fees": usage_fees_events.parse_event,
        "challenges": challenges_events.parse_event,
        "token": token.parse_event,
        "counterevidence": counterevidence.parse_event,
        "service_agreements": service_agreements_events.parse_event,
        "work_orders": work_orders_events.parse_event,
        "resolutions": resolutions.parse_event,
        "ballots": ballots.parse_event,
        "assembly": assembly.parse_event,
        "reserve_fund": reserve_fund_events.parse_event,
    }
)
