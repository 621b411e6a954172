"""Altering a bill after it was posted: ten yuan less for a friend, where the cloud keeps the file that he downloads."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from cloud.identity.vault import Vault, open_vault
from cloud.store.sealing import BILLS
from contracts.bill import LINE_BYTES, LineKind, decode_line
from provisioning.demo.calendar import period_number
from provisioning.demo.cheats.report import CheatReport, Notice
from provisioning.demo.cheats.scene import Scene
from provisioning.demo.commands import try_command
from provisioning.demo.errors import DemoError
from provisioning.demo.programs import node_program

__all__ = ["alter_a_bill"]

_UNIT = "b07-0502"
_LESS_FEN = 1_000
_SALT_BYTES = 16
_CHECKER = Path(__file__).resolve().parents[3] / "contracts" / "js" / "command.js"
_FAILED = re.compile(r"^✗ (\S+)\s+(.*)$", re.MULTILINE)


async def alter_a_bill(scene: Scene) -> CheatReport:
    """Take ten yuan off a flat's own line and total, so that the bill adds up within itself, and check it again."""
    index = next(unit.index for unit in scene.site.units if unit.name == _UNIT)
    true = await _file(scene, index)
    unit, kept = _read(scene, index)
    code, _ = await _check(scene, true, "bill-before")
    with _keys(scene) as keys:  # whoever runs the cloud holds them
        (content,) = keys.unseal(BILLS, [(unit, kept)])
        (cheaper,) = keys.seal(BILLS, [(unit, _cheaper(content))])
    _write(scene, index, cheaper)
    try:
        altered = await _file(scene, index)
        _, failed = await _check(scene, altered, "bill-after")
    finally:
        _write(scene, index, kept)
    repaired = await _file(scene, index)
    again, _ = await _check(scene, repaired, "bill-repaired")
    return CheatReport(
        before=f"{_UNIT}: {_yuan(json.loads(true))} yuan, {'checks' if code == 0 else 'does not check'}",
        after=f"{_yuan(json.loads(altered))} yuan in the cloud's database",
        noticed=tuple(failed),
        repaired=f"{_yuan(json.loads(repaired))} yuan again, {'checks' if again == 0 else 'does not check'}",
    )


async def _check(scene: Scene, file: str, name: str) -> tuple[int, list[Notice]]:
    """What the owner's own checker says, the script that his browser runs, here under node."""
    node = node_program()
    if node is None:
        raise DemoError("node is not installed; run `make install`")
    path = scene.places.root / "evidence" / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(file)
    outcome = await try_command(
        (str(node), str(_CHECKER), str(path), "--trust", str(scene.places.trust_file), "--rpc", scene.rpc_url),
        directory=scene.places.root,
    )
    if outcome.code not in (0, 1):
        raise DemoError(f"the bill checker could not run: {outcome.said}")
    failed = [Notice(who="owner's checker", check=name, says=says) for name, says in _FAILED.findall(outcome.stdout)]
    return outcome.code, failed


def _cheaper(content: bytes) -> bytes:
    """What the cloud keeps of a bill, its salt and its lines, with less on the flat's own line."""
    lines = [content[at : at + LINE_BYTES] for at in range(_SALT_BYTES, len(content), LINE_BYTES)]
    place = next((at for at, line in enumerate(lines) if decode_line(line).kind is LineKind.OWN), None)
    if place is None or (own := decode_line(lines[place])).amount < _LESS_FEN:
        raise DemoError(f"the bill of {_UNIT} has no own line of {_LESS_FEN} fen or more")
    lines[place] = replace(own, amount=own.amount - _LESS_FEN).encode()
    return content[:_SALT_BYTES] + b"".join(lines)


async def _file(scene: Scene, index: int) -> str:
    """The bill as an owner downloads it: the cloud makes the file of what it keeps."""
    answer = await scene.ask_cloud(f"/v1/bills/{period_number(scene.state.month)}/units/{index}")
    if answer.code != 200:
        raise DemoError(f"the cloud shows no bill of {_UNIT}: {answer.body.decode(errors='replace')[:300]}")
    return answer.body.decode()


def _read(scene: Scene, index: int) -> tuple[bytes, bytes]:
    """The unit's name in the store, and its bill as it lies there, sealed."""
    with scene.cloud_database() as database:
        row = database.execute(
            "SELECT unit, content FROM posted_bills WHERE period = ? AND unit_index = ?",
            (period_number(scene.state.month), index),
        ).fetchone()
    if row is None:
        raise DemoError(f"the cloud holds no bill of {_UNIT} yet; let the month be billed first")
    return bytes(row[0]), bytes(row[1])


@contextmanager
def _keys(scene: Scene) -> Iterator[Vault]:
    folder = scene.places.cloud / "data" / "keys"
    with closing(open_vault(folder, folder / "master.key")) as vault:
        yield vault


def _write(scene: Scene, index: int, content: bytes) -> None:
    with scene.cloud_database() as database:
        database.execute(
            "UPDATE posted_bills SET content = ? WHERE period = ? AND unit_index = ?",
            (content, period_number(scene.state.month), index),
        )


def _yuan(bill: dict[str, Any]) -> str:
    return f"{int(bill['amounts']['total']) / 100:.2f}"
