"""JSON-RPC answers as types of our own: parsed at the door, canonical or refused with `ValueError`.

Nothing here looks at a header's `extraData`, so chains of proof of authority, which put their validators' signatures
there, need no setting.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

__all__ = ["Block", "EventLog", "Receipt", "block_of", "bytes_of", "logs_of", "number_of", "receipt_of"]

_BLOOM_BYTES = 256
_HASH_LENGTH = 66
_TOPICS_MAX = 4
_HEX = re.compile(r"0x[0-9a-fA-F]*", re.ASCII)  # Python's own parsers take signs, spaces and underscores too


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A block's header, as far as we need it."""

    number: int
    hash: str
    parent_hash: str
    timestamp: int  # seconds
    base_fee_wei: int | None  # None on chains without EIP-1559
    bloom: bytes  # over addresses and topics of its events; empty where the chain keeps none

    def may_hold(self, word: bytes) -> bool:
        """Whether an address or topic can be among the block's events: False is certain, True is not."""
        from eth_utils.crypto import keccak

        if not self.bloom:
            return True
        digest = keccak(word)
        bits = (int.from_bytes(digest[at : at + 2]) & 2047 for at in (0, 2, 4))
        return all(self.bloom[_BLOOM_BYTES - 1 - bit // 8] >> (bit % 8) & 1 for bit in bits)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventLog:
    """One event as the chain keeps it."""

    log_index: int
    address: str  # lower case
    topics: tuple[bytes, ...]
    data: bytes
    transaction_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What became of a transaction."""

    succeeded: bool
    block_number: int
    block_hash: str
    gas_used: int
    contract: str | None


def number_of(value: Any) -> int:
    """A quantity, `0x` and hex digits."""
    if not isinstance(value, str) or not _HEX.fullmatch(value) or not 3 <= len(value) <= _HASH_LENGTH:
        raise ValueError(f"{str(value)[:80]!r} is no quantity")
    return int(value[2:], 16)


def bytes_of(value: Any) -> bytes:
    """Bytes, `0x` and an even number of hex digits."""
    if not isinstance(value, str) or not _HEX.fullmatch(value):
        raise ValueError(f"{str(value)[:80]!r} is no hex")
    return bytes.fromhex(value[2:])


def block_of(found: Any, asked: int | str) -> Block | None:
    """The header that was asked for by number, hash or tag; None where the chain has none."""
    if found is None:
        return None
    base_fee, bloom = found.get("baseFeePerGas"), found.get("logsBloom")
    block = Block(
        number=number_of(found["number"]),
        hash=_hash(found["hash"]),
        parent_hash=_hash(found["parentHash"]),
        timestamp=number_of(found["timestamp"]),
        base_fee_wei=None if base_fee is None else number_of(base_fee),
        bloom=b"" if bloom is None else bytes_of(bloom),
    )
    if len(block.bloom) not in (0, _BLOOM_BYTES) or block.number >= 1 << 63 or block.timestamp >= 1 << 63:
        raise ValueError("a header out of its bounds")
    if (isinstance(asked, int) and block.number != asked) or (str(asked).startswith("0x") and block.hash != asked):
        raise ValueError(f"block {block.number} {block.hash} is not {asked}")
    return block


def logs_of(found: Any, block: Block, addresses: Sequence[str]) -> tuple[EventLog, ...]:
    """The events of these contracts in this block; what was not asked for, or is not in its bloom, is refused."""
    logs = tuple(_log(one, block.hash) for one in found)
    for before, after in pairwise(logs):
        if before.log_index >= after.log_index:
            raise ValueError("events out of order")
    for log in logs:
        if log.address not in addresses:
            raise ValueError(f"an event of {log.address}, which was not asked for")
        if not all(map(block.may_hold, (bytes_of(log.address), *log.topics))):
            raise ValueError(f"event {log.log_index} is not in the bloom filter of block {block.number}")
    return logs


def receipt_of(found: Any, transaction_hash: str) -> Receipt | None:
    """The receipt of this transaction; None while it is in no block."""
    if found is None or found.get("blockHash") is None:
        return None
    if _hash(found["transactionHash"]) != transaction_hash:
        raise ValueError("the receipt of another transaction")
    contract = found.get("contractAddress")
    return Receipt(
        succeeded=number_of(found["status"]) == 1,
        block_number=number_of(found["blockNumber"]),
        block_hash=_hash(found["blockHash"]),
        gas_used=number_of(found["gasUsed"]),
        contract=None if contract is None else _address(contract),
    )


def _log(found: Mapping[str, Any], block_hash: str) -> EventLog:
    topics = tuple(bytes_of(topic) for topic in found["topics"])
    if _hash(found["blockHash"]) != block_hash or found.get("removed") is True:
        raise ValueError("an event of another block")
    if len(topics) > _TOPICS_MAX or any(len(topic) != 32 for topic in topics):
        raise ValueError("topics that are none")
    return EventLog(
        log_index=number_of(found["logIndex"]),
        address=_address(found["address"]),
        topics=topics,
        data=bytes_of(found["data"]),
        transaction_hash=_hash(found["transactionHash"]),
    )


def _hash(value: Any) -> str:
    if len(bytes_of(value)) != 32:
        raise ValueError(f"{value[:80]!r} is no hash")
    return str(value).lower()


def _address(value: Any) -> str:
    if len(bytes_of(value)) != 20:
        raise ValueError(f"{value[:80]!r} is no address")
    return str(value).lower()
