# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title Harness
@license Apache-2.0
@notice Makes the modules' internal functions callable for tests.
"""

import base64
import bill_tree
import calendar
import checkpoint
import entry_proof
import p256
import person
import tree

initializes: p256
initializes: person[p256 := p256]


@deploy
def __init__(verifier: address):
    p256.__init__(verifier)


@external
@view
def is_signed(hash: bytes32, r: uint256, s: uint256, x: uint256, y: uint256) -> (bool, bool):
    return p256._is_signed(hash, r, s, x, y), p256._is_signed_low_s(hash, r, s, x, y)


@external
@view
def is_included(leaf: bytes32, index: uint256, size: uint256, path: DynArray[bytes32, 49], root: bytes32) -> bool:
    return tree._is_included(leaf, index, size, path, root)


@external
@view
def is_extension(
    old_size: uint256, old_root: bytes32, size: uint256, root: bytes32, path: DynArray[bytes32, 49]
) -> bool:
    return tree._is_extension(old_size, old_root, size, root, path)


@external
@view
def base64_texts(word: bytes32) -> (Bytes[44], Bytes[43]):
    return base64._standard(word), base64._url(word)


@external
@view
def checkpoint_digest(origin: String[64], size: uint256, root: bytes32) -> bytes32:
    return checkpoint._digest(origin, size, root)


@external
@view
def days(date: uint256) -> uint256:
    return calendar._days(date)


@external
@view
def midnight(date: uint256, utc_offset_seconds: int256) -> uint256:
    return calendar._midnight(date, utc_offset_seconds)


@external
@view
def boundary_quantity(quantity: bytes32, date: uint256) -> bytes32:
    return calendar._boundary_quantity(quantity, date)


@external
@view
def leaf_hash(entry: entry_proof.Entry) -> bytes32:
    return entry_proof._leaf_hash(entry)


@external
@view
def register(entry: entry_proof.Entry, device: bytes32, quantity: bytes32, date: uint256) -> uint256:
    return entry_proof._register(entry, device, quantity, date)


@external
@view
def is_signed_by(
    key: person.PersonKey, purpose: bytes32, body_digest: bytes32, signature: person.PersonSignature
) -> bool:
    return person._is_signed_by(key, person._digest(purpose, body_digest, signature), signature)


@external
@view
def bill_top(
    site: bytes32, period: uint256, first_index: uint256, bills: DynArray[bill_tree.Bill, 64]
) -> bill_tree.Node:
    return bill_tree._block_top(self, site, period, first_index, bills)


@external
@view
def climb(
    node: bill_tree.Node, index: uint256, size: uint256, path: DynArray[bill_tree.Node, 32]
) -> bill_tree.Node:
    return bill_tree._climb(node, index, size, path)
