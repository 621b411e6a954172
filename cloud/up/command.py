"""`minglou cloud up`: what it writes, what it says, and how it serves."""

import argparse
import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from urllib.parse import urlsplit

from cloud.errors import SettingsError
from cloud.settings import CloudSettings, load_settings
from cloud.up.development import CHAIN_ID, anvil, chain_id_of, deploy_site, development_chain, free_port
from cloud.up.places import Places, ensure_chain_key, held, write_new
from cloud.up.unit import unit_text

__all__ = ["add_arguments", "run_up", "settings_text"]

_LABEL = "DEVELOPMENT CHAIN on this machine: for a try. Whoever has this machine can make it say anything."


# Whoever terminates TLS for --host stands on this machine unless the settings are told otherwise; without its word on
# who asks, all the world would share one address and one limit.
_BEHIND_TLS = {"trusted_proxies": ["127.0.0.1", "::1"]}


def add_arguments(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The words of `minglou cloud up`."""
    says = "a whole cloud on this machine: writes what is missing, serves, and goes on when it is run again"
    up = actions.add_parser("up", help=says, description=says)
    up.add_argument("--dir", type=Path, metavar="DIR", help=f"where all of it is kept (default: {_default_root()})")
    up.add_argument("--listen", metavar="ADDRESS:PORT", help="where it serves (default: 127.0.0.1:8600)")
    up.add_argument("--host", metavar="NAME", help="its public name, behind whatever terminates TLS (default: none)")
    up.add_argument("--postgres", metavar="URL", help="a PostgreSQL database (default: a SQLite file)")
    up.add_argument("--chain", metavar="RPC", help="a chain's JSON-RPC (default: a development chain on this machine)")
    says = "print a systemd unit that runs this, or write it to FILE; serves nothing"
    up.add_argument("--systemd", nargs="?", const="-", metavar="FILE", help=says)


def _default_root() -> Path:
    return Path("/var/lib/minglou") if os.geteuid() == 0 else Path.home() / ".minglou"


def run_up(arguments: argparse.Namespace) -> int:
    """Write what is missing, then serve until SIGTERM; 0 after a clean end.

    Raises:
        CloudError: something is missing that this machine cannot make, or a word contradicts what is written already.
    """
    places = Places((arguments.dir or _default_root()).absolute())
    places.make()
    if arguments.systemd is not None:
        return _write_unit(places, arguments)
    with held(places), _ending_by_signals():
        return _run(places, arguments)


@contextmanager
def _ending_by_signals() -> Iterator[None]:
    """Until the server hears them and after it has: SIGTERM, and SIGHUP of a terminal that is closed, end all in order.

    By default they would end this process and leave its chain behind.
    """

    def end(*_: object) -> None:
        for number in before:
            signal.signal(number, signal.SIG_IGN)  # one is enough
        sys.exit(0)

    # Where SIGHUP is ignored (nohup), it stays so.
    numbers = (signal.SIGTERM, signal.SIGHUP)
    heard = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, end) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _run(places: Places, arguments: argparse.Namespace) -> int:
    if not places.settings.exists():
        text = settings_text(places, arguments)
        _note_chain(places, arguments)
        write_new(places.settings, text)
        _say(f"settings: {places.settings}")
    settings = load_settings(places.settings)
    _check_words(settings, places, arguments)
    _note_chain(places, arguments)
    ensure_chain_key(places.key("relayer"))
    write_new(places.directory, _directory_text(settings))
    if settings.claims_file is not None:  # until gateways are enrolled there, none is believed
        write_new(settings.claims_file, "{}\n")
    with _chain(settings, places):
        _see_to_contracts(settings, places)
        _say_all(settings, places)
        return _serve(places)


def _serve(places: Places) -> int:
    from cloud.serving import serve
    from cloud.sites import SiteFiles

    try:
        return serve(SiteFiles(named=(places.settings,)), ends_with_terminal=True)
    finally:
        for number in (signal.SIGTERM, signal.SIGHUP):  # the chain ends in order, whoever asks once more
            signal.signal(number, signal.SIG_IGN)


def _say(text: str) -> None:
    print(text, flush=True)


def settings_text(places: Places, arguments: argparse.Namespace) -> str:
    """What is written at the first time, from the words of the command."""
    listen = arguments.listen or "127.0.0.1:8600"
    host, port = arguments.host or "localhost", listen.rpartition(":")[2]
    public_url = f"https://{host}" if arguments.host else f"http://localhost:{port}"
    if arguments.chain is None:
        anvil()  # asked for before anything is written
        rpc, chain_id = f"http://127.0.0.1:{free_port()}", CHAIN_ID
    else:
        rpc, chain_id = arguments.chain, chain_id_of(arguments.chain)
    tables: dict[str, dict[str, object]] = {
        "cloud": {
            "listen": listen,
            "public_url": public_url,
            **(_BEHIND_TLS | {"hosts": [host, "localhost", "127.0.0.1"]} if arguments.host else {}),
            "data_dir": "data",
            "directory_file": "directory.json",
            "trust_file": "../trust.json",
        },
        "store": {"url": _store_url(places, arguments.postgres)},
        "chain": {
            "rpc": [rpc],
            "chain_id": chain_id,
            "deployment_file": "../chain/deployment.json",
            "relayer_key_file": "../keys/relayer.key",
            **({"lost_finality": "resend"} if chain_id == CHAIN_ID else {}),
        },
        "super_log": {"origin": f"{host}/log", "key_file": "../keys/superlog.pem"},
        # Apart from the data, so that a copy of the one opens nothing of the other.
        "identity": {"keys_dir": "../keys/households", "master_key_file": "../keys/master.key"},
    }
    label = f"# {_LABEL}\n" if arguments.chain is None else ""
    written = [f"# Written by `minglou cloud up`, which leaves it alone from now on: edit it here.\n{label}"]
    for name, values in tables.items():
        written.append(f"[{name}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items()))
    return "\n".join(written)


def _store_url(places: Places, postgres: str | None) -> str:
    if postgres is None:
        return f"sqlite+aiosqlite:///{places.data / 'cloud.sqlite3'}"
    scheme, _, rest = postgres.partition("://")
    if scheme not in ("postgresql", "postgres", "postgresql+asyncpg") or not rest:
        raise SettingsError("--postgres is an address such as postgresql://USER:PASSWORD@HOST/DATABASE")
    return f"postgresql+asyncpg://{rest}"


def _check_words(settings: CloudSettings, places: Places, arguments: argparse.Namespace) -> None:
    """What was written at the first time holds; a word that says otherwise now is a misunderstanding."""
    chain = settings.chain.rpc if settings.chain else ()
    for word, given, holds in (
        ("--listen", arguments.listen, arguments.listen in (None, f"{settings.host}:{settings.port}")),
        ("--host", arguments.host, arguments.host in (None, *settings.hosts)),
        ("--postgres", arguments.postgres, _is_store(settings, places, arguments.postgres)),
        ("--chain", arguments.chain, arguments.chain in (None, *chain)),
    ):
        if given is not None and not holds:
            raise SettingsError(f"{word} is not what {places.settings} says; correct it there, or leave the word out")


def _is_store(settings: CloudSettings, places: Places, postgres: str | None) -> bool:
    return postgres is None or settings.store_url == _store_url(places, postgres)


def _directory_text(settings: CloudSettings) -> str:
    """A directory without flats, for `minglou provision` to write over."""
    host = settings.super_origin.partition("/")[0]
    title = {"zh": "明楼", "en": "Minglou"}
    site = {"name": "site", "host": host, "title": title, "timezone": "Asia/Shanghai"}
    empty: dict[str, list[object]] = {
        name: [] for name in ("gateways", "units", "devices", "pools", "tariffs", "sign_in")
    }
    return json.dumps({"format": "minglou-directory/1", "site": site, **empty}, ensure_ascii=False, indent=1) + "\n"


def _note_chain(places: Places, arguments: argparse.Namespace) -> None:
    """A chain that is named by --chain is run by somebody else, unless we have run it here already."""
    if arguments.chain is not None and not places.chain_state.exists():
        write_new(places.named_chain, f"{arguments.chain}\n")


def _is_own_chain(settings: CloudSettings, places: Places) -> bool:
    chain = settings.chain
    if chain is None or chain.chain_id != CHAIN_ID or urlsplit(chain.rpc[0]).hostname != "127.0.0.1":
        return False
    return not places.named_chain.exists() or places.named_chain.read_text().strip() != chain.rpc[0]


def _chain(settings: CloudSettings, places: Places) -> AbstractContextManager[None]:
    if not _is_own_chain(settings, places):
        return nullcontext()
    assert settings.chain is not None
    _say(_LABEL)
    return development_chain(places, settings.chain.rpc[0])


def _see_to_contracts(settings: CloudSettings, places: Places) -> None:
    assert settings.chain is not None, "our settings name a chain"
    if settings.chain.deployment_file.exists():
        return
    rpc = settings.chain.rpc[0]
    if not _is_own_chain(settings, places):
        raise SettingsError(
            f"there are no contracts of this site on chain {settings.chain.chain_id} yet, and only its parties can "
            f"make them: `minglou chain deploy --rpc {rpc} --key-file DEPLOYER --options deploy.json "
            f"--super-log-origin {settings.super_origin} --super-log-key {places.super_log_key} "
            f"--out {places.deployment} --trust {places.trust}`; then run this again"
        )
    logging.getLogger("httpx").setLevel(logging.WARNING)
    asyncio.run(deploy_site(places, rpc, origin=settings.super_origin, say=_say))


def _say_all(settings: CloudSettings, places: Places) -> None:
    """What to open, what to do next, what to back up."""
    from sqlalchemy.engine import make_url

    program, config = Path(sys.argv[0]).name, places.settings
    url = make_url(settings.store_url)
    store = str(url.database) if url.get_backend_name() == "sqlite" else url.render_as_string(hide_password=True)
    for line in (
        f"open:     {settings.public_url}/   (health: /readyz)",
        f"invite:   {program} identity invite --role manager --config {config}",
        f"back up:  {program} cloud backup --config {config} --to DIR",
        f"          and the keys, apart from it, for nobody can make them again: {places.keys}, "
        f"{settings.data_dir / 'audit.pem'}",
        *((f"          and the chain's state: {places.chain}",) if _is_own_chain(settings, places) else ()),
        f"store:    {store}",
    ):
        _say(line)


def _write_unit(places: Places, arguments: argparse.Namespace) -> int:
    words = ["--dir", str(places.root)]
    if not places.settings.exists():  # the first start writes them, by these words
        for word in ("listen", "host", "postgres", "chain"):
            value = getattr(arguments, word)
            if value is not None and word == "postgres":
                says = "a unit is readable by all: run `minglou cloud up --postgres …` once, then write the unit"
                raise SettingsError(says)
            words += [] if value is None else [f"--{word}", value]
    text = unit_text(places.root, words)
    if arguments.systemd == "-":
        sys.stdout.write(text)
        return 0
    file = Path(arguments.systemd)
    try:
        file.write_text(text)
    except OSError as error:
        raise SettingsError(
            f"unit {file} cannot be written: {error}; run this as root, or name another file"
        ) from error
    _say(f"{file}: written; now: systemctl daemon-reload && systemctl enable --now {file.stem}")
    return 0
