"""`minglou homeassistant run`: an owner's own meters and bills as sensors of Home Assistant, over the owner's broker.

Asks the cloud with a token that the owner made on their page, and publishes MQTT discovery. What was published is
retained and told again when Home Assistant starts; without the cloud, or this program, the sensors are unavailable.
"""

import argparse
import asyncio
import json
import logging
import signal
import ssl
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Any

import aiomqtt

from contracts.home_assistant import (
    BIRTH_PAYLOAD,
    FEN,
    OFFLINE,
    ONLINE,
    Sensor,
    birth_topic,
    config_topic,
    discovery,
    object_name,
)
from minglou.own_flat import CloudAway, Meter, OwnCloud, OwnFlat, Register, TokenRefused, read_secret, read_token

__all__ = ["Bridge", "Broker", "add_arguments", "run", "sensors_of"]

_PAUSE_MIN_SECONDS, _PAUSE_MAX_SECONDS = 1.0, 300.0
_FAILURES_UNTIL_OFFLINE = 5  # about a quarter of a minute: a cloud that is started anew is not missed
_LAST_WORD_SECONDS = 5.0
_MQTT_PORT, _MQTTS_PORT = 1883, 8883
_log = logging.getLogger("minglou.homeassistant")

_WORDS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "1-0:1.8.0": {"zh": "用电量", "en": "Electricity used"},
        "1-0:1.8.1": {"zh": "用电量 费率1", "en": "Electricity used, rate 1"},
        "1-0:1.8.2": {"zh": "用电量 费率2", "en": "Electricity used, rate 2"},
        "1-0:1.8.3": {"zh": "用电量 费率3", "en": "Electricity used, rate 3"},
        "1-0:1.8.4": {"zh": "用电量 费率4", "en": "Electricity used, rate 4"},
        "1-0:2.8.0": {"zh": "上网电量", "en": "Electricity fed in"},
        "8-0:1.0.0": {"zh": "冷水用量", "en": "Cold water used"},
        "9-0:1.0.0": {"zh": "热水用量", "en": "Hot water used"},
        "7-0:3.0.0": {"zh": "燃气用量", "en": "Gas used"},
        "6-0:1.0.0": {"zh": "用热量", "en": "Heat used"},
        "month": {"zh": "本期电费（估算）", "en": "Electricity since the last bill (estimate)"},
        "balance": {"zh": "预存款余额", "en": "Prepaid balance"},
        "bill": {"zh": "最近一期账单", "en": "Newest bill"},
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """The owner's own MQTT broker."""

    host: str
    port: int
    username: str | None = None
    password: str | None = None
    tls: aiomqtt.TLSParameters | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The sub-commands of `minglou homeassistant`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    says = "publish the flat's meters and bills until stopped"
    one = actions.add_parser("run", help=says, description=says)
    one.add_argument("--cloud", required=True, metavar="URL", help="such as https://cuiyuan.example")
    one.add_argument("--token-file", required=True, type=Path, metavar="FILE", help="the token of your page, mode 600")
    one.add_argument("--mqtt", required=True, metavar="HOST[:PORT]", help="your broker (1883, with TLS 8883)")
    one.add_argument("--mqtt-username", metavar="NAME")
    one.add_argument("--mqtt-password-file", type=Path, metavar="FILE")
    one.add_argument("--mqtt-tls", action="store_true", help="speak TLS to the broker and verify its certificate")
    one.add_argument("--mqtt-ca-file", type=Path, metavar="FILE", help="the certificate authority of your broker")
    one.add_argument("--seconds", type=int, default=300, metavar="N", help="between two looks at the cloud (300)")
    one.add_argument("--discovery-prefix", default="homeassistant", metavar="TOPIC")
    one.add_argument("--language", choices=("zh", "en"), default="zh", help="of the sensors' names (zh)")


def run(arguments: argparse.Namespace) -> int:
    """Publish until told to stop: 0; 2 for what cannot be begun so."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it would write a line for every look
    try:
        token, broker = read_token(arguments.token_file), _broker(arguments)
        cloud = OwnCloud(arguments.cloud, token, language=arguments.language)
        if arguments.seconds < 1:
            raise ValueError("--seconds: ask every second at most")
    except ValueError as error:
        sys.stderr.write(f"minglou homeassistant: {error}\n")
        return 2
    bridge = Bridge(
        cloud, broker, seconds=arguments.seconds, prefix=arguments.discovery_prefix, language=arguments.language
    )
    asyncio.run(_until_told(bridge, cloud))
    return 0


def _broker(arguments: argparse.Namespace) -> Broker:
    host, colon, port = arguments.mqtt.rpartition(":")
    if not colon or not port.isdecimal():
        host, port = arguments.mqtt, str(_MQTTS_PORT if arguments.mqtt_tls else _MQTT_PORT)
    path = arguments.mqtt_password_file
    tls = None
    if arguments.mqtt_tls:
        ca = str(arguments.mqtt_ca_file) if arguments.mqtt_ca_file else None
        tls = aiomqtt.TLSParameters(ca_certs=ca, cert_reqs=ssl.CERT_REQUIRED)
    return Broker(
        host=host.strip("[]"),
        port=int(port),
        username=arguments.mqtt_username,
        password=read_secret(path) if path else None,
        tls=tls,
    )


async def _until_told(bridge: "Bridge", cloud: OwnCloud) -> None:
    """Run until SIGTERM or SIGINT, which lets it say its last word."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with cloud:
        running = asyncio.create_task(bridge.run(), name="bridge")
        stopping = asyncio.create_task(stop.wait(), name="told to stop")
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        running.cancel()
        stopping.cancel()
        for ended in await asyncio.gather(running, stopping, return_exceptions=True):
            if isinstance(ended, Exception):
                raise ended


class Bridge:
    """Carries one flat from its cloud to one broker."""

    def __init__(self, cloud: OwnCloud, broker: Broker, *, seconds: float, prefix: str, language: str) -> None:
        self._cloud, self._broker = cloud, broker
        self._seconds, self._prefix, self._language = seconds, prefix, language
        self._flat: OwnFlat | None = None  # as the cloud told it last
        self._failures = 0
        self._announced: set[str] = set()
        self._looked = asyncio.Event()  # the cloud was asked again, with whatever outcome

    async def run(self) -> None:
        """Ask and publish for ever; a broker that is lost is sought again with growing pauses."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._ask(), name="cloud")
            tasks.create_task(self._publish(), name="broker")

    async def _ask(self) -> None:
        while True:
            pause = self._seconds
            try:
                self._flat = await self._cloud.read()
                if self._failures:
                    _log.info("the cloud answers again")
                self._failures = 0
            except TokenRefused as refusal:
                self._note_failure(refusal, at_once=True)
            except CloudAway as away:
                self._note_failure(away)
                pause = max(away.retry_seconds, min(self._seconds, _pause(self._failures)))
            self._looked.set()
            await asyncio.sleep(pause)

    def _note_failure(self, error: Exception, *, at_once: bool = False) -> None:
        self._failures = max(self._failures + 1, _FAILURES_UNTIL_OFFLINE if at_once else 0)
        _log.warning("%s", error)

    @property
    def _is_online(self) -> bool:
        return self._flat is not None and self._failures < _FAILURES_UNTIL_OFFLINE

    async def _publish(self) -> None:
        while self._flat is None:  # topics bear the flat's name
            await self._looked.wait()
            self._looked.clear()
        lost = 0
        while True:
            try:
                async with self._client(_node(self._flat)) as client:
                    _log.info("broker %s:%d: connected", self._broker.host, self._broker.port)
                    lost = 0
                    await self._serve(client, _node(self._flat))
            except* aiomqtt.MqttError as errors:
                lost += 1
                says = "; ".join(str(error) for error in errors.exceptions)
                _log.warning("broker %s:%d: %s; trying again", self._broker.host, self._broker.port, says)
            await asyncio.sleep(_pause(lost))

    def _client(self, node: str) -> aiomqtt.Client:
        broker = self._broker
        return aiomqtt.Client(
            broker.host,
            broker.port,
            identifier=f"minglou-{node}",
            username=broker.username,
            password=broker.password,
            tls_params=broker.tls,
            will=aiomqtt.Will(_availability(node), OFFLINE, qos=1, retain=True),
        )

    async def _serve(self, client: aiomqtt.Client, node: str) -> None:
        """Publish whenever the cloud was asked, or Home Assistant begins; the last word is that nobody publishes."""
        self._announced.clear()
        self._looked.set()
        try:
            await client.subscribe(birth_topic(self._prefix), qos=1)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._hear_births(client), name="births")
                tasks.create_task(self._tell(client, node), name="states")
        except asyncio.CancelledError:
            with suppress(aiomqtt.MqttError, TimeoutError):  # then the broker says it, by our will
                async with asyncio.timeout(_LAST_WORD_SECONDS):
                    await client.publish(_availability(node), OFFLINE, qos=1, retain=True)
            raise

    async def _hear_births(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            if message.payload == BIRTH_PAYLOAD:
                self._announced.clear()
                self._looked.set()

    async def _tell(self, client: aiomqtt.Client, node: str) -> None:
        while True:
            await self._looked.wait()
            self._looked.clear()
            if self._is_online and self._flat is not None:
                await self._tell_flat(client, node, self._flat)
            availability = ONLINE if self._is_online else OFFLINE
            await client.publish(_availability(node), availability, qos=1, retain=True)

    async def _tell_flat(self, client: aiomqtt.Client, node: str, flat: OwnFlat) -> None:
        found = {sensor.unique_id: (sensor, state) for sensor, state in sensors_of(flat, self._language)}
        for gone in self._announced - set(found):
            await client.publish(config_topic(self._prefix, node, gone), b"", qos=1, retain=True)
        for name, (sensor, state) in found.items():
            if name not in self._announced:
                config = json.dumps(discovery(sensor), ensure_ascii=False)
                await client.publish(config_topic(self._prefix, node, name), config, qos=1, retain=True)
            await client.publish(sensor.state_topic, json.dumps(state, ensure_ascii=False), qos=1, retain=True)
        self._announced = set(found)


def sensors_of(flat: OwnFlat, language: str) -> Iterator[tuple[Sensor, Mapping[str, Any]]]:
    """Every sensor of a flat with its state: each register of each meter, and the flat's money."""
    registers = ((meter, register) for meter in flat.meters for register in meter.registers)
    return chain(
        (_of_register(flat, meter, register, language) for meter, register in registers), _of_money(flat, language)
    )


def _of_register(flat: OwnFlat, meter: Meter, register: Register, language: str) -> tuple[Sensor, Mapping[str, Any]]:
    node = _node(flat)
    device = {
        "identifiers": [f"{node}_{object_name(meter.name)}"],
        "name": f"{flat.title} {meter.title}",
        "manufacturer": "Minglou",
    }
    words = _WORDS.get(register.quantity)
    name = f"{node}_{object_name(meter.name)}_{object_name(register.quantity)}"
    sensor = _sensor(node, name, words[language] if words else register.quantity, register.unit, device)
    state = {
        "value": register.value,
        "observed_at_ms": register.observed_at_ms,
        "origin": register.origin,
        "index": register.index,
        "state": register.state,
    }
    return sensor, state


def _of_money(flat: OwnFlat, language: str) -> Iterator[tuple[Sensor, Mapping[str, Any]]]:
    node = _node(flat)
    device = {"identifiers": [node], "name": flat.title, "manufacturer": "Minglou"}
    bill = flat.bills[0] if flat.bills else None
    states: dict[str, Mapping[str, Any]] = {}
    if flat.month_fen is not None:
        states["month"] = {"value": flat.month_fen, "until_ms": flat.month_until_ms}
    if flat.balance_fen is not None:
        states["balance"] = {"value": flat.balance_fen}
    if bill is not None:
        states["bill"] = {
            "value": bill.total_fen,
            "period": bill.period,
            "opening": bill.opening,
            "closing": bill.closing,
            "state": bill.state,
        }
    for what, state in states.items():
        yield _sensor(node, f"{node}_{what}", _WORDS[what][language], FEN, device), state


def _sensor(node: str, name: str, words: str, unit: str, device: Mapping[str, object]) -> Sensor:
    return Sensor(
        unique_id=name,
        name=words,
        unit=unit,
        state_topic=f"minglou/{node}/{name}/state",
        device=device,
        availability_topic=_availability(node),
    )


def _node(flat: OwnFlat) -> str:
    """The flat's name among all that one broker may carry: two sites may each have a flat of this name."""
    return f"{object_name(flat.site)}_flat_{object_name(flat.door)}"


def _availability(node: str) -> str:
    return f"minglou/{node}/availability"


def _pause(failures: int) -> float:
    """Seconds until the next attempt after so many in a row."""
    return min(_PAUSE_MAX_SECONDS, _PAUSE_MIN_SECONDS * 2.0 ** min(max(failures - 1, 0), 16))
