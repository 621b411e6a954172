# pragma version 0.4.3
# pragma nonreentrancy on
# pragma optimize codesize
"""
@title Bindings
@license Apache-2.0
@notice Whom a meter counts for: one unit, or a pool that several share, from one boundary date to another. The chain
        keeps a salted commitment to the meter's number, its opening and closing registers and the photograph.

        A binding needs two witnesses beside the batch that brings it: the installer, who was at the meter, signs the
        commitment; then the owner confirms it, or the committee where the subject is a pool or the owner is silent. A
        meter is swapped by the installer's and the owner's signatures alone, after the public delay. What two parties
        end in a batch without the owner's new signature, and what the owner disputes, is contested, and shown as that.

        Invariants
        - A device counts for one unit or pool on one day; its bindings never overlap.
        - No binding is confirmed without an installer's signature over the very commitment that stands here.
        - Two parties never speak for installer or owner: a swap with their names comes from their signatures, and one of the
          owner's announces it once.
        - A signature confirms one commitment; when it changes, signature and confirmation fall.
        - Only a key of the unit confirms or contests as the owner, and only the committee confirms as the committee; an
          owner's older signature never undoes a newer one.
        - The events alone rebuild the state.
"""

import calendar
import lanes
import once
import p256
import person

initializes: once
initializes: p256
initializes: person[p256 := p256]


struct Unit:
    index: uint256
    area_centi_m2: uint256
    area_before: uint256
    category: uint256
    head: uint256
    building: uint256
    floor: int256
    exists: bool


interface Registry:
    def committee() -> address: view
    def contract_named(name: bytes32) -> address: view
    def parties_enacting() -> uint256: view
    def announce_signed(data: Bytes[CALL_BYTES]) -> uint256: nonpayable


interface Roll:
    def unit(alias: bytes32) -> Unit: view
    def is_pool(pool: bytes32) -> bool: view
    def person_key(key_id: bytes32) -> person.PersonKey: view


interface Crews:
    def key_on_duty(key_id: bytes32, duty: uint256) -> person.PersonKey: view


CALL_BYTES: constant(uint256) = 1028  # a selector and at most 32 words
MANY: constant(uint256) = 32
PARTY_SIGNER: constant(uint256) = 4  # see Registry
# Nonces are milliseconds since 1970; clocks may differ, but not by more.
NONCE_AHEAD: constant(uint256) = 366 * 86400
INSTALLER: constant(uint256) = 4  # the duty's bit, see Crews
# Bindings that one device may have in its life: it bounds the loops over them.
BINDINGS_MAX: constant(uint256) = 64

NAME_ROLL: constant(bytes32) = 0x726f6c6c00000000000000000000000000000000000000000000000000000000
NAME_CREWS: constant(bytes32) = 0x6372657773000000000000000000000000000000000000000000000000000000
PURPOSE_ATTEST: constant(bytes32) = 0x62696e64696e672e617474657374000000000000000000000000000000000000
PURPOSE_CONFIRM: constant(bytes32) = 0x62696e64696e672e636f6e6669726d0000000000000000000000000000000000
PURPOSE_CONTEST: constant(bytes32) = 0x62696e64696e672e636f6e746573740000000000000000000000000000000000
PURPOSE_SWAP: constant(bytes32) = 0x62696e64696e672e737761700000000000000000000000000000000000000000

BY_NOBODY: constant(uint256) = 0
BY_OWNER: constant(uint256) = 1
BY_COMMITTEE: constant(uint256) = 2
CONTESTED: constant(uint256) = 3

REGISTRY: immutable(Registry)
ROLL: immutable(Roll)
CREWS: immutable(Crews)


struct Binding:
    subject: bytes32  # unit alias or pool
    commitment: bytes32
    role: uint256  # 1 own, 2 pool
    from_date: uint256
    to_date: uint256  # zero while open
    confirmed: uint256  # 0 by nobody, 1 by the owner, 2 by the committee, 3 contested
    attested: bool  # an installer signed the commitment


struct Swap:
    subject: bytes32
    old_device: bytes32
    new_device: bytes32
    date: uint256
    closing: bytes32  # commitment of the old device's binding, with its last day and register
    opening: bytes32  # commitment of the new device's binding


# role (8 bits), from (32), to (32), confirmed (8), attested (8), nonce of the owner's last signature (64)
struct StoredBinding:
    subject: bytes32
    commitment: bytes32
    word: uint256


bindings: HashMap[bytes32, HashMap[uint256, StoredBinding]]
binding_count: reentrant(public(HashMap[bytes32, uint256]))


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


event BindingAttested:
    device: indexed(bytes32)
    number: uint256
    installer: bytes32


event BindingConfirmed:
    device: indexed(bytes32)
    number: uint256
    confirmed: uint256
    nonce: uint256


@deploy
def __init__(registry: address, verifier: address):
    """
    @notice The bindings of the Registry's site; Roll and Crews are those of its directory.
    @param verifier Where P-256 signatures are verified; see p256.vy.
    """
    p256.__init__(verifier)
    REGISTRY = Registry(registry)
    ROLL = Roll(staticcall Registry(registry).contract_named(NAME_ROLL))
    CREWS = Crews(staticcall Registry(registry).contract_named(NAME_CREWS))


# --- Signatures: anyone may relay them ---


@external
def attest(devices: DynArray[bytes32, MANY], numbers: DynArray[uint256, MANY], signature: person.PersonSignature):
    """
    @notice An installer signs what stands at the meters: the commitments of these bindings.
    """
    assert len(devices) == len(numbers), "bindings: one number for each device"
    commitments: DynArray[bytes32, MANY] = []
    for i: uint256 in range(len(devices), bound=MANY):
        commitments.append(self.bindings[devices[i]][numbers[i]].commitment)
    body: bytes32 = sha256(abi_encode(devices, numbers, commitments))
    installer: bytes32 = self._installer(PURPOSE_ATTEST, body, signature)
    for i: uint256 in range(len(devices), bound=MANY):
        self._attest(devices[i], numbers[i], installer)


@external
def confirm(device: bytes32, number: uint256, signature: person.PersonSignature):
    """
    @notice The owner confirms that this meter counts for the unit.
    """
    confirmed: uint256 = self._take_owners_word(PURPOSE_CONFIRM, device, number, signature)
    assert confirmed != BY_OWNER, "bindings: binding is already confirmed"
    self._confirm(device, number, BY_OWNER)


@external
def contest(device: bytes32, number: uint256, signature: person.PersonSignature):
    """
    @notice The owner disputes that this meter counts for the unit.
    """
    confirmed: uint256 = self._take_owners_word(PURPOSE_CONTEST, device, number, signature)
    assert confirmed != CONTESTED, "bindings: binding is already contested"
    self._set_confirmed(device, number, CONTESTED)


@external
def confirm_as_committee(devices: DynArray[bytes32, MANY], numbers: DynArray[uint256, MANY]):
    """
    @notice The committee confirms: for pools, and for units whose owner is silent.
    """
    self._only_committee()
    assert len(devices) == len(numbers), "bindings: one number for each device"
    for i: uint256 in range(len(devices), bound=MANY):
        confirmed: uint256 = self._binding(devices[i], numbers[i]).confirmed
        open: bool = confirmed == BY_NOBODY or confirmed == CONTESTED
        assert open, "bindings: binding is already confirmed"
        self._confirm(devices[i], numbers[i], BY_COMMITTEE)


@external
def swap_signed(swap: Swap, installer: person.PersonSignature, owner: person.PersonSignature) -> uint256:
    """
    @notice A unit's meter is replaced, signed by the installer and by the owner. It takes effect after the delay.
    @return The number of the Registry's batch.
    """
    alias: bytes32 = self._installer(PURPOSE_SWAP, sha256(abi_encode(swap)), installer)
    unit: bytes32 = self._owner(PURPOSE_SWAP, sha256(abi_encode(swap)), owner)
    assert unit == swap.subject, "bindings: binding belongs to another unit"
    once._use(person._digest(PURPOSE_SWAP, sha256(abi_encode(swap)), owner))
    return self._announce(swap, alias, BY_OWNER)


@external
def swap_as_committee(swap: Swap, installer: person.PersonSignature) -> uint256:
    """
    @notice A pool's meter is replaced, signed by the installer and sent by the committee.
    @return The number of the Registry's batch.
    """
    self._only_committee()
    alias: bytes32 = self._installer(PURPOSE_SWAP, sha256(abi_encode(swap)), installer)
    assert staticcall ROLL.is_pool(swap.subject), "bindings: the committee swaps a pool's meter"
    return self._announce(swap, alias, BY_COMMITTEE)


# --- Inner functions: reached only through the Registry's `enact` ---


@external
def bind(subject: bytes32, device: bytes32, role: uint256, from_date: uint256, commitment: bytes32):
    """
    @notice Inner. From this day on the device counts for the unit (role 1) or the pool (role 2).
    @param commitment Salted digest over the binding with its opening register and photograph.
    """
    self._only_enacted()
    self._bind(subject, device, role, from_date, commitment)


@external
def end_binding(subject: bytes32, device: bytes32, to_date: uint256, commitment: bytes32):
    """
    @notice Inner. The device no longer counts for the subject from this day on.
    @param commitment The same digest, with the closing day and register.
    """
    self._only_enacted()
    self._end(subject, device, to_date, commitment)


@external
def swap_devices(swap: Swap, installer: bytes32, confirmed: uint256):
    """
    @notice Inner. What `swap_signed` or `swap_as_committee` announced: both signatures have been given.
    """
    self._only_enacted()
    is_signed: bool = staticcall REGISTRY.parties_enacting() == PARTY_SIGNER
    assert is_signed, "bindings: only a swap's own signatures do this"
    ended: uint256 = self._last(swap.old_device)
    role: uint256 = self._binding(swap.old_device, ended).role
    self._end(swap.subject, swap.old_device, swap.date, swap.closing)
    self._bind(swap.subject, swap.new_device, role, swap.date, swap.opening)
    self._attest(swap.old_device, ended, installer)
    self._confirm(swap.old_device, ended, confirmed)
    begun: uint256 = self._last(swap.new_device)
    self._attest(swap.new_device, begun, installer)
    self._confirm(swap.new_device, begun, confirmed)


# --- Views ---


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
    for n: uint256 in range(self.binding_count[device], bound=BINDINGS_MAX):
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
    assert msg.sender == REGISTRY.address, "bindings: only an enacted batch may do this"


@internal
@view
def _only_committee():
    assert msg.sender == staticcall REGISTRY.committee(), "bindings: only the committee may do this"


@internal
@view
def _installer(purpose: bytes32, body: bytes32, signature: person.PersonSignature) -> bytes32:
    key: person.PersonKey = staticcall CREWS.key_on_duty(signature.key_id, INSTALLER)
    assert key.unit != empty(bytes32), "bindings: signer is no installer with a licence"
    self._check_signature(key, purpose, body, signature)
    return key.unit


@internal
@view
def _owner(purpose: bytes32, body: bytes32, signature: person.PersonSignature) -> bytes32:
    key: person.PersonKey = staticcall ROLL.person_key(signature.key_id)
    assert key.unit != empty(bytes32), "bindings: key is not in force"
    self._check_signature(key, purpose, body, signature)
    return key.unit


@internal
def _take_owners_word(
    purpose: bytes32, device: bytes32, number: uint256, signature: person.PersonSignature
) -> uint256:
    """
    @notice Verify what the owner signed about the binding and remember its nonce.
    @return How the binding was confirmed until now.
    """
    binding: Binding = self._binding(device, number)
    unit: bytes32 = self._owner(purpose, sha256(abi_encode(device, number, binding.commitment)), signature)
    assert binding.role == 1 and binding.subject == unit, "bindings: binding belongs to another unit"
    word: uint256 = self.bindings[device][number].word
    # A nonce beyond all others would take the next owner's word away.
    soon: bool = signature.nonce <= (block.timestamp + NONCE_AHEAD) * 1000
    assert soon and signature.nonce > word >> 88, "bindings: signature is not newer than the last one"
    self.bindings[device][number].word = (word & (2**88 - 1)) | (signature.nonce << 88)
    return binding.confirmed


@internal
@view
def _check_signature(key: person.PersonKey, purpose: bytes32, body: bytes32, signature: person.PersonSignature):
    assert block.timestamp <= signature.deadline, "bindings: signature's deadline has passed"
    digest: bytes32 = person._digest(purpose, body, signature)
    assert person._is_signed_by(key, digest, signature), "bindings: signature does not match"


@internal
def _announce(swap: Swap, installer: bytes32, confirmed: uint256) -> uint256:
    return extcall REGISTRY.announce_signed(
        abi_encode(
            swap,
            installer,
            confirmed,
            method_id=method_id("swap_devices((bytes32,bytes32,bytes32,uint256,bytes32,bytes32),bytes32,uint256)"),
        )
    )


@internal
def _bind(subject: bytes32, device: bytes32, role: uint256, from_date: uint256, commitment: bytes32):
    known: bool = False
    if role == 1:
        known = (staticcall ROLL.unit(subject)).exists
    elif role == 2:
        known = staticcall ROLL.is_pool(subject)
    assert known, "bindings: subject is neither unit nor pool for this role"
    assert calendar._days(from_date) != 0, "bindings: binding has no first day"
    number: uint256 = self.binding_count[device]
    assert number < BINDINGS_MAX, "bindings: device was bound too often"
    if number != 0:
        before: Binding = self._binding(device, number - 1)
        assert before.to_date != 0, "bindings: device still counts for another"
        assert before.to_date <= from_date, "bindings: bindings overlap"
    self.bindings[device][number] = StoredBinding(
        subject=subject, commitment=commitment, word=role | (from_date << 8)
    )
    self.binding_count[device] = number + 1
    log DeviceBound(
        device=device, subject=subject, number=number, role=role, from_date=from_date, commitment=commitment
    )


@internal
def _end(subject: bytes32, device: bytes32, to_date: uint256, commitment: bytes32):
    number: uint256 = self._last(device)
    present: Binding = self._binding(device, number)
    is_open: bool = present.subject == subject and present.role != 0 and present.to_date == 0
    assert is_open, "bindings: device does not count for the subject"
    assert calendar._days(to_date) > calendar._days(present.from_date), "bindings: binding ends before it begins"
    # Who signed the binding did not sign its end: the installer's signature falls, and a confirmation becomes its
    # opposite until the owner or the committee has looked again.
    word: uint256 = self.bindings[device][number].word
    kept: uint256 = (word & (2**40 - 1)) | (present.confirmed << 72) | ((word >> 88) << 88)
    self.bindings[device][number].word = kept | (to_date << 40)
    self.bindings[device][number].commitment = commitment
    log BindingEnded(device=device, number=number, to_date=to_date, commitment=commitment)
    if present.confirmed != BY_NOBODY:
        self._set_confirmed(device, number, CONTESTED)


@internal
def _attest(device: bytes32, number: uint256, installer: bytes32):
    word: uint256 = self.bindings[device][number].word
    assert word != 0, "bindings: no such binding"
    assert lanes._field(word, 80, 8) == 0, "bindings: an installer has already signed the binding"
    self.bindings[device][number].word = word | (1 << 80)
    log BindingAttested(device=device, number=number, installer=installer)


@internal
def _confirm(device: bytes32, number: uint256, confirmed: uint256):
    assert lanes._field(self.bindings[device][number].word, 80, 8) != 0, "bindings: no installer has signed the binding"
    self._set_confirmed(device, number, confirmed)


@internal
def _set_confirmed(device: bytes32, number: uint256, confirmed: uint256):
    word: uint256 = self.bindings[device][number].word
    kept: uint256 = (word & (2**72 - 1)) | ((word >> 80) << 80)
    self.bindings[device][number].word = kept | (confirmed << 72)
    log BindingConfirmed(device=device, number=number, confirmed=confirmed, nonce=word >> 88)


@internal
@view
def _last(device: bytes32) -> uint256:
    return max(self.binding_count[device], 1) - 1


@internal
@view
def _binding(device: bytes32, number: uint256) -> Binding:
    stored: StoredBinding = self.bindings[device][number]
    return Binding(
        subject=stored.subject,
        commitment=stored.commitment,
        role=stored.word & 255,
        from_date=lanes._field(stored.word, 8, 32),
        to_date=lanes._field(stored.word, 40, 32),
        confirmed=lanes._field(stored.word, 72, 8),
        attested=lanes._field(stored.word, 80, 8) != 0,
    )
