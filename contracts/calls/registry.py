"""Registry: who may witness what at one site (Registry.vy).

The calls that only an enacted batch may make stand in `registry_changes`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from contracts.abi import Call, Function, encode_arguments, padded
from contracts.person import PERSON_SIGNATURE_TYPE, PersonSignature

OPERATOR = padded("operator")
CASHIER = padded("cashier")
REGISTRAR = padded("registrar")
TARIFFS = padded("tariffs")
ROLE_OWN = 1  # a binding's role: the device counts for one unit
ROLE_POOL = 2  # the device counts for a pool that all share

_ANNOUNCE = Function("announce", bytes.fromhex("a121e45f"), ("bytes[]",), ("uint256",))
_APPROVE = Function("approve", bytes.fromhex("b759f954"), ("uint256",), ())
_VETO = Function("veto", bytes.fromhex("ac51289f"), ("uint256", "uint256"), ())
_VETO_AS_OWNER = Function(
    "veto_as_owner", bytes.fromhex("b191fe4c"), ("uint256", "bytes[]", "uint256", PERSON_SIGNATURE_TYPE), ()
)
_ENACT = Function("enact", bytes.fromhex("616ec37d"), ("uint256", "bytes[]"), ())
_SUCCEED_MANAGER = Function("succeed_manager", bytes.fromhex("a9514d34"), ("address",), ("uint256",))
_SUCCEED_COMMITTEE = Function("succeed_committee", bytes.fromhex("ea9a51ac"), ("address",), ("uint256",))
_ROTATE_OWNER_KEY = Function(
    "rotate_owner_key",
    bytes.fromhex("2def82d7"),
    ("uint256", "uint256", "uint256", "uint256", PERSON_SIGNATURE_TYPE),
    ("uint256",),
)
_POST_LETTERS = Function("post_letters", bytes.fromhex("8542ea5f"), ("bytes32[]", "bytes32[]"), ())
_REVOKE_GATEWAY_KEY = Function("revoke_gateway_key", bytes.fromhex("14f63f3d"), ("bytes32",), ())
_REVOKE_ROLE = Function("revoke_role", bytes.fromhex("4ed8fe2b"), ("bytes32", "address"), ())
_REVOKE_OWNER_KEY = Function("revoke_owner_key", bytes.fromhex("e36fa95e"), (PERSON_SIGNATURE_TYPE,), ())
_CONFIRM_BINDING = Function(
    "confirm_binding", bytes.fromhex("9a4efb75"), ("bytes32", "uint256", PERSON_SIGNATURE_TYPE), ()
)
_SITE = Function("site", bytes.fromhex("e0d370ac"), (), ("bytes32",))
_WITNESS_DELAY = Function("witness_delay", bytes.fromhex("83b32c00"), (), ("uint256",))
_RECOVERY_DELAY = Function("recovery_delay", bytes.fromhex("7f337784"), (), ("uint256",))
_BATCH = Function("batch", bytes.fromhex("0eaa75fe"), ("uint256",), ("(bytes32,uint256,uint256,bool,uint256)",))
_HAS_ROLE = Function("has_role", bytes.fromhex("7240d9ff"), ("bytes32", "address"), ("bool",))
_KEY_IN_FORCE = Function("key_in_force", bytes.fromhex("9a55c45a"), ("bytes32",), ("(uint256,uint256)",))
_GATEWAY_KEY = Function(
    "gateway_key", bytes.fromhex("0b7466ab"), ("bytes32", "bytes32"), ("(uint256,uint256,uint256)",)
)
_UNIT = Function("unit", bytes.fromhex("b9f07d39"), ("bytes32",), ("(uint256,uint256,uint256,uint256,bool)",))
_IS_POOL = Function("is_pool", bytes.fromhex("47816c5e"), ("bytes32",), ("bool",))
_OWNER_KEY = Function(
    "owner_key", bytes.fromhex("6da53082"), ("bytes32",), ("(bytes32,uint256,uint256,uint256,uint256,uint256,uint256)",)
)
_PERSON_KEY = Function(
    "person_key", bytes.fromhex("f0e005e1"), ("bytes32",), ("(bytes32,uint256,uint256,uint256,uint256,bytes32,string)",)
)
_RELYING_PARTY = Function("relying_party", bytes.fromhex("3c4cb20d"), ("uint256",), ("(bytes32,string)",))
_ASSIGNMENT = Function(
    "assignment", bytes.fromhex("c1e417b1"), ("bytes32", "uint256"), ("(bytes32,uint256,uint256,uint256)",)
)
_IS_ASSIGNED = Function("is_assigned", bytes.fromhex("8c8470a5"), ("bytes32", "bytes32", "uint256"), ("bool",))
_BINDING = Function(
    "binding", bytes.fromhex("dea0a934"), ("bytes32", "uint256"), ("(bytes32,bytes32,uint256,uint256,uint256,bool)",)
)
_IS_BOUND = Function(
    "is_bound", bytes.fromhex("5ecd5ee9"), ("bytes32", "bytes32", "uint256", "uint256", "uint256"), ("bool",)
)
_MANAGER = Function("manager", bytes.fromhex("481c6a75"), (), ("address",))
_COMMITTEE = Function("committee", bytes.fromhex("d864e740"), (), ("address",))
_BATCH_COUNT = Function("batch_count", bytes.fromhex("8fae7b6d"), (), ("uint256",))
_UNIT_AT = Function("unit_at", bytes.fromhex("ca025796"), ("uint256",), ("bytes32",))
_UNIT_COUNT = Function("unit_count", bytes.fromhex("c8f91455"), (), ("uint256",))
_TOTAL_AREA = Function("total_area", bytes.fromhex("7de74efe"), (), ("uint256",))
_LETTERS = Function("letters", bytes.fromhex("54b69269"), ("bytes32",), ("bytes32",))
_ASSIGNMENT_COUNT = Function("assignment_count", bytes.fromhex("967dead2"), ("bytes32",), ("uint256",))
_BINDING_COUNT = Function("binding_count", bytes.fromhex("fcdfc859"), ("bytes32",), ("uint256",))
_SUCCESSOR = Function("successor", bytes.fromhex("759c4d66"), ("address",), ("address",))


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch's state."""

    calls_digest: bytes  # Keccak-256 of the ABI encoding of the calls
    parties: int  # 1 manager, 2 committee, 3 both, 4 the owner whose key is replaced
    effective_at: int  # Unix seconds; 0 until every needed party has signed
    enacted: bool
    vetoed: int  # bit i: call i


@dataclass(frozen=True, slots=True)
class GatewayKey:
    """A gateway's key in force; zeros if it has none."""

    x: int
    y: int


@dataclass(frozen=True, slots=True)
class KeyRange:
    """Class and blocks of validity of a gateway's key."""

    key_class: int  # 1 file, 2 token, 3 attested
    from_block: int  # 0: never its key
    to_block: int  # last block of validity, 0 while in force


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of the roll."""

    index: int
    area_centi_m2: int
    area_before: int  # sum of the areas of the units before it
    category: int
    exists: bool


@dataclass(frozen=True, slots=True)
class OwnerKey:
    """An owner's key, in force or not."""

    unit: bytes
    x: int
    y: int
    kind: int  # 1 webauthn, 2 software, 0 no such key
    relying_party: int
    since: int  # Unix seconds
    until: int  # Unix seconds, 0 while in force


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
class RelyingParty:
    """A web origin whose passkeys count."""

    rp_id_hash: bytes
    origin: str


@dataclass(frozen=True, slots=True)
class Assignment:
    """The range of a log's indexes in which a device's entries count."""

    origin_id: bytes
    first_index: int
    last_index: int  # 2^48 - 1 while open
    block: int


@dataclass(frozen=True, slots=True)
class Binding:
    """Which unit or pool a device counts for, and from when to when."""

    subject: bytes
    commitment: bytes
    role: int  # 1 own, 2 pool
    from_date: int  # boundary date YYYYMMDD
    to_date: int  # 0 while open
    confirmed: bool


def deploy(
    bytecode: bytes,
    *,
    site: bytes,
    manager: str,
    committee: str,
    witness_delay: int,
    recovery_delay: int,
    verifier: str,
) -> bytes:
    """Creation data: the compiled bytecode with its constructor's arguments."""
    arguments = encode_arguments(
        "Registry",
        ("bytes32", "address", "address", "uint256", "uint256", "address"),
        (
            site,
            manager,
            committee,
            witness_delay,
            recovery_delay,
            verifier,
        ),
    )
    return bytecode + arguments


def announce(to: str, *, calls: Sequence[bytes]) -> Call:
    """Put a batch of inner calls before the public. Manager or committee; the other one approves.

    Args:
        calls: ABI-encoded calls to this contract's inner functions.
    """
    return _ANNOUNCE.call(to, list(calls))


def parse_announce(result: bytes) -> int:
    """The result of `announce`."""
    value: int = _ANNOUNCE.decode(result)[0]
    return value


def approve(to: str, *, number: int) -> Call:
    """The second party's signature under a batch; its delay begins now."""
    return _APPROVE.call(to, number)


def veto(to: str, *, number: int, mask: int) -> Call:
    """The committee stops calls of a batch that is not enacted yet.

    Args:
        mask: Bit i stops call i.
    """
    return _VETO.call(to, number, mask)


def veto_as_owner(to: str, *, number: int, calls: Sequence[bytes], call_index: int, signature: PersonSignature) -> Call:
    """A present key of the unit that a call concerns stops that call. Anyone may relay it.

    Args:
        calls: The announced calls; a call concerns the unit whose alias is its first argument.
    """
    return _VETO_AS_OWNER.call(to, number, list(calls), call_index, signature.abi())


def enact(to: str, *, number: int, calls: Sequence[bytes]) -> Call:
    """Carry out a batch whose delay is over, without the vetoed calls. Anyone may do it."""
    return _ENACT.call(to, number, list(calls))


def succeed_manager(to: str, *, new: str) -> Call:
    """The manager hands over, or the committee alone replaces a manager after the longer delay."""
    return _SUCCEED_MANAGER.call(to, new)


def parse_succeed_manager(result: bytes) -> int:
    """The result of `succeed_manager`."""
    value: int = _SUCCEED_MANAGER.decode(result)[0]
    return value


def succeed_committee(to: str, *, new: str) -> Call:
    """The committee hands over to its successor."""
    return _SUCCEED_COMMITTEE.call(to, new)


def parse_succeed_committee(result: bytes) -> int:
    """The result of `succeed_committee`."""
    value: int = _SUCCEED_COMMITTEE.decode(result)[0]
    return value


def rotate_owner_key(to: str, *, x: int, y: int, kind: int, relying_party: int, signature: PersonSignature) -> Call:
    """An owner replaces a key, signed by the key replaced. Anyone may relay it; it takes effect after the delay."""
    return _ROTATE_OWNER_KEY.call(to, x, y, kind, relying_party, signature.abi())


def parse_rotate_owner_key(result: bytes) -> int:
    """The result of `rotate_owner_key`."""
    value: int = _ROTATE_OWNER_KEY.decode(result)[0]
    return value


def post_letters(to: str, *, units: Sequence[bytes], digests: Sequence[bytes]) -> Call:
    """The committee's registrar posts the hashes of activation letters before they are handed out."""
    return _POST_LETTERS.call(to, list(units), list(digests))


def revoke_gateway_key(to: str, *, origin_id: bytes) -> Call:
    """Manager or committee ends a gateway's key in this block."""
    return _REVOKE_GATEWAY_KEY.call(to, origin_id)


def revoke_role(to: str, *, role: bytes, account: str) -> Call:
    """Manager or committee ends an office at once."""
    return _REVOKE_ROLE.call(to, role, account)


def revoke_owner_key(to: str, *, signature: PersonSignature) -> Call:
    """An owner's key ends itself, for a lost or sold telephone. Anyone may relay it."""
    return _REVOKE_OWNER_KEY.call(to, signature.abi())


def confirm_binding(to: str, *, device: bytes, number: int, signature: PersonSignature) -> Call:
    """The owner confirms, once, that this meter counts for the unit. Anyone may relay it."""
    return _CONFIRM_BINDING.call(to, device, number, signature.abi())


def site(to: str) -> Call:
    """SHA-256 of the site's name."""
    return _SITE.call(to)


def parse_site(result: bytes) -> bytes:
    """The result of `site`."""
    value: bytes = _SITE.decode(result)[0]
    return value


def witness_delay(to: str) -> Call:
    """Seconds between the second signature under a batch and its effect."""
    return _WITNESS_DELAY.call(to)


def parse_witness_delay(result: bytes) -> int:
    """The result of `witness_delay`."""
    value: int = _WITNESS_DELAY.decode(result)[0]
    return value


def recovery_delay(to: str) -> Call:
    """Seconds before the committee's choice of another manager takes effect."""
    return _RECOVERY_DELAY.call(to)


def parse_recovery_delay(result: bytes) -> int:
    """The result of `recovery_delay`."""
    value: int = _RECOVERY_DELAY.decode(result)[0]
    return value


def batch(to: str, *, number: int) -> Call:
    """A batch's state."""
    return _BATCH.call(to, number)


def parse_batch(result: bytes) -> Batch:
    """The result of `batch`."""
    return Batch(*_BATCH.decode(result)[0])


def has_role(to: str, *, role: bytes, account: str) -> Call:
    """Whether the account holds the office."""
    return _HAS_ROLE.call(to, role, account)


def parse_has_role(result: bytes) -> bool:
    """The result of `has_role`."""
    value: bool = _HAS_ROLE.decode(result)[0]
    return value


def key_in_force(to: str, *, origin_id: bytes) -> Call:
    """The gateway's key in this block; zeros if it has none."""
    return _KEY_IN_FORCE.call(to, origin_id)


def parse_key_in_force(result: bytes) -> GatewayKey:
    """The result of `key_in_force`."""
    return GatewayKey(*_KEY_IN_FORCE.decode(result)[0])


def gateway_key(to: str, *, origin_id: bytes, key_id: bytes) -> Call:
    """Class and blocks of validity of a key that the gateway has or had."""
    return _GATEWAY_KEY.call(to, origin_id, key_id)


def parse_gateway_key(result: bytes) -> KeyRange:
    """The result of `gateway_key`."""
    return KeyRange(*_GATEWAY_KEY.decode(result)[0])


def unit(to: str, *, alias: bytes) -> Call:
    """A unit of the roll."""
    return _UNIT.call(to, alias)


def parse_unit(result: bytes) -> Unit:
    """The result of `unit`."""
    return Unit(*_UNIT.decode(result)[0])


def is_pool(to: str, *, pool: bytes) -> Call:
    """Whether usage is shared under this name."""
    return _IS_POOL.call(to, pool)


def parse_is_pool(result: bytes) -> bool:
    """The result of `is_pool`."""
    value: bool = _IS_POOL.decode(result)[0]
    return value


def owner_key(to: str, *, key_id: bytes) -> Call:
    """An owner's key, in force or not."""
    return _OWNER_KEY.call(to, key_id)


def parse_owner_key(result: bytes) -> OwnerKey:
    """The result of `owner_key`."""
    return OwnerKey(*_OWNER_KEY.decode(result)[0])


def person_key(to: str, *, key_id: bytes) -> Call:
    """All that a contract needs to verify a person; `unit` is zero when the key is not in force."""
    return _PERSON_KEY.call(to, key_id)


def parse_person_key(result: bytes) -> PersonKey:
    """The result of `person_key`."""
    return PersonKey(*_PERSON_KEY.decode(result)[0])


def relying_party(to: str, *, number: int) -> Call:
    """A web origin whose passkeys count."""
    return _RELYING_PARTY.call(to, number)


def parse_relying_party(result: bytes) -> RelyingParty:
    """The result of `relying_party`."""
    return RelyingParty(*_RELYING_PARTY.decode(result)[0])


def assignment(to: str, *, device: bytes, number: int) -> Call:
    """One of a device's ranges."""
    return _ASSIGNMENT.call(to, device, number)


def parse_assignment(result: bytes) -> Assignment:
    """The result of `assignment`."""
    return Assignment(*_ASSIGNMENT.decode(result)[0])


def is_assigned(to: str, *, device: bytes, origin_id: bytes, index: int) -> Call:
    """Whether an entry of the device at this index of the origin's log counts."""
    return _IS_ASSIGNED.call(to, device, origin_id, index)


def parse_is_assigned(result: bytes) -> bool:
    """The result of `is_assigned`."""
    value: bool = _IS_ASSIGNED.decode(result)[0]
    return value


def binding(to: str, *, device: bytes, number: int) -> Call:
    """One of a device's bindings."""
    return _BINDING.call(to, device, number)


def parse_binding(result: bytes) -> Binding:
    """The result of `binding`."""
    return Binding(*_BINDING.decode(result)[0])


def is_bound(to: str, *, device: bytes, subject: bytes, role: int, from_date: int, to_date: int) -> Call:
    """Whether the device counts for the subject from one boundary date to the other."""
    return _IS_BOUND.call(to, device, subject, role, from_date, to_date)


def parse_is_bound(result: bytes) -> bool:
    """The result of `is_bound`."""
    value: bool = _IS_BOUND.decode(result)[0]
    return value


def manager(to: str) -> Call:
    """The manager's address."""
    return _MANAGER.call(to)


def parse_manager(result: bytes) -> str:
    """The result of `manager`."""
    value: str = _MANAGER.decode(result)[0]
    return value


def committee(to: str) -> Call:
    """The committee's address."""
    return _COMMITTEE.call(to)


def parse_committee(result: bytes) -> str:
    """The result of `committee`."""
    value: str = _COMMITTEE.decode(result)[0]
    return value


def batch_count(to: str) -> Call:
    """How many batches were announced."""
    return _BATCH_COUNT.call(to)


def parse_batch_count(result: bytes) -> int:
    """The result of `batch_count`."""
    value: int = _BATCH_COUNT.decode(result)[0]
    return value


def unit_at(to: str, *, index: int) -> Call:
    """The alias of the unit at this place of the roll; zero beyond it."""
    return _UNIT_AT.call(to, index)


def parse_unit_at(result: bytes) -> bytes:
    """The result of `unit_at`."""
    value: bytes = _UNIT_AT.decode(result)[0]
    return value


def unit_count(to: str) -> Call:
    """How many units the roll has."""
    return _UNIT_COUNT.call(to)


def parse_unit_count(result: bytes) -> int:
    """The result of `unit_count`."""
    value: int = _UNIT_COUNT.decode(result)[0]
    return value


def total_area(to: str) -> Call:
    """Sum of the areas of all units, 0.01 m2."""
    return _TOTAL_AREA.call(to)


def parse_total_area(result: bytes) -> int:
    """The result of `total_area`."""
    value: int = _TOTAL_AREA.decode(result)[0]
    return value


def letters(to: str, *, unit: bytes) -> Call:
    """The hash of a unit's activation letter; zero if none was posted."""
    return _LETTERS.call(to, unit)


def parse_letters(result: bytes) -> bytes:
    """The result of `letters`."""
    value: bytes = _LETTERS.decode(result)[0]
    return value


def assignment_count(to: str, *, device: bytes) -> Call:
    """How many log ranges the device ever had."""
    return _ASSIGNMENT_COUNT.call(to, device)


def parse_assignment_count(result: bytes) -> int:
    """The result of `assignment_count`."""
    value: int = _ASSIGNMENT_COUNT.decode(result)[0]
    return value


def binding_count(to: str, *, device: bytes) -> Call:
    """How many bindings the device ever had."""
    return _BINDING_COUNT.call(to, device)


def parse_binding_count(result: bytes) -> int:
    """The result of `binding_count`."""
    value: int = _BINDING_COUNT.decode(result)[0]
    return value


def successor(to: str, *, old: str) -> Call:
    """The contract that follows an old one; the zero address if none."""
    return _SUCCESSOR.call(to, old)


def parse_successor(result: bytes) -> str:
    """The result of `successor`."""
    value: str = _SUCCESSOR.decode(result)[0]
    return value
