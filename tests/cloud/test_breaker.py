"""What stops sending is told to people once it lasts, and its end too."""

import asyncio

from cloud.chain.breaker import Breaker, Cause, cause_of
from cloud.chain.errors import CallReverted, Disagreement, FinalityLost, Unreachable


def test_a_short_trouble_is_no_news_and_a_long_one_is_told_once_and_its_end() -> None:
    told: list[str] = []
    seconds = [0.0]

    async def tell(says: str) -> None:
        told.append(says)

    async def scenario() -> None:
        breaker = Breaker(tell, patience_seconds=15, monotonic=lambda: seconds[0])
        await breaker.trouble(Cause.UNREACHABLE, "start the node")
        await breaker.gone(Cause.UNREACHABLE)
        assert told == [] and breaker.open == {}
        for at in (20.0, 30.0, 40.0):
            seconds[0] = at
            await breaker.trouble(Cause.UNREACHABLE, "start the node")
        assert told == ["sending has stopped (unreachable): start the node"]
        assert breaker.open == {"unreachable": "start the node"}
        await breaker.gone(Cause.UNREACHABLE)
        assert told[1:] == ["sending goes on: unreachable is over"] and breaker.open == {}

    asyncio.run(scenario())


def test_a_cause_that_two_have_met_is_over_when_both_found_it_gone() -> None:
    told: list[str] = []

    async def tell(says: str) -> None:
        told.append(says)

    async def scenario() -> None:
        breaker = Breaker(tell)
        for who in ("follower", "sender"):
            await breaker.trouble(Cause.DISAGREEMENT, "remove the wrong one", who=who, at_once=True)
        await breaker.gone(Cause.DISAGREEMENT, who="sender")
        assert len(told) == 1 and breaker.open
        await breaker.gone(Cause.DISAGREEMENT, who="follower")
        assert len(told) == 2 and not breaker.open

    asyncio.run(scenario())


def test_errors_name_their_causes() -> None:
    assert [cause_of(kind("")) for kind in (Unreachable, Disagreement, FinalityLost, CallReverted)] == [
        Cause.UNREACHABLE,
        Cause.DISAGREEMENT,
        Cause.FINALITY,
        None,
    ]
