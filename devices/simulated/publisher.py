"""A simulated device's MQTT client: QoS 1, numbered messages, and nothing forgotten until it was acknowledged.

All that must survive is one number, the last message that was acknowledged: what came after it is drawn again from the
schedule. paho sends again what was in flight when a connection broke.
"""

import json
import logging
import socket
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from paho.mqtt.client import Client, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from devices.errors import BuildingError
from devices.simulated.schedule import Event, Numbered

IN_FLIGHT_MAX = 20
KEPT_MAX = 1000
"""How many unsent messages a device remembers over a restart; older ones are lost, which the numbers show."""
KEEP_ALIVE_SECONDS = 30
LOG = logging.getLogger("building")


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """Where and as whom a device publishes. `url` is mqtt://HOST:PORT."""

    name: str  # also the client id
    url: str
    topic: str
    username: str = ""
    password: str = ""

    @property
    def host_and_port(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        if parts.scheme != "mqtt" or not parts.hostname:
            raise BuildingError(f"{self.name}: MQTT url {self.url!r}; write mqtt://HOST:PORT")
        return parts.hostname, parts.port or 1883


class Publisher:
    """Publishes a device's schedule. Call `step` often, always from one thread; paho has a thread of its own."""

    def __init__(self, link: Link, numbered: Numbered, state_file: Path) -> None:
        self._link = link
        self._numbered = numbered
        self._state_file = state_file
        self._arrived: deque[int] = deque()  # packet ids that paho's thread saw acknowledged
        self._in_flight: dict[int, int] = {}  # MQTT packet id -> message number
        self._events: Iterator[Event] | None = None
        self._next: Event | None = None
        self._saved: int | None = None
        self._published: int | None = None
        self.acknowledged_count = 0
        self.commands_received = 0
        self._client = Client(CallbackAPIVersion.VERSION2, client_id=link.name, clean_session=False, protocol=MQTTv311)
        if link.username:
            self._client.username_pw_set(link.username, link.password)
        self._client.max_inflight_messages_set(IN_FLIGHT_MAX)
        self._client.reconnect_delay_set(1, 4)
        self._client.on_publish = self._on_publish
        self._client.on_connect = self._on_connect
        self._client.on_message = self._on_message

    @property
    def name(self) -> str:
        return self._link.name

    @property
    def is_connected(self) -> bool:
        return self._client.is_connected()

    @property
    def acknowledged(self) -> int | None:
        """The last message up to which all are acknowledged; None before the first."""
        self._take_acknowledgements()
        return min(self._in_flight.values()) - 1 if self._in_flight else self._published

    def start(self, *, now_ms: int, begin_ms: int | None) -> None:
        """Connect, and go on after the last acknowledged message.

        Without memory, begin with what comes now, or came since `begin_ms`.
        """
        coming = next(self._numbered.from_time(now_ms)).number
        remembered = self._read_state()
        if remembered is not None:
            first = remembered + 1
        else:
            first = coming if begin_ms is None else next(self._numbered.from_time(begin_ms)).number
        first = max(min(first, coming), coming - KEPT_MAX)
        self._published = first - 1
        self._saved = remembered
        self._events = self._numbered.from_number(first)
        self._next = next(self._events)
        self._client.connect_async(*self._link.host_and_port, keepalive=KEEP_ALIVE_SECONDS)
        self._client.loop_start()

    def step(self, now_ms: int) -> None:
        """Publish what is due, as far as the window allows; nothing before the first connection."""
        assert self._events is not None
        self._take_acknowledgements()
        while self._next is not None and self._next.at_ms <= now_ms and self._has_room():
            event, self._next = self._next, next(self._events)
            payload = json.dumps({"seq": event.number, "ts": event.at_ms, **event.content}, separators=(",", ":"))
            message = self._client.publish(self._link.topic, payload.encode(), qos=1)
            self._in_flight[message.mid] = event.number
            self._published = event.number

    def drop_connection(self) -> None:
        """Cut the line without a goodbye; paho connects again."""
        connection: Any = self._client.socket()
        if connection is not None:
            connection.shutdown(socket.SHUT_RDWR)

    def save(self) -> None:
        """Write down what is acknowledged, if that changed."""
        acknowledged = self.acknowledged
        if acknowledged is not None and acknowledged != self._saved:
            self._state_file.parent.mkdir(parents=True, exist_ok=True)
            next_file = self._state_file.with_suffix(".next")
            next_file.write_text(json.dumps({"acknowledged": acknowledged}))
            next_file.replace(self._state_file)
            self._saved = acknowledged

    def stop(self) -> None:
        """Say goodbye and save. Unacknowledged messages come again after the next start."""
        self._client.disconnect()
        self._client.loop_stop()
        self.save()

    def _take_acknowledgements(self) -> None:
        while self._arrived:
            if self._in_flight.pop(self._arrived.popleft(), None) is not None:
                self.acknowledged_count += 1

    @property
    def is_settled(self) -> bool:
        """Whether nothing waits for an acknowledgement."""
        self._take_acknowledgements()
        return not self._in_flight

    def _has_room(self) -> bool:
        return len(self._in_flight) < IN_FLIGHT_MAX

    def _read_state(self) -> int | None:
        try:
            state = json.loads(self._state_file.read_text())
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise BuildingError(f"{self._state_file}: is no JSON ({error}); delete it") from error
        acknowledged = state.get("acknowledged") if isinstance(state, dict) else None
        if not isinstance(acknowledged, int):
            raise BuildingError(f'{self._state_file}: has no whole number "acknowledged"; delete it')
        return acknowledged

    def _on_connect(self, client: Client, _userdata: Any, _flags: Any, reason: ReasonCode, _properties: Any) -> None:
        if reason.is_failure:
            LOG.warning("%s: %s refused the connection: %s", self.name, self._link.url, reason)
            return
        client.subscribe(f"{self._link.topic}/command", qos=1)

    def _on_publish(self, _client: Client, _userdata: Any, mid: int, _reason: Any, _properties: Any) -> None:
        self._arrived.append(mid)

    def _on_message(self, _client: Client, _userdata: Any, _message: Any) -> None:
        self.commands_received += 1
