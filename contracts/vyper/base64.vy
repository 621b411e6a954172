# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title Base64 of 32-byte words
@license Apache-2.0
@notice RFC 4648 encodings of one bytes32: standard with padding (44 characters, C2SP checkpoints) and URL-safe without
        (43 characters, WebAuthn challenges).

        Thirty-two 6-bit groups are spread over the thirty-two bytes of a word and turned into ASCII all at once,
        which costs about a tenth of a loop with a table. Every lane stays within 0 and 255 at each step, so no carry
        or borrow crosses into a neighbour and unchecked arithmetic is exact.
"""

# One in every byte.
LANES: constant(uint256) = max_value(uint256) // (2**8 - 1)
# Lower half of the used bits in every lane of 128, 64, 32 and 16 bits; the upper half stands right above it.
LOWER_48: constant(uint256) = max_value(uint256) // (2**128 - 1) * (2**48 - 1)
LOWER_24: constant(uint256) = max_value(uint256) // (2**64 - 1) * (2**24 - 1)
LOWER_12: constant(uint256) = max_value(uint256) // (2**32 - 1) * (2**12 - 1)
LOWER_6: constant(uint256) = max_value(uint256) // (2**16 - 1) * (2**6 - 1)


@internal
@pure
def _standard(word: bytes32) -> Bytes[44]:
    """
    @notice Padded standard base64 of 32 bytes.
    """
    number: uint256 = convert(word, uint256)
    # 62 and 63 become "+" (43) and "/" (47).
    head: uint256 = self._characters(number >> 64, 15, 3)
    tail: uint256 = self._characters((number & (2**64 - 1)) << 128, 15, 3)
    return concat(convert(head, bytes32), slice(convert(tail, bytes32), 0, 11), b"=")


@internal
@pure
def _url(word: bytes32) -> Bytes[43]:
    """
    @notice Unpadded URL-safe base64 of 32 bytes.
    """
    number: uint256 = convert(word, uint256)
    # 62 and 63 become "-" (45) and "_" (95).
    head: uint256 = self._characters(number >> 64, 13, 49)
    tail: uint256 = self._characters((number & (2**64 - 1)) << 128, 13, 49)
    return concat(convert(head, bytes32), slice(convert(tail, bytes32), 0, 11))


@internal
@pure
def _characters(bits: uint256, drop_at_62: uint256, lift_at_63: uint256) -> uint256:
    """
    @notice Thirty-two ASCII characters for 192 bits.
    @param bits The 24 bytes, right-aligned.
    @param drop_at_62 What the characters 62 and 63 lie below the run of the digits.
    @param lift_at_63 What the character 63 lies above that again.
    """
    x: uint256 = bits
    # Halve 192 bits into 96, 48, 24, 12 and 6, each half moved to the upper half of its lane.
    x = ((x >> 96) << 128) | (x & (2**96 - 1))
    x = ((x & (LOWER_48 << 48)) << 16) | (x & LOWER_48)
    x = ((x & (LOWER_24 << 24)) << 8) | (x & LOWER_24)
    x = ((x & (LOWER_12 << 12)) << 4) | (x & LOWER_12)
    x = ((x & (LOWER_6 << 6)) << 2) | (x & LOWER_6)
    from_26: uint256 = (unsafe_add(x, LANES * (128 - 26)) >> 7) & LANES
    from_52: uint256 = (unsafe_add(x, LANES * (128 - 52)) >> 7) & LANES
    from_62: uint256 = (unsafe_add(x, LANES * (128 - 62)) >> 7) & LANES
    at_63: uint256 = (unsafe_add(x, LANES * (128 - 63)) >> 7) & LANES
    # "A" is 65; lower case lies 6 higher than the run of the capitals, digits 75 below that.
    x = unsafe_add(unsafe_add(x, LANES * 65), unsafe_mul(from_26, 6))
    x = unsafe_sub(unsafe_sub(x, unsafe_mul(from_52, 75)), unsafe_mul(from_62, drop_at_62))
    return unsafe_add(x, unsafe_mul(at_63, lift_at_63))
