"""What UsageFees says; the events alone rebuild its state."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from contracts.abi import EventForm, event_table, parse_log


@dataclass(frozen=True, slots=True)
class BondChanged:
    """The bond is now so many fen."""

    FORM: ClassVar[EventForm] = EventForm(
        "BondChanged",
        bytes.fromhex("59c894be36dfafc83c3adf68196a253fa869e7e12c79fa2670283d7edc5fa25b"),
        (),
        ("uint256",),
    )

    bond: int


@dataclass(frozen=True, slots=True)
class PeriodClosed:
    """A period's bill tree was posted."""

    FORM: ClassVar[EventForm] = EventForm(
        "PeriodClosed",
        bytes.fromhex("119b044bc2d4e8ad429544b5ad4cc20a090bb0245d842a9d61638f0a5933c521"),
        ("uint256",),
        ("bytes32", "uint256", "uint256", "uint256", "uint256"),
    )

    period: int
    root: bytes
    sums: int
    unit_count: int
    window_end: int
    total_area: int


@dataclass(frozen=True, slots=True)
class PeriodSuperseded:
    """A period's bill tree was corrected as a whole, in public."""

    FORM: ClassVar[EventForm] = EventForm(
        "PeriodSuperseded",
        bytes.fromhex("10734899dd4f1fb9c42216d017fa4368a687be79217fa3b4096626edf4ed0f95"),
        ("uint256",),
        ("bytes32", "bytes32", "uint256", "uint256", "bytes32"),
    )

    period: int
    old_root: bytes
    root: bytes
    sums: int
    window_end: int
    document: bytes


@dataclass(frozen=True, slots=True)
class ToppedUp:
    """Somebody added to a unit's balance."""

    FORM: ClassVar[EventForm] = EventForm(
        "ToppedUp",
        bytes.fromhex("e60b74b7ab1dc483cc05eb2b5e79cc6fe86ea3394519daea24b3b38d0c99d27e"),
        ("uint256",),
        ("uint256", "address"),
    )

    unit_index: int
    amount: int
    payer: str


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """The owner took from the unit's balance."""

    FORM: ClassVar[EventForm] = EventForm(
        "Withdrawn",
        bytes.fromhex("c3cb7a935155ffcae3ad8958e1304cf3710ae50e32a8d4b88f1a35eb76dba164"),
        ("uint256",),
        ("uint256", "address", "bytes32"),
    )

    unit_index: int
    amount: int
    to: str
    key_id: bytes


@dataclass(frozen=True, slots=True)
class Moved:
    """The owner moved from the unit's balance to another unit's."""

    FORM: ClassVar[EventForm] = EventForm(
        "Moved",
        bytes.fromhex("e798bd4c9b90df7bbf2f1c6ac1a46bc2e33c33fac51490d077d0516f23505d09"),
        ("uint256", "uint256"),
        ("uint256", "bytes32"),
    )

    unit_index: int
    to_index: int
    amount: int
    key_id: bytes


@dataclass(frozen=True, slots=True)
class MandateSet:
    """The owner allows debits of bills up to the cap; 0 stops them."""

    FORM: ClassVar[EventForm] = EventForm(
        "MandateSet",
        bytes.fromhex("279311e6d157a7a4bea0e0684804b6898b25d33fd16d69a077b85e10a73bb930"),
        ("uint256",),
        ("uint256", "bytes32"),
    )

    unit_index: int
    cap: int
    key_id: bytes


@dataclass(frozen=True, slots=True)
class LeavingAnnounced:
    """The owner moves out with a final reading; date 0 takes it back."""

    FORM: ClassVar[EventForm] = EventForm(
        "LeavingAnnounced",
        bytes.fromhex("623bb2c15f61dea082c5d527bcfe7647f3553c4e3110e744295b756ffddd139c"),
        ("uint256",),
        ("uint256", "bytes32", "address", "bytes32"),
    )

    unit_index: int
    date: int
    reading: bytes
    to: str
    key_id: bytes


@dataclass(frozen=True, slots=True)
class AccountClosed:
    """The balance of who moved out was paid out; the mandate ended."""

    FORM: ClassVar[EventForm] = EventForm(
        "AccountClosed",
        bytes.fromhex("ab9a68f561c394e7d4b6a97df587c49ecf5f9370903e8f55f3b103a357f86df6"),
        ("uint256", "uint256"),
        ("uint256", "address"),
    )

    unit_index: int
    period: int
    amount: int
    to: str


@dataclass(frozen=True, slots=True)
class Debited:
    """A block's bills were debited: `paid_bits` is the block's bitmap after it, `amounts` what each account gave."""

    FORM: ClassVar[EventForm] = EventForm(
        "Debited",
        bytes.fromhex("eb82cd93db761a06989e27ab01f8289f1c1595d345b2ac4b2a15846323ea3fff"),
        ("uint256",),
        ("uint256", "uint256", "uint256[]"),
    )

    period: int
    first_index: int
    paid_bits: int
    amounts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Paid:
    """Somebody paid a bill."""

    FORM: ClassVar[EventForm] = EventForm(
        "Paid",
        bytes.fromhex("d420edca868ae6ec38b8a855174ad76eaa128fac8590a3eb0fa75a3f91503061"),
        ("uint256", "uint256"),
        ("uint256", "address"),
    )

    period: int
    unit_index: int
    amount: int
    payer: str


@dataclass(frozen=True, slots=True)
class ReceiptPresented:
    """A cashier's receipt settled a bill that was paid off chain."""

    FORM: ClassVar[EventForm] = EventForm(
        "ReceiptPresented",
        bytes.fromhex("8625ae1a5fd63892bcebf0619a0ed71e69b380cfaa1148ee0e7ecc411337e4c4"),
        ("uint256", "uint256"),
        ("uint256", "bytes32", "bytes32"),
    )

    period: int
    unit_index: int
    amount: int
    receipt: bytes
    key_id: bytes


@dataclass(frozen=True, slots=True)
class ChallengeHeld:
    """A challenge set its deposit aside, and the bill waits."""

    FORM: ClassVar[EventForm] = EventForm(
        "ChallengeHeld",
        bytes.fromhex("355ce3274bcd3e0ff08caa80d2682bb40940f5acbc9db3fd7d62727dcab12912"),
        ("uint256", "uint256"),
        (),
    )

    period: int
    unit_index: int


@dataclass(frozen=True, slots=True)
class ChallengeSettled:
    """A line was decided: 1 bill right, 2 wrong, 3 wrong after all, 4 lowered; `is_last`: none is open any more."""

    FORM: ClassVar[EventForm] = EventForm(
        "ChallengeSettled",
        bytes.fromhex("79fe9f9f1a81da441cd74ac502794ea62e69a3d114a70de5e0338d91eac91bbe"),
        ("uint256", "uint256"),
        ("uint256", "uint256", "bool"),
    )

    period: int
    unit_index: int
    verdict: int
    reduction: int
    is_last: bool


@dataclass(frozen=True, slots=True)
class CreditNoted:
    """The operator gave a credit note to a unit's balance."""

    FORM: ClassVar[EventForm] = EventForm(
        "CreditNoted",
        bytes.fromhex("617dba71e51276a2741fcccf591afe705fa73aa2327b9cf94e5252cd0d2d57b0"),
        ("uint256", "bytes32"),
        ("uint256",),
    )

    unit_index: int
    note: bytes
    amount: int


@dataclass(frozen=True, slots=True)
class Credited:
    """A unit's balance grew: 1 deposit back, 2 compensation, 3 overpaid, 4 credit note, 5 missing credit note."""

    FORM: ClassVar[EventForm] = EventForm(
        "Credited",
        bytes.fromhex("3806c51c015e3f5bafa6a64bacc9ec78aa02f9a208d9d22e52635e923ba00f6e"),
        ("uint256",),
        ("uint256", "uint256"),
    )

    unit_index: int
    amount: int
    reason: int


@dataclass(frozen=True, slots=True)
class Collected:
    """The operator took what was paid."""

    FORM: ClassVar[EventForm] = EventForm(
        "Collected",
        bytes.fromhex("754581136a3c2ab51aca2d58c0aaf816bbac838f0a9a700f866665de57bc9091"),
        (),
        ("uint256", "address"),
    )

    amount: int
    to: str


@dataclass(frozen=True, slots=True)
class Owed:
    """So much more a unit won than the bond held."""

    FORM: ClassVar[EventForm] = EventForm(
        "Owed",
        bytes.fromhex("cd5f2fcc8e73aecb49a4f3b314a15fa16bf2f0cf3bae3d18695b273484d552a9"),
        ("uint256",),
        ("uint256",),
    )

    unit_index: int
    amount: int


@dataclass(frozen=True, slots=True)
class SilenceSet:
    """A bill waits for a silent gateway, or no longer."""

    FORM: ClassVar[EventForm] = EventForm(
        "SilenceSet",
        bytes.fromhex("d092a944b9a586f555187ac22cc918ae642783091e097bbd180fb34509c7ef1c"),
        ("uint256", "uint256"),
        ("bool",),
    )

    period: int
    unit_index: int
    silent: bool


Event = (
    BondChanged
    | PeriodClosed
    | PeriodSuperseded
    | ToppedUp
    | Withdrawn
    | Moved
    | MandateSet
    | LeavingAnnounced
    | AccountClosed
    | Debited
    | Paid
    | ReceiptPresented
    | ChallengeHeld
    | ChallengeSettled
    | CreditNoted
    | Credited
    | Collected
    | Owed
    | SilenceSet
)

_EVENTS = event_table(
    BondChanged,
    PeriodClosed,
    PeriodSuperseded,
    ToppedUp,
    Withdrawn,
    Moved,
    MandateSet,
    LeavingAnnounced,
    AccountClosed,
    Debited,
    Paid,
    ReceiptPresented,
    ChallengeHeld,
    ChallengeSettled,
    CreditNoted,
    Credited,
    Collected,
    Owed,
    SilenceSet,
)


def parse_event(topics: Sequence[bytes], data: bytes) -> Event | None:
    """The event that a log of this contract carries; None if none of these. Raises AbiError if malformed."""
    event: Event | None = parse_log(_EVENTS, topics, data)
    return event
