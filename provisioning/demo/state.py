"""What the launcher itself remembers between runs: where the demo is, its clock, its ports."""

from __future__ import annotations

import json
import socket
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from random import sample

from contracts.clock import DemoClock
from provisioning.demo.calendar import Month
from provisioning.demo.errors import DemoError
from provisioning.files import write_private
from provisioning.settings import Ports

__all__ = ["DemoState", "choose_ports", "read_state", "write_state"]

_FORMAT = "minglou-demo/1"
_WANTED = {
    "chain": 8545,
    "cloud": 8600,
    "control": 8601,
    "status": 8611,
    "endpoint": 8612,
    "broker": 8613,
    "committee_witness": 8621,
    "volunteer_witness": 8622,
    "regulator_witness": 8623,
}
# Below what kernels give to outgoing connections: one of these could take the port of a process that is down for a
# moment, and who knocks there until it is up again could even meet himself.
_ANY = range(20_000, 26_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoState:
    """One demo directory's state. `phase` only moves forward."""

    phase: str  # prepared, month, billed, live
    month: Month
    clock: DemoClock
    ports: Ports
    challenge_seconds: int
    padded_unit: str
    left_out: tuple[str, ...]  # kinds of device that this machine cannot run

    def at(self, phase: str) -> DemoState:
        """The same demo, one phase further."""
        return replace(self, phase=phase)


def read_state(path: Path) -> DemoState | None:
    """The state in the file, or None where no demo has been prepared.

    Raises:
        DemoError: the file is damaged.
    """
    if not path.exists():
        return None
    try:
        document = json.loads(path.read_text())
        if document["format"] != _FORMAT:
            raise ValueError(f"format {document['format']!r}")
        month = document["month"]
        return DemoState(
            phase=document["phase"],
            month=Month(
                opening=date.fromisoformat(month["opening"]),
                closing=date.fromisoformat(month["closing"]),
                opening_ms=month["opening_ms"],
                closing_ms=month["closing_ms"],
            ),
            clock=DemoClock(**document["clock"]),
            ports=Ports(**document["ports"]),
            challenge_seconds=document["challenge_seconds"],
            padded_unit=document["padded_unit"],
            left_out=tuple(document["left_out"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise DemoError(
            f"{path}: is damaged ({error}); delete the directory {path.parent} and start the demo anew"
        ) from error


def write_state(path: Path, state: DemoState) -> None:
    """Keep the state."""
    month = state.month
    document = {
        "format": _FORMAT,
        "phase": state.phase,
        "month": {
            "opening": month.opening.isoformat(),
            "closing": month.closing.isoformat(),
            "opening_ms": month.opening_ms,
            "closing_ms": month.closing_ms,
        },
        "clock": {
            "real_start_ms": state.clock.real_start_ms,
            "real_end_ms": state.clock.real_end_ms,
            "demo_start_ms": state.clock.demo_start_ms,
            "ahead_ms": state.clock.ahead_ms,
        },
        "ports": asdict(state.ports),
        "challenge_seconds": state.challenge_seconds,
        "padded_unit": state.padded_unit,
        "left_out": list(state.left_out),
    }
    write_private(path, json.dumps(document, indent=1).encode() + b"\n")


def choose_ports(last: Ports | None = None, *, usual: bool = True) -> Ports:
    """The last run's ports, where they are free, others where something listens; else the usual ones, or none of them:
    another demo has them, and one of its processes may be down for a moment.

    Args:
        usual: False takes any free ports: a run that nobody opens by hand must not meet another demo's.
    """
    taken: set[int] = set()
    chosen = {}
    are_usual = usual and last is None and all(_is_free(port) for port in _WANTED.values())
    for name, wanted in (_WANTED if last is None else asdict(last)).items():
        is_kept = are_usual or (last is not None and _is_free(wanted))
        chosen[name] = port = wanted if is_kept else _any_port(taken)
        taken.add(port)
    return Ports(**chosen)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _any_port(taken: set[int]) -> int:
    return next(port for port in sample(_ANY, len(_ANY)) if port not in taken and _is_free(port))
