"""The settings files of several sites: a wrong one takes nobody with it, and no two sites get the same thing."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cloud.errors import SettingsError
from cloud.settings import load_settings
from cloud.sites import Keeper, SiteFiles
from cloud.sites.files import FoundSites
from tests.cloud.tenants import Tenant
from tests.cloud.test_sites import tenants

Run = Callable[[Any], Any]


def rewrite(site: Tenant, *changes: tuple[str, str]) -> None:
    """Change a site's file; each text to be changed stands in it."""
    text = site.settings_text()
    for mine, theirs in changes:
        assert mine in text
        text = text.replace(mine, theirs, 1)
    site.config.write_text(text)


def names(found: FoundSites) -> list[str]:
    return sorted(site.path.stem for site in found.sites)


WRONG = {
    "no UTF-8": b"# \xff\xfe\n",
    "tables without end": b"x = " + b"[" * 5_000,
    "a number without end": b"x = " + b"9" * 5_000,
    "a store that is none": b'[store]\nurl = "nonsense"\n',
    "a store of another kind": b'[store]\nurl = "mysql://a/b"\n',
    "a store's port": b'[store]\nurl = "postgresql+asyncpg://a@h:port/b"\n',
    "a time that is no number": b"[mail]\nblock_seconds = nan\n",
    "a time without end": b"[mail]\nblock_seconds = inf\n",
    "a path with a zero byte": b'[segments]\nfolder = "a\\u0000b"\n',
    "a collector that is none": b'[telemetry]\nendpoint = "http://[::1"\n',
    "a receiver that is none": b'[[webhook]]\nname = "a"\nurl = "https://[::1"\nsecret_file = "s"\n',
    "a fee without end": b'[chain]\nrpc = ["http://a"]\nchain_id = 1\ndeployment_file = "d"\nfee_cap_gwei = inf\n',
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
def test_a_wrong_file_is_named_and_the_other_sites_are_found(tmp_path: Path, wrong: bytes) -> None:
    ill, _ = tenants(tmp_path, "a", "b")
    text = ill.settings_text().replace("[mail]\nblock_seconds = 0.5\n", "").encode()
    ill.config.write_bytes(text + wrong)
    assert not SiteFiles(named=(ill.config,)).read().sites, "nor alone"
    found = SiteFiles(folder=ill.config.parent).read()
    assert names(found) == ["b"] and list(found.wrong) == [ill.config]
    assert str(ill.config) in found.wrong[ill.config]


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        ('public_url = "http://a.localhost:8600"', 'public_url = "http://[::1"'),
        ('public_url = "http://a.localhost:8600"', 'public_url = "http://a.localhost:port"'),
        ('listen = "127.0.0.1:8600"', 'listen = "127.0.0.1:99999"'),
        ("workers = 1", 'log_level = "loud"'),
    ],
)
def test_what_would_only_fail_later_is_refused_by_its_name(tmp_path: Path, mine: str, theirs: str) -> None:
    (site,) = tenants(tmp_path, "a")
    rewrite(site, (mine, theirs))
    with pytest.raises(SettingsError, match=rf"a\.toml: \[cloud\] {theirs.partition(' ')[0]}"):
        load_settings(site.config)


def test_the_process_runs_by_what_most_files_say_and_not_by_the_first(tmp_path: Path) -> None:
    odd, *_ = tenants(tmp_path, "a", "b", "c")
    rewrite(odd, ('listen = "127.0.0.1:8600"', 'listen = "127.0.0.1:8601"'))
    found = SiteFiles(folder=odd.config.parent).read()
    assert names(found) == ["b", "c"] and "[cloud] listen" in found.wrong[odd.config]


def test_a_newcomer_gets_nothing_of_a_site_whose_file_has_become_wrong(tmp_path: Path) -> None:
    greedy, ill = tenants(tmp_path, "a", "b")
    files = SiteFiles(folder=greedy.config.parent)
    present = files.read().sites
    rewrite(greedy, ('hosts = ["a.localhost"]', 'hosts = ["a.localhost", "b.localhost"]'))
    ill.config.write_text("[cloud")
    found = files.read(present)
    assert list(found.sites) == list(present), "both as they were"
    assert set(found.wrong) == {greedy.config, ill.config} and "the host b.localhost" in found.wrong[greedy.config]
    # One that was not there before is judged by what the ill one has, too.
    (new,) = tenants(tmp_path, "c")
    rewrite(new, (f'data_dir = "{new.folder}/data"', f'data_dir = "{ill.folder}/data"'))
    assert str(ill.config) in files.read(present).wrong[new.config]


def test_what_one_site_gives_up_another_may_take_in_the_same_reading(tmp_path: Path) -> None:
    taker, giver = tenants(tmp_path, "a", "b")
    rewrite(giver, ('hosts = ["b.localhost"]', 'hosts = ["b.localhost", "c.localhost"]'))
    files = SiteFiles(folder=taker.config.parent)
    present = files.read().sites
    giver.write()
    rewrite(taker, ('hosts = ["a.localhost"]', 'hosts = ["a.localhost", "c.localhost"]'))
    found = files.read(present)
    assert not found.wrong and {"a.localhost", "c.localhost"} in [site.hosts for site in found.sites]
    # A file under another name keeps what it had.
    taker.config.rename(taker.config.with_name("z.toml"))
    assert names(files.read(found.sites)) == ["b", "z"]


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        ("postgresql+asyncpg://a:1@localhost/x", "postgresql+asyncpg://b:2@127.0.0.1:5432/x?ssl=require"),
        ("postgresql+asyncpg://a@DB.example/x", "postgresql+asyncpg://a@db.example.:5432/x"),
        ("postgresql+asyncpg://a@/x", "postgresql+asyncpg://b@[::1]/x"),
        ("postgresql+asyncpg://a@/x?host=/run/postgresql", "postgresql+asyncpg://b@localhost:5432/x"),
        ("postgresql+asyncpg://a@/x?host=one:5433&host=two", "postgresql+asyncpg://b@two/x"),
        ("postgresql+asyncpg://a@/x?host=one,two&port=1,2", "postgresql+asyncpg://b@two:2/x"),
        ("postgresql+asyncpg://a@one", "postgresql+asyncpg://a@one/a"),
        ("sqlite+aiosqlite:///{folder}/one/x.sqlite3", "sqlite+aiosqlite:///{folder}/link/../link/x.sqlite3"),
        ("sqlite+aiosqlite:///{folder}/one/x.sqlite3", "sqlite+aiosqlite:///file:{folder}/one/x.sqlite3?uri=true"),
    ],
)
def test_one_database_is_known_however_it_is_spelt(tmp_path: Path, mine: str, theirs: str) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "one")
    one, other = tenants(tmp_path, "a", "b")
    for site, url in ((one, mine), (other, theirs)):
        site.store_url = url.format(folder=tmp_path)
        site.config.write_text(site.settings_text())
    assert "[store] url" in SiteFiles(folder=one.config.parent).read().wrong[other.config]


@pytest.mark.parametrize(
    "theirs", ["postgresql+asyncpg://a@one/y", "postgresql+asyncpg://a@two/x", "postgresql+asyncpg://a@one:5433/x"]
)
def test_two_databases_are_told_apart(tmp_path: Path, theirs: str) -> None:
    one, other = tenants(tmp_path, "a", "b")
    for site, url in ((one, "postgresql+asyncpg://a@one/x"), (other, theirs)):
        site.store_url = url
        site.config.write_text(site.settings_text())
    assert names(SiteFiles(folder=one.config.parent).read()) == ["a", "b"]


def test_a_reading_that_fails_is_said_and_the_next_one_is_done(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    asked = asyncio.Queue[None]()

    class Failing(SiteFiles):
        def read(self, *_: Any, **__: Any) -> FoundSites:
            asked.put_nowait(None)
            raise RuntimeError("nobody expected this")

    async def scenario() -> None:
        has_changed = asyncio.Event()
        keeping = asyncio.create_task(Keeper(Failing()).follow(has_changed))
        for _ in range(2):
            has_changed.set()
            async with asyncio.timeout(60):
                await asked.get()
        assert not keeping.done()
        keeping.cancel()

    run(scenario())
    assert "sites stay as they are" in caplog.text and "nobody expected this" in caplog.text
