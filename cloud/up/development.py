"""The development chain of `minglou cloud up`: anvil on this machine, its state on disk, and a site's contracts on it.

It is one process that whoever has this machine can make say anything: good for a try, worth nothing as a witness.
"""

import json
import logging
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cloud.errors import SettingsError
from cloud.settings import read_secret
from cloud.up.anvil_state import keep_state, repair_state
from cloud.up.places import PARTIES, Places, ensure_chain_key

__all__ = ["CHAIN_ID", "anvil", "deploy_site", "development_chain"]

CHAIN_ID = 31_337
_log = logging.getLogger("cloud")
_DELAY_SECONDS = 60  # public delays, which take 7 and 30 days on any other chain
_WEI_OF_PARTY = 10_000 * 10**18
_START_SECONDS, _LOOK_SECONDS = 60.0, 0.1
_STOP_SECONDS = 10.0
_PAUSE_SECONDS = 1.0
_BLOCK_SECONDS = 5


def anvil() -> Path:
    """The program. Raises `SettingsError` where it is not installed."""
    tools = os.environ.get("MINGLOU_TOOLS")
    places = [Path(tools)] if tools else [Path(__file__).resolve().parents[2] / ".tools"]
    for place in places:
        for found in sorted(place.glob("npm/node_modules/@foundry-rs/anvil-*/bin/anvil")):
            return found
    if (on_path := shutil.which("anvil")) is not None:
        return Path(on_path)
    raise SettingsError(
        "there is no anvil here for a development chain; install it (npm install -g @foundry-rs/anvil), or name a "
        "chain: --chain http://HOST:8545"
    )


def free_port() -> int:
    """A port of this machine, preferably the usual one."""
    for port in (8545, 0):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise SettingsError("no port of this machine is free for a development chain; name a chain with --chain")


@contextmanager
def development_chain(places: Places, rpc: str) -> Iterator[None]:
    """The chain runs while the block does; started again where it ends by itself.

    One that a killed `up` left behind is ended first: what it has taken is on disk.
    """
    chain = _Chain(places, rpc)
    try:
        chain.start()
        yield
    finally:
        chain.stop()


class _Chain:
    def __init__(self, places: Places, rpc: str) -> None:
        self._folder, self._rpc = places.chain, rpc
        self._state = places.chain_state
        self._is_ending = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._keeper = threading.Thread(target=self._keep, name="development chain", daemon=True)

    def start(self) -> None:
        self._end_left_behind()
        if _answers(self._rpc):
            raise SettingsError(
                f"another chain than ours answers at {self._rpc}: end it, or write a free port there, or, if it is "
                f"the one to use, say so once: --chain {self._rpc}"
            )
        try:
            self._begin()
        except OSError as error:
            says = f"the development chain cannot be started: {error}; make room for it in {self._folder}"
            raise SettingsError(says) from error
        until = time.monotonic() + _START_SECONDS
        while not _answers(self._rpc):
            if self._process is None or self._process.poll() is not None or time.monotonic() > until:
                raise SettingsError(f"the development chain does not start; look into {self._folder / 'anvil.log'}")
            time.sleep(_LOOK_SECONDS)
        self._keeper.start()

    def stop(self) -> None:
        self._is_ending.set()
        if self._keeper.is_alive():
            self._keeper.join(_STOP_SECONDS)  # first: it may be starting it again
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()  # it writes its state
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _begin(self) -> None:
        port = self._rpc.rpartition(":")[2]
        repair_state(self._state)
        words = ["--silent", "--host", "127.0.0.1", "--port", port, "--chain-id", str(CHAIN_ID), "--hardfork", "osaka"]
        words += ["--state", str(self._state), "--state-interval", "1", "--prune-history", "256", "--accounts", "1"]
        words += ["--block-time", str(_BLOCK_SECONDS), "--mixed-mining", "--slots-in-an-epoch", "1"]
        with (self._folder / "anvil.log").open("ab") as said:
            # In a session of its own: a ^C is for us, and it ends after the cloud.
            self._process = subprocess.Popen(
                [str(anvil()), *words], stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True
            )

        self._pid_file.write_text(f"{self._process.pid}\n")

    @property
    def _pid_file(self) -> Path:
        return self._folder / "anvil.pid"

    def _end_left_behind(self) -> None:
        """End the chain of a process of ours that was killed, if it still runs."""
        try:
            pid = int(self._pid_file.read_text())
            until = time.monotonic() + _STOP_SECONDS
            while str(self._folder).encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGTERM if time.monotonic() < until else signal.SIGKILL)
                time.sleep(_LOOK_SECONDS)
        except (OSError, ValueError):
            return  # it is gone, or never was

    def _keep(self) -> None:
        """Keep a copy of its state while it runs, and start it again where it has ended."""
        is_kept, said = True, ""
        while not self._is_ending.wait(_PAUSE_SECONDS if is_kept else _LOOK_SECONDS):
            assert self._process is not None
            if self._process.poll() is None:
                is_kept, said = keep_state(self._state), ""
                continue
            try:
                if not said:
                    _log.error("cloud: the development chain ended; starting it again")
                self._begin()
            except (OSError, SettingsError) as error:  # no memory, disk or program is left: soon there may be
                if str(error) != said:
                    _log.error("cloud: the development chain cannot be started, which is tried again: %s", error)
                said = str(error)


def _ask(rpc: str, method: str, *parameters: object) -> object:
    import httpx

    question = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(parameters)}
    answer = httpx.post(rpc, json=question, timeout=30, trust_env=False).json()
    if "error" in answer:
        raise SettingsError(f"chain {rpc}: {method}: {answer['error']}")
    return answer["result"]


def chain_id_of(rpc: str) -> int:
    """Which chain answers there. Raises `SettingsError`."""
    import httpx

    try:
        return int(str(_ask(rpc, "eth_chainId")), 16)
    except (httpx.HTTPError, ValueError, TypeError, KeyError) as error:
        says = f"no chain answers at {rpc} ({type(error).__name__}); start its node, or correct --chain"
        raise SettingsError(says) from error


def _answers(rpc: str) -> bool:
    try:
        return chain_id_of(rpc) == CHAIN_ID
    except SettingsError:
        return False


async def deploy_site(places: Places, rpc: str, *, origin: str, say: Callable[[str], None]) -> None:
    """A site's contracts with keys of all parties, on a development chain that has none yet."""
    from cloud.chain.client import ChainClient, SigningKey
    from cloud.chain.deploy import DeployOptions, deploy, trust_of, write_trust
    from cloud.chain.deployment import write_deployment
    from cloud.super_log import open_super_key
    from contracts import ed25519

    keys = {}
    for party in PARTIES:
        ensure_chain_key(places.key(party))
        keys[party] = SigningKey(read_secret(places.key(party)))
        _ask(rpc, "anvil_setBalance", keys[party].address, hex(_WEI_OF_PARTY))
    say("deploying a site's contracts on the development chain")
    public = ed25519.public_bytes(open_super_key(places.super_log_key))
    options = DeployOptions(
        site=_site_id(places),
        token_name="Development yuan",  # noqa: S106 - money, not a password
        token_symbol="DEV",  # noqa: S106
        minter=keys["cashier"].address,
        manager=keys["manager"].address,
        committee=keys["committee"].address,
        relayer=keys["relayer"].address,
        witness_delay=_DELAY_SECONDS,
        recovery_delay=_DELAY_SECONDS,
        tariff_delay=_DELAY_SECONDS,
        challenge_window=600,
        answer_window=600,
        bond_floor=100_000,
        deposit=100,
        utc_offset_seconds=8 * 3600,
        super_log_origin=origin,
        super_log_public=public,
    )
    client = ChainClient([rpc])
    try:
        deployment = await deploy(client, keys["deployer"], options)
    finally:
        await client.close()
    write_trust(places.trust, trust_of(deployment, super_log_origin=origin, super_log_public=public))
    write_deployment(places.deployment, deployment)  # last: it says that all is there


def _site_id(places: Places) -> bytes:
    """The site's number: that of provisioning where a site was planned here already, else a new one."""
    names = places.root / "names.json"
    return bytes.fromhex(json.loads(names.read_text())["site_id"]) if names.exists() else os.urandom(32)
