"""How often somebody may ask, by account, token and address; and whose word on an address counts."""

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.errors import IdentityRefused, SettingsError
from cloud.identity.limits import Asker, Limits
from cloud.identity.loads import LimitSettings, Load
from cloud.identity.policy import RULES, load_of, rule_of
from cloud.identity.roles import Role
from cloud.identity.throttle import count_within
from cloud.identity.tokens import Scope
from cloud.proxies import address_behind, networks
from cloud.store import Store
from cloud.web.guard import declared_routes
from tests.cloud.house import METER_ORIGIN, house

Run = Callable[[Any], Any]
ALICE, BOB, HOUSE = (Asker(by=by, who=b"1") for by in ("account", "token", "address"))
ENTRIES = f"/v1/logs/{METER_ORIGIN}/entries"


def test_every_route_has_a_kind_and_the_dear_ones_are_told_apart(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with house(tmp_path) as site:
            kinds: dict[Load, set[str]] = {load: set() for load in Load}
            for method, path in declared_routes(site.app):
                rule = rule_of(method, path)
                assert rule is not None
                kinds[load_of(method, rule)].add(path)
                assert load_of(method, rule) is not Load.READS or method == "GET", path
            printed = "/bills/{door}/{period}/bill.pdf"
            assert kinds[Load.EXPORTS] == {"/v1/exports/{what}.{form}", "/v1/personal.zip", printed}
            assert {path.split("/")[1] for path in kinds[Load.HASHES]} == {"log", "v1", "audit"}
            dear = [path for path in RULES if "evidence" in path[1] or path[1].endswith("bill.json")]
            assert all(path in kinds[Load.COSTLY] for _, path in dear) and len(dear) == 4
            asked_elsewhere = {path for path in kinds[Load.ELSEWHERE] if not path.startswith(("/v1/copies", "/v1/g"))}
            assert asked_elsewhere == {"/healthz", "/readyz", "/metrics", "/v1/logs/{origin:path}", _BATCHES}

    run(scenario())


_BATCHES = "/v1/logs/{origin:path}/entries"


def test_a_bucket_fills_again_and_one_asker_takes_nothing_from_another(run: Run, store: Store) -> None:
    async def scenario() -> None:
        now = [0.0]
        usual = LimitSettings(per_minute={Load.READS: 6, Load.WRITES: 2, Load.EXPORTS: 2}, address_factor=2)
        limits = Limits(usual, store, seconds=lambda: now[0])

        async def count(load: Load, asker: Asker, now_ms: int = 0) -> tuple[int, int | None]:
            """How many pass, and how long the first of the others is to wait."""
            for passed in range(50):
                try:
                    await limits.ask(load, asker, now_ms)
                except IdentityRefused as refused:
                    assert refused.status == 429 and f"wait {refused.retry_after} s" in refused.message
                    return passed, refused.retry_after
            return 50, None

        assert await count(Load.READS, ALICE) == (6, 10)
        assert await count(Load.READS, BOB) == (6, 10)
        assert await count(Load.READS, HOUSE) == (12, 5)
        assert await count(Load.WRITES, ALICE) == (2, 30)
        assert await count(Load.COSTLY, ALICE) == (50, None)
        now[0] = 10.0
        assert await count(Load.READS, ALICE) == (1, 10)
        now[0] = 10_000.0
        assert await count(Load.READS, ALICE) == (6, 10)
        # Exports are counted in the store, for whatever process was asked.
        assert await count(Load.EXPORTS, ALICE) == (2, 60)
        other = Limits(usual, store)
        with pytest.raises(IdentityRefused, match="exports a minute by one account"):
            await other.ask(Load.EXPORTS, ALICE, 30_000)
        assert await count(Load.EXPORTS, ALICE, 60_001) == (2, 60)
        assert limits.refused == {
            ("reads", "account"): 3, ("reads", "token"): 1, ("reads", "address"): 1, ("writes", "account"): 1,
            ("exports", "account"): 2,
        }  # fmt: skip
        await store.close()

    run(scenario())


def test_what_many_processes_count_together_is_counted_once_each(run: Run, store: Store) -> None:
    window_ms = 1_000

    async def count(now_ms: int) -> int:
        async with store.write(None) as connection:
            number, ends_at_ms = await count_within(connection, b"exports", window_ms, now_ms)
        assert ends_at_ms > now_ms
        return number

    async def scenario() -> None:
        await store.migrate()
        assert sorted(await asyncio.gather(*[count(1) for _ in range(30)])) == list(range(1, 31))
        assert await count(window_ms + 1) == 1, "the window is over"
        # Every caller finds the window of the one before over, and takes it away while others count in it.
        assert set(await asyncio.gather(*[count(window_ms * at) for at in range(3, 60)])) <= set(range(1, 60))
        await store.close()

    run(scenario())


def test_a_person_a_program_and_a_stranger_are_counted_apart_and_told_when_to_come_back(
    run: Run, tmp_path: Path
) -> None:
    async def scenario() -> None:
        more = "[limits]\nreads_per_minute = 40\nexports_per_minute = 2\naddress_factor = 1\n"
        async with house(tmp_path, more=more) as site:
            site.cloud.limits._seconds = lambda: 0.0  # no bucket fills while a slow machine asks
            owner = await site.member(Role.OWNER, "b07-0501")
            answers = [await owner.get("/lifts") for _ in range(42)]
            assert {one.status_code for one in answers} == {200, 429}
            assert 1 <= int(answers[-1].headers["retry-after"]) <= 60 and "Wait a minute" in answers[-1].text
            assert (await owner.get("/healthz")).status_code == 200
            neighbour = await site.member(Role.OWNER, "b07-0502")
            assert (await neighbour.get("/lifts")).status_code == 200
            # Made-up tokens do not make somebody new of a stranger: the address is counted.
            stranger = site.browser(peer="2001:db8::1")
            for at in range(42):
                stranger.headers["authorization"] = f"Bearer mlt_{at:043}"
                last = await stranger.get(ENTRIES)
            assert (last.status_code, last.json()["error"]) == (429, "too_fast")
            again = site.browser(peer="2001:db8::ffff:2")  # the same household's network
            assert (await again.get("/v1/status")).status_code == 429
            secret, _ = await site.cloud.tokens.make(None, "a", [Scope.ENTRIES], days=1, now_ms=site.clock.at_ms)
            stranger.headers["authorization"] = f"Bearer {secret}"
            assert (await stranger.get(ENTRIES)).status_code == 200
            exports = [(await neighbour.get("/v1/exports/anchors.csv")).status_code for _ in range(3)]
            assert exports == [200, 200, 429]
            told = (await site.browser(peer="127.0.0.1").get("/metrics")).text
            assert re.search(r'minglou_requests_limited_total{by="account",load="exports",site="localhost"} 1\.0', told)

    run(scenario())


@pytest.mark.parametrize("written", ["reads_per_minute = -1", "address_factor = 0", "reads = 3"])
def test_a_limit_that_is_none_is_refused(run: Run, tmp_path: Path, written: str) -> None:
    async def scenario() -> None:
        with pytest.raises(SettingsError, match=r"\[limits\]"):
            async with house(tmp_path, more=f"[limits]\n{written}\n"):
                pass

    run(scenario())


PROXIES = networks(["10.0.0.0/8", "::1"])


@pytest.mark.parametrize(
    ("peer", "forwarded", "found"),
    [
        ("10.0.0.1", "192.0.2.7", "192.0.2.7"),
        ("10.0.0.1", "203.0.113.9, 192.0.2.7", "192.0.2.7"),  # what the stranger wrote stands to the left
        ("10.0.0.1", "127.0.0.1, 192.0.2.7, 10.0.0.2", "192.0.2.7"),
        ("::1", "2001:db8::7", "2001:db8::7"),
        ("::ffff:10.0.0.1", "192.0.2.7", "192.0.2.7"),
        ("192.0.2.7", "127.0.0.1", "192.0.2.7"),  # a stranger's word
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "192.0.2.7, unknown", "10.0.0.1"),
        ("10.0.0.1", "192.0.2.7,", "10.0.0.1"),
        ("10.0.0.1", "192.0.2.7:80", "10.0.0.1"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", ",".join(["192.0.2.7"] * 40), "10.0.0.1"),
        ("10.0.0.1", "1" * 5_000, "10.0.0.1"),
        ("testclient", "192.0.2.7", "testclient"),
    ],
)
def test_an_address_is_believed_from_a_proxy_of_ours_alone(peer: str, forwarded: str, found: str) -> None:
    assert address_behind(peer, forwarded, PROXIES) == found
    assert address_behind(peer, forwarded, ()) == peer


@settings(max_examples=50)
@given(st.text(max_size=60), st.lists(st.ip_addresses().map(str), max_size=4))
def test_whatever_a_stranger_writes_the_last_address_is_what_our_proxy_saw(garbage: str, more: list[str]) -> None:
    forwarded = ",".join([garbage, *more, "192.0.2.7"])
    assert address_behind("10.0.0.1", forwarded, PROXIES) == "192.0.2.7"


def test_a_forwarded_request_is_counted_by_its_own_address_and_is_never_this_machines(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with house(tmp_path, of_cloud='trusted_proxies = ["10.0.0.0/8"]\n') as site:
            proxy = site.browser(peer="10.0.0.1")

            async def begin(forwarded: str, asking: httpx.AsyncClient = proxy) -> int:
                headers = {"x-forwarded-for": forwarded}
                return (await asking.post("/join/begin", json={"code": "0" * 16}, headers=headers)).status_code

            assert {await begin("203.0.113.1, 192.0.2.7") for _ in range(31)} == {401, 429}
            assert await begin("203.0.113.2, 192.0.2.7") == 429  # another stranger's story, the same address
            assert await begin("192.0.2.8") == 401
            liar = site.browser(peer="192.0.2.99")
            assert {await begin(f"192.0.2.{at}", liar) for at in range(31)} == {401, 429}
            local = site.browser(peer="127.0.0.1")
            assert (await local.get("/metrics")).status_code == 200
            assert (await local.get("/metrics", headers={"x-forwarded-for": "127.0.0.1"})).status_code == 403
            assert (await proxy.get("/metrics", headers={"x-forwarded-for": "127.0.0.1"})).status_code == 403

    run(scenario())


@pytest.mark.parametrize("names", [["10.0.0.0/33"], ["proxy.example"], [7.5]])
def test_a_proxy_that_is_no_address_is_refused(names: list[object]) -> None:
    with pytest.raises(SettingsError, match="trusted_proxies"):
        networks(names)
