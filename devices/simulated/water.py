"""A water meter's pulse counter that advertises BTHome v2 over BLE, through BlueZ: one virtual adapter for each.

What it says changes once an hour of the building's time, with a packet id that counts those hours, so that a repeat is
told from a new packet even if the count stood still.
"""

import asyncio

from dbus_fast import BusType, Message, MessageType, Variant
from dbus_fast.aio import MessageBus

from devices.errors import BuildingError
from devices.simulated.consumption import Consumption
from devices.simulated.schedule import HOUR_MS

UUID = "0000fcd2-0000-1000-8000-00805f9b34fb"
UNENCRYPTED_V2 = 0x40
PACKET_ID, COUNT_32 = 0x00, 0x3E
ADVERTISEMENT = "org.bluez.LEAdvertisement1"
PROPERTIES = "org.freedesktop.DBus.Properties"
PATH = "/minglou/water"
BLUEZ = "org.bluez"
CALL_SECONDS = 10.0
_DBUS = "org.freedesktop.DBus"
_WATCH_BLUEZ = Message(
    destination=_DBUS,
    path="/org/freedesktop/DBus",
    interface=_DBUS,
    member="AddMatch",
    signature="s",
    body=[f"type='signal',sender='{_DBUS}',member='NameOwnerChanged',arg0='{BLUEZ}'"],
)


class WaterMeter:
    """Counts litres: one pulse each."""

    def __init__(self, ble_address: str, consumption: Consumption) -> None:
        self.ble_address = ble_address
        self._consumption = consumption

    def pulses(self, at_ms: int) -> int:
        """The count that was advertised in the hour of an instant."""
        return self._consumption.at(at_ms // HOUR_MS * HOUR_MS)

    def service_data(self, at_ms: int) -> bytes:
        """BTHome v2: device information, packet id, count (uint32, little-endian)."""
        packet_id = at_ms // HOUR_MS & 0xFF
        count = self.pulses(at_ms).to_bytes(4, "little")
        return bytes((UNENCRYPTED_V2, PACKET_ID, packet_id, COUNT_32)) + count


class Beacon:
    """One meter's advertisement, registered at one BlueZ adapter and kept up to date.

    It comes back by itself after bluetoothd or the bus was restarted: `update` registers again whatever was lost.
    """

    def __init__(self, meter: WaterMeter, adapter: str, bus_address: str) -> None:
        self.meter = meter
        self.advertised = 0  # pulses in the last advertisement
        self._adapter = adapter
        self._bus_address = bus_address
        self._bus: MessageBus | None = None
        self._is_registered = False
        self._service_data = b""

    async def update(self, now_ms: int) -> None:
        """Advertise what is true now, if that changed.

        Raises:
            BuildingError: no bus, no BlueZ on it, or no such adapter; a later call tries again.
        """
        service_data = self.meter.service_data(now_ms)
        is_changed = service_data != self._service_data
        self._service_data = service_data
        self.advertised = self.meter.pulses(now_ms)
        bus = await self._connected()
        if not self._is_registered:
            await self._call(bus, self._register_message())
            self._is_registered = True
        elif is_changed:
            await bus.send(self._changed_message())

    async def stop(self) -> None:
        """Leave the bus; BlueZ forgets the advertisement."""
        if self._bus is not None:
            self._bus.disconnect()

    async def _connected(self) -> MessageBus:
        if self._bus is not None and self._bus.connected:
            return self._bus
        self._is_registered = False
        bus = MessageBus(bus_address=self._bus_address, bus_type=BusType.SYSTEM)
        try:
            async with asyncio.timeout(CALL_SECONDS):
                await bus.connect()
        except (OSError, TimeoutError, EOFError) as error:
            raise BuildingError(
                f"water meter {self.meter.ble_address}: no D-Bus ({error!r}); start it first"
            ) from error
        bus.add_message_handler(self._called)
        await self._call(bus, _WATCH_BLUEZ)
        self._bus = bus
        return bus

    async def _call(self, bus: MessageBus, message: Message) -> None:
        try:
            async with asyncio.timeout(CALL_SECONDS):
                reply = await bus.call(message)
        except (OSError, TimeoutError, EOFError) as error:
            raise BuildingError(f"water meter {self.meter.ble_address}: D-Bus does not answer ({error!r})") from error
        if reply.message_type is MessageType.ERROR:
            raise BuildingError(
                f"water meter {self.meter.ble_address}: {message.member} on {self._adapter} was refused: {reply.body}; "
                "does BlueZ run, with one adapter for each water meter?"
            )

    def _register_message(self) -> Message:
        return Message(
            destination=BLUEZ,
            path=f"/org/bluez/{self._adapter}",
            interface="org.bluez.LEAdvertisingManager1",
            member="RegisterAdvertisement",
            signature="oa{sv}",
            body=[PATH, {}],
        )

    def _changed_message(self) -> Message:
        return Message(
            message_type=MessageType.SIGNAL,
            path=PATH,
            interface=PROPERTIES,
            member="PropertiesChanged",
            signature="sa{sv}as",
            body=[ADVERTISEMENT, {"ServiceData": self._properties()["ServiceData"]}, []],
        )

    def _properties(self) -> dict[str, Variant]:
        return {
            "Type": Variant("s", "peripheral"),
            "LocalName": Variant("s", "Minglou water"),
            "Discoverable": Variant("b", True),
            "ServiceData": Variant("a{sv}", {UUID: Variant("ay", self._service_data)}),
        }

    def _called(self, message: Message) -> Message | None:
        """BlueZ reads the advertisement's properties, and tells when it lets go of it."""
        if message.member == "NameOwnerChanged" and message.body[0] == BLUEZ:
            self._is_registered = False  # bluetoothd went or came: it knows nothing of us
            return None
        if message.message_type is not MessageType.METHOD_CALL or message.path != PATH:
            return None
        if message.interface == PROPERTIES and message.member == "GetAll":
            return Message.new_method_return(message, "a{sv}", [self._properties()])
        if message.interface == PROPERTIES and message.member == "Get":
            found = self._properties().get(message.body[1])
            if found is None:
                return Message.new_error(message, "org.freedesktop.DBus.Error.UnknownProperty", message.body[1])
            return Message.new_method_return(message, "v", [found])
        if message.interface == ADVERTISEMENT and message.member == "Release":
            return Message.new_method_return(message)
        return None
