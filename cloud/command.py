"""`minglou cloud`: serve, migrate, rebuild, export. Loads web server and database only when one of them runs."""

import argparse
import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cloud.errors import CloudError
from cloud.settings import CloudSettings, load_settings

__all__ = ["add_arguments", "run"]

_EXPORTS = ("readings", "bills", "bill-lines", "payments", "visits", "anchors", "anomalies")


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
    _add_export(actions)


def _add_export(actions: Any) -> None:
    says = "a table as CSV, XLSX or Parquet, each row with the place where it can be checked"
    action = actions.add_parser("export", help=says, description=says)
    action.add_argument("what", choices=_EXPORTS, metavar="TABLE", help=", ".join(_EXPORTS))
    action.add_argument("--config", type=Path, required=True, metavar="FILE", help="settings (TOML)")
    action.add_argument("--out", type=Path, required=True, metavar="FILE", help="ends in .csv, .xlsx or .parquet")
    for word, which in (("--from", "from this instant on"), ("--to", "before this instant")):
        action.add_argument(word, type=_instant, metavar="UTC", help=f"rows {which}, such as 2026-11-01")
    action.add_argument("--boundaries", action="store_true", help="of readings only what bills rest on")


def _instant(text: str) -> int:
    at = datetime.fromisoformat(text)
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)


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
        if arguments.action == "export":
            return asyncio.run(_export(settings, arguments))
        asyncio.run(_migrate(settings.store_url))
        print(f"{settings.store_url}: at the newest revision")
    except CloudError as error:
        print(f"minglou cloud: {error}", file=sys.stderr)
        return 2
    return 0


async def _export(settings: CloudSettings, arguments: argparse.Namespace) -> int:
    from cloud.exports.command import run_export
    from cloud.exports.portion import Asked

    asked = Asked(from_ms=getattr(arguments, "from"), to_ms=arguments.to, boundaries_only=arguments.boundaries)
    size = await run_export(settings, arguments.what, arguments.out, asked)
    print(f"{arguments.out}: {size} bytes")
    return 0


async def _migrate(url: str) -> None:
    from cloud.store import Store

    store = Store(url)
    try:
        await store.migrate()
    finally:
        await store.close()
