"""A small world behind the pages: one owner, a padded bill, two lifts; its evidence and chain are real bytes.

Stands in for the cloud's store by the same protocol, so that pages can be looked at without a running site.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from hashlib import sha256
from typing import Any

from cloud.web.answers import (
    Balance,
    BalanceDay,
    BalanceStretch,
    Bill,
    BillLine,
    BillOnPaper,
    BillState,
    BillSummary,
    BusBalance,
    ChallengeRequest,
    ChallengeTerms,
    DayKind,
    DayPoint,
    Dispute,
    DisputeState,
    GatewaySummary,
    LineReadings,
    MeterStand,
    MonthSoFar,
    PeriodSummary,
    Person,
    Reading,
    ReadingRef,
    RelayAnswer,
    Role,
    SameDays,
    Share,
    Site,
    SiteDispute,
    Steps,
    TierPart,
    Title,
    Unit,
    WitnessSummary,
)
from cloud.web.device_answers import CalibrationDue, DeviceCare, DeviceVisit
from cloud.web.swap_answers import MeterSwapAnswer
from contracts import p256
from contracts.bill import Bill as LeafBill
from contracts.bill import BillProof, BillTree, Line, LineKind
from contracts.bill_file import bill_to_json
from contracts.bill_papers import format_bill_papers, papers_of
from contracts.evidence import format_evidence
from contracts.tariff import Counting, Terms
from contracts.trust import format_trust
from tests.cloud.web.device_world import LIFT_1, LIFT_INDEX, DeviceWorld
from tests.cloud.web.repair_world import RepairWorld
from tests.cloud.web.swap_world import SwapWorld
from tests.vectors.deployment import ORIGIN, TRUST, UNIT, Deployment

DOOR = "b07-0501"
OTHER_DOOR = "b07-0502"
PERIOD = "2026102320261127"
OPENING, CLOSING = date(2026, 10, 23), date(2026, 11, 27)
NOW_MS = 1_795_744_800_000  # 2026-11-27 10:00 in Shanghai
OWNER_SEED = sha256(b"owner 0501").digest()
OWNER_KEY = p256.key_from_secret(int.from_bytes(OWNER_SEED))
OPENING_INDEX, CLOSING_INDEX = 2, 9
USAGE_WH, PADDED_WH = 122_456, 162_456
TARIFF_PRICE = 53_800_000  # nanofen a Wh: 0.538 CNY a kWh
TERMS = Terms.tiered(quantity="1-0:1.8.0", tiers=[(None, TARIFF_PRICE)], counting=Counting.YEAR, document=bytes(32))
DAY_MS = 86_400_000
FEES = "0x" + TRUST.usage_fees.hex()
TARIFFS = "0x" + "7a" * 20
CHALLENGES = "0x" + "7c" * 20
PERIOD_VIEW, TARIFFS_VIEW, TARIFF_VIEW = "d4b08aee", "79073d58", "16b51928"
UNIT_AT_VIEW, UNIT_VIEW = "ca025796", "b9f07d39"
NAME_OF_ROLL = "373cdfb4" + b"roll".ljust(32, b"\0").hex()
OWN_VIEWS = (PERIOD_VIEW, TARIFFS_VIEW, TARIFF_VIEW, UNIT_AT_VIEW, UNIT_VIEW)

WITNESSES = (
    WitnessSummary(name="committee.example/w", size=6, has_cosigned=True, says=""),
    WitnessSummary(
        name="committee.of-the-owners.demo.minglou.example/witness",
        size=4,
        has_cosigned=False,
        says="cannot be reached; ask its keeper",
    ),
)
OWNER = Person(key="owner-0501", role=Role.OWNER, title=Title(zh="陈女士", en="Ms Chen"), units=(DOOR,))
NEIGHBOUR = Person(key="owner-0502", role=Role.OWNER, title=Title(zh="李先生", en="Mr Li"), units=(OTHER_DOOR,))
MANAGER = Person(key="manager", role=Role.MANAGER, title=Title(zh="物业经理", en="Property manager"))
COMMITTEE = Person(key="committee", role=Role.COMMITTEE, title=Title(zh="业主委员会", en="Owners' committee"))
CREW = Person(key="crew", role=Role.CREW, title=Title(zh="维保人员", en="Lift crew"))
PEOPLE = (OWNER, NEIGHBOUR, MANAGER, COMMITTEE, CREW)

FLAT = Title(zh="7幢 501室", en="Building 7, flat 501")
ELECTRICITY = Title(zh="电费", en="Electricity")
COMMON = Title(zh="公共用电", en="Common electricity")
POOL = Title(zh="楼道、电梯和水泵", en="Corridors, lifts and pumps")


def fen(usage_wh: int) -> int:
    """What the world's one-step tariff makes of a usage."""
    return (usage_wh * TARIFF_PRICE + 500_000_000) // 1_000_000_000


def word(value: bytes | int | str) -> bytes:
    """One 32-byte word of the bill tree."""
    if isinstance(value, str):
        return value.encode().ljust(32, b"\0")
    return value if isinstance(value, bytes) else value.to_bytes(32)


_SHAPE = (31, 28, 35, 40, 52, 61, 33, 30, 29, 36, 38, 55, 63, 31, 27, 30, 0, 34, 58, 66, 30, 28, 33, 35, 49, 60)
_HOW = {9: DayKind.DOUBTFUL, 10: DayKind.DOUBTFUL, 16: DayKind.MISSING, 20: DayKind.SPREAD, 21: DayKind.SPREAD}
DAYS = tuple(
    DayPoint(day=OPENING + timedelta(days=n), usage=None if value == 0 else value * 100, how=_HOW.get(n, DayKind.READ))
    for n, value in enumerate(_SHAPE)
)


@dataclass
class World(SwapWorld, DeviceWorld, RepairWorld):
    """The protocol's answers, and what has been done to them."""

    swap_owner: p256.PrivateKey = OWNER_KEY
    padded: bool = True
    deployment: Deployment = field(default_factory=Deployment)
    now_ms: int = NOW_MS
    tokens: dict[bytes, Person] = field(default_factory=dict)
    sessions: dict[bytes, tuple[Person, int]] = field(default_factory=dict)
    relayed: list[ChallengeRequest] = field(default_factory=list)
    dispute: Dispute | None = None
    refusal: RelayAnswer | None = None
    tampered: dict[int, bytes] = field(default_factory=dict)
    has_records: bool = True
    visits: tuple[DeviceVisit, ...] = ()  # of the first lift
    care: DeviceCare | None = None  # of it; None: all is well
    reported: list[tuple[str, str]] = field(default_factory=list)  # (code, words)
    calibrations: tuple[CalibrationDue, ...] = ()
    round_trips: int = 0  # that browsers made to the node

    # The doors.

    def token_of(self, person: Person) -> str:
        """A fresh sign-in token for somebody."""
        from cloud.web.session import new_token, token_digest

        token = new_token()
        digest = token_digest(token)
        assert digest is not None
        self.tokens[digest] = person
        return token

    async def redeem_sign_in(self, token_digest: bytes, now_ms: int) -> Person | None:
        return self.tokens.pop(token_digest, None)

    async def open_session(
        self, session_digest: bytes, person: Person, now_ms: int, *, replaces: bytes | None = None
    ) -> None:
        self.sessions[session_digest] = (person, now_ms + 30 * DAY_MS)

    async def person_of_session(self, session_digest: bytes, now_ms: int) -> Person | None:
        person, expires_at_ms = self.sessions.get(session_digest, (None, 0))
        return person if now_ms < expires_at_ms else None

    async def close_session(self, session_digest: bytes, now_ms: int) -> None:
        self.sessions.pop(session_digest, None)

    # The owner.

    def _owns(self, viewer: Person | None, door: str = DOOR) -> bool:
        return viewer is not None and viewer.role is Role.OWNER and door in viewer.units and door == DOOR

    async def unit(self, viewer: Person, door: str) -> Unit | None:
        if viewer == NEIGHBOUR and door == OTHER_DOOR:
            title = Title(zh="7幢 502室", en="Building 7, flat 502")
            return Unit(door=door, title=title, area_centi_m2=11260, balance_fen=None, months=(), registered_key=None)
        if not self._owns(viewer, door):
            return None
        since = {"opening": CLOSING - timedelta(days=12), "closing": CLOSING, "until_ms": self.now_ms - 36_000_000}
        electricity = MonthSoFar(
            quantity="1-0:1.8.0", title=ELECTRICITY, unit="Wh", usage=44_870, amount_fen=fen(44_870),
            is_estimated=False, steps=Steps(number=1, left=37_130, by_year=True, days_to_next=9),
            same=SameDays(days=12, usage=44_870, last_year=51_020, median=39_000, households=23),
            stood=MeterStand(origin=ORIGIN, index=CLOSING_INDEX, value=self.ref(CLOSING_INDEX).value), **since,
        )  # fmt: skip
        water = MonthSoFar(
            quantity="8-0:1.0.0", title=Title(zh="用水", en="Water"), unit="mL", usage=3_420_000, amount_fen=1_180,
            is_estimated=False, steps=None, stood=MeterStand(origin=ORIGIN, index=18, value=61_204_000),
            same=SameDays(days=12, usage=3_420_000, last_year=None, median=None, households=3), **since,
        )  # fmt: skip
        public = p256.public_bytes(OWNER_KEY).hex()
        return Unit(
            door=door, title=FLAT, area_centi_m2=8930, balance_fen=30_000, months=(electricity, water),
            registered_key=public,
        )  # fmt: skip

    def ref(self, index: int) -> ReadingRef:
        entry, _ = self.deployment.entries[index]
        unit = "Wh" if entry.quantity.startswith("1-0") else ""
        return ReadingRef(
            origin=ORIGIN,
            index=index,
            observed_at_ms=entry.observed_at_ms,
            quantity=entry.quantity,
            value=entry.value,
            unit=unit,
            state="final",
        )

    async def bills_and_swaps(
        self, viewer: Person, door: str
    ) -> tuple[Sequence[BillSummary], Sequence[MeterSwapAnswer]]:
        return await self.bills(viewer, door), await self.meter_swaps(viewer, door)

    async def bills(self, viewer: Person, door: str) -> list[BillSummary]:
        return [self._bill().summary] if self._owns(viewer, door) else []

    async def flat(self, viewer: Person, door: str) -> Title | None:
        unit = await self.unit(viewer, door)
        return None if unit is None else unit.title

    async def bill(self, viewer: Person, door: str, period: str, *, line: int | None = None) -> Bill | None:
        return self._bill() if self._owns(viewer, door) and period == PERIOD else None

    def _bill(self) -> Bill:
        usage = PADDED_WH if self.padded else USAGE_WH
        part = TierPart(
            number=1, from_wh=0, to_wh=2_760_000, used_wh=usage, price_nanofen_per_wh=TARIFF_PRICE,
            amount_fen=fen(usage),
        )  # fmt: skip
        own = BillLine(
            number=0, kind="own", title=ELECTRICITY, quantity="1-0:1.8.0", amount_fen=fen(usage), usage_wh=usage,
            signed_usage_wh=self.ref(CLOSING_INDEX).value - self.ref(OPENING_INDEX).value, meter_confirmed=True,
            opening=self.ref(OPENING_INDEX), closing=self.ref(CLOSING_INDEX), tiers=(part,), counts_from=OPENING,
            dispute=self.dispute, days=DAYS,
        )  # fmt: skip
        share = Share(
            pool=POOL, pool_usage_wh=412_000, pool_amount_fen=fen(412_000), key=8930, key_before=71_440,
            key_sum=242_280, key_is_area=True, all_shares_fen=fen(412_000), opening=None, closing=None,
        )  # fmt: skip
        common = BillLine(
            number=1, kind="shared", title=COMMON, quantity="1-0:1.8.0", amount_fen=self._share_fen(),
            usage_wh=412_000, signed_usage_wh=None, meter_confirmed=True, share=share,
        )  # fmt: skip
        state = BillState.DISPUTED if self.dispute else BillState.OPEN
        if self.dispute and self.dispute.state is DisputeState.WON:
            state = BillState.CORRECTED
        refund = self.dispute.refund_fen if self.dispute else 0
        total = own.amount_fen + common.amount_fen - refund
        summary = BillSummary(
            unit=DOOR, period=PERIOD, opening=OPENING, closing=CLOSING, total_fen=total, state=state
        )  # fmt: skip
        return Bill(
            summary=summary, unit_title=FLAT, posted_at_ms=self.now_ms - 5_400_000,
            window_ends_at_ms=self.now_ms + 7 * DAY_MS, lines=(own, common), transaction="0x" + "ab" * 32,
        )  # fmt: skip

    @staticmethod
    def _share_fen() -> int:
        total = fen(412_000)
        return total * (71_440 + 8930) // 242_280 - total * 71_440 // 242_280

    async def bill_file(self, viewer: Person, door: str, period: str) -> bytes | None:
        if not self._owns(viewer, door) or period != PERIOD:
            return None
        return json.dumps(self.bill_json()).encode()

    async def bill_on_paper(self, viewer: Person, door: str, period: str) -> BillOnPaper | None:
        if not self._owns(viewer, door) or period != PERIOD:
            return None
        bill = self._bill()
        files = [
            [
                self.tampered.get(ref.index, format_evidence(self.deployment.evidence(ref.index)))
                for ref in line.evidence
            ]
            for line in bill.lines
        ]
        papers = format_bill_papers(papers_of([(some, "") for some in files]))
        file = json.dumps(self.bill_json()).encode()
        return BillOnPaper(bill=bill, file=file, readings=papers, trust=await self.trust_file())

    def bill_json(self) -> dict[str, Any]:
        """The bill as unit 3 of 4, with its path in the tree of all bills."""
        return bill_to_json(self.proof())

    def proof(self) -> BillProof:
        """The owner's bill among its neighbours'."""
        meter = self.deployment.entries[OPENING_INDEX][0].device
        own, shared = self._bill().lines
        lines = (
            Line(
                kind=LineKind.OWN, subject=meter, quantity="1-0:1.8.0", tariff=1, since=20261023,
                from_date=20261023, to_date=20261127, usage=own.usage_wh, amount=own.amount_fen,
            ),
            Line(
                kind=LineKind.SHARED, subject=sha256(b"pool").digest(), quantity="1-0:1.8.0", tariff=1, since=20261023,
                from_date=20261023, to_date=20261127, usage=shared.usage_wh, amount=shared.amount_fen,
            ),
        )  # fmt: skip
        bills = [self._leaf(unit, lines if unit == 3 else lines[1:]) for unit in range(4)]
        tree = BillTree.of_bills(bills)
        return BillProof(
            bill=bills[3], path=tuple(tree.path(3)), unit_count=4, root=tree.root, terms=((1, TERMS.encode()),)
        )

    @staticmethod
    def _leaf(unit_index: int, lines: tuple[Line, ...]) -> LeafBill:
        return LeafBill(
            chain_id=TRUST.chain_id, contract="0x" + TRUST.usage_fees.hex(), site=sha256(b"cuiyuan").digest(),
            period=int(PERIOD), unit_index=unit_index, lines=lines, salt=sha256(b"bill %d" % unit_index).digest(),
        )  # fmt: skip

    async def line_readings(self, viewer: Person, door: str, period: str, line: int, first: int) -> LineReadings | None:
        return None  # no line of the world's is priced by the hour

    async def reading(self, viewer: Person | None, origin: str, index: int) -> Reading | None:
        if not self._may_read(viewer, origin, index):
            return None
        entry, _ = self.deployment.entries[index]
        evidence = self.deployment.evidence(index)
        is_lift = index == LIFT_INDEX
        return Reading(
            ref=self.ref(index), kind=entry.kind, device=entry.device.hex(), device_kind="lift" if is_lift else "meter",
            device_title=LIFT_1 if is_lift else Title(zh="501室电表", en="Meter of flat 501"),
            urn=evidence.assignment.urn if evidence.assignment else None,
            detail=evidence.detail if isinstance(evidence.detail, dict) else None,
            logged_at_ms=entry.observed_at_ms + 4_000, anchored_at_ms=entry.observed_at_ms + 60_000,
        )  # fmt: skip

    def _may_read(self, viewer: Person | None, origin: str, index: int) -> bool:
        if origin != ORIGIN or not 0 <= index < len(self.deployment.entries):
            return False
        return index == LIFT_INDEX or self._owns(viewer)

    async def evidence_file(self, viewer: Person | None, origin: str, index: int) -> bytes | None:
        if not self._may_read(viewer, origin, index):
            return None
        return self.tampered.get(index, format_evidence(self.deployment.evidence(index)))

    async def day_series(self, viewer: Person | None, origin: str, index: int) -> list[DayPoint]:
        if not self._may_read(viewer, origin, index) or index == LIFT_INDEX:
            return []
        return list(DAYS)

    # The dispute.

    async def challenge_terms(self, viewer: Person, door: str, period: str, line: int) -> ChallengeTerms | None:
        if not self._owns(viewer, door) or period != PERIOD or line not in (0, 1):
            return None
        public = p256.public_bytes(OWNER_KEY)
        return ChallengeTerms(
            chain_id=TRUST.chain_id, contract=CHALLENGES, fees=FEES, key_id=sha256(public).digest(),
            key_public=public, nonce=self.now_ms, deadline_s=self.now_ms // 1000 + 3600, period=int(PERIOD),
            unit_index=3, line=line, line_amount_fen=self._bill().lines[line].amount_fen, deposit_fen=200,
            window_ends_at_ms=self.now_ms + 7 * DAY_MS,
        )  # fmt: skip

    async def relay_challenge(self, viewer: Person, request: ChallengeRequest) -> RelayAnswer:
        if self.refusal is not None:
            return self.refusal
        self.relayed.append(request)
        self.dispute = Dispute(
            state=DisputeState.OPEN, opened_at_ms=self.now_ms, answer_due_at_ms=self.now_ms + 7 * DAY_MS,
            settled_at_ms=None, old_fen=fen(PADDED_WH), new_fen=None, refund_fen=0, deposit_fen=200,
            deposit_returned=False, transaction=None,
        )  # fmt: skip
        return RelayAnswer(accepted=True, code="sent")

    def settle(self) -> None:
        """The contract has answered: the owner was right."""
        assert self.dispute is not None
        self.dispute = replace(
            self.dispute, state=DisputeState.WON, settled_at_ms=self.now_ms, new_fen=fen(USAGE_WH),
            refund_fen=fen(PADDED_WH) - fen(USAGE_WH), deposit_returned=True,
        )  # fmt: skip

    # Everybody, and the site's officers.

    async def trust_file(self) -> bytes:
        return format_trust(TRUST)

    async def site(self, viewer: Person) -> Site | None:
        if viewer.role not in (Role.MANAGER, Role.COMMITTEE):
            return None
        is_manager = viewer.role is Role.MANAGER
        bill = self._bill()
        disputes = () if self.dispute is None else (
            SiteDispute(period=PERIOD, line=0, state=self.dispute.state, unit_title=FLAT if is_manager else None,
                        answer_due_at_ms=self.dispute.answer_due_at_ms),
        )  # fmt: skip
        root = self.proof().root
        period = PeriodSummary(
            period=PERIOD, opening=OPENING, closing=CLOSING, units=4, total_fen=root.sums >> 192,
            root=root.hash.hex(), transaction="0x" + "ab" * 32,
        )  # fmt: skip
        gateway = GatewaySummary(
            origin=ORIGIN, last_seen_at_ms=self.now_ms - 2_000, entries=21_840, anchored=21_804, frozen=False,
            key_class="file",
        )  # fmt: skip
        return Site(
            title=Title(zh="翠苑", en="Cuiyuan"), gateways=(gateway,), periods=(period,),
            bills=(bill.summary,) if is_manager else (), disputes=disputes, anchored_size=6,
            anchored_at_ms=self.now_ms - 20_000, witnesses=WITNESSES, witness_quorum=2,
            witnesses_waiting="anchoring waits: 1 of the 2 cosignatures needed of 2 witnesses",
        )  # fmt: skip

    async def balance(self, viewer: Person, last: date | None) -> Balance | None:
        """One building whose loss is explained, but for two days; and a water main that two readings are missing of."""
        if viewer.role is Role.CREW:
            return None
        end = last or CLOSING
        days = [end - timedelta(days=31 - at) for at in range(31)]
        energy = tuple(
            BalanceDay(
                day=day, main=1_212_345 + 1_000 * at, subs=1_190_000 + 980 * at - (180_000 if at in (20, 21) else 0),
                missing=0, in_band=at not in (20, 21),
            )
            for at, day in enumerate(days)
        )  # fmt: skip
        water = tuple(
            BalanceDay(day=day, main=None, subs=None, missing=1, in_band=None) if at in (4, 5)
            else BalanceDay(day=day, main=8_000_000, subs=8_016_000, missing=0, in_band=True)
            for at, day in enumerate(days)
        )  # fmt: skip
        two = energy[20:22]
        odd = BalanceStretch(
            first=two[0].day, last=two[1].day, main=sum(day.main or 0 for day in two),
            difference=sum(day.difference or 0 for day in two),
        )  # fmt: skip
        shape = {"meters": 24, "low_permille": -5, "high_permille": 50}
        return Balance(
            first=days[0], last=end,
            buses=(
                BusBalance(name="7幢 总表", unit="Wh", days=energy, stretches=(odd,), **shape),
                BusBalance(name="7幢 水表", unit="mL", days=water, stretches=(), **shape),
            ),
        )  # fmt: skip

    # The chain, as a node answers.

    def rpc(self, method: str, parameters: list[Any]) -> Any:
        """The deployment's chain, and what UsageFees, Tariffs and Roll hold besides."""
        if method == "eth_call" and parameters[0]["data"][2:] == NAME_OF_ROLL:
            return "0x" + "7b".rjust(64, "0")
        if method == "eth_call" and (call := parameters[0])["data"][2:10] in OWN_VIEWS:
            words = self._view(call["data"][2:10], int(call["data"][10:] or "0", 16))
            return "0x" + b"".join(word(value) for value in words).hex()
        return self.deployment.chain.rpc(method, parameters)

    def _view(self, selector: str, argument: int) -> list[bytes | int | str]:
        now_s = self.now_ms // 1000
        if selector == PERIOD_VIEW:
            root = self.proof().root
            held: list[bytes | int | str] = [root.hash, root.sums, 4, now_s, now_s + 604_800, 242_280, 0]
            return held if argument == int(PERIOD) else [0] * 7
        if selector == TARIFFS_VIEW:
            return [int(TARIFFS, 16)]
        if selector == UNIT_AT_VIEW:
            return [UNIT]
        if selector == UNIT_VIEW:
            return [3, 8930, 71_440, 0, 3, 7, 5, 1]
        assert selector == TARIFF_VIEW and argument == 1, f"no view {selector} of {argument}"
        return [TERMS.digest, 20260101, 0, 1, 0]
