"""A client of somebody's MQTT broker, through paho: a message is acknowledged to the broker after the commit.

The session is persistent and acknowledgement is manual, so what was not on disk when the power went is delivered
again. At most 64 messages are asked for at a time (not every broker keeps to it, see `edge.deliveries`). When
the committer's queue is full, paho's thread waits, the socket is not read, and the broker keeps the messages.
"""

import asyncio
import logging
import ssl
import threading
from collections.abc import Callable, Sequence
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge.committer import Committer, Submission
from edge.deliveries import BROKER_SESSION, REMEMBERED
from edge.errors import CollectorError
from edge.keys import read_secret
from edge.log_store import DeliveryRow, EntryRow
from edge.mqtt.ingest import MqttDevice, MqttIngest, by_topic
from edge.settings import BrokerSettings

_KEEP_ALIVE_SECONDS = 30
_CONNECT_SECONDS = 10.0
_SESSION_SECONDS = 30 * 86_400
_ROOM_SECONDS = 1.0
_log = logging.getLogger("edge.broker")


class BrokerClient:
    """One broker's collector: `run` until the connection is lost, then let the supervisor start it again."""

    def __init__(
        self, settings: BrokerSettings, devices: Sequence[MqttDevice], ingest: MqttIngest, committer: Committer,
        now_ms: Callable[[], int],
    ) -> None:  # fmt: skip
        self._now_ms = now_ms
        self._settings = settings
        self._routes = {topic.decode(): route for topic, route in by_topic(devices).items()}
        self._ingest = ingest
        self._committer = committer
        self._session = f"{BROKER_SESSION}{settings.name}"
        self._client: paho.Client | None = None
        self._stopping = threading.Event()
        self.unmapped = 0
        self.is_connected = False

    async def run(self) -> None:
        """Connect, subscribe, and record what comes.

        Raises:
            CollectorError: the broker refused, cannot be reached, or the connection was lost.
        """
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[str] = loop.create_future()
        client = self._make_client(loop, ended)
        self._stopping.clear()
        self._client = client
        try:
            await asyncio.to_thread(self._connect, client)
            client.loop_start()
            raise CollectorError(f"broker {self._settings.name}: {await ended}")
        except OSError as error:
            where = f"{self._settings.host}:{self._settings.port}"
            raise CollectorError(f"broker {self._settings.name} at {where}: {error}; is it running?") from error
        finally:
            self._client = None
            self.is_connected = False
            self._stopping.set()
            client.disconnect()
            await asyncio.shield(asyncio.to_thread(client.loop_stop))

    @property
    def _is_v5(self) -> bool:
        return self._settings.version == "5"

    def committed(self, tokens: list[tuple[paho.Client, int]]) -> None:
        """Called in the writer thread: acknowledge what is on disk, unless its connection is gone."""
        current = self._client
        for client, packet_id in tokens:
            if client is current and packet_id:
                client.ack(packet_id, 1)

    def command(self, device: MqttDevice, payload: bytes) -> int:
        """Send a command to a device behind this broker; 1 if the connection took it."""
        client = self._client
        if client is None:
            return 0
        return int(client.publish(device.command_topic, payload, qos=1).rc == paho.MQTT_ERR_SUCCESS)

    def _connect(self, client: paho.Client) -> None:
        where = self._settings
        if self._is_v5:
            client.connect(
                where.host, where.port, _KEEP_ALIVE_SECONDS, clean_start=False, properties=_connect_properties()
            )
        else:
            client.connect(where.host, where.port, _KEEP_ALIVE_SECONDS)

    def _make_client(self, loop: asyncio.AbstractEventLoop, ended: "asyncio.Future[str]") -> paho.Client:
        settings = self._settings
        version = paho.MQTTv5 if self._is_v5 else paho.MQTTv311
        client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=settings.client_id, protocol=version, manual_ack=True,
            reconnect_on_failure=False, clean_session=None if self._is_v5 else False,
        )  # fmt: skip
        if settings.username:
            password = read_secret(settings.password_file).decode().strip() if settings.password_file else None
            client.username_pw_set(settings.username, password)
        if settings.tls:
            client.tls_set_context(ssl.create_default_context())

        def end(says: str) -> None:
            loop.call_soon_threadsafe(lambda: None if ended.done() else ended.set_result(says))

        def on_connect(_client: paho.Client, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any) -> None:
            if reason.is_failure:
                end(f"refused the login: {reason}; check username and password_file")
            else:
                client.subscribe([(topic, 1) for topic in self._routes])
                self.is_connected = True

        def on_disconnect(_client: paho.Client, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any) -> None:
            end(f"connection lost: {reason}")

        client.on_connect = on_connect
        client.on_disconnect = on_disconnect
        client.on_message = self._on_message
        return client

    def _on_message(self, client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        """In paho's thread."""
        while not self._committer.has_room and not self._stopping.is_set():
            self._committer.wait_for_room(_ROOM_SECONDS)
        if self._stopping.is_set():
            return  # not acknowledged, so it comes again
        packet_id = message.mid if message.qos else 0
        route = self._routes.get(message.topic)
        rows: list[EntryRow] = []
        delivered: list[DeliveryRow] = []
        if route is None:
            self.unmapped += 1
        else:
            self._ingest.take(
                route[0], route[1], bytes(message.payload), packet_id, message.dup, self._session, self._now_ms(),
                rows, delivered,
            )  # fmt: skip
        self._committer.submit(Submission(rows, delivered=delivered, sink=self, token=(client, packet_id)))


def _connect_properties() -> Properties:
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = _SESSION_SECONDS
    properties.ReceiveMaximum = REMEMBERED
    return properties
