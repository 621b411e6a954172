"""A world, its pages in process, and one signed-in client per person."""

from collections.abc import Callable

import pytest
from fastapi import FastAPI

from cloud.web.answers import Person
from tests.cloud.web.reader import Reader
from tests.cloud.web.site import build
from tests.cloud.web.world import World

SignIn = Callable[[Person], Reader]


@pytest.fixture(scope="session")
def pages() -> tuple[World, FastAPI]:
    """One application for all tests, for making it and its templates takes longer than most of them."""
    world = World()
    return world, build(world, rpc_url="http://127.0.0.1:8545")


@pytest.fixture
def world(pages: tuple[World, FastAPI]) -> World:
    """The world behind the application, as it was on the first day."""
    held, _app = pages
    vars(held).clear()
    vars(held).update(vars(World()))
    return held


@pytest.fixture
def stranger(world: World, pages: tuple[World, FastAPI]) -> Reader:
    """Somebody who is not signed in."""
    return Reader(pages[1])


@pytest.fixture
def sign_in(world: World, pages: tuple[World, FastAPI]) -> SignIn:
    """Signs somebody in by a one-time link, as the page does."""

    def enter(person: Person) -> Reader:
        client = Reader(pages[1])
        answer = client.post("/signin", json={"token": world.token_of(person)})
        assert answer.status_code == 200, answer.text
        return client

    return enter
