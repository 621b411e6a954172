"""`kill -9` of the gateway at any moment loses nothing that it acknowledged, and logs nothing twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Endpoint
from tests.faults.gateway import (
    LIFT,
    SOCKET,
    gateway,
    logged,
    publish_through_crashes,
    seeds,
    wait_subscribed,
    write_settings,
)
from tests.processes import free_port, is_listening, wait_until

MESSAGES = 300
CRASHES = 2
ONCE_EACH = dict.fromkeys(range(1, MESSAGES + 1), 1)
WHOLE_LOG = {SOCKET: ONCE_EACH, LIFT: ONCE_EACH}


def is_whole(folder: Path) -> bool:
    """Whether every message is there, once or more often."""
    return all(len(numbers) == MESSAGES for numbers in logged(folder).values())


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", seeds())
def test_what_the_endpoint_acknowledged_is_in_the_log_exactly_once(tmp_path: Path, seed: int) -> None:
    port = free_port()
    settings = write_settings(tmp_path, endpoint_port=port, broker_port=None)
    with gateway(settings) as started:
        started.wait_ready(lambda: is_listening(port), seconds=10)
        publish_through_crashes(started, port, seed=seed, messages=MESSAGES, crashes=CRASHES)
        wait_until(lambda: is_whole(tmp_path), seconds=20, what="the whole log")
        assert started.stop() == 0
    assert logged(tmp_path) == WHOLE_LOG


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", seeds())
def test_what_the_houses_broker_accepted_is_in_the_log_exactly_once(
    tmp_path: Path, mosquitto: Endpoint, seed: int
) -> None:
    settings = write_settings(tmp_path, endpoint_port=0, broker_port=mosquitto.port)
    with gateway(settings) as started:
        wait_subscribed(tmp_path, mosquitto.port)
        publish_through_crashes(started, mosquitto.port, seed=seed, messages=MESSAGES, crashes=CRASHES)
        wait_until(lambda: is_whole(tmp_path), seconds=20, what="the whole log")
        assert started.stop() == 0
    assert logged(tmp_path) == WHOLE_LOG
