"""Ballots: what owners say to resolutions (Ballots.vy)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from contracts.abi import Call, EventForm, Function, encode_arguments, event_table, parse_log
from contracts.ballot import BALLOT_TYPE, GROUP_TYPE, OPENING_TYPE, PAPER_TYPE, BallotBatch, Opening, PaperBallot
from contracts.person import PERSON_SIGNATURE_TYPE, PersonSignature
from contracts.quorum import Choice, Means

_BATCH = (GROUP_TYPE + "[]", BALLOT_TYPE + "[]")
_CAST = Function("cast", bytes.fromhex("f3fe2590"), ("uint256", *_BATCH), ())
_SEAL = Function("seal", bytes.fromhex("536900bd"), ("uint256", *_BATCH, "bytes32[]"), ())
_REVEAL = Function("reveal", bytes.fromhex("c059e606"), ("uint256", OPENING_TYPE + "[]"), ())
_SET_PROXIES = Function("set_proxies", bytes.fromhex("1a880d50"), ("uint256", *_BATCH), ())
_RECORD_PAPERS = Function(
    "record_papers",
    bytes.fromhex("d4e6a2d3"),
    ("uint256", PAPER_TYPE + "[]", PERSON_SIGNATURE_TYPE, PERSON_SIGNATURE_TYPE),
    (),
)
_BALLOT = Function("ballot", bytes.fromhex("0dfdb8fb"), ("uint256", "uint256"), ("uint256", "uint256"))
_SPOKEN = Function("spoken", bytes.fromhex("1cb2dc98"), ("uint256", "uint256"), ("uint256",))
_PROXY = Function("proxy", bytes.fromhex("b299a052"), ("uint256", "uint256"), ("uint256", "uint256"))
_HELD = Function("held", bytes.fromhex("57d3ad5b"), ("uint256", "uint256"), ("uint256",))
_PROXIES_MAX = Function("proxies_max", bytes.fromhex("98703404"), (), ("uint256",))


@dataclass(frozen=True, slots=True)
class Spoken:
    """What speaks for a head."""

    choice: Choice | None  # None: nothing yet
    means: Means


@dataclass(frozen=True, slots=True)
class Proxy:
    """Who may speak for a head."""

    holder: int | None
    sequence: int  # of the signature that set it, 0 if none did


def deploy(bytecode: bytes, *, registry: str, proxies_max: int, verifier: str) -> bytes:
    """Creation data: the compiled bytecode with its constructor's arguments."""
    types = ("address", "uint256", "address")
    return bytecode + encode_arguments("Ballots", types, (registry, proxies_max, verifier))


def cast(to: str, *, number: int, batch: BallotBatch) -> Call:
    """Cast signed ballots (`Purpose.VOTE`). Anyone may relay them; those that are not newer are left out."""
    return _CAST.call(to, number, *batch.abi())


def seal(to: str, *, number: int, batch: BallotBatch, commitments: Sequence[bytes]) -> Call:
    """Cast sealed ballots (`Purpose.SEAL`). Anyone may relay them.

    Args:
        commitments: `Opening.commitment` of each ballot, in the batch's order.
    """
    return _SEAL.call(to, number, *batch.abi(), list(commitments))


def reveal(to: str, *, number: int, openings: Sequence[Opening]) -> Call:
    """Open sealed ballots in the window after the close. Anyone who knows the salts may."""
    return _REVEAL.call(to, number, [opening.abi() for opening in openings])


def set_proxies(to: str, *, number: int, batch: BallotBatch) -> Call:
    """Let another head's own ballot speak for the signers, or end that (`Purpose.PROXY`). Anyone may relay it."""
    return _SET_PROXIES.call(to, number, *batch.abi())


def record_papers(
    to: str, *, number: int, papers: Sequence[PaperBallot], first: PersonSignature, second: PersonSignature
) -> Call:
    """Two returning officers record paper ballots (`Purpose.PAPER` over `chained_papers`). Anyone may relay it."""
    return _RECORD_PAPERS.call(to, number, [paper.abi() for paper in papers], first.abi(), second.abi())


def ballot(to: str, *, number: int, head: int) -> Call:
    """What speaks for a head now."""
    return _BALLOT.call(to, number, head)


def parse_ballot(result: bytes) -> Spoken:
    """The result of `ballot`."""
    choice, means = _BALLOT.decode(result)
    return Spoken(Choice(choice) if choice else None, Means(means))


def spoken(to: str, *, number: int, first_head: int) -> Call:
    """What speaks for 64 heads."""
    return _SPOKEN.call(to, number, first_head)


def parse_spoken(result: bytes) -> tuple[Spoken, ...]:
    """The result of `spoken`."""
    word: int = _SPOKEN.decode(result)[0]
    lanes = [word >> (4 * place) & 15 for place in range(64)]
    return tuple(Spoken(Choice(lane & 3) if lane & 3 else None, Means(lane >> 2)) for lane in lanes)


def proxy(to: str, *, number: int, head: int) -> Call:
    """Who may speak for a head."""
    return _PROXY.call(to, number, head)


def parse_proxy(result: bytes) -> Proxy:
    """The result of `proxy`."""
    holder, sequence = _PROXY.decode(result)
    return Proxy(holder - 1 if holder else None, sequence)


def held(to: str, *, number: int, head: int) -> Call:
    """Proxies that a head holds."""
    return _HELD.call(to, number, head)


def parse_held(result: bytes) -> int:
    """The result of `held`."""
    value: int = _HELD.decode(result)[0]
    return value


def proxies_max(to: str) -> Call:
    """Proxies that one head may hold in one vote."""
    return _PROXIES_MAX.call(to)


def parse_proxies_max(result: bytes) -> int:
    """The result of `proxies_max`."""
    value: int = _PROXIES_MAX.decode(result)[0]
    return value


@dataclass(frozen=True, slots=True)
class Cast:
    """Words of ballots as they stand now: (first head // 16, word), which `contracts.ballot.held_ballots` reads."""

    FORM: ClassVar[EventForm] = EventForm(
        "Cast",
        bytes.fromhex("e3686a69625c7d9198a36238f8547923a5b6eba74d2f192707518c0c212d3bc5"),
        ("uint256",),
        ("(uint256,uint256)[]",),
    )

    number: int
    words: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Differed:
    """Several keys of one head voted; these are their ballots, 16 bits each."""

    FORM: ClassVar[EventForm] = EventForm(
        "Differed",
        bytes.fromhex("a69634ecf0441d44685be5a4ce9499030f4fa9b4082eb6f17a8e6bf0cd9f8b2a"),
        ("uint256", "uint256"),
        ("uint256",),
    )

    number: int
    head: int
    ballots: int


@dataclass(frozen=True, slots=True)
class Sealed:
    """Sealed ballots were cast."""

    FORM: ClassVar[EventForm] = EventForm(
        "Sealed",
        bytes.fromhex("b9833d541dadec50a659ca6c332ecab7663b51ad8c3a50e0885c20ac066fdee3"),
        ("uint256",),
        ("bytes32[]", "uint256[]"),
    )

    number: int
    key_ids: tuple[bytes, ...]
    commitments: tuple[int, ...]  # commitment (192 bits) | head (32) | ballot without choice (32)


@dataclass(frozen=True, slots=True)
class ProxySet:
    """A head gave, changed or ended its proxy."""

    FORM: ClassVar[EventForm] = EventForm(
        "ProxySet",
        bytes.fromhex("034d9fbb95ac785ab73728b0c54a9f154094250a4ced82efa6498ecf89efdd45"),
        ("uint256", "uint256"),
        ("uint256", "uint256"),
    )

    number: int
    head: int
    holder: int  # + 1; 0: none
    sequence: int


@dataclass(frozen=True, slots=True)
class PapersRecorded:
    """Two returning officers recorded paper ballots."""

    FORM: ClassVar[EventForm] = EventForm(
        "PapersRecorded",
        bytes.fromhex("9615d96e31dfa98fdea45638ab6a0b3c73fb813427b59f8085de1047d7d010e0"),
        ("uint256",),
        ("bytes32", "bytes32", PAPER_TYPE + "[]"),
    )

    number: int
    first_officer: bytes
    second_officer: bytes
    papers: tuple[tuple[int, int, bytes], ...]  # head, choice, scan


Event = Cast | Differed | Sealed | ProxySet | PapersRecorded

_EVENTS = event_table(Cast, Differed, Sealed, ProxySet, PapersRecorded)


def parse_event(topics: Sequence[bytes], data: bytes) -> Event | None:
    """The event that a log of this contract carries; None if none of these. Raises AbiError if malformed."""
    event: Event | None = parse_log(_EVENTS, topics, data)
    return event
