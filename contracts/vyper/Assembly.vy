# pragma version 0.4.3
# pragma nonreentrancy on
# pragma optimize codesize
"""
@title Assembly
@license Apache-2.0
@notice What one site's owners decided: counting the ballots against the frozen roll, the result and its outcome. The double
        count is that of Civil Code art. 278, by area and by heads, in whole numbers.

        How it moves. After the close anyone counts aligned blocks of 64 heads, each proven with one path against the roll's
        root; the last block decides.

        Invariants
        - Each block of the roll is counted once, after the close, against the frozen root.
        - The matter alone picks the threshold: two thirds of all take part; more than half of these, or three quarters in
          matters 6, 7 and 8, are in favour; each by area and by heads.
        - Passkeys, software keys, proxies and paper are totalled apart.
        - Non-voters follow the majority only if the whole site had adopted that rule, by a vote on matter 1, before this vote
          was convened, and had not ended it by another one: so whoever counts, in whatever order, changes nothing. The
          result without it stays visible.
        - A formal vote is decided only when the city system's certificate is recorded, after the count; no certificate makes
          pass what the ballots did not.
        - The events alone rebuild the state.

        Limits. An outcome claims no legal force.
"""

import bill_tree
import roll_tree

# SHA-256 of "minglou/policy/non-voters-follow/1": what a resolution on the assembly's rules adopts.
POLICY: constant(bytes32) = 0x8e578060a967a49b522d00c7ea2080220c871a0b95884d08ea635b85f1dcf13f
# SHA-256 of "minglou/policy/non-voters-follow/1/repeal": SHA-256 of it and a resolution's number ends what that one adopted.
REPEAL: constant(bytes32) = 0x2e730d0f34d3a5c01a8fe5acc3c492062f590c204940a4417a4ddad741638ab2
NAME_RESOLUTIONS: constant(bytes32) = 0x7265736f6c7574696f6e73000000000000000000000000000000000000000000
NAME_BALLOTS: constant(bytes32) = 0x62616c6c6f747300000000000000000000000000000000000000000000000000
RULES: constant(uint256) = 1
FORMAL: constant(uint256) = 3

PASSKEY: constant(uint256) = 0
SOFTWARE: constant(uint256) = 1
PROXY: constant(uint256) = 2
PAPER: constant(uint256) = 3

BLOCKS: constant(uint256) = 2**32 - 1
DECIDED_AT: constant(uint256) = 2**64 - 1
# A tally: six lanes of 42 bits from the right: area for, against, abstaining, then heads alike.
TALLY: constant(uint256) = 2**42 - 1


struct Resolution:
    digest: bytes32
    payload: bytes32
    root: bytes32
    sums: uint256
    matter: uint256
    building: uint256
    mode: uint256
    sealed: bool
    policy: uint256
    head_count: uint256
    convened_at: uint256
    opens_at: uint256
    closes_at: uint256
    ends_at: uint256
    void: bool


interface Resolutions:
    def resolution(number: uint256) -> Resolution: view


interface Ballots:
    def spoken(number: uint256, first_head: uint256) -> uint256: view


interface Registry:
    def committee() -> address: view
    def contract_named(name: bytes32) -> address: view


RESOLUTIONS: immutable(Resolutions)
BALLOTS: immutable(Ballots)
REGISTRY: immutable(Registry)


struct Outcome:
    state: uint256  # 0 none, 1 notice, 2 open, 3 counting, 4 passed, 5 failed
    matter: uint256
    payload: bytes32
    decided_at: uint256
    building: uint256


struct Result:
    passkey: uint256  # tallies: see TALLY
    software: uint256
    proxy: uint256
    paper: uint256
    blocks: uint256  # counted so far
    decided_at: uint256
    passed: bool  # by those who took part
    follows: bool  # the assembly adopted that non-voters follow the majority
    passed_following: bool  # the same with them
    certificate: bytes32


counted: HashMap[uint256, HashMap[uint256, uint256]]  # bitmap of blocks
tallies: HashMap[uint256, uint256[4]]
# Blocks counted | decided_at << 32 | passed << 96 | follows << 97 | passed following << 98
progress: HashMap[uint256, uint256]
certificates: HashMap[uint256, bytes32]
# Unix seconds when a payload first passed as the whole site's rule (matter 1).
ruled_at: HashMap[bytes32, uint256]


event Counted:
    number: indexed(uint256)
    first_head: uint256
    tallies: uint256[4]


event Decided:
    number: indexed(uint256)
    passed: bool
    follows: bool
    passed_following: bool
    decided_at: uint256


event Certified:
    number: indexed(uint256)
    certificate: bytes32
    decided_at: uint256


@deploy
def __init__(registry: address):
    """
    @notice One for one site, beside the Resolutions and Ballots that the Registry names.
    """
    REGISTRY = Registry(registry)
    RESOLUTIONS = Resolutions(staticcall Registry(registry).contract_named(NAME_RESOLUTIONS))
    BALLOTS = Ballots(staticcall Registry(registry).contract_named(NAME_BALLOTS))


# --- Counting ---


@external
def count(
    number: uint256,
    first_head: uint256,
    leaves: DynArray[roll_tree.Leaf, roll_tree.BLOCK],
    path: DynArray[bill_tree.Node, roll_tree.DEPTH_MAX],
):
    """
    @notice Count an aligned block of the roll after the close. Anyone may; the last block decides.
    @param leaves All leaves of the block.
    @param path Siblings of the block's top, from below.
    """
    resolution: Resolution = staticcall RESOLUTIONS.resolution(number)
    assert resolution.digest != empty(bytes32) and not resolution.void, "assembly: no such resolution, or its roll is void"
    assert block.timestamp > resolution.ends_at, "assembly: voting is not over"
    number_of_block: uint256 = first_head // roll_tree.BLOCK
    word: uint256 = self.counted[number][number_of_block // 256]
    bit: uint256 = 1 << (number_of_block % 256)
    assert word & bit == 0, "assembly: block is counted already"
    root: bill_tree.Node = roll_tree._block_root(first_head, resolution.head_count, leaves, path)
    assert root.hash == resolution.root and root.sums == resolution.sums, "assembly: leaves do not lead to the roll's root"
    self.counted[number][number_of_block // 256] = word | bit
    sums: uint256[4] = self.tallies[number]
    said: uint256 = staticcall BALLOTS.spoken(number, first_head)
    for leaf: roll_tree.Leaf in leaves:
        choice: uint256 = said & 3
        if leaf.area_centi_m2 != 0 and choice != 0:
            lane: uint256 = 42 * (choice - 1)
            sums[said >> 2 & 3] += leaf.area_centi_m2 << lane | 1 << (126 + lane)
        said = said >> 4
    self.tallies[number] = sums
    blocks: uint256 = (self.progress[number] & BLOCKS) + 1
    self.progress[number] = blocks
    log Counted(number=number, first_head=first_head, tallies=sums)
    if blocks * roll_tree.BLOCK >= resolution.head_count:
        self._decide(number, resolution, sums, blocks)


@external
def certify(number: uint256, certificate: bytes32):
    """
    @notice The committee records the digest of the city system's result, without which a formal vote is not decided. It can
        withhold that, but cannot make pass what the owners' ballots did not.
    """
    assert msg.sender == staticcall REGISTRY.committee(), "assembly: only the committee may certify"
    resolution: Resolution = staticcall RESOLUTIONS.resolution(number)
    assert resolution.mode == FORMAL, "assembly: only a formal vote is certified"
    assert self.certificates[number] == empty(bytes32) and certificate != empty(bytes32), "assembly: certificate is recorded or empty"
    progress: uint256 = self.progress[number]
    assert progress >> 32 != 0, "assembly: ballots are not counted"
    self.certificates[number] = certificate
    # Whoever waits a public delay waits from here, not from the count.
    self.progress[number] = progress & ~(DECIDED_AT << 32) | block.timestamp << 32
    self._take_effect(number, resolution)
    log Certified(number=number, certificate=certificate, decided_at=block.timestamp)


# --- Views ---


@external
@view
def outcome(number: uint256) -> Outcome:
    """
    @notice What stands: 0 none, 1 notice, 2 open, 3 counting, 4 passed, 5 failed. No claim of legal force.
    """
    resolution: Resolution = staticcall RESOLUTIONS.resolution(number)
    progress: uint256 = self.progress[number]
    return Outcome(
        state=self._state(number, resolution, progress),
        matter=resolution.matter,
        payload=resolution.payload,
        decided_at=progress >> 32 & DECIDED_AT,
        building=resolution.building,
    )


@external
@view
def result(number: uint256) -> Result:
    """
    @notice Tallies by passkeys, software keys, proxies and paper, and both results: with and without non-voters.
    """
    progress: uint256 = self.progress[number]
    sums: uint256[4] = self.tallies[number]
    return Result(
        passkey=sums[PASSKEY],
        software=sums[SOFTWARE],
        proxy=sums[PROXY],
        paper=sums[PAPER],
        blocks=progress & BLOCKS,
        decided_at=progress >> 32 & DECIDED_AT,
        passed=progress >> 96 & 1 == 1,
        follows=progress >> 97 & 1 == 1,
        passed_following=progress >> 98 & 1 == 1,
        certificate=self.certificates[number],
    )


# --- Internal ---


@internal
def _decide(number: uint256, resolution: Resolution, sums: uint256[4], blocks: uint256):
    total: uint256 = sums[0] + sums[1] + sums[2] + sums[3]
    passed: bool = self._passes(resolution.matter, resolution.sums, total)
    passed_following: bool = self._passes(resolution.matter, resolution.sums, self._following(resolution.sums, total))
    follows: bool = self._is_adopted(resolution.policy, resolution.convened_at)
    progress: uint256 = blocks | block.timestamp << 32
    if passed:
        progress |= 1 << 96
    if follows:
        progress |= 1 << 97
    if passed_following:
        progress |= 1 << 98
    self.progress[number] = progress
    self._take_effect(number, resolution)
    log Decided(
        number=number,
        passed=passed,
        follows=follows,
        passed_following=passed_following,
        decided_at=block.timestamp,
    )


@internal
@pure
def _passes(matter: uint256, roll: uint256, tally: uint256) -> bool:
    """
    @notice Civil Code art. 278 by area and by heads: two thirds of all take part, and more than half of these, or three
        quarters in matters 6, 7 and 8, are in favour.
    """
    for lane: uint256 in [0, 126]:
        total: uint256 = roll >> 64
        if lane != 0:
            total = roll & (2**64 - 1)
        in_favour: uint256 = tally >> lane & TALLY
        part: uint256 = in_favour + (tally >> (lane + 42) & TALLY) + (tally >> (lane + 84) & TALLY)
        if 3 * part < 2 * total:
            return False
        if matter >= 6 and matter <= 8:
            if 4 * in_favour < 3 * part:
                return False
        elif 2 * in_favour <= part:
            return False
    return True


@internal
@pure
def _following(roll: uint256, tally: uint256) -> uint256:
    """
    @notice The tally with all non-voters on the side that leads by area and by heads; unchanged where none leads by both.
    """
    area_for: uint256 = tally & TALLY
    area_against: uint256 = tally >> 42 & TALLY
    heads_for: uint256 = tally >> 126 & TALLY
    heads_against: uint256 = tally >> 168 & TALLY
    area: uint256 = (roll >> 64) - area_for - area_against - (tally >> 84 & TALLY)
    heads: uint256 = (roll & (2**64 - 1)) - heads_for - heads_against - (tally >> 210 & TALLY)
    if area_for > area_against and heads_for > heads_against:
        return tally + (area | heads << 126)
    if area_against > area_for and heads_against > heads_for:
        return tally + (area << 42 | heads << 168)
    return tally


@internal
def _take_effect(number: uint256, resolution: Resolution):
    """
    @notice Keep since when a payload is a rule of the assembly.
    """
    if resolution.matter != RULES or resolution.building != 0 or self.ruled_at[resolution.payload] != 0:
        return
    if self._state(number, resolution, self.progress[number]) == 4:
        self.ruled_at[resolution.payload] = block.timestamp


@internal
@view
def _is_adopted(policy: uint256, convened_at: uint256) -> bool:
    """
    @notice Whether that resolution, of the whole site about the assembly's rules, had adopted the policy when the vote was
        convened, and none had ended it.
    """
    if policy == 0:
        return False
    resolution: Resolution = staticcall RESOLUTIONS.resolution(policy)
    progress: uint256 = self.progress[policy]
    if resolution.matter != RULES or resolution.building != 0 or resolution.payload != POLICY:
        return False
    if self._state(policy, resolution, progress) != 4 or progress >> 32 & DECIDED_AT >= convened_at:
        return False
    ended_at: uint256 = self.ruled_at[sha256(abi_encode(REPEAL, policy))]
    return ended_at == 0 or ended_at >= convened_at


@internal
@view
def _state(number: uint256, resolution: Resolution, progress: uint256) -> uint256:
    if resolution.digest == empty(bytes32):
        return 0
    if resolution.void:
        return 5
    if block.timestamp < resolution.opens_at:
        return 1
    if block.timestamp <= resolution.ends_at:
        return 2
    if progress >> 32 == 0:
        return 3
    passed: uint256 = progress >> 96 & 1
    if progress >> 97 & 1 == 1:
        passed = progress >> 98 & 1
    if passed == 0:
        return 5
    if resolution.mode == FORMAL and self.certificates[number] == empty(bytes32):
        return 3
    return 4
