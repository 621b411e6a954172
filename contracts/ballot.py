"""Ballots as owners sign them, and batches of them as anyone relays them (Ballots.vy).

A ballot is a person's signature whose nonce is a sequence number (1 to 15, the highest counts) and whose deadline is
the close. In a batch, ballots with equal authenticator data stand together; client data is not sent but for what
follows the origin, for the contract rebuilds it from the digest.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256
from itertools import groupby
from typing import Any

from contracts.abi import encode_arguments
from contracts.errors import ContractsError
from contracts.person import PersonSignature
from contracts.quorum import Choice

BATCH_MAX = 100
GROUPS_MAX = 16
PAPERS_MAX = 64
SEQUENCE_MAX = 15
GROUP_TYPE = "(uint256,uint256,uint256,bytes,bytes)"
BALLOT_TYPE = "(bytes32,uint256,uint256)"
OPENING_TYPE = "(bytes32,uint256,bytes32)"
PAPER_TYPE = "(uint256,uint256,bytes32)"
# What a resolution on the assembly's rules (matter 1) adopts so that non-voters follow the majority.
POLICY = sha256(b"minglou/policy/non-voters-follow/1").digest()
_REPEAL = sha256(b"minglou/policy/non-voters-follow/1/repeal").digest()


class BallotError(ContractsError):
    """A ballot cannot be put into a batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedBallot:
    """What an owner signed: a choice, or the holder + 1 of a proxy (0 revokes it), or 0 beside a commitment."""

    says: int
    signature: PersonSignature

    def __post_init__(self) -> None:
        if not 1 <= self.signature.nonce <= SEQUENCE_MAX:
            raise BallotError(f"ballot has sequence number {self.signature.nonce}; there are 1 to {SEQUENCE_MAX}")

    def tail(self) -> bytes:
        """Client data after the origin and its closing quote; empty for software keys.

        Raises:
            BallotError: the client data is no JSON object with an origin as its third member.
        """
        client_data = self.signature.client_data
        if not client_data:
            return b""
        try:
            origin = json.loads(client_data)["origin"]
        except (ValueError, KeyError, TypeError) as error:
            raise BallotError("client data of the passkey is no JSON object with an origin") from error
        head, found, tail = client_data.partition(b'"origin":"' + str(origin).encode() + b'"')
        if not found or not head.startswith(b'{"type":"webauthn.get","challenge":"'):
            raise BallotError(
                "client data does not begin with type, challenge and origin; sign again in another browser"
            )
        return tail

    def group(self) -> tuple[int, int, bytes, bytes]:
        """What ballots of one group have in common: what they say, sequence number, authenticator data, tail."""
        return (self.says, self.signature.nonce, self.signature.authenticator_data, self.tail())

    def abi(self) -> tuple[bytes, int, int]:
        """The fields in the contract's order."""
        return (self.signature.key_id, self.signature.r, self.signature.s)


@dataclass(frozen=True, slots=True)
class BallotBatch:
    """Ballots in the order in which they are sent, and how many of them share their data."""

    groups: tuple[tuple[int, int, int, bytes, bytes], ...]
    ballots: tuple[SignedBallot, ...]

    def abi(self) -> tuple[list[Any], list[Any]]:
        """Groups and ballots in the contract's order."""
        return list(self.groups), [ballot.abi() for ballot in self.ballots]


def batch_of(ballots: Iterable[SignedBallot], *, order: Callable[[SignedBallot], Any] | None = None) -> BallotBatch:
    """Group ballots that say the same with equal sequence number, authenticator data and tail.

    Args:
        order: within a group; by head is cheapest, for eight neighbours share a word. As given without it.

    Raises:
        BallotError: too many ballots or groups for one transaction.
    """
    keyed = [(ballot.group(), ballot) for ballot in ballots]
    if order is not None:
        keyed.sort(key=lambda each: order(each[1]))
    keyed.sort(key=lambda each: each[0])  # stable: the order within a group stays
    groups: list[tuple[int, int, int, bytes, bytes]] = []
    sent: list[SignedBallot] = []
    for group, members in groupby(keyed, key=lambda each: each[0]):
        mine = [ballot for _, ballot in members]
        groups.append((len(mine), *group))
        sent += mine
    if len(sent) > BATCH_MAX or len(groups) > GROUPS_MAX:
        raise BallotError(f"{len(sent)} ballots in {len(groups)} groups; a batch takes {BATCH_MAX} in {GROUPS_MAX}")
    return BallotBatch(tuple(groups), tuple(sent))


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What opens a sealed ballot."""

    key_id: bytes
    choice: Choice
    salt: bytes  # 32 random bytes

    def commitment(self, resolution: bytes) -> bytes:
        """What the owner signs before: SHA-256 of resolution's digest, key id, choice, salt."""
        values = (resolution, self.key_id, int(self.choice), self.salt)
        return sha256(encode_arguments("commitment", ("bytes32", "bytes32", "uint256", "bytes32"), values)).digest()

    def abi(self) -> tuple[bytes, int, bytes]:
        """The fields in the contract's order."""
        return (self.key_id, int(self.choice), self.salt)


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperBallot:
    """A paper ballot as two returning officers record it."""

    head: int
    choice: Choice
    scan: bytes  # SHA-256 of the scanned sheet

    def abi(self) -> tuple[int, int, bytes]:
        """The fields in the contract's order."""
        return (self.head, int(self.choice), self.scan)


def repeal_payload(policy: int) -> bytes:
    """What a resolution on the assembly's rules (matter 1) carries to end a policy.

    Args:
        policy: number of the resolution that adopted it.
    """
    return sha256(encode_arguments("repeal", ("bytes32", "uint256"), (_REPEAL, policy))).digest()


def chained_papers(resolution: bytes, papers: Iterable[PaperBallot]) -> bytes:
    """What the officers sign as the body of `Purpose.PAPER`: a hash chain over them from the resolution's digest."""
    chained = resolution
    for paper in papers:
        values = (chained, *paper.abi())
        chained = sha256(encode_arguments("paper", ("bytes32", "uint256", "uint256", "bytes32"), values)).digest()
    return chained


@dataclass(frozen=True, slots=True)
class HeldBallot:
    """A head's ballot as it stands in its word."""

    choice: Choice
    software: bool  # no passkey of the head voted
    several: bool  # several keys of the head voted: the choice is what they have in common, else abstention
    sequence: int  # 0 where there are several
    key: int  # number of the key within its head; 0 where there are several


def held_ballots(place: int, word: int) -> dict[int, HeldBallot]:
    """By head, the ballots in a word of the event Cast: sixteen of 16 bits, from the right."""
    found = {}
    for lane in range(16):
        ballot = word >> (16 * lane) & (2**16 - 1)
        if ballot:
            held = HeldBallot(Choice(ballot & 3), bool(ballot & 4), bool(ballot & 8), ballot >> 4 & 15, ballot >> 8)
            found[16 * place + lane] = held
    return found
