# pragma version 0.4.3
# pragma nonreentrancy on
# pragma optimize codesize
"""
@title Registry
@license Apache-2.0
@notice Who may witness what at one site: gateways and their keys, devices and the log ranges they write to, units and
        their owners' keys, which meter counts for whom, and who holds an office.

        How it moves. Everything that lets somebody make a fact (a *witness*) is a call to one of the functions marked
        "inner". Manager and committee put such calls in a batch: one announces it in public, the other approves it,
        and after the witness delay anyone may enact it. Until then the committee, or a present key of the unit that a
        call concerns, can veto single calls. Taking a witness away needs no delay.

        Invariants
        - No inner function runs but from `enact`; no batch is enacted without two parties (or the signature of the key
          that it replaces), nor before its delay, nor twice, nor with other calls than were announced.
        - The cloud and the relayer have no role here. The manager alone, or the committee alone, adds no witness.
        - A device writes to one origin at a time; its index ranges on one origin never overlap.
        - A device counts for one unit or pool on one day; its bindings never overlap.
        - A unit's index, area and place in the running sum of areas never change.
        - A unit's first key needs the code of an activation letter whose hash was posted before.
        - The events alone rebuild the state.

        Keys lost. The committee can appoint another manager alone after the longer recovery delay. The committee is
        followed only by its own choice, so it should be a multi-signature account.
"""

import p256
import person
import calendar

initializes: p256
initializes: person[p256 := p256]

CALLS_MAX: constant(uint256) = 32
CALL_BYTES: constant(uint256) = 1024
DAY: constant(uint256) = 86400
DEVELOPMENT_CHAIN: constant(uint256) = 31337
INDEX_LIMIT: constant(uint256) = 2**48

PARTY_MANAGER: constant(uint256) = 1
PARTY_COMMITTEE: constant(uint256) = 2
PARTY_OWNER: constant(uint256) = 4
BOTH: constant(uint256) = 3

ROLE_REGISTRAR: constant(bytes32) = 0x7265676973747261720000000000000000000000000000000000000000000000
PURPOSE_VETO: constant(bytes32) = 0x7665746f00000000000000000000000000000000000000000000000000000000
PURPOSE_ROTATE: constant(bytes32) = 0x6b65792e726f7461746500000000000000000000000000000000000000000000
PURPOSE_REVOKE: constant(bytes32) = 0x6b65792e7265766f6b6500000000000000000000000000000000000000000000
PURPOSE_CONFIRM: constant(bytes32) = 0x62696e64696e672e636f6e6669726d0000000000000000000000000000000000

SITE: immutable(bytes32)
WITNESS_DELAY: immutable(uint256)
RECOVERY_DELAY: immutable(uint256)


struct Batch:
    calls_digest: bytes32
    parties: uint256  # who stands behind it: 1 manager, 2 committee, 4 the owner whose key is replaced
    effective_at: uint256  # zero until every needed party has signed
    enacted: bool
    vetoed: uint256  # bit i: call i


struct GatewayKey:
    x: uint256
    y: uint256


struct KeyRange:
    key_class: uint256  # 1 file, 2 token, 3 attested
    from_block: uint256
    to_block: uint256  # last block of validity, zero while in force


struct Unit:
    index: uint256
    area_centi_m2: uint256
    area_before: uint256  # running sum of areas of the units before this one
    category: uint256  # which tariffs apply: 0 residential
    exists: bool


struct NewUnit:
    alias: bytes32
    area_centi_m2: uint256
    category: uint256


struct OwnerKey:
    unit: bytes32
    x: uint256
    y: uint256
    kind: uint256  # 1 webauthn, 2 software
    relying_party: uint256
    since: uint256  # Unix seconds
    until: uint256  # Unix seconds, zero while in force


struct RelyingParty:
    rp_id_hash: bytes32
    origin: String[128]


struct Assignment:
    origin_id: bytes32
    first_index: uint256
    last_index: uint256  # 2^48 - 1 while open
    block: uint256


struct Binding:
    subject: bytes32  # unit alias or pool
    commitment: bytes32
    role: uint256  # 1 own, 2 pool
    from_date: uint256
    to_date: uint256  # zero while open
    confirmed: bool


# What stands in storage: small numbers share a word as four lanes of 64 bits, for a new slot is what costs.
struct StoredKey:
    unit: bytes32
    x: uint256
    y: uint256
    lanes: uint256  # kind, relying party, since, until


struct StoredAssignment:
    origin_id: bytes32
    lanes: uint256  # first index, last index, block


struct StoredBinding:
    subject: bytes32
    commitment: bytes32
    lanes: uint256  # role, from date, to date, confirmed


manager: public(address)
committee: public(address)
batch_count: public(uint256)
batches: HashMap[uint256, Batch]
roles: HashMap[bytes32, HashMap[address, bool]]
gateway_keys: HashMap[bytes32, GatewayKey]
key_ranges: HashMap[bytes32, HashMap[bytes32, uint256]]  # lanes: class, from block, to block
units: HashMap[bytes32, uint256]  # lanes: index + 1, area, area before, category
has_key: HashMap[bytes32, bool]  # unit ever had an owner key; the first needs an activation letter
unit_at: public(HashMap[uint256, bytes32])
unit_count: public(uint256)
total_area: public(uint256)
pools: HashMap[bytes32, bool]
letters: public(HashMap[bytes32, bytes32])
owner_keys: HashMap[bytes32, StoredKey]
relying_parties: HashMap[uint256, RelyingParty]
assignments: HashMap[bytes32, HashMap[uint256, StoredAssignment]]
assignment_count: public(HashMap[bytes32, uint256])
bindings: HashMap[bytes32, HashMap[uint256, StoredBinding]]
binding_count: public(HashMap[bytes32, uint256])
successor: public(HashMap[address, address])

# Ranges or bindings that one device may have in its life: it bounds the loops over them.
RANGES_MAX: constant(uint256) = 64


event Announced:
    number: indexed(uint256)
    parties: uint256
    effective_at: uint256
    calls: DynArray[Bytes[CALL_BYTES], CALLS_MAX]


event Approved:
    number: indexed(uint256)
    effective_at: uint256


event Vetoed:
    number: indexed(uint256)
    mask: uint256


event Enacted:
    number: indexed(uint256)


event ManagerSet:
    manager: indexed(address)


event CommitteeSet:
    committee: indexed(address)


event RoleSet:
    role: indexed(bytes32)
    account: indexed(address)
    held: bool


event RelyingPartySet:
    number: indexed(uint256)
    rp_id_hash: bytes32
    origin: String[128]


event GatewayKeySet:
    origin_id: indexed(bytes32)
    origin: String[64]
    x: uint256
    y: uint256
    key_class: uint256
    from_block: uint256


event GatewayKeyEnded:
    origin_id: indexed(bytes32)
    key_id: bytes32
    to_block: uint256


event UnitAdded:
    unit: indexed(bytes32)
    index: uint256
    area_centi_m2: uint256
    category: uint256


event PoolAdded:
    pool: indexed(bytes32)


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


event OwnerKeyEnded:
    unit: indexed(bytes32)
    key_id: indexed(bytes32)


event DeviceAssigned:
    device: indexed(bytes32)
    origin_id: indexed(bytes32)
    number: uint256
    first_index: uint256


event AssignmentEnded:
    device: indexed(bytes32)
    number: uint256
    last_index: uint256


event DeviceBound:
    device: indexed(bytes32)
    subject: indexed(bytes32)
    number: uint256
    role: uint256
    from_date: uint256
    commitment: bytes32


event BindingEnded:
    device: indexed(bytes32)
    number: uint256
    to_date: uint256
    commitment: bytes32


event BindingConfirmed:
    device: indexed(bytes32)
    number: uint256
    key_id: bytes32


event SuccessorNamed:
    old: indexed(address)
    successor: address


@deploy
def __init__(
    site: bytes32,
    manager: address,
    committee: address,
    witness_delay: uint256,
    recovery_delay: uint256,
    verifier: address,
):
    """
    @notice One registry for one site.
    @param site SHA-256 of the site's name.
    @param witness_delay Seconds between the second signature and effect; at least 7 days in production.
    @param recovery_delay Seconds before the committee alone replaces the manager; at least 30 days in production.
    @param verifier Where P-256 signatures are verified; see p256.vy.
    """
    p256.__init__(verifier)
    self._check_two_parties(manager, committee)
    if chain.id != DEVELOPMENT_CHAIN:
        assert witness_delay >= 7 * DAY, "registry: witness delay is below 7 days"
        assert recovery_delay >= 30 * DAY, "registry: recovery delay is below 30 days"
    SITE = site
    WITNESS_DELAY = witness_delay
    RECOVERY_DELAY = recovery_delay
    self.manager = manager
    self.committee = committee
    log ManagerSet(manager=manager)
    log CommitteeSet(committee=committee)


# --- Two parties and time ---


@external
def announce(calls: DynArray[Bytes[CALL_BYTES], CALLS_MAX]) -> uint256:
    """
    @notice Put a batch of inner calls before the public. Manager or committee; the other one approves.
    @param calls ABI-encoded calls to this contract's inner functions.
    @return The batch's number.
    """
    party: uint256 = self._only_party()
    assert len(calls) != 0, "registry: batch is empty"
    return self._announce(calls, party, 0)


@external
def approve(number: uint256):
    """
    @notice The second party's signature under a batch; its delay begins now.
    """
    batch: Batch = self.batches[number]
    party: uint256 = self._only_party()
    assert batch.calls_digest != empty(bytes32) and batch.effective_at == 0, "registry: batch does not wait for approval"
    assert party != batch.parties, "registry: the other party must approve"
    effective_at: uint256 = block.timestamp + WITNESS_DELAY
    self.batches[number].parties = BOTH
    self.batches[number].effective_at = effective_at
    log Approved(number=number, effective_at=effective_at)


@external
def veto(number: uint256, mask: uint256):
    """
    @notice The committee stops calls of a batch that is not enacted yet.
    @param mask Bit i stops call i.
    """
    assert msg.sender == self.committee, "registry: only the committee may veto"
    self._veto(number, mask)


@external
def veto_as_owner(
    number: uint256,
    calls: DynArray[Bytes[CALL_BYTES], CALLS_MAX],
    call_index: uint256,
    signature: person.PersonSignature,
):
    """
    @notice A present key of the unit that a call concerns stops that call. Anyone may relay it.
    @param calls The announced calls; a call concerns the unit whose alias is its first argument.
    """
    self._check_calls(number, calls)
    assert call_index < len(calls), "registry: no such call"
    body: bytes32 = sha256(abi_encode(number, call_index))
    key: person.PersonKey = self._signer(PURPOSE_VETO, body, signature)
    assert len(calls[call_index]) >= 36 and convert(slice(calls[call_index], 4, 32), bytes32) == key.unit, "registry: call concerns another unit"
    self._veto(number, 1 << call_index)


@external
def enact(number: uint256, calls: DynArray[Bytes[CALL_BYTES], CALLS_MAX]):
    """
    @notice Carry out a batch whose delay is over, without the vetoed calls. Anyone may do it.
    """
    batch: Batch = self.batches[number]
    self._check_calls(number, calls)
    assert batch.effective_at != 0, "registry: the second party has not approved"
    assert block.timestamp >= batch.effective_at, "registry: delay is not over"
    assert not batch.enacted, "registry: batch is already enacted"
    self.batches[number].enacted = True
    log Enacted(number=number)
    vetoed: uint256 = batch.vetoed
    for call: Bytes[CALL_BYTES] in calls:
        if vetoed & 1 == 0:
            raw_call(self, call)
        vetoed = vetoed >> 1


@external
def succeed_manager(new: address) -> uint256:
    """
    @notice The manager hands over, or the committee alone replaces a manager after the longer delay.
    """
    party: uint256 = self._only_party()
    delay: uint256 = WITNESS_DELAY
    if party == PARTY_COMMITTEE:
        delay = RECOVERY_DELAY
    call: Bytes[CALL_BYTES] = abi_encode(new, method_id=method_id("set_manager(address)"))
    return self._announce([call], party, block.timestamp + delay)


@external
def succeed_committee(new: address) -> uint256:
    """
    @notice The committee hands over to its successor.
    """
    assert msg.sender == self.committee, "registry: only the committee may name its successor"
    call: Bytes[CALL_BYTES] = abi_encode(new, method_id=method_id("set_committee(address)"))
    return self._announce([call], PARTY_COMMITTEE, block.timestamp + WITNESS_DELAY)


@external
def rotate_owner_key(
    x: uint256, y: uint256, kind: uint256, relying_party: uint256, signature: person.PersonSignature
) -> uint256:
    """
    @notice An owner replaces a key, signed by the key replaced. Anyone may relay it; it takes effect after the delay.
    """
    body: bytes32 = sha256(abi_encode(x, y, kind, relying_party))
    key: person.PersonKey = self._signer(PURPOSE_ROTATE, body, signature)
    call: Bytes[CALL_BYTES] = abi_encode(
        key.unit,
        signature.key_id,
        x,
        y,
        kind,
        relying_party,
        method_id=method_id("replace_owner_key(bytes32,bytes32,uint256,uint256,uint256,uint256)"),
    )
    return self._announce([call], PARTY_OWNER, block.timestamp + WITNESS_DELAY)


# --- At once: letters, revocations, confirmations ---


@external
def post_letters(units: DynArray[bytes32, 64], digests: DynArray[bytes32, 64]):
    """
    @notice The committee's registrar posts the hashes of activation letters before they are handed out.
    """
    assert msg.sender == self.committee or self.roles[ROLE_REGISTRAR][msg.sender], "registry: only the committee or its registrar posts letters"
    assert len(units) == len(digests), "registry: one digest for each unit"
    number: uint256 = 0
    for unit: bytes32 in units:
        self.letters[unit] = digests[number]
        log LetterPosted(unit=unit, digest=digests[number])
        number += 1


@external
def revoke_gateway_key(origin_id: bytes32):
    """
    @notice Manager or committee ends a gateway's key in this block.
    """
    self._only_party()
    assert self.gateway_keys[origin_id].x != 0, "registry: gateway has no key in force"
    self._end_gateway_key(origin_id)


@external
def revoke_role(role: bytes32, account: address):
    """
    @notice Manager or committee ends an office at once.
    """
    self._only_party()
    assert self.roles[role][account], "registry: account does not hold the role"
    self.roles[role][account] = False
    log RoleSet(role=role, account=account, held=False)


@external
def revoke_owner_key(signature: person.PersonSignature):
    """
    @notice An owner's key ends itself, for a lost or sold telephone. Anyone may relay it.
    """
    key: person.PersonKey = self._signer(PURPOSE_REVOKE, sha256(abi_encode(signature.key_id)), signature)
    self._end_owner_key(key.unit, signature.key_id)


@external
def confirm_binding(device: bytes32, number: uint256, signature: person.PersonSignature):
    """
    @notice The owner confirms, once, that this meter counts for the unit. Anyone may relay it.
    """
    binding: Binding = self._binding(device, number)
    body: bytes32 = sha256(abi_encode(device, number, binding.commitment))
    key: person.PersonKey = self._signer(PURPOSE_CONFIRM, body, signature)
    assert binding.subject == key.unit, "registry: binding belongs to another unit"
    assert not binding.confirmed, "registry: binding is already confirmed"
    self.bindings[device][number].lanes |= 1 << 192
    log BindingConfirmed(device=device, number=number, key_id=signature.key_id)


# --- Inner functions: reached only through `enact`, which holds the lock; hence reentrant ---


@external
@reentrant
def set_manager(manager: address):
    """
    @notice Inner. The site's next manager.
    """
    self._only_enacted()
    self._check_two_parties(manager, self.committee)
    self.manager = manager
    log ManagerSet(manager=manager)


@external
@reentrant
def set_committee(committee: address):
    """
    @notice Inner. The site's next committee.
    """
    self._only_enacted()
    self._check_two_parties(self.manager, committee)
    self.committee = committee
    log CommitteeSet(committee=committee)


@external
@reentrant
def set_role(role: bytes32, account: address):
    """
    @notice Inner. Give an office: operator, cashier, registrar, tariffs.
    """
    self._only_enacted()
    self.roles[role][account] = True
    log RoleSet(role=role, account=account, held=True)


@external
@reentrant
def set_relying_party(number: uint256, rp_id_hash: bytes32, origin: String[128]):
    """
    @notice Inner. A web origin whose passkeys owners may register.
    """
    self._only_enacted()
    assert number < 256, "registry: relying party number is above 255"
    assert self.relying_parties[number].rp_id_hash == empty(bytes32), "registry: relying party is already set"
    self.relying_parties[number] = RelyingParty(rp_id_hash=rp_id_hash, origin=origin)
    log RelyingPartySet(number=number, rp_id_hash=rp_id_hash, origin=origin)


@external
@reentrant
def set_gateway_key(origin: String[64], x: uint256, y: uint256, key_class: uint256):
    """
    @notice Inner. A gateway's first or next key. The key before it ends one block earlier.
    """
    self._only_enacted()
    assert x != 0 and key_class >= 1 and key_class <= 3, "registry: gateway key or class is wrong"
    origin_id: bytes32 = sha256(origin)
    key_id: bytes32 = sha256(abi_encode(x, y))
    assert self.key_ranges[origin_id][key_id] == 0, "registry: gateway key was used before"
    if self.gateway_keys[origin_id].x != 0:
        self._end_gateway_key(origin_id)
    self.gateway_keys[origin_id] = GatewayKey(x=x, y=y)
    self.key_ranges[origin_id][key_id] = self._lanes(key_class, block.number, 0, 0)
    log GatewayKeySet(origin_id=origin_id, origin=origin, x=x, y=y, key_class=key_class, from_block=block.number)


@external
@reentrant
def add_units(units: DynArray[NewUnit, 9]):
    """
    @notice Inner. Units in the order of the roll; each takes the next index.
    """
    self._only_enacted()
    index: uint256 = self.unit_count
    area: uint256 = self.total_area
    for new: NewUnit in units:
        assert new.alias != empty(bytes32) and self.units[new.alias] == 0, "registry: unit is already on the roll"
        assert not self.pools[new.alias], "registry: unit is already a pool"
        assert new.category < 256 and new.area_centi_m2 < 2**40, "registry: area or category is out of range"
        self.units[new.alias] = self._lanes(index + 1, new.area_centi_m2, area, new.category)
        self.unit_at[index] = new.alias
        log UnitAdded(unit=new.alias, index=index, area_centi_m2=new.area_centi_m2, category=new.category)
        index += 1
        area += new.area_centi_m2
    self.unit_count = index
    self.total_area = area


@external
@reentrant
def add_pool(pool: bytes32):
    """
    @notice Inner. Usage that all units share by area.
    """
    self._only_enacted()
    assert not self.pools[pool] and self.units[pool] == 0, "registry: pool is already known"
    self.pools[pool] = True
    log PoolAdded(pool=pool)


@external
@reentrant
def add_owner_key(
    unit: bytes32, x: uint256, y: uint256, kind: uint256, relying_party: uint256, letter_code: bytes32
):
    """
    @notice Inner. An owner's key. The unit's first one needs the code of its activation letter.
    """
    self._only_enacted()
    assert self.units[unit] != 0, "registry: unit is not on the roll"
    if not self.has_key[unit]:
        assert self.letters[unit] != empty(bytes32), "registry: no activation letter was posted for the unit"
        assert sha256(letter_code) == self.letters[unit], "registry: activation code does not match the letter"
        self.has_key[unit] = True
    self._set_owner_key(unit, x, y, kind, relying_party)


@external
@reentrant
def replace_owner_key(
    unit: bytes32, old_key_id: bytes32, x: uint256, y: uint256, kind: uint256, relying_party: uint256
):
    """
    @notice Inner. The new key for the old one, which signed for it.
    """
    self._only_enacted()
    self._end_owner_key(unit, old_key_id)
    self._set_owner_key(unit, x, y, kind, relying_party)


@external
@reentrant
def remove_owner_key(unit: bytes32, key_id: bytes32):
    """
    @notice Inner. End a key that its holder cannot end any more.
    """
    self._only_enacted()
    self._end_owner_key(unit, key_id)


@external
@reentrant
def assign_devices(origin_id: bytes32, first_index: uint256, devices: DynArray[bytes32, 28]):
    """
    @notice Inner. From this index on, the devices write to the gateway's log.
    """
    self._only_enacted()
    assert first_index < INDEX_LIMIT, "registry: index is beyond any log"
    for device: bytes32 in devices:
        number: uint256 = self.assignment_count[device]
        assert number < RANGES_MAX, "registry: device was assigned too often"
        for n: uint256 in range(number, bound=RANGES_MAX):
            past: Assignment = self._assignment(device, n)
            assert past.last_index != INDEX_LIMIT - 1, "registry: device still writes to a log"
            if past.origin_id == origin_id:
                assert past.last_index < first_index, "registry: index ranges overlap"
        self.assignments[device][number] = StoredAssignment(
            origin_id=origin_id, lanes=self._lanes(first_index, INDEX_LIMIT - 1, block.number, 0)
        )
        self.assignment_count[device] = number + 1
        log DeviceAssigned(device=device, origin_id=origin_id, number=number, first_index=first_index)


@external
@reentrant
def end_assignment(device: bytes32, last_index: uint256):
    """
    @notice Inner. The device's last entry in its present log.
    """
    self._only_enacted()
    count: uint256 = self.assignment_count[device]
    present: Assignment = self._assignment(device, max(count, 1) - 1)
    assert present.last_index == INDEX_LIMIT - 1, "registry: device writes to no log"
    assert last_index >= present.first_index and last_index < INDEX_LIMIT - 1, "registry: last index is outside the range"
    self.assignments[device][count - 1].lanes = self._lanes(present.first_index, last_index, present.block, 0)
    log AssignmentEnded(device=device, number=count - 1, last_index=last_index)


@external
@reentrant
def bind(subject: bytes32, device: bytes32, role: uint256, from_date: uint256, commitment: bytes32):
    """
    @notice Inner. From this day on the device counts for the unit (role 1) or the pool (role 2).
    @param commitment Salted digest over the binding with its opening register and photograph.
    """
    self._only_enacted()
    known: bool = (role == 1 and self.units[subject] != 0) or (role == 2 and self.pools[subject])
    assert known, "registry: subject is neither unit nor pool for this role"
    assert calendar._days(from_date) != 0, "registry: binding has no first day"
    number: uint256 = self.binding_count[device]
    assert number < RANGES_MAX, "registry: device was bound too often"
    if number != 0:
        before: Binding = self._binding(device, number - 1)
        assert before.to_date != 0, "registry: device still counts for another"
        assert before.to_date <= from_date, "registry: bindings overlap"
    self.bindings[device][number] = StoredBinding(
        subject=subject, commitment=commitment, lanes=self._lanes(role, from_date, 0, 0)
    )
    self.binding_count[device] = number + 1
    log DeviceBound(
        device=device, subject=subject, number=number, role=role, from_date=from_date, commitment=commitment
    )


@external
@reentrant
def end_binding(subject: bytes32, device: bytes32, to_date: uint256, commitment: bytes32):
    """
    @notice Inner. The device no longer counts for the subject from this day on.
    @param commitment The same digest, with the closing day and register.
    """
    self._only_enacted()
    count: uint256 = self.binding_count[device]
    present: Binding = self._binding(device, max(count, 1) - 1)
    assert present.subject == subject and present.role != 0 and present.to_date == 0, "registry: device does not count for the subject"
    assert calendar._days(to_date) > calendar._days(present.from_date), "registry: binding ends before it begins"
    # Who confirmed the binding did not confirm its end: the flag goes back.
    self.bindings[device][count - 1].lanes = self._lanes(present.role, present.from_date, to_date, 0)
    self.bindings[device][count - 1].commitment = commitment
    log BindingEnded(device=device, number=count - 1, to_date=to_date, commitment=commitment)


@external
@reentrant
def name_successor(old: address, successor: address):
    """
    @notice Inner. The contract that follows an old one; contracts themselves never change.
    """
    self._only_enacted()
    self.successor[old] = successor
    log SuccessorNamed(old=old, successor=successor)


# --- Views ---


@external
@view
@reentrant
def site() -> bytes32:
    """
    @notice SHA-256 of the site's name.
    """
    return SITE


@external
@view
@reentrant
def witness_delay() -> uint256:
    """
    @notice Seconds between the second signature under a batch and its effect.
    """
    return WITNESS_DELAY


@external
@view
@reentrant
def recovery_delay() -> uint256:
    """
    @notice Seconds before the committee's choice of another manager takes effect.
    """
    return RECOVERY_DELAY


@external
@view
@reentrant
def batch(number: uint256) -> Batch:
    """
    @notice A batch's state.
    """
    return self.batches[number]


@external
@view
@reentrant
def has_role(role: bytes32, account: address) -> bool:
    """
    @notice Whether the account holds the office.
    """
    return self.roles[role][account]


@external
@view
@reentrant
def key_in_force(origin_id: bytes32) -> GatewayKey:
    """
    @notice The gateway's key in this block; zeros if it has none.
    """
    return self.gateway_keys[origin_id]


@external
@view
@reentrant
def gateway_key(origin_id: bytes32, key_id: bytes32) -> KeyRange:
    """
    @notice Class and blocks of validity of a key that the gateway has or had.
    """
    word: uint256 = self.key_ranges[origin_id][key_id]
    return KeyRange(key_class=self._lane(word, 0), from_block=self._lane(word, 1), to_block=self._lane(word, 2))


@external
@view
@reentrant
def unit(alias: bytes32) -> Unit:
    """
    @notice A unit of the roll.
    """
    word: uint256 = self.units[alias]
    if word == 0:
        return empty(Unit)
    return Unit(
        index=self._lane(word, 0) - 1,
        area_centi_m2=self._lane(word, 1),
        area_before=self._lane(word, 2),
        category=self._lane(word, 3),
        exists=True,
    )


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
def owner_key(key_id: bytes32) -> OwnerKey:
    """
    @notice An owner's key, in force or not.
    """
    return self._owner_key(key_id)


@external
@view
@reentrant
def person_key(key_id: bytes32) -> person.PersonKey:
    """
    @notice All that a contract needs to verify a person; `unit` is zero when the key is not in force.
    """
    return self._person_key(key_id)


@external
@view
@reentrant
def relying_party(number: uint256) -> RelyingParty:
    """
    @notice A web origin whose passkeys count.
    """
    return self.relying_parties[number]


@external
@view
@reentrant
def assignment(device: bytes32, number: uint256) -> Assignment:
    """
    @notice One of a device's ranges.
    """
    return self._assignment(device, number)


@external
@view
@reentrant
def is_assigned(device: bytes32, origin_id: bytes32, index: uint256) -> bool:
    """
    @notice Whether an entry of the device at this index of the origin's log counts.
    """
    for n: uint256 in range(self.assignment_count[device], bound=RANGES_MAX):
        found: Assignment = self._assignment(device, n)
        if found.origin_id == origin_id:
            if index >= found.first_index and index <= found.last_index:
                return True
    return False


@external
@view
@reentrant
def binding(device: bytes32, number: uint256) -> Binding:
    """
    @notice One of a device's bindings.
    """
    return self._binding(device, number)


@external
@view
@reentrant
def is_bound(device: bytes32, subject: bytes32, role: uint256, from_date: uint256, to_date: uint256) -> bool:
    """
    @notice Whether the device counts for the subject from one boundary date to the other.
    """
    for n: uint256 in range(self.binding_count[device], bound=RANGES_MAX):
        found: Binding = self._binding(device, n)
        if found.subject == subject and found.role == role:
            if found.from_date <= from_date:
                if found.to_date == 0 or found.to_date >= to_date:
                    return True
    return False


# --- Internal ---


@internal
@view
def _only_enacted():
    assert msg.sender == self, "registry: only an enacted batch may do this"


@internal
@view
def _only_party() -> uint256:
    if msg.sender == self.manager:
        return PARTY_MANAGER
    assert msg.sender == self.committee, "registry: only manager or committee may do this"
    return PARTY_COMMITTEE


@internal
@pure
def _check_two_parties(manager: address, committee: address):
    two: bool = manager != empty(address) and committee != empty(address) and manager != committee
    assert two, "registry: manager and committee must be two parties"


@internal
@view
def _check_calls(number: uint256, calls: DynArray[Bytes[CALL_BYTES], CALLS_MAX]):
    assert self._calls_digest(calls) == self.batches[number].calls_digest, "registry: calls are not the announced ones"


@internal
@pure
def _calls_digest(calls: DynArray[Bytes[CALL_BYTES], CALLS_MAX]) -> bytes32:
    return keccak256(abi_encode(calls))


@internal
def _announce(calls: DynArray[Bytes[CALL_BYTES], CALLS_MAX], parties: uint256, effective_at: uint256) -> uint256:
    number: uint256 = self.batch_count
    self.batch_count = number + 1
    self.batches[number] = Batch(
        calls_digest=self._calls_digest(calls),
        parties=parties,
        effective_at=effective_at,
        enacted=False,
        vetoed=0,
    )
    log Announced(number=number, parties=parties, effective_at=effective_at, calls=calls)
    return number


@internal
def _veto(number: uint256, mask: uint256):
    batch: Batch = self.batches[number]
    assert batch.calls_digest != empty(bytes32), "registry: no such batch"
    assert not batch.enacted, "registry: batch is already enacted"
    self.batches[number].vetoed = batch.vetoed | mask
    log Vetoed(number=number, mask=mask)


@internal
@view
def _person_key(key_id: bytes32) -> person.PersonKey:
    key: OwnerKey = self._owner_key(key_id)
    if key.kind == 0 or key.until != 0:
        return empty(person.PersonKey)
    party: RelyingParty = self.relying_parties[key.relying_party]
    return person.PersonKey(
        unit=key.unit,
        index=self._lane(self.units[key.unit], 0) - 1,
        x=key.x,
        y=key.y,
        kind=key.kind,
        rp_id_hash=party.rp_id_hash,
        origin=party.origin,
    )


@internal
@view
def _signer(purpose: bytes32, body: bytes32, signature: person.PersonSignature) -> person.PersonKey:
    assert block.timestamp <= signature.deadline, "registry: signature's deadline has passed"
    key: person.PersonKey = self._person_key(signature.key_id)
    assert key.unit != empty(bytes32), "registry: key is not in force"
    digest: bytes32 = person._digest(purpose, body, signature)
    assert person._is_signed_by(key, digest, signature), "registry: owner's signature does not match"
    return key


@internal
def _end_gateway_key(origin_id: bytes32):
    key: GatewayKey = self.gateway_keys[origin_id]
    key_id: bytes32 = sha256(abi_encode(key.x, key.y))
    self.gateway_keys[origin_id] = empty(GatewayKey)
    self.key_ranges[origin_id][key_id] |= (block.number - 1) << 128
    log GatewayKeyEnded(origin_id=origin_id, key_id=key_id, to_block=block.number - 1)


@internal
def _set_owner_key(unit: bytes32, x: uint256, y: uint256, kind: uint256, relying_party: uint256):
    assert kind == person.SOFTWARE or kind == person.WEBAUTHN, "registry: key is neither webauthn nor software"
    key_id: bytes32 = sha256(abi_encode(x, y))
    assert self.owner_keys[key_id].lanes == 0, "registry: owner key was used before"
    if kind == person.WEBAUTHN:
        assert self.relying_parties[relying_party].rp_id_hash != empty(bytes32), "registry: relying party is not set"
    assert relying_party < 256, "registry: relying party number is above 255"
    self.owner_keys[key_id] = StoredKey(
        unit=unit, x=x, y=y, lanes=self._lanes(kind, relying_party, block.timestamp, 0)
    )
    log OwnerKeySet(unit=unit, key_id=key_id, x=x, y=y, kind=kind, relying_party=relying_party)


@internal
def _end_owner_key(unit: bytes32, key_id: bytes32):
    key: OwnerKey = self._owner_key(key_id)
    assert key.unit == unit and key.kind != 0 and key.until == 0, "registry: key is not in force for the unit"
    self.owner_keys[key_id].lanes |= block.timestamp << 192
    log OwnerKeyEnded(unit=unit, key_id=key_id)


@internal
@view
def _owner_key(key_id: bytes32) -> OwnerKey:
    stored: StoredKey = self.owner_keys[key_id]
    return OwnerKey(
        unit=stored.unit,
        x=stored.x,
        y=stored.y,
        kind=self._lane(stored.lanes, 0),
        relying_party=self._lane(stored.lanes, 1),
        since=self._lane(stored.lanes, 2),
        until=self._lane(stored.lanes, 3),
    )


@internal
@view
def _assignment(device: bytes32, number: uint256) -> Assignment:
    stored: StoredAssignment = self.assignments[device][number]
    return Assignment(
        origin_id=stored.origin_id,
        first_index=self._lane(stored.lanes, 0),
        last_index=self._lane(stored.lanes, 1),
        block=self._lane(stored.lanes, 2),
    )


@internal
@view
def _binding(device: bytes32, number: uint256) -> Binding:
    stored: StoredBinding = self.bindings[device][number]
    return Binding(
        subject=stored.subject,
        commitment=stored.commitment,
        role=self._lane(stored.lanes, 0),
        from_date=self._lane(stored.lanes, 1),
        to_date=self._lane(stored.lanes, 2),
        confirmed=self._lane(stored.lanes, 3) == 1,
    )


@internal
@pure
def _lanes(a: uint256, b: uint256, c: uint256, d: uint256) -> uint256:
    return a | (b << 64) | (c << 128) | (d << 192)


@internal
@pure
def _lane(word: uint256, number: uint256) -> uint256:
    return (word >> (64 * number)) & (2**64 - 1)
