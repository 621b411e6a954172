# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title Ballots
@license Apache-2.0
@notice What one site's owners say to the resolutions that Resolutions puts to them: ballots, proxies, paper ballots.
        Assembly counts them.

        How it moves. Owners sign ballots with a passkey or a software key; anyone relays them in batches, grouped by equal
        authenticator data. Choices of eight heads share a word; keys are read from the Roll when they vote, areas only
        when Assembly counts.

        Invariants
        - One head, one ballot: the one with the highest sequence number that its key signed. Keys of one head that disagree
          make it abstain. An own ballot overrides paper, paper a proxy.
        - Only keys that were in force before the roll was frozen vote, and only while they still are.
        - A relayer can order, delay and leave out, and make nothing: each ballot names the resolution's digest, and a
          ballot that one relayer refuses counts through another.
        - A proxy is the owner's signature for one resolution, revocable until close; it follows the holder's own ballot and
          goes no further; a holder has no more than the site's limit.
        - A paper ballot needs two returning officers, once per head, a window before close, so that its owner can object.
        - Nothing that is said changes after the close but by opening what was sealed before it.
        - The events alone rebuild the state.

        Limits. Sealed until close is not secret for ever, and nothing here is free of receipts. Sealed votes take no paper
        ballots. A mark of 20 bits tells keys of one head apart; it depends on a block hash that nobody knew when they were
        registered. A key that was rotated after it voted is another key of its head.
"""

import p256
import person

initializes: p256
initializes: person[p256 := p256]

BATCH: constant(uint256) = 100
GROUPS: constant(uint256) = 8
PAPERS: constant(uint256) = 64

PURPOSE_CAST: constant(bytes32) = 0x766f74652e636173740000000000000000000000000000000000000000000000
PURPOSE_SEAL: constant(bytes32) = 0x766f74652e7365616c0000000000000000000000000000000000000000000000
PURPOSE_PROXY: constant(bytes32) = 0x766f74652e70726f787900000000000000000000000000000000000000000000
PURPOSE_PAPER: constant(bytes32) = 0x766f74652e706170657200000000000000000000000000000000000000000000
RETURNING_OFFICER: constant(uint256) = 8

IN_FAVOUR: constant(uint256) = 1
AGAINST: constant(uint256) = 2
ABSTAIN: constant(uint256) = 3

PROXY: constant(uint256) = 2
PAPER: constant(uint256) = 3

# A head's ballot in 32 bits, from the right: choice (2), software, several keys, sequence (8), mark of the key (20).
BALLOT: constant(uint256) = 2**32 - 1
SOFTWARE_BIT: constant(uint256) = 4
SEVERAL_BIT: constant(uint256) = 8
MARK: constant(uint256) = (2**20 - 1) << 12


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


struct BallotKey:
    head: uint256
    index: uint256
    since: uint256
    x: uint256
    y: uint256
    kind: uint256
    relying_party: uint256


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


interface Resolutions:
    def resolution(number: uint256) -> Resolution: view
    def terms() -> (uint256, uint256, uint256): view
    def roll() -> address: view


interface Roll:
    def ballot_key(key_id: bytes32) -> BallotKey: view
    def relying_party(number: uint256) -> RelyingParty: view


interface Crews:
    def crew_key(key_id: bytes32) -> CrewKey: view


RESOLUTIONS: immutable(Resolutions)
ROLL: immutable(Roll)
CREWS: immutable(Crews)
PROXIES_MAX: immutable(uint256)
WINDOW: immutable(uint256)


struct Group:
    count: uint256  # so many of the ballots, in turn
    authenticator_data: Bytes[256]  # empty for software keys
    tail: Bytes[256]  # client data after the origin and its closing quote; empty for software keys


struct Ballot:
    key_id: bytes32
    r: uint256
    s: uint256
    say: uint256  # what is said (choice, or holder + 1 of a proxy) << 8 | sequence number, 1 to 255


struct Opening:
    key_id: bytes32
    choice: uint256
    salt: bytes32


struct PaperBallot:
    head: uint256
    choice: uint256
    scan: bytes32  # SHA-256 of the scanned sheet


ballots: HashMap[uint256, HashMap[uint256, uint256]]  # eight heads a word
several: HashMap[uint256, HashMap[uint256, uint256]]  # head -> ballots of up to eight keys
sealed: HashMap[uint256, HashMap[bytes32, uint256]]  # key -> commitment (192) | head (32) | software (8) | sequence (8)
proxies: HashMap[uint256, HashMap[uint256, uint256]]  # eight heads a word: sequence (8) | holder + 1 (24)
held: public(HashMap[uint256, HashMap[uint256, uint256]])  # proxies that a head holds
papers: HashMap[uint256, HashMap[uint256, uint256]]  # 128 heads a word: choice (2)


event Cast:
    number: indexed(uint256)
    # head << 32 | the ballot as it stands in its word; those that changed nothing are left out
    ballots: DynArray[uint256, BATCH]


event Sealed:
    number: indexed(uint256)
    key_ids: DynArray[bytes32, BATCH]
    commitments: DynArray[uint256, BATCH]


event ProxySet:
    number: indexed(uint256)
    head: indexed(uint256)
    holder: uint256  # + 1; 0: none
    sequence: uint256


event PapersRecorded:
    number: indexed(uint256)
    first_officer: bytes32
    second_officer: bytes32
    papers: DynArray[PaperBallot, PAPERS]


@deploy
def __init__(resolutions: address, crews: address, proxies_max: uint256, verifier: address):
    """
    @param resolutions What is put to the vote.
    @param crews Whose returning officers record paper ballots.
    @param proxies_max Proxies that one head may hold in one vote.
    @param verifier Where P-256 signatures are verified; see p256.vy.
    """
    p256.__init__(verifier)
    RESOLUTIONS = Resolutions(resolutions)
    ROLL = Roll(staticcall Resolutions(resolutions).roll())
    CREWS = Crews(crews)
    PROXIES_MAX = proxies_max
    notice: uint256 = 0
    voting: uint256 = 0
    window: uint256 = 0
    notice, voting, window = staticcall Resolutions(resolutions).terms()
    WINDOW = window


# --- Ballots ---


@external
def cast(number: uint256, groups: DynArray[Group, GROUPS], ballots: DynArray[Ballot, BATCH]):
    """
    @notice Cast ballots that owners signed. Anyone may relay them. One that is not newer than the key's last is left out.
    @param groups How many of the ballots have equal authenticator data and client data but for the challenge.
    """
    resolution: Resolution = staticcall RESOLUTIONS.resolution(number)
    self._check_open(resolution, resolution.opens_at)
    assert not resolution.sealed, "ballots: ballots are sealed until close"
    bodies: DynArray[bytes32, BATCH] = []
    of_choice: bytes32[4] = [
        empty(bytes32),
        sha256(abi_encode(resolution.digest, IN_FAVOUR)),
        sha256(abi_encode(resolution.digest, AGAINST)),
        sha256(abi_encode(resolution.digest, ABSTAIN)),
    ]
    for ballot: Ballot in ballots:
        choice: uint256 = ballot.say >> 8
        assert choice >= IN_FAVOUR and choice <= ABSTAIN, "ballots: no such choice"
        bodies.append(of_choice[choice])
    signers: DynArray[uint256, BATCH] = self._verified(resolution, PURPOSE_CAST, groups, ballots, bodies)
    entries: DynArray[uint256, BATCH] = []
    place: uint256 = 0
    for signer: uint256 in signers:
        entries.append(signer | ballots[place].say >> 8 | (ballots[place].say & 255) << 4)
        place = unsafe_add(place, 1)
    self._enter(number, entries)


@external
def seal(
    number: uint256,
    groups: DynArray[Group, GROUPS],
    ballots: DynArray[Ballot, BATCH],
    commitments: DynArray[bytes32, BATCH],
):
    """
    @notice Cast sealed ballots: owners signed commitments, SHA-256 of (resolution's digest, key id, choice, salt). Anyone may
        relay them.
    """
    resolution: Resolution = staticcall RESOLUTIONS.resolution(number)
    self._check_open(resolution, resolution.opens_at)
    assert resolution.sealed, "ballots: ballots are not sealed"
    assert len(commitments) == len(ballots), "ballots: one commitment a ballot"
    bodies: DynArray[bytes32, BATCH] = []
    for commitment: bytes32 in commitments:
        bodies.append(sha256(abi_encode(resolution.digest, commitment)))
    signers: DynArray[uint256, BATCH] = self._verified(resolution, PURPOSE_SEAL, groups, ballots, bodies)
    key_ids: DynArray[bytes32, BATCH] = []
    stored: DynArray[uint256, BATCH] = []
    place: uint256 = 0
    for signer: uint256 in signers:
        ballot: Ballot = ballots[place]
        sequence: uint256 = ballot.say & 255
        if sequence > self.sealed[number][ballot.key_id] & 255:
            word: uint256 = convert(commitments[place], uint256) >> 64 << 64
            word |= signer >> 32 << 16 | (signer & SOFTWARE_BIT) << 6 | sequence
            self.sealed[number][ballot.key_id] = word
            key_ids.append(ballot.key_id)
            stored.append(word)
        place = unsafe_add(place, 1)
    log Sealed(number=number, key_ids=key_ids, commitments=stored)


@external
def reveal(number: uint256, openings: DynArray[Opening, BATCH]):
    """
    @notice Open sealed ballots in the window after the close. Anyone who knows the salts may.
    """
    resolution: Resolution = staticcall RESOLUTIONS.resolution(number)
    self._check_valid(resolution)
    assert resolution.sealed, "ballots: ballots are not sealed"
    assert block.timestamp > resolution.closes_at and block.timestamp <= resolution.ends_at, "ballots: not the time to reveal"
    entries: DynArray[uint256, BATCH] = []
    for opening: Opening in openings:
        word: uint256 = self.sealed[number][opening.key_id]
        assert opening.choice >= IN_FAVOUR and opening.choice <= ABSTAIN, "ballots: no such choice"
        commitment: bytes32 = sha256(abi_encode(resolution.digest, opening.key_id, opening.choice, opening.salt))
        assert word != 0 and convert(commitment, uint256) >> 64 == word >> 64, "ballots: opening does not match the sealed ballot"
        entry: uint256 = (word >> 16 & BALLOT) << 32 | self._mark(resolution.digest, opening.key_id)
        entry |= (word & 255) << 4 | word >> 6 & SOFTWARE_BIT | opening.choice
        entries.append(entry)
    self._enter(number, entries)


# --- Proxies and paper ---


@external
def set_proxies(number: uint256, groups: DynArray[Group, GROUPS], ballots: DynArray[Ballot, BATCH]):
    """
    @notice Owners let another head's own ballot speak for them, or end that. Anyone may relay it, until close.
    @param ballots Each says holder + 1, or 0 to revoke; one that is not newer than the head's last is left out.
    """
    resolution: Resolution = staticcall RESOLUTIONS.resolution(number)
    self._check_open(resolution, 0)
    bodies: DynArray[bytes32, BATCH] = []
    for ballot: Ballot in ballots:
        bodies.append(sha256(abi_encode(resolution.digest, ballot.say >> 8)))
    signers: DynArray[uint256, BATCH] = self._verified(resolution, PURPOSE_PROXY, groups, ballots, bodies)
    place: uint256 = 0
    for signer: uint256 in signers:
        self._set_proxy(number, resolution.head_count, signer >> 32, ballots[place].say >> 8, ballots[place].say & 255)
        place = unsafe_add(place, 1)


@external
def record_papers(
    number: uint256,
    papers: DynArray[PaperBallot, PAPERS],
    first: person.PersonSignature,
    second: person.PersonSignature,
):
    """
    @notice Two returning officers record paper ballots, each with the digest of its scan. Anyone may relay it, until a window
        before close; after that owners can still object by their own ballot.
    """
    resolution: Resolution = staticcall RESOLUTIONS.resolution(number)
    self._check_open(resolution, resolution.opens_at)
    assert not resolution.sealed, "ballots: sealed votes take no paper ballots"
    assert block.timestamp <= resolution.closes_at - WINDOW, "ballots: too late for paper ballots"
    chained: bytes32 = resolution.digest
    for paper: PaperBallot in papers:
        assert paper.choice >= IN_FAVOUR and paper.choice <= ABSTAIN, "ballots: no such choice"
        assert paper.head < resolution.head_count, "ballots: no such head"
        word: uint256 = self.papers[number][paper.head // 128]
        place: uint256 = paper.head % 128 * 2
        assert word >> place & 3 == 0, "ballots: paper ballot of this head is recorded"
        self.papers[number][paper.head // 128] = word | paper.choice << place
        chained = sha256(abi_encode(chained, paper))
    body: bytes32 = sha256(abi_encode(chained))
    first_officer: bytes32 = self._officer(resolution, body, first)
    second_officer: bytes32 = self._officer(resolution, body, second)
    assert first_officer != second_officer, "ballots: a second officer must sign"
    log PapersRecorded(number=number, first_officer=first_officer, second_officer=second_officer, papers=papers)


# --- Views ---


@external
@view
def ballot(number: uint256, head: uint256) -> (uint256, uint256):
    """
    @notice What speaks for a head now: choice (0 none, 1 for, 2 against, 3 abstain) and by what (0 passkey, 1 software key,
        2 proxy, 3 paper).
    """
    return self._spoken(number, head)


@external
@view
def spoken(number: uint256, first_head: uint256) -> uint256:
    """
    @notice The same of 64 heads at once, four bits each from the right: choice | by what << 2.
    """
    said: uint256 = 0
    for i: uint256 in range(64):
        choice: uint256 = 0
        means: uint256 = 0
        choice, means = self._spoken(number, unsafe_add(first_head, i))
        said |= (choice | means << 2) << (4 * i)
    return said


@external
@view
def proxy(number: uint256, head: uint256) -> (uint256, uint256):
    """
    @notice Holder + 1 of a head's proxy (0: none) and the sequence number that set it.
    """
    lane: uint256 = self.proxies[number][head // 8] >> (head % 8 * 32) & BALLOT
    return lane & (2**24 - 1), lane >> 24


@external
@view
def resolutions() -> address:
    """
    @notice Where votes are convened.
    """
    return RESOLUTIONS.address


@external
@view
def proxies_max() -> uint256:
    """
    @notice Proxies that one head may hold in one vote.
    """
    return PROXIES_MAX


# --- Internal ---


@internal
@pure
def _check_valid(resolution: Resolution):
    assert resolution.digest != empty(bytes32), "ballots: no such resolution"
    assert not resolution.void, "ballots: the roll was refuted or not shown"


@internal
@view
def _check_open(resolution: Resolution, opens_at: uint256):
    self._check_valid(resolution)
    assert block.timestamp >= opens_at, "ballots: voting is not open yet"
    assert block.timestamp <= resolution.closes_at, "ballots: voting is closed"


@internal
@view
def _verified(
    resolution: Resolution,
    purpose: bytes32,
    groups: DynArray[Group, GROUPS],
    ballots: DynArray[Ballot, BATCH],
    bodies: DynArray[bytes32, BATCH],
) -> DynArray[uint256, BATCH]:
    """
    @notice Check every signature. A ballot's nonce is its sequence number and its deadline the close.
    @return For each ballot: head << 32 | mark of the key << 12 | software << 2.
    """
    signers: DynArray[uint256, BATCH] = []
    place: uint256 = 0
    for group: Group in groups:
        is_software: bool = len(group.authenticator_data) == 0
        kind: uint256 = person.WEBAUTHN
        if is_software:
            kind = person.SOFTWARE
        relying_party: uint256 = max_value(uint256)
        end: Bytes[397] = b""
        for i: uint256 in range(group.count, bound=BATCH):
            ballot: Ballot = ballots[place]
            key: BallotKey = staticcall ROLL.ballot_key(ballot.key_id)
            assert key.kind == kind, "ballots: key is not in force, or of the other kind"
            assert key.since < resolution.convened_at, "ballots: key is younger than the roll"
            sequence: uint256 = ballot.say & 255
            assert sequence != 0, "ballots: sequence begins at one"
            hash: bytes32 = sha256(
                abi_encode(
                    person.TAG,
                    chain.id,
                    self,
                    purpose,
                    ballot.key_id,
                    sequence,
                    resolution.closes_at,
                    bodies[place],
                )
            )
            if is_software:
                hash = sha256(hash)
            else:
                if key.relying_party != relying_party:
                    relying_party = key.relying_party
                    party: RelyingParty = staticcall ROLL.relying_party(relying_party)
                    end = person._client_data_end(party.origin, group.tail)
                    assert len(end) != 0 and person._is_authenticator_data(party.rp_id_hash, group.authenticator_data), "ballots: authenticator data is not as it must be"
                hash = person._passkey_hash(hash, group.authenticator_data, end)
            assert p256._is_signed(hash, ballot.r, ballot.s, key.x, key.y), "ballots: signature does not match the ballot"
            signer: uint256 = key.head << 32 | self._mark(resolution.digest, ballot.key_id)
            if is_software:
                signer |= SOFTWARE_BIT
            signers.append(signer)
            place = unsafe_add(place, 1)
    assert place == len(ballots), "ballots: groups do not cover the ballots"
    return signers


@internal
@pure
def _mark(digest: bytes32, key_id: bytes32) -> uint256:
    """
    @notice Twenty bits that tell the keys of one head apart.
    """
    return convert(keccak256(abi_encode(digest, key_id)), uint256) & MARK


@internal
def _enter(number: uint256, entries: DynArray[uint256, BATCH]):
    """
    @notice Put ballots into their words, eight heads a word; neighbours in the batch share the writing.
    @param entries head << 32 | ballot.
    """
    changed: DynArray[uint256, BATCH] = []
    place: uint256 = max_value(uint256)
    word: uint256 = 0
    for entry: uint256 in entries:
        head: uint256 = entry >> 32
        if head >> 3 != place:
            if place != max_value(uint256):
                self.ballots[number][place] = word
            place = head >> 3
            word = self.ballots[number][place]
        lane: uint256 = (head & 7) << 5
        held: uint256 = word >> lane & BALLOT
        new: uint256 = entry & BALLOT
        if held != 0:
            new = self._joined(number, head, held, new)
        if new != held:
            word = word & ~(BALLOT << lane) | new << lane
            changed.append(head << 32 | new)
    if place != max_value(uint256):
        self.ballots[number][place] = word
    log Cast(number=number, ballots=changed)


@internal
def _joined(number: uint256, head: uint256, held: uint256, new: uint256) -> uint256:
    """
    @notice A head's ballot after one of its keys said something new.
    """
    if held & SEVERAL_BIT == 0:
        if (held ^ new) & MARK == 0:
            if new >> 4 & 255 > held >> 4 & 255:
                return new
            return held
        self.several[number][head] = new << 32 | held
        return self._common(new << 32 | held)
    word: uint256 = self.several[number][head]
    for i: uint256 in range(8):
        entry: uint256 = word >> (32 * i) & BALLOT
        if entry == 0 or (entry ^ new) & MARK == 0:
            if new >> 4 & 255 > entry >> 4 & 255:
                word = word & ~(BALLOT << (32 * i)) | new << (32 * i)
                self.several[number][head] = word
            return self._common(word)
    assert False, "ballots: more than eight keys of one head vote"
    return 0


@internal
@pure
def _common(word: uint256) -> uint256:
    """
    @notice What several keys of one head say together: their common choice, or abstention where they disagree. It counts as
        software only if all are.
    """
    common: uint256 = word & 3
    software: uint256 = SOFTWARE_BIT
    for i: uint256 in range(8):
        entry: uint256 = word >> (32 * i) & BALLOT
        if entry == 0:
            break
        if entry & 3 != common:
            common = ABSTAIN
        software &= entry
    return common | software | SEVERAL_BIT


@internal
def _set_proxy(number: uint256, head_count: uint256, head: uint256, holder: uint256, sequence: uint256):
    lane: uint256 = head % 8 * 32
    word: uint256 = self.proxies[number][head // 8]
    old: uint256 = word >> lane & BALLOT
    if sequence <= old >> 24:
        return
    assert holder <= head_count and holder < 2**24 and holder != head + 1, "ballots: no such holder"
    if old & (2**24 - 1) != 0:
        self.held[number][(old & (2**24 - 1)) - 1] -= 1
    if holder != 0:
        count: uint256 = self.held[number][holder - 1] + 1
        assert count <= PROXIES_MAX, "ballots: holder has too many proxies"
        self.held[number][holder - 1] = count
    self.proxies[number][head // 8] = word & ~(BALLOT << lane) | (sequence << 24 | holder) << lane
    log ProxySet(number=number, head=head, holder=holder, sequence=sequence)


@internal
@view
def _officer(resolution: Resolution, body: bytes32, signature: person.PersonSignature) -> bytes32:
    """
    @notice The returning officer who signed.
    """
    crew: CrewKey = staticcall CREWS.crew_key(signature.key_id)
    assert crew.alias != empty(bytes32) and crew.duties & RETURNING_OFFICER != 0, "ballots: no returning officer's key"
    assert crew.since < resolution.convened_at, "ballots: officer's key is younger than the roll"
    assert block.timestamp <= signature.deadline, "ballots: officer's signature has expired"
    key: person.PersonKey = person.PersonKey(
        unit=crew.alias,
        index=0,
        x=crew.x,
        y=crew.y,
        kind=crew.kind,
        rp_id_hash=crew.rp_id_hash,
        origin=crew.origin,
    )
    assert person._is_signed_by(key, person._digest(PURPOSE_PAPER, body, signature), signature), "ballots: officer's signature does not match the ballots"
    return crew.alias


@internal
@view
def _spoken(number: uint256, head: uint256) -> (uint256, uint256):
    """
    @notice What speaks for a head: its own ballot, else its paper ballot, else the own ballot of its proxy's holder.
    """
    own: uint256 = self._own(number, head)
    if own != 0:
        return own & 3, own >> 2 & 1
    paper: uint256 = self.papers[number][head // 128] >> (head % 128 * 2) & 3
    if paper != 0:
        return paper, PAPER
    holder: uint256 = self.proxies[number][head // 8] >> (head % 8 * 32) & (2**24 - 1)
    if holder == 0:
        return 0, 0
    return self._own(number, holder - 1) & 3, PROXY


@internal
@view
def _own(number: uint256, head: uint256) -> uint256:
    return self.ballots[number][head >> 3] >> ((head & 7) << 5) & BALLOT


