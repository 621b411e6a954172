"""Several sites in one process: who is asked, who is told apart, and who goes on when another does not."""

import asyncio
import json
import os
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Receive, Scope, Send

from cloud.errors import SettingsError
from cloud.proxies import FORWARDING
from cloud.settings import load_settings
from cloud.sites import SiteFiles
from cloud.sites.dispatch import Dispatch
from cloud.sites.shares import Shares
from tests.cloud.gateway import SimulatedGateway
from tests.cloud.served import minglou
from tests.cloud.tenants import Tenant, serving_sites
from tests.cloud.test_operations import figures_of
from tests.postgres import PostgresServer
from tests.processes import free_port, is_listening, running, wait_until

Run = Callable[[Any], Any]


def tenants(folder: Path, *names: str, port: int = 8600, **more: Any) -> list[Tenant]:
    """Sites without a chain, their files written."""
    made = []
    for number, name in enumerate(names, 1):
        site = Tenant(f"{name}.localhost", folder / name, port, number, SimulatedGateway(seed=number), **more)
        site.write()
        made.append(site)
    return made


def hangs_up(program: Any) -> None:
    """Ask the process to read its settings again."""
    os.kill(program.pid, signal.SIGHUP)


def status_of(site: Tenant) -> int:
    return site.ask("GET", "/v1/status").status_code


def monitored(site: Tenant) -> dict[str, float]:
    """Figures of all sites, as a monitor on this machine gets them."""
    return figures_of(site.ask("GET", "/metrics", host="localhost").text)


def said_of(site: Tenant) -> str:
    """What this machine is told of how the site does."""
    return json.dumps(site.ask("GET", "/readyz", host="localhost").json()["each"][site.host])


def test_a_request_goes_to_the_site_whose_host_it_names(tmp_path: Path) -> None:
    port = free_port()
    one, other = tenants(tmp_path, "a", "b", port=port)
    with serving_sites(tmp_path, one, other) as program:
        wait_until(lambda: status_of(one) == status_of(other) == 200, seconds=20, what="both sites")
        tokens = {site.host: site.program_token() for site in (one, other)}
        for site in (one, other):
            for host in (site.host, f"{site.host}:{port}", site.host.upper(), f"{site.host}.:1"):
                assert site.ask("GET", "/v1/status", host=host).status_code == 200
                figures = site.ask("GET", "/metrics", host=host, bearer=tokens[site.host])
                assert f'minglou_entries{{site="{site.host}"}}' in figures.text
        for host in ("c.localhost", "a.localhost.evil.example", "xa.localhost", "127.0.0.1"):
            refused = one.ask("GET", "/v1/status", host=host)
            assert (refused.status_code, refused.json()["error"]) == (421, "unknown_site"), host
            assert "[cloud] hosts" in refused.json()["message"] and other.host not in refused.text
        # What probes and monitors are told of all sites together; their names on this machine alone.
        together = one.ask("GET", "/readyz", host="localhost")
        assert together.status_code == 200 and set(together.json()["each"]) == {one.host, other.host}
        elsewhere = one.ask("GET", "/readyz", host="10.0.0.7").json()
        assert elsewhere == {"ready": True, "sites": 2, "sites_ready": 2}
        figures = monitored(one)
        assert {f"minglou_entries,site={site.host}" for site in (one, other)} <= set(figures)
        assert one.ask("GET", "/metrics", host="10.0.0.7").status_code == 403
        for header in FORWARDING:
            by_proxy = [(header, "203.0.113.7")]
            assert one.ask("GET", "/metrics", host="localhost", headers=by_proxy).status_code == 403, header
            told = one.ask("GET", "/readyz", host="localhost", headers=by_proxy).json()
            assert not {"each", "wrong"} & set(told), header
        of_one = one.ask("GET", "/metrics", bearer=tokens[one.host]).text
        assert f'site="{one.host}"' in of_one and other.host not in of_one
        assert program.stop() == 0, program.said()


def test_a_hang_up_while_sites_are_being_opened_is_heard_afterwards(tmp_path: Path) -> None:
    one, other = tenants(tmp_path, "a", "b", port=free_port())
    other.config.write_text("[cloud")

    def is_opening() -> bool:
        return "b.toml is not TOML" in log.read_text()

    log = tmp_path / "cloud.log"
    command = [minglou(), "cloud", "serve", "--sites", one.config.parent]
    with running(command, name="cloud", output_dir=tmp_path, ready=is_opening, seconds=40) as program:
        other.write()
        hangs_up(program)
        wait_until(lambda: is_listening(one.port), seconds=40, what="the server")
        wait_until(lambda: status_of(one) == status_of(other) == 200, seconds=40, what="both sites")
        assert program.stop() == 0, program.said()
        for site in (one, other):
            site.client.close()


def test_sites_come_go_and_fail_while_the_others_go_on(tmp_path: Path) -> None:
    port = free_port()
    one, other, third = tenants(tmp_path, "a", "b", "c", port=port)
    third.config.unlink()
    other.config.write_text(other.settings_text().replace("[mail]", "[male]"))
    with serving_sites(tmp_path, one, other, third) as program:
        assert status_of(one) == 200 and status_of(other) == 421
        assert "b.toml: unknown tables male" in program.said()
        wrong = one.ask("GET", "/readyz", host="localhost").json()["wrong"]
        assert list(wrong) == [str(other.config)] and "unknown tables male" in wrong[str(other.config)]
        assert monitored(one)["minglou_site_files_wrong"] == 1
        other.write()
        third.write()
        hangs_up(program)
        wait_until(lambda: status_of(other) == status_of(third) == 200, seconds=30, what="two more sites")
        # A mistake in the new text does not end what runs by the old one, nor the reading of what comes after it.
        for mistake, says in ((b"# \xff", "b.toml is not TOML, which is UTF-8"), (b"[cloud", "b.toml is not TOML: ")):
            other.config.write_bytes(mistake)
            hangs_up(program)
            wait_until(lambda at=says: at in program.said(), seconds=30, what="the mistake to be said")  # type: ignore[misc]
            assert status_of(one) == status_of(other) == 200
        # A trust file that cannot be read keeps one site from being opened, until it can.
        (one.folder / "trust.json").write_text("{}")
        trust_file = f'[cloud]\ntrust_file = "{one.folder}/trust.json"\n'
        one.config.write_text(one.settings_text().replace("[cloud]\n", trust_file))
        third.config.unlink()
        hangs_up(program)
        wait_until(lambda: (status_of(one), status_of(third)) == (503, 421), seconds=30, what="one ill, one gone")
        reason = lambda: one.ask("GET", "/readyz", host="localhost").text  # noqa: E731
        wait_until(lambda: "trust file" in reason(), seconds=30, what="why one is ill")
        assert one.ask("GET", "/healthz").status_code == 200, "the process is well"
        assert one.ask("GET", "/readyz").status_code == 503 and str(tmp_path) not in one.ask("GET", "/readyz").text
        assert status_of(other) == 200
        told = one.ask("GET", "/readyz", host="localhost").json()
        assert told["sites_ready"] == 1 and "trust file" in json.dumps(told["each"][one.host])
        figures = monitored(other)
        assert figures[f"minglou_site_up,site={one.host}"] == 0 and figures[f"minglou_site_up,site={other.host}"] == 1
        assert f"minglou_site_up,site={third.host}" not in figures, "nobody waits for a site that was taken away"
        one.write()
        other.write()
        hangs_up(program)
        wait_until(lambda: status_of(one) == 200, seconds=30, what="the site that was ill")
        assert monitored(one)[f"minglou_site_up,site={one.host}"] == 1
        assert monitored(one)["minglou_site_files_wrong"] == 0
        assert program.stop() == 0, program.said()


@pytest.mark.timeout(600)
def test_a_site_that_lost_its_database_is_told_and_the_others_go_on_in_every_worker(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    port, names = free_port(), [postgres.new_database() for _ in range(2)]
    one, other = tenants(tmp_path, "a", "b", port=port, workers=2)
    for site, name in zip((one, other), names, strict=True):
        site.store_url = postgres.url(name)
        site.write()
    with serving_sites(tmp_path, one, other) as program:
        wait_until(lambda: program.said().count("ready http") == 2, seconds=60, what="both workers")
        for site in (one, other):  # whichever worker is asked: a connection for each request spreads them
            wait_until(lambda at=site: {status_of(at) for _ in range(8)} == {200}, seconds=60, what=site.host)  # type: ignore[misc]
        postgres.drop_database(names[1])
        wait_until(lambda: other.ask("GET", "/readyz").status_code == 503, seconds=30, what="the probe to say so")
        for _ in range(4):
            assert one.ask("GET", "/readyz").status_code == status_of(one) == 200
        together = one.ask("GET", "/readyz", host="localhost")
        assert together.status_code == 200 and together.json()["sites_ready"] == 1
        figures = monitored(one)
        assert figures[f"minglou_check_passed,check=store,site={one.host}"] == 1
        assert figures[f"minglou_check_passed,check=store,site={other.host}"] == 0
        other.config.unlink()
        hangs_up(program)
        wait_until(
            lambda: {status_of(other) for _ in range(8)} == {421}, seconds=60, what="both workers to have let it go"
        )
        assert status_of(one) == 200
        assert program.stop() == 0, program.said()
    postgres.drop_database(names[0])


def test_where_no_site_can_be_served_the_process_ends_and_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from minglou import main

    (tmp_path / "sites").mkdir()
    assert main(["cloud", "serve", "--sites", str(tmp_path / "sites")]) == 2
    assert "NAME.toml" in capsys.readouterr().err
    (tmp_path / "sites" / "a.toml").write_text("[cloud]\n")
    assert main(["cloud", "serve", "--sites", str(tmp_path / "sites")]) == 2
    assert "lacks listen" in capsys.readouterr().err
    assert main(["cloud", "serve", "--sites", str(tmp_path / "nowhere")]) == 2
    assert "put each site's settings there" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("mine", "theirs", "says"),
    [
        ('hosts = ["b.localhost"]', 'hosts = ["b.localhost", "a.localhost"]', "the host a.localhost"),
        ("{folder}/b/data", "{folder}/a/data", "[cloud] data_dir"),
        ("{folder}/b/directory.json", "{folder}/a/directory.json", "[cloud] directory_file"),
        ("[super_log]", '[store]\nurl = "sqlite+aiosqlite:///{folder}/a/data/cloud.sqlite3"\n[super_log]', "store"),
        ('origin = "b.localhost/log"', 'origin = "a.localhost/log"', "[super_log] origin"),
        ("{folder}/b/superlog.pem", "{folder}/a/superlog.pem", "[super_log] key_file"),
        ("[mail]", '[identity]\nkeys_dir = "{folder}/a/data/keys"\n[mail]', "[identity] keys_dir"),
        ("[mail]", '[identity]\nmaster_key_file = "{folder}/a/data/keys/master.key"\n[mail]', "master_key_file"),
        ("[mail]", '[identity]\naudit_key_file = "{folder}/a/data/audit.pem"\n[mail]', "audit_key_file"),
        ("[mail]", '[segments]\nfolder = "{folder}/a/data/segments"\n[mail]', "[segments] folder"),
        ('listen = "127.0.0.1:8600"', 'listen = "127.0.0.1:8601"', "[cloud] listen"),
        ("workers = 1", 'workers = 1\nlog_level = "debug"', "[cloud] log_level"),
    ],
)
def test_what_two_sites_may_not_share_is_named_with_both_files(
    tmp_path: Path, mine: str, theirs: str, says: str
) -> None:
    one, other = tenants(tmp_path, "a", "b")
    assert [site.path for site in SiteFiles(folder=tmp_path / "sites").read().sites] == [one.config, other.config]
    text = other.settings_text()
    assert mine.format(folder=tmp_path) in text
    other.config.write_text(text.replace(mine.format(folder=tmp_path), theirs.format(folder=tmp_path), 1))
    found = SiteFiles(named=(one.config, other.config)).read()
    assert [site.path for site in found.sites] == [one.config]
    assert says in found.wrong[other.config] and str(one.config) in found.wrong[other.config]


def test_one_site_alone_answers_to_any_name_unless_its_settings_name_some(tmp_path: Path) -> None:
    (site,) = tenants(tmp_path, "a")
    assert SiteFiles(named=(site.config,)).read().sites[0].hosts == {"a.localhost"}
    site.config.write_text(site.settings_text().replace('hosts = ["a.localhost"]\n', ""))
    assert SiteFiles(named=(site.config,)).read().sites[0].hosts == frozenset()
    assert SiteFiles(folder=site.config.parent).read().sites[0].hosts == {"a.localhost"}, "that of public_url"


@pytest.mark.parametrize("hosts", ['["A.example"]', '["a.example:443"]', '["https://a.example"]', '[""]', "[7]"])
def test_a_host_that_no_request_can_name_is_refused(tmp_path: Path, hosts: str) -> None:
    (site,) = tenants(tmp_path, "a")
    site.config.write_text(site.settings_text().replace('["a.localhost"]', hosts))
    with pytest.raises(SettingsError, match="host names in lower case"):
        load_settings(site.config)
    site.config.write_text(site.settings_text().replace('["a.localhost"]', '["b.localhost"]'))
    with pytest.raises(SettingsError, match=r"lacks a\.localhost, the host of public_url"):
        load_settings(site.config)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=200), st.integers(2, 40))
def test_a_holder_always_gets_its_own_part_and_all_together_never_more_than_there_is(
    moves: list[tuple[str, bool]], places: int
) -> None:
    shares, held = Shares(places), Counter[str]()
    shares.holders = 3
    for holder, takes in moves:
        if takes:
            got = shares.take(holder)
            assert got or held[holder] >= shares.own
            held[holder] += got
        elif held[holder]:
            shares.give_back(holder)
            held[holder] -= 1
        assert sum(held.values()) <= places
        assert shares.held(holder) == held[holder]


@dataclass(eq=False)
class Stub:
    """A site whose answers wait until they are let go."""

    name: str
    file: Any = None
    lets_go: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.file = SimpleNamespace(hosts=frozenset({self.name}))

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.lets_go.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


def test_a_flood_of_requests_to_one_site_leaves_the_others_their_part(run: Run) -> None:
    async def scenario() -> None:
        flooded, quiet = Stub("a.example"), Stub("b.example")

        dispatch: Any = Dispatch(SimpleNamespace(sites=(flooded, quiet)))  # type: ignore[arg-type]
        dispatch.renew()
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=dispatch)) as client:
            pending = [asyncio.create_task(client.get("http://a.example/")) for _ in range(4_000)]
            refused, waiting = await asyncio.wait(pending, timeout=30, return_when=asyncio.FIRST_COMPLETED)
            while dispatch.under_way(flooded) + len(refused) < len(pending):
                await asyncio.sleep(0)
                refused = {task for task in pending if task.done()}
            assert {task.result().status_code for task in refused} == {503} and refused
            assert next(iter(refused)).result().headers["retry-after"] == "1"
            quiet.lets_go.set()
            answers = await asyncio.gather(*(client.get("http://b.example/") for _ in range(500)))
            assert {answer.status_code for answer in answers} == {200}
            flooded.lets_go.set()
            assert {task.result().status_code for task in (await asyncio.wait(waiting))[0]} <= {200, 503}

    run(scenario())
