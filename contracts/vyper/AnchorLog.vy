# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title AnchorLog
@license Apache-2.0
@notice The chain as a witness. It holds the head of the cloud's super-log and, for each gateway, the log head that it
        last accepted; entries are proven against accepted heads.

        Invariants
        - The super-log only grows, and each new head comes with the RFC 9162 proof that it extends the last one.
        - The relayer can only anchor forward. After 24 hours without an anchor the committee can do it instead.
        - A gateway's head is accepted only with a signature of the key that the Registry has in force in this block and
          a proof that it extends the head accepted before: sizes never fall, a revoked key changes nothing.
        - A fork report ends the epoch at the last accepted head; no head of that origin is accepted again.

        Storage is kept to overwritten slots. The super-log's head is one slot: size, time, place in the ring and the
        relayer's address; its root stands in the ring, which is filled at deployment so that no anchor pays for a new
        slot. An accepted head is one slot that holds a hash of (size, root, time), whose lowest bit says *ended*:
        whoever proves against it brings the three values, from the last `Accepted` event.
"""

import checkpoint
import p256
import tree

initializes: p256


interface Registry:
    def manager() -> address: view
    def committee() -> address: view
    def witness_delay() -> uint256: view
    def key_in_force(origin_id: bytes32) -> GatewayKey: view


RING: constant(uint256) = 32
# What an unused place of the ring holds, so that its first use costs no new slot.
NO_ROOT: constant(bytes32) = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF
SILENCE: constant(uint256) = 86400  # seconds without an anchor before the committee may anchor
PATH_MAX: constant(uint256) = 49

# Fields of the head's slot, from the right: relayer 160 bits, place in the ring 8, time 40, size 48.
ADDRESS_MASK: constant(uint256) = 2**160 - 1

REGISTRY: immutable(Registry)


struct GatewayKey:
    x: uint256
    y: uint256


struct Head:
    size: uint256
    root: bytes32
    accepted_at: uint256  # Unix seconds of the block


struct SignedHead:
    size: uint256
    root: bytes32
    r: uint256
    s: uint256


struct SuperLog:
    id: bytes32  # SHA-256(name || 0x0A || 0x01 || Ed25519 key)
    size: uint256  # where it ended; zeros while it goes on
    root: bytes32


head_slot: uint256
ring: bytes32[RING]
accepted_heads: HashMap[bytes32, bytes32]
super_log_number: public(uint256)
super_logs: HashMap[uint256, SuperLog]
proposed_super_log: bytes32
proposed_at: uint256


event Anchored:
    size: indexed(uint256)
    root: bytes32


event Accepted:
    origin_id: indexed(bytes32)
    size: uint256
    root: bytes32
    accepted_at: uint256


event ForkReported:
    origin_id: indexed(bytes32)
    kind: uint256  # 1 two roots for one size, 2 two leaves at one index
    index: uint256
    size_a: uint256
    root_a: bytes32
    size_b: uint256
    root_b: bytes32


event RelayerSet:
    relayer: indexed(address)


event SuperLogProposed:
    id: indexed(bytes32)


event SuperLogBegan:
    number: indexed(uint256)
    id: bytes32


@deploy
def __init__(registry: address, relayer: address, super_log: bytes32, verifier: address):
    """
    @notice Begin with an empty super-log.
    @param registry Whose gateway keys, manager and committee count.
    @param relayer The cloud's address, which may anchor forward.
    @param super_log The super-log's name and key, hashed as a C2SP key id but not cut.
    @param verifier Where P-256 signatures are verified; see p256.vy.
    """
    p256.__init__(verifier)
    REGISTRY = Registry(registry)
    for i: uint256 in range(RING):
        self.ring[i] = NO_ROOT
    self._set_head(0, RING - 1, relayer)
    self.super_logs[0].id = super_log
    log RelayerSet(relayer=relayer)
    log SuperLogBegan(number=0, id=super_log)


# --- The super-log ---


@external
def anchor(size: uint256, root: bytes32, proof: DynArray[bytes32, PATH_MAX]):
    """
    @notice Put the super-log's next head on chain. The same head again changes nothing.
    @param proof RFC 9162 consistency path from the head on chain; empty while that one is empty.
    """
    slot: uint256 = self.head_slot
    old_size: uint256 = slot >> 208
    place: uint256 = (slot >> 160) & 255
    old_root: bytes32 = self.ring[place]
    self._check_anchoring_party(slot)
    if size == old_size and size != 0:
        assert root == old_root, "anchor_log: another root is anchored at this size"
        return
    if old_size == 0:
        assert size != 0 and size < tree.SIZE_LIMIT, "anchor_log: size is out of range"
        assert len(proof) == 0, "anchor_log: the first head needs no proof"
    else:
        assert tree._is_extension(old_size, old_root, size, root, proof), "anchor_log: root does not extend the anchored head"
    place = (place + 1) % RING
    self.ring[place] = root
    self._set_head(size, place, convert(slot & ADDRESS_MASK, address))
    log Anchored(size=size, root=root)


@external
def set_relayer(relayer: address):
    """
    @notice Manager or committee name the address that may anchor forward, and nothing else.
    """
    self._only_party()
    slot: uint256 = self.head_slot
    self.head_slot = (slot & ~ADDRESS_MASK) | convert(relayer, uint256)
    log RelayerSet(relayer=relayer)


@external
def propose_super_log(id: bytes32):
    """
    @notice The manager proposes a successor for a super-log that is poisoned or lost.
    """
    assert msg.sender == staticcall REGISTRY.manager(), "anchor_log: only the manager proposes a super-log"
    assert id != empty(bytes32), "anchor_log: super-log has no name"
    self.proposed_super_log = id
    self.proposed_at = block.timestamp
    log SuperLogProposed(id=id)


@external
def confirm_super_log(id: bytes32):
    """
    @notice The committee ends the present super-log after the witness delay; its head stays on record.
    """
    assert msg.sender == staticcall REGISTRY.committee(), "anchor_log: only the committee confirms a super-log"
    assert id == self.proposed_super_log and id != empty(bytes32), "anchor_log: another super-log was proposed"
    delay: uint256 = staticcall REGISTRY.witness_delay()
    assert block.timestamp >= self.proposed_at + delay, "anchor_log: delay is not over"
    slot: uint256 = self.head_slot
    place: uint256 = (slot >> 160) & 255
    number: uint256 = self.super_log_number
    self.super_logs[number].size = slot >> 208
    self.super_logs[number].root = self.ring[place]
    self.super_log_number = number + 1
    self.super_logs[number + 1].id = id
    self.proposed_super_log = empty(bytes32)
    self._set_head(0, place, convert(slot & ADDRESS_MASK, address))
    log SuperLogBegan(number=number + 1, id=id)


# --- Gateways' heads ---


@external
def accept(
    origin: String[64],
    previous: Head,
    size: uint256,
    root: bytes32,
    r: uint256,
    s: uint256,
    proof: DynArray[bytes32, PATH_MAX],
):
    """
    @notice Accept a gateway's signed checkpoint as the head that its entries are proven against. Anyone may relay it.
    @param previous The head accepted last, from its event; zeros the first time.
    @param r First half of the gateway's signature over the checkpoint text.
    @param s Second half, in its low form.
    @param proof Consistency path from `previous`; empty the first time.
    """
    origin_id: bytes32 = sha256(origin)
    present: bytes32 = self.accepted_heads[origin_id]
    assert not self._is_ended(present), "anchor_log: epoch was ended by a fork report"
    assert present == self._commitment(previous), "anchor_log: another head was accepted last"
    if previous.size == 0:
        assert size != 0 and size < tree.SIZE_LIMIT, "anchor_log: size is out of range"
        assert len(proof) == 0, "anchor_log: the first head needs no proof"
    else:
        assert size >= previous.size, "anchor_log: size falls"
        assert tree._is_extension(previous.size, previous.root, size, root, proof), "anchor_log: root does not extend the accepted head"
        if size == previous.size:
            return
    self._check_signature(origin, origin_id, size, root, r, s)
    self.accepted_heads[origin_id] = self._commitment(Head(size=size, root=root, accepted_at=block.timestamp))
    log Accepted(origin_id=origin_id, size=size, root=root, accepted_at=block.timestamp)


@external
def report_two_roots(origin: String[64], a: SignedHead, b: SignedHead):
    """
    @notice A gateway signed two roots for one size. Ends its epoch. Anyone may report it.
    """
    origin_id: bytes32 = sha256(origin)
    assert a.size == b.size and a.root != b.root, "anchor_log: heads do not contradict each other"
    self._check_signature(origin, origin_id, a.size, a.root, a.r, a.s)
    self._check_signature(origin, origin_id, b.size, b.root, b.r, b.s)
    self._end_epoch(origin_id)
    log ForkReported(
        origin_id=origin_id, kind=1, index=0, size_a=a.size, root_a=a.root, size_b=b.size, root_b=b.root
    )


@external
def report_two_leaves(
    origin: String[64],
    a: SignedHead,
    b: SignedHead,
    index: uint256,
    leaf_a: bytes32,
    path_a: DynArray[bytes32, PATH_MAX],
    leaf_b: bytes32,
    path_b: DynArray[bytes32, PATH_MAX],
):
    """
    @notice A gateway signed two heads, of any sizes, with different entries at one index. Ends its epoch.
    @param leaf_a Leaf hash at the index under head a.
    @param leaf_b Leaf hash at the index under head b.
    """
    origin_id: bytes32 = sha256(origin)
    assert leaf_a != leaf_b, "anchor_log: heads do not contradict each other"
    assert tree._is_included(leaf_a, index, a.size, path_a, a.root), "anchor_log: first leaf is not under its head"
    assert tree._is_included(leaf_b, index, b.size, path_b, b.root), "anchor_log: second leaf is not under its head"
    self._check_signature(origin, origin_id, a.size, a.root, a.r, a.s)
    self._check_signature(origin, origin_id, b.size, b.root, b.r, b.s)
    self._end_epoch(origin_id)
    log ForkReported(
        origin_id=origin_id, kind=2, index=index, size_a=a.size, root_a=a.root, size_b=b.size, root_b=b.root
    )


# --- Views ---


@external
@view
def accepted(origin_id: bytes32, head: Head) -> (bool, bool):
    """
    @notice Whether this is the head accepted last for the origin, and whether a fork ended its epoch.
    """
    present: bytes32 = self.accepted_heads[origin_id]
    ended: bool = self._is_ended(present)
    if ended:
        present = convert(convert(present, uint256) - 1, bytes32)
    return head.size != 0 and present == self._commitment(head), ended


@external
@view
def head() -> (uint256, bytes32, uint256):
    """
    @notice Size, root and block time of the anchored super-log head; the root is zero while the size is.
    """
    slot: uint256 = self.head_slot
    size: uint256 = slot >> 208
    root: bytes32 = empty(bytes32)
    if size != 0:
        root = self.ring[(slot >> 160) & 255]
    return size, root, (slot >> 168) & (2**40 - 1)


@external
@view
def recent_roots() -> bytes32[RING]:
    """
    @notice The roots anchored last, newest first; zero where none was.
    """
    place: uint256 = (self.head_slot >> 160) & 255
    roots: bytes32[RING] = empty(bytes32[RING])
    for i: uint256 in range(RING):
        root: bytes32 = self.ring[(place + RING - i) % RING]
        if root != NO_ROOT:
            roots[i] = root
    return roots


@external
@view
def relayer() -> address:
    """
    @notice The address that may anchor forward.
    """
    return convert(self.head_slot & ADDRESS_MASK, address)


@external
@view
def super_log(number: uint256) -> SuperLog:
    """
    @notice A super-log's name hash and, if it has ended, its last head.
    """
    return self.super_logs[number]


# --- Internal ---


@internal
@view
def _check_anchoring_party(slot: uint256):
    if convert(msg.sender, uint256) == slot & ADDRESS_MASK:
        return
    assert msg.sender == staticcall REGISTRY.committee(), "anchor_log: only the relayer anchors"
    assert block.timestamp >= ((slot >> 168) & (2**40 - 1)) + SILENCE, "anchor_log: committee may anchor after 24 hours of silence"


@internal
@view
def _only_party():
    if msg.sender == staticcall REGISTRY.manager():
        return
    assert msg.sender == staticcall REGISTRY.committee(), "anchor_log: only manager or committee"


@internal
def _set_head(size: uint256, place: uint256, relayer: address):
    self.head_slot = (size << 208) | (block.timestamp << 168) | (place << 160) | convert(relayer, uint256)


@internal
@view
def _check_signature(origin: String[64], origin_id: bytes32, size: uint256, root: bytes32, r: uint256, s: uint256):
    key: GatewayKey = staticcall REGISTRY.key_in_force(origin_id)
    assert key.x != 0, "anchor_log: gateway has no key in force"
    assert size < tree.SIZE_LIMIT, "anchor_log: size is out of range"
    digest: bytes32 = checkpoint._digest(origin, size, root)
    assert p256._is_signed_low_s(digest, r, s, key.x, key.y), "anchor_log: gateway's signature does not match"


@internal
@pure
def _commitment(head: Head) -> bytes32:
    """
    @notice What the slot holds for a head: a hash whose lowest bit is free; zero for no head.
    """
    if head.size == 0:
        return empty(bytes32)
    return convert(convert(keccak256(abi_encode(head)), uint256) & ~convert(1, uint256), bytes32)


@internal
@pure
def _is_ended(slot: bytes32) -> bool:
    return convert(slot, uint256) & 1 == 1


@internal
def _end_epoch(origin_id: bytes32):
    present: bytes32 = self.accepted_heads[origin_id]
    assert not self._is_ended(present), "anchor_log: epoch was ended by a fork report"
    self.accepted_heads[origin_id] = convert(convert(present, uint256) | 1, bytes32)
