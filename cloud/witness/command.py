"""`minglou witness`: watch logs and cosign them while they only grow; anyone can, with two files."""

import argparse
import asyncio
import logging
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from cloud.errors import CloudError
from cloud.witness.home import open_witness
from cloud.witness.settings import WitnessSettings, load_witness_settings
from cloud.witness.witness import Witness
from contracts.ending import end_process_within

if TYPE_CHECKING:
    from cloud.web_server import Server

__all__ = ["add_arguments", "run"]

_CONNECTIONS_MAX = 256
_GRACE_SECONDS = 5
_END_SECONDS = 25.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The sub-commands of `minglou witness`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, says in (
        ("run", "answer add-checkpoint requests until SIGTERM; key and state are made at the first start"),
        ("vkey", "print this witness's vkey, which whoever trusts it must know; key and state are made where missing"),
    ):
        action = actions.add_parser(name, help=says, description=says)
        action.add_argument("--config", type=Path, required=True, metavar="FILE", help="settings (TOML)")


def run(arguments: argparse.Namespace) -> int:
    """Run one sub-command; 0 for success, 2 for wrong settings or files."""
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
    try:
        settings = load_witness_settings(arguments.config)
        witness = open_witness(settings)
    except CloudError as error:
        print(f"minglou witness: {error}", file=sys.stderr)
        return 2
    print(witness.vkey, flush=True)
    if arguments.action == "run":
        asyncio.run(_serve(witness, settings))
    return 0


async def _serve(witness: Witness, settings: WitnessSettings) -> None:
    import uvicorn

    from cloud.web_server import Server
    from cloud.witness.app import build_witness_app

    config = uvicorn.Config(
        build_witness_app(witness, requests_per_second=settings.requests_per_second),
        host=settings.host,
        port=settings.port,
        log_config=None,
        log_level=logging.WARNING,
        access_log=False,
        lifespan="off",
        server_header=False,
        limit_concurrency=_CONNECTIONS_MAX,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    server = Server(config)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stop, server)
    await server.serve()


def _stop(server: "Server") -> None:
    end_process_within(_END_SECONDS)
    server.should_exit = True
