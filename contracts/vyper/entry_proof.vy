# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title Entry proofs
@license Apache-2.0
@notice A gateway's log entry, its leaf hash and its inclusion in an accepted head.

        Invariants
        - The leaf hash is SHA-256(0x00 || seven ABI words), the bytes that gateway, cloud and browser hash.
        - A register value comes only from a *boundary entry* of the named device and quantity: kind reading, quantity
          with the boundary date, value not negative.
"""

import calendar
import tree

PATH_MAX: constant(uint256) = 49
KIND_READING: constant(uint256) = 1


struct Entry:
    kind: uint256
    device: bytes32
    observed_at: uint256  # milliseconds since 1970 UTC
    quantity: bytes32
    value: int256
    detail: bytes32
    salt: bytes32


struct EntryProof:
    entry: Entry
    index: uint256
    path: DynArray[bytes32, PATH_MAX]


@internal
@pure
def _leaf_hash(entry: Entry) -> bytes32:
    return sha256(slice(abi_encode(empty(bytes32), entry), 31, 225))


@internal
@pure
def _is_logged(proof: EntryProof, size: uint256, root: bytes32) -> bool:
    """
    @notice Whether the entry stands in the log with this size and root.
    """
    return tree._is_included(self._leaf_hash(proof.entry), proof.index, size, proof.path, root)


@internal
@pure
def _register(entry: Entry, device: bytes32, quantity: bytes32, date: uint256) -> uint256:
    """
    @notice The register that a boundary entry of the device gives for this quantity and date.
    """
    assert entry.kind == KIND_READING, "entry_proof: entry is no reading"
    assert entry.device == device, "entry_proof: entry is another device's"
    assert entry.quantity == calendar._boundary_quantity(quantity, date), "entry_proof: entry is not this boundary's"
    assert entry.value >= 0, "entry_proof: register is negative"
    return convert(entry.value, uint256)
