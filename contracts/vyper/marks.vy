# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title Marks on bills
@license Apache-2.0
@notice What has happened to the bills of a period, 64 bills to a word of storage, so that a debit of 64 reads and writes one.
        Four lanes of one bit for each bill, from the right: paid, under challenge, lowered, waiting for a silent gateway.

        Invariants
        - A bill's marks stand in the word of its block of 64, at its place within the block in each lane.
        - The contract that uses this module decides who sets one.
"""

BLOCK: constant(uint256) = 64

# First bits of the lanes.
PAID: constant(uint256) = 0
HELD: constant(uint256) = 64
LOWERED: constant(uint256) = 128
SILENT: constant(uint256) = 192

words: HashMap[uint256, HashMap[uint256, uint256]]  # by period and block


@internal
@view
def _has(period: uint256, unit_index: uint256, lane: uint256) -> bool:
    """
    @notice Whether the unit's bill bears the mark of this lane.
    """
    return (self.words[period][unit_index // BLOCK] >> (lane + unit_index % BLOCK)) & 1 == 1


@internal
def _set(period: uint256, unit_index: uint256, lane: uint256, marked: bool):
    """
    @notice Put the mark of this lane on the unit's bill, or take it off.
    """
    bit: uint256 = 1 << (lane + unit_index % BLOCK)
    word: uint256 = self.words[period][unit_index // BLOCK] & ~bit
    if marked:
        word |= bit
    self.words[period][unit_index // BLOCK] = word


@internal
@pure
def _waiting(word: uint256) -> uint256:
    """
    @notice The places of a block whose bills are not to be debited: paid, under challenge or waiting for a gateway.
    """
    return word | (word >> HELD) | (word >> SILENT)
