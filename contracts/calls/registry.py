"""Registry: two parties and time for every witness; offices, gateways, the devices' log ranges and the site's contracts
(Registry.vy).

The calls that only an enacted batch may make stand in `registry_changes`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from contracts.abi import Call, Function, encode_arguments, padded
from contracts.person import PERSON_SIGNATURE_TYPE, PersonSignature

OPERATOR = padded("operator")
CASHIER = padded("cashier")
REGISTRAR = padded("registrar")
TARIFFS = padded("tariffs")
ARBITER = padded("arbiter")

_ANNOUNCE = Function("announce", bytes.fromhex("50298233"), ("(address,bytes)[]",), ("uint256",))
_APPROVE = Function("approve", bytes.fromhex("b759f954"), ("uint256",), ())
_VETO = Function("veto", bytes.fromhex("ac51289f"), ("uint256", "uint256"), ())
_VETO_SIGNED = Function(
    "veto_signed", bytes.fromhex("8eadd9e9"), ("uint256", "(address,bytes)[]", "uint256", PERSON_SIGNATURE_TYPE), ()
)
_ENACT = Function("enact", bytes.fromhex("5004306f"), ("uint256", "(address,bytes)[]"), ())
_ANNOUNCE_SIGNED = Function("announce_signed", bytes.fromhex("235f5fbb"), ("bytes",), ("uint256",))
_SUCCEED_MANAGER = Function("succeed_manager", bytes.fromhex("a9514d34"), ("address",), ("uint256",))
_SUCCEED_COMMITTEE = Function("succeed_committee", bytes.fromhex("ea9a51ac"), ("address",), ("uint256",))
_REVOKE_GATEWAY_KEY = Function("revoke_gateway_key", bytes.fromhex("14f63f3d"), ("bytes32",), ())
_REVOKE_ROLE = Function("revoke_role", bytes.fromhex("4ed8fe2b"), ("bytes32", "address"), ())
_SITE = Function("site", bytes.fromhex("e0d370ac"), (), ("bytes32",))
_WITNESS_DELAY = Function("witness_delay", bytes.fromhex("83b32c00"), (), ("uint256",))
_RECOVERY_DELAY = Function("recovery_delay", bytes.fromhex("7f337784"), (), ("uint256",))
_BATCH = Function("batch", bytes.fromhex("0eaa75fe"), ("uint256",), ("(bytes32,uint256,uint256,bool,uint256)",))
_HAS_ROLE = Function("has_role", bytes.fromhex("7240d9ff"), ("bytes32", "address"), ("bool",))
_KEY_IN_FORCE = Function("key_in_force", bytes.fromhex("9a55c45a"), ("bytes32",), ("(uint256,uint256)",))
_GATEWAY_KEY = Function(
    "gateway_key", bytes.fromhex("0b7466ab"), ("bytes32", "bytes32"), ("(uint256,uint256,uint256)",)
)
_ASSIGNMENT = Function(
    "assignment", bytes.fromhex("c1e417b1"), ("bytes32", "uint256"), ("(bytes32,uint256,uint256,uint256)",)
)
_IS_ASSIGNED = Function("is_assigned", bytes.fromhex("8c8470a5"), ("bytes32", "bytes32", "uint256"), ("bool",))
_MANAGER = Function("manager", bytes.fromhex("481c6a75"), (), ("address",))
_COMMITTEE = Function("committee", bytes.fromhex("d864e740"), (), ("address",))
_PARTIES_ENACTING = Function("parties_enacting", bytes.fromhex("57a90993"), (), ("uint256",))
_BATCH_COUNT = Function("batch_count", bytes.fromhex("8fae7b6d"), (), ("uint256",))
_GATEWAYS_ADDED = Function("gateways_added", bytes.fromhex("2fc21f8e"), ("uint256",), ("uint256",))
_ASSIGNMENT_COUNT = Function("assignment_count", bytes.fromhex("967dead2"), ("bytes32",), ("uint256",))
_CONTRACT_NAMED = Function("contract_named", bytes.fromhex("373cdfb4"), ("bytes32",), ("address",))
_IS_MEMBER = Function("is_member", bytes.fromhex("b0c90f90"), ("address",), ("bool",))
_SUCCESSOR = Function("successor", bytes.fromhex("759c4d66"), ("address",), ("address",))


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch's state."""

    calls_digest: bytes  # Keccak-256 of the ABI encoding of the calls
    parties: int  # 1 manager, 2 committee, 3 both, 4 a person whose signature a contract verified
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
class Assignment:
    """The range of a log's indexes in which a device's entries count."""

    origin_id: bytes
    first_index: int
    last_index: int  # 2^48 - 1 while open
    block: int


def deploy(
    bytecode: bytes,
    *,
    site: bytes,
    manager: str,
    committee: str,
    witness_delay: int,
    recovery_delay: int,
    verifier: str,
    contracts: Mapping[str, str],
) -> bytes:
    """Creation data: the compiled bytecode with its constructor's arguments.

    Args:
        contracts: addresses of the site's other contracts by name (`roll`, `anchor_log`), as the deployer's next
            nonces give them.
    """
    arguments = encode_arguments(
        "Registry",
        ("bytes32", "address", "address", "uint256", "uint256", "address", "(bytes32,address)[]"),
        (
            site,
            manager,
            committee,
            witness_delay,
            recovery_delay,
            verifier,
            [(padded(name), address) for name, address in contracts.items()],
        ),
    )
    return bytecode + arguments


def announce(to: str, *, calls: Sequence[Call]) -> Call:
    """Put a batch of inner calls before the public. Manager or committee; the other one approves.

    Args:
        calls: Calls to inner functions of this contract or of others in the directory.
    """
    return _ANNOUNCE.call(to, [(call.to, call.data) for call in calls])


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


def veto_signed(to: str, *, number: int, calls: Sequence[Call], call_index: int, signature: PersonSignature) -> Call:
    """A present key of the unit, or of the crew member, that a call concerns stops that call. Anyone may relay it.

    Args:
        calls: The announced calls; a call concerns whoever's alias is its first argument. Crews knows the keys of those
            whom its own calls concern, the Roll all others.
    """
    return _VETO_SIGNED.call(to, number, [(call.to, call.data) for call in calls], call_index, signature.abi())


def enact(to: str, *, number: int, calls: Sequence[Call]) -> Call:
    """Carry out a batch whose delay is over, without the vetoed calls. Anyone may do it."""
    return _ENACT.call(to, number, [(call.to, call.data) for call in calls])


def announce_signed(to: str, *, data: bytes) -> Call:
    """A member contract announces a call to itself for which it verified a person's signature, such as the replacement
    of a key signed by that key. It takes effect after the witness delay.
    """
    return _ANNOUNCE_SIGNED.call(to, data)


def parse_announce_signed(result: bytes) -> int:
    """The result of `announce_signed`."""
    value: int = _ANNOUNCE_SIGNED.decode(result)[0]
    return value


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


def revoke_gateway_key(to: str, *, origin_id: bytes) -> Call:
    """Manager or committee ends a gateway's key in this block."""
    return _REVOKE_GATEWAY_KEY.call(to, origin_id)


def revoke_role(to: str, *, role: bytes, account: str) -> Call:
    """Manager or committee ends an office at once."""
    return _REVOKE_ROLE.call(to, role, account)


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


def manager(to: str) -> Call:
    """The manager's account."""
    return _MANAGER.call(to)


def parse_manager(result: bytes) -> str:
    """The result of `manager`."""
    value: str = _MANAGER.decode(result)[0]
    return value


def parties_enacting(to: str) -> Call:
    """Who stands behind the batch that runs, or ran last."""
    return _PARTIES_ENACTING.call(to)


def parse_parties_enacting(result: bytes) -> int:
    """The result of `parties_enacting`, as in `Batch.parties`."""
    value: int = _PARTIES_ENACTING.decode(result)[0]
    return value


def committee(to: str) -> Call:
    """The committee's account."""
    return _COMMITTEE.call(to)


def parse_committee(result: bytes) -> str:
    """The result of `committee`."""
    value: str = _COMMITTEE.decode(result)[0]
    return value


def batch_count(to: str) -> Call:
    """How many batches were ever announced."""
    return _BATCH_COUNT.call(to)


def parse_batch_count(result: bytes) -> int:
    """The result of `batch_count`."""
    value: int = _BATCH_COUNT.decode(result)[0]
    return value


def gateways_added(to: str, *, building: int) -> Call:
    """How many keys the gateways of a building were ever given: who enrols ghosts is seen here."""
    return _GATEWAYS_ADDED.call(to, building)


def parse_gateways_added(result: bytes) -> int:
    """The result of `gateways_added`."""
    value: int = _GATEWAYS_ADDED.decode(result)[0]
    return value


def assignment_count(to: str, *, device: bytes) -> Call:
    """How many ranges a device ever had."""
    return _ASSIGNMENT_COUNT.call(to, device)


def parse_assignment_count(result: bytes) -> int:
    """The result of `assignment_count`."""
    value: int = _ASSIGNMENT_COUNT.decode(result)[0]
    return value


def contract_named(to: str, *, name: bytes) -> Call:
    """The contract of the site under a name; zero if there is none."""
    return _CONTRACT_NAMED.call(to, name)


def parse_contract_named(result: bytes) -> str:
    """The result of `contract_named`."""
    value: str = _CONTRACT_NAMED.decode(result)[0]
    return value


def is_member(to: str, *, contract: str) -> Call:
    """Whether batches may call the contract and it may announce for a signer."""
    return _IS_MEMBER.call(to, contract)


def parse_is_member(result: bytes) -> bool:
    """The result of `is_member`."""
    value: bool = _IS_MEMBER.decode(result)[0]
    return value


def successor(to: str, *, old: str) -> Call:
    """The contract that follows an old one; zero if none was named."""
    return _SUCCESSOR.call(to, old)


def parse_successor(result: bytes) -> str:
    """The result of `successor`."""
    value: str = _SUCCESSOR.decode(result)[0]
    return value
