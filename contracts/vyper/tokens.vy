# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title Tokens in and out
@license Apache-2.0
@notice How contracts that hold money take it and give it, in an ERC-20 (EIP-20) that a site names once.

        Invariants
        - What is booked has arrived: a token that answers false, or keeps a part of what it moves, is refused.
        - A token that answers nothing at all, as some old ones do, is believed if the money arrived.
        - Whoever calls has written everything before.
"""

from ethereum.ercs import IERC20


@internal
def _take(token: IERC20, amount: uint256):
    """
    @notice The caller's tokens come here, within the allowance that the caller gave.
    """
    if amount != 0:
        held: uint256 = staticcall token.balanceOf(self)
        success: bool = extcall token.transferFrom(msg.sender, self, amount, default_return_value=True)
        assert success, "tokens: token refused the transfer"
        assert staticcall token.balanceOf(self) == held + amount, "tokens: another amount arrived"


@internal
def _give(token: IERC20, to: address, amount: uint256):
    """
    @notice Tokens that stand here go out.
    """
    if amount != 0:
        success: bool = extcall token.transfer(to, amount, default_return_value=True)
        assert success, "tokens: token refused the transfer"
