# pragma version 0.4.3
# pragma nonreentrancy off
"""
@title Roll stand-in
@license Apache-2.0
@notice The faces of Registry, Roll and Crews that Resolutions and Assembly ask, filled at will by tests.
"""

import person


struct Unit:
    index: uint256
    area_centi_m2: uint256
    area_before: uint256
    category: uint256
    head: uint256
    building: uint256
    floor: int256
    exists: bool


struct BallotKey:
    x: uint256
    y: uint256
    facts: uint256


struct RelyingParty:
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


struct StoredKey:
    x: uint256
    y: uint256
    word: uint256  # kind, relying party << 8, since << 16, number within its head << 56, unit index << 96


committee: public(address)
unit_count: public(uint256)
head_count: public(uint256)
total_area: public(uint256)
unit_at: public(HashMap[uint256, bytes32])
units: HashMap[bytes32, Unit]
unit_since: public(HashMap[uint256, uint256])
heads: HashMap[uint256, uint256]
keys: HashMap[bytes32, StoredKey]
keys_of_head: HashMap[uint256, uint256]
parties: HashMap[uint256, RelyingParty]
crew: HashMap[bytes32, CrewKey]


@deploy
def __init__(committee: address):
    self.committee = committee


@external
def set_units(areas: DynArray[uint256, 512], heads: DynArray[uint256, 512], buildings: DynArray[uint256, 512]):
    place: uint256 = 0
    for area: uint256 in areas:
        index: uint256 = self.unit_count
        alias: bytes32 = keccak256(abi_encode(index))
        self.unit_at[index] = alias
        self.units[alias] = Unit(
            index=index,
            area_centi_m2=area,
            area_before=self.total_area,
            category=0,
            head=heads[place],
            building=buildings[place],
            floor=1,
            exists=True,
        )
        self.unit_since[index] = block.timestamp
        self.heads[index] = heads[place]
        self.unit_count = index + 1
        self.total_area += area
        self.head_count = max(self.head_count, heads[place] + 1)
        place += 1


@external
def sell(index: uint256, head: uint256):
    self.units[self.unit_at[index]].head = head
    self.unit_since[index] = block.timestamp
    self.heads[index] = head
    self.head_count = max(self.head_count, head + 1)


@external
def add_keys(
    unit_indices: DynArray[uint256, 256],
    xs: DynArray[uint256, 256],
    ys: DynArray[uint256, 256],
    kind: uint256,
    relying_party: uint256,
):
    place: uint256 = 0
    for index: uint256 in unit_indices:
        key_id: bytes32 = sha256(abi_encode(xs[place], ys[place]))
        numbered: uint256 = self.keys_of_head[self.heads[index]]
        self.keys_of_head[self.heads[index]] = numbered + 1
        word: uint256 = kind | relying_party << 8 | block.timestamp << 16 | numbered << 56 | index << 96
        self.keys[key_id] = StoredKey(x=xs[place], y=ys[place], word=word)
        place += 1


@external
def end_key(key_id: bytes32):
    self.keys[key_id].word = 0


@external
def set_relying_party(number: uint256, rp_id_hash: bytes32, origin: String[128]):
    self.parties[number] = RelyingParty(rp_id_hash=rp_id_hash, origin=origin)


@external
def set_crew(alias: bytes32, duties: uint256, x: uint256, y: uint256, kind: uint256):
    self.crew[sha256(abi_encode(x, y))] = CrewKey(
        alias=alias,
        firm=0,
        duties=duties,
        licence_until=0,
        x=x,
        y=y,
        kind=kind,
        rp_id_hash=self.parties[0].rp_id_hash,
        origin=self.parties[0].origin,
        since=block.timestamp,
    )


@external
@view
def unit(alias: bytes32) -> Unit:
    return self.units[alias]


@external
@view
def relying_party(number: uint256) -> RelyingParty:
    return self.parties[number]


@external
@view
def ballot_key(key_id: bytes32) -> BallotKey:
    key: StoredKey = self.keys[key_id]
    index: uint256 = key.word >> 96 & (2**32 - 1)
    if key.word == 0:
        return empty(BallotKey)
    return BallotKey(x=key.x, y=key.y, facts=key.word & (2**72 - 1) | self.heads[index] << 72)


@external
@view
def person_key(key_id: bytes32) -> person.PersonKey:
    key: StoredKey = self.keys[key_id]
    index: uint256 = key.word >> 96 & (2**32 - 1)
    if key.word == 0:
        return empty(person.PersonKey)
    party: RelyingParty = self.parties[key.word >> 8 & 255]
    return person.PersonKey(
        unit=self.unit_at[index],
        index=index,
        x=key.x,
        y=key.y,
        kind=key.word & 255,
        rp_id_hash=party.rp_id_hash,
        origin=party.origin,
    )


@external
@view
def crew_key(key_id: bytes32) -> CrewKey:
    return self.crew[key_id]
