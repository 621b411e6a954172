"""Restoring an old copy of the gateway's log: what a burglar with a disk image would do to make readings vanish."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

from provisioning.demo.cheats.report import CheatReport, Notice
from provisioning.demo.cheats.scene import Scene
from provisioning.demo.errors import DemoError

__all__ = ["copy_log", "restore_old_log"]

_WAIT_SECONDS = 25.0


def copy_log(data: Path, copy: Path) -> int:
    """Copy the gateway's log as it is now, consistently, while it runs; the number of entries that it signs for."""
    copy.unlink(missing_ok=True)
    source = sqlite3.connect(f"file:{data / 'e0.sqlite3'}?mode=ro", uri=True, timeout=15)
    target = sqlite3.connect(copy)
    try:
        source.backup(target)
    finally:
        source.close()
        target.close()
    return _count(copy)


async def restore_old_log(scene: Scene) -> CheatReport:
    """Stop the gateway, put an old log in place of the present one, and start it."""
    data = scene.places.gateway / "data"
    old = scene.places.gateway / "old-e0.sqlite3"
    if not old.exists():
        raise DemoError("there is no old copy of the gateway's log yet; it is taken in the middle of the month")
    gateway = scene.supervisor.children["gateway"]
    aside = scene.places.gateway / "aside"
    await gateway.stop()
    present = _count(data / "e0.sqlite3")
    _move_logs(data, aside)
    said = None
    try:
        shutil.copyfile(old, data / "e0.sqlite3")
        past = gateway.program.log.stat().st_size
        await gateway.start()
        said = await scene.until(gateway.program.log, "epoch e1 opened", after=past, seconds=_WAIT_SECONDS)
        held = (await scene.ask_cloud(f"/v1/logs/{scene.origin}")).json().get("size")
    finally:
        await gateway.stop()
        for file in data.glob("e*.sqlite3*"):
            file.unlink()
        _move_logs(aside, data)
        await gateway.start()
    noticed = [] if said is None else [Notice(who="gateway", check="own signature over a larger log", says=said)]
    return CheatReport(
        before=f"the gateway's log holds {present} entries",
        after=f"a log of {_count(old)} entries in its place; the cloud still holds {held}",
        noticed=tuple(noticed),
        repaired=f"the log of {_count(data / 'e0.sqlite3')} entries is back, and goes on",
    )


def _move_logs(source: Path, target: Path) -> None:
    target.mkdir(exist_ok=True)
    for file in source.glob("e*.sqlite3*"):
        file.replace(target / file.name)


def _count(path: Path) -> int:
    """Entries that the log's newest checkpoint signs for."""
    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=15)
    try:
        return int(database.execute("SELECT MAX(size) FROM checkpoint").fetchone()[0] or 0)
    finally:
        database.close()
