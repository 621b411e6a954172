# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title Signatures
@license Apache-2.0
@notice Asks the signature modules about digests of one's choice, and says what the answer cost.
"""

import base64
import p256
import person

initializes: p256
initializes: person[p256 := p256]


@deploy
def __init__(verifier: address):
    p256.__init__(verifier)


@external
@view
def is_signed_by(key: person.PersonKey, digest: bytes32, signature: person.PersonSignature) -> (bool, uint256):
    before: uint256 = msg.gas
    answer: bool = person._is_signed_by(key, digest, signature)
    return answer, before - msg.gas


@external
@view
def is_signed(hash: bytes32, r: uint256, s: uint256, x: uint256, y: uint256) -> (bool, uint256):
    before: uint256 = msg.gas
    answer: bool = p256._is_signed(hash, r, s, x, y)
    return answer, before - msg.gas


@external
@view
def base64url(word: bytes32) -> (Bytes[43], uint256):
    before: uint256 = msg.gas
    text: Bytes[43] = base64._url(word)
    return text, before - msg.gas
