"""Home Assistant through its broker: discovery, states, and commands back to devices, with aiomqtt.

Nothing here is evidence and nothing can be lost by acknowledging early, so the convenient client serves. States are
told at most once a second each; only the last one counts.
"""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence

import aiomqtt

from contracts.home_assistant import Sensor, config_topic, discovery, object_name
from contracts.quantities import unit_of
from edge.errors import CollectorError
from edge.keys import read_secret
from edge.recorder import DeviceRecorder
from edge.settings import BrokerSettings, HomeAssistantSettings

_STATE_SECONDS = 1.0
_COMMAND_BYTES_MAX = 4096

SendCommand = Callable[[bytes], int]


class HomeAssistant:
    """Publishes what the recorders last saw; passes commands on."""

    def __init__(
        self, settings: HomeAssistantSettings, broker: BrokerSettings, gateway: str,
        recorders: Sequence[DeviceRecorder], commands: Mapping[str, SendCommand],
    ) -> None:  # fmt: skip
        self._settings = settings
        self._broker = broker
        self._gateway = object_name(gateway)
        self._recorders = recorders
        self._commands = {object_name(urn): send for urn, send in commands.items()}
        self._announced: set[str] = set()
        self._told: dict[str, tuple[int, int]] = {}
        self.commands = 0

    async def run(self) -> None:
        """Serve until the connection is lost, then raise `CollectorError`."""
        broker = self._broker
        password = read_secret(broker.password_file).decode().strip() if broker.password_file else None
        self._announced.clear()
        self._told.clear()
        try:
            async with aiomqtt.Client(
                broker.host, broker.port, identifier=f"{broker.client_id}-home", username=broker.username or None,
                password=password, tls_params=aiomqtt.TLSParameters() if broker.tls else None,
            ) as client, asyncio.TaskGroup() as tasks:  # fmt: skip
                await client.subscribe(f"minglou/{self._gateway}/+/command", qos=1)
                tasks.create_task(self._listen(client), name="home-commands")
                tasks.create_task(self._tell(client), name="home-states")
        except* aiomqtt.MqttError as errors:
            says = "; ".join(str(error) for error in errors.exceptions)
            raise CollectorError(f"home assistant's broker {broker.name}: {says}") from errors

    async def _listen(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            name = str(message.topic).split("/")[2]
            send, payload = self._commands.get(name), message.payload
            if send is not None and len(payload) <= _COMMAND_BYTES_MAX:
                self.commands += send(payload)

    async def _tell(self, client: aiomqtt.Client) -> None:
        while True:
            for recorder in self._recorders:
                for quantity, seen in list(recorder.latest.items()):
                    await self._tell_one(client, recorder.urn, quantity, seen)
            await asyncio.sleep(_STATE_SECONDS)

    async def _tell_one(self, client: aiomqtt.Client, urn: str, quantity: str, seen: tuple[int, int]) -> None:
        name = f"{object_name(urn)}_{object_name(quantity)}"
        if self._told.get(name) == seen:
            return
        state_topic = f"minglou/{self._gateway}/{name}/state"
        if name not in self._announced:
            topic = config_topic(self._settings.discovery_prefix, self._gateway, name)
            config = discovery(_sensor(urn, quantity, name, state_topic))
            await client.publish(topic, json.dumps(config), qos=1, retain=True)
            self._announced.add(name)
        await client.publish(state_topic, json.dumps({"value": seen[0], "observed_at_ms": seen[1]}), qos=0)
        self._told[name] = seen


def _sensor(urn: str, quantity: str, name: str, state_topic: str) -> Sensor:
    return Sensor(
        unique_id=name,
        name=quantity,
        unit=unit_of(quantity) or "",
        state_topic=state_topic,
        device={"identifiers": [object_name(urn)], "name": urn.rpartition(":")[2], "manufacturer": "Minglou"},
    )
