# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title Signatures that serve once
@license Apache-2.0
@notice For acts that no state of their own keeps from happening twice: the digests that were signed and done. Without it
        whoever relays could announce a vetoed rotation again for as long as its signature's deadline lasts.

        Invariants
        - A digest is used once, for ever; it names chain, contract, purpose, key and nonce, so another act has another.
"""

event SignatureUsed:
    digest: indexed(bytes32)


used: HashMap[bytes32, bool]


@internal
def _use(digest: bytes32):
    """
    @notice Refuses a digest that was used before. The caller has verified its signature.
    """
    assert not self.used[digest], "once: signature was used"
    self.used[digest] = True
    log SignatureUsed(digest=digest)
