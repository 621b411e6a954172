"""Work orders that machines, the clock and people's relayed acts move on a real chain."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import update

from cloud.chain.terms import WORK_TERMS
from cloud.maintenance.acts import ActRefused, RelayedAct
from cloud.maintenance.routes import maintenance_router
from cloud.service import Cloud
from cloud.store import tables
from contracts import p256
from contracts.calls import crews, work_orders
from contracts.entry import Kind, device_id
from contracts.person import Purpose, key_id_of
from contracts.work_order import Cause, State
from tests.cloud.maintenance_site import Upkeep, open_upkeep
from tests.conftest import Endpoint
from tests.visits import ALIASES, LIFT, MECHANIC, OTHER

Run = Callable[[Any], Any]
pytestmark = pytest.mark.usefixtures("agreed")
NORMAL, FAULT = 0, 3
HOUR = 3600


async def relay(upkeep: Upkeep, encoded: bytes) -> RelayedAct:
    return await upkeep.chain.upkeep.acts.take(encoded)


def state_of(upkeep: Upkeep) -> list[State]:
    return [order.state for _name, order, _at in upkeep.view.orders(device_id(LIFT))]


def accepted(upkeep: Upkeep, order: bytes, promise_at: int, round_: int = 0) -> bytes:
    """A mechanic's word that the firm comes."""
    at = upkeep.site.deployment.work_orders
    signature = upkeep.sign_act(MECHANIC, at, Purpose.ACCEPT_WORK, order, promise_at, round_)
    call = work_orders.accept_as_firm(at, order=order, promise_at=promise_at, signature=signature)
    return upkeep.act(call, "WorkOrders", "accept_as_firm")


def finished(upkeep: Upkeep, order: bytes, round_: int = 0) -> bytes:
    """A mechanic's word that it is done."""
    at, evidence = upkeep.site.deployment.work_orders, bytes(31) + b"\x01"
    signature = upkeep.sign_act(MECHANIC, at, Purpose.FINISH_WORK, order, evidence, round_)
    return upkeep.act(
        work_orders.finish(at, order=order, evidence=evidence, signature=signature), "WorkOrders", "finish"
    )


def revoked(upkeep: Upkeep) -> bytes:
    """A mechanic ends the key of a lost telephone."""
    at = upkeep.site.deployment.crews
    key_id = key_id_of(p256.public_bytes(OTHER))
    signature = upkeep.sign_act(OTHER, at, Purpose.REVOKE_KEY, key_id)
    return upkeep.act(crews.revoke_crew_key(at, signature=signature), "Crews", "revoke_crew_key")


def test_a_fault_becomes_an_order_that_its_machine_confirms_after_the_work(
    run: Run, tmp_path: Path, kept: str, anvil: Endpoint
) -> None:
    async def scenario() -> None:
        async with open_upkeep(tmp_path, kept, anvil.url) as upkeep:
            await upkeep.say("lift.mode", NORMAL)
            await upkeep.say("lift.mode", FAULT)
            await upkeep.settle(3)
            assert state_of(upkeep) == []  # it may be over in a moment
            await upkeep.site.pass_seconds(10 * 60)
            await upkeep.settle_until(lambda: state_of(upkeep) == [State.REPORTED])
            ((name, order, _at),) = upkeep.view.orders(device_id(LIFT))
            assert order.seen_at == upkeep.clock.seconds  # when the lift said so
            promise = await upkeep.tell_time() + 2 * HOUR
            assert (await relay(upkeep, accepted(upkeep, name, promise))).state == "pending"
            await upkeep.settle_until(lambda: state_of(upkeep) == [State.ACCEPTED])
            done = finished(upkeep, name)
            await relay(upkeep, done)
            await upkeep.settle_until(lambda: state_of(upkeep) == [State.DONE])
            await upkeep.site.pass_seconds(60)
            await upkeep.say("lift.mode", NORMAL)
            await upkeep.settle_until(lambda: state_of(upkeep) == [State.CONFIRMED])
            await upkeep.settle(2)
            asked = work_orders.order(upkeep.site.deployment.work_orders, order=name)
            answer = await upkeep.site.client.call(asked.to, asked.data)
            assert work_orders.parse_order(answer).state is State.CONFIRMED
            assert (await relay(upkeep, done)).state in ("mined", "final")

    run(scenario())


def test_an_order_that_nobody_accepts_in_time_is_escalated_and_taken_back_once_the_machine_is_well(
    run: Run, tmp_path: Path, kept: str, anvil: Endpoint
) -> None:
    async def scenario() -> None:
        async with open_upkeep(tmp_path, kept, anvil.url) as upkeep:
            await upkeep.say("lift.stopped", 1)
            await upkeep.say("lift.mode", FAULT)
            await upkeep.site.pass_seconds(HOUR)
            await upkeep.settle_until(lambda: state_of(upkeep) == [State.REPORTED])  # one fault, one order
            await upkeep.site.pass_seconds(WORK_TERMS.accept_within + 1)
            await upkeep.settle_until(lambda: upkeep.view.orders(device_id(LIFT))[0][1].escalated == Cause.NOT_ACCEPTED)
            await upkeep.say("lift.mode", NORMAL)
            await upkeep.say("lift.stopped", 0)
            await upkeep.site.pass_seconds(HOUR)
            await upkeep.settle_until(lambda: state_of(upkeep) == [State.WITHDRAWN])

    run(scenario())


def test_a_signed_act_is_relayed_once_and_told_in_its_contracts_words(
    run: Run, tmp_path: Path, kept: str, anvil: Endpoint
) -> None:
    async def scenario() -> None:
        async with open_upkeep(tmp_path, kept, anvil.url) as upkeep:
            cloud = cast(Cloud, SimpleNamespace(chain=SimpleNamespace(upkeep=upkeep.chain.upkeep)))
            app = FastAPI()
            app.include_router(maintenance_router(cloud))
            encoded = revoked(upkeep)
            forged = json.loads(encoded)
            forged["arguments"]["signature"]["nonce"] = "2"
            with pytest.raises(ActRefused, match="crews: person's signature does not match") as refused:
                await relay(upkeep, json.dumps(forged).encode())
            assert (refused.value.status, refused.value.code) == (422, "refused")
            elsewhere = json.loads(encoded)
            elsewhere["contract"]["address"] = "0x" + "ab" * 20
            with pytest.raises(ActRefused, match="this site's is 0x") as refused:
                await relay(upkeep, json.dumps(elsewhere).encode())
            assert refused.value.code == "wrong_place"
            at = upkeep.site.deployment.crews
            other = upkeep.sign_act(OTHER, at, Purpose.ROTATE_KEY, 1, 2, 2, 0)
            rotation = crews.rotate_crew_key(at, x=1, y=2, kind=2, relying_party=0, signature=other)
            with pytest.raises(ActRefused, match="is not relayed here") as refused:
                await relay(upkeep, upkeep.act(rotation, "Crews", "rotate_crew_key"))
            assert refused.value.status == 403
            with pytest.raises(ActRefused, match="send one minglou-act/1"):
                await relay(upkeep, b"{}")
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://cloud") as client:
                queued = await client.post("/v1/relay/act", content=encoded)
                assert queued.status_code == 202 and queued.json()["state"] == "pending"
                refusal = await client.post("/v1/relay/act", content=json.dumps(forged).encode())
                assert refusal.status_code == 422 and refusal.json()["error"] == "refused"
            await upkeep.settle_until(lambda: upkeep.view.crew(ALIASES[OTHER]) is None)
            await upkeep.settle(2)
            assert (await relay(upkeep, encoded)).state in ("mined", "final")
            assert len([key for key in await upkeep.chain.states() if key.startswith("act:")]) == 1

    run(scenario())


def test_a_gateway_whose_clock_ran_ahead_is_heard_again_once_it_is_set_right(
    run: Run, tmp_path: Path, kept: str, anvil: Endpoint
) -> None:
    async def scenario() -> None:
        async with open_upkeep(tmp_path, kept, anvil.url) as upkeep:
            ahead_ms = (await upkeep.tell_time() + 30 * 24 * HOUR) * 1000
            for quantity in ("lift.stopped", "lift.entrapment"):
                upkeep.gateway.log(Kind.STATUS, LIFT, quantity, 1, at_ms=ahead_ms)
                upkeep.gateway.log(Kind.STATUS, LIFT, quantity, -1, at_ms=ahead_ms)  # no value of any machine
            await upkeep.send_log()
            await upkeep.settle(3)
            assert state_of(upkeep) == [], "what is said of the future moves nothing"
            await upkeep.say("lift.entrapment", 1)
            await upkeep.settle_until(lambda: state_of(upkeep) == [State.REPORTED])

    run(scenario())


def test_an_act_that_another_one_overtook_ends_as_refused_and_is_tried_again_when_it_comes_again(
    run: Run, tmp_path: Path, kept: str, anvil: Endpoint
) -> None:
    async def scenario() -> None:
        async with open_upkeep(tmp_path, kept, anvil.url) as upkeep:
            await upkeep.say("lift.entrapment", 1)
            await upkeep.settle_until(lambda: state_of(upkeep) == [State.REPORTED])
            ((name, _order, _at),) = upkeep.view.orders(device_id(LIFT))
            now_s = await upkeep.tell_time()
            first, second = (accepted(upkeep, name, now_s + hours * HOUR) for hours in (2, 3))
            assert (await relay(upkeep, first)).state == "pending"
            async with upkeep.chain.bench.store.write() as connection:  # a node that was behind had refused it
                gone = update(tables.intents).where(tables.intents.c.kind == "act")
                await connection.execute(gone.values(state="final", says="refused: order is in another state"))
            assert [(await relay(upkeep, one)).state for one in (first, second)] == ["pending", "pending"]
            await upkeep.settle_until(lambda: state_of(upkeep) == [State.ACCEPTED])
            await upkeep.settle(6)
            states = {key: state for key, state in (await upkeep.chain.states()).items() if key.startswith("act:")}
            assert not set(states.values()) & {"pending", "sent"}, states
            assert (await relay(upkeep, first)).state in ("mined", "final")
            with pytest.raises(ActRefused, match="work_orders: order is in another state") as refused:
                await relay(upkeep, second)
            assert refused.value.code == "refused"

    run(scenario())


def test_one_act_has_one_name_however_it_is_laid_out_and_a_key_has_few_open(
    run: Run, tmp_path: Path, kept: str, anvil: Endpoint
) -> None:
    async def scenario() -> None:
        async with open_upkeep(tmp_path, kept, anvil.url) as upkeep:
            await upkeep.say("lift.entrapment", 1)
            await upkeep.settle_until(lambda: state_of(upkeep) == [State.REPORTED])
            ((name, _order, _at),) = upkeep.view.orders(device_id(LIFT))
            now_s = await upkeep.tell_time()
            one = accepted(upkeep, name, now_s + HOUR)
            other = dict(reversed(json.loads(one).items()))
            laid_out = [one, json.dumps(other).encode(), json.dumps(other, indent=3).encode()]
            assert len({(await relay(upkeep, each)).digest for each in laid_out}) == 1
            acts = [accepted(upkeep, name, now_s + 2 * HOUR + more) for more in range(12)]
            told = await asyncio.gather(*(relay(upkeep, act) for act in acts), return_exceptions=True)
            refused = [each for each in told if isinstance(each, ActRefused)]
            assert [each.code for each in refused] == ["too_many"] * 3
            assert len([key for key in await upkeep.chain.states() if key.startswith("act:")]) == 10

    run(scenario())
