# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title Lanes
@license Apache-2.0
@notice Small numbers that share one word of storage, for a new slot is what costs: four lanes of 64 bits, or fields of
        any width.

        Invariants
        - Whoever packs has checked the widths; a field that is read gives back what was packed.
"""


@internal
@pure
def _word(a: uint256, b: uint256, c: uint256, d: uint256) -> uint256:
    """
    @notice Four lanes of 64 bits, the first one lowest.
    """
    return a | (b << 64) | (c << 128) | (d << 192)


@internal
@pure
def _lane(word: uint256, number: uint256) -> uint256:
    """
    @notice One of the four lanes.
    """
    return (word >> (64 * number)) & (2**64 - 1)


@internal
@pure
def _field(word: uint256, first_bit: uint256, width: uint256) -> uint256:
    """
    @notice The field of this many bits that begins at this bit.
    """
    return (word >> first_bit) & ((1 << width) - 1)
