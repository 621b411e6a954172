"""Switching a Bluetooth adapter off and on through BlueZ, for one whose scanner stays silent."""

import asyncio
import os

from dbus_fast import BusType, Message, MessageType, Variant
from dbus_fast.aio import MessageBus
from dbus_fast.errors import DBusError

from edge.errors import CollectorError

_REPLY_SECONDS = 5.0
_OFF_SECONDS = 0.5


async def power_cycle(adapter: str) -> None:
    """Off, a moment, on.

    Raises:
        CollectorError: no system bus, no BlueZ or no such adapter.
    """
    try:
        async with asyncio.timeout(_REPLY_SECONDS):
            bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
    except (OSError, TimeoutError, DBusError) as error:
        where = os.environ.get("DBUS_SYSTEM_BUS_ADDRESS", "the system bus")
        raise CollectorError(f"bluetooth: {where} cannot be reached: {error}; is dbus running?") from error
    try:
        await _set_powered(bus, adapter, powered=False)
        await asyncio.sleep(_OFF_SECONDS)
        await _set_powered(bus, adapter, powered=True)
    finally:
        bus.disconnect()


async def _set_powered(bus: MessageBus, adapter: str, *, powered: bool) -> None:
    call = Message(
        destination="org.bluez", path=f"/org/bluez/{adapter}", interface="org.freedesktop.DBus.Properties",
        member="Set", signature="ssv", body=["org.bluez.Adapter1", "Powered", Variant("b", powered)],
    )  # fmt: skip
    try:
        async with asyncio.timeout(_REPLY_SECONDS):
            reply = await bus.call(call)
    except (TimeoutError, EOFError, OSError) as error:
        raise CollectorError(f"bluetooth adapter {adapter}: BlueZ does not answer; is bluetoothd running?") from error
    if reply.message_type is MessageType.ERROR:
        raise CollectorError(f"bluetooth adapter {adapter}: {reply.error_name}; is it plugged in?")
