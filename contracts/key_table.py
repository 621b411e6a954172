"""Tables of the keys by which a pool is shared: a Merkle sum tree over the units, in unit order (Charges.vy).

An inclusion proof gives the sum of all keys before a unit's, so that its telescoping share can be checked alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from contracts.abi import padded
from contracts.bill import BillError, BillTree, Node, climb

TAG = padded("minglou/key/1")
TABLE_BYTES = 128
_SUM_END = 2**64
KEY_PROOF_TYPE = "(bytes,uint256,bytes32,(bytes32,uint256)[])"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyProof:
    """One unit's key, and its place in a table; the empty one where a pool is shared by area or equally."""

    table: bytes = b""  # of the period's volumes; empty where the roll holds the table
    key: int = 0
    salt: bytes = bytes(32)
    path: tuple[Node, ...] = ()

    def abi(self) -> tuple[Any, ...]:
        """The fields in the contract's order."""
        return (self.table, self.key, self.salt, [node.abi() for node in self.path])


NO_KEY = KeyProof()


def key_proof_to_json(proof: KeyProof) -> dict[str, Any]:
    """The proof as a page gets it (contracts/js/line.js): hex without 0x, decimal strings."""
    return {
        "table": proof.table.hex(),
        "key": str(proof.key),
        "salt": proof.salt.hex(),
        "path": [{"hash": node.hash.hex(), "sums": str(node.sums)} for node in proof.path],
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class PostedTable:
    """A table as whoever posted it made it known: of which pool, its root with the sum of all keys, how many units."""

    pool: bytes
    root: Node
    unit_count: int


def decode_table(words: bytes) -> PostedTable:
    """A table from the four words that are posted for a period. Raises BillError."""
    if len(words) != TABLE_BYTES:
        raise BillError(f"a table of volumes has {TABLE_BYTES} bytes, not {len(words)}")
    pool, root, total, count = (words[at : at + 32] for at in range(0, TABLE_BYTES, 32))
    if not 0 < int.from_bytes(total) < _SUM_END or not 0 < int.from_bytes(count) < 2**48:
        raise BillError("a table of volumes shares something among somebody")
    return PostedTable(pool=pool, root=Node(root, int.from_bytes(total)), unit_count=int.from_bytes(count))


def key_before(proof: KeyProof, unit_index: int, table: PostedTable) -> int:
    """The sum of all keys before a unit's, by its place in the table (Charges.vy `_before`).

    Raises:
        BillError: the key does not stand there.
    """
    leaf = key_leaf(unit_index, proof.key, proof.salt)
    if climb(leaf, unit_index, table.unit_count, proof.path) != table.root:
        raise BillError(f"the key {proof.key} of unit {unit_index} is not in the table that was posted")
    inner = (unit_index ^ (table.unit_count - 1)).bit_length()
    return sum(sibling.sums for level, sibling in enumerate(proof.path) if level >= inner or unit_index >> level & 1)


class KeyTable:
    """The keys of all units for one pool.

    Args:
        salts: one a unit where keys are a household's own numbers (water volumes), so that leaves reveal nothing.
    """

    def __init__(self, *, pool: bytes, keys: Sequence[int], salts: Sequence[bytes] = ()) -> None:
        self.pool, self.keys = pool, tuple(keys)
        self.salts = tuple(salts) or (bytes(32),) * len(self.keys)
        if not 0 < sum(self.keys) < _SUM_END or min(self.keys) < 0:
            raise BillError("nobody to share with: the keys must add up to more than zero and less than 2^64")
        self._tree = BillTree(
            key_leaf(index, key, salt) for index, (key, salt) in enumerate(zip(self.keys, self.salts, strict=True))
        )

    def encode(self) -> bytes:
        """The four words that are posted for a period: pool, root, sum of keys, units."""
        root = self._tree.root
        return self.pool + root.hash + root.sums.to_bytes(32) + len(self.keys).to_bytes(32)

    @property
    def root(self) -> Node:
        """Root and sum of the keys."""
        return self._tree.root

    @property
    def tree(self) -> BillTree:
        """The sum tree itself, for whoever keeps its upper nodes."""
        return self._tree

    def proof(self, unit_index: int, *, posted: bool = False) -> KeyProof:
        """One unit's key and its place.

        Args:
            posted: whether the table is a period's volumes, which only its digest stands for on chain.
        """
        return KeyProof(
            table=self.encode() if posted else b"",
            key=self.keys[unit_index],
            salt=self.salts[unit_index],
            path=self._tree.path(unit_index),
        )


def key_proof_from_json(document: Any) -> KeyProof:
    """The proof in a program's answer. Raises BillError."""
    try:
        path = [Node(bytes.fromhex(node["hash"]), int(node["sums"])) for node in document["path"]]
        proof = KeyProof(
            table=bytes.fromhex(document["table"]),
            key=int(document["key"]),
            salt=bytes.fromhex(document["salt"]),
            path=tuple(path),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise BillError(f"this is not a key's place in a table: {error!r}") from error
    if len(proof.salt) != 32 or not 0 <= proof.key < _SUM_END or len(path) > 64:
        raise BillError("a key's place in a table is out of range")
    if any(len(node.hash) != 32 or not 0 <= node.sums < _SUM_END for node in path):
        raise BillError("a key's path is out of range")
    return proof


def key_leaf(unit_index: int, key: int, salt: bytes) -> Node:
    """A unit's leaf."""
    return Node(sha256(b"\0" + TAG + unit_index.to_bytes(32) + key.to_bytes(32) + salt).digest(), key)


def floor_factor_key(area_centi_m2: int, floor: int, *, band_floors: int = 5, step_percent: int = 20) -> int:
    """Area times 1 + (N - 1) * 0.2 with N the unit's band of five floors, as published rules have it; all times 100,
    for keys are integers. Floors below the first count as the first.
    """
    band = max(0, floor - 1) // band_floors
    return area_centi_m2 * (100 + band * step_percent)
