"""The written-out selectors, types and topics are those of the compiled contracts."""

from types import ModuleType
from typing import Any

import pytest
from eth_utils.crypto import keccak

from contracts.abi import EventForm, Function
from contracts.calls import (
    anchor_log,
    assembly,
    ballots,
    bindings,
    bindings_changes,
    bindings_events,
    challenges,
    challenges_events,
    charges,
    counterevidence,
    crews,
    crews_changes,
    crews_events,
    labels,
    labels_changes,
    labels_events,
    registry,
    registry_changes,
    registry_events,
    reserve_fund,
    reserve_fund_events,
    resolutions,
    roll,
    roll_changes,
    roll_events,
    service_agreements,
    service_agreements_events,
    tariffs,
    token,
    usage_fees,
    usage_fees_events,
    work_orders,
    work_orders_events,
)
from contracts.vyper.compile import artifact

FACES: dict[str, tuple[ModuleType, ...]] = {
    "Registry": (registry, registry_changes, registry_events),
    "Roll": (roll, roll_changes, roll_events),
    "Crews": (crews, crews_changes, crews_events),
    "Labels": (labels, labels_changes, labels_events),
    "Bindings": (bindings, bindings_changes, bindings_events),
    "AnchorLog": (anchor_log,),
    "Tariffs": (tariffs,),
    "Charges": (charges,),
    "UsageFees": (usage_fees, usage_fees_events),
    "Challenges": (challenges, challenges_events),
    "Token": (token,),
    "Resolutions": (resolutions,),
    "Ballots": (ballots,),
    "Assembly": (assembly,),
    "ReserveFund": (reserve_fund, reserve_fund_events),
    "Counterevidence": (counterevidence,),
    "ServiceAgreements": (service_agreements, service_agreements_events),
    "WorkOrders": (work_orders, work_orders_events),
}


def abi_type(parameter: dict[str, Any]) -> str:
    if parameter["type"].startswith("tuple"):
        inner = ",".join(abi_type(part) for part in parameter["components"])
        return f"({inner}){parameter['type'][5:]}"
    return str(parameter["type"])


@pytest.mark.parametrize("contract", FACES)
def test_every_function_stands_in_the_face_with_its_selector_and_types(contract: str) -> None:
    written = {
        value.name: (value.selector, value.inputs, value.outputs)
        for module in FACES[contract]
        for value in vars(module).values()
        if isinstance(value, Function)
    }
    compiled = {}
    for item in artifact(contract).abi:
        if item["type"] == "function":
            inputs = tuple(abi_type(parameter) for parameter in item["inputs"])
            outputs = tuple(abi_type(parameter) for parameter in item["outputs"])
            selector = keccak(text=f"{item['name']}({','.join(inputs)})")[:4]
            compiled[item["name"]] = (selector, inputs, outputs)
    assert written == compiled


@pytest.mark.parametrize("contract", FACES)
def test_every_event_stands_in_the_face_with_its_topic_and_fields(contract: str) -> None:
    written = {}
    for module in FACES[contract]:
        for value in vars(module).values():
            form = getattr(value, "FORM", None)
            if isinstance(form, EventForm):
                fields = tuple(field for field in value.__dataclass_fields__ if field != "FORM")
                written[form.name] = (form.topic, form.indexed, form.data, fields)
    compiled = {}
    for item in artifact(contract).abi:
        if item["type"] == "event":
            types = [abi_type(parameter) for parameter in item["inputs"]]
            indexed = tuple(kind for kind, field in zip(types, item["inputs"], strict=True) if field["indexed"])
            rest = tuple(kind for kind, field in zip(types, item["inputs"], strict=True) if not field["indexed"])
            names = tuple(parameter["name"] for parameter in item["inputs"])
            compiled[item["name"]] = (keccak(text=f"{item['name']}({','.join(types)})"), indexed, rest, names)
    assert written == compiled
