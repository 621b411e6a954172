"""A line by readings between boundaries is computed again by a program that believes nothing it is told."""

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import minglou
from contracts.bill import LineKind
from contracts.entry import Kind
from contracts.tariff import Component, Counting, Season, Terms, Window
from minglou.client import NotProven, Refused
from tests.cloud.chain_site import ChainSite
from tests.cloud.month import REGISTER, REGISTERS, UTC_OFFSET, Month, urn
from tests.cloud.served import ServedCloud, serving
from tests.cloud.test_billing import billing
from tests.cloud.web.interval_line import TOKENS, PostedLine, recomputes_in_the_browser
from tests.conftest import Endpoint
from tests.minglou.test_client import Told, deployed
from tests.processes import wait_until

RATES = ("1-0:1.8.1", "1-0:1.8.2")
BY_TIME = Terms(
    quantity=REGISTER,
    registers=RATES,
    counting=Counting.PERIOD,
    seasons=(
        Season(
            components=(
                Component(name="day", price=56_800_000, registers=1),
                Component(name="night", price=28_800_000, registers=2),
                Component(name="above", price=5_000_000, tiers=2),
            ),
            bounds=(150_000,),
            windows=(Window(0, 480, 1320), Window(1, 1320, 480)),
        ),
    ),
)


def log_readings(month: Month) -> int:
    """The first flat's readings at each change of price but one; what it used by day."""
    opening, closing = REGISTERS[0]
    days = (month.closing - month.opening).days
    value, by_day = opening, 0
    for day in range(days):
        midnight = datetime(month.opening.year, month.opening.month, 1, tzinfo=UTC) - UTC_OFFSET + timedelta(days=day)
        for hour, used in ((8, 1_000), (22, 4_000)):
            value += used
            by_day += used if hour == 22 else 0
            if (day, hour) != (4, 8):
                at_ms = int((midnight + timedelta(hours=hour, seconds=2)).timestamp() * 1000)
                month.gateway.log(Kind.READING, urn(0), REGISTER, value, detail={"source": "poll"}, at_ms=at_ms)
    assert value <= closing
    return by_day


@contextmanager
def posted(
    folder: Path, site: ChainSite, month: Month, *, tokens: dict[str, bytes] | None = None
) -> Iterator[ServedCloud]:
    with serving(folder, site, directory=month.directory(tokens)) as cloud:
        wait_until(lambda: cloud.post(month.gateway).status_code == 200, seconds=60, what="the month's entries")
        for words in (
            ("draft", "--config", "cloud.toml", "--period", f"{month.opening}..{month.closing}", "--out", "draft.json"),
            ("post", "--config", "operator.toml", "draft.json"),
        ):
            done = billing(folder, *words)
            assert done.returncode == 0, done.stderr
        yield cloud


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_an_owners_program_and_an_owners_browser_compute_a_line_by_readings_again_from_verified_entries(
    tmp_path: Path, anvil: Endpoint, chromium: Path
) -> None:
    with deployed(anvil.url) as (runner, site):
        month = runner.run(Month.prepare(site, BY_TIME))
        month.log_boundaries()
        by_day = log_readings(month)
        runner.run(month.end())
        with posted(tmp_path, site, month, tokens=TOKENS) as cloud:

            def is_anchored() -> bool:
                runner.run(site.mine())
                return bool(cloud.get("/v1/status").json()["anchored_final_size"] > 0)

            wait_until(is_anchored, seconds=60, what="the first anchor")
            told = Told(cloud, month, anvil.url, cloud.program_token)
            with told.client() as owner:
                bill = owner.bill(month.period, 0)
                assert [line.kind for line in bill.lines] == [LineKind.INTERVAL, LineKind.SHARED]
                found = owner.time_of_use(bill, 0)
                whole = REGISTERS[0][1] - REGISTERS[0][0]
                assert sum(found.used.values()) == bill.lines[0].usage == whole
                # Of the 5,000 Wh around the morning that nobody read, ten hours' part in place of 1,000.
                assert found.used[RATES[0]] == by_day - (5_000 * 10 // 24 - 1_000)
                assert (found.bridged, found.amount, found.zone) == (1, bill.lines[0].amount, "Asia/Shanghai")
                with pytest.raises(Refused, match="not by readings"):
                    owner.time_of_use(bill, 1)
            assert_lies_are_found(told)
            paper = recomputes_in_the_browser(PostedLine(f"http://localhost:{cloud.port}", month.period), chromium)
            assert_paper_is_verified(cloud, paper, anvil.url)


def assert_paper_is_verified(cloud: ServedCloud, paper: bytes, rpc: str) -> None:
    """The first flat's bill as PDF, by the command line and the chain."""
    pdf = cloud.folder / "bill.pdf"
    pdf.write_bytes(paper)
    words = ["verify", str(pdf), "--trust", str(cloud.folder / "trust.json"), "--rpc", rpc, "--json"]
    with redirect_stdout(io.StringIO()) as said:
        assert minglou.main(words) == 0, said.getvalue()
    told = json.loads(said.getvalue())
    outcomes = {one["name"]: one["outcome"] for one in told["checks"]}
    assert told["state"] == "posted"
    assert "failed" not in outcomes.values()
    named = ("bill.period", "bill.terms", "papers.papers", "reading0.anchor", "reading0.assignment", "line1.readings")
    assert {name: outcomes[name] for name in named} == dict.fromkeys(named, "passed")
    assert outcomes["line0.readings"] == "not_checked", "its readings between boundaries are too many for the file"


def assert_lies_are_found(told: Told) -> None:
    """A cloud that names fewer entries, or another zone."""

    def fewer(path: str, body: bytes) -> bytes:
        if not path.endswith("/derivations"):
            return body
        answer = json.loads(body)
        answer["lines"][0]["derivation"]["intervals"][0]["points"] = []
        return json.dumps(answer).encode()

    def elsewhere(path: str, body: bytes) -> bytes:
        return body.replace(b"Asia/Shanghai", b"Europe/Berlin") if path.endswith("/derivations") else body

    for lie, says in ((fewer, "its entries give"), (elsewhere, "are not those that the chain names")):
        with told.client(lie) as owner:
            bill = owner.bill(told.month.period, 0)
            with pytest.raises(NotProven, match=says):
                owner.time_of_use(bill, 0)
