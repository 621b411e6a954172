# pragma version 0.4.3
"""
@title Effects
@notice Counts what it is told. It does not mind being told twice, so that a doubled wish shows.
"""

event Told:
    wish: indexed(uint256)

told: public(HashMap[uint256, uint256])
closed: public(bool)  # a test sets it in storage


@external
def tell(wish: uint256):
    """
    @notice Count one wish.
    """
    assert not self.closed, "effects: closed"
    self.told[wish] += 1
    log Told(wish=wish)
