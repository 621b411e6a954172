"""The building as a whole: opens its bus, connects its modules and meters, and lives by the clock until stopped."""

import asyncio
import logging

from devices.errors import BuildingError
from devices.simulated.bus import Bus
from devices.simulated.consumption import COMMON_SHAPE, WATER_SHAPE, Consumption, flat_shape
from devices.simulated.display import Display
from devices.simulated.fault import Faults
from devices.simulated.lift.schedule import LiftSchedule
from devices.simulated.meter import Meter
from devices.simulated.publisher import Publisher
from devices.simulated.schedule import AccessController, Numbered
from devices.simulated.settings import BuildingSettings, MeterSettings, ModuleSettings
from devices.simulated.supply import Supply
from devices.simulated.water import Beacon, WaterMeter

STEP_SECONDS = 0.05
SAVE_SECONDS = 1.0
SETTLE_STEPS = 20
ADVERTISE_SECONDS = 0.5
LOG = logging.getLogger("building")


class Building:
    """All simulated devices. `run` serves them until `stop` is called."""

    def __init__(self, settings: BuildingSettings) -> None:
        self._settings = settings
        self._stopped = asyncio.Event()
        self.faults = Faults()
        self._supplies: dict[str, Supply] = {}  # by the address of the meter that hangs there
        self.meters = dict(self._meter(meter) for meter in settings.meters)
        self.displays = {
            display.link.name: Display(display, settings.zone, settings.state_dir) for display in settings.displays
        }
        self.publishers = {module.link.name: self._publisher(module) for module in settings.modules} | self.displays
        self.beacons = [
            Beacon(
                WaterMeter(
                    water.ble_address, Consumption(settings.seed, water.ble_address, settings.zone, WATER_SHAPE)
                ),
                water.adapter,
                settings.bluetooth_bus,
            )
            for water in settings.water
            if settings.bluetooth_bus is not None
        ]
        self.bus: Bus | None = None
        if settings.serial_link is not None:
            self.bus = Bus(
                link=settings.serial_link,
                meters=list(self.meters.values()),
                clock=settings.clock,
                seed=settings.seed,
                faults=self.faults,
            )

    def now_ms(self) -> int:
        return self._settings.clock.now_ms()

    def stop(self) -> None:
        """Let `run` end."""
        self._stopped.set()

    async def start(self) -> None:
        """Open everything.

        Raises:
            BuildingError: a device cannot reach what it speaks through.
        """
        for meter in self.meters.values():
            meter.consumption.at(self.now_ms())  # adds up the years now, not while a gateway waits for the answer
        if self.bus is not None:
            self.bus.open(asyncio.get_running_loop())
        for publisher in self.publishers.values():
            publisher.start(now_ms=self.now_ms(), begin_ms=self._settings.begin_ms)
        for beacon in self.beacons:
            await beacon.update(self.now_ms())
        if self._settings.water and not self.beacons:
            LOG.warning("building: water meters are left out: no [bluetooth] bus in the settings")

    async def run(self) -> None:
        """Serve until `stop`, then close everything."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._publish(), name="publish")
                tasks.create_task(self._save(), name="save")
                tasks.create_task(self._advertise(), name="advertise")
        finally:
            await self._close()

    def counters(self) -> dict[str, object]:
        """What the building's side saw: to be compared with what the gateway logged."""
        return {
            "frames_asked": 0 if self.bus is None else self.bus.frames_asked,
            "frames_answered": 0 if self.bus is None else self.bus.frames_answered,
            "mqtt_acknowledged": {name: one.acknowledged_count for name, one in self.publishers.items()},
            "mqtt_last_number": {name: one.acknowledged for name, one in self.publishers.items()},
            "mqtt_connected": {name: one.is_connected for name, one in self.publishers.items()},
            "commands_received": {name: one.commands_received for name, one in self.publishers.items()},
            "water_pulses": {beacon.meter.ble_address: beacon.advertised for beacon in self.beacons},
        }

    def _meter(self, meter: MeterSettings) -> tuple[str, Meter]:
        """The meter that hangs in a place now, by its address."""
        seed, zone = self._settings.seed, self._settings.zone
        shape = COMMON_SHAPE if meter.is_common else flat_shape(meter.area_centi_m2)
        used = Consumption(seed, meter.address, zone, shape)
        supply = Supply(used, zone, self._settings.state_dir / f"supply-{meter.address}.json")
        supply.recall()
        address = supply.hung[-1][0] if supply.hung else meter.address
        self._supplies[address] = supply
        phases = 3 if meter.is_common else 1
        return address, Meter(
            address=address,
            consumption=supply.register(),
            zone=zone,
            seed=seed,
            phases=phases,
            segment_bytes=meter.segment_bytes,
        )

    def switch_off(self, address: str) -> int:
        """The load behind a meter is switched off, and its register stands. What it stands at, Wh."""
        self._supply_of(address).switch_off(self.now_ms())
        return self.meters[address].consumption.at(self.now_ms())

    def swap(self, old: str, new: str, opening_wh: int) -> int:
        """Another meter takes a meter's place, and the load is switched on again. When that was, in ms.

        Raises:
            BuildingError: no such meter, or one of the new address hangs already.
        """
        supply, now_ms = self._supply_of(old), self.now_ms()
        if new in self.meters:
            raise BuildingError(f"meter {new} hangs already; give the new one an address of its own")
        supply.hang(new, now_ms, opening_wh)
        meter = Meter(address=new, consumption=supply.register(), zone=self._settings.zone, seed=self._settings.seed)
        del self.meters[old], self._supplies[old]
        self.meters[new], self._supplies[new] = meter, supply
        if self.bus is not None:
            self.bus.hang(meter, instead_of=old)
        return now_ms

    def _supply_of(self, address: str) -> Supply:
        if address not in self._supplies:
            raise BuildingError(f"{address!r} is no meter here; known: {', '.join(self._supplies)}")
        return self._supplies[address]

    def _publisher(self, module: ModuleSettings) -> Publisher:
        seed, zone, name = self._settings.seed, self._settings.zone, module.link.name
        schedule = (
            LiftSchedule(seed, name, zone, module.size, module.visits_ms, module.model)
            if module.is_lift
            else AccessController(seed, name, zone, entries_a_day=module.size)
        )
        return Publisher(module.link, Numbered(schedule, zone), self._settings.state_dir / f"{name}.json")

    async def _publish(self) -> None:
        while not await self._is_stopped_after(STEP_SECONDS):
            now_ms = self.now_ms()
            for publisher in self.publishers.values():
                publisher.step(now_ms)

    async def _save(self) -> None:
        while not await self._is_stopped_after(SAVE_SECONDS):
            for publisher in self.publishers.values():
                publisher.save()

    async def _advertise(self) -> None:
        while self.beacons and not await self._is_stopped_after(ADVERTISE_SECONDS):
            for beacon in self.beacons:
                try:
                    await beacon.update(self.now_ms())
                except BuildingError as error:
                    LOG.warning("building: %s; trying again", error)

    async def _is_stopped_after(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._stopped.wait()
        except TimeoutError:
            return False
        return True

    async def _close(self) -> None:
        for _ in range(SETTLE_STEPS):  # what was sent is counted, if the server is there to acknowledge it
            if all(publisher.is_settled for publisher in self.publishers.values()):
                break
            await asyncio.sleep(STEP_SECONDS)
        for publisher in self.publishers.values():
            publisher.stop()
        for beacon in self.beacons:
            await beacon.stop()
        if self.bus is not None:
            self.bus.close()
