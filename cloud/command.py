"""`minglou cloud`: serve, migrate, rebuild. Loads the web server and the database only when one of them runs."""

import argparse
import asyncio
import sys
from pathlib import Path

from cloud.errors import CloudError
from cloud.settings import load_settings

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The sub-commands of `minglou cloud`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, says in (
        ("serve", "receive, store, anchor and answer, until SIGTERM"),
        ("migrate", "bring the database to this program's schema"),
        ("rebuild", "fill a fresh database from segments and chain; 0 if it is the present one, or a lost one is back"),
    ):
        action = actions.add_parser(name, help=says, description=says)
        action.add_argument("--config", type=Path, required=True, metavar="FILE", help="settings (TOML)")
        if name == "rebuild":
            action.add_argument(
                "--into", metavar="URL", help="the fresh database (default: rebuilt.sqlite3 in data_dir)"
            )


def run(arguments: argparse.Namespace) -> int:
    """Run one sub-command; 0 for success, 2 for wrong settings."""
    try:
        settings = load_settings(arguments.config)
        if arguments.action == "serve":
            from cloud.serving import serve

            return serve(settings)
        if arguments.action == "rebuild":
            from cloud.rebuild.rebuild import run_rebuild

            return asyncio.run(run_rebuild(settings, arguments.into))
        asyncio.run(_migrate(settings.store_url))
        print(f"{settings.store_url}: at the newest revision")
    except CloudError as error:
        print(f"minglou cloud: {error}", file=sys.stderr)
        return 2
    return 0


async def _migrate(url: str) -> None:
    from cloud.store import Store

    store = Store(url)
    try:
        await store.migrate()
    finally:
        await store.close()
