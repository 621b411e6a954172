"""The BLE collector: one bleak scanner, and a watchdog that does not believe its silence.

A scanner survives neither a restart of bluetoothd nor a hung adapter, and says nothing about it: its advertisements
just end. So silence makes a new scanner, and repeated silence switches the adapter off and on.
"""

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any

from bleak import BleakScanner
from bleak.args.bluez import BlueZScannerArgs
from bleak.exc import BleakError

from contracts.clock import Clock
from contracts.entry import Kind
from devices.bthome import BthomeDevice, advertisement_from_bleak
from devices.errors import AdvertisementError
from edge.ble.adapter import power_cycle
from edge.committer import Committer, Submission
from edge.errors import CollectorError
from edge.recorder import DeviceRecorder

_SILENCES_BEFORE_RESET = 3
_WATCH_SECONDS = 1.0
_STOP_SECONDS = 5.0
_log = logging.getLogger("edge.ble")


class BleSensor:
    """One sensor: how its advertisements are read, and who records them."""

    __slots__ = ("decoder", "recorder")

    def __init__(self, decoder: BthomeDevice, recorder: DeviceRecorder) -> None:
        self.decoder = decoder
        self.recorder = recorder
        recorder.know(Kind.READING, recorder.cumulative)


class BleCollector:
    """Scans on one adapter for the sensors of the settings, by address."""

    def __init__(
        self, adapter: str, sensors: Mapping[str, BleSensor], committer: Committer, clock: Clock,
        silence_seconds: float,
    ) -> None:  # fmt: skip
        self._adapter = adapter
        self._sensors = sensors
        self._committer = committer
        self._clock = clock
        self._silence_seconds = silence_seconds
        self._heard_at = 0.0
        self._silences = 0
        self.advertisements = 0

    async def run(self) -> None:
        """Scan until the scanner falls silent.

        Raises:
            CollectorError: no adapter, BlueZ failed, or nothing was heard for too long.
        """
        if self._silences >= _SILENCES_BEFORE_RESET:
            self._silences = 0
            await power_cycle(self._adapter)
        scanner = BleakScanner(self._detected, bluez=BlueZScannerArgs(adapter=self._adapter))
        self._heard_at = time.monotonic()
        try:
            await scanner.start()
        except (BleakError, OSError, EOFError) as error:
            raise CollectorError(f"bluetooth {self._adapter}: {error}; plug it in or start bluetoothd") from error
        try:
            while time.monotonic() - self._heard_at < self._silence_seconds:  # noqa: ASYNC110 - a watchdog looks
                await asyncio.sleep(_WATCH_SECONDS)
            self._silences += 1
            raise CollectorError(f"bluetooth adapter {self._adapter}: heard nothing for {self._silence_seconds:.0f} s")
        finally:
            await self._stop(scanner)

    async def _stop(self, scanner: BleakScanner) -> None:
        """A dead scanner may refuse to stop, or never answer; it is thrown away either way."""
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await scanner.stop()
        except (BleakError, OSError, EOFError, TimeoutError) as error:
            _log.debug("scanner did not stop: %s", error)

    def _detected(self, device: Any, data: Any) -> None:
        self._heard_at = time.monotonic()
        self._silences = 0
        self.advertisements += 1
        sensor = self._sensors.get(str(device.address).upper())
        if sensor is None:
            return
        try:
            readings = sensor.decoder.decode(advertisement_from_bleak(device, data, time.monotonic()))
        except AdvertisementError as error:
            sensor.recorder.refused += 1
            sensor.recorder.last_error = str(error)
            return
        if readings:
            self._committer.submit(Submission(sensor.recorder.rows(readings, self._clock.now_ms())))
