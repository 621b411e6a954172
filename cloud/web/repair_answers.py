"""What pages of repairs are told that a household reports; as in `cloud.web.answers`."""

from dataclasses import dataclass

from cloud.web.answers import Title

__all__ = ["Repair", "RepairAnswer", "RepairForm", "RepairPlace", "RepairReason", "SigningTerms"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningTerms:
    """What an owner's browser needs to sign an act about a repair."""

    chain_id: int
    contract: str  # 0x…: WorkOrders
    key_public: bytes  # x || y
    key_id: bytes
    nonce: int  # ms
    deadline_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairPlace:
    """Something that a household may say is broken."""

    device: str  # 64 hex; "" for what has none
    title: Title
    place: Title | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairForm:
    """What the form offers."""

    door: str
    flat: Title
    places: tuple[RepairPlace, ...]
    terms: SigningTerms | None  # None: nothing of it can be signed here, and it goes to the property office alone


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairReason:
    """Why somebody said that it is not done."""

    says: str
    said_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """A repair that a household reported."""

    name: str  # 64 hex: the order's, whether the chain has it yet or not
    flat: Title
    device: Title | None
    device_page: str  # its address; "" where it has none
    place: str
    says: str
    detail: str  # the canonical JSON whose digest the chain has
    device_hash: bytes
    said_at_ms: int
    by_tenant: bool
    state: str  # told, sent, refused; then reported, accepted, done, confirmed, lapsed, withdrawn
    problem: str  # why the chain does not take it, in English
    round: int  # part of what is signed
    firm: Title | None
    promise_at_ms: int | None
    done_at_ms: int | None
    is_unheard: bool  # nobody accepted in time
    is_missed: bool  # the promise was not kept
    reopened: int
    transaction: str | None
    reasons: tuple[RepairReason, ...]
    terms: SigningTerms | None  # None: this viewer signs nothing about it
    has_photo: bool = False

    @property
    def is_open(self) -> bool:
        return self.state in ("told", "sent", "reported", "accepted", "done")


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairAnswer:
    """What became of a report, or of a word to one."""

    status: int  # as HTTP has them
    code: str
    remedy: str = ""
    name: str = ""  # of the order
