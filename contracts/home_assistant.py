"""What Home Assistant is told of a sensor over MQTT: by a gateway of its devices, by an owner's program of a flat.

Units are Home Assistant's own, for each device class knows a few: water comes in litres, gas in cubic metres.

Source: Home Assistant, MQTT integration: discovery messages, sensor platform, birth message; sensor device classes.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

__all__ = [
    "BIRTH_PAYLOAD", "FEN", "OFFLINE", "ONLINE", "Sensor", "birth_topic", "config_topic", "discovery", "object_name",
]  # fmt: skip

ONLINE, OFFLINE = "online", "offline"  # of an availability topic
BIRTH_PAYLOAD = b"online"

_NOT_OBJECT = re.compile(r"[^a-z0-9_]+")


@dataclass(frozen=True, slots=True)
class _Measure:
    """How Home Assistant shows a base unit of ours: what it divides by, and what the result is."""

    unit: str
    device_class: str
    is_total: bool
    divisor: int = 1


_MEASURES: Mapping[str, _Measure] = MappingProxyType(
    {
        "Wh": _Measure("Wh", "energy", True),
        "mL": _Measure("L", "water", True, 1000),
        "L": _Measure("m³", "gas", True, 1000),
        "W": _Measure("W", "power", False),
        "mV": _Measure("mV", "voltage", False),
        "mA": _Measure("mA", "current", False),
    }
)
_MONEY = _Measure("CNY", "monetary", False, 100)
FEN = "fen"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensor:
    """One sensor: its state is a JSON object whose `value` is an integer of the base unit."""

    unique_id: str
    name: str
    unit: str  # Wh, mL, L, W, mV, mA, fen; anything else is shown as a bare number
    state_topic: str
    device: Mapping[str, object]
    availability_topic: str | None = None


def object_name(text: str) -> str:
    """A name that fits a topic level and a Home Assistant object id."""
    return _NOT_OBJECT.sub("_", text.lower()).strip("_")


def birth_topic(prefix: str) -> str:
    """Where Home Assistant says `online` when it has started and wants to be told everything again."""
    return f"{prefix}/status"


def config_topic(prefix: str, node: str, unique_id: str) -> str:
    """Where a sensor is announced; what stands there is retained, and nothing there removes the sensor."""
    return f"{prefix}/sensor/{node}/{unique_id}/config"


def discovery(sensor: Sensor) -> dict[str, object]:
    """The discovery message of one sensor."""
    measure = _MONEY if sensor.unit == FEN else _MEASURES.get(sensor.unit)
    divisor = measure.divisor if measure is not None else 1
    template = "{{ value_json.value }}" if divisor == 1 else f"{{{{ (value_json.value / {divisor}) | round(3) }}}}"
    fields: dict[str, object] = {
        "name": sensor.name,
        "unique_id": sensor.unique_id,
        "state_topic": sensor.state_topic,
        "json_attributes_topic": sensor.state_topic,
        "value_template": template,
        "device": dict(sensor.device),
        "origin": {"name": "Minglou"},
    }
    if sensor.availability_topic is not None:
        fields["availability_topic"] = sensor.availability_topic
    if measure is not None:
        fields["unit_of_measurement"] = measure.unit
        fields["device_class"] = measure.device_class
        if measure is not _MONEY:  # money may be a total with a reset alone; a balance is none
            fields["state_class"] = "total_increasing" if measure.is_total else "measurement"
    return fields
