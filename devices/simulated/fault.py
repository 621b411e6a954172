"""Faults that a test, or whoever shows the building, asks for: counted down as they happen."""

from dataclasses import dataclass
from enum import StrEnum

from devices.errors import BuildingError


class Fault(StrEnum):
    """What can go wrong at one meter."""

    SILENT = "silent"  # no answer
    NOISE = "noise"  # garbage before the answer, which is damaged
    BACKWARDS = "backwards"  # the register shows less than before
    LATE = "late"  # the answer comes when nobody waits any more
    DOUBLED = "doubled"  # the answer comes twice
    CUT = "cut"  # the answer stops half way


@dataclass(slots=True)
class _Planned:
    fault: Fault
    left: int


class Faults:
    """The planned faults by device."""

    def __init__(self) -> None:
        self._planned: dict[str, _Planned] = {}

    def plan(self, device: str, fault: str, count: int) -> None:
        """Let the next `count` answers of a device go wrong; `none` ends what was planned.

        Raises:
            BuildingError: no such fault, or a count outside 1 to 1,000,000.
        """
        if fault == "none":
            self._planned.pop(device, None)
            return
        if fault not in Fault.__members__.values() or not 1 <= count <= 1_000_000:
            raise BuildingError(f"fault {fault!r} x {count}: write one of none, {', '.join(Fault)} and a count")
        self._planned[device] = _Planned(Fault(fault), count)

    def take(self, device: str) -> Fault | None:
        """The fault that this answer is to have; counts it."""
        planned = self._planned.get(device)
        if planned is None:
            return None
        planned.left -= 1
        if not planned.left:
            del self._planned[device]
        return planned.fault
