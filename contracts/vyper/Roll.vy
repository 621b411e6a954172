# pragma version 0.4.3
# pragma nonreentrancy on
# pragma optimize codesize
"""
@title Roll
@license Apache-2.0
@notice Whose building it is: units with floor area and buyer, the keys of their owners, who lives there, and the pools
        whose usage is shared with the keys by which it is.

        Heads. Votes are counted by heads and by area, and one buyer's several units are one head (interpretation of the
        Supreme People's Court on the division of building ownership, articles 8 and 9); the developer's unsold units
        are one head too. A unit therefore names its head, a number that is given to each buyer in turn.

        Changes are inner calls of the Registry's public batches, so they take two parties and time; the first argument
        is the unit, whose present key can veto. Letters and a key's own revocation act at once.

        Invariants
        - A unit's index, area, building and place in the running sum of areas never change; its buyer changes by one
          event, which ends every key of the unit and its letter.
        - A unit's first key after it joined or was sold needs the code of an activation letter whose hash was posted
          before, by the committee or its registrar.
        - A key is registered once in its life. What joins the roll later carries a later `since`, so a roll that was
          frozen for a vote gains no keys; a key rotated by its own signature keeps the `since` of the one it replaces.
        - Nobody but two parties, or the key itself, ends a key; nobody but the key itself is replaced by another. What it
          signed happens once: a vetoed rotation needs a new signature.
        - The keys of one head have different numbers; a rotated key keeps the number of the one it replaces.
        - Heads are numbered without gaps. Tables of keys and residents have rising dates: no date is described twice.
        - Every unit and key that joins is counted for its building in public.
        - The events alone rebuild the state.
"""

import calendar
import lanes
import once
import p256
import person
import relying

initializes: once
initializes: p256
initializes: person[p256 := p256]
initializes: relying


interface Registry:
    def committee() -> address: view
    def has_role(role: bytes32, account: address) -> bool: view
    def parties_enacting() -> uint256: view
    def announce_signed(data: Bytes[CALL_BYTES]) -> uint256: nonpayable


CALL_BYTES: constant(uint256) = 1028  # a selector and at most 32 words
RECORDS_MAX: constant(uint256) = 64

PARTY_SIGNER: constant(uint256) = 4  # see Registry
ROLE_REGISTRAR: constant(bytes32) = 0x7265676973747261720000000000000000000000000000000000000000000000
PURPOSE_ROTATE: constant(bytes32) = 0x6b65792e726f7461746500000000000000000000000000000000000000000000
PURPOSE_REVOKE: constant(bytes32) = 0x6b65792e7265766f6b6500000000000000000000000000000000000000000000

# Floors below the ground are negative; in storage they stand on this.
GROUND: constant(uint256) = 2**15
# Later keys of one head share this number.
NUMBER_MAX: constant(uint256) = 2**16 - 1

REGISTRY: immutable(Registry)


struct Unit:
    index: uint256
    area_centi_m2: uint256
    area_before: uint256  # running sum of areas of the units before this one
    category: uint256  # which tariffs apply: 0 residential
    head: uint256
    building: uint256
    floor: int256
    exists: bool


struct NewUnit:
    alias: bytes32
    area_centi_m2: uint256
    category: uint256
    head: uint256  # an earlier buyer's number, or the next one
    building: uint256
    floor: int256


struct OwnerKey:
    unit: bytes32
    x: uint256
    y: uint256
    kind: uint256  # 1 webauthn, 2 software, 0 no such key
    relying_party: uint256
    since: uint256  # Unix seconds
    until: uint256  # Unix seconds, zero unless it was ended by itself or by a batch
    in_force: bool


struct VoterKey:
    head: uint256
    index: uint256
    since: uint256
    x: uint256
    y: uint256
    kind: uint256  # 0 when no such key is in force
    rp_id_hash: bytes32
    origin: String[128]


struct BallotKey:
    x: uint256
    y: uint256
    # kind (8 bits), relying party (8), since (40), number among the keys of its head (16), head (32)
    facts: uint256


struct PoolKeys:
    root: bytes32  # sum tree over the units' keys in unit order
    total: uint256
    kind: uint256  # 1 area, 2 floor factor, 3 water volume, 4 equal
    unit_count: uint256
    valid_from: uint256  # boundary date YYYYMMDD


struct Additions:
    units: uint256
    keys: uint256


# A key is its point and one word: kind (8 bits), relying party (8), since (40), until (40), unit index (32), buyer (8),
# number among the keys of its head (16).
struct StoredKey:
    x: uint256
    y: uint256
    word: uint256


# total (128 bits), kind (8), unit count (32), valid from (32).
struct StoredPoolKeys:
    root: bytes32
    word: uint256


unit_count: reentrant(public(uint256))
head_count: reentrant(public(uint256))
total_area: reentrant(public(uint256))
unit_at: reentrant(public(HashMap[uint256, bytes32]))
places: HashMap[bytes32, uint256]  # index + 1
# area (40 bits), area before (56), category (8), head (32), building (16), floor (16), buyer (8), has key (1), since (40)
units: HashMap[uint256, uint256]
letters: public(HashMap[bytes32, bytes32])
owner_keys: HashMap[bytes32, StoredKey]
head_key_count: HashMap[uint256, uint256]  # keys that a head ever had, but for those that replaced one
resident_counts: HashMap[bytes32, DynArray[uint256, RECORDS_MAX]]  # from date (32 bits), count (32)
pools: HashMap[bytes32, bool]
pool_tables: HashMap[bytes32, HashMap[uint256, StoredPoolKeys]]
pool_keys_count: reentrant(public(HashMap[bytes32, uint256]))
added: HashMap[uint256, Additions]


event UnitAdded:
    unit: indexed(bytes32)
    index: uint256
    area_centi_m2: uint256
    category: uint256
    head: uint256
    building: uint256
    floor: int256


event HeadSet:
    unit: indexed(bytes32)
    head: uint256


event LetterPosted:
    unit: indexed(bytes32)
    digest: bytes32


event OwnerKeySet:
    unit: indexed(bytes32)
    key_id: indexed(bytes32)
    x: uint256
    y: uint256
    kind: uint256
    relying_party: uint256
    since: uint256


event OwnerKeyEnded:
    unit: indexed(bytes32)
    key_id: indexed(bytes32)


event ResidentsSet:
    unit: indexed(bytes32)
    from_date: uint256
    count: uint256


event PoolAdded:
    pool: indexed(bytes32)


event PoolKeysSet:
    pool: indexed(bytes32)
    number: uint256
    root: bytes32
    total: uint256
    kind: uint256
    unit_count: uint256
    valid_from: uint256


event BuildingCounted:
    building: indexed(uint256)
    units: uint256
    keys: uint256


@deploy
def __init__(registry: address, verifier: address):
    """
    @notice The roll of the Registry's site.
    @param verifier Where P-256 signatures are verified; see p256.vy.
    """
    p256.__init__(verifier)
    REGISTRY = Registry(registry)


# --- At once ---


@external
def post_letters(units: DynArray[bytes32, 64], digests: DynArray[bytes32, 64]):
    """
    @notice The committee's registrar posts the hashes of activation letters before they are handed out.
    """
    allowed: bool = msg.sender == staticcall REGISTRY.committee()
    if not allowed:
        allowed = staticcall REGISTRY.has_role(ROLE_REGISTRAR, msg.sender)
    assert allowed, "roll: only the committee or its registrar posts letters"
    assert len(units) == len(digests), "roll: one digest for each unit"
    number: uint256 = 0
    for unit: bytes32 in units:
        self.letters[unit] = digests[number]
        log LetterPosted(unit=unit, digest=digests[number])
        number += 1


@external
def rotate_owner_key(
    x: uint256, y: uint256, kind: uint256, relying_party: uint256, signature: person.PersonSignature
) -> uint256:
    """
    @notice An owner replaces a key, signed by the key replaced. Anyone may relay it; it takes effect after the delay.
    @return The number of the Registry's batch.
    """
    unit: bytes32 = self._signer(PURPOSE_ROTATE, sha256(abi_encode(x, y, kind, relying_party)), signature)
    return extcall REGISTRY.announce_signed(
        abi_encode(
            unit,
            signature.key_id,
            x,
            y,
            kind,
            relying_party,
            method_id=method_id("replace_owner_key(bytes32,bytes32,uint256,uint256,uint256,uint256)"),
        )
    )


@external
def revoke_owner_key(signature: person.PersonSignature):
    """
    @notice An owner's key ends itself, for a lost or sold telephone. Anyone may relay it.
    """
    unit: bytes32 = self._signer(PURPOSE_REVOKE, sha256(abi_encode(signature.key_id)), signature)
    self._end_owner_key(unit, signature.key_id)


# --- Inner functions: reached only through the Registry's `enact` ---


@external
def add_units(units: DynArray[NewUnit, 5]):
    """
    @notice Inner. Units in the order of the roll; each takes the next index.
    """
    self._only_enacted()
    index: uint256 = self.unit_count
    area: uint256 = self.total_area
    for new: NewUnit in units:
        assert new.alias != empty(bytes32) and self.places[new.alias] == 0, "roll: unit is already on the roll"
        assert not self.pools[new.alias], "roll: unit is already a pool"
        assert new.category < 256 and new.area_centi_m2 < 2**40, "roll: area or category is out of range"
        placed: bool = new.building < 2**16 and new.floor >= -200 and new.floor <= 2000
        assert placed, "roll: building or floor is out of range"
        self._open_head(new.head)
        self.places[new.alias] = index + 1
        self.unit_at[index] = new.alias
        self.units[index] = (
            new.area_centi_m2
            | (area << 40)
            | (new.category << 96)
            | (new.head << 104)
            | (new.building << 136)
            | (convert(new.floor + convert(GROUND, int256), uint256) << 152)
            | (block.timestamp << 177)
        )
        log UnitAdded(
            unit=new.alias,
            index=index,
            area_centi_m2=new.area_centi_m2,
            category=new.category,
            head=new.head,
            building=new.building,
            floor=new.floor,
        )
        self._count(new.building, 1, 0)
        index += 1
        area += new.area_centi_m2
    self.unit_count = index
    self.total_area = area


@external
def set_head(unit: bytes32, head: uint256):
    """
    @notice Inner. The unit has another buyer: the keys of the one before end, and so does the letter.
    @param head The buyer's number, or the next one for somebody who has no unit here yet.
    """
    self._only_enacted()
    index: uint256 = self._index(unit)
    word: uint256 = self.units[index]
    buyer: uint256 = lanes._field(word, 168, 8) + 1
    assert buyer < 2**8, "roll: unit was sold too often"
    self._open_head(head)
    kept: uint256 = (word & (2**104 - 1)) | ((word >> 136 & (2**32 - 1)) << 136)
    self.units[index] = kept | (head << 104) | (buyer << 168) | (block.timestamp << 177)
    self.letters[unit] = empty(bytes32)
    log HeadSet(unit=unit, head=head)


@external
def add_owner_key(unit: bytes32, x: uint256, y: uint256, kind: uint256, relying_party: uint256, letter_code: bytes32):
    """
    @notice Inner. An owner's key. The unit's first one needs the code of its activation letter.
    """
    self._only_enacted()
    index: uint256 = self._index(unit)
    word: uint256 = self.units[index]
    if lanes._field(word, 176, 1) == 0:
        assert self.letters[unit] != empty(bytes32), "roll: no activation letter was posted for the unit"
        assert sha256(letter_code) == self.letters[unit], "roll: activation code does not match the letter"
        self.units[index] = word | (1 << 176)
    head: uint256 = lanes._field(word, 104, 32)
    number: uint256 = self.head_key_count[head]
    self.head_key_count[head] = number + 1
    self._set_owner_key(unit, index, x, y, kind, relying_party, block.timestamp, min(number, NUMBER_MAX))


@external
def replace_owner_key(
    unit: bytes32, old_key_id: bytes32, x: uint256, y: uint256, kind: uint256, relying_party: uint256
):
    """
    @notice Inner. The new key for the old one, which signed for it and whose place on the roll it takes.
    """
    self._only_enacted()
    is_signed: bool = staticcall REGISTRY.parties_enacting() == PARTY_SIGNER
    assert is_signed, "roll: only the replaced key's own signature does this"
    old: uint256 = self.owner_keys[old_key_id].word
    self._end_owner_key(unit, old_key_id)
    self._set_owner_key(
        unit, self._index(unit), x, y, kind, relying_party, lanes._field(old, 16, 40), lanes._field(old, 136, 16)
    )


@external
def remove_owner_key(unit: bytes32, key_id: bytes32):
    """
    @notice Inner. End a key that its holder cannot end any more.
    """
    self._only_enacted()
    self._end_owner_key(unit, key_id)


@external
def set_residents(unit: bytes32, from_date: uint256, count: uint256):
    """
    @notice Inner. From this boundary date on, so many people live in the unit.
    """
    self._only_enacted()
    self._index(unit)
    assert calendar._days(from_date) != 0 and count < 2**16, "roll: date or number of residents is out of range"
    records: uint256 = len(self.resident_counts[unit])
    assert records < RECORDS_MAX, "roll: residents changed too often"
    if records != 0:
        assert from_date > self.resident_counts[unit][records - 1] >> 32, "roll: residents of a later date are set"
    self.resident_counts[unit].append((from_date << 32) | count)
    log ResidentsSet(unit=unit, from_date=from_date, count=count)


@external
def add_pool(pool: bytes32):
    """
    @notice Inner. Usage that units share; by floor area, unless a table of keys says otherwise.
    """
    self._only_enacted()
    assert pool != empty(bytes32) and not self.pools[pool] and self.places[pool] == 0, "roll: pool is already known"
    self.pools[pool] = True
    log PoolAdded(pool=pool)


@external
def set_pool_keys(pool: bytes32, keys: PoolKeys):
    """
    @notice Inner. The table of keys by which the pool is shared from a boundary date on.
    @param keys Root and total of the table's sum tree, in unit order; a unit that has no part has key zero.
    """
    self._only_enacted()
    assert self.pools[pool], "roll: no such pool"
    known: bool = keys.root != empty(bytes32) and keys.kind >= 1 and keys.kind <= 4
    known = known and keys.total != 0 and keys.total < 2**128
    assert known and keys.unit_count != 0 and keys.unit_count <= self.unit_count, "roll: table of keys is incomplete"
    assert calendar._days(keys.valid_from) != 0, "roll: table of keys has no first day"
    number: uint256 = self.pool_keys_count[pool]
    assert number < RECORDS_MAX, "roll: keys of the pool changed too often"
    if number != 0:
        assert keys.valid_from > self.pool_tables[pool][number - 1].word >> 168, "roll: keys of a later date are set"
    self.pool_tables[pool][number] = StoredPoolKeys(
        root=keys.root,
        word=keys.total | (keys.kind << 128) | (keys.unit_count << 136) | (keys.valid_from << 168),
    )
    self.pool_keys_count[pool] = number + 1
    log PoolKeysSet(
        pool=pool,
        number=number,
        root=keys.root,
        total=keys.total,
        kind=keys.kind,
        unit_count=keys.unit_count,
        valid_from=keys.valid_from,
    )


@external
def set_relying_party(number: uint256, rp_id_hash: bytes32, origin: String[128]):
    """
    @notice Inner. A web origin whose passkeys owners may register.
    """
    self._only_enacted()
    relying._set(number, rp_id_hash, origin)


# --- Views ---


@external
@view
@reentrant
def unit(alias: bytes32) -> Unit:
    """
    @notice A unit of the roll.
    """
    place: uint256 = self.places[alias]
    if place == 0:
        return empty(Unit)
    word: uint256 = self.units[place - 1]
    return Unit(
        index=place - 1,
        area_centi_m2=lanes._field(word, 0, 40),
        area_before=lanes._field(word, 40, 56),
        category=lanes._field(word, 96, 8),
        head=lanes._field(word, 104, 32),
        building=lanes._field(word, 136, 16),
        floor=convert(lanes._field(word, 152, 16), int256) - convert(GROUND, int256),
        exists=True,
    )


@external
@view
@reentrant
def building_additions(building: uint256) -> Additions:
    """
    @notice Units and keys that ever joined the roll for this building: who enrols ghosts is seen here.
    """
    return self.added[building]


@external
@view
@reentrant
def owner_key(key_id: bytes32) -> OwnerKey:
    """
    @notice An owner's key, in force or not.
    """
    key: StoredKey = self.owner_keys[key_id]
    if key.word == 0:
        return empty(OwnerKey)
    index: uint256 = lanes._field(key.word, 96, 32)
    return OwnerKey(
        unit=self.unit_at[index],
        x=key.x,
        y=key.y,
        kind=lanes._field(key.word, 0, 8),
        relying_party=lanes._field(key.word, 8, 8),
        since=lanes._field(key.word, 16, 40),
        until=lanes._field(key.word, 56, 40),
        in_force=self._is_in_force(key.word, self.units[index]),
    )


@external
@view
@reentrant
def person_key(key_id: bytes32) -> person.PersonKey:
    """
    @notice All that a contract needs to verify an owner; `unit` is zero when the key is not in force.
    """
    return self._person_key(key_id)


@external
@view
@reentrant
def voter_key(key_id: bytes32) -> VoterKey:
    """
    @notice All that a vote needs of a key; `kind` is zero when the key is not in force.
    """
    key: StoredKey = self.owner_keys[key_id]
    index: uint256 = lanes._field(key.word, 96, 32)
    unit: uint256 = self.units[index]
    if not self._is_in_force(key.word, unit):
        return empty(VoterKey)
    party: relying.RelyingParty = relying.parties[lanes._field(key.word, 8, 8)]
    return VoterKey(
        head=lanes._field(unit, 104, 32),
        index=index,
        since=lanes._field(key.word, 16, 40),
        x=key.x,
        y=key.y,
        kind=lanes._field(key.word, 0, 8),
        rp_id_hash=party.rp_id_hash,
        origin=party.origin,
    )


@external
@view
@reentrant
def ballot_key(key_id: bytes32) -> BallotKey:
    """
    @notice The same in three words, for batches of ballots; `facts` is zero when the key is not in force.
    """
    key: StoredKey = self.owner_keys[key_id]
    unit: uint256 = self.units[(key.word >> 96) & (2**32 - 1)]
    if not self._is_in_force(key.word, unit):
        return empty(BallotKey)
    facts: uint256 = (key.word & (2**56 - 1)) | ((key.word >> 136) << 56) | (((unit >> 104) & (2**32 - 1)) << 72)
    return BallotKey(x=key.x, y=key.y, facts=facts)


@external
@view
@reentrant
def unit_since(index: uint256) -> uint256:
    """
    @notice Unix seconds when a unit joined the roll or its buyer last changed; zero if there is none.
    """
    return self.units[index] >> 177


@external
@view
@reentrant
def residents(alias: bytes32, date: uint256) -> uint256:
    """
    @notice How many people live in the unit on a boundary date; zero before the first record.
    """
    records: uint256 = len(self.resident_counts[alias])
    for n: uint256 in range(records, bound=RECORDS_MAX):
        record: uint256 = self.resident_counts[alias][records - 1 - n]
        if record >> 32 <= date:
            return record & (2**32 - 1)
    return 0


@external
@view
@reentrant
def is_pool(pool: bytes32) -> bool:
    """
    @notice Whether usage is shared under this name.
    """
    return self.pools[pool]


@external
@view
@reentrant
def pool_keys(pool: bytes32, number: uint256) -> PoolKeys:
    """
    @notice One of the pool's tables of keys; `kind` is zero where there is none.
    """
    return self._pool_keys(pool, number)


@external
@view
@reentrant
def pool_keys_at(pool: bytes32, date: uint256) -> PoolKeys:
    """
    @notice The table of keys on a boundary date; `kind` is zero where the pool is shared by the roll's areas.
    """
    count: uint256 = self.pool_keys_count[pool]
    for n: uint256 in range(count, bound=RECORDS_MAX):
        found: PoolKeys = self._pool_keys(pool, count - 1 - n)
        if found.valid_from <= date:
            return found
    return empty(PoolKeys)


@external
@view
@reentrant
def relying_party(number: uint256) -> relying.RelyingParty:
    """
    @notice A web origin whose passkeys count.
    """
    return relying.parties[number]


# --- Internal ---


@internal
@view
def _only_enacted():
    assert msg.sender == REGISTRY.address, "roll: only an enacted batch may do this"


@internal
@view
def _index(unit: bytes32) -> uint256:
    place: uint256 = self.places[unit]
    assert place != 0, "roll: unit is not on the roll"
    return place - 1


@internal
def _open_head(head: uint256):
    count: uint256 = self.head_count
    assert head <= count and head < 2**32, "roll: heads are numbered in turn"
    if head == count:
        self.head_count = count + 1


@internal
def _count(building: uint256, units: uint256, keys: uint256):
    found: Additions = self.added[building]
    found.units += units
    found.keys += keys
    self.added[building] = found
    log BuildingCounted(building=building, units=found.units, keys=found.keys)


@internal
@pure
def _is_in_force(key: uint256, unit: uint256) -> bool:
    """
    @notice Whether a key's word is one that has not ended, of the unit's present buyer.
    """
    return key != 0 and lanes._field(key, 56, 40) == 0 and lanes._field(key, 128, 8) == lanes._field(unit, 168, 8)


@internal
@view
def _person_key(key_id: bytes32) -> person.PersonKey:
    key: StoredKey = self.owner_keys[key_id]
    index: uint256 = lanes._field(key.word, 96, 32)
    if not self._is_in_force(key.word, self.units[index]):
        return empty(person.PersonKey)
    party: relying.RelyingParty = relying.parties[lanes._field(key.word, 8, 8)]
    return person.PersonKey(
        unit=self.unit_at[index],
        index=index,
        x=key.x,
        y=key.y,
        kind=lanes._field(key.word, 0, 8),
        rp_id_hash=party.rp_id_hash,
        origin=party.origin,
    )


@internal
def _signer(purpose: bytes32, body: bytes32, signature: person.PersonSignature) -> bytes32:
    """
    @notice The unit whose key signed this act, once.
    """
    assert block.timestamp <= signature.deadline, "roll: signature's deadline has passed"
    key: person.PersonKey = self._person_key(signature.key_id)
    assert key.unit != empty(bytes32), "roll: key is not in force"
    digest: bytes32 = person._digest(purpose, body, signature)
    assert person._is_signed_by(key, digest, signature), "roll: owner's signature does not match"
    once._use(digest)
    return key.unit


@internal
def _set_owner_key(
    unit: bytes32,
    index: uint256,
    x: uint256,
    y: uint256,
    kind: uint256,
    relying_party: uint256,
    since: uint256,
    number: uint256,
):
    relying._check_key(x, y, kind, relying_party)
    key_id: bytes32 = sha256(abi_encode(x, y))
    assert self.owner_keys[key_id].word == 0, "roll: owner key was used before"
    word: uint256 = self.units[index]
    buyer: uint256 = lanes._field(word, 168, 8)
    self.owner_keys[key_id] = StoredKey(
        x=x,
        y=y,
        word=kind | (relying_party << 8) | (since << 16) | (index << 96) | (buyer << 128) | (number << 136),
    )
    log OwnerKeySet(
        unit=unit, key_id=key_id, x=x, y=y, kind=kind, relying_party=relying_party, since=since
    )
    self._count(lanes._field(word, 136, 16), 0, 1)


@internal
def _end_owner_key(unit: bytes32, key_id: bytes32):
    key: uint256 = self.owner_keys[key_id].word
    index: uint256 = lanes._field(key, 96, 32)
    in_force: bool = self._is_in_force(key, self.units[index]) and self.unit_at[index] == unit
    assert in_force, "roll: key is not in force for the unit"
    self.owner_keys[key_id].word = key | (block.timestamp << 56)
    log OwnerKeyEnded(unit=unit, key_id=key_id)


@internal
@view
def _pool_keys(pool: bytes32, number: uint256) -> PoolKeys:
    stored: StoredPoolKeys = self.pool_tables[pool][number]
    return PoolKeys(
        root=stored.root,
        total=lanes._field(stored.word, 0, 128),
        kind=lanes._field(stored.word, 128, 8),
        unit_count=lanes._field(stored.word, 136, 32),
        valid_from=stored.word >> 168,
    )
