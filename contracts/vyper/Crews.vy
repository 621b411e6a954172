# pragma version 0.4.3
# pragma nonreentrancy on
# pragma optimize codesize
"""
@title Crews
@license Apache-2.0
@notice Who serves the building: firms with their licences, and the people with a duty (mechanics, site managers,
        installers, returning officers, cashiers), each with one key. On chain a person is a random alias.

        Changes are inner calls of the Registry's public batches, so they take two parties and time; the first argument
        is the person's alias, whose present key can veto. A key replaces itself by its own signature after the delay.
        Ending a person, a firm or one's own key acts at once.

        Invariants
        - A person has at most one key in force; a key is registered once in its life and never serves two people.
        - Nobody but the key itself is replaced by another, and by one signature once.
        - A mechanic or installer belongs to a firm; no licence of theirs reaches beyond the firm's.
        - A person or firm that was ended is in force again only through a new batch.
        - Every firm, person and key that joins is counted in public.
        - The events alone rebuild the state.
"""

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
    def manager() -> address: view
    def committee() -> address: view
    def parties_enacting() -> uint256: view
    def announce_signed(data: Bytes[CALL_BYTES]) -> uint256: nonpayable


CALL_BYTES: constant(uint256) = 1028  # a selector and at most 32 words

PARTY_SIGNER: constant(uint256) = 4  # see Registry
MECHANIC: constant(uint256) = 1
SITE_MANAGER: constant(uint256) = 2
INSTALLER: constant(uint256) = 4
RETURNING_OFFICER: constant(uint256) = 8
CASHIER: constant(uint256) = 16
DUTIES_END: constant(uint256) = 32
FIRMS_END: constant(uint256) = 2**24

PURPOSE_ROTATE: constant(bytes32) = 0x6b65792e726f7461746500000000000000000000000000000000000000000000
PURPOSE_REVOKE: constant(bytes32) = 0x6b65792e7265766f6b6500000000000000000000000000000000000000000000

REGISTRY: immutable(Registry)


struct Firm:
    exists: bool
    licence_until: uint256  # Unix seconds
    name_digest: bytes32


struct Member:
    firm: uint256  # a firm's number; zero for those whom the site itself employs
    duties: uint256  # 1 mechanic, 2 site manager, 4 installer, 8 returning officer, 16 cashier
    licence_until: uint256  # Unix seconds
    since: uint256  # Unix seconds of the present key
    exists: bool
    key_id: bytes32  # zero while no key is in force


struct CrewKey:
    alias: bytes32  # zero when no such key is in force
    firm: uint256
    duties: uint256
    licence_until: uint256  # the earlier one of the person's and the firm's
    x: uint256
    y: uint256
    kind: uint256  # 1 webauthn, 2 software
    rp_id_hash: bytes32
    origin: String[128]
    since: uint256


struct Counts:
    firms: uint256
    members: uint256
    keys: uint256


# A person is a point and one word: kind (8 bits; zero without a key), relying party (8), since (40), licence until (40),
# duties (8), firm (24), exists (1).
struct StoredMember:
    x: uint256
    y: uint256
    word: uint256


struct StoredFirm:
    name_digest: bytes32
    licence_until: uint256


firms: HashMap[uint256, StoredFirm]
members: HashMap[bytes32, StoredMember]
alias_of_key: HashMap[bytes32, bytes32]
commitments: HashMap[bytes32, bytes32]  # by alias; see `crew_commitment`
added: Counts


event FirmSet:
    firm: indexed(uint256)
    name_digest: bytes32
    licence_until: uint256


event MemberSet:
    alias: indexed(bytes32)
    firm: indexed(uint256)
    duties: uint256
    licence_until: uint256


event CrewKeySet:
    alias: indexed(bytes32)
    key_id: indexed(bytes32)
    x: uint256
    y: uint256
    kind: uint256
    relying_party: uint256


event CrewKeyEnded:
    alias: indexed(bytes32)
    key_id: indexed(bytes32)


event CrewCounted:
    firms: uint256
    members: uint256
    keys: uint256


@deploy
def __init__(registry: address, verifier: address):
    """
    @notice The crews of the Registry's site.
    @param verifier Where P-256 signatures are verified; see p256.vy.
    """
    p256.__init__(verifier)
    REGISTRY = Registry(registry)


# --- At once ---


@external
def rotate_crew_key(
    x: uint256, y: uint256, kind: uint256, relying_party: uint256, signature: person.PersonSignature
) -> uint256:
    """
    @notice A person replaces the key, signed by the key replaced. Anyone may relay it; it takes effect after the delay.
    @return The number of the Registry's batch.
    """
    alias: bytes32 = self._signer(PURPOSE_ROTATE, sha256(abi_encode(x, y, kind, relying_party)), signature)
    return extcall REGISTRY.announce_signed(
        abi_encode(
            alias,
            signature.key_id,
            x,
            y,
            kind,
            relying_party,
            method_id=method_id("replace_crew_key(bytes32,bytes32,uint256,uint256,uint256,uint256)"),
        )
    )


@external
def revoke_crew_key(signature: person.PersonSignature):
    """
    @notice A person's key ends itself, for a lost telephone. Anyone may relay it.
    """
    alias: bytes32 = self._signer(PURPOSE_REVOKE, sha256(abi_encode(signature.key_id)), signature)
    self._end_key(alias)


@external
def end_member(alias: bytes32):
    """
    @notice Manager or committee ends a person's duties and key at once.
    """
    self._only_party()
    word: uint256 = self._existing(alias)
    if word & 255 != 0:
        self._end_key(alias)
    firm: uint256 = lanes._field(word, 104, 24)
    # Duties go to none and the licence to now; the alias stays taken.
    self.members[alias].word = (block.timestamp << 56) | (firm << 104) | (1 << 128)
    log MemberSet(alias=alias, firm=firm, duties=0, licence_until=block.timestamp)


@external
def end_firm(firm: uint256):
    """
    @notice Manager or committee ends a firm's licence at once; with it those of its people.
    """
    self._only_party()
    stored: StoredFirm = self.firms[firm]
    assert stored.licence_until > block.timestamp, "crews: firm has no licence in force"
    self._set_firm(firm, stored.name_digest, block.timestamp)


# --- Inner functions: reached only through the Registry's `enact` ---


@external
def set_firm(firm: uint256, name_digest: bytes32, licence_until: uint256):
    """
    @notice Inner. A firm that serves the site, or its renewed licence.
    @param firm Its number on this site, from 1.
    @param name_digest SHA-256 of its registered name and credit code.
    @param licence_until Unix seconds.
    """
    self._only_enacted()
    assert firm != 0 and firm < FIRMS_END and name_digest != empty(bytes32), "crews: firm's number or name is wrong"
    old: bytes32 = self.firms[firm].name_digest
    assert old == empty(bytes32) or old == name_digest, "crews: number belongs to another firm"
    assert licence_until > block.timestamp and licence_until < 2**40, "crews: licence has ended or has no end"
    self._set_firm(firm, name_digest, licence_until)
    if old == empty(bytes32):
        self._count(1, 0, 0)


@external
def set_member(alias: bytes32, firm: uint256, duties: uint256, licence_until: uint256):
    """
    @notice Inner. A person with duties, or their renewed licence; the key is added beside it.
    """
    self._only_enacted()
    assert alias != empty(bytes32) and duties != 0 and duties < DUTIES_END, "crews: alias or duties are missing"
    assert licence_until > block.timestamp and licence_until < 2**40, "crews: licence has ended or has no end"
    is_firm: bool = firm < FIRMS_END and self.firms[firm].name_digest != empty(bytes32)
    needs_firm: bool = firm != 0 or duties & (MECHANIC | INSTALLER) != 0
    assert is_firm or not needs_firm, "crews: mechanics and installers belong to a known firm"
    word: uint256 = self.members[alias].word
    self.members[alias].word = (word & (2**56 - 1)) | (licence_until << 56) | (duties << 96) | (firm << 104) | (1 << 128)
    self._commit(alias)
    log MemberSet(alias=alias, firm=firm, duties=duties, licence_until=licence_until)
    if word == 0:
        self._count(0, 1, 0)


@external
def add_crew_key(alias: bytes32, x: uint256, y: uint256, kind: uint256, relying_party: uint256):
    """
    @notice Inner. The key of a person who has none in force.
    """
    self._only_enacted()
    assert self._existing(alias) & 255 == 0, "crews: person has a key in force"
    self._set_key(alias, x, y, kind, relying_party)


@external
def replace_crew_key(
    alias: bytes32, old_key_id: bytes32, x: uint256, y: uint256, kind: uint256, relying_party: uint256
):
    """
    @notice Inner. The new key for the old one, which signed for it.
    """
    self._only_enacted()
    is_signed: bool = staticcall REGISTRY.parties_enacting() == PARTY_SIGNER
    assert is_signed, "crews: only the replaced key's own signature does this"
    word: uint256 = self._existing(alias)
    assert word & 255 != 0 and self._key_id(alias) == old_key_id, "crews: key is not in force for the person"
    self._end_key(alias)
    self._set_key(alias, x, y, kind, relying_party)


@external
def set_relying_party(number: uint256, rp_id_hash: bytes32, origin: String[128]):
    """
    @notice Inner. A web origin whose passkeys people with duties may register.
    """
    self._only_enacted()
    relying._set(number, rp_id_hash, origin)


# --- Views ---


@external
@view
@reentrant
def firm(number: uint256) -> Firm:
    """
    @notice A firm that serves the site, or did.
    """
    stored: StoredFirm = self.firms[number]
    return Firm(
        exists=stored.name_digest != empty(bytes32),
        licence_until=stored.licence_until,
        name_digest=stored.name_digest,
    )


@external
@view
@reentrant
def member(alias: bytes32) -> Member:
    """
    @notice A person with duties, in force or not.
    """
    word: uint256 = self.members[alias].word
    key_id: bytes32 = empty(bytes32)
    if word & 255 != 0:
        key_id = self._key_id(alias)
    return Member(
        firm=lanes._field(word, 104, 24),
        duties=lanes._field(word, 96, 8),
        licence_until=lanes._field(word, 56, 40),
        since=lanes._field(word, 16, 40),
        exists=word != 0,
        key_id=key_id,
    )


@external
@view
@reentrant
def crew_key(key_id: bytes32) -> CrewKey:
    """
    @notice All that a contract needs of a person's key; `alias` is zero when it is not in force.
    """
    alias: bytes32 = self.alias_of_key[key_id]
    if alias == empty(bytes32) or self._key_id(alias) != key_id:
        return empty(CrewKey)
    return self._crew_key(alias)


@external
@view
@reentrant
def crew_key_of(alias: bytes32) -> CrewKey:
    """
    @notice The same by the person's alias, which is cheaper; whoever asks compares SHA-256(x || y) with the signature.
    """
    return self._crew_key(alias)


@external
@view
@reentrant
def crew_commitment(alias: bytes32, firm: uint256) -> (bytes32, uint256):
    """
    @notice For contracts to which all about the key is brought in calldata: two slots in place of nine.
    @return Keccak-256 of the person's firm, duties, own licence_until, x, y, kind, rp_id_hash and keccak-256 of the origin (eight
            words; the last two of a software key are those of none), zero while no key is in force; and until when the
            firm is licensed, for ever if it is 0, the site.
    """
    if firm == 0:
        return self.commitments[alias], max_value(uint256)
    return self.commitments[alias], self.firms[firm].licence_until


@external
@view
@reentrant
def person_key(key_id: bytes32) -> person.PersonKey:
    """
    @notice For vetoes: a person's key in force, with the alias where an owner's has the unit.
    """
    return self._person_key(key_id)


@external
@view
@reentrant
def key_on_duty(key_id: bytes32, duty: uint256) -> person.PersonKey:
    """
    @notice The same for who signs in a duty: zeros unless the person has it and a licence that has not ended.
    @param duty 1 mechanic, 2 site manager, 4 installer, 8 returning officer, 16 cashier.
    """
    key: person.PersonKey = self._person_key(key_id)
    crew: CrewKey = self._crew_key(key.unit)
    if crew.duties & duty == 0 or block.timestamp > crew.licence_until:
        return empty(person.PersonKey)
    return key


@external
@view
@reentrant
def additions() -> Counts:
    """
    @notice Firms, people and keys that ever joined: who enrols ghosts is seen here.
    """
    return self.added


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
    assert msg.sender == REGISTRY.address, "crews: only an enacted batch may do this"


@internal
@view
def _only_party():
    if msg.sender != staticcall REGISTRY.manager():
        assert msg.sender == staticcall REGISTRY.committee(), "crews: only manager or committee may do this"


@internal
@view
def _existing(alias: bytes32) -> uint256:
    word: uint256 = self.members[alias].word
    assert word != 0, "crews: nobody serves under this alias"
    return word


@internal
@view
def _key_id(alias: bytes32) -> bytes32:
    """
    @notice The name of the person's last key; whether it is in force says the kind in the person's word.
    """
    return sha256(abi_encode(self.members[alias].x, self.members[alias].y))


@internal
@view
def _crew_key(alias: bytes32) -> CrewKey:
    stored: StoredMember = self.members[alias]
    if stored.word & 255 == 0:
        return empty(CrewKey)
    firm: uint256 = lanes._field(stored.word, 104, 24)
    licence_until: uint256 = lanes._field(stored.word, 56, 40)
    if firm != 0:
        licence_until = min(licence_until, self.firms[firm].licence_until)
    party: relying.RelyingParty = relying.parties[lanes._field(stored.word, 8, 8)]
    return CrewKey(
        alias=alias,
        firm=firm,
        duties=lanes._field(stored.word, 96, 8),
        licence_until=licence_until,
        x=stored.x,
        y=stored.y,
        kind=stored.word & 255,
        rp_id_hash=party.rp_id_hash,
        origin=party.origin,
        since=lanes._field(stored.word, 16, 40),
    )


@internal
@view
def _person_key(key_id: bytes32) -> person.PersonKey:
    alias: bytes32 = self.alias_of_key[key_id]
    key: CrewKey = self._crew_key(alias)
    if key.kind == 0 or self._key_id(alias) != key_id:
        return empty(person.PersonKey)
    return person.PersonKey(
        unit=alias, index=0, x=key.x, y=key.y, kind=key.kind, rp_id_hash=key.rp_id_hash, origin=key.origin
    )


@internal
def _signer(purpose: bytes32, body: bytes32, signature: person.PersonSignature) -> bytes32:
    """
    @notice The alias whose key signed this act, once.
    """
    assert block.timestamp <= signature.deadline, "crews: signature's deadline has passed"
    key: person.PersonKey = self._person_key(signature.key_id)
    assert key.unit != empty(bytes32), "crews: key is not in force"
    digest: bytes32 = person._digest(purpose, body, signature)
    assert person._is_signed_by(key, digest, signature), "crews: person's signature does not match"
    once._use(digest)
    return key.unit


@internal
def _set_firm(firm: uint256, name_digest: bytes32, licence_until: uint256):
    self.firms[firm] = StoredFirm(name_digest=name_digest, licence_until=licence_until)
    log FirmSet(firm=firm, name_digest=name_digest, licence_until=licence_until)


@internal
def _set_key(alias: bytes32, x: uint256, y: uint256, kind: uint256, relying_party: uint256):
    relying._check_key(x, y, kind, relying_party)
    key_id: bytes32 = sha256(abi_encode(x, y))
    assert self.alias_of_key[key_id] == empty(bytes32), "crews: key was used before"
    self.alias_of_key[key_id] = alias
    kept: uint256 = (self.members[alias].word >> 56) << 56
    self.members[alias] = StoredMember(
        x=x, y=y, word=kept | kind | (relying_party << 8) | (block.timestamp << 16)
    )
    self._commit(alias)
    log CrewKeySet(alias=alias, key_id=key_id, x=x, y=y, kind=kind, relying_party=relying_party)
    self._count(0, 0, 1)


@internal
def _end_key(alias: bytes32):
    self.members[alias].word = (self.members[alias].word >> 56) << 56
    self._commit(alias)
    log CrewKeyEnded(alias=alias, key_id=self._key_id(alias))


@internal
def _commit(alias: bytes32):
    """
    @notice Keep one hash over all that makes the person's key count, or zero while no key is in force.
    """
    stored: StoredMember = self.members[alias]
    kind: uint256 = stored.word & 255
    if kind == 0:
        self.commitments[alias] = empty(bytes32)
        return
    party: relying.RelyingParty = empty(relying.RelyingParty)
    if kind == person.WEBAUTHN:
        party = relying.parties[lanes._field(stored.word, 8, 8)]
    self.commitments[alias] = keccak256(
        abi_encode(
            lanes._field(stored.word, 104, 24),
            lanes._field(stored.word, 96, 8),
            lanes._field(stored.word, 56, 40),
            stored.x,
            stored.y,
            kind,
            party.rp_id_hash,
            keccak256(party.origin),
        )
    )


@internal
def _count(firms: uint256, members: uint256, keys: uint256):
    found: Counts = self.added
    found.firms += firms
    found.members += members
    found.keys += keys
    self.added = found
    log CrewCounted(firms=found.firms, members=found.members, keys=found.keys)
