"""`minglou mirror`: an independent copy of a cloud's logs, kept by a committee or a second operator."""

import argparse
import asyncio
import json
import logging
import random
import signal
import sys
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from cloud.errors import CloudError
from cloud.mirror.settings import MirrorSettings, load_mirror_settings
from contracts.ending import end_process_within

if TYPE_CHECKING:
    from cloud.mirror.mirror import Mirror

__all__ = ["add_arguments", "run"]

SOUND, BROKEN, WRONG = 0, 1, 2
_END_SECONDS = 25.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The sub-commands of `minglou mirror`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    says = {
        "run": "fetch, verify, keep and acknowledge, until SIGTERM",
        "verify": "check the whole copy again; 0 sound, 1 broken or contradicted",
        "key": "print this copy's name and public key, for the gateways' and the cloud's settings",
    }
    for name, text in says.items():
        action = actions.add_parser(name, help=text, description=text)
        action.add_argument("--config", type=Path, required=True, metavar="FILE", help="settings (TOML)")
        if name == "run":
            action.add_argument("--once", action="store_true", help="until nothing is missing, then stop")
            action.add_argument(
                "--take-erased",
                action="store_true",
                help="also take entries that the cloud has erased already, for a copy that begins late; what is taken "
                "is acknowledged, so gateways that still hold them may prune them",
            )
        if name == "verify":
            action.add_argument("--json", action="store_true", help="one line of JSON")


def run(arguments: argparse.Namespace) -> int:
    """Run one sub-command."""
    try:
        settings = load_mirror_settings(arguments.config)
        if arguments.action == "key":
            return _key(settings)
        if arguments.action == "verify":
            return _verify(settings, as_json=arguments.json)
        return asyncio.run(_run(settings, once=arguments.once, takes_erased=arguments.take_erased))
    except CloudError as error:
        print(f"minglou mirror: {error}", file=sys.stderr)
        return WRONG


def _key(settings: MirrorSettings) -> int:
    from cloud.super_log import open_super_key
    from contracts import ed25519

    public = ed25519.public_bytes(open_super_key(settings.key_file, "copy key"))
    print(f'[[copy]]\nname = "{settings.name}"\nkey = "{public.hex()}"')
    return SOUND


def _verify(settings: MirrorSettings, *, as_json: bool) -> int:
    from cloud.mirror.check import check_logs
    from cloud.mirror.contradictions import Contradictions
    from cloud.mirror.keys import open_key_book
    from cloud.segments import Archive

    keys = open_key_book(pinned=settings.pinned, trust=settings.trust, rpc_url=settings.rpc_url)
    logs = check_logs(Archive(settings.segments), keys)
    contradictions = Contradictions(settings.contradictions).count()
    if as_json:
        found = {"name": settings.name, "contradictions": contradictions, "logs": [asdict(log) for log in logs]}
        print(json.dumps(found, ensure_ascii=False))
    else:
        for log in logs:
            erased = f", {log.erased} erased" if log.erased else ""
            print(f"{'✗' if log.broken else '✓'} {log.origin}: {log.entries} entries{erased}  {log.broken}".rstrip())
        print(f"{len(logs)} logs, {sum(log.entries for log in logs)} entries, {contradictions} contradictions")
    return BROKEN if contradictions or any(log.broken for log in logs) else SOUND


async def _run(settings: MirrorSettings, *, once: bool, takes_erased: bool) -> int:
    from cloud.mirror.cloud_client import CloudClient
    from cloud.mirror.contradictions import Contradictions
    from cloud.mirror.keys import open_key_book
    from cloud.mirror.mirror import Mirror
    from cloud.segments import Archive
    from cloud.settings import read_secret
    from cloud.super_log import open_super_key

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    archive = Archive(settings.segments)
    archive.lock()
    cloud = CloudClient(settings.cloud_url, read_secret(settings.token_file))
    mirror = Mirror(
        name=settings.name,
        key=open_super_key(settings.key_file, "copy key"),
        cloud=cloud,
        archive=archive,
        contradictions=Contradictions(settings.contradictions),
        keys=open_key_book(pinned=settings.pinned, trust=settings.trust, rpc_url=settings.rpc_url),
        acknowledge_seconds=settings.acknowledge_seconds,
        rng=random.Random(),
        now_ms=lambda: time.time_ns() // 1_000_000,
        takes_erased=takes_erased,
        trust=settings.trust,
    )
    work = asyncio.create_task(
        _catch_up(mirror) if once else mirror.run(pause_seconds=settings.pause_seconds, say=_say)
    )
    loop = asyncio.get_running_loop()

    def stop() -> None:
        end_process_within(_END_SECONDS)
        work.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    _say(f"mirror: ready {settings.name}")
    try:
        with suppress(asyncio.CancelledError):
            await work
    finally:
        await cloud.close()
        archive.unlock()
    return BROKEN if Contradictions(settings.contradictions).count() else SOUND


async def _catch_up(mirror: "Mirror") -> None:
    while True:
        done = await mirror.round()
        if not done.entries and not done.audit_heads:
            return


def _say(line: str) -> None:
    print(line, flush=True)
