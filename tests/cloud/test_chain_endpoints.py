"""Several endpoints: what a quorum says is believed, and whoever says otherwise is named."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from cloud.chain.client import ChainClient
from cloud.chain.endpoint import Endpoint
from cloud.chain.errors import Disagreement, FinalityLost, Unreachable
from cloud.errors import ChainError
from cloud.store import tables
from tests.cloud.test_chain import chain_bench
from tests.conftest import Endpoint as Server
from tests.faults.chain_nodes import Anvil, Node, served

Run = Callable[[Any], Any]


@asynccontextmanager
async def nodes(url: str, faults: Sequence[str]) -> AsyncIterator[tuple[ChainClient, list[Node]]]:
    """A client of as many proxies before one anvil, each with its fault."""
    anvil = Anvil(url)
    faces = [Node(anvil, random.Random(at)) for at in range(len(faults))]
    client = ChainClient([f"http://node-{at}" for at in range(len(faces))])
    for endpoint, face, fault in zip(client.endpoints, faces, faults, strict=True):
        face.set_fault(fault)
        _join(endpoint, face)
    try:
        yield client, faces
    finally:
        await client.close()
        await anvil.close()


def _join(endpoint: Endpoint, face: Node, change: Callable[[dict[str, Any]], dict[str, Any]] | None = None) -> None:
    """Put the node at the endpoint's other end; `change` falsifies its answers."""

    async def exchange(question: bytes, _limit: int) -> bytes:
        answer = await face.exchange(question)
        return answer if change is None else json.dumps(change(json.loads(answer))).encode()

    vars(endpoint)["exchange"] = exchange


def test_one_that_contradicts_the_others_is_outvoted_set_aside_and_named(run: Run, anvil: Server) -> None:
    async def scenario() -> None:
        async with nodes(anvil.url, ["honest", "honest", "honest"]) as (client, faces):
            _join(client.endpoints[0], faces[0], lambda answer: {**answer, "result": "0x1"})
            assert await client.chain_id() == 31337
            assert client.endpoints[0].set_aside is not None and "eth_chainId: 1" in client.endpoints[0].set_aside
            assert (await client.latest()).number >= 0
            assert [one.set_aside for one in client.endpoints[1:]] == [None, None]

    run(scenario())


@pytest.mark.parametrize("fault", ["down", "slow", "cut off", "rubbish", "refuses", "lags", "lies", "old fork"])
def test_the_others_answer_in_place_of_one_that_fails(run: Run, anvil: Server, fault: str) -> None:
    async def scenario() -> None:
        async with nodes(anvil.url, ["honest", fault, "honest"]) as (client, _faces):
            for _ in range(5):
                latest = await client.latest()
                assert (await client.block(latest.number)) == latest
                assert await client.balance("0x" + "ab" * 20, at=latest.number) == 0

    run(scenario())


def test_without_a_majority_nothing_is_believed_and_everybody_is_named(run: Run, anvil: Server) -> None:
    async def scenario() -> None:
        async with nodes(anvil.url, ["honest", "honest", "down"]) as (client, faces):
            _join(client.endpoints[1], faces[0], lambda answer: {**answer, "result": "0x5"})
            with pytest.raises(Disagreement, match=r"node-0: 31337; node-1: 5.*correct or remove the endpoint"):
                await client.chain_id()

    run(scenario())


def test_with_too_few_endpoints_the_reasons_are_told(run: Run, anvil: Server) -> None:
    async def scenario() -> None:
        async with nodes(anvil.url, ["honest", "down", "down"]) as (client, _faces):
            with pytest.raises(Unreachable, match=r"1 endpoints answer and 2 are needed .*node-1.*node-2"):
                await client.latest()

    run(scenario())


@pytest.mark.parametrize(
    "body",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 9999999999\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + b"100000\r\n" + b" " * 0x100000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n" + b"[" * 100_000,
        b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 429 Too Many\r\ncontent-length: 4\r\n\r\nslow",
        b'HTTP/1.1 200 OK\r\ncontent-length: 38\r\n\r\n{"jsonrpc":"2.0","id":77,"result":"x"}',
        b'HTTP/1.1 200 OK\r\ncontent-length: 37\r\n\r\n{"jsonrpc":"2.0","id":1,"result":"q"}',
        b"not HTTP at all",
    ],
    ids=["announced", "endless", "deep", "elsewhere", "limited", "another", "no number", "no HTTP"],
)
def test_a_hostile_answer_is_refused_by_name_and_in_bounds(run: Run, body: bytes) -> None:
    async def scenario() -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            try:
                for _ in range(64 if b"chunked" in body else 1):
                    writer.write(body if b"chunked" not in body or not _ else body.partition(b"\r\n\r\n")[2])
                    await writer.drain()
            except OSError:
                pass
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        client = ChainClient([f"http://secret@127.0.0.1:{address[1]}/key-of-ours"])
        try:
            with pytest.raises(ChainError, match=r"127\.0\.0\.1") as refused:
                await client.chain_id()
            assert "key-of-ours" not in str(refused.value) and "secret" not in str(refused.value)
        finally:
            await client.close()
            server.close()

    run(scenario())


def test_a_chain_of_proof_of_authority_needs_no_setting(run: Run, anvil: Server) -> None:
    async def scenario() -> None:
        async with nodes(anvil.url, ["honest"]) as (client, faces):

            def signed_by_validators(answer: dict[str, Any]) -> dict[str, Any]:
                return {**answer, "result": {**answer["result"], "extraData": "0x" + "ab" * 300}}

            _join(client.endpoints[0], faces[0], signed_by_validators)
            assert (await client.latest()).number >= 0

    run(scenario())


def test_over_http_a_proxy_that_lags_is_waited_for_by_nobody(run: Run, anvil: Server) -> None:
    async def scenario() -> None:
        real = Anvil(anvil.url)
        await real.rpc("anvil_mine", hex(20))
        faces = [Node(real, random.Random(at)) for at in range(3)]
        async with served(faces[0]) as first, served(faces[1]) as second, served(faces[2]) as third:
            client = ChainClient([first, second, third])
            faces[0].set_fault("lags")
            head = int((await real.rpc("eth_getBlockByNumber", "latest", False))["number"], 16)
            assert (await client.latest()).number == head
            assert (client.endpoints[0].head_number or 0) < head
            await client.close()
        await real.close()

    run(scenario())


def test_a_reorganisation_below_finality_stops_everything_and_takes_nothing_back(
    run: Run, tmp_path: Path, anvil: Server
) -> None:
    async def scenario() -> None:
        async with chain_bench(tmp_path / "c.sqlite3", anvil.url) as chain:
            await chain.site.mine(6)
            await chain.follow()
            final, followed = chain.follower.final, chain.follower.followed
            await chain.site.rpc("anvil_reorg", 6, [])
            with pytest.raises(FinalityLost, match=r'was final .* restart with \[chain\] lost_finality = "resend"'):
                await chain.follow()
            async with chain.bench.store.read() as connection:
                cursor = (await connection.execute(select(tables.chain_cursor))).one()
            assert (cursor.final_number, cursor.final_hash) == final
            assert (cursor.followed_number, cursor.followed_hash) == followed

    run(scenario())
