# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title Stand-in
@license Apache-2.0
@notice For tests of the fees alone: a directory whose assembly and token are this contract, with outcomes that anyone
        may set, and a token that always gives one answer.
"""


interface Registry:
    def manager() -> address: view
    def committee() -> address: view


struct Outcome:
    state: uint256
    matter: uint256
    payload: bytes32
    decided_at: uint256
    building: uint256


REGISTRY: immutable(Registry)
TOKEN_ANSWER: immutable(bool)
outcomes: HashMap[uint256, Outcome]


@deploy
def __init__(registry: address, token_answer: bool):
    REGISTRY = Registry(registry)
    TOKEN_ANSWER = token_answer


@external
def set_outcome(number: uint256, state: uint256, payload: bytes32, building: uint256):
    self.outcomes[number] = Outcome(state=state, matter=4, payload=payload, decided_at=1, building=building)


@external
@view
def outcome(number: uint256) -> Outcome:
    return self.outcomes[number]


@external
@view
def contract_named(name: bytes32) -> address:
    return self


@external
@view
def manager() -> address:
    return staticcall REGISTRY.manager()


@external
@view
def committee() -> address:
    return staticcall REGISTRY.committee()


@external
@view
def has_role(role: bytes32, account: address) -> bool:
    return False


@external
@view
def site() -> bytes32:
    return empty(bytes32)


@external
@view
def utc_offset_seconds() -> int256:
    return 0


@external
def transferFrom(owner: address, to: address, amount: uint256) -> bool:
    return TOKEN_ANSWER
