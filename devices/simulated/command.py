"""`minglou building run`: the simulated building as a process."""

import argparse
import asyncio
import json
import logging
import signal
import sys
from pathlib import Path

from devices.errors import BuildingError
from devices.simulated.building import Building
from devices.simulated.control import serve_control
from devices.simulated.settings import BuildingSettings, load_building

FAILED = 1
MISCONFIGURED = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `run --config FILE`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    action = actions.add_parser("run", help="let the simulated devices speak until SIGTERM or Ctrl-C")
    action.add_argument("--config", type=Path, required=True, metavar="FILE", help="building.toml")


def run(arguments: argparse.Namespace) -> int:
    """Run the building; 0 after a clean stop, 1 if something it needs is not there, 2 for a mistake in its settings."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    try:
        settings = load_building(arguments.config)
    except BuildingError as error:
        sys.stderr.write(f"{error}\n")
        return MISCONFIGURED
    try:
        counters = asyncio.run(_live(settings))
    except BuildingError as error:
        sys.stderr.write(f"building: {error}\n")
        return FAILED
    sys.stdout.write(json.dumps(counters) + "\n")
    return 0


async def _live(settings: BuildingSettings) -> dict[str, object]:
    building = Building(settings)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, building.stop)
    control = None if settings.control is None else await serve_control(settings.control, building)
    await building.start()
    sys.stdout.write(_ready(building, settings))
    sys.stdout.flush()
    await building.run()
    if control is not None and settings.control is not None:
        control.close()
        settings.control.unlink(missing_ok=True)
    return building.counters()


def _ready(building: Building, settings: BuildingSettings) -> str:
    where = f" on {settings.serial_link}" if settings.serial_link is not None else ""
    return (
        f"building: ready: {len(building.meters)} meters{where}, {len(building.publishers)} MQTT devices, "
        f"{len(building.beacons)} BLE water meters\n"
    )
