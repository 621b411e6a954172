"""One development chain for all contract tests; each test starts from the same enrolled site."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.contracts.vyper.chain import Chain, Reverted
from tests.contracts.vyper.site import START, Site
from tests.processes import free_port, is_listening, program, running


@pytest.fixture(scope="session")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    port = free_port()
    command: list[str | Path] = [
        program("anvil"),
        "--port",
        str(port),
        "--silent",
        "--hardfork",
        "osaka",
        "--chain-id",
        "31337",
    ]
    command += ["--timestamp", str(START), "--accounts", "12"]
    directory = tmp_path_factory.mktemp("anvil")
    with running(command, name="anvil", output_dir=directory, ready=lambda: is_listening(port)):
        connection = Chain(f"http://127.0.0.1:{port}")
        yield connection
        connection.close()


@pytest.fixture(scope="session")
def enrolled(chain: Chain) -> Site:
    """The site after its set-up; tests use `site`, which puts it back."""
    site = Site(chain)
    site.set_up()
    return site


@pytest.fixture
def site(enrolled: Site) -> Iterator[Site]:
    """The enrolled site; everything that a test does is undone after it."""
    with undone(enrolled):
        yield enrolled


@contextmanager
def undone(site: Site) -> Iterator[None]:
    snapshot = site.chain.snapshot()
    log, neighbour, heads = site.log, site.neighbour, dict(site.heads)
    site.log = type(log)(log.origin, log.key)
    site.neighbour = type(neighbour)(neighbour.origin, neighbour.key)
    try:
        yield
    finally:
        site.log, site.neighbour, site.heads = log, neighbour, heads
        site.chain.revert_to(snapshot)


@contextmanager
def refused(reason: str) -> Iterator[None]:
    """The contract must refuse, with exactly this text."""
    with pytest.raises(Reverted) as caught:
        yield
    assert caught.value.reason == reason
