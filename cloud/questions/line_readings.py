"""The readings between boundaries that share a line out by price, each with its evidence, for who checks the line."""

from cloud.billing.derive import derive_lines
from cloud.questions.bills import BillQuestions
from cloud.questions.line_evidence import timed_places
from cloud.questions.readings import ReadingQuestions
from cloud.web.answers import LineReadings, Person
from contracts.bill import LineKind

__all__ = ["LineReadingQuestions"]

_AT_ONCE = 32
"""Files in one answer: some hundred kilobytes."""


class LineReadingQuestions(BillQuestions, ReadingQuestions):
    """Readings of one line of the viewer's own bill."""

    async def line_readings(self, viewer: Person, door: str, period: str, line: int, first: int) -> LineReadings | None:
        found = await self._posted(viewer, door, period)
        if found is None or self.view is None or not 0 <= line < len(found[2].lines) or first < 0:
            return None
        _, closed, posted = found
        if posted.lines[line].kind is not LineKind.INTERVAL:
            return None
        unit = self.view.roll[posted.unit_index]
        async with self.store.glance() as connection:
            (derivation,) = await derive_lines(
                connection, self.view, self.directory, period=closed.period, unit=unit, lines=posted.lines,
                numbers=[line],
            )  # fmt: skip
        places = timed_places(derivation)
        files = [
            file
            for origin, index in places[first : first + _AT_ONCE]
            if (file := await self.evidence_of(viewer, origin, index)) is not None  # None: erased by now
        ]
        after = first + _AT_ONCE
        return LineReadings(files=tuple(files), following=after if after < len(places) else None)
