"""Resolutions: convening, the roll, objections to it (Resolutions.vy)."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256
from typing import ClassVar

from contracts.abi import Call, EventForm, Function, encode_arguments, event_table, padded, parse_log
from contracts.bill import NODE_TYPE, Node
from contracts.person import PERSON_SIGNATURE_TYPE, PersonSignature
from contracts.quorum import Weight
from contracts.roll import Roll, RollLeaf

PROPOSAL_TYPE = "(uint256,uint256,bytes32,bytes32,uint256,bool,uint256)"
RESOLUTION_TYPE = f"(bytes32,bytes32,bytes32,{'uint256,' * 4}bool,{'uint256,' * 6}bool)"
VOTING_TYPE = "(bytes32,uint256,uint256,uint256,uint256,uint256,bool,bool)"
PATH_TYPE = NODE_TYPE + "[]"
SIGNATURES_MAX = 16
_TAG = padded("minglou/proposal/1")
_CONVENING = (PROPOSAL_TYPE, "bytes32", "uint256", "uint256", "uint256", "uint256")

_CONVENE = Function("convene", bytes.fromhex("a7065456"), _CONVENING, ("uint256",))
_CONVENE_BY_OWNERS = Function("convene_by_owners", bytes.fromhex("2ef2d9a0"), _CONVENING, ("uint256",))
_SUPPORT = Function("support", bytes.fromhex("16be651d"), (PROPOSAL_TYPE, PERSON_SIGNATURE_TYPE + "[]"), ())
_SHOW = Function("show", bytes.fromhex("e15beb55"), ("uint256", "uint256", "uint256[]", "bytes", PATH_TYPE), ())
_REFUTE = Function(
    "refute", bytes.fromhex("46aef957"), ("uint256", "uint256", "uint256", "bytes", PATH_TYPE, "uint256"), ()
)
_RESOLUTION = Function("resolution", bytes.fromhex("f5a467b6"), ("uint256",), (RESOLUTION_TYPE,))
_VOTING = Function("voting", bytes.fromhex("fd4a77f1"), ("uint256",), (VOTING_TYPE,))
_BLOCKS_SHOWN = Function("blocks_shown", bytes.fromhex("d6df18ce"), ("uint256",), ("uint256", "uint256"))
_PROPOSAL_DIGEST = Function("proposal_digest", bytes.fromhex("c8ecf51c"), (PROPOSAL_TYPE,), ("bytes32",))
_TERMS = Function("terms", bytes.fromhex("d5025625"), (), ("uint256", "uint256", "uint256"))
_RESOLUTION_COUNT = Function("resolution_count", bytes.fromhex("fad58b3c"), (), ("uint256",))
_SUPPORT_COUNT = Function("support_count", bytes.fromhex("92fcbfcc"), ("bytes32",), ("uint256",))
_PETITIONS = Function("petitions", bytes.fromhex("486dd43b"), ("bytes32",), ("uint256",))


class Mode(IntEnum):
    """What a count is for; none claims legal force."""

    ADVISORY = 1
    WRITTEN = 2  # a written ballot, captured digitally
    FORMAL = 3  # exported to the city's system, whose certificate ends it


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What is put to the owners."""

    matter: int  # 1 to 9, Civil Code art. 278
    payload: bytes  # SHA-256 of what is executed when it passes, zero for nothing
    discussion: bytes  # digest of the text and discussion before the owners
    mode: Mode = Mode.WRITTEN
    building: int = 0  # 0 the whole site, else number of the building + 1
    sealed: bool = False
    policy: int = 0  # resolution that let non-voters follow the majority, 0 for none

    def abi(self) -> tuple[int, int, bytes, bytes, int, bool, int]:
        """The fields in the contract's order."""
        return (
            self.matter,
            self.building,
            self.payload,
            self.discussion,
            int(self.mode),
            self.sealed,
            self.policy,
        )

    def digest(self) -> bytes:
        """What supporters sign."""
        return sha256(_TAG + encode_arguments("proposal", (PROPOSAL_TYPE,), (self.abi(),))).digest()


@dataclass(frozen=True, slots=True)
class Resolution:
    """Everything that ballots and counting need; zeros if there is none."""

    digest: bytes
    payload: bytes
    root: bytes
    sums: int
    matter: int
    building: int
    mode: int
    sealed: bool
    policy: int
    head_count: int
    convened_at: int  # Unix seconds; voters' keys are older
    opens_at: int
    closes_at: int  # last second for ballots
    ends_at: int  # last second for opening sealed ballots
    void: bool

    @property
    def weight(self) -> Weight:
        """All who may vote."""
        return Weight(self.sums >> 64, self.sums % 2**64)


@dataclass(frozen=True, slots=True)
class Voting:
    """What casting a ballot needs; zeros if there is no such resolution."""

    digest: bytes
    convened_at: int
    opens_at: int
    closes_at: int
    ends_at: int
    head_count: int
    sealed: bool
    void: bool


@dataclass(frozen=True, slots=True)
class Terms:
    """What was fixed at deployment, in seconds."""

    notice: int
    voting: int
    window: int


def deploy(
    bytecode: bytes,
    *,
    registry: str,
    notice_seconds: int,
    voting_seconds: int,
    window_seconds: int,
    verifier: str,
) -> bytes:
    """Creation data: the compiled bytecode with its constructor's arguments."""
    types = ("address", "uint256", "uint256", "uint256", "address")
    values = (registry, notice_seconds, voting_seconds, window_seconds, verifier)
    return bytecode + encode_arguments("Resolutions", types, values)


def convene(to: str, *, proposal: Proposal, root: Node, head_count: int, opens_at: int, closes_at: int) -> Call:
    """The committee puts a proposal to the vote, with the roll as it stands now."""
    return _CONVENE.call(to, proposal.abi(), root.hash, root.sums, head_count, opens_at, closes_at)


def convene_by_owners(
    to: str, *, proposal: Proposal, root: Node, head_count: int, opens_at: int, closes_at: int
) -> Call:
    """Anyone puts a proposal to the vote that a fifth of the heads support."""
    return _CONVENE_BY_OWNERS.call(to, proposal.abi(), root.hash, root.sums, head_count, opens_at, closes_at)


def support(to: str, *, proposal: Proposal, signatures: Sequence[PersonSignature]) -> Call:
    """Owners' signatures (`Purpose.PROPOSE` over the proposal's digest) to put it to the vote. Anyone may relay."""
    return _SUPPORT.call(to, proposal.abi(), [signature.abi() for signature in signatures])


def show(to: str, *, number: int, first_head: int, leaves: Sequence[RollLeaf], path: Sequence[Node]) -> Call:
    """Show an aligned block of the roll in public, a window before voting opens at the latest. Anyone may."""
    units = b"".join(leaf.packed_units for leaf in leaves)
    return _SHOW.call(to, number, first_head, [leaf.entry() for leaf in leaves], units, [node.abi() for node in path])


def show_roll(to: str, *, number: int, roll: Roll) -> list[Call]:
    """All calls that show a roll."""
    return [
        show(to, number=number, first_head=first, leaves=roll.block(first), path=roll.block_path(first))
        for first in roll.blocks()
    ]


def refute(to: str, *, number: int, head: int, leaf: RollLeaf, path: Sequence[Node], missing: int) -> Call:
    """Show that a leaf of the posted roll disagrees with the Roll; the vote is void. Anyone, during the notice.

    Args:
        leaf: as posted, with its path.
        missing: a unit that belongs to the head and is not in the leaf; any in the leaf where it is another fault.
    """
    return _REFUTE.call(to, number, head, leaf.area_centi_m2, leaf.packed_units, [node.abi() for node in path], missing)


def resolution(to: str, *, number: int) -> Call:
    """Everything that ballots and counting need."""
    return _RESOLUTION.call(to, number)


def parse_resolution(result: bytes) -> Resolution:
    """The result of `resolution`."""
    return Resolution(*_RESOLUTION.decode(result)[0])


def voting(to: str, *, number: int) -> Call:
    """What casting a ballot needs."""
    return _VOTING.call(to, number)


def parse_voting(result: bytes) -> Voting:
    """The result of `voting`."""
    return Voting(*_VOTING.decode(result)[0])


def blocks_shown(to: str, *, number: int) -> Call:
    """How many blocks of the roll are shown, and how many there are."""
    return _BLOCKS_SHOWN.call(to, number)


def parse_blocks_shown(result: bytes) -> tuple[int, int]:
    """The result of `blocks_shown`."""
    done, needed = _BLOCKS_SHOWN.decode(result)
    return done, needed


def proposal_digest(to: str, *, proposal: Proposal) -> Call:
    """What supporters sign, as the contract computes it."""
    return _PROPOSAL_DIGEST.call(to, proposal.abi())


def parse_proposal_digest(result: bytes) -> bytes:
    """The result of `proposal_digest`."""
    value: bytes = _PROPOSAL_DIGEST.decode(result)[0]
    return value


def terms(to: str) -> Call:
    """Shortest notice, shortest voting, and window."""
    return _TERMS.call(to)


def parse_terms(result: bytes) -> Terms:
    """The result of `terms`."""
    return Terms(*_TERMS.decode(result))


def resolution_count(to: str) -> Call:
    """The last resolution's number."""
    return _RESOLUTION_COUNT.call(to)


def parse_resolution_count(result: bytes) -> int:
    """The result of `resolution_count`."""
    value: int = _RESOLUTION_COUNT.decode(result)[0]
    return value


def support_count(to: str, *, proposal: bytes) -> Call:
    """Heads that support a proposal, by its digest."""
    return _SUPPORT_COUNT.call(to, proposal)


def parse_support_count(result: bytes) -> int:
    """The result of `support_count`."""
    value: int = _SUPPORT_COUNT.decode(result)[0]
    return value


def petitions(to: str, *, proposal: bytes) -> Call:
    """The resolution that a proposal's support convened last, 0 for none."""
    return _PETITIONS.call(to, proposal)


def parse_petitions(result: bytes) -> int:
    """The result of `petitions`."""
    value: int = _PETITIONS.decode(result)[0]
    return value


@dataclass(frozen=True, slots=True)
class Supported:
    """These heads support a proposal now."""

    FORM: ClassVar[EventForm] = EventForm(
        "Supported",
        bytes.fromhex("5d1d2be79dead1407f6d4e7a1d4bbe0f4347a37ae0d4236df26f0d3301f1206e"),
        ("bytes32",),
        ("uint256[]",),
    )

    proposal: bytes
    heads: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Convened:
    """A vote was convened."""

    FORM: ClassVar[EventForm] = EventForm(
        "Convened",
        bytes.fromhex("c2033c4f7ed580e06f94a6930d63a753ceef5b7fac602359a7db0bb0d273caaa"),
        ("uint256",),
        (PROPOSAL_TYPE, "bytes32", "bytes32", *("uint256",) * 7, "bool"),
    )

    number: int
    proposal: tuple[int, int, bytes, bytes, int, bool, int]  # as `Proposal.abi`
    digest: bytes
    root: bytes
    sums: int
    head_count: int
    unit_count: int
    convened_at: int
    opens_at: int
    closes_at: int
    ends_at: int
    by_petition: bool


@dataclass(frozen=True, slots=True)
class RollShown:
    """A block of a vote's roll is public."""

    FORM: ClassVar[EventForm] = EventForm(
        "RollShown",
        bytes.fromhex("46d7445182ed0b135573d1678633407d884d4bd8c727d9eec2950334f4190451"),
        ("uint256",),
        ("uint256", "uint256[]", "bytes"),
    )

    number: int
    first_head: int
    entries: tuple[int, ...]  # area << 32 | number of units
    units: bytes  # indices of all these heads' units, four bytes each


@dataclass(frozen=True, slots=True)
class RollRefuted:
    """A leaf of the roll was shown to be wrong; the vote is void."""

    FORM: ClassVar[EventForm] = EventForm(
        "RollRefuted",
        bytes.fromhex("fa7f91a58c9d95f75685168c48e34bfa2eef853014f86e0ae2eca76ee302ca96"),
        ("uint256",),
        ("uint256",),
    )

    number: int
    head: int


Event = Supported | Convened | RollShown | RollRefuted

_EVENTS = event_table(Supported, Convened, RollShown, RollRefuted)


def parse_event(topics: Sequence[bytes], data: bytes) -> Event | None:
    """The event that a log of this contract carries; None if none of these. Raises AbiError if malformed."""
    event: Event | None = parse_log(_EVENTS, topics, data)
    return event
