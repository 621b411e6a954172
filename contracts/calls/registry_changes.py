"""What the Registry takes from an enacted batch alone: inner calls, to be announced with `registry.announce`.

Manager and committee put them in a batch: one announces it, the other approves it, and after the delay
anyone enacts it with the same bytes. A batch holds up to 32 calls, each of a selector and at most 32 words; other
contracts of the site have inner calls of their own (`roll_changes`, `crews_changes`, `bindings_changes`).
"""

from collections.abc import Sequence

from contracts.abi import Call, Function

CALLS_MAX = 32
CALL_BYTES_MAX = 1028
DEVICES_MAX = 28  # devices that fit into one assign_devices

_SET_MANAGER = Function("set_manager", bytes.fromhex("9aece83e"), ("address",), ())
_SET_COMMITTEE = Function("set_committee", bytes.fromhex("4dfb9036"), ("address",), ())
_SET_ROLE = Function("set_role", bytes.fromhex("3cc44821"), ("bytes32", "address"), ())
_SET_GATEWAY_KEY = Function(
    "set_gateway_key", bytes.fromhex("3714bb03"), ("string", "uint256", "uint256", "uint256", "uint256"), ()
)
_ASSIGN_DEVICES = Function("assign_devices", bytes.fromhex("ed84f0fe"), ("bytes32", "uint256", "bytes32[]"), ())
_END_ASSIGNMENT = Function("end_assignment", bytes.fromhex("883fe1fc"), ("bytes32", "uint256"), ())
_NAME_CONTRACT = Function("name_contract", bytes.fromhex("7d9dd129"), ("bytes32", "address"), ())


def set_manager(to: str, *, manager: str) -> Call:
    """The site's next manager."""
    return _SET_MANAGER.call(to, manager)


def set_committee(to: str, *, committee: str) -> Call:
    """The site's next committee."""
    return _SET_COMMITTEE.call(to, committee)


def set_role(to: str, *, role: bytes, account: str) -> Call:
    """Give an office: operator, cashier, registrar, tariffs, arbiter."""
    return _SET_ROLE.call(to, role, account)


def set_gateway_key(to: str, *, origin: str, x: int, y: int, key_class: int, building: int) -> Call:
    """A gateway's first or next key. The key before it ends one block earlier.

    Args:
        building: Where it stands; the keys that a building's gateways were given are counted in public.
    """
    return _SET_GATEWAY_KEY.call(to, origin, x, y, key_class, building)


def assign_devices(to: str, *, origin_id: bytes, first_index: int, devices: Sequence[bytes]) -> Call:
    """From this index on, the devices write to the gateway's log."""
    return _ASSIGN_DEVICES.call(to, origin_id, first_index, list(devices))


def end_assignment(to: str, *, device: bytes, last_index: int) -> Call:
    """The device's last entry in its present log."""
    return _END_ASSIGNMENT.call(to, device, last_index)


def name_contract(to: str, *, name: bytes, at: str) -> Call:
    """A contract of the site under its name. The one that had the name before gets it as its successor; contracts
    themselves never change.
    """
    return _NAME_CONTRACT.call(to, name, at)
