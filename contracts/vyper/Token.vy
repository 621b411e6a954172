# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title Token
@license Apache-2.0
@notice A plain ERC-20 (EIP-20) for demonstration and tests, whose smallest unit is the fen. A site that really pays on chain
        takes the token that its bank or city issues.

        Invariants
        - The sum of all balances is the total supply; only the minter adds to it.
        - A balance falls only by its holder's transfer or within an allowance that the holder gave.
"""

from ethereum.ercs import IERC20

implements: IERC20

MINTER: immutable(address)

name: public(String[32])
symbol: public(String[8])
decimals: public(constant(uint8)) = 2
totalSupply: public(uint256)
balanceOf: public(HashMap[address, uint256])
allowance: public(HashMap[address, HashMap[address, uint256]])


@deploy
def __init__(name: String[32], symbol: String[8], minter: address):
    """
    @notice An empty token.
    @param minter Who may create units.
    """
    self.name = name
    self.symbol = symbol
    MINTER = minter


@external
def mint(to: address, amount: uint256):
    """
    @notice Create units. Only the minter.
    """
    assert msg.sender == MINTER, "token: only the minter mints"
    self.totalSupply += amount
    self.balanceOf[to] += amount
    log IERC20.Transfer(sender=empty(address), receiver=to, value=amount)


@external
def transfer(to: address, amount: uint256) -> bool:
    """
    @notice Move the caller's units.
    """
    self._move(msg.sender, to, amount)
    return True


@external
def transferFrom(owner: address, to: address, amount: uint256) -> bool:
    """
    @notice Move units within an allowance.
    """
    allowed: uint256 = self.allowance[owner][msg.sender]
    assert allowed >= amount, "token: allowance is too small"
    self.allowance[owner][msg.sender] = allowed - amount
    self._move(owner, to, amount)
    return True


@external
def approve(spender: address, amount: uint256) -> bool:
    """
    @notice Let another move up to so many of the caller's units.
    """
    self.allowance[msg.sender][spender] = amount
    log IERC20.Approval(owner=msg.sender, spender=spender, value=amount)
    return True


@internal
def _move(owner: address, to: address, amount: uint256):
    held: uint256 = self.balanceOf[owner]
    assert held >= amount, "token: balance is too small"
    self.balanceOf[owner] = held - amount
    self.balanceOf[to] += amount
    log IERC20.Transfer(sender=owner, receiver=to, value=amount)
