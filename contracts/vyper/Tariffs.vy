# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title Tariffs
@license Apache-2.0
@notice Which prices are in force at one site and when. Only digest, days and consent stand in storage; the terms
        themselves stand in the announcement's event, and whoever recomputes brings them.

        Invariants
        - A version needs manager (or the tariffs office) and committee, and begins no earlier than the announced delay
          after the second signature: never in the past. It never changes after that; the committee may veto it until
          it begins.
        - A fee by floor area (the property fee) needs a passed resolution of the owners for exactly these terms and
          days, beside the two parties.
        - A version that another one replaces ends on that one's first day: nobody is billed by the older, dearer one after it.
        - Terms that leave a month or a minute without a season or register, or give it two, cannot be announced. A tier that no
          component names is free.
        - The volumes that share one pool in one period are posted once, after the period, and never change.
        - The events alone rebuild the state.
"""

import calendar
import pricing


interface Registry:
    def manager() -> address: view
    def committee() -> address: view
    def has_role(role: bytes32, account: address) -> bool: view
    def contract_named(name: bytes32) -> address: view


interface Assembly:
    def outcome(number: uint256) -> Outcome: view


struct Outcome:
    state: uint256
    matter: uint256
    payload: bytes32
    decided_at: uint256
    building: uint256


struct Version:
    digest: bytes32  # SHA-256 of the terms' bytes; zero: no such version
    valid_from: uint256  # boundary date
    valid_to: uint256  # boundary date, zero while open; the first day of the version that replaces it
    approved_at: uint256  # zero until the committee agrees, 2^64 - 1 after its veto
    needs_resolution: bool


struct StoredVersion:
    digest: bytes32
    # From the right: approved at 64, valid to 32, valid from 32, needs resolution 8, the version that it replaces 32, the one
    # that replaces it 32.
    lanes: uint256


DAY: constant(uint256) = 86400
DEVELOPMENT_CHAIN: constant(uint256) = 31337
VETOED: constant(uint256) = 2**64 - 1
VERSION_MASK: constant(uint256) = 2**32 - 1
OUTCOME_PASSED: constant(uint256) = 4
TABLE_BYTES: constant(uint256) = 128

NAME_ASSEMBLY: constant(bytes32) = 0x617373656d626c79000000000000000000000000000000000000000000000000
ROLE_TARIFFS: constant(bytes32) = 0x7461726966667300000000000000000000000000000000000000000000000000
ROLE_OPERATOR: constant(bytes32) = 0x6f70657261746f72000000000000000000000000000000000000000000000000

REGISTRY: immutable(Registry)
ASSEMBLY: immutable(address)
UTC_OFFSET: immutable(int256)
TARIFF_DELAY: immutable(uint256)

tariff_count: public(uint256)
versions: HashMap[uint256, StoredVersion]
volumes: public(HashMap[bytes32, HashMap[uint256, bytes32]])


event TariffAnnounced:
    version: indexed(uint256)
    valid_from: uint256
    valid_to: uint256
    needs_resolution: bool
    terms: Bytes[pricing.TERMS_BYTES]


event TariffApproved:
    version: indexed(uint256)
    resolution: uint256


event TariffReplaces:
    version: indexed(uint256)
    replaced: indexed(uint256)


event TariffVetoed:
    version: indexed(uint256)


event VolumesPosted:
    pool: indexed(bytes32)
    period: indexed(uint256)
    table: Bytes[TABLE_BYTES]


@deploy
def __init__(registry: address, utc_offset_seconds: int256, tariff_delay: uint256):
    """
    @notice Tariffs of the registry's site. Where its directory names no assembly, there is no fee by floor area.
    @param utc_offset_seconds Local time minus UTC, for the midnights of boundary dates.
    @param tariff_delay Seconds between a tariff's second signature and its first day; at least 30 days in production.
    """
    if chain.id != DEVELOPMENT_CHAIN:
        assert tariff_delay >= 30 * DAY, "tariffs: tariff delay is below 30 days"
    REGISTRY = Registry(registry)
    ASSEMBLY = staticcall Registry(registry).contract_named(NAME_ASSEMBLY)
    UTC_OFFSET = utc_offset_seconds
    TARIFF_DELAY = tariff_delay


@external
def announce(terms: Bytes[pricing.TERMS_BYTES], valid_from: uint256, valid_to: uint256, replaces: uint256) -> uint256:
    """
    @notice Put prices before the public. Manager or the tariffs office; the committee approves.
    @param terms ABI encoding of pricing.Terms.
    @param replaces The version that ends on the first day of this one, zero for none.
    @return The version.
    """
    known: bool = msg.sender == staticcall REGISTRY.manager() or staticcall REGISTRY.has_role(ROLE_TARIFFS, msg.sender)
    assert known, "tariffs: only the manager or the tariffs office announces tariffs"
    first: uint256 = calendar._days(valid_from)
    assert valid_to == 0 or calendar._days(valid_to) > first, "tariffs: tariff ends before it begins"
    decoded: pricing.Terms = pricing._terms(terms)
    pricing._check(decoded)
    needs_resolution: bool = decoded.basis == pricing.BASIS_AREA
    version: uint256 = self.tariff_count + 1
    self.tariff_count = version
    lanes: uint256 = (valid_to << 64) | (valid_from << 96) | (replaces << 136)
    if needs_resolution:
        lanes |= 1 << 128
    self.versions[version] = StoredVersion(digest=sha256(terms), lanes=lanes)
    log TariffAnnounced(
        version=version, valid_from=valid_from, valid_to=valid_to, needs_resolution=needs_resolution, terms=terms
    )
    if replaces != 0:
        assert self._is_agreed(self.versions[replaces].lanes), "tariffs: there is nothing to replace"
        log TariffReplaces(version=version, replaced=replaces)
    return version


@external
def approve(version: uint256, resolution: uint256):
    """
    @notice The committee agrees; the version's first day must still be the whole delay away.
    @param resolution Number of the owners' resolution, for a fee by floor area; otherwise zero.
    """
    self._only_committee()
    found: Version = self._version(version)
    assert found.digest != empty(bytes32), "tariffs: no such tariff"
    assert found.approved_at == 0, "tariffs: tariff is already decided"
    begins_at: uint256 = calendar._midnight(found.valid_from, UTC_OFFSET)
    assert begins_at >= block.timestamp + TARIFF_DELAY, "tariffs: tariff begins before its delay is over"
    if found.needs_resolution:
        self._check_resolution(found, resolution)
    replaced: uint256 = (self.versions[version].lanes >> 136) & VERSION_MASK
    if replaced != 0:
        old: uint256 = self.versions[replaced].lanes
        by: uint256 = old >> 168
        free: bool = self._is_agreed(old) and (by == 0 or not self._is_agreed(self.versions[by].lanes))
        assert free, "tariffs: another version replaces it already"
        self.versions[replaced].lanes = (old & (2**168 - 1)) | (version << 168)
    self.versions[version].lanes |= block.timestamp
    log TariffApproved(version=version, resolution=resolution)


@external
def veto(version: uint256):
    """
    @notice The committee takes its agreement back, or refuses it for ever, before the tariff begins.
    """
    self._only_committee()
    found: Version = self._version(version)
    assert found.digest != empty(bytes32), "tariffs: no such tariff"
    assert block.timestamp < calendar._midnight(found.valid_from, UTC_OFFSET), "tariffs: tariff has begun"
    self.versions[version].lanes |= VETOED
    log TariffVetoed(version=version)


@external
def post_volumes(period: uint256, table: Bytes[TABLE_BYTES]):
    """
    @notice The operator posts, once, the units' volumes that share a pool in a period that is over.
    @param table ABI words: pool, root of the sum tree of keys, their sum, number of units. The keys are what each
            unit's own meter counted.
    """
    assert staticcall REGISTRY.has_role(ROLE_OPERATOR, msg.sender), "tariffs: only the operator may do this"
    pool: bytes32 = self._check_table(table)
    assert block.timestamp >= calendar._midnight(period % 10**8, UTC_OFFSET), "tariffs: period is not over"
    assert self.volumes[pool][period] == empty(bytes32), "tariffs: volumes were posted"
    self.volumes[pool][period] = sha256(table)
    log VolumesPosted(pool=pool, period=period, table=table)


@external
@view
def tariff(version: uint256) -> Version:
    """
    @notice A version; zeros where there is none.
    """
    return self._version(version)


@external
@view
def utc_offset_seconds() -> int256:
    """
    @notice Local time minus UTC.
    """
    return UTC_OFFSET


@external
@view
def tariff_delay() -> uint256:
    """
    @notice Seconds between a tariff's second signature and its first day.
    """
    return TARIFF_DELAY


@internal
@view
def _check_resolution(found: Version, resolution: uint256):
    """
    @notice The owners must have passed exactly this: terms and days.
    """
    assert ASSEMBLY != empty(address), "tariffs: a fee by floor area needs the owners' resolution"
    outcome: Outcome = staticcall Assembly(ASSEMBLY).outcome(resolution)
    payload: bytes32 = sha256(abi_encode(found.digest, found.valid_from, found.valid_to))
    passed: bool = outcome.state == OUTCOME_PASSED and outcome.payload == payload and outcome.building == 0
    assert passed, "tariffs: a fee by floor area needs the owners' resolution"


@internal
@pure
def _check_table(table: Bytes[TABLE_BYTES]) -> bytes32:
    assert len(table) == TABLE_BYTES, "tariffs: table has four words"
    sum: uint256 = convert(slice(table, 64, 32), uint256)
    assert sum != 0 and sum < 2**64, "tariffs: keys add up to nothing or too much"
    return convert(slice(table, 0, 32), bytes32)


@internal
@view
def _version(version: uint256) -> Version:
    stored: StoredVersion = self.versions[version]
    valid_to: uint256 = (stored.lanes >> 64) & (2**32 - 1)
    if stored.lanes >> 168 != 0:
        # It ends where the version that replaces it begins, unless the committee took that one back.
        next: uint256 = self.versions[stored.lanes >> 168].lanes
        next_from: uint256 = (next >> 96) & (2**32 - 1)
        if self._is_agreed(next) and (valid_to == 0 or next_from < valid_to):
            valid_to = next_from
    return Version(
        digest=stored.digest,
        valid_from=(stored.lanes >> 96) & (2**32 - 1),
        valid_to=valid_to,
        approved_at=stored.lanes & VETOED,
        needs_resolution=(stored.lanes >> 128) & 1 == 1,
    )


@internal
@pure
def _is_agreed(lanes: uint256) -> bool:
    """
    @notice Whether the committee agreed to a version and did not take it back.
    """
    return lanes & VETOED != 0 and lanes & VETOED != VETOED


@internal
@view
def _only_committee():
    assert msg.sender == staticcall REGISTRY.committee(), "tariffs: only the committee may do this"
