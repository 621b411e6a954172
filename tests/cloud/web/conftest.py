"""A world, its pages in process, and one signed-in client per person."""

from collections.abc import Callable

import pytest

from cloud.web.answers import Person
from tests.cloud.web.reader import Reader
from tests.cloud.web.site import build
from tests.cloud.web.world import World

SignIn = Callable[[Person], Reader]


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def stranger(world: World) -> Reader:
    """Somebody who is not signed in."""
    return Reader(build(world, rpc_url="http://127.0.0.1:8545"))


@pytest.fixture
def sign_in(world: World) -> SignIn:
    """Signs somebody in by a one-time link, as the page does."""

    def enter(person: Person) -> Reader:
        client = Reader(build(world, rpc_url="http://127.0.0.1:8545"))
        answer = client.post("/signin", json={"token": world.token_of(person)})
        assert answer.status_code == 200, answer.text
        return client

    return enter
