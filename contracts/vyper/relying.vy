# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title Relying parties
@license Apache-2.0
@notice The web origins whose passkeys count in a contract. A passkey belongs to one of them for ever (WebAuthn level 3,
        section 4, "relying party identifier"), so an origin is set once and a new one gets the next free number.

        Invariants
        - What stands under a number never changes; keys name it by the number.
        - The contract that uses this module decides who may set one.
"""

NUMBER_END: constant(uint256) = 256


struct RelyingParty:
    rp_id_hash: bytes32
    origin: String[128]


event RelyingPartySet:
    number: indexed(uint256)
    rp_id_hash: bytes32
    origin: String[128]


parties: HashMap[uint256, RelyingParty]


@internal
def _set(number: uint256, rp_id_hash: bytes32, origin: String[128]):
    assert number < NUMBER_END, "relying: number is above 255"
    assert rp_id_hash != empty(bytes32), "relying: relying party has no identifier"
    assert self.parties[number].rp_id_hash == empty(bytes32), "relying: number is taken"
    self.parties[number] = RelyingParty(rp_id_hash=rp_id_hash, origin=origin)
    log RelyingPartySet(number=number, rp_id_hash=rp_id_hash, origin=origin)


@internal
@view
def _check_key(x: uint256, y: uint256, kind: uint256, number: uint256):
    """
    @notice Refuses a person's new key that is of no known kind, or a passkey of an unknown web origin.
    """
    assert x != 0 and y != 0 and (kind == 1 or kind == 2), "relying: key is neither webauthn nor software"
    assert number < NUMBER_END, "relying: number is above 255"
    assert kind != 1 or self.parties[number].rp_id_hash != empty(bytes32), "relying: relying party is not set"
