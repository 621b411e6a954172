# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title CrewsStandIn
@license Apache-2.0
@notice What ServiceAgreements asks of Crews, set by anyone.
"""

commitments: HashMap[bytes32, bytes32]
licences: HashMap[uint256, uint256]


@external
def set_commitment(alias: bytes32, commitment: bytes32):
    self.commitments[alias] = commitment


@external
def set_firm(firm: uint256, licence_until: uint256):
    self.licences[firm] = licence_until


@external
@view
def crew_commitment(alias: bytes32, firm: uint256) -> (bytes32, uint256):
    return self.commitments[alias], self.licences[firm]
