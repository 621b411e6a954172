"""A bill with everything that checks it, for one file: each line with its readings' evidence, and the site's roots."""

import json

from cloud.billing.kept import read_bill
from cloud.questions.line_readings import LineReadingQuestions
from cloud.web.answers import BillLine, BillOnPaper, Person
from contracts.bill_file import bill_to_json
from contracts.bill_papers import format_bill_papers, papers_of

__all__ = ["PaperQuestions"]


class PaperQuestions(LineReadingQuestions):
    """The viewer's own bill, to be printed."""

    async def bill_on_paper(self, viewer: Person, door: str, period: str) -> BillOnPaper | None:
        place = await self._closed(viewer, door, period)
        if place is None:
            return None
        unit, closed, roll = place
        assert self.view is not None and self.cloud.chain is not None
        view, deployment = self.view, self.cloud.chain.deployment
        async with self.store.glance() as connection:
            proof = await read_bill(connection, view, deployment, closed.period, roll.index)
            if proof is None:
                return None
            lines = [
                line
                for number in range(len(proof.bill.lines))
                for line in await self._told(connection, view, closed, proof.bill, number, viewer)
            ]
        papers = papers_of([(await self._evidence_of_line(viewer, line), line.key_proof) for line in lines])
        return BillOnPaper(
            bill=self._whole(view, unit, closed, proof.bill, tuple(lines)),
            file=json.dumps(bill_to_json(proof), separators=(",", ":")).encode(),
            readings=format_bill_papers(papers),
            trust=await self.trust_file(),
        )

    async def _evidence_of_line(self, viewer: Person, line: BillLine) -> list[bytes]:
        """Of its boundary entries. Readings between them, which price by the hour, are thousands: its page has them."""
        found = [await self.evidence_of(viewer, reading.origin, reading.index) for reading in line.evidence]
        return [file for file in found if file is not None]  # None: erased by now
