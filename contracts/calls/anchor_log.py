"""AnchorLog: the super-log's head and the gateways' accepted heads (AnchorLog.vy)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from contracts.abi import Call, EventForm, Function, encode_arguments, event_table, parse_log

HEAD_TYPE = "(uint256,bytes32,uint256)"
SIGNED_HEAD_TYPE = "(uint256,bytes32,uint256,uint256)"

_ANCHOR = Function("anchor", bytes.fromhex("1ce5a008"), ("uint256", "bytes32", "bytes32[]"), ())
_SET_RELAYER = Function("set_relayer", bytes.fromhex("c8df52f0"), ("address",), ())
_PROPOSE_SUPER_LOG = Function("propose_super_log", bytes.fromhex("d599760b"), ("bytes32",), ())
_CONFIRM_SUPER_LOG = Function("confirm_super_log", bytes.fromhex("489a9bac"), ("bytes32",), ())
_ACCEPT = Function(
    "accept",
    bytes.fromhex("73d36a98"),
    ("string", HEAD_TYPE, "uint256", "bytes32", "uint256", "uint256", "bytes32[]"),
    (),
)
_REPORT_TWO_ROOTS = Function(
    "report_two_roots", bytes.fromhex("1b4fb8b4"), ("string", SIGNED_HEAD_TYPE, SIGNED_HEAD_TYPE), ()
)
_REPORT_TWO_LEAVES = Function(
    "report_two_leaves",
    bytes.fromhex("cb32ed91"),
    ("string", SIGNED_HEAD_TYPE, SIGNED_HEAD_TYPE, "uint256", "bytes32", "bytes32[]", "bytes32", "bytes32[]"),
    (),
)
_ACCEPTED = Function("accepted", bytes.fromhex("fc372d75"), ("bytes32", HEAD_TYPE), ("bool", "bool"))
_HEAD = Function("head", bytes.fromhex("8f7dcfa3"), (), ("uint256", "bytes32", "uint256"))
_RECENT_ROOTS = Function("recent_roots", bytes.fromhex("74a16c2a"), (), ("bytes32[32]",))
_RELAYER = Function("relayer", bytes.fromhex("8406c079"), (), ("address",))
_SUPER_LOG = Function("super_log", bytes.fromhex("033dcae1"), ("uint256",), ("(bytes32,uint256,bytes32)",))
_SUPER_LOG_NUMBER = Function("super_log_number", bytes.fromhex("fca26462"), (), ("uint256",))


@dataclass(frozen=True, slots=True)
class Head:
    """A gateway's head as it was accepted last; the first acceptance starts from `NO_HEAD`."""

    size: int
    root: bytes
    accepted_at: int  # Unix seconds of the block

    def abi(self) -> tuple[Any, ...]:
        """The fields in the contract's order."""
        return (self.size, self.root, self.accepted_at)


NO_HEAD = Head(0, bytes(32), 0)


@dataclass(frozen=True, slots=True)
class SignedHead:
    """A gateway's signed checkpoint, as fork reports take it."""

    size: int
    root: bytes
    r: int
    s: int

    def abi(self) -> tuple[Any, ...]:
        """The fields in the contract's order."""
        return (self.size, self.root, self.r, self.s)


@dataclass(frozen=True, slots=True)
class AnchoredHead:
    """The super-log's head on chain; size and root are zero before the first anchor."""

    size: int
    root: bytes
    anchored_at: int  # Unix seconds of the block


@dataclass(frozen=True, slots=True)
class AcceptedHead:
    """The answer to whether a head is the one accepted last."""

    is_head: bool
    is_ended: bool  # a fork report ended the epoch


@dataclass(frozen=True, slots=True)
class SuperLog:
    """A super-log's name, and where it ended if it has."""

    id: bytes  # SHA-256(name || 0x0A || 0x01 || Ed25519 key)
    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class Anchored:
    """The super-log has this head."""

    FORM: ClassVar[EventForm] = EventForm(
        "Anchored",
        bytes.fromhex("2946f6d79e30b36612401c9600819a1e622cf156a41e314844f4d582f06d242a"),
        ("uint256",),
        ("bytes32",),
    )

    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class Accepted:
    """A gateway's log has this accepted head."""

    FORM: ClassVar[EventForm] = EventForm(
        "Accepted",
        bytes.fromhex("74d22b92d019b24c9cf697bcf9c7b91f7191248403b925b25fdfe6a5106bd8a6"),
        ("bytes32",),
        ("uint256", "bytes32", "uint256"),
    )

    origin_id: bytes
    size: int
    root: bytes
    accepted_at: int


@dataclass(frozen=True, slots=True)
class ForkReported:
    """A gateway signed two histories; its epoch ended. Kind 1: two roots for one size; 2: two leaves at one index."""

    FORM: ClassVar[EventForm] = EventForm(
        "ForkReported",
        bytes.fromhex("1787aa87e8efd162396faa0f98b13f137c7fd3173f3b448fd1833c3849f5c815"),
        ("bytes32",),
        ("uint256", "uint256", "uint256", "bytes32", "uint256", "bytes32"),
    )

    origin_id: bytes
    kind: int
    index: int
    size_a: int
    root_a: bytes
    size_b: int
    root_b: bytes


@dataclass(frozen=True, slots=True)
class RelayerSet:
    """This address may anchor forward."""

    FORM: ClassVar[EventForm] = EventForm(
        "RelayerSet",
        bytes.fromhex("b7041340e0c2a075059bf0488a71c767724be15dae8e737f8460007325e8d857"),
        ("address",),
        (),
    )

    relayer: str


@dataclass(frozen=True, slots=True)
class SuperLogProposed:
    """The manager proposed a successor of the super-log."""

    FORM: ClassVar[EventForm] = EventForm(
        "SuperLogProposed",
        bytes.fromhex("7046e2ec4f90aa35649eb8038bf2774c61031a62c8a50db1d81a765cdf109c02"),
        ("bytes32",),
        (),
    )

    id: bytes


@dataclass(frozen=True, slots=True)
class SuperLogBegan:
    """A super-log began, from size 0."""

    FORM: ClassVar[EventForm] = EventForm(
        "SuperLogBegan",
        bytes.fromhex("7f8237a71846ea137e1aa1ae16d9e7abe1aa50a5e110444374ba6c61c483f25a"),
        ("uint256",),
        ("bytes32",),
    )

    number: int
    id: bytes


Event = Anchored | Accepted | ForkReported | RelayerSet | SuperLogProposed | SuperLogBegan

_EVENTS = event_table(Anchored, Accepted, ForkReported, RelayerSet, SuperLogProposed, SuperLogBegan)


def parse_event(topics: Sequence[bytes], data: bytes) -> Event | None:
    """The event that a log of this contract carries; None if none of these. Raises AbiError if malformed."""
    event: Event | None = parse_log(_EVENTS, topics, data)
    return event


def deploy(bytecode: bytes, *, registry: str, relayer: str, super_log: bytes, verifier: str) -> bytes:
    """Creation data: the compiled bytecode with its constructor's arguments."""
    arguments = encode_arguments(
        "AnchorLog",
        ("address", "address", "bytes32", "address"),
        (
            registry,
            relayer,
            super_log,
            verifier,
        ),
    )
    return bytecode + arguments


def anchor(to: str, *, size: int, root: bytes, proof: Sequence[bytes]) -> Call:
    """Put the super-log's next head on chain. The same head again changes nothing.

    Args:
        proof: RFC 9162 consistency path from the head on chain; empty while that one is empty.
    """
    return _ANCHOR.call(to, size, root, list(proof))


def set_relayer(to: str, *, relayer: str) -> Call:
    """Manager or committee name the address that may anchor forward, and nothing else."""
    return _SET_RELAYER.call(to, relayer)


def propose_super_log(to: str, *, super_log: bytes) -> Call:
    """The manager proposes a successor for a super-log that is poisoned or lost."""
    return _PROPOSE_SUPER_LOG.call(to, super_log)


def confirm_super_log(to: str, *, super_log: bytes) -> Call:
    """The committee ends the present super-log after the witness delay; its head stays on record."""
    return _CONFIRM_SUPER_LOG.call(to, super_log)


def accept(
    to: str, *, origin: str, previous: Head, size: int, root: bytes, r: int, s: int, proof: Sequence[bytes]
) -> Call:
    """Accept a gateway's signed checkpoint as the head that its entries are proven against. Anyone may relay it.

    Args:
        previous: The head accepted last, from its event; zeros the first time.
        r: First half of the gateway's signature over the checkpoint text.
        s: Second half, in its low form.
        proof: Consistency path from `previous`; empty the first time.
    """
    return _ACCEPT.call(to, origin, previous.abi(), size, root, r, s, list(proof))


def report_two_roots(to: str, *, origin: str, a: SignedHead, b: SignedHead) -> Call:
    """A gateway signed two roots for one size. Ends its epoch. Anyone may report it."""
    return _REPORT_TWO_ROOTS.call(to, origin, a.abi(), b.abi())


def report_two_leaves(
    to: str,
    *,
    origin: str,
    a: SignedHead,
    b: SignedHead,
    index: int,
    leaf_a: bytes,
    path_a: Sequence[bytes],
    leaf_b: bytes,
    path_b: Sequence[bytes],
) -> Call:
    """A gateway signed two heads, of any sizes, with different entries at one index. Ends its epoch.

    Args:
        leaf_a: Leaf hash at the index under head a.
        leaf_b: Leaf hash at the index under head b.
    """
    return _REPORT_TWO_LEAVES.call(to, origin, a.abi(), b.abi(), index, leaf_a, list(path_a), leaf_b, list(path_b))


def accepted(to: str, *, origin_id: bytes, head: Head) -> Call:
    """Whether this is the head accepted last for the origin, and whether a fork ended its epoch."""
    return _ACCEPTED.call(to, origin_id, head.abi())


def parse_accepted(result: bytes) -> AcceptedHead:
    """The result of `accepted`."""
    return AcceptedHead(*_ACCEPTED.decode(result))


def head(to: str) -> Call:
    """Size, root and block time of the anchored super-log head; the root is zero while the size is."""
    return _HEAD.call(to)


def parse_head(result: bytes) -> AnchoredHead:
    """The result of `head`."""
    return AnchoredHead(*_HEAD.decode(result))


def recent_roots(to: str) -> Call:
    """The roots anchored last, newest first; zero where none was."""
    return _RECENT_ROOTS.call(to)


def parse_recent_roots(result: bytes) -> tuple[bytes, ...]:
    """The result of `recent_roots`."""
    value: tuple[bytes, ...] = _RECENT_ROOTS.decode(result)[0]
    return value


def relayer(to: str) -> Call:
    """The address that may anchor forward."""
    return _RELAYER.call(to)


def parse_relayer(result: bytes) -> str:
    """The result of `relayer`."""
    value: str = _RELAYER.decode(result)[0]
    return value


def super_log(to: str, *, number: int) -> Call:
    """A super-log's name hash and, if it has ended, its last head."""
    return _SUPER_LOG.call(to, number)


def parse_super_log(result: bytes) -> SuperLog:
    """The result of `super_log`."""
    return SuperLog(*_SUPER_LOG.decode(result)[0])


def super_log_number(to: str) -> Call:
    """Super log number."""
    return _SUPER_LOG_NUMBER.call(to)


def parse_super_log_number(result: bytes) -> int:
    """The result of `super_log_number`."""
    value: int = _SUPER_LOG_NUMBER.decode(result)[0]
    return value
