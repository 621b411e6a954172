# pragma version 0.4.3
# pragma nonreentrancy on
# pragma optimize codesize
"""
@title Registry
@license Apache-2.0
@notice Two parties and time: how everything that lets somebody make a fact at one site comes into force. The Registry
        itself keeps the offices, the gateways with their keys, the log ranges that devices write to, and the directory
        of the site's contracts. Units and owners stand in the Roll, firms and the people who serve in Crews, and whom a
        meter counts for in Bindings.

        How it moves. Every addition of a *witness* is a call to a function marked "inner", of this contract or of
        another one in the directory. Manager and committee put such calls in a batch: one announces it in public, the
        other approves it, and after the witness delay anyone may enact it. Until then the committee, or the present key
        of the unit or crew member that a call concerns, can veto single calls. Taking a witness away needs no delay.

        Invariants
        - No inner function runs but from `enact`; no batch is enacted without two parties (or a signature that a member
          contract verified for a change in itself), nor before its delay, nor twice, nor with other calls than were
          announced, nor against a contract outside the directory, nor later than 30 days after its delay.
        - What one party announced ends with its holder's office: a successor's signature is his own.
        - What stands for a person's signature runs only from a batch that a member announced for it, never from two parties'.
        - The cloud and the relayer have no role here. The manager alone, or the committee alone, adds no witness.
        - A device writes to one origin at a time; its index ranges on one origin never overlap.
        - The directory is written by the constructor and by enacted batches; contracts that read it when they are
          deployed keep what they read.
        - The events alone rebuild the state.

        Keys lost. The committee can appoint another manager alone after the longer recovery delay. The committee is
        followed only by its own choice, so it should be a multi-signature account.
"""

import p256
import person
import lanes

initializes: p256
initializes: person[p256 := p256]

CONTRACTS_MAX: constant(uint256) = 32
CALLS_MAX: constant(uint256) = 32
CALL_BYTES: constant(uint256) = 1028  # a selector and at most 32 words
DAY: constant(uint256) = 86400
# How long a batch whose delay is over waits for somebody to enact it.
ENACTABLE: constant(uint256) = 30 * DAY
DELAY_END: constant(uint256) = 2**32
DEVELOPMENT_CHAIN: constant(uint256) = 31337
INDEX_LIMIT: constant(uint256) = 2**48

PARTY_MANAGER: constant(uint256) = 1
PARTY_COMMITTEE: constant(uint256) = 2
PARTY_SIGNER: constant(uint256) = 4
BOTH: constant(uint256) = 3

PURPOSE_VETO: constant(bytes32) = 0x7665746f00000000000000000000000000000000000000000000000000000000
NAME_ROLL: constant(bytes32) = 0x726f6c6c00000000000000000000000000000000000000000000000000000000
NAME_CREWS: constant(bytes32) = 0x6372657773000000000000000000000000000000000000000000000000000000

interface PersonRegister:
    def person_key(key_id: bytes32) -> person.PersonKey: view


SITE: immutable(bytes32)
WITNESS_DELAY: immutable(uint256)
RECOVERY_DELAY: immutable(uint256)


struct Call:
    target: address  # the Registry or another contract of the directory
    data: Bytes[CALL_BYTES]


struct NamedContract:
    name: bytes32
    at: address


struct Batch:
    calls_digest: bytes32
    parties: uint256  # who stands behind it: 1 manager, 2 committee, 4 a person whose signature a member verified
    effective_at: uint256  # zero until every needed party has signed
    enacted: bool
    vetoed: uint256  # bit i: call i


# In storage a batch is its digest and one word: parties (8 bits), enacted (8), effective_at (64), vetoed (32), and how often the
# announcing party's office had changed hands (32).
struct StoredBatch:
    calls_digest: bytes32
    word: uint256


struct GatewayKey:
    x: uint256
    y: uint256


struct KeyRange:
    key_class: uint256  # 1 file, 2 token, 3 attested
    from_block: uint256
    to_block: uint256  # last block of validity, zero while in force


struct Assignment:
    origin_id: bytes32
    first_index: uint256
    last_index: uint256  # 2^48 - 1 while open
    block: uint256


# What stands in storage: small numbers share a word as four lanes of 64 bits, for a new slot is what costs.
struct StoredAssignment:
    origin_id: bytes32
    lanes: uint256  # first index, last index, block


manager: reentrant(public(address))
committee: reentrant(public(address))
# How often the manager's and the committee's office changed hands, by party.
terms: HashMap[uint256, uint256]
# Who stands behind the batch that runs, or ran last: a member asks it in functions that stand for a person's signature.
parties_enacting: reentrant(public(uint256))
batch_count: public(uint256)
batches: HashMap[uint256, StoredBatch]
roles: HashMap[bytes32, HashMap[address, bool]]
gateway_keys: HashMap[bytes32, GatewayKey]
key_ranges: HashMap[bytes32, HashMap[bytes32, uint256]]  # lanes: class, from block, to block
gateways_added: reentrant(public(HashMap[uint256, uint256]))  # keys that gateways of a building were ever given
assignments: HashMap[bytes32, HashMap[uint256, StoredAssignment]]
assignment_count: reentrant(public(HashMap[bytes32, uint256]))
contract_named: reentrant(public(HashMap[bytes32, address]))
is_member: reentrant(public(HashMap[address, bool]))
successor: reentrant(public(HashMap[address, address]))

# Ranges that one device may have in its life: it bounds the loops over them.
RANGES_MAX: constant(uint256) = 64


event Announced:
    number: indexed(uint256)
    parties: uint256
    effective_at: uint256
    calls: DynArray[Call, CALLS_MAX]


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


event GatewayKeySet:
    origin_id: indexed(bytes32)
    origin: String[64]
    x: uint256
    y: uint256
    key_class: uint256
    from_block: uint256
    building: uint256
    added: uint256


event GatewayKeyEnded:
    origin_id: indexed(bytes32)
    key_id: bytes32
    to_block: uint256


event DeviceAssigned:
    device: indexed(bytes32)
    origin_id: indexed(bytes32)
    number: uint256
    first_index: uint256


event AssignmentEnded:
    device: indexed(bytes32)
    number: uint256
    last_index: uint256


event ContractNamed:
    name: indexed(bytes32)
    at: address


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
    contracts: DynArray[NamedContract, CONTRACTS_MAX],
):
    """
    @notice One registry for one site.
    @param site SHA-256 of the site's name.
    @param witness_delay Seconds between the second signature and effect; at least 7 days in production.
    @param recovery_delay Seconds before the committee alone replaces the manager; at least 30 days in production.
    @param verifier Where P-256 signatures are verified; see p256.vy.
    @param contracts The site's other contracts, at the addresses that the deployer's next nonces give them.
    """
    p256.__init__(verifier)
    self._check_two_parties(manager, committee)
    assert witness_delay < DELAY_END and recovery_delay < DELAY_END, "registry: delay is out of range"
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
    for named: NamedContract in contracts:
        self._name_contract(named.name, named.at)


# --- Two parties and time ---


@external
def announce(calls: DynArray[Call, CALLS_MAX]) -> uint256:
    """
    @notice Put a batch of inner calls before the public. Manager or committee; the other one approves.
    @param calls Calls to inner functions of this contract or of others in the directory.
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
    batch: Batch = self._batch(number)
    party: uint256 = self._only_party()
    assert batch.calls_digest != empty(bytes32) and batch.effective_at == 0, "registry: batch does not wait for approval"
    assert party != batch.parties, "registry: the other party must approve"
    self._check_term(number, batch.parties)
    effective_at: uint256 = block.timestamp + WITNESS_DELAY
    self._store(number, BOTH, effective_at, False, batch.vetoed)
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
def veto_signed(
    number: uint256,
    calls: DynArray[Call, CALLS_MAX],
    call_index: uint256,
    signature: person.PersonSignature,
):
    """
    @notice A present key of the unit, or of the crew member, that a call concerns stops that call. Anyone may relay it.
    @param calls The announced calls; a call concerns whoever's alias is its first argument. Crews knows the keys of
           those whom its own calls concern, the Roll all others.
    """
    self._check_calls(number, calls)
    assert call_index < len(calls), "registry: no such call"
    assert block.timestamp <= signature.deadline, "registry: signature's deadline has passed"
    register: address = self.contract_named[NAME_ROLL]
    if calls[call_index].target == self.contract_named[NAME_CREWS]:
        register = self.contract_named[NAME_CREWS]
    key: person.PersonKey = staticcall PersonRegister(register).person_key(signature.key_id)
    assert key.unit != empty(bytes32), "registry: key is not in force"
    digest: bytes32 = person._digest(PURPOSE_VETO, sha256(abi_encode(number, call_index)), signature)
    assert person._is_signed_by(key, digest, signature), "registry: person's signature does not match"
    data: Bytes[CALL_BYTES] = calls[call_index].data
    assert len(data) >= 36 and convert(slice(data, 4, 32), bytes32) == key.unit, "registry: call concerns somebody else"
    self._veto(number, 1 << call_index)


@external
def enact(number: uint256, calls: DynArray[Call, CALLS_MAX]):
    """
    @notice Carry out a batch whose delay is over, without the vetoed calls. Anyone may do it.
    """
    batch: Batch = self._batch(number)
    self._check_calls(number, calls)
    assert batch.effective_at != 0, "registry: the second party has not approved"
    assert block.timestamp >= batch.effective_at, "registry: delay is not over"
    assert block.timestamp <= batch.effective_at + ENACTABLE, "registry: batch has lapsed"
    assert not batch.enacted, "registry: batch is already enacted"
    if batch.parties != BOTH:
        self._check_term(number, batch.parties)
    self.parties_enacting = batch.parties
    self._store(number, batch.parties, batch.effective_at, True, batch.vetoed)
    log Enacted(number=number)
    vetoed: uint256 = batch.vetoed
    for call: Call in calls:
        if vetoed & 1 == 0:
            # A call to an address without code would succeed and do nothing.
            is_known: bool = call.target == self or (self.is_member[call.target] and call.target.is_contract)
            assert is_known, "registry: target is no contract of the site"
            raw_call(call.target, call.data)
        vetoed = vetoed >> 1


@external
def announce_signed(data: Bytes[CALL_BYTES]) -> uint256:
    """
    @notice A member contract announces a call to itself for which it verified a person's signature, such as the
            replacement of a key signed by that key. It takes effect after the witness delay.
    @return The batch's number.
    """
    assert self.is_member[msg.sender], "registry: only a contract of the site announces for a signer"
    return self._announce([Call(target=msg.sender, data=data)], PARTY_SIGNER, block.timestamp + WITNESS_DELAY)


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
    return self._announce([Call(target=self, data=call)], party, block.timestamp + delay)


@external
def succeed_committee(new: address) -> uint256:
    """
    @notice The committee hands over to its successor.
    """
    assert msg.sender == self.committee, "registry: only the committee may name its successor"
    call: Bytes[CALL_BYTES] = abi_encode(new, method_id=method_id("set_committee(address)"))
    return self._announce([Call(target=self, data=call)], PARTY_COMMITTEE, block.timestamp + WITNESS_DELAY)


# --- At once ---


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
    self.terms[PARTY_MANAGER] += 1
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
    self.terms[PARTY_COMMITTEE] += 1
    log CommitteeSet(committee=committee)


@external
@reentrant
def set_role(role: bytes32, account: address):
    """
    @notice Inner. Give an office: operator, cashier, registrar, tariffs, arbiter.
    """
    self._only_enacted()
    self.roles[role][account] = True
    log RoleSet(role=role, account=account, held=True)


@external
@reentrant
def set_gateway_key(origin: String[64], x: uint256, y: uint256, key_class: uint256, building: uint256):
    """
    @notice Inner. A gateway's first or next key. The key before it ends one block earlier.
    @param building Where it stands; the keys that a building's gateways were given are counted in public.
    """
    self._only_enacted()
    assert x != 0 and key_class >= 1 and key_class <= 3, "registry: gateway key or class is wrong"
    assert building < 2**16, "registry: building number is above 65535"
    assert self._is_origin(origin), "registry: origin has other characters than a checkpoint's"
    origin_id: bytes32 = sha256(origin)
    key_id: bytes32 = sha256(abi_encode(x, y))
    assert self.key_ranges[origin_id][key_id] == 0, "registry: gateway key was used before"
    if self.gateway_keys[origin_id].x != 0:
        self._end_gateway_key(origin_id)
    self.gateway_keys[origin_id] = GatewayKey(x=x, y=y)
    self.key_ranges[origin_id][key_id] = lanes._word(key_class, block.number, 0, 0)
    added: uint256 = self.gateways_added[building] + 1
    self.gateways_added[building] = added
    log GatewayKeySet(
        origin_id=origin_id,
        origin=origin,
        x=x,
        y=y,
        key_class=key_class,
        from_block=block.number,
        building=building,
        added=added,
    )


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
            origin_id=origin_id, lanes=lanes._word(first_index, INDEX_LIMIT - 1, block.number, 0)
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
    self.assignments[device][count - 1].lanes = lanes._word(present.first_index, last_index, present.block, 0)
    log AssignmentEnded(device=device, number=count - 1, last_index=last_index)


@external
@reentrant
def name_contract(name: bytes32, at: address):
    """
    @notice Inner. A contract of the site under its name. The one that had the name before gets it as its successor;
            contracts themselves never change.
    """
    self._only_enacted()
    self._name_contract(name, at)


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
    return self._batch(number)


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
    return KeyRange(key_class=lanes._lane(word, 0), from_block=lanes._lane(word, 1), to_block=lanes._lane(word, 2))


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


# --- Internal ---


@internal
@pure
def _is_origin(origin: String[64]) -> bool:
    """
    @notice Whether the text is made of a-z, 0-9, ".", "-" and "/" alone: a line break in it would give one signed checkpoint a
            second reading.
    """
    text: Bytes[64] = convert(origin, Bytes[64])
    for i: uint256 in range(len(text), bound=64):
        letter: uint256 = convert(slice(text, i, 1), uint256)
        is_letter: bool = letter >= 97 and letter <= 122
        if not is_letter and (letter < 45 or letter > 57):  # from "-" to "9": "-", ".", "/" and the digits
            return False
    return len(text) != 0


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
def _check_calls(number: uint256, calls: DynArray[Call, CALLS_MAX]):
    assert self._calls_digest(calls) == self.batches[number].calls_digest, "registry: calls are not the announced ones"


@internal
@pure
def _calls_digest(calls: DynArray[Call, CALLS_MAX]) -> bytes32:
    return keccak256(abi_encode(calls))


@internal
def _announce(calls: DynArray[Call, CALLS_MAX], parties: uint256, effective_at: uint256) -> uint256:
    number: uint256 = self.batch_count
    self.batch_count = number + 1
    self.batches[number] = StoredBatch(calls_digest=self._calls_digest(calls), word=self.terms[parties] << 112)
    self._store(number, parties, effective_at, False, 0)
    log Announced(number=number, parties=parties, effective_at=effective_at, calls=calls)
    return number


@internal
def _veto(number: uint256, mask: uint256):
    batch: Batch = self._batch(number)
    assert batch.calls_digest != empty(bytes32), "registry: no such batch"
    assert not batch.enacted, "registry: batch is already enacted"
    vetoed: uint256 = (batch.vetoed | mask) & (2**CALLS_MAX - 1)
    self._store(number, batch.parties, batch.effective_at, False, vetoed)
    log Vetoed(number=number, mask=mask)


@internal
@view
def _batch(number: uint256) -> Batch:
    stored: StoredBatch = self.batches[number]
    return Batch(
        calls_digest=stored.calls_digest,
        parties=stored.word & 255,
        effective_at=(stored.word >> 16) & (2**64 - 1),
        enacted=(stored.word >> 8) & 255 != 0,
        vetoed=(stored.word >> 80) & (2**32 - 1),
    )


@internal
def _store(number: uint256, parties: uint256, effective_at: uint256, enacted: bool, vetoed: uint256):
    """
    @notice A batch's state; the term that it was announced in stays.
    """
    word: uint256 = parties | (convert(enacted, uint256) << 8) | (effective_at << 16) | (vetoed << 80)
    self.batches[number].word = ((self.batches[number].word >> 112) << 112) | word


@internal
@view
def _check_term(number: uint256, party: uint256):
    """
    @notice What one party announced counts only while whoever announced it is in office.
    """
    in_office: bool = self.batches[number].word >> 112 == self.terms[party]
    assert in_office, "registry: who announced the batch has left office"


@internal
def _name_contract(name: bytes32, at: address):
    assert name != empty(bytes32) and at != empty(address), "registry: name or contract is missing"
    assert not self.is_member[at], "registry: contract has a name already"
    old: address = self.contract_named[name]
    self.contract_named[name] = at
    self.is_member[at] = True
    log ContractNamed(name=name, at=at)
    if old != empty(address):
        self.successor[old] = at
        log SuccessorNamed(old=old, successor=at)


@internal
def _end_gateway_key(origin_id: bytes32):
    key: GatewayKey = self.gateway_keys[origin_id]
    key_id: bytes32 = sha256(abi_encode(key.x, key.y))
    self.gateway_keys[origin_id] = empty(GatewayKey)
    self.key_ranges[origin_id][key_id] |= (block.number - 1) << 128
    log GatewayKeyEnded(origin_id=origin_id, key_id=key_id, to_block=block.number - 1)


@internal
@view
def _assignment(device: bytes32, number: uint256) -> Assignment:
    stored: StoredAssignment = self.assignments[device][number]
    return Assignment(
        origin_id=stored.origin_id,
        first_index=lanes._lane(stored.lanes, 0),
        last_index=lanes._lane(stored.lanes, 1),
        block=lanes._lane(stored.lanes, 2),
    )
