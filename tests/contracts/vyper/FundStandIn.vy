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


struct PersonKey:
    unit: bytes32
    index: uint256
    x: uint256
    y: uint256
    kind: uint256
    rp_id_hash: bytes32
    origin: String[128]


struct CrewKey:
    alias: bytes32
    firm: uint256
    duties: uint256
    licence_until: uint256
    x: uint256
    y: uint256
    kind: uint256
    rp_id_hash: bytes32
    origin: String[128]
    since: uint256


struct Firm:
    exists: bool
    licence_until: uint256
    name_digest: bytes32


struct Head:
    size: uint256
    root: bytes32
    accepted_at: uint256


manager: public(address)
committee: public(address)
contract_named: public(HashMap[bytes32, address])
unit_count: public(uint256)
unit_at: public(HashMap[uint256, bytes32])
outcome: public(HashMap[uint256, Outcome])
units: HashMap[bytes32, Unit]
persons: HashMap[bytes32, PersonKey]
crews: HashMap[bytes32, CrewKey]
firms: HashMap[uint256, Firm]
assigned: HashMap[bytes32, bytes32]
roots: HashMap[bytes32, bytes32]
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


@external
def set_owner(key_id: bytes32, unit: bytes32, x: uint256, y: uint256):
    """@notice A software key of a unit; unit zero ends it."""
    self.persons[key_id] = PersonKey(unit=unit, index=0, x=x, y=y, kind=2, rp_id_hash=empty(bytes32), origin="")


@external
@view
def person_key(key_id: bytes32) -> PersonKey:
    """@notice An owner's key."""
    return self.persons[key_id]


@external
def set_crew(key_id: bytes32, alias: bytes32, firm: uint256, licence_until: uint256, x: uint256, y: uint256):
    """@notice A software key of somebody who serves; alias zero ends it."""
    self.crews[key_id] = CrewKey(
        alias=alias,
        firm=firm,
        duties=1,
        licence_until=licence_until,
        x=x,
        y=y,
        kind=2,
        rp_id_hash=empty(bytes32),
        origin="",
        since=block.timestamp,
    )


@external
@view
def crew_key(key_id: bytes32) -> CrewKey:
    """@notice A crew member's key."""
    return self.crews[key_id]


@external
def set_firm(number: uint256, licence_until: uint256):
    """@notice A firm's licence."""
    self.firms[number] = Firm(exists=True, licence_until=licence_until, name_digest=empty(bytes32))


@external
@view
def firm(number: uint256) -> Firm:
    """@notice A firm."""
    return self.firms[number]


@external
def assign(device: bytes32, origin_id: bytes32):
    """@notice The log that a device writes to."""
    self.assigned[device] = origin_id


@external
@view
def is_assigned(device: bytes32, origin_id: bytes32, index: uint256) -> bool:
    """@notice Whether it does."""
    return self.assigned[device] == origin_id


@external
def accept(origin_id: bytes32, root: bytes32):
    """@notice The accepted head's root."""
    self.roots[origin_id] = root


@external
@view
def accepted(origin_id: bytes32, head: Head) -> (bool, bool):
    """@notice Whether it is, and that no fork ended the epoch."""
    return head.size != 0 and self.roots[origin_id] == head.root, False
