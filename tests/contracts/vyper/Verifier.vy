# pragma version 0.4.3
"""
@title Verifier
@license Apache-2.0
@notice Stands in for a P-256 verifier contract of a chain without the precompile: honest (it asks the precompile), blind
        (it accepts everything) or mute.
"""

KIND: immutable(uint256)


@deploy
def __init__(kind: uint256):
    KIND = kind


@external
@view
@raw_return
def __default__() -> Bytes[32]:
    if KIND == 1:
        return abi_encode(convert(1, uint256))
    if KIND == 2:
        return b""
    return raw_call(
        0x0000000000000000000000000000000000000100, slice(msg.data, 0, 160), max_outsize=32, is_static_call=True
    )
