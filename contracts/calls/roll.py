"""Roll: units, buyers, owners' keys, residents, and how pools are shared (Roll.vy).

The calls that only an enacted batch may make stand in `roll_changes`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from contracts.abi import Call, Function, encode_arguments
from contracts.person import PERSON_SIGNATURE_TYPE, PersonSignature

_POST_LETTERS = Function("post_letters", bytes.fromhex("8542ea5f"), ("bytes32[]", "bytes32[]"), ())
_ROTATE_OWNER_KEY = Function(
    "rotate_owner_key",
    bytes.fromhex("2def82d7"),
    ("uint256", "uint256", "uint256", "uint256", PERSON_SIGNATURE_TYPE),
    ("uint256",),
)
_REVOKE_OWNER_KEY = Function("revoke_owner_key", bytes.fromhex("e36fa95e"), (PERSON_SIGNATURE_TYPE,), ())
_UNIT = Function(
    "unit", bytes.fromhex("b9f07d39"), ("bytes32",), ("(uint256,uint256,uint256,uint256,uint256,uint256,int256,bool)",)
)
_BUILDING_ADDITIONS = Function("building_additions", bytes.fromhex("3e08ce21"), ("uint256",), ("(uint256,uint256)",))
_OWNER_KEY = Function(
    "owner_key",
    bytes.fromhex("6da53082"),
    ("bytes32",),
    ("(bytes32,uint256,uint256,uint256,uint256,uint256,uint256,bool)",),
)
_PERSON_KEY = Function(
    "person_key", bytes.fromhex("f0e005e1"), ("bytes32",), ("(bytes32,uint256,uint256,uint256,uint256,bytes32,string)",)
)
_VOTER_KEY = Function(
    "voter_key",
    bytes.fromhex("67bfc372"),
    ("bytes32",),
    ("(uint256,uint256,uint256,uint256,uint256,uint256,bytes32,string)",),
)
_BALLOT_KEY = Function("ballot_key", bytes.fromhex("5eb23ea5"), ("bytes32",), ("(uint256,uint256,uint256)",))
_UNIT_SINCE = Function("unit_since", bytes.fromhex("82cb3081"), ("uint256",), ("uint256",))
_RESIDENTS = Function("residents", bytes.fromhex("0e8c2dc3"), ("bytes32", "uint256"), ("uint256",))
_IS_POOL = Function("is_pool", bytes.fromhex("47816c5e"), ("bytes32",), ("bool",))
_POOL_KEYS = Function(
    "pool_keys", bytes.fromhex("6616fbc9"), ("bytes32", "uint256"), ("(bytes32,uint256,uint256,uint256,uint256)",)
)
_POOL_KEYS_AT = Function(
    "pool_keys_at", bytes.fromhex("6bbc996f"), ("bytes32", "uint256"), ("(bytes32,uint256,uint256,uint256,uint256)",)
)
_RELYING_PARTY = Function("relying_party", bytes.fromhex("3c4cb20d"), ("uint256",), ("(bytes32,string)",))
_UNIT_COUNT = Function("unit_count", bytes.fromhex("c8f91455"), (), ("uint256",))
_HEAD_COUNT = Function("head_count", bytes.fromhex("1a2e66be"), (), ("uint256",))
_TOTAL_AREA = Function("total_area", bytes.fromhex("7de74efe"), (), ("uint256",))
_UNIT_AT = Function("unit_at", bytes.fromhex("ca025796"), ("uint256",), ("bytes32",))
_LETTERS = Function("letters", bytes.fromhex("54b69269"), ("bytes32",), ("bytes32",))
_POOL_KEYS_COUNT = Function("pool_keys_count", bytes.fromhex("b2ada7c4"), ("bytes32",), ("uint256",))


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of the roll."""

    index: int
    area_centi_m2: int
    area_before: int  # sum of the areas of the units before it
    category: int
    head: int  # the buyer's number; one buyer's several units share it
    building: int
    floor: int
    exists: bool


@dataclass(frozen=True, slots=True)
class Additions:
    """What ever joined the roll for one building."""

    units: int
    keys: int


@dataclass(frozen=True, slots=True)
class OwnerKey:
    """An owner's key, in force or not."""

    unit: bytes
    x: int
    y: int
    kind: int  # 1 webauthn, 2 software, 0 no such key
    relying_party: int
    since: int  # Unix seconds
    until: int  # Unix seconds; 0 unless it was ended by itself or by a batch
    in_force: bool


@dataclass(frozen=True, slots=True)
class PersonKey:
    """What a contract needs to verify a person; `unit` is zero when the key is not in force."""

    unit: bytes
    index: int
    x: int
    y: int
    kind: int
    rp_id_hash: bytes
    origin: str


@dataclass(frozen=True, slots=True)
class VoterKey:
    """What a vote needs of a key; `kind` is 0 when the key is not in force."""

    head: int
    index: int
    since: int  # Unix seconds
    x: int
    y: int
    kind: int
    rp_id_hash: bytes
    origin: str


@dataclass(frozen=True, slots=True)
class BallotKey:
    """A key as batches of ballots need it."""

    x: int
    y: int
    kind: int  # 0 when no such key is in force
    relying_party: int
    since: int  # Unix seconds
    number: int  # among the keys of its head
    head: int


@dataclass(frozen=True, slots=True)
class PoolKeys:
    """The table of keys by which a pool is shared."""

    root: bytes  # of the table's sum tree, in unit order
    total: int
    kind: int  # 1 area, 2 floor factor, 3 water volume, 4 equal; 0 no table: by the roll's areas
    unit_count: int
    valid_from: int  # boundary date YYYYMMDD

    def abi(self) -> tuple[bytes, int, int, int, int]:
        """The fields in the contract's order."""
        return (self.root, self.total, self.kind, self.unit_count, self.valid_from)


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """A web origin whose passkeys count."""

    rp_id_hash: bytes
    origin: str


def deploy(bytecode: bytes, *, registry: str, verifier: str) -> bytes:
    """Creation data: the compiled bytecode with its constructor's arguments."""
    return bytecode + encode_arguments("Roll", ("address", "address"), (registry, verifier))


def post_letters(to: str, *, units: Sequence[bytes], digests: Sequence[bytes]) -> Call:
    """The committee's registrar posts the hashes of activation letters before they are handed out."""
    return _POST_LETTERS.call(to, list(units), list(digests))


def rotate_owner_key(to: str, *, x: int, y: int, kind: int, relying_party: int, signature: PersonSignature) -> Call:
    """An owner replaces a key, signed by the key replaced. Anyone may relay it; it takes effect after the delay."""
    return _ROTATE_OWNER_KEY.call(to, x, y, kind, relying_party, signature.abi())


def parse_rotate_owner_key(result: bytes) -> int:
    """The result of `rotate_owner_key`."""
    value: int = _ROTATE_OWNER_KEY.decode(result)[0]
    return value


def revoke_owner_key(to: str, *, signature: PersonSignature) -> Call:
    """An owner's key ends itself, for a lost or sold telephone. Anyone may relay it."""
    return _REVOKE_OWNER_KEY.call(to, signature.abi())


def unit(to: str, *, alias: bytes) -> Call:
    """A unit of the roll."""
    return _UNIT.call(to, alias)


def parse_unit(result: bytes) -> Unit:
    """The result of `unit`."""
    return Unit(*_UNIT.decode(result)[0])


def building_additions(to: str, *, building: int) -> Call:
    """Units and keys that ever joined the roll for this building: who enrols ghosts is seen here."""
    return _BUILDING_ADDITIONS.call(to, building)


def parse_building_additions(result: bytes) -> Additions:
    """The result of `building_additions`."""
    return Additions(*_BUILDING_ADDITIONS.decode(result)[0])


def owner_key(to: str, *, key_id: bytes) -> Call:
    """An owner's key, in force or not."""
    return _OWNER_KEY.call(to, key_id)


def parse_owner_key(result: bytes) -> OwnerKey:
    """The result of `owner_key`."""
    return OwnerKey(*_OWNER_KEY.decode(result)[0])


def person_key(to: str, *, key_id: bytes) -> Call:
    """All that a contract needs to verify an owner; `unit` is zero when the key is not in force."""
    return _PERSON_KEY.call(to, key_id)


def parse_person_key(result: bytes) -> PersonKey:
    """The result of `person_key`."""
    return PersonKey(*_PERSON_KEY.decode(result)[0])


def voter_key(to: str, *, key_id: bytes) -> Call:
    """All that a vote needs of a key; `kind` is zero when the key is not in force."""
    return _VOTER_KEY.call(to, key_id)


def parse_voter_key(result: bytes) -> VoterKey:
    """The result of `voter_key`."""
    return VoterKey(*_VOTER_KEY.decode(result)[0])


def ballot_key(to: str, *, key_id: bytes) -> Call:
    """The same in three words, for batches of ballots."""
    return _BALLOT_KEY.call(to, key_id)


def parse_ballot_key(result: bytes) -> BallotKey:
    """The result of `ballot_key`."""
    x, y, facts = _BALLOT_KEY.decode(result)[0]
    widths = ((0, 8), (8, 8), (16, 40), (56, 16), (72, 32))
    return BallotKey(x, y, *(facts >> at & (2**width - 1) for at, width in widths))


def unit_since(to: str, *, index: int) -> Call:
    """When a unit joined the roll or its buyer last changed."""
    return _UNIT_SINCE.call(to, index)


def parse_unit_since(result: bytes) -> int:
    """The result of `unit_since`: Unix seconds."""
    value: int = _UNIT_SINCE.decode(result)[0]
    return value


def residents(to: str, *, alias: bytes, date: int) -> Call:
    """How many people live in the unit on a boundary date; zero before the first record."""
    return _RESIDENTS.call(to, alias, date)


def parse_residents(result: bytes) -> int:
    """The result of `residents`."""
    value: int = _RESIDENTS.decode(result)[0]
    return value


def is_pool(to: str, *, pool: bytes) -> Call:
    """Whether usage is shared under this name."""
    return _IS_POOL.call(to, pool)


def parse_is_pool(result: bytes) -> bool:
    """The result of `is_pool`."""
    value: bool = _IS_POOL.decode(result)[0]
    return value


def pool_keys(to: str, *, pool: bytes, number: int) -> Call:
    """One of the pool's tables of keys; `kind` is zero where there is none."""
    return _POOL_KEYS.call(to, pool, number)


def parse_pool_keys(result: bytes) -> PoolKeys:
    """The result of `pool_keys`."""
    return PoolKeys(*_POOL_KEYS.decode(result)[0])


def pool_keys_at(to: str, *, pool: bytes, date: int) -> Call:
    """The table of keys on a boundary date; `kind` is zero where the pool is shared by the roll's areas."""
    return _POOL_KEYS_AT.call(to, pool, date)


def parse_pool_keys_at(result: bytes) -> PoolKeys:
    """The result of `pool_keys_at`."""
    return PoolKeys(*_POOL_KEYS_AT.decode(result)[0])


def relying_party(to: str, *, number: int) -> Call:
    """A web origin whose passkeys count."""
    return _RELYING_PARTY.call(to, number)


def parse_relying_party(result: bytes) -> RelyingParty:
    """The result of `relying_party`."""
    return RelyingParty(*_RELYING_PARTY.decode(result)[0])


def unit_count(to: str) -> Call:
    """How many units are on the roll."""
    return _UNIT_COUNT.call(to)


def parse_unit_count(result: bytes) -> int:
    """The result of `unit_count`."""
    value: int = _UNIT_COUNT.decode(result)[0]
    return value


def head_count(to: str) -> Call:
    """How many heads, which are buyers, the roll has numbered."""
    return _HEAD_COUNT.call(to)


def parse_head_count(result: bytes) -> int:
    """The result of `head_count`."""
    value: int = _HEAD_COUNT.decode(result)[0]
    return value


def total_area(to: str) -> Call:
    """The sum of all units' floor areas in 0.01 m2."""
    return _TOTAL_AREA.call(to)


def parse_total_area(result: bytes) -> int:
    """The result of `total_area`."""
    value: int = _TOTAL_AREA.decode(result)[0]
    return value


def unit_at(to: str, *, index: int) -> Call:
    """The alias of the unit at an index."""
    return _UNIT_AT.call(to, index)


def parse_unit_at(result: bytes) -> bytes:
    """The result of `unit_at`."""
    value: bytes = _UNIT_AT.decode(result)[0]
    return value


def letters(to: str, *, unit: bytes) -> Call:
    """The hash of a unit's activation letter; zero if none was posted."""
    return _LETTERS.call(to, unit)


def parse_letters(result: bytes) -> bytes:
    """The result of `letters`."""
    value: bytes = _LETTERS.decode(result)[0]
    return value


def pool_keys_count(to: str, *, pool: bytes) -> Call:
    """How many tables of keys a pool ever had."""
    return _POOL_KEYS_COUNT.call(to, pool)


def parse_pool_keys_count(result: bytes) -> int:
    """The result of `pool_keys_count`."""
    value: int = _POOL_KEYS_COUNT.decode(result)[0]
    return value
