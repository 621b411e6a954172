# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title Outcomes as tests write them
@license Apache-2.0
@notice What resolutions came to, for tests of who acts on them: a real vote takes weeks of a chain's time. That the real
        Assembly answers so is the business of test_fund_by_vote.py.
"""

struct Outcome:
    state: uint256
    matter: uint256
    payload: bytes32
    decided_at: uint256
    building: uint256


outcome: public(HashMap[uint256, Outcome])


@external
def set_outcome(number: uint256, outcome: Outcome):
    """
    @notice What a resolution came to.
    """
    self.outcome[number] = outcome
