# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title Ballots
@license Apache-2.0
@notice What one site's owners say to the resolutions that Resolutions puts to them: ballots, proxies, paper ballots.
        Assembly counts them.

        How it moves. Owners sign ballots with a passkey or a software key; anyone relays them in batches, grouped by equal
        authenticator data. Choices of sixteen heads share a word; keys are read from the Roll when they vote, areas only
        when Assembly counts.

        Invariants
        - One head, one ballot: the one with the highest sequence number that its key signed. Keys of one head that disagree
          make it abstain. An own ballot overrides paper, paper a proxy.
        - Only keys that were in force before the roll was frozen vote, and only while they still are.
        - A relayer can order, delay and leave out, and make nothing: each ballot names the resolution's digest, and a
          ballot that one relayer refuses counts through another.
        - A proxy is the owner's signature for one resolution, revocable until close; it follows the holder's own ballot and
          goes no further; a holder has no more than the site's limit. The highest number holds; one number for two holders
          is a proxy for nobody.
        - A paper ballot needs two returning officers, once per head, a window before close, so that its owner can object.
        - Nothing that is said changes after the close but by opening what was sealed before it.
        - The events alone rebuild the state.

        Limits. Sealed until close is not secret for ever, and nothing here is free of receipts. Sealed votes take no paper
        ballots. Of one head only the first 256 keys in its life can vote. Who holds an owner's key and signs the highest number
        speaks last; a key that is ended in time says nothing more.
"""

import p256
import person

initializes: p256
initializes: person[p256 := p256]

BATCH: constant(uint256) = 100
GROUPS: constant(uint256) = 16
PAPERS: constant(uint256) = 64

PURPOSE_CAST: constant(bytes32) = 0x766f74652e636173740000000000000000000000000000000000000000000000
PURPOSE_SEAL: constant(bytes32) = 0x766f74652e7365616c0000000000000000000000000000000000000000000000
PURPOSE_PROXY: constant(bytes32) = 0x766f74652e70726f787900000000000000000000000000000000000000000000
PURPOSE_PAPER: constant(bytes32) = 0x766f74652e706170657200000000000000000000000000000000000000000000
NAME_RESOLUTIONS: constant(bytes32) = 0x7265736f6c7574696f6e73000000000000000000000000000000000000000000
NAME_ROLL: constant(bytes32) = 0x726f6c6c00000000000000000000000000000000000000000000000000000000
NAME_CREWS: constant(bytes32) = 0x6372657773000000000000000000000000000000000000000000000000000000
RETURNING_OFFICER: constant(uint256) = 8

IN_FAVOUR: constant(uint256) = 1
AGAINST: constant(uint256) = 2
ABSTAIN: constant(uint256) = 3

PROXY: constant(uint256) = 2
PAPER: constant(uint256) = 3

# A head's ballot in 16 bits, from the right: choice (2), software, several keys, sequence (4), number of the key within its
# head (8). Sixteen share a word, for a new slot is what costs.
HEADS: constant(uint256) = 16
BITS: constant(uint256) = 16
BALLOT: constant(uint256) = 2**BITS - 1
SEQUENCE_MAX: constant(uint256) = 15
LANE: constant(uint256) = 2**32 - 1
SINCE: constant(uint256) = 2**40 - 1
SOFTWARE_BIT: constant(uint256) = 4
SEVERAL_BIT: constant(uint256) = 8
KEY: constant(uint256) = 255 << 8


struct Voting:
    digest: bytes32  # what ballots name; zero if there is no such resolution
    convened_at: uint256
    opens_at: uint256
    closes_at: uint256
    ends_at: uint256
    head_count: uint256
    sealed: bool
    void: bool


struct BallotKey:
    x: uint256
    y: uint256
    # kind (8 bits), relying party (8), since (40), number within its head (16), head (32); zero when not in force
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


interface Resolutions:
    def voting(number: uint256) -> Voting: view
    def terms() -> (uint256, uint256, uint256): view


interface Registry:
    def contract_named(name: bytes32) -> address: view


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
    says: uint256  # choice, or the holder + 1 of a proxy (0 revokes it)
    sequence: uint256  # 1 to 15
    authenticator_data: Bytes[256]  # empty for software keys
    tail: Bytes[256]  # client data after the origin and its closing quote; empty for software keys


struct Ballot:
    key_id: bytes32
    r: uint256
    s: uint256


struct Opening:
    key_id: bytes32
    choice: uint256
    salt: bytes32


struct Word:
    place: uint256  # first of its sixteen heads // 16
    ballots: uint256


struct PaperBallot:
    head: uint256
    choice: uint256
    scan: bytes32  # SHA-256 of the scanned sheet


ballots: HashMap[uint256, HashMap[uint256, uint256]]  # sixteen heads a word
several: HashMap[uint256, HashMap[uint256, uint256]]  # head -> ballots of up to sixteen keys
sealed: HashMap[uint256, HashMap[bytes32, uint256]]  # key -> commitment (192) | head (32) | ballot without choice (32)
proxies: HashMap[uint256, HashMap[uint256, uint256]]  # eight heads a word: sequence (8) | holder + 1 (24)
held: public(HashMap[uint256, HashMap[uint256, uint256]])  # proxies that a head holds
papers: HashMap[uint256, HashMap[uint256, uint256]]  # 128 heads a word: choice (2)


event Cast:
    number: indexed(uint256)
    words: DynArray[Word, BATCH]  # the changed words as they stand now


event Differed:
    number: indexed(uint256)
    head: indexed(uint256)
    ballots: uint256  # of up to sixteen keys of the head, 16 bits each


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
def __init__(registry: address, proxies_max: uint256, verifier: address):
    """
    @notice One for one site, beside the Roll, Crews and Resolutions that the Registry names; the last one must be there.
    @param proxies_max Proxies that one head may hold in one vote.
    @param verifier Where P-256 signatures are verified; see p256.vy.
    """
    p256.__init__(verifier)
    resolutions: address = staticcall Registry(registry).contract_named(NAME_RESOLUTIONS)
    RESOLUTIONS = Resolutions(resolutions)
    ROLL = Roll(staticcall Registry(registry).contract_named(NAME_ROLL))
    CREWS = Crews(staticcall Registry(registry).contract_named(NAME_CREWS))
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
    @param groups Which of the ballots say the same with equal authenticator data and client data but for the challenge.
    """
    voting: Voting = staticcall RESOLUTIONS.voting(number)
    self._check_open(voting, voting.opens_at)
    assert not voting.sealed, "ballots: votes are sealed until close"
    for group: Group in groups:
        assert group.says >= IN_FAVOUR and group.says <= ABSTAIN, "ballots: no such choice"
    self._enter(number, self._verified(voting, PURPOSE_CAST, groups, ballots, []))


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
    @param groups What they say is left out of account.
    """
    voting: Voting = staticcall RESOLUTIONS.voting(number)
    self._check_open(voting, voting.opens_at)
    assert voting.sealed, "ballots: votes are not sealed"
    assert len(commitments) == len(ballots) and len(ballots) != 0, "ballots: one commitment a ballot"
    key_ids: DynArray[bytes32, BATCH] = []
    words: DynArray[uint256, BATCH] = []
    place: uint256 = 0
    entries: DynArray[uint256, BATCH] = self._verified(voting, PURPOSE_SEAL, groups, ballots, commitments)
    for entry: uint256 in entries:
        key_id: bytes32 = ballots[place].key_id
        sequence: uint256 = entry >> 4 & SEQUENCE_MAX
        if sequence > self.sealed[number][key_id] >> 4 & SEQUENCE_MAX:
            word: uint256 = convert(commitments[place], uint256) >> 64 << 64 | entry
            self.sealed[number][key_id] = word
            key_ids.append(key_id)
            words.append(word)
        place = unsafe_add(place, 1)
    log Sealed(number=number, key_ids=key_ids, commitments=words)


@external
def reveal(number: uint256, openings: DynArray[Opening, BATCH]):
    """
    @notice Open sealed ballots in the window after the close. Anyone who knows the salts may.
    """
    voting: Voting = staticcall RESOLUTIONS.voting(number)
    self._check_valid(voting)
    assert voting.sealed, "ballots: votes are not sealed"
    assert block.timestamp > voting.closes_at and block.timestamp <= voting.ends_at, "ballots: not the time to reveal"
    entries: DynArray[uint256, BATCH] = []
    for opening: Opening in openings:
        word: uint256 = self.sealed[number][opening.key_id]
        assert opening.choice >= IN_FAVOUR and opening.choice <= ABSTAIN, "ballots: no such choice"
        commitment: bytes32 = sha256(abi_encode(voting.digest, opening.key_id, opening.choice, opening.salt))
        assert word != 0 and convert(commitment, uint256) >> 64 == word >> 64, "ballots: opening does not match the sealed ballot"
        entries.append(word & (2**64 - 1) | opening.choice)
    self._enter(number, entries)


# --- Proxies and paper ---


@external
def set_proxies(number: uint256, groups: DynArray[Group, GROUPS], ballots: DynArray[Ballot, BATCH]):
    """
    @notice Owners let another head's own ballot speak for them, or end that. Anyone may relay it, until close. One that is not
        newer than the head's last is left out.
    """
    voting: Voting = staticcall RESOLUTIONS.voting(number)
    self._check_open(voting, 0)
    entries: DynArray[uint256, BATCH] = self._verified(voting, PURPOSE_PROXY, groups, ballots, [])
    place: uint256 = 0
    for group: Group in groups:
        for i: uint256 in range(group.count, bound=BATCH):
            self._set_proxy(number, voting.head_count, entries[place] >> 32, group.says, group.sequence)
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
    voting: Voting = staticcall RESOLUTIONS.voting(number)
    self._check_open(voting, voting.opens_at)
    assert not voting.sealed, "ballots: sealed votes take no paper ballots"
    assert block.timestamp <= voting.closes_at - WINDOW, "ballots: too late for paper ballots"
    chained: bytes32 = voting.digest
    for paper: PaperBallot in papers:
        assert paper.choice >= IN_FAVOUR and paper.choice <= ABSTAIN, "ballots: no such choice"
        assert paper.head < voting.head_count, "ballots: no such head"
        word: uint256 = self.papers[number][paper.head // 128]
        place: uint256 = paper.head % 128 * 2
        assert word >> place & 3 == 0, "ballots: paper ballot of this head is recorded"
        self.papers[number][paper.head // 128] = word | paper.choice << place
        chained = sha256(abi_encode(chained, paper))
    body: bytes32 = sha256(abi_encode(chained))
    first_officer: bytes32 = self._officer(voting, body, first)
    second_officer: bytes32 = self._officer(voting, body, second)
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
    lane: uint256 = self.proxies[number][head // 8] >> (head % 8 * 32) & LANE
    return lane & (2**24 - 1), lane >> 24


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
def _check_valid(voting: Voting):
    assert voting.digest != empty(bytes32), "ballots: no such resolution"
    assert not voting.void, "ballots: the roll was refuted or not shown"


@internal
@view
def _check_open(voting: Voting, opens_at: uint256):
    self._check_valid(voting)
    assert block.timestamp >= opens_at, "ballots: voting is not open yet"
    assert block.timestamp <= voting.closes_at, "ballots: voting is closed"


@internal
@view
def _verified(
    voting: Voting,
    purpose: bytes32,
    groups: DynArray[Group, GROUPS],
    ballots: DynArray[Ballot, BATCH],
    commitments: DynArray[bytes32, BATCH],
) -> DynArray[uint256, BATCH]:
    """
    @notice Check every signature. A ballot's nonce is its sequence number and its deadline the close; its body is the
        resolution's digest and what it says, or its commitment.
    @return For each ballot: head << 32 | the ballot as it stands in its word.
    """
    entries: DynArray[uint256, BATCH] = []
    # The words of a person digest (see person.vy); key, nonce and body change.
    words: bytes32[8] = [
        person.TAG,
        convert(chain.id, bytes32),
        convert(self, bytes32),
        purpose,
        empty(bytes32),
        empty(bytes32),
        convert(voting.closes_at, bytes32),
        empty(bytes32),
    ]
    place: uint256 = 0
    for group: Group in groups:
        assert group.sequence != 0 and group.sequence <= SEQUENCE_MAX, "ballots: sequence is 1 to 15"
        said: uint256 = group.sequence << 4
        if purpose == PURPOSE_CAST:
            said |= group.says
        kind: uint256 = person.WEBAUTHN
        if len(group.authenticator_data) == 0:
            kind = person.SOFTWARE
            said |= SOFTWARE_BIT
        words[5] = convert(group.sequence, bytes32)
        words[7] = sha256(abi_encode(voting.digest, group.says))
        relying_party: uint256 = max_value(uint256)
        end: Bytes[397] = b""
        for i: uint256 in range(group.count, bound=BATCH):
            ballot: Ballot = ballots[place]
            key: BallotKey = staticcall ROLL.ballot_key(ballot.key_id)
            assert key.facts & 255 == kind, "ballots: key is not in force, or of the other kind"
            assert key.facts >> 16 & SINCE < voting.convened_at, "ballots: key is younger than the roll"
            words[4] = ballot.key_id
            if purpose == PURPOSE_SEAL:
                words[7] = sha256(abi_encode(voting.digest, commitments[place]))
            hash: bytes32 = sha256(abi_encode(words))
            if kind == person.SOFTWARE:
                hash = sha256(hash)
            else:
                if key.facts >> 8 & 255 != relying_party:
                    relying_party = key.facts >> 8 & 255
                    party: RelyingParty = staticcall ROLL.relying_party(relying_party)
                    end = person._client_data_end(party.origin, group.tail)
                    assert len(end) != 0 and person._is_authenticator_data(party.rp_id_hash, group.authenticator_data), "ballots: authenticator or client data is not as it must be"
                hash = person._passkey_hash(hash, group.authenticator_data, end)
            assert p256._is_signed(hash, ballot.r, ballot.s, key.x, key.y), "ballots: signature does not match the ballot"
            assert key.facts >> 64 & 255 == 0, "ballots: head had too many keys before this one"
            entries.append(key.facts >> 72 << 32 | (key.facts >> 56 & 255) << 8 | said)
            place = unsafe_add(place, 1)
    assert place == len(ballots), "ballots: groups do not cover the ballots"
    return entries


@internal
def _enter(number: uint256, entries: DynArray[uint256, BATCH]):
    """
    @notice Put ballots into their words, sixteen heads a word; neighbours in the batch share the writing.
    @param entries head << 32 | ballot.
    """
    words: DynArray[Word, BATCH] = []
    place: uint256 = max_value(uint256)
    before: uint256 = 0
    word: uint256 = 0
    is_news: bool = False
    for entry: uint256 in entries:
        head: uint256 = entry >> 32
        if unsafe_div(head, HEADS) != place:
            if word != before:
                self.ballots[number][place] = word
                words.append(Word(place=place, ballots=word))
            place = unsafe_div(head, HEADS)
            before = self.ballots[number][place]
            word = before
        lane: uint256 = unsafe_mul(head % HEADS, BITS)
        new: uint256 = entry & BALLOT
        held: uint256 = word >> lane & BALLOT
        if held == 0:
            is_news = True
        else:
            changed: bool = False
            new, changed = self._joined(number, head, held, new)
            is_news = is_news or changed
        word ^= (held ^ new) << lane
    if word != before:
        self.ballots[number][place] = word
        words.append(Word(place=place, ballots=word))
    assert is_news, "ballots: nothing new"
    log Cast(number=number, words=words)


@internal
def _joined(number: uint256, head: uint256, held: uint256, new: uint256) -> (uint256, bool):
    """
    @notice A head's ballot after one of its keys said something, and whether that was new.
    """
    if held & SEVERAL_BIT == 0 and (held ^ new) & KEY == 0:
        if new >> 4 & SEQUENCE_MAX > held >> 4 & SEQUENCE_MAX:
            return new, True
        return held, False
    word: uint256 = self.several[number][head]
    if held & SEVERAL_BIT == 0:
        word = held
    for i: uint256 in range(HEADS):
        lane: uint256 = BITS * i
        entry: uint256 = word >> lane & BALLOT
        if entry == 0 or (entry ^ new) & KEY == 0:
            if new >> 4 & SEQUENCE_MAX <= entry >> 4 & SEQUENCE_MAX:
                return held, False
            word ^= (entry ^ new) << lane
            self.several[number][head] = word
            log Differed(number=number, head=head, ballots=word)
            return self._common(word), True
    assert False, "ballots: more than sixteen keys of one head vote"
    return held, False


@internal
@pure
def _common(word: uint256) -> uint256:
    """
    @notice What several keys of one head say together: their common choice, or abstention where they disagree. It counts as
        software only if all are.
    """
    common: uint256 = word & 3
    software: uint256 = SOFTWARE_BIT
    for i: uint256 in range(HEADS):
        entry: uint256 = word >> (BITS * i) & BALLOT
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
    old: uint256 = word >> lane & LANE
    old_holder: uint256 = old & (2**24 - 1)
    if sequence < old >> 24:
        return
    new_holder: uint256 = holder
    if sequence == old >> 24:
        if old_holder == holder or old_holder == 0:
            return
        # Two of the head's keys gave one number to different holders: nobody has the proxy, whichever came first.
        new_holder = 0
    assert new_holder <= head_count and new_holder < 2**24 and new_holder != head + 1, "ballots: no such holder"
    if old_holder != 0:
        self.held[number][old_holder - 1] -= 1
    if new_holder != 0:
        count: uint256 = self.held[number][new_holder - 1] + 1
        assert count <= PROXIES_MAX, "ballots: holder has too many proxies"
        self.held[number][new_holder - 1] = count
    self.proxies[number][head // 8] = word & ~(LANE << lane) | (sequence << 24 | new_holder) << lane
    log ProxySet(number=number, head=head, holder=new_holder, sequence=sequence)


@internal
@view
def _officer(voting: Voting, body: bytes32, signature: person.PersonSignature) -> bytes32:
    """
    @notice The returning officer who signed.
    """
    crew: CrewKey = staticcall CREWS.crew_key(signature.key_id)
    assert crew.alias != empty(bytes32) and crew.duties & RETURNING_OFFICER != 0, "ballots: no returning officer's key"
    assert crew.since < voting.convened_at, "ballots: officer's key is younger than the roll"
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
    return self.ballots[number][head // HEADS] >> (head % HEADS * BITS) & BALLOT


