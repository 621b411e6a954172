"""ServiceAgreements: agreements on maintenance, visits, overdue days and their money (ServiceAgreements.vy)."""

from collections.abc import Sequence
from dataclasses import dataclass

from contracts.abi import AbiError, Call, Function, encode_arguments
from contracts.calls.anchor_log import Head
from contracts.crew_signature import CLIENT_DATA_MAX, CREW_SIGNATURE_TYPE, CrewSignature
from contracts.due import CLASSES, TERMS_TYPE, Terms
from contracts.entry import Entry, Kind
from contracts.visit import RECORD_TYPE, Visit, VisitClass

RING = 1464  # days whose slots a line of visits uses in turn
REPAIRS = 2**16  # the first slot of repairs
REPAIR_SECONDS = 600
DIGEST_BYTES = 20  # of a visit's digest that its slot keeps

_PROPOSE = Function("propose", bytes.fromhex("d2479e0a"), (TERMS_TYPE,), ("bytes32",))
_RETRACT = Function("retract", bytes.fromhex("117b4705"), ("bytes32",), ())
_AGREE = Function("agree", bytes.fromhex("ba997383"), ("bytes32", "bytes32"), ())
_END = Function("end", bytes.fromhex("b48e2128"), ("bytes32", "uint256"), ())
_RECORD_VISIT = Function(
    "record_visit",
    bytes.fromhex("03ac7b16"),
    (RECORD_TYPE, "uint256", "bytes32", "bytes32[]", CREW_SIGNATURE_TYPE + "[]", "bytes"),
    (),
)
_ADD_BUDGET = Function("add_budget", bytes.fromhex("c284f0dc"), ("bytes32", "uint256"), ())
_ADD_DEPOSIT = Function("add_deposit", bytes.fromhex("0962e55f"), ("bytes32", "uint256"), ())
_PAY_FEES = Function("pay_fees", bytes.fromhex("33515419"), ("bytes32", "uint256[]"), ())
_CLOSE = Function("close", bytes.fromhex("39c79e0c"), ("bytes32",), ())
_CLAIM_OVERDUE = Function("claim_overdue", bytes.fromhex("6b13853e"), ("bytes32", "uint256", "uint256"), ())
_COUNT_CLAIM = Function("count_claim", bytes.fromhex("7c7c7ccc"), ("bytes32", "uint256"), ())
_PROPOSAL = Function("proposal", bytes.fromhex("6da59041"), ("bytes32",), ("bytes32",))
_AGREEMENT = Function(
    "agreement", bytes.fromhex("a4df7e93"), ("bytes32",), ("(bytes32,address,address,uint256,uint256,uint256,bytes32)",)
)
_VISIT = Function("visit", bytes.fromhex("4a6e3aa7"), ("bytes32", "uint256"), ("uint256",))
_CLAIM = Function(
    "claim", bytes.fromhex("63f44968"), ("bytes32", "uint256"), ("(uint256,uint256,uint256,uint256,uint256)",)
)
_OVERDUE_DAYS = Function(
    "overdue_days", bytes.fromhex("2b91c34e"), ("bytes32", "uint256", "uint256", "uint256"), ("uint256",)
)


@dataclass(frozen=True, slots=True)
class LoggedVisit:
    """A gateway's visit entry, where it stands in the log, and its path to the accepted head."""

    entry: Entry
    index: int
    assignment: int  # which of the device's assignments in the Registry holds the index
    head: Head
    path: tuple[bytes, ...]

    def lanes(self, firm: int) -> int:
        """What the contract needs in one word; the rest of the entry follows from the record.

        Raises:
            AbiError: no visit's entry, or a number too large for its lane.
        """
        entry, head = self.entry, self.head
        values = (entry.observed_at_ms, entry.value, self.index, self.assignment, head.size, head.accepted_at, firm)
        lanes = shift = 0
        for width, value in zip((48, 8, 48, 16, 48, 40, 24), values, strict=True):
            if entry.kind is not Kind.VISIT or not 0 <= value < 2**width:
                raise AbiError(f"no visit's entry, or {value} does not fit {width} bits; it cannot prove a visit")
            lanes |= value << shift
            shift += width
        return lanes


@dataclass(frozen=True, slots=True)
class SeenVisit:
    """What a visit is worth: its class, the level at which its gateway saw it, and who signed."""

    visit_class: VisitClass
    level: int
    two_people: bool
    countersigned: bool


@dataclass(frozen=True, slots=True)
class KeptDay:
    """What the contract keeps of a day's visits, or of one repair."""

    day: int
    seen: tuple[SeenVisit, ...]  # the best of each class and set of signatures; best first, by class, then signatures
    paid: int  # fen
    digest: bytes  # the first `DIGEST_BYTES` of the best visit's

    @property
    def best(self) -> SeenVisit:
        """The visit whose digest is kept."""
        return self.seen[0]


@dataclass(frozen=True, slots=True)
class Agreement:
    """What the contract keeps of an agreement; `is_agreed` is False while it is only proposed, or is none."""

    line: bytes  # Keccak-256 of device, plan and firm: names its visits
    device: bytes
    account: str
    payer: str
    starts_on: int  # day number
    ends_on: int
    fees: tuple[int, ...]
    factors: tuple[int, ...]
    two_people: bool
    countersigned: bool
    is_agreed: bool
    level: int  # that a visit needs to count and to pay
    interval_days: tuple[int, ...]
    done_on: tuple[int, ...]
    claimed_through: tuple[int, ...]  # last day of each class that a claim looked at
    grace_days: int
    penalty: int
    claims: int  # how many were ever made
    budget: int  # fen
    deposit: int  # fen that is not claimed
    claimed: int  # fen


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim for overdue days that is not settled; zeros for none."""

    visit_class: int
    from_day: int
    through_day: int
    days: int  # overdue when it was last counted
    claimed_at: int  # Unix seconds


def deploy(bytecode: bytes, *, registry: str, utc_offset_seconds: int, verifier: str) -> bytes:
    """Creation data: the compiled bytecode with its constructor's arguments."""
    arguments = (registry, utc_offset_seconds, verifier)
    return bytecode + encode_arguments("ServiceAgreements", ("address", "int256", "address"), arguments)


def propose(to: str, *, terms: Terms) -> Call:
    """The manager offers terms to a firm."""
    return _PROPOSE.call(to, terms.abi())


def retract(to: str, *, agreement: bytes) -> Call:
    """The manager takes an offer back."""
    return _RETRACT.call(to, agreement)


def agree(to: str, *, agreement: bytes, terms_digest: bytes) -> Call:
    """The firm agrees and puts down the deposit.

    Args:
        terms_digest: Keccak-256 of the ABI-encoded terms, as `Proposed` names it.
    """
    return _AGREE.call(to, agreement, terms_digest)


def end(to: str, *, agreement: bytes, day: int) -> Call:
    """Manager or firm name an earlier last day; it holds when both named it."""
    return _END.call(to, agreement, day)


def record_visit(to: str, *, visit: Visit, firm: int, logged: LoggedVisit, signatures: Sequence[CrewSignature]) -> Call:
    """Record a visit. Anyone may.

    Args:
        firm: whose people the mechanics are.
        signatures: `contracts.crew_signature.crew_signature` of each person in the record's order.

    Raises:
        AbiError: the logged entry is no visit's, or client data are too long together.
    """
    client_data = b"".join(each.client_data for each in signatures)
    if len(client_data) > CLIENT_DATA_MAX:
        raise AbiError(
            f"the passkeys' client data have {len(client_data)} bytes together; {CLIENT_DATA_MAX} is the limit"
        )
    return _RECORD_VISIT.call(
        to, visit.abi(), logged.lanes(firm), logged.entry.salt.ljust(32, b"\0"), list(logged.path),
        [each.words for each in signatures], client_data,
    )  # fmt: skip


def add_budget(to: str, *, agreement: bytes, amount: int) -> Call:
    """Add to what visits are paid from. Anyone may."""
    return _ADD_BUDGET.call(to, agreement, amount)


def add_deposit(to: str, *, agreement: bytes, amount: int) -> Call:
    """Add to what overdue days are paid from. Anyone may."""
    return _ADD_DEPOSIT.call(to, agreement, amount)


def pay_fees(to: str, *, agreement: bytes, days: Sequence[int]) -> Call:
    """Pay the firm for the visits of at most 64 days what is not paid yet; take back what a contradiction voided."""
    return _PAY_FEES.call(to, agreement, list(days))


def close(to: str, *, agreement: bytes) -> Call:
    """Give deposit and budget back, 90 days after the end. Anyone may."""
    return _CLOSE.call(to, agreement)


def claim_overdue(to: str, *, agreement: bytes, visit_class: VisitClass, through_day: int) -> Call:
    """Look at a class's days since the last look, at most 64, and claim the overdue ones. Anyone may."""
    return _CLAIM_OVERDUE.call(to, agreement, int(visit_class), through_day)


def count_claim(to: str, *, agreement: bytes, number: int) -> Call:
    """Count a claim again from the visits known now, and settle it after 30 days. Anyone may."""
    return _COUNT_CLAIM.call(to, agreement, number)


def proposal(to: str, *, agreement: bytes) -> Call:
    """Digest of the terms that wait for the firm."""
    return _PROPOSAL.call(to, agreement)


def parse_proposal(result: bytes) -> bytes:
    """The result of `proposal`; zeros if nothing waits."""
    value: bytes = _PROPOSAL.decode(result)[0]
    return value


def agreement(to: str, *, agreement: bytes) -> Call:
    """An agreement."""
    return _AGREEMENT.call(to, agreement)


def parse_agreement(result: bytes) -> Agreement:
    """The result of `agreement`, unpacked."""
    line, account, payer, rule, clock, purse, device = _AGREEMENT.decode(result)[0]
    classes = range(len(CLASSES))
    return Agreement(
        line=line,
        device=device,
        account=account,
        payer=payer,
        starts_on=_bits(rule, 202, 16),
        ends_on=_bits(rule, 183, 16),
        fees=tuple(_bits(rule, 32 * lane, 32) for lane in classes),
        factors=tuple(_bits(rule, 128 + 11 * level, 11) for level in range(5)),
        two_people=bool(_bits(rule, 199, 1)),
        countersigned=bool(_bits(rule, 200, 1)),
        is_agreed=bool(_bits(rule, 201, 1)),
        level=_bits(rule, 218, 3),
        interval_days=tuple(_bits(clock, 16 * lane, 16) for lane in classes),
        done_on=tuple(_bits(clock, 64 + 16 * lane, 16) for lane in classes),
        claimed_through=tuple(_bits(clock, 128 + 16 * lane, 16) for lane in classes),
        grace_days=_bits(clock, 192, 8),
        penalty=_bits(clock, 200, 32),
        claims=_bits(clock, 232, 16),
        budget=_bits(purse, 0, 96),
        deposit=_bits(purse, 96, 96),
        claimed=_bits(purse, 192, 64),
    )


def visit(to: str, *, line: bytes, slot: int) -> Call:
    """What a slot keeps: that of a day (`day % RING`) or of a repair (`repair_slot`)."""
    return _VISIT.call(to, line, slot)


def repair_slot(ended_at_s: int) -> int:
    """The slot of a repair that ended at this Unix time."""
    return REPAIRS + ended_at_s // REPAIR_SECONDS


def parse_visit(result: bytes, *, slot: int) -> KeptDay | None:
    """The result of `visit` for this slot; None while it is empty."""
    word: int = _VISIT.decode(result)[0]
    if not word:
        return None
    places = [(place, level) for place in reversed(range(16)) if (level := _bits(word, 16 + 3 * place, 3))]
    return KeptDay(
        day=_bits(word, 0, 16),
        seen=tuple(_seen(0 if slot >= REPAIRS else place // 4 + 1, place, level - 1) for place, level in places),
        paid=_bits(word, 64, 32),
        digest=(word >> 96).to_bytes(DIGEST_BYTES),
    )


def recorded_visit(lanes: int) -> tuple[int, SeenVisit]:
    """The lanes of `VisitRecorded`: the day that the visit counts for, and what it is worth."""
    return _bits(lanes, 0, 16), _seen(_bits(lanes, 21, 3), _bits(lanes, 19, 2), _bits(lanes, 16, 3))


def _seen(visit_class: int, people: int, level: int) -> SeenVisit:
    return SeenVisit(VisitClass(visit_class), level, bool(people & 1), bool(people & 2))


def claim(to: str, *, agreement: bytes, number: int) -> Call:
    """An open claim."""
    return _CLAIM.call(to, agreement, number)


def parse_claim(result: bytes) -> Claim:
    """The result of `claim`."""
    return Claim(*_CLAIM.decode(result)[0])


def overdue_days(to: str, *, agreement: bytes, visit_class: VisitClass, from_day: int, through_day: int) -> Call:
    """How many of these days, at most 64, are overdue by the visits known now."""
    return _OVERDUE_DAYS.call(to, agreement, int(visit_class), from_day, through_day)


def parse_overdue_days(result: bytes) -> int:
    """The result of `overdue_days`."""
    value: int = _OVERDUE_DAYS.decode(result)[0]
    return value


def _bits(word: int, shift: int, count: int) -> int:
    return int((word >> shift) & (2**count - 1))
