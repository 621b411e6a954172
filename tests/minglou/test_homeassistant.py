"""An owner's own meters in Home Assistant: a served cloud, a real broker, the program as its owner runs it."""

import asyncio
import json
import subprocess
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest

from cloud.identity.roles import Role
from contracts.entry import Kind
from contracts.home_assistant import Sensor, discovery
from minglou import main
from minglou.homeassistant import sensors_of
from minglou.own_flat import CloudAway, OwnCloud, OwnFlat, flat_of
from tests.cloud.gateway import SimulatedGateway
from tests.cloud.house import House, house, urn_of
from tests.cloud.served import minglou, write_secret
from tests.cloud.test_identity import HOUR_MS
from tests.cloud.test_own_flat import token_of
from tests.cloud.test_personal_file import OTHER, OWN, REGISTER, log_readings, send
from tests.conftest import Endpoint
from tests.edge.test_broker import Listener
from tests.processes import REPOSITORY, Program, free_port, is_listening, running, wait_until

NODE = "127_0_0_1_flat_b07_0501"
AVAILABILITY, SENSOR = f"minglou/{NODE}/availability", f"{NODE}_b07_0501_1_0_1_8_0"
STATE, CONFIG = f"minglou/{NODE}/{SENSOR}/state", f"homeassistant/sensor/{NODE}/{SENSOR}/config"


@pytest.fixture
def example() -> dict[str, Any]:
    """What the interface's own document shows of a flat."""
    kept: dict[str, Any] = json.loads((REPOSITORY / "cloud" / "openapi" / "examples.json").read_text(encoding="utf-8"))
    flat: dict[str, Any] = kept["own"]
    return flat


@dataclass
class Flat:
    """A cloud's folder with readings of two flats, and the token that the first one's owner made on their page."""

    folder: Path
    port: int
    gateway: SimulatedGateway
    token: str = ""

    def prepare(self) -> None:
        async def scene() -> None:
            async with self._opened() as site:
                await log_readings(site, self.gateway)
                self.token = await token_of(await site.member(Role.OWNER, OWN))

        asyncio.run(scene())

    def read_once_more(self, value: int) -> None:
        """The gateway has one more reading of the first flat."""

        async def scene() -> None:
            async with self._opened() as site:
                at_ms = site.clock.at_ms + 9 * HOUR_MS
                self.gateway.log(Kind.READING, urn_of(OWN), REGISTER, value, detail={"source": "poll"}, at_ms=at_ms)
                await send(site, self.gateway)

        asyncio.run(scene())

    def end_role(self) -> None:
        """The owner sells the flat."""
        words = ("identity", "revoke", "--unit", OWN, "--config", str(self.folder / "cloud.toml"))
        subprocess.run([str(minglou()), *words], capture_output=True, timeout=280, check=True)

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[House]:
        async with house(self.folder) as site:
            site.clock.at_ms = int(time.time() * 1000)  # by which the served cloud judges tokens
            yield site

    @contextmanager
    def served(self) -> Iterator[Program]:
        settings = self.folder / "cloud.toml"
        settings.write_text(settings.read_text().replace("127.0.0.1:8600", f"127.0.0.1:{self.port}"))
        command = [minglou(), "cloud", "serve", "--config", settings]
        ready = {"ready": lambda: is_listening(self.port), "seconds": 40.0}
        with running(command, name="cloud", output_dir=self.folder, **ready) as program:  # type: ignore[arg-type]
            yield program

    @contextmanager
    def bridged(self, mosquitto: Endpoint) -> Iterator[Program]:
        secret = self.folder / "token"
        write_secret(secret, self.token)
        command = [
            *(minglou(), "homeassistant", "run", "--cloud", f"http://127.0.0.1:{self.port}", "--token-file", secret),
            *("--mqtt", f"127.0.0.1:{mosquitto.port}", "--seconds", "1", "--language", "en"),
        ]
        with running(command, name="homeassistant", output_dir=self.folder) as program:
            yield program


@pytest.fixture
def flat(tmp_path: Path) -> Flat:
    found = Flat(tmp_path / "cloud", free_port(), SimulatedGateway())
    found.prepare()
    return found


@contextmanager
def home_assistant(mosquitto: Endpoint) -> Iterator[Listener]:
    listener = Listener(mosquitto.port, ["homeassistant/sensor/#", "minglou/#"])
    try:
        yield listener
    finally:
        listener.close()


def wait_for(listener: Listener, *, value: int | None = None, availability: str = "online") -> None:
    """Until the sensor shows a value, and is there or is not."""

    def is_so() -> bool:
        state = listener.heard.get(STATE)
        shown = None if not state else json.loads(state)["value"]
        return listener.heard.get(AVAILABILITY) == availability.encode() and value in (None, shown)

    wait_until(is_so, seconds=20, what=f"{value} and {availability}")


def test_an_owners_meter_is_discovered_follows_the_cloud_and_outlives_everything(
    flat: Flat, mosquitto: Endpoint
) -> None:
    with flat.bridged(mosquitto) as program:  # before there is a cloud to ask
        with flat.served(), home_assistant(mosquitto) as listener:
            wait_for(listener, value=5_550_006)
            config = json.loads(listener.heard[CONFIG])
            assert {name: config[name] for name in ("unit_of_measurement", "device_class", "state_class")} == {
                "unit_of_measurement": "Wh",
                "device_class": "energy",
                "state_class": "total_increasing",
            }
            assert (config["state_topic"], config["availability_topic"]) == (STATE, AVAILABILITY)
            assert (config["unique_id"], config["name"]) == (SENSOR, "Electricity used")
            everything = b"".join(listener.heard.values())
            assert b"999000" not in everything and OTHER.encode() not in everything, "the neighbour's"
            listener.heard.clear()  # Home Assistant was started again
            listener.client.publish("homeassistant/status", b"online", qos=1)
            wait_until(lambda: CONFIG in listener.heard and STATE in listener.heard, seconds=20, what="all of it again")
        flat.read_once_more(5_550_777)
        with home_assistant(mosquitto) as listener:  # what is retained tells a new listener that nobody answers
            wait_for(listener, availability="offline")
        with flat.served():
            mosquitto.program.kill()
            mosquitto.program.restart()
            wait_until(lambda: is_listening(mosquitto.port), seconds=20, what="the broker again")
            with home_assistant(mosquitto) as listener:
                wait_for(listener, value=5_550_777)
                assert program.stop() == 0
                wait_for(listener, availability="offline")
                program.restart()
                wait_for(listener, value=5_550_777)
                flat.end_role()
                wait_until(lambda: "make a new one under My access" in program.said(), seconds=20, what="what to do")
                wait_for(listener, availability="offline")
        assert flat.token not in program.said() and flat.token not in " ".join(program.command)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_bills_and_money_are_sensors_in_yuan(example: dict[str, Any], language: str) -> None:
    found = {
        sensor.unique_id: (discovery(sensor), state)
        for sensor, state in sensors_of(flat_of(example, language, site="one.example"), language)
    }
    ours = "one_example_flat_b07_0101"
    config, state = found[f"{ours}_bill"]
    assert (config["device_class"], config["unit_of_measurement"], "state_class" in config) == (
        "monetary",
        "CNY",
        False,
    )
    assert (config["value_template"], state["value"]) == ("{{ (value_json.value / 100) | round(3) }}", 22_494)
    assert (state["period"], state["state"]) == (example["bills"][0]["period"], "open")
    assert {f"{ours}_month", f"{ours}_balance", f"{ours}_m0_1_0_1_8_0"} < set(found)
    assert len({config["name"] for config, _ in found.values()}) == len(found)
    tenants = {**example, "balance_fen": None, "month": None, "bills": []}
    assert [sensor.unique_id for sensor, _ in sensors_of(flat_of(tenants, language, site="one.example"), language)] == [
        f"{ours}_m0_1_0_1_8_0"
    ]


@pytest.mark.parametrize(
    ("unit", "shown", "kind", "divisor"),
    [("mL", "L", "water", 1000), ("L", "m³", "gas", 1000), ("Wh", "Wh", "energy", 1)],
)
def test_totals_come_in_units_that_home_assistant_knows(unit: str, shown: str, kind: str, divisor: int) -> None:
    config = discovery(Sensor(unique_id="x", name="x", unit=unit, state_topic="t", device={}))
    assert (config["unit_of_measurement"], config["device_class"]) == (shown, kind)
    assert config["state_class"] == "total_increasing"
    assert (f"/ {divisor}" in str(config["value_template"])) == (divisor > 1)


def test_flats_of_one_name_at_two_sites_share_no_topic(example: dict[str, Any]) -> None:
    one, other = (
        {topic for sensor, _ in sensors_of(flat_of(example, "zh", site=site), "zh") for topic in topics(sensor)}
        for site in ("one.example", "two.example")
    )
    assert one and not one & other


def topics(sensor: Sensor) -> tuple[str, ...]:
    return sensor.unique_id, sensor.state_topic, sensor.availability_topic or ""


@pytest.mark.parametrize("value", ["1e999", "1.5", "true", '"1.5"', "[]"])
def test_what_is_no_integer_is_no_answer_of_a_cloud(example: dict[str, Any], value: str) -> None:
    example["balance_fen"] = "VALUE"
    answer = json.dumps(example).replace('"VALUE"', value).encode()
    with pytest.raises(CloudAway, match="no such cloud"):
        asyncio.run(_answered([answer]))


def test_an_answer_that_drips_without_end_is_left() -> None:
    with pytest.raises(CloudAway, match="does not answer"):
        asyncio.run(_answered(repeat(b" "), seconds=1.0))


async def _answered(pieces: Iterable[bytes], *, seconds: float = 60.0) -> OwnFlat:
    """What a cloud is understood to say that sends these pieces, one every twentieth of a second."""

    ended = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.05)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        ended.set()

    port = free_port()
    cloud = OwnCloud(f"http://127.0.0.1:{port}", "mlt_x", language="en", seconds=seconds)
    async with asyncio.timeout(100), await asyncio.start_server(answer, "127.0.0.1", port):
        try:
            async with cloud:
                return await cloud.read()
        finally:
            await ended.wait()


def test_what_cannot_be_begun_says_what_to_do_and_tells_no_secret(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = tmp_path / "token"
    write_secret(secret, "mlt_" + "a" * 43)

    def says(cloud: str) -> str:
        words = ["homeassistant", "run", "--mqtt", "localhost", "--cloud", cloud, "--token-file", str(secret)]
        assert main(words) == 2
        told = capsys.readouterr().err
        assert "a" * 43 not in told
        return told

    assert "https://" in says("http://cuiyuan.example")
    secret.chmod(0o644)
    assert "chmod 600" in says("https://cuiyuan.example")
    secret.chmod(0o600)
    secret.write_text("nothing of ours")
    assert "copy it from your page" in says("https://cuiyuan.example")
