"""What pages ask: a protocol that the cloud's store implements and the tests' fixture too.

A `viewer` is the signed-in person, or None for the public. An implementation filters by viewer and answers None for
what is not theirs; pages say 404 to both, so that nobody learns that another household's thing exists.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Protocol

from cloud.web.answers import (
    Balance,
    Bill,
    BillOnPaper,
    BillSummary,
    ChallengeRequest,
    ChallengeTerms,
    DayPoint,
    LineReadings,
    Person,
    Reading,
    RelayAnswer,
    Site,
    Title,
    Unit,
)
from cloud.web.device_answers import Lift, LiftSummary, Oversight, PublicDevice, Scanned, Work, WorkOrder
from cloud.web.repair_answers import Repair, RepairAnswer, RepairForm
from cloud.web.swap_answers import MeterSwapAnswer, SwapRequest


class Questions(Protocol):
    """Everything that a page may ask. Only SHA-256 digests of sign-in tokens and sessions are ever stored."""

    async def redeem_sign_in(self, token_digest: bytes, now_ms: int) -> Person | None:
        """Who a one-time token belongs to, marking it used in the same transaction; None if unknown, used or old."""

    async def open_session(
        self, session_digest: bytes, person: Person, now_ms: int, *, replaces: bytes | None = None
    ) -> None:
        """Keep a session; one that takes another's place ends when that would have."""

    async def person_of_session(self, session_digest: bytes, now_ms: int) -> Person | None: ...

    async def close_session(self, session_digest: bytes, now_ms: int) -> None: ...

    async def unit(self, viewer: Person, door: str) -> Unit | None: ...

    async def flat(self, viewer: Person, door: str) -> Title | None:
        """The name of a unit whose bills the viewer opens; None for one that is not theirs."""

    async def bills(self, viewer: Person, door: str) -> Sequence[BillSummary]:
        """Newest first; empty for a unit that is not the viewer's."""

    async def bill(self, viewer: Person, door: str, period: str, *, line: int | None = None) -> Bill | None:
        """A bill with all its lines, as its page shows them; or with one (if there is such a line), as its own does."""

    async def bill_file(self, viewer: Person, door: str, period: str) -> bytes | None:
        """The `minglou-bill/1` JSON that the browser checks."""

    async def bill_on_paper(self, viewer: Person, door: str, period: str) -> BillOnPaper | None:
        """The same bill for printing, with the evidence of its readings and the site's roots."""

    async def line_readings(self, viewer: Person, door: str, period: str, line: int, first: int) -> LineReadings | None:
        """Some of the readings that share a line out by price, from the given one on; None for any other line."""

    async def reading(self, viewer: Person | None, origin: str, index: int) -> Reading | None: ...

    async def evidence_file(self, viewer: Person | None, origin: str, index: int) -> bytes | None:
        """The `minglou-evidence/1` JSON; lifts', gateways' and beacons' to everybody, a household's to its owner."""

    async def look_file(self, viewer: Person, index: int) -> bytes | None:
        """The `minglou-look/1` JSON of an audit log's entry that concerns the viewer's flat."""

    async def day_series(self, viewer: Person | None, origin: str, index: int) -> Sequence[DayPoint]:
        """Daily use of that entry's register around it, oldest first, at most 40 days; empty where it has none."""

    async def challenge_terms(self, viewer: Person, door: str, period: str, line: int) -> ChallengeTerms | None: ...

    async def relay_challenge(self, viewer: Person, request: ChallengeRequest) -> RelayAnswer:
        """Queue a signed challenge for the chain; the same digest twice is one challenge."""

    async def bills_and_swaps(
        self, viewer: Person, door: str
    ) -> tuple[Sequence[BillSummary], Sequence[MeterSwapAnswer]]:
        """A unit's bills as `bills` lists them, and the swaps of its meters, for its owner alone, newest first."""

    async def meter_swap(self, viewer: Person, door: str, visit: bytes) -> MeterSwapAnswer | None: ...

    async def meter_swap_file(self, viewer: Person, door: str, visit: bytes) -> bytes | None:
        """The `minglou-meter-swap/1` that the page signs."""

    async def meter_swap_photo(self, viewer: Person, door: str, visit: bytes, name: bytes) -> tuple[str, bytes] | None:
        """The photograph of one of the two registers: media type and bytes."""

    async def relay_meter_swap(self, viewer: Person, request: SwapRequest) -> RelayAnswer:
        """Bring both signatures to the chain."""

    async def lifts(self, viewer: Person | None = None) -> Sequence[LiftSummary]:
        """Every lift; for a household those of its building, and those that belong to none."""

    async def lift(self, name: str) -> Lift | None: ...

    async def overdue_days(self) -> Mapping[str, int]:
        """Lifts whose visit is overdue, by name, and by how many days."""

    async def device(self, name: str) -> PublicDevice | None:
        """A device that is neither a lift nor a household's."""

    async def scanned(self, code: str) -> Scanned | None:
        """What the code on a device leads to; None for one that nothing here carries."""

    async def may_report(self, who: bytes) -> bool:
        """Count one more report of a fault from an address; whether it is still within the limit."""

    async def report_fault(self, code: str, says: str) -> bool:
        """Keep what somebody wrote at the device that carries a code; False where nothing common does."""

    async def work(self, viewer: Person) -> Work | None:
        """For crews, their firms, and whoever looks after the site; None for everybody else."""

    async def order(self, viewer: Person, name: bytes) -> WorkOrder | None:
        """A repair on a device whose work the viewer sees."""

    async def balance(self, viewer: Person, last: date | None) -> Balance | None:
        """Sub-meters against their main meters over a month up to a day, the newest boundary by default; None for
        whoever shares none of them. Owners see their building's, where enough households hang on it.
        """

    async def trust_file(self) -> bytes: ...

    async def site(self, viewer: Person) -> Site | None:
        """For manager and committee; None for everybody else."""

    async def repair_form(self, viewer: Person, door: str) -> RepairForm | None:
        """What the form of one flat offers; None for one that is not the viewer's."""

    async def repairs(self, viewer: Person) -> Sequence[Repair]:
        """A household's reports, the newest first."""

    async def repair(self, viewer: Person, name: bytes) -> Repair | None: ...

    async def report_repair(self, viewer: Person, door: str, detail: bytes, act: bytes | None) -> RepairAnswer:
        """Keep a report and relay what its owner signed, if anything."""

    async def tell_repair(self, viewer: Person, door: str, device: str, place: str, says: str) -> RepairAnswer:
        """Keep what a form without a signature says."""

    async def answer_repair(self, viewer: Person, name: bytes, detail: bytes | None, act: bytes) -> RepairAnswer:
        """Relay what an owner signed about finished work, or about a report that nobody has accepted."""

    async def add_repair_photo(self, viewer: Person, name: bytes, octets: bytes) -> RepairAnswer:
        """Keep the photograph of a report that has none."""

    async def repair_photo(self, viewer: Person, name: bytes) -> bytes | None:
        """A report's photograph, a JPEG; None for everybody whom it does not concern."""

    async def oversight(self, viewer: Person) -> Oversight | None:
        """For manager, committee and regulator; None for everybody else."""
