# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title GatewayKeysStandIn
@license Apache-2.0
@notice As much of a Registry as AnchorLog asks: the parties and one gateway's key. It fits London's opcodes and size.
"""


struct GatewayKey:
    x: uint256
    y: uint256


manager: public(immutable(address))
committee: public(immutable(address))
witness_delay: public(constant(uint256)) = 604800
KEY: immutable(GatewayKey)


@deploy
def __init__(first: address, second: address, x: uint256, y: uint256):
    manager = first
    committee = second
    KEY = GatewayKey(x=x, y=y)


@external
@view
def key_in_force(origin_id: bytes32) -> GatewayKey:
    return KEY
