"""The building's control socket: one JSON command a line, one JSON answer a line. For tests and for showing faults."""

import asyncio
import json
from pathlib import Path
from typing import Any

from devices.errors import BuildingError
from devices.simulated.building import Building

LINE_BYTES_MAX = 4096


async def serve_control(path: Path, building: Building) -> asyncio.Server:
    """Listen on a Unix socket; whoever may enter its folder may give commands."""
    _make_way(path)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                writer.write(json.dumps(_answer(line, building)).encode() + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError):
            return  # the other side went, or sent a line that is too long
        finally:
            writer.close()

    return await asyncio.start_unix_server(serve, path, limit=LINE_BYTES_MAX)


def _make_way(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)


def _answer(line: bytes, building: Building) -> dict[str, Any]:
    try:
        command = json.loads(line)
        if not isinstance(command, dict):
            raise BuildingError('write a JSON object such as {"do": "counters"}')
        return {"ok": True, **_obey(command, building)}
    except (ValueError, KeyError, TypeError, BuildingError) as error:
        return {"ok": False, "error": f"{type(error).__name__}: {error}"}


def _obey(command: dict[str, Any], building: Building) -> dict[str, Any]:
    """Carry out one command.

    `counters`; `fault` (device, fault, count); `drop-mqtt` (device); `register` (address, at_ms): the true register in
    Wh, and what the meter froze at the midnight before; `switch-off` (address): the load behind a meter, whose register
    then stands; `swap` (address, new, opening_wh): another meter takes its place; `display` (device, at_ms): what its
    screen shows, or showed then; `stop`.
    """
    match command.get("do"):
        case "counters":
            return building.counters()
        case "fault":
            _known(building.meters, command["device"], "meter")
            building.faults.plan(command["device"], command["fault"], command.get("count", 1))
            return {}
        case "drop-mqtt":
            _known(building.publishers, command["device"], "MQTT device").drop_connection()
            return {}
        case "register":
            meter = _known(building.meters, command["address"], "meter")
            return {"energy_wh": meter.consumption.at(int(command.get("at_ms", building.now_ms())))}
        case "switch-off":
            return {"energy_wh": building.switch_off(command["address"])}
        case "swap":
            return {"at_ms": building.swap(command["address"], command["new"], int(command.get("opening_wh", 0)))}
        case "display":
            display = _known(building.displays, command["device"], "display")
            shown = display.showed(int(command["at_ms"])) if "at_ms" in command else display.shown(building.now_ms())
            return {"shown": shown, "paired": display.is_paired}
        case "stop":
            building.stop()
            return {}
        case unknown:
            raise BuildingError(
                f"{unknown!r} is no command; write counters, fault, drop-mqtt, register, switch-off, swap, display or "
                "stop"
            )


def _known(devices: dict[str, Any], name: str, kind: str) -> Any:
    if name not in devices:
        raise BuildingError(f"{name!r} is no {kind} here; known: {', '.join(devices)}")
    return devices[name]
