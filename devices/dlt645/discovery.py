"""Finds the meters on a bus: asks with wildcards, and names more digits wherever several answered at once.

A wildcard question that several meters answer gives garbage. So the low digits are named two by two: silence ends a
branch, one clean answer is a meter, garbage opens the hundred branches below.
"""

from collections import deque

from devices.dlt645.frame import WILDCARD_ADDRESS
from devices.dlt645.request import Answered, NoAnswer, Outcome, ReadData

ADDRESS_DATA_ID = "04000401"
PAIRS = tuple(f"{number:02d}" for number in range(100))


class Discovery:
    """Ask `request` until it is None, handing each outcome to `take`; `found` holds the addresses, in order of finding.

    A meter that answers with its address is found even if its answer drowned others out; so the branch of a clean
    answer is searched too when `is_thorough`.
    """

    __slots__ = ("_endings", "_found", "is_thorough", "request")

    def __init__(self, *, is_thorough: bool = False) -> None:
        self.is_thorough = is_thorough
        self._endings = deque([""])
        self._found: dict[str, None] = {}
        self.request: ReadData | None = None
        self._next()

    @property
    def found(self) -> tuple[str, ...]:
        return tuple(self._found)

    def take(self, outcome: Outcome) -> None:
        """The outcome of `request`; sets the next one."""
        asked = self.request
        assert asked is not None and outcome.request is asked, "outcome of another question"
        ending = asked.address.lstrip("A")
        is_crowded = isinstance(outcome, NoAnswer) and outcome.is_collision
        if not isinstance(outcome, NoAnswer):
            self._found[outcome.address] = None
            is_crowded = self.is_thorough or (isinstance(outcome, Answered) and len(outcome.data) != 6)
        if is_crowded and len(ending) < len(WILDCARD_ADDRESS):
            self._endings.extend(pair + ending for pair in PAIRS)
        self._next()

    def _next(self) -> None:
        self.request = None
        if self._endings:
            ending = self._endings.popleft()
            self.request = ReadData(address=ending.rjust(len(WILDCARD_ADDRESS), "A"), data_id=ADDRESS_DATA_ID)
