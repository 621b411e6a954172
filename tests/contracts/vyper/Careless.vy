# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title Careless
@license Apache-2.0
@notice Breaks every static rule once, so that the rules are seen to see it.
"""

import p256

initializes: p256


interface Token:
    def transfer(recipient: address, amount: uint256) -> bool: nonpayable


event Paid:
    amount: uint256


struct Payee:
    account: address


LONG: constant(uint256) = 100_000

owner: address
paid: HashMap[address, uint256]
payees: DynArray[Payee, 1000]


@deploy
def __init__():
    p256.__init__(0x0000000000000000000000000000000000000100)
    self.owner = msg.sender


@external
def pay_first(token: address, amount: uint256):
    """
    @notice Calls out and then writes, through an internal function and on one side of a condition.
    """
    assert msg.sender == self.owner, "careless: only the owner pays"
    if amount > 5:
        self._pay(token, amount)
    self.paid[msg.sender] += amount
    log Paid(amount=amount)


@external
def pay_in_a_loop(token: address, amounts: DynArray[uint256, 5]):
    """
    @notice Writes before it calls out, but the loop comes round again.
    """
    assert msg.sender == self.owner, "careless: only the owner pays"
    for amount: uint256 in amounts:
        self.paid[token] += amount
        self._pay(token, amount)
    log Paid(amount=0)


@external
def call_raw(target: address):
    """
    @notice Calls foreign code with no interface before it writes.
    """
    assert msg.sender == self.owner, "careless: only the owner pays"
    raw_call(target, b"")
    self.owner = target
    log Paid(amount=0)


@external
def change_silently(owner: address):
    """
    @notice Writes without an event.
    """
    assert msg.sender == self.owner, "somebody else: may not"
    self.owner = owner


@external
def take_over():
    """
    @notice Writes for whoever comes.
    """
    self.owner = empty(address)
    log Paid(amount=0)


@external
def pay_in_order(token: address, amount: uint256):
    """
    @notice Breaks no rule.
    """
    assert msg.sender == self.owner, "careless: only the owner pays"
    self.paid[token] += amount
    log Paid(amount=amount)
    self._pay(token, amount)


@external
def loop_for_ever():
    assert msg.sender == self.owner
    for i: uint256 in range(LONG):
        pass
    for payee: Payee in self.payees:
        pass


@external
def count_the_unsigned(hash: bytes32):
    """
    @notice Takes a signature that does not verify for somebody's no.
    """
    assert msg.sender == self.owner, "careless: only the owner pays"
    if not p256._is_signed(hash, 1, 1, 1, 1):
        self.paid[msg.sender] += 1
    log Paid(amount=0)


@internal
def _pay(token: address, amount: uint256):
    extcall Token(token).transfer(msg.sender, amount)
