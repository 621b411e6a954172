"""The Registry's inner calls: what a batch is made of.

Manager and committee announce and approve a batch of these (`registry.announce`, `registry.approve`); after the delay
anyone enacts it with the same bytes. A batch holds up to 32 calls of at most 1,024 bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from contracts.abi import Function

CALLS_MAX = 32
CALL_BYTES_MAX = 1024
UNITS_MAX = 9  # units that fit into one add_units
DEVICES_MAX = 28  # devices that fit into one assign_devices

_SET_MANAGER = Function("set_manager", bytes.fromhex("9aece83e"), ("address",), ())
_SET_COMMITTEE = Function("set_committee", bytes.fromhex("4dfb9036"), ("address",), ())
_SET_ROLE = Function("set_role", bytes.fromhex("3cc44821"), ("bytes32", "address"), ())
_SET_RELYING_PARTY = Function("set_relying_party", bytes.fromhex("da630a65"), ("uint256", "bytes32", "string"), ())
_SET_GATEWAY_KEY = Function(
    "set_gateway_key", bytes.fromhex("04f2259a"), ("string", "uint256", "uint256", "uint256"), ()
)
_ADD_UNITS = Function("add_units", bytes.fromhex("7d163277"), ("(bytes32,uint256,uint256)[]",), ())
_ADD_POOL = Function("add_pool", bytes.fromhex("8eb8ad62"), ("bytes32",), ())
_ADD_OWNER_KEY = Function(
    "add_owner_key", bytes.fromhex("7eae502e"), ("bytes32", "uint256", "uint256", "uint256", "uint256", "bytes32"), ()
)
_REPLACE_OWNER_KEY = Function(
    "replace_owner_key",
    bytes.fromhex("89d095d1"),
    ("bytes32", "bytes32", "uint256", "uint256", "uint256", "uint256"),
    (),
)
_REMOVE_OWNER_KEY = Function("remove_owner_key", bytes.fromhex("5bbff709"), ("bytes32", "bytes32"), ())
_ASSIGN_DEVICES = Function("assign_devices", bytes.fromhex("ed84f0fe"), ("bytes32", "uint256", "bytes32[]"), ())
_END_ASSIGNMENT = Function("end_assignment", bytes.fromhex("883fe1fc"), ("bytes32", "uint256"), ())
_BIND = Function("bind", bytes.fromhex("466d5624"), ("bytes32", "bytes32", "uint256", "uint256", "bytes32"), ())
_END_BINDING = Function("end_binding", bytes.fromhex("f8a29edd"), ("bytes32", "bytes32", "uint256", "bytes32"), ())
_NAME_SUCCESSOR = Function("name_successor", bytes.fromhex("a24b3f14"), ("address", "address"), ())


@dataclass(frozen=True, slots=True, kw_only=True)
class NewUnit:
    """A unit that joins the roll; its index is the next one."""

    alias: bytes
    area_centi_m2: int  # floor area in 0.01 m2
    category: int = 0  # which tariffs apply: 0 residential

    def abi(self) -> tuple[bytes, int, int]:
        """The fields in the contract's order."""
        return (self.alias, self.area_centi_m2, self.category)


def set_manager(*, manager: str) -> bytes:
    """The site's next manager."""
    return _SET_MANAGER.encode(manager)


def set_committee(*, committee: str) -> bytes:
    """The site's next committee."""
    return _SET_COMMITTEE.encode(committee)


def set_role(*, role: bytes, account: str) -> bytes:
    """Give an office: operator, cashier, registrar, tariffs."""
    return _SET_ROLE.encode(role, account)


def set_relying_party(*, number: int, rp_id_hash: bytes, origin: str) -> bytes:
    """A web origin whose passkeys owners may register."""
    return _SET_RELYING_PARTY.encode(number, rp_id_hash, origin)


def set_gateway_key(*, origin: str, x: int, y: int, key_class: int) -> bytes:
    """A gateway's first or next key. The key before it ends one block earlier."""
    return _SET_GATEWAY_KEY.encode(origin, x, y, key_class)


def add_units(*, units: Sequence[NewUnit]) -> bytes:
    """Units in the order of the roll; each takes the next index."""
    return _ADD_UNITS.encode([unit.abi() for unit in units])


def add_pool(*, pool: bytes) -> bytes:
    """Usage that all units share by area."""
    return _ADD_POOL.encode(pool)


def add_owner_key(*, unit: bytes, x: int, y: int, kind: int, relying_party: int, letter_code: bytes) -> bytes:
    """An owner's key. The unit's first one needs the code of its activation letter."""
    return _ADD_OWNER_KEY.encode(unit, x, y, kind, relying_party, letter_code)


def replace_owner_key(*, unit: bytes, old_key_id: bytes, x: int, y: int, kind: int, relying_party: int) -> bytes:
    """The new key for the old one, which signed for it."""
    return _REPLACE_OWNER_KEY.encode(unit, old_key_id, x, y, kind, relying_party)


def remove_owner_key(*, unit: bytes, key_id: bytes) -> bytes:
    """End a key that its holder cannot end any more."""
    return _REMOVE_OWNER_KEY.encode(unit, key_id)


def assign_devices(*, origin_id: bytes, first_index: int, devices: Sequence[bytes]) -> bytes:
    """From this index on, the devices write to the gateway's log."""
    return _ASSIGN_DEVICES.encode(origin_id, first_index, list(devices))


def end_assignment(*, device: bytes, last_index: int) -> bytes:
    """The device's last entry in its present log."""
    return _END_ASSIGNMENT.encode(device, last_index)


def bind(*, subject: bytes, device: bytes, role: int, from_date: int, commitment: bytes) -> bytes:
    """From this day on the device counts for the unit (role 1) or the pool (role 2).

    Args:
        commitment: Salted digest over the binding with its opening register and photograph.
    """
    return _BIND.encode(subject, device, role, from_date, commitment)


def end_binding(*, subject: bytes, device: bytes, to_date: int, commitment: bytes) -> bytes:
    """The device no longer counts for the subject from this day on.

    Args:
        commitment: The same digest, with the closing day and register.
    """
    return _END_BINDING.encode(subject, device, to_date, commitment)


def name_successor(*, old: str, successor: str) -> bytes:
    """The contract that follows an old one; contracts themselves never change."""
    return _NAME_SUCCESSOR.encode(old, successor)
