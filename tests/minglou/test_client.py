"""The Python client: it returns what it could verify, and nothing that it could not, whatever the cloud says."""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from contracts.entry import device_id
from contracts.errors import RpcError
from contracts.report import State
from minglou.client import Client, NotProven, Refused, read_trust
from tests.cloud.chain_site import ChainSite
from tests.cloud.month import Month
from tests.cloud.served import ServedCloud, serving
from tests.cloud.test_billing import billing
from tests.conftest import Endpoint
from tests.processes import wait_until

Tamper = Callable[[str, bytes], bytes]


@dataclass(frozen=True, slots=True)
class Told:
    """A cloud with a posted month, its chain node and the trust file of the notice board."""

    cloud: ServedCloud
    month: Month
    node: str
    token: str

    def ask(self, path: str) -> bytes:
        """An answer as it comes."""
        return self.cloud.get(path, token=self.token).content

    def client(self, tamper: Tamper | None = None, *, rpc: bool = True, is_program: bool = True) -> Client:
        transport = None if tamper is None else Liar(tamper)
        trust = read_trust(self.cloud.folder / "trust.json")
        node = self.node if rpc else None
        return Client(
            self.cloud.url, trust=trust, rpc=node, token=self.token if is_program else None, transport=transport
        )


class Liar(httpx.BaseTransport):
    """A cloud whose answers somebody changed on the way."""

    def __init__(self, tamper: Tamper) -> None:
        self._tamper, self._real = tamper, httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = self._real.handle_request(request)
        body = self._tamper(request.url.path, answer.read())
        return httpx.Response(answer.status_code, content=body)

    def close(self) -> None:
        self._real.close()


@contextmanager
def deployed(url: str) -> Iterator[tuple[asyncio.Runner, ChainSite]]:
    with asyncio.Runner() as runner:
        site = runner.run(ChainSite.deploy(url))
        try:
            yield runner, site
        finally:
            runner.run(site.close())


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, anvil: Endpoint) -> Iterator[Told]:
    folder = tmp_path_factory.mktemp("client")
    with deployed(anvil.url) as (runner, site):
        month = runner.run(Month.prepare(site))
        month.log_boundaries()
        runner.run(month.end())
        with serving(folder, site, directory=month.directory()) as cloud:
            wait_until(lambda: cloud.post(month.gateway).status_code == 200, seconds=40, what="the month's entries")
            period = f"{month.opening}..{month.closing}"
            for words in (
                ("draft", "--config", "cloud.toml", "--period", period, "--out", "draft.json"),
                ("post", "--config", "operator.toml", "draft.json"),
            ):
                done = billing(folder, *words)
                assert done.returncode == 0, done.stderr

            def is_anchored() -> bool:
                runner.run(site.mine())
                return bool(cloud.get("/v1/status").json()["anchored_final_size"] > 0)

            wait_until(is_anchored, seconds=40, what="the first anchor")
            yield Told(cloud, month, anvil.url, cloud.program_token)


def test_an_entry_is_verified_up_to_the_chain(told: Told) -> None:
    with told.client() as site:
        entry = site.entry(told.month.gateway.origin, 1)
        assert (entry.value, entry.unit) == (1_000_000, "Wh")
        assert entry.report.state in (State.ANCHORED, State.FINAL)
        assert entry.device != device_id("urn:of:another")
        assert json.loads(entry.file)["format"] == "minglou-evidence/1"


def test_without_a_chain_node_only_signatures_are_believed(told: Told) -> None:
    with told.client(rpc=False) as site:
        assert site.entry(told.month.gateway.origin, 1).report.state is State.LOGGED
        with pytest.raises(NotProven, match="not anchored yet"):
            site.entry(told.month.gateway.origin, 1, at_least=State.ANCHORED)
        with pytest.raises(NotProven, match="was not checked"):
            site.bill(told.month.period, 0)


@pytest.mark.parametrize(("said", "instead"), [(b'"value":"1000000"', b'"value":"1000001"'), (b"freeze", b"freezf")])
def test_a_changed_reading_is_refused(told: Told, said: bytes, instead: bytes) -> None:
    def tamper(_path: str, body: bytes) -> bytes:
        assert said in body
        return body.replace(said, instead)

    with told.client(tamper) as site, pytest.raises(NotProven) as raised:
        site.entry(told.month.gateway.origin, 1)
    assert raised.value.checks and raised.value.checks[0].remedy


def test_another_entrys_sound_evidence_is_no_answer(told: Told) -> None:
    other = told.ask(f"/v1/evidence/{told.month.gateway.origin}/2")
    with told.client(lambda _path, _body: other) as site, pytest.raises(NotProven, match="another one's"):
        site.entry(told.month.gateway.origin, 1)


def test_a_bill_is_verified_against_the_root_on_chain_and_a_changed_one_is_not(told: Told) -> None:
    with told.client() as site:
        bill = site.bill(told.month.period, 0)
        assert bill.amounts.total == sum(line.amount for line in bill.lines)
    neighbours = told.ask(f"/v1/bills/{told.month.period}/units/1")
    with told.client(lambda _path, _body: neighbours) as site, pytest.raises(NotProven, match="another one"):
        site.bill(told.month.period, 0)
    amount = f'"amount":"{bill.lines[0].amount}"'.encode()

    def cheaper(_path: str, body: bytes) -> bytes:
        assert amount in body
        return body.replace(amount, b'"amount":"1"')

    with told.client(cheaper) as site, pytest.raises(NotProven):
        site.bill(told.month.period, 0)


def test_the_super_log_is_followed_and_a_rewritten_one_is_not(told: Told) -> None:
    with told.client() as site:
        head = site.head()
        assert site.grown_from(head.checkpoint).checkpoint.size >= head.checkpoint.size
        rewritten = replace(head.checkpoint, root=bytes(32))
        with pytest.raises(NotProven, match="does not continue"):
            site.grown_from(rewritten)
        longer = replace(head.checkpoint, size=head.checkpoint.size + 100)
        with pytest.raises(NotProven, match="does not continue"):
            site.grown_from(longer)

    def unsigned(path: str, body: bytes) -> bytes:
        return body.replace(b"\n1\n", b"\n2\n") if path == "/log/checkpoint" else body

    with told.client(unsigned) as site, pytest.raises(NotProven):
        site.head()


def test_refusals_and_silence_are_told_apart_from_lies(told: Told) -> None:
    with told.client(is_program=False) as site:
        with pytest.raises(Refused, match="token") as refused:
            site.entry(told.month.gateway.origin, 1)
        assert refused.value.code == "not_public"
        assert b"".join(site.export("anchors", "csv")).startswith(b"super_log_size,")
    trust = read_trust(told.cloud.folder / "trust.json")
    with Client("http://127.0.0.1:9", trust=trust) as nobody, pytest.raises(Refused) as silent:
        nobody.head()
    assert silent.value.code == "unreachable"
    with pytest.raises(RpcError):
        Client(told.cloud.url, trust=trust, rpc="ftp://node")


def test_the_example_of_the_readme_runs(told: Told, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from tests.house.tree import text_of

    text = text_of(Path("README.md")) or ""
    (example,) = [part for part in text.split("```python\n")[1:] if "minglou.client" in part]
    code = example.partition("```")[0]
    for said, real in {
        "https://cuiyuan.example": told.cloud.url,
        "http://127.0.0.1:8545": told.node,
        "cuiyuan.example/cuiyuan/b07/e0": told.month.gateway.origin,
        "2026110120261201": str(told.month.period),
        'token="…"': f'token="{told.token}"',
    }.items():
        assert said in code
        code = code.replace(said, real)
    monkeypatch.chdir(told.cloud.folder)
    names: dict[str, Any] = {}
    exec(compile(code, "README.md", "exec"), names)
    assert names["entry"].value == 1_000_000 and names["bill"].amounts.total > 0
