"""What pages ask: a protocol that the cloud's store implements and the tests' fixture too.

A `viewer` is the signed-in person, or None for the public. An implementation filters by viewer and answers None for
what is not theirs; pages say 404 to both, so that nobody learns that another household's thing exists.
"""

from collections.abc import Sequence
from datetime import date
from typing import Protocol

from cloud.web.answers import (
    Balance,
    Bill,
    BillSummary,
    ChallengeRequest,
    ChallengeTerms,
    DayPoint,
    Lift,
    LiftSummary,
    LineReadings,
    Person,
    Reading,
    RelayAnswer,
    Site,
    Title,
    Unit,
)


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

    async def lifts(self) -> Sequence[LiftSummary]: ...

    async def lift(self, name: str) -> Lift | None: ...

    async def balance(self, viewer: Person, last: date | None) -> Balance | None:
        """Sub-meters against their main meters over a month up to a day, the newest boundary by default; None for
        whoever shares none of them. Owners see their building's, where enough households hang on it.
        """

    async def trust_file(self) -> bytes: ...

    async def site(self, viewer: Person) -> Site | None:
        """For manager and committee; None for everybody else."""
