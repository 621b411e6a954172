"""Two cheats in the cloud's database: change a reading, drop one. Whoever runs the cloud could do both in a second."""

from __future__ import annotations

import json

from provisioning.demo.cheats.report import CheatReport, Notice
from provisioning.demo.cheats.scene import Scene

__all__ = ["change_a_reading", "drop_a_reading"]

_UNIT = "b07-0502"
_MORE_WH = 5_000
_PAGE = 1_000


async def change_a_reading(scene: Scene) -> CheatReport:
    """Raise the closing reading of a flat by 5 kWh, where the cloud keeps it."""
    entry = scene.closing_entry(_UNIT)
    before, _ = await scene.verify(await scene.evidence(entry.index), "change-before")
    _set_value(scene, entry.log_id, entry.index, entry.value + _MORE_WH)
    try:
        verdict, noticed = await scene.verify(await scene.evidence(entry.index), "change-after")
    finally:
        _set_value(scene, entry.log_id, entry.index, entry.value)
    again, _ = await scene.verify(await scene.evidence(entry.index), "change-repaired")
    return CheatReport(
        before=f"{_UNIT}, {entry.quantity}: {entry.value} Wh, {before['state']}",
        after=f"{entry.value + _MORE_WH} Wh in the cloud's database, {verdict['state'] or 'broken'}",
        noticed=tuple(noticed),
        repaired=f"{entry.value} Wh again, {again['state']}",
    )


async def drop_a_reading(scene: Scene) -> CheatReport:
    """Delete the closing reading of a flat from the cloud's database."""
    entry = scene.closing_entry(_UNIT)
    saved = await scene.evidence(entry.index)
    size = json.loads(saved)["log"]["size"]
    with scene.cloud_database() as database:
        columns = [row[1] for row in database.execute("PRAGMA table_info(entries)")]
        where = "WHERE log_id = ? AND entry_index = ?"
        row = database.execute(f"SELECT * FROM entries {where}", (entry.log_id, entry.index)).fetchone()  # noqa: S608
        database.execute(f"DELETE FROM entries {where}", (entry.log_id, entry.index))  # noqa: S608 - a constant
    try:
        answer = await scene.ask_cloud(f"/v1/evidence/{scene.origin}/{entry.index}")
        missing = await _first_missing(scene, entry.index)
        verdict, _ = await scene.verify(saved, "drop-saved")
    finally:
        marks = ", ".join("?" * len(columns))
        with scene.cloud_database() as database:
            database.execute(f"INSERT INTO entries VALUES ({marks})", row)  # noqa: S608 - question marks only
    noticed = []
    if missing is not None:
        noticed.append(
            Notice(
                who="anyone who reads the log",
                check="gapless index",
                says=f"entry {missing} is missing, yet the gateway signed for {size} entries",
            )
        )
    if verdict["state"] in ("anchored", "final") and answer.code != 200:
        noticed.append(
            Notice(
                who="minglou verify",
                check="inclusion",
                says=f"the file that the owner saved still proves the reading ({verdict['state']})",
            )
        )
    again, _ = await scene.verify(await scene.evidence(entry.index), "drop-repaired")
    return CheatReport(
        before=f"entry {entry.index}: {_UNIT}, {entry.quantity}, {entry.value} Wh",
        after=f"deleted; the cloud answers {answer.code} {answer.json().get('error', '')}".strip(),
        noticed=tuple(noticed),
        repaired=f"entry {entry.index} is back, {again['state']}",
    )


async def _first_missing(scene: Scene, near: int) -> int | None:
    """The first index that the cloud's listing skips around `near`."""
    start = max(0, near - _PAGE // 2)
    answer = await scene.ask_cloud(f"/v1/logs/{scene.origin}/entries?from={start}&count={_PAGE}")
    indices = [int(row["index"]) for row in answer.json().get("entries", [])]
    return next((expected for expected, index in enumerate(indices, start=start) if index != expected), None)


def _set_value(scene: Scene, log_id: int, index: int, value: int) -> None:
    with scene.cloud_database() as database:
        database.execute("UPDATE entries SET value = ? WHERE log_id = ? AND entry_index = ?", (value, log_id, index))
