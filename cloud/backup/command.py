"""`minglou cloud backup`, `restore` and `drill`."""

import argparse
from pathlib import Path
from typing import Any

from cloud.backup.backup import take_backup
from cloud.backup.drill import drill
from cloud.backup.restore import restore
from cloud.settings import CloudSettings

__all__ = ["run_backup"]


async def run_backup(settings: CloudSettings, arguments: argparse.Namespace) -> int:
    """Run one of the three; 1 where a drill finds a difference."""
    run = {"backup": _backup, "restore": _restore, "drill": _drill}[arguments.action]
    return await run(settings, arguments)


async def _backup(settings: CloudSettings, arguments: Any) -> int:
    made = await take_backup(settings, arguments.to, programs=arguments.programs)
    print(f"{made.folder}: whole; {made.files} files, {made.bytes_new} bytes of them new")
    print("The keys are not in it: keep these elsewhere, mode 0600:")
    for path in (arguments.config.resolve(), *_secrets(settings)):
        print(f"  {path}")
    return 0


async def _restore(settings: CloudSettings, arguments: Any) -> int:
    url, segments = settings.store_url, settings.segments.folder
    document = await restore(arguments.folder, url=url, segments=segments, programs=arguments.programs, say=_say)
    print(
        f"Restored. Was anything signed after {document['taken_at']}? Then this is not the newest: witnesses and chain"
    )
    print(
        "know a larger super-log, and nothing is anchored until the newest stands here (docs/operations.md, Restore)."
    )
    return 0


async def _drill(settings: CloudSettings, arguments: Any) -> int:
    done = await drill(settings, into=arguments.into, programs=arguments.programs, say=_say)
    different = [one.table for one in done.tables if not one.is_same]
    if different:
        print(f"drill: NOT THE SAME: {', '.join(different)}; keep older backups and find out why before you need one")
        return 1
    rows = sum(one.rows_rebuilt for one in done.tables)
    print(f"drill: {rows} rows in {len(done.tables)} tables came back the same, and {done.frames} frames of segments")
    print(f"drill: {done.seconds:.1f} s")
    return 0


def _secrets(settings: CloudSettings) -> list[Path]:
    """Files that the settings name and that open something."""
    log = settings.ingest_log
    named = (
        settings.super_key_file,
        settings.relayer_key_file,
        settings.claims_file,
        settings.audit_key_file,
        log.password_file if log else None,
        log.key_file if log else None,
        settings.master_key_file,
        settings.keys_dir / "units.sqlite3",
    )
    others = [copy.token_file for copy in settings.copies] + [hook.secret_file for hook in settings.webhooks]
    return [path for path in (*named, *others) if path is not None]


def _say(line: str) -> None:
    print(line, flush=True)
