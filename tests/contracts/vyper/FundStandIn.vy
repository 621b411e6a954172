# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title Stand-in
@license Apache-2.0
@notice Registry, Roll, Crews, Assembly and AnchorLog as far as ReserveFund and WorkOrders ask them; tests say what they
        answer.
"""

struct Unit:
    index: uint256
    area_centi_m2: uint256
    area_before: uint256
    category: uint256
    head: uint256
    building: uint256
    floor: int256
    exists: bool


struct Outcome:
    state: uint256
    matter: uint256
    payload: bytes32
    decided_at: uint256
    building: uint256


manager: public(address)
committee: public(address)
contract_named: public(HashMap[bytes32, address])
unit_count: public(uint256)
unit_at: public(HashMap[uint256, bytes32])
outcome: public(HashMap[uint256, Outcome])
units: HashMap[bytes32, Unit]
area: uint256


@external
def set_parties(manager: address, committee: address):
    """@notice Who they are."""
    self.manager = manager
    self.committee = committee


@external
def set_contract(name: bytes32, at: address):
    """@notice An entry of the directory."""
    self.contract_named[name] = at


@external
def add_unit(alias: bytes32, area: uint256, building: uint256):
    """@notice The next unit of the roll."""
    index: uint256 = self.unit_count
    self.unit_at[index] = alias
    self.units[alias] = Unit(
        index=index,
        area_centi_m2=area,
        area_before=self.area,
        category=0,
        head=index,
        building=building,
        floor=1,
        exists=True,
    )
    self.area += area
    self.unit_count = index + 1


@external
@view
def unit(alias: bytes32) -> Unit:
    """@notice A unit."""
    return self.units[alias]


@external
def set_outcome(number: uint256, outcome: Outcome):
    """@notice What a resolution came to."""
    self.outcome[number] = outcome
