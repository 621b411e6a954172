"""The log's side of witnessing: who cosigns, who does not and why, and what is anchored meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from cloud.chain.anchoring import Anchoring
from cloud.chain.view import ChainView
from cloud.cosigners import Cosigner, Cosigners, check_same_policy, policy_of
from cloud.errors import SettingsError
from cloud.settings import load_settings
from cloud.standing import read_standing
from cloud.store import tables
from cloud.witness import open_witness
from cloud.witness.app import build_witness_app
from cloud.witnessing import WitnessClient
from contracts.clock import SystemClock
from contracts.note import COSIGNATURE_V1, ED25519, VerifierKey, encode_base64, format_vkey, parse_vkey
from contracts.superlog import open_superlog, verify_cosignatures
from contracts.trust import Trust
from tests.cloud.conftest import SUPER_ORIGIN, Bench, open_bench
from tests.cloud.gateway import SimulatedGateway
from tests.cloud.test_tiles import grow
from tests.cloud.test_witness import settings_in
from tests.vectors.deployment import TRUST

Run = Callable[[Any], Any]
NAMES = ("committee.example/w", "owner.example/w", "regulator.example/w")

Answer = Callable[[httpx.Request], Awaitable[httpx.Response]]


@dataclass
class Wire(httpx.AsyncBaseTransport):
    """The way to one witness: the real one, or whatever a test puts between."""

    real: httpx.ASGITransport
    instead: Answer | None = None
    asked: list[bytes] = field(default_factory=list)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(await request.aread())
        return await (self.instead or self.real.handle_async_request)(request)


@dataclass
class Witnessed:
    """A growing super-log with three real witnesses, two of whom must cosign."""

    bench: Bench
    cosigners: Cosigners
    wires: list[Wire]
    clients: list[WitnessClient]
    seconds: list[float]
    gateway: SimulatedGateway

    async def grow(self, batches: int = 1) -> None:
        await grow(self.bench, self.gateway, batches)
        await self.bench.super_log.sign_head(self.bench.store, now_ms=1)

    async def ask(self) -> list[bool]:
        self.seconds[0] += 100
        return [await client.step() for client in self.clients]

    async def says(self, number: int) -> str:
        return (await read_standing(self.bench.store, self.cosigners)).each[number].says

    def client(self, number: int) -> WitnessClient:
        """The worker of one witness as a fresh start makes it."""
        return WitnessClient(
            store=self.bench.store, super_log=self.bench.super_log, cosigner=self.cosigners.each[number],
            clock=SystemClock(), retry_seconds=5, timeout_seconds=5, transport=self.wires[number],
            monotonic=lambda: self.seconds[0],
        )  # fmt: skip


@asynccontextmanager
async def witnessed(place: Path | str, folder: Path) -> AsyncIterator[Witnessed]:
    async with open_bench(place) as bench:
        log = VerifierKey(name=SUPER_ORIGIN, signature_type=ED25519, public=bench.super_log.public)
        each, wires = [], []
        for name in NAMES:
            witness = open_witness(settings_in(folder / name.partition(".")[0], name=name, logs=(log,)))
            wires.append(Wire(httpx.ASGITransport(build_witness_app(witness, requests_per_second=1e6))))
            each.append(Cosigner(key=parse_vkey(witness.vkey, signature_type=COSIGNATURE_V1), url="http://w.example"))
        gateway = SimulatedGateway()
        bench.keys.enrol(gateway)
        made = Witnessed(bench, Cosigners(quorum=2, each=tuple(each)), wires, [], [0.0], gateway)
        made.clients.extend(made.client(number) for number in range(3))
        yield made


def test_every_head_is_cosigned_as_the_log_grows_and_the_note_carries_it(
    run: Run, store_url: str, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with witnessed(store_url, tmp_path) as log:
            assert await log.ask() == [False] * 3, "nothing is signed yet"
            for batches in (1, 4, 13):
                await log.grow(batches)
                assert await log.ask() == [True] * 3
                assert await log.ask() == [False] * 3, "once is enough"
                head = await log.bench.super_log.latest(log.bench.store)
                assert head is not None
                assert open_superlog(head.note, SUPER_ORIGIN, log.bench.super_log.public).size == head.size
                assert len(verify_cosignatures(head.note, log.cosigners.policy)) == 3
            standing = await read_standing(log.bench.store, log.cosigners)
            assert (standing.size, standing.cosigned, standing.has_quorum, standing.waiting) == (18, 3, True, "")
            assert all(len(wire.asked) == 3 for wire in log.wires), "the size cosigned last was known each time"
            older = await log.bench.super_log.signed(log.bench.store, 5)
            assert older is not None and len(verify_cosignatures(older.note, log.cosigners.policy)) == 3

    run(scenario())


def test_a_409_is_followed_and_an_older_database_is_noticed(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with witnessed(tmp_path / "cloud.sqlite3", tmp_path) as log:
            await log.grow(6)
            await log.ask()
            await log.grow(3)
            forgetful = log.client(0)
            forgetful._known = 0
            assert await forgetful.step()
            assert [body.split(b"\n")[0] for body in log.wires[0].asked[-2:]] == [b"old 0", b"old 6"]
            # The witness is ahead: this database was brought back from an older copy.
            async with log.bench.store.write() as connection:
                await connection.exec_driver_sql("DELETE FROM super_notes WHERE size = 9")
                await connection.exec_driver_sql("DELETE FROM super_cosignatures WHERE size = 9")
            assert not await log.client(0).step() and "cannot" not in await log.says(0)
            restored = log.client(0)
            restored._known = 0
            assert not await restored.step()
            assert "has cosigned size 9 already" in await log.says(0)
            assert any("older copy" in notice for notice in await log.bench.store.latest_notices(5))

    run(scenario())


def test_bad_answers_hold_up_nobody_and_say_what_to_do(run: Run, tmp_path: Path) -> None:
    def answer(status: int, content: bytes = b"") -> Answer:
        async def give(_request: httpx.Request) -> httpx.Response:
            return httpx.Response(status, content=content)

        return give

    async def dead(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("connection refused", request=request)

    async def silent(_request: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    async def scenario() -> None:
        async with witnessed(tmp_path / "cloud.sqlite3", tmp_path) as log:
            await log.grow(3)

            async def other_signs(request: httpx.Request) -> httpx.Response:
                return await log.wires[1].real.handle_async_request(request)

            forged = f"— {NAMES[0]} ".encode() + b"%s\n"
            key = log.cosigners.each[0].key
            forged %= encode_base64(key.id + (1).to_bytes(8) + bytes(64)).encode()
            for instead, says in (
                (dead, "ask its keeper whether it runs"),
                (silent, "did not answer within 0.2 s"),
                (answer(404), "does not watch this super-log"),
                (answer(403, b"no\n"), "knows another key"),
                (answer(422, b"root differs\n"), "proof of a fork"),
                (answer(500, b"<html>\x00" * 9), "answered 500"),
                (answer(301), "answered 301"),
                (answer(409, b"x\n"), "409 without the size"),
                (answer(409, b"2\n"), "answered 409"),
                (answer(409, b"9" * 400), "409 without the size"),
                (answer(200), "does not verify"),
                (answer(200, b"\xff"), "no text"),
                (answer(200, b"x" * 20_000), "over 16384 bytes"),
                (answer(200, forged), "does not verify"),
                (other_signs, "answered without a cosignature"),
            ):
                log.wires[0].instead = instead
                log.clients[0]._timeout_seconds = 0.2 if instead is silent else 20
                assert await log.ask() == [False, *[instead is dead] * 2], says
                assert says in await log.says(0), says
                assert not await log.clients[0].step(), "it waits before it asks again"
            standing = await read_standing(log.bench.store, log.cosigners)
            assert standing.has_quorum and [one.has_cosigned for one in standing.each] == [False, True, True]
            log.wires[0].instead = None
            assert (await log.ask())[0] and await log.says(0) == ""

    run(scenario())


def test_without_enough_witnesses_the_standing_says_why_and_who(run: Run, tmp_path: Path) -> None:
    async def dead(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("connection refused", request=request)

    async def scenario() -> None:
        async with witnessed(tmp_path / "cloud.sqlite3", tmp_path) as log:
            await log.grow(2)
            for wire in log.wires[1:]:
                wire.instead = dead
            assert await log.ask() == [True, False, False]
            waiting = (await read_standing(log.bench.store, log.cosigners)).waiting
            assert waiting.startswith("anchoring waits: 1 of the 2 cosignatures needed of 3 witnesses for checkpoint 2")
            assert "committee" not in waiting and waiting.count("ask its keeper whether it runs") == 2
            log.wires[2].instead = None
            assert (await log.ask())[2]
            assert (await read_standing(log.bench.store, log.cosigners)).waiting == ""

    run(scenario())


def test_nothing_is_anchored_before_enough_have_cosigned_and_the_head_stays_meanwhile(
    run: Run, store_url: str, tmp_path: Path
) -> None:
    async def dead(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("connection refused", request=request)

    async def wishes(log: Witnessed) -> list[str]:
        async with log.bench.store.read() as connection:
            return sorted((await connection.execute(select(tables.intents.c.business_key))).scalars())

    async def scenario() -> None:
        async with witnessed(store_url, tmp_path) as log:
            anchoring = Anchoring(
                store=log.bench.store, super_log=log.bench.super_log, view=ChainView(31337), clock=SystemClock(),
                interval_seconds=0, accept_seconds=None, cosigners=log.cosigners,
            )  # fmt: skip
            log.wires[1].instead = log.wires[2].instead = dead
            await grow(log.bench, log.gateway, 3)
            assert not await anchoring.step() and await log.ask() == [True, False, False]
            await grow(log.bench, log.gateway, 4)
            assert not await anchoring.step() and await log.ask() == [False] * 3
            standing = await read_standing(log.bench.store, log.cosigners)
            assert standing.size == 3, "the head waits, so that slow witnesses meet at the same one"
            assert "anchoring waits: 1 of the 2" in standing.waiting and await wishes(log) == []
            log.wires[2].instead = None
            assert await log.ask() == [False, False, True]
            assert await anchoring.step() and await wishes(log) == ["anchor:3"]

    run(scenario())


SETTINGS = '[cloud]\nlisten = "127.0.0.1:1"\ndata_dir = "d"\n[super_log]\norigin = "demo.minglou.example/log"\n'
VKEYS = [
    format_vkey(VerifierKey(name=name, signature_type=COSIGNATURE_V1, public=bytes(31) + bytes([at])))
    for at, name in enumerate(NAMES)
]


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (f'[[witness]]\nvkey = "{VKEYS[0]}"\nurl = "https://w"\n', "lacks witness_quorum"),
        (f'witness_quorum = 2\n[[witness]]\nvkey = "{VKEYS[0]}"\nurl = "https://w"\n', "can never be met"),
        (f'witness_quorum = 1\n[[witness]]\nvkey = "{VKEYS[0]}"\nurl = "ftp://w"\n', "must begin with https"),
        (f'witness_quorum = 1\n[[witness]]\nvkey = "{VKEYS[0][:-2]}"\nurl = "https://w"\n', "minglou witness vkey"),
        ("witness_quorum = 1\n" + f'[[witness]]\nvkey = "{VKEYS[0]}"\nurl = "https://w"\n' * 2, "share one key"),
        (f'witness_quorum = 1\n[[witness]]\nvkey = "{VKEYS[0]}"\nurl = "https://w"\nx = 1\n', "unknown keys x"),
    ],
)
def test_a_policy_that_cannot_work_is_refused_with_its_remedy(tmp_path: Path, more: str, says: str) -> None:
    (tmp_path / "cloud.toml").write_text(SETTINGS + more)
    with pytest.raises(SettingsError, match=says):
        load_settings(tmp_path / "cloud.toml")


def test_settings_and_trust_file_must_ask_for_the_same(tmp_path: Path) -> None:
    each = "".join(f'[[witness]]\nvkey = "{vkey}"\nurl = "https://w/"\n' for vkey in VKEYS)
    (tmp_path / "cloud.toml").write_text(SETTINGS + "witness_quorum = 2\n" + each)
    cosigners = load_settings(tmp_path / "cloud.toml").cosigners
    assert (cosigners.quorum, [one.url for one in cosigners.each]) == (2, ["https://w"] * 3)
    check_same_policy(cosigners, trust_with(quorum=2, vkeys=VKEYS[::-1]))
    for quorum, vkeys in ((1, VKEYS), (2, VKEYS[:2]), (0, [])):
        with pytest.raises(SettingsError, match=r"make .*witness.* and trust.json say the same"):
            check_same_policy(cosigners, trust_with(quorum=quorum, vkeys=vkeys))
    with pytest.raises(SettingsError, match="can never be met"):
        policy_of(VKEYS[:1] * 2, 2)


def trust_with(*, quorum: int, vkeys: list[str]) -> Trust:
    return replace(TRUST, witness_policy=policy_of(vkeys, quorum))


def test_a_witness_that_words_each_refusal_anew_does_not_fill_the_notices(
    run: Run, store_url: str, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with witnessed(store_url, tmp_path) as log:
            words = iter(range(1_000))

            async def anew(_request: httpx.Request) -> httpx.Response:
                return httpx.Response(422, text=f"no. {next(words)}")

            log.wires[0].instead = anew
            await log.grow()
            for _ in range(30):  # 100 s apart
                await log.ask()
            assert "(no. 29)" in await log.says(0), "its newest words are shown"
            notices = [one for one in await log.bench.store.latest_notices(50) if "history does not extend" in one]
            assert len(notices) == 1
            log.seconds[0] += 3_600
            await log.ask()
            notices = [one for one in await log.bench.store.latest_notices(50) if "history does not extend" in one]
            assert len(notices) == 2, "once an hour it may say more"

    run(scenario())
