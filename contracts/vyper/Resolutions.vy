# pragma version 0.4.3
# pragma nonreentrancy on
# pragma optimize codesize
"""
@title Resolutions
@license Apache-2.0
@notice What one site's owners are asked to decide: convening, the roll of those who may vote, and objections to it.
        Ballots, counting and outcome are Assembly's.

        How it moves. The committee, or owners with a fifth of the heads by their signatures, convene a vote on one of the
        nine matters of Civil Code art. 278. They post the root of the roll as it stands at that moment. Whoever convened
        must then show all its leaves in public, a window before voting opens: a roll that is not shown is void, for
        silence loses. During the whole notice anyone may show that a leaf disagrees with the Roll.

        Invariants
        - The matter alone picks the threshold; nobody else sets it.
        - The notice is never shorter than the site's, voting neither.
        - Between convening and opening every leaf of the roll has been public for at least the window.
        - A leaf that disagrees with the Roll's units at convening voids the vote, shown by anyone.
        - An advisory vote carries no payload, so nothing can be executed by it.
        - A petition convenes one vote, and another one only if that was void.
        - The digest that ballots sign names the proposal, the roll, the times and the block before.
        - The events alone rebuild the state.

        Limits. A unit whose owner changed between convening and an objection, or in the second of convening, is not judged
        (Roll says since when an owner is in force); its key cannot vote either, for it is younger than the roll. No claim of legal force is made: three
        modes say what a count is for.
"""

import bill_tree
import p256
import person
import roll_tree

initializes: p256
initializes: person[p256 := p256]

DAY: constant(uint256) = 86400
DEVELOPMENT_CHAIN: constant(uint256) = 31337
AHEAD_MAX: constant(uint256) = 400 * DAY
SIGNATURES_MAX: constant(uint256) = 16
UNIT_BYTES_MAX: constant(uint256) = 16384  # 4,096 units

ADVISORY: constant(uint256) = 1
WRITTEN: constant(uint256) = 2
FORMAL: constant(uint256) = 3

TAG: constant(bytes32) = 0x6d696e676c6f752f70726f706f73616c2f310000000000000000000000000000  # minglou/proposal/1
PURPOSE_PROPOSE: constant(bytes32) = 0x766f74652e70726f706f73650000000000000000000000000000000000000000

NAME_ROLL: constant(bytes32) = 0x726f6c6c00000000000000000000000000000000000000000000000000000000
LANE: constant(uint256) = 2**32 - 1
HEADS: constant(uint256) = 2**64 - 1


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


interface Roll:
    def unit(alias: bytes32) -> Unit: view
    def unit_at(index: uint256) -> bytes32: view
    def unit_since(index: uint256) -> uint256: view
    def unit_count() -> uint256: view
    def head_count() -> uint256: view
    def total_area() -> uint256: view
    def person_key(key_id: bytes32) -> person.PersonKey: view


REGISTRY: immutable(Registry)
ROLL: immutable(Roll)
NOTICE: immutable(uint256)
VOTING: immutable(uint256)
WINDOW: immutable(uint256)


struct Proposal:
    matter: uint256  # 1 to 9, Civil Code art. 278
    building: uint256  # 0 the whole site, else number of the building + 1
    payload: bytes32  # SHA-256 of what is executed when it passes, or zero
    discussion: bytes32  # digest of the text and discussion put before the owners
    mode: uint256  # 1 advisory, 2 written ballot, 3 formal by export
    sealed: bool  # ballots are commitments until close
    policy: uint256  # number of the resolution that let non-voters follow the majority, 0 for none


struct Resolution:
    digest: bytes32  # what ballots sign
    payload: bytes32
    root: bytes32
    sums: uint256  # area << 64 | heads
    matter: uint256
    building: uint256
    mode: uint256
    sealed: bool
    policy: uint256
    head_count: uint256
    convened_at: uint256  # Unix seconds; keys must be older
    opens_at: uint256
    closes_at: uint256  # last second for ballots
    ends_at: uint256  # last second for revealing sealed ballots; else closes_at
    void: bool


# What casting a ballot needs of it.
struct Voting:
    digest: bytes32
    convened_at: uint256
    opens_at: uint256
    closes_at: uint256
    ends_at: uint256
    head_count: uint256
    sealed: bool
    void: bool


# What stands in storage: small numbers share two words.
struct Stored:
    digest: bytes32
    payload: bytes32
    root: bytes32
    sums: uint256
    # 32-bit lanes from the right: matter | mode << 8 | sealed << 16, building, policy, head count, unit count, blocks
    # shown, void
    facts: uint256
    times: uint256  # 64-bit lanes from the left: convened, opens, closes, ends


resolution_count: public(uint256)
resolutions: HashMap[uint256, Stored]
shown: HashMap[uint256, HashMap[uint256, uint256]]  # bitmap of blocks
supporters: HashMap[bytes32, HashMap[uint256, uint256]]  # bitmap of heads
support_count: public(HashMap[bytes32, uint256])
petitions: public(HashMap[bytes32, uint256])  # proposal digest -> resolution that its support convened


event Supported:
    proposal: indexed(bytes32)
    heads: DynArray[uint256, SIGNATURES_MAX]


event Convened:
    number: indexed(uint256)
    proposal: Proposal
    digest: bytes32
    root: bytes32
    sums: uint256
    head_count: uint256
    unit_count: uint256
    convened_at: uint256
    opens_at: uint256
    closes_at: uint256
    ends_at: uint256
    by_petition: bool


event RollShown:
    number: indexed(uint256)
    first_head: uint256
    entries: DynArray[uint256, roll_tree.BLOCK]
    units: Bytes[UNIT_BYTES_MAX]


event RollRefuted:
    number: indexed(uint256)
    head: uint256


@deploy
def __init__(
    registry: address,
    notice_seconds: uint256,
    voting_seconds: uint256,
    window_seconds: uint256,
    verifier: address,
):
    """
    @notice One for one site, beside the Roll that the Registry names.
    @param notice_seconds Shortest time from convening to opening; at least 15 days in production.
    @param voting_seconds Shortest time from opening to close.
    @param window_seconds How long the whole roll is public before opening, paper ballots are recorded before close, and
        sealed ballots are revealed after it; at least 3 days in production.
    @param verifier Where P-256 signatures are verified; see p256.vy.
    """
    p256.__init__(verifier)
    if chain.id != DEVELOPMENT_CHAIN:
        assert notice_seconds >= 15 * DAY, "resolutions: notice is below 15 days"
        assert window_seconds >= 3 * DAY, "resolutions: window is below 3 days"
    assert window_seconds != 0 and window_seconds < notice_seconds and window_seconds < voting_seconds, "resolutions: window does not fit into notice and voting"
    REGISTRY = Registry(registry)
    ROLL = Roll(staticcall Registry(registry).contract_named(NAME_ROLL))
    NOTICE = notice_seconds
    VOTING = voting_seconds
    WINDOW = window_seconds


# --- Convening ---


@external
def convene(
    proposal: Proposal, root: bytes32, sums: uint256, head_count: uint256, opens_at: uint256, closes_at: uint256
) -> uint256:
    """
    @notice The committee puts a proposal to the vote.
    @param root Hash of the roll tree's root, as the Roll stands now.
    @param sums The root's sums: area << 64 | heads.
    @param head_count Leaves of the tree: all heads of the Roll.
    @param opens_at Unix seconds when voting opens.
    @param closes_at Last second for ballots.
    @return The resolution's number, from 1.
    """
    assert msg.sender == staticcall REGISTRY.committee(), "resolutions: only the committee may convene"
    return self._convene(proposal, root, sums, head_count, opens_at, closes_at, False)


@external
def convene_by_owners(
    proposal: Proposal, root: bytes32, sums: uint256, head_count: uint256, opens_at: uint256, closes_at: uint256
) -> uint256:
    """
    @notice Put a proposal to the vote that a fifth of the heads support. Anyone may, with the roll as it stands now.
    @return The resolution's number, from 1.
    """
    petition: bytes32 = self._proposal_digest(proposal)
    assert 5 * self.support_count[petition] >= sums & HEADS, "resolutions: less than a fifth of the heads support it"
    earlier: uint256 = self.petitions[petition]
    assert earlier == 0 or self._is_void(self.resolutions[earlier]), "resolutions: petition has convened a vote"
    number: uint256 = self._convene(proposal, root, sums, head_count, opens_at, closes_at, True)
    self.petitions[petition] = number
    return number


@external
def support(proposal: Proposal, signatures: DynArray[person.PersonSignature, SIGNATURES_MAX]):
    """
    @notice Owners sign that a proposal be put to the vote. Anyone may relay it; a head that signed counts once.
    """
    petition: bytes32 = self._proposal_digest(proposal)
    body: bytes32 = sha256(abi_encode(petition))
    heads: DynArray[uint256, SIGNATURES_MAX] = []
    for signature: person.PersonSignature in signatures:
        key: person.PersonKey = staticcall ROLL.person_key(signature.key_id)
        assert key.unit != empty(bytes32), "resolutions: no such key in force"
        assert block.timestamp <= signature.deadline, "resolutions: signature has expired"
        assert person._is_signed_by(key, person._digest(PURPOSE_PROPOSE, body, signature), signature), "resolutions: signature does not match the proposal"
        unit: Unit = staticcall ROLL.unit(key.unit)
        assert proposal.building == 0 or unit.building + 1 == proposal.building, "resolutions: unit is in another building"
        bit: uint256 = 1 << (unit.head % 256)
        bits: uint256 = self.supporters[petition][unit.head // 256]
        if bits & bit == 0:
            self.supporters[petition][unit.head // 256] = bits | bit
            heads.append(unit.head)
    assert len(heads) != 0, "resolutions: nobody new supports it"
    self.support_count[petition] += len(heads)
    log Supported(proposal=petition, heads=heads)


# --- The roll ---


@external
def show(
    number: uint256,
    first_head: uint256,
    entries: DynArray[uint256, roll_tree.BLOCK],
    units: Bytes[UNIT_BYTES_MAX],
    path: DynArray[bill_tree.Node, roll_tree.DEPTH_MAX],
):
    """
    @notice Show an aligned block of the roll's leaves in public. Anyone may; who convened must.
    @param entries For each head: its area in 0.01 m2 << 32 | number of its units.
    @param units Indices of the units of all these heads in turn, four bytes each.
    @param path Siblings of the block's top, from below.
    """
    stored: Stored = self._in_notice(number)
    assert block.timestamp <= self._time(stored, 128) - WINDOW, "resolutions: the roll was to be shown earlier"
    word: uint256 = self.shown[number][first_head // roll_tree.BLOCK // 256]
    bit: uint256 = 1 << (first_head // roll_tree.BLOCK % 256)
    assert word & bit == 0, "resolutions: block is shown already"
    leaves: DynArray[roll_tree.Leaf, roll_tree.BLOCK] = []
    start: uint256 = 0
    for entry: uint256 in entries:
        size: uint256 = 4 * (entry & LANE)
        assert start + size <= len(units), "resolutions: units do not fit the entries"
        digest: bytes32 = sha256(b"")
        if size != 0:
            digest = sha256(slice(units, start, size))
        leaves.append(roll_tree.Leaf(area_centi_m2=entry >> 32, units_digest=digest))
        start += size
    assert start == len(units), "resolutions: units do not fit the entries"
    self._check_root(stored, roll_tree._block_root(first_head, self._fact(stored, 96), leaves, path))
    self.shown[number][first_head // roll_tree.BLOCK // 256] = word | bit
    self.resolutions[number].facts = stored.facts + (1 << 160)
    log RollShown(number=number, first_head=first_head, entries=entries, units=units)


@external
def refute(
    number: uint256,
    head: uint256,
    area_centi_m2: uint256,
    units: Bytes[UNIT_BYTES_MAX],
    path: DynArray[bill_tree.Node, roll_tree.DEPTH_MAX],
    missing: uint256,
):
    """
    @notice Show that a leaf of the roll disagrees with the Roll at convening; the vote is void. Anyone, in the notice.
    @param area_centi_m2 The leaf's area.
    @param units The leaf's units: their indices, four bytes each.
    @param path Siblings of the leaf, from below.
    @param missing Index of a unit that belongs to the leaf and is not in it; any index in the leaf, where it is another fault.
    """
    stored: Stored = self._in_notice(number)
    leaf: roll_tree.Leaf = roll_tree.Leaf(area_centi_m2=area_centi_m2, units_digest=sha256(units))
    node: bill_tree.Node = bill_tree.Node(
        hash=roll_tree._leaf_hash(head, leaf), sums=roll_tree._sums(area_centi_m2)
    )
    self._check_root(stored, bill_tree._climb(node, head, self._fact(stored, 96), path))
    assert self._is_wrong(stored, head, area_centi_m2, units, missing), "resolutions: the leaf agrees with the Roll"
    self.resolutions[number].facts = stored.facts | (1 << 192)
    log RollRefuted(number=number, head=head)


# --- Views ---


@external
@view
def resolution(number: uint256) -> Resolution:
    """
    @notice Everything that ballots and counting need; zeros if there is none.
    """
    stored: Stored = self.resolutions[number]
    return Resolution(
        digest=stored.digest,
        payload=stored.payload,
        root=stored.root,
        sums=stored.sums,
        matter=stored.facts & 255,
        building=self._fact(stored, 32),
        mode=stored.facts >> 8 & 255,
        sealed=stored.facts >> 16 & 1 == 1,
        policy=self._fact(stored, 64),
        head_count=self._fact(stored, 96),
        convened_at=self._time(stored, 192),
        opens_at=self._time(stored, 128),
        closes_at=self._time(stored, 64),
        ends_at=self._time(stored, 0),
        void=self._is_void(stored),
    )


@external
@view
def voting(number: uint256) -> Voting:
    """
    @notice What casting a ballot needs: cheaper than all of it; zeros if there is no such resolution.
    """
    stored: Stored = empty(Stored)
    stored.digest = self.resolutions[number].digest
    stored.facts = self.resolutions[number].facts
    stored.times = self.resolutions[number].times
    return Voting(
        digest=stored.digest,
        convened_at=self._time(stored, 192),
        opens_at=self._time(stored, 128),
        closes_at=self._time(stored, 64),
        ends_at=self._time(stored, 0),
        head_count=self._fact(stored, 96),
        sealed=stored.facts >> 16 & 1 == 1,
        void=self._is_void(stored),
    )


@external
@view
def blocks_shown(number: uint256) -> (uint256, uint256):
    """
    @notice How many blocks of the roll are shown, and how many there are.
    """
    stored: Stored = self.resolutions[number]
    return self._fact(stored, 160), self._blocks(stored)


@external
@view
def proposal_digest(proposal: Proposal) -> bytes32:
    """
    @notice What supporters sign.
    """
    return self._proposal_digest(proposal)


@external
@view
def terms() -> (uint256, uint256, uint256):
    """
    @notice Shortest notice, shortest voting, and window, in seconds.
    """
    return NOTICE, VOTING, WINDOW


# --- Internal ---


@internal
def _convene(
    proposal: Proposal,
    root: bytes32,
    sums: uint256,
    head_count: uint256,
    opens_at: uint256,
    closes_at: uint256,
    by_petition: bool,
) -> uint256:
    number: uint256 = self.resolution_count + 1
    self._check_proposal(proposal, number)
    assert head_count != 0 and head_count == staticcall ROLL.head_count(), "resolutions: the Roll has another number of heads"
    assert sums & HEADS != 0 and sums & HEADS <= head_count and sums >> 64 < 2**42, "resolutions: sums are not a roll's"
    if proposal.building == 0:
        assert sums >> 64 == staticcall ROLL.total_area(), "resolutions: the Roll has another total area"
    assert opens_at >= block.timestamp + NOTICE, "resolutions: notice is too short"
    assert closes_at >= opens_at + VOTING, "resolutions: voting time is too short"
    assert closes_at <= block.timestamp + AHEAD_MAX, "resolutions: close is too far ahead"
    ends_at: uint256 = closes_at
    if proposal.sealed:
        ends_at += WINDOW
    digest: bytes32 = sha256(
        abi_encode(
            number,
            self._proposal_digest(proposal),
            root,
            sums,
            head_count,
            opens_at,
            closes_at,
            # So that a ballot means this vote in this history of the chain, whatever number another history gives it.
            blockhash(block.number - 1),
        )
    )
    unit_count: uint256 = staticcall ROLL.unit_count()
    facts: uint256 = proposal.matter | proposal.mode << 8 | proposal.building << 32 | proposal.policy << 64
    facts |= head_count << 96 | unit_count << 128
    if proposal.sealed:
        facts |= 1 << 16
    self.resolution_count = number
    self.resolutions[number] = Stored(
        digest=digest,
        payload=proposal.payload,
        root=root,
        sums=sums,
        facts=facts,
        times=block.timestamp << 192 | opens_at << 128 | closes_at << 64 | ends_at,
    )
    log Convened(
        number=number,
        proposal=proposal,
        digest=digest,
        root=root,
        sums=sums,
        head_count=head_count,
        unit_count=unit_count,
        convened_at=block.timestamp,
        opens_at=opens_at,
        closes_at=closes_at,
        ends_at=ends_at,
        by_petition=by_petition,
    )
    return number


@internal
@pure
def _check_proposal(proposal: Proposal, number: uint256):
    assert proposal.matter >= 1 and proposal.matter <= 9, "resolutions: no such matter"
    assert proposal.mode >= ADVISORY and proposal.mode <= FORMAL, "resolutions: no such mode"
    assert proposal.mode != ADVISORY or proposal.payload == empty(bytes32), "resolutions: an advisory vote executes nothing"
    assert proposal.policy < number and proposal.policy <= LANE, "resolutions: policy is not an earlier resolution"
    assert proposal.building <= LANE, "resolutions: no such building"


@internal
@pure
def _proposal_digest(proposal: Proposal) -> bytes32:
    return sha256(abi_encode(TAG, proposal))


@internal
@view
def _in_notice(number: uint256) -> Stored:
    stored: Stored = self.resolutions[number]
    assert stored.digest != empty(bytes32), "resolutions: no such resolution"
    assert block.timestamp < self._time(stored, 128), "resolutions: the notice is over"
    assert stored.facts >> 192 & 1 == 0, "resolutions: the roll is refuted"
    return stored


@internal
@pure
def _check_root(stored: Stored, root: bill_tree.Node):
    assert root.hash == stored.root and root.sums == stored.sums, "resolutions: path does not lead to the roll's root"


@internal
@view
def _is_wrong(
    stored: Stored, head: uint256, area_centi_m2: uint256, units: Bytes[UNIT_BYTES_MAX], missing: uint256
) -> bool:
    """
    @notice Whether a leaf disagrees with the Roll: a unit that is another's or none, an area that is not their sum, or a
        unit left out.
    """
    area: uint256 = 0
    after: uint256 = 0  # the smallest index that may come next
    is_left_out: bool = True
    for place: uint256 in range(len(units) // 4, bound=4096):
        index: uint256 = convert(slice(units, place * 4, 4), uint256)
        if index < after or index >= self._fact(stored, 128):
            return True
        after = index + 1
        if index == missing:
            is_left_out = False
        unit: Unit = staticcall ROLL.unit(staticcall ROLL.unit_at(index))
        if not self._is_of(stored, head, unit) and staticcall ROLL.unit_since(index) < self._time(stored, 192):
            return True
        area += unit.area_centi_m2
    if area != area_centi_m2 or len(units) % 4 != 0:
        return True
    if missing >= self._fact(stored, 128):
        return False
    candidate: Unit = staticcall ROLL.unit(staticcall ROLL.unit_at(missing))
    if not is_left_out or not self._is_of(stored, head, candidate):
        return False
    return staticcall ROLL.unit_since(missing) < self._time(stored, 192)


@internal
@pure
def _is_of(stored: Stored, head: uint256, unit: Unit) -> bool:
    building: uint256 = self._fact(stored, 32)
    return unit.head == head and (building == 0 or unit.building + 1 == building)


@internal
@view
def _is_void(stored: Stored) -> bool:
    """
    @notice Whether the roll was refuted, or not shown as a whole when it had to be.
    """
    if stored.facts >> 192 & 1 == 1:
        return True
    if stored.digest == empty(bytes32):
        return False
    return block.timestamp > self._time(stored, 128) - WINDOW and self._fact(stored, 160) < self._blocks(stored)


@internal
@pure
def _blocks(stored: Stored) -> uint256:
    return (self._fact(stored, 96) + roll_tree.BLOCK - 1) // roll_tree.BLOCK


@internal
@pure
def _fact(stored: Stored, lane: uint256) -> uint256:
    return stored.facts >> lane & LANE


@internal
@pure
def _time(stored: Stored, lane: uint256) -> uint256:
    return stored.times >> lane & (2**64 - 1)
