"""What Bindings takes from an enacted batch alone: inner calls, to be announced with `registry.announce`."""

from contracts.abi import Call, Function
from contracts.calls.bindings import Swap

_BIND = Function("bind", bytes.fromhex("466d5624"), ("bytes32", "bytes32", "uint256", "uint256", "bytes32"), ())
_END_BINDING = Function("end_binding", bytes.fromhex("f8a29edd"), ("bytes32", "bytes32", "uint256", "bytes32"), ())
_SWAP_DEVICES = Function(
    "swap_devices",
    bytes.fromhex("f71b52ca"),
    ("(bytes32,bytes32,bytes32,uint256,bytes32,bytes32)", "bytes32", "uint256"),
    (),
)


def bind(to: str, *, subject: bytes, device: bytes, role: int, from_date: int, commitment: bytes) -> Call:
    """From this day on the device counts for the unit (role 1) or the pool (role 2).

    Args:
        commitment: Salted digest over the binding with its opening register and photograph.
    """
    return _BIND.call(to, subject, device, role, from_date, commitment)


def end_binding(to: str, *, subject: bytes, device: bytes, to_date: int, commitment: bytes) -> Call:
    """The device no longer counts for the subject from this day on.

    Args:
        commitment: The same digest, with the closing day and register.
    """
    return _END_BINDING.call(to, subject, device, to_date, commitment)


def swap_devices(to: str, *, swap: Swap, installer: bytes, confirmed: int) -> Call:
    """What `swap_signed` or `swap_as_committee` announced: both signatures have been given."""
    return _SWAP_DEVICES.call(to, swap.abi(), installer, confirmed)
