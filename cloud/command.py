"""`minglou cloud`: up, serve, migrate, rebuild, back up, export. Loads web server and database only where needed."""

import argparse
import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cloud import up
from cloud.errors import CloudError
from cloud.hang_up import holding_hang_ups
from cloud.settings import CloudSettings, load_settings

__all__ = ["add_arguments", "run"]

_EXPORTS = ("readings", "bills", "bill-lines", "payments", "visits", "anchors", "anomalies")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The sub-commands of `minglou cloud`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, says in (
        ("serve", "receive, store, anchor and answer, until SIGTERM"),
        ("migrate", "bring the database to this program's schema"),
        ("retain", "erase down to their hashes what was kept long enough; may be stopped, and goes on next time"),
        ("erase", "erase single entries, or a unit's, down to their hashes because somebody asked for it"),
        ("seal", "seal readings that were stored before there were keys; may be stopped, and goes on next time"),
        ("rebuild", "fill a fresh database from segments and chain; 0 if it is the present one, or a lost one is back"),
    ):
        action = actions.add_parser(name, help=says, description=says)
        if name == "serve":
            _add_serve(action)
            continue
        action.add_argument("--config", type=Path, required=True, metavar="FILE", help="settings (TOML)")
        if name == "erase":
            _add_erase(action)
        if name == "rebuild":
            action.add_argument(
                "--into", metavar="URL", help="the fresh database (default: rebuilt.sqlite3 in data_dir)"
            )
    _add_export(actions)
    _add_backup(actions)
    up.add_arguments(actions)


def _add_serve(action: argparse.ArgumentParser) -> None:
    where = action.add_mutually_exclusive_group(required=True)
    says = "settings (TOML) of a site; again for each other site that this process serves"
    where.add_argument("--config", type=Path, action="append", metavar="FILE", help=says)
    says = "a folder with the settings of each site as NAME.toml; SIGHUP reads it again"
    where.add_argument("--sites", type=Path, metavar="DIR", help=says)


def _add_backup(actions: Any) -> None:
    for name, says in (
        ("backup", "the store of one moment and the segments, into a new folder, while the cloud goes on"),
        ("restore", "bring a backup back into an empty database and an empty folder of segments"),
        ("drill", "back up, restore beside, and hold every row against the moment; 0 if all came back the same"),
    ):
        action = actions.add_parser(name, help=says, description=says)
        if name == "restore":
            action.add_argument("folder", type=Path, metavar="BACKUP", help="one backup's folder")
        action.add_argument("--config", type=Path, required=True, metavar="FILE", help="settings (TOML)")
        if name == "backup":
            action.add_argument("--to", type=Path, required=True, metavar="DIR", help="holds a folder for each backup")
        if name == "drill":
            action.add_argument("--into", metavar="URL", help="an empty database (default: one is made, and dropped)")
        action.add_argument("--programs", type=Path, metavar="DIR", help="of pg_dump and pg_restore, if not on PATH")


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


def _add_erase(action: argparse.ArgumentParser) -> None:
    what = action.add_mutually_exclusive_group(required=True)
    what.add_argument("--entry", metavar="ORIGIN/INDEX", help="one entry")
    what.add_argument("--unit", metavar="NAME", help="all that a unit's own meters told, but for what bills rest on")
    action.add_argument("--reason", required=True, help="for the record, without a person's name")


def run(arguments: argparse.Namespace) -> int:
    """Run one sub-command; 0 for success, 2 for wrong settings."""
    try:
        if arguments.action == "up":
            return up.run_up(arguments)
        if arguments.action == "serve":
            return _serve(arguments)
        settings = load_settings(arguments.config)
        if arguments.action in ("retain", "erase", "seal"):
            return _look_after(arguments, settings)
        if arguments.action == "rebuild":
            from cloud.rebuild.rebuild import run_rebuild

            return asyncio.run(run_rebuild(settings, arguments.into))
        if arguments.action in ("backup", "restore", "drill"):
            from cloud.backup.command import run_backup

            return asyncio.run(run_backup(settings, arguments))
        if arguments.action == "export":
            return asyncio.run(_export(settings, arguments))
        asyncio.run(_migrate(settings.store_url))
        print(f"{_shown(settings.store_url)}: at the newest revision")
    except CloudError as error:
        print(f"minglou cloud: {error}", file=sys.stderr)
        return 2
    return 0


def _serve(arguments: argparse.Namespace) -> int:
    with holding_hang_ups():  # what follows is slow
        from cloud.serving import serve
        from cloud.sites import SiteFiles

        return serve(SiteFiles(named=tuple(arguments.config or ()), folder=arguments.sites))


async def _export(settings: CloudSettings, arguments: argparse.Namespace) -> int:
    from cloud.exports.command import run_export
    from cloud.exports.portion import Asked

    asked = Asked(from_ms=getattr(arguments, "from"), to_ms=arguments.to, boundaries_only=arguments.boundaries)
    size = await run_export(settings, arguments.what, arguments.out, asked)
    print(f"{arguments.out}: {size} bytes")
    return 0


def _look_after(arguments: argparse.Namespace, settings: CloudSettings) -> int:
    from cloud.retention.command import run_erase, run_retain, run_seal

    if arguments.action != "erase":
        return asyncio.run((run_retain if arguments.action == "retain" else run_seal)(settings))
    return asyncio.run(run_erase(settings, entry=arguments.entry, unit=arguments.unit, reason=arguments.reason))


def _shown(url: str) -> str:
    from sqlalchemy.engine import make_url

    return make_url(url).render_as_string(hide_password=True)


async def _migrate(url: str) -> None:
    from cloud.store import Store

    store = Store(url)
    try:
        await store.migrate()
    finally:
        await store.close()
