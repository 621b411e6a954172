"""`minglou cloud up` on an empty folder: real chain and contracts, a gateway's batches, and a kill in between."""

import argparse
import asyncio
import json
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from cloud import up
from cloud.chain.client import ChainClient, SigningKey
from cloud.chain.deployment import read_deployment
from cloud.errors import SettingsError
from cloud.settings import load_settings, read_secret
from cloud.up import development
from cloud.up.command import settings_text
from cloud.up.development import CHAIN_ID, chain_id_of, development_chain
from cloud.up.places import PARTIES, Places
from contracts.batch import MEDIA_TYPE
from contracts.entry import device_id
from contracts.trust import parse_trust
from tests.cloud.chain_site import ChainSite
from tests.cloud.gateway import SimulatedGateway
from tests.cloud.house import UNITS, directory, urn_of
from tests.cloud.served import minglou
from tests.conftest import Endpoint
from tests.plain_http import NO_TLS
from tests.postgres import PostgresServer
from tests.processes import Program, free_port, running, wait_until


def is_up(port: int) -> bool:
    try:
        return (
            httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False, verify=NO_TLS, timeout=30).status_code == 200
        )
    except httpx.TransportError:
        return False


def size_of(port: int, gateway: SimulatedGateway) -> int:
    answer = httpx.get(
        f"http://127.0.0.1:{port}/v1/logs/{gateway.origin}",
        headers={"Authorization": f"Bearer {gateway.token.hex()}"},
        trust_env=False,
        verify=NO_TLS,
        timeout=60,
    )
    return int(answer.json()["size"])


def send(port: int, gateway: SimulatedGateway) -> httpx.Response:
    return httpx.post(
        f"http://127.0.0.1:{port}/v1/logs/{gateway.origin}/entries",
        content=gateway.batch(),
        headers={"Content-Type": MEDIA_TYPE, "Authorization": f"Bearer {gateway.token.hex()}"},
        trust_env=False,
        verify=NO_TLS,
        timeout=60,
    )


async def enrol(places: Places, gateway: SimulatedGateway) -> None:
    """The parties enrol a gateway with the keys that stand in the folder, over the public delay."""
    settings = load_settings(places.settings)
    assert settings.chain is not None
    url = settings.chain.rpc[0]
    keys = {party: SigningKey(read_secret(places.key(party))) for party in PARTIES}
    site = ChainSite(url, ChainClient([url]), read_deployment(places.deployment), keys=keys)
    try:
        await site.enrol(gateway, device_id(urn_of(UNITS[0])))
    finally:
        await site.close()


def words(root: Path, port: int, *more: str) -> list[str | Path]:
    return [minglou(), "cloud", "up", "--dir", root, "--listen", f"127.0.0.1:{port}", *more]


def texts(root: Path) -> dict[Path, bytes]:
    """What was written once and for all."""
    kept = (root / "keys", root / "cloud" / "cloud.toml", root / "trust.json", root / "chain" / "deployment.json")
    files = [file for path in kept for file in (path.rglob("*") if path.is_dir() else (path,)) if file.is_file()]
    return {file: file.read_bytes() for file in files if "households" not in file.parts}


def said_once(program: Program) -> str:
    return program.said().split("cloud: ready", 1)[0]


@pytest.mark.timeout(900)
def test_an_empty_folder_becomes_a_cloud_that_goes_on_after_a_kill(tmp_path: Path, postgres: PostgresServer) -> None:
    root, port, database = tmp_path / "up", free_port(), postgres.new_database()
    places, gateway = Places(root), SimulatedGateway(origin="localhost/site/g1/e0")
    gateway.log_readings(5, urn=urn_of(UNITS[0]))
    url = postgres.url(database).replace("+asyncpg", "")
    command = words(root, port, "--postgres", url)
    with running(command, name="up", output_dir=tmp_path, ready=lambda: is_up(port), seconds=120) as program:
        said = said_once(program)
        assert "DEVELOPMENT CHAIN" in said and f"http://localhost:{port}/" in said and "back up:" in said
        assert places.settings.stat().st_mode & 0o077 == 0 and root.stat().st_mode & 0o077 == 0
        assert "DEVELOPMENT CHAIN" in places.settings.read_text()
        parse_trust(places.trust.read_bytes())
        asyncio.run(enrol(places, gateway))
        places.directory.write_text(json.dumps(directory()))
        wait_until(lambda: send(port, gateway).status_code == 200, seconds=60, what="the gateway's key in force")
        page = httpx.get(f"http://127.0.0.1:{port}/lifts", trust_env=False, verify=NO_TLS, timeout=60)
        assert page.status_code == 200 and "b07-l1" in page.text
        before, chain_pid = texts(root), (places.chain / "anvil.pid").read_text()
        second = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert second.returncode == 2 and f"(process {program.pid}) runs on {root}" in second.stderr
        assert (places.chain / "anvil.pid").read_text() == chain_pid and is_up(port), "nothing is taken from the first"
        for _ in range(2):
            program.kill()
            program.restart()
            wait_until(lambda: is_up(port), seconds=120, what="the same cloud again")
            assert texts(root) == before
            assert size_of(port, gateway) == gateway.size
        gateway.log_readings(3, urn=urn_of(UNITS[0]))
        wait_until(lambda: send(port, gateway).status_code == 200, seconds=60, what="the gateway's next batch")

        def anchored() -> bool:
            status = httpx.get(f"http://127.0.0.1:{port}/v1/status", trust_env=False, verify=NO_TLS, timeout=60).json()
            return bool(status["anchored_size"])

        wait_until(anchored, seconds=120, what="the super-log on the chain that came back")
        assert program.stop() == 0, program.said()
        pid = int((places.chain / "anvil.pid").read_text())
        wait_until(lambda: not Path(f"/proc/{pid}").exists(), seconds=20, what="the chain to end with its cloud")
    postgres.drop_database(database)


@pytest.mark.timeout(600)
def test_a_site_that_was_provisioned_into_the_folder_is_served_with_its_own_settings(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    root, site = tmp_path / "up", tmp_path / "site.toml"
    from importlib.resources import files

    site.write_text((files("provisioning.demo") / "site.toml").read_text("utf-8"))
    provision = [minglou(), "provision", "site", "apply", site, "--dir", root]
    subprocess.run(provision, check=True, capture_output=True, timeout=300)
    port, chain_port = free_port(), free_port()
    settings = root / "cloud" / "cloud.toml"
    # Other tests use the usual ports at the same time.
    settings.write_text(settings.read_text().replace(":8600", f":{port}").replace(":8545", f":{chain_port}"))
    command = [minglou(), "cloud", "up", "--dir", root]
    # As a terminal starts it; what is started under nohup inherits that a hang-up is ignored.
    inherited = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    request.addfinalizer(lambda: signal.signal(signal.SIGHUP, inherited))
    with running(command, name="up", output_dir=tmp_path, ready=lambda: is_up(port), seconds=120) as program:
        deployment = read_deployment(root / "chain" / "deployment.json")
        assert deployment.site.hex() == json.loads((root / "names.json").read_text())["site_id"]
        assert httpx.get(f"http://127.0.0.1:{port}/", trust_env=False, verify=NO_TLS, timeout=60).status_code == 200
        os.kill(program.pid, signal.SIGHUP)  # as a terminal does that is closed
        assert program.process.wait(timeout=280) == 0, program.said()
        pid = int((root / "chain" / "anvil.pid").read_text())
        assert not Path(f"/proc/{pid}").exists(), "the chain ends before its cloud has"


def asked(root: Path, **given: Any) -> argparse.Namespace:
    defaults: dict[str, Any] = dict.fromkeys(("listen", "host", "postgres", "chain", "systemd"))
    return argparse.Namespace(dir=root, **{**defaults, **given})


def test_what_is_written_holds_and_a_word_that_says_otherwise_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SettingsError, match="no chain answers at"):
        up.run_up(asked(tmp_path / "a", chain=f"http://127.0.0.1:{free_port()}"))
    with pytest.raises(SettingsError, match="--postgres is an address"):
        up.run_up(asked(tmp_path / "a", postgres="mysql://x"))
    monkeypatch.setenv("MINGLOU_TOOLS", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SettingsError, match="there is no anvil here"):
        up.run_up(asked(tmp_path / "a"))
    assert not (tmp_path / "a" / "cloud" / "cloud.toml").exists()


def test_a_chain_that_is_named_is_left_to_whoever_runs_it(tmp_path: Path, anvil: Endpoint) -> None:
    for words in ({"chain": anvil.url}, {}):  # it is remembered
        with pytest.raises(SettingsError, match="there are no contracts of this site on chain 31337"):
            up.run_up(asked(tmp_path / "up", **words))
    assert not (tmp_path / "up" / "chain" / "anvil.pid").exists()


def test_a_chain_that_cannot_be_started_is_tried_again_and_ends_with_its_owner(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    places, rpc = Places(tmp_path / "up"), f"http://127.0.0.1:{free_port()}"
    places.make()
    log, pid_file = places.chain / "anvil.log", places.chain / "anvil.pid"
    with development_chain(places, rpc):
        first = int(pid_file.read_text())
        log.unlink()
        log.mkdir()  # stands in for a disk that takes nothing
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: "cannot be started" in caplog.text, seconds=20, what="the trouble to be said")
        log.rmdir()
        wait_until(lambda: pid_file.read_text() not in ("", f"{first}\n"), seconds=20, what="the chain to come back")
        wait_until(lambda: chain_answers(rpc), seconds=60, what="its first answer")
        os.kill(int(pid_file.read_text()), signal.SIGKILL)  # it ends, perhaps is begun again, while its owner ends
    assert not Path(f"/proc/{int(pid_file.read_text())}").exists() and not chain_answers(rpc)


def chain_answers(rpc: str) -> bool:
    try:
        return chain_id_of(rpc) == CHAIN_ID
    except SettingsError:
        return False


def test_a_chain_that_never_answers_is_not_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hanging = tmp_path / "npm" / "node_modules" / "@foundry-rs" / "anvil-any" / "bin" / "anvil"
    hanging.parent.mkdir(parents=True)
    hanging.write_text("#!/bin/sh\nexec sleep 1000\n")
    hanging.chmod(0o700)
    monkeypatch.setenv("MINGLOU_TOOLS", str(tmp_path))
    monkeypatch.setattr(development, "_START_SECONDS", 0.1)
    places = Places(tmp_path / "up")
    places.make()
    with (
        pytest.raises(SettingsError, match="does not start"),
        development_chain(places, f"http://127.0.0.1:{free_port()}"),
    ):
        pass
    assert not Path(f"/proc/{int((places.chain / 'anvil.pid').read_text())}").exists()


@pytest.mark.parametrize(("host", "trusted"), [("cuiyuan.example", ["127.0.0.1/32", "::1/128"]), (None, [])])
def test_behind_a_name_the_proxy_of_this_machine_is_believed(
    tmp_path: Path, host: str | None, trusted: list[str]
) -> None:
    places = Places(tmp_path)
    places.make()
    places.settings.write_text(settings_text(places, asked(tmp_path, host=host)))
    assert [str(network) for network in load_settings(places.settings).trusted_proxies] == trusted


def test_the_state_of_a_chain_that_was_cut_off_while_it_wrote_comes_back(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    assert not up.keep_state(state)
    state.write_text('{"block": 1}')
    up.repair_state(state)
    state.write_text('{"block": 2}')
    assert up.keep_state(state)
    for half in ('{"block": ', ""):
        state.write_text(half)
        assert not up.keep_state(state)
        up.repair_state(state)
        assert json.loads(state.read_text()) == {"block": 2}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["state.copy.json", "state.json"]


def test_a_state_is_kept_without_parsing_it_and_a_half_that_ends_with_a_brace_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def parse(*_: object) -> None:
        raise AssertionError("stops whoever serves in this process")

    state, copy = tmp_path / "state.json", tmp_path / "state.copy.json"
    with monkeypatch.context() as patched:
        patched.setattr(json, "loads", parse)
        state.write_text('{"block": {"number": 1}}')
        assert up.keep_state(state)
        for half in ('{"block": {"number": 2}', '{"block": {"number": 2}, "accounts": {"a": {}, "b": {}'):
            state.write_text(half)
            assert not up.keep_state(state)
    assert json.loads(copy.read_text()) == {"block": {"number": 1}}


def test_a_first_state_that_was_cut_off_is_begun_anew(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    state.write_text("{")
    up.repair_state(state)
    assert not state.exists()


def test_the_unit_is_one_that_systemd_accepts_and_carries_no_password(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "a folder"
    assert up.run_up(asked(root, systemd="-", listen="127.0.0.1:8700")) == 0
    text = capsys.readouterr().out
    assert f'--dir "{root}"' in text and "--listen 127.0.0.1:8700" in text and "ProtectSystem=strict" in text
    file = tmp_path / "minglou-cloud.service"
    assert up.run_up(asked(root, systemd=str(file), listen="127.0.0.1:8700")) == 0
    assert file.read_text() == text
    with pytest.raises(SettingsError, match="a unit is readable by all"):
        up.run_up(asked(root, systemd="-", postgres="postgresql://a:secret@b/c"))
    if shutil.which("systemd-analyze") is not None:
        command = ["systemd-analyze", "verify", "--man=no", str(file)]
        told = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=dict(os.environ))
        assert [line for line in told.stderr.splitlines() if file.name in line] == []
