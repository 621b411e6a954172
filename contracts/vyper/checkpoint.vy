# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title C2SP checkpoint text
@license Apache-2.0
@notice Rebuilds the body that a gateway signs, `origin\nsize\nbase64(root)\n` (C2SP tlog-checkpoint, no extension lines),
        and hashes it. The text is made from typed values, never parsed, so there is one text for one (origin, size, root).
"""

import base64

ORIGIN_MAX: constant(uint256) = 64


@internal
@pure
def _digest(origin: String[ORIGIN_MAX], size: uint256, root: bytes32) -> bytes32:
    """
    @notice SHA-256 of the checkpoint body, which is what ECDSA signs.
    """
    return sha256(concat(convert(origin, Bytes[64]), b"\n", self._decimal(size), b"\n", base64._standard(root), b"\n"))


@internal
@pure
def _decimal(number: uint256) -> Bytes[32]:
    """
    @notice ASCII decimal of a number below 2^48, without leading zeros.
    """
    text: uint256 = 0
    rest: uint256 = number
    length: uint256 = 0
    for i: uint256 in range(15):
        # Each digit enters at the left of the ones written before it.
        text = (text >> 8) | (unsafe_add(48, rest % 10) << 248)
        rest = rest // 10
        length = unsafe_add(length, 1)
        if rest == 0:
            break
    return slice(convert(text, bytes32), 0, length)
