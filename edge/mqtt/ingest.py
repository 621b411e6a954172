"""From published messages to rows that wait for the disk; the same for the endpoint and for a broker's client."""

from collections.abc import Iterable
from enum import Enum

from devices.errors import MessageError
from devices.mqtt_json import MqttJsonDevice
from edge.deliveries import Deliveries, Ring, message_key
from edge.log_store import DeliveryRow, EntryRow
from edge.recorder import DeviceRecorder


class Taken(Enum):
    """What became of a message: each of them is acknowledged, but only after the disk holds what it brought."""

    ROWS = "rows"
    REPEATED = "repeated"
    REFUSED = "refused"


class MqttDevice:
    """One device that publishes: how its messages are read, and who records them."""

    __slots__ = ("command_topic", "decoder", "recorder", "session", "topics", "username")

    def __init__(self, username: str, topic: str, decoder: MqttJsonDevice, recorder: DeviceRecorder) -> None:
        self.username = username
        self.decoder = decoder
        self.recorder = recorder
        self.topics = tuple(decoder.topics)
        self.command_topic = f"{topic}/command"
        self.session = f"device:{recorder.urn}"  # where its own sequence numbers are remembered


class MqttIngest:
    """Reads, dedupes and records; belongs to one thread."""

    def __init__(self, deliveries: Deliveries, *, is_behind_broker: bool = False) -> None:
        self._deliveries = deliveries
        self._is_behind_broker = is_behind_broker
        self.messages = 0
        self.repeated = 0
        self.refused = 0

    def take(
        self,
        device: MqttDevice,
        topic: str,
        payload: bytes,
        packet_id: int,
        dup: bool,
        session: str,
        at_ms: int,
        rows: list[EntryRow],
        delivered: list[DeliveryRow],
    ) -> Taken:
        """Add what one message brings to `rows` and `delivered`.

        Args:
            device: whose topic it came on.
            topic: one of the device's topics.
            payload: as published.
            packet_id: 0 at QoS 0.
            dup: the peer says that it may have sent it before.
            session: name of the peer's persistent session, empty where it has none.
            at_ms: when it came, by the gateway's clock.
            rows: gets the entries.
            delivered: gets what must be remembered in the same transaction.
        """
        self.messages += 1
        try:
            message = device.decoder.decode(topic, payload)
        except MessageError as error:
            self.refused += 1
            device.recorder.refused += 1
            device.recorder.last_error = str(error)
            return Taken.REFUSED
        number, readings = message
        rings = self._rings(device, number, session if packet_id else "")
        if rings:
            key = message_key(packet_id if number is None else number, topic.encode(), payload)
            if (number is not None and key in rings[0]) or (dup and key in rings[-1]):
                self.repeated += 1
                return Taken.REPEATED
            rows.extend(device.recorder.rows(readings, at_ms))
            delivered.extend([ring.remember(key) for ring in rings])
        else:
            rows.extend(device.recorder.rows(readings, at_ms))
        return Taken.ROWS

    def _rings(self, device: MqttDevice, number: int | None, session: str) -> tuple[Ring, ...]:
        """Where the message is remembered, the device's own memory first; nowhere where nothing tells it apart."""
        if number is None:
            return (self._deliveries.ring(session),) if session else ()
        own = self._deliveries.ring(device.session)
        return (own, self._deliveries.ring(session)) if session and self._is_behind_broker else (own,)

    def new_session(self, session: str) -> None:
        """The peer started its session afresh: its packet ids begin again."""
        self._deliveries.forget(session)


def by_topic(devices: Iterable[MqttDevice]) -> dict[bytes, tuple[MqttDevice, str]]:
    """Devices by each topic they publish on, as it travels."""
    return {topic.encode(): (device, topic) for device in devices for topic in device.topics}
