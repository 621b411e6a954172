"""Bindings: whom a meter counts for, and who signed for it (Bindings.vy).

The calls that only an enacted batch may make stand in `bindings_changes`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from contracts.abi import Call, Function, encode_arguments
from contracts.person import PERSON_SIGNATURE_TYPE, PersonSignature

ROLE_OWN = 1  # the device counts for one unit
ROLE_POOL = 2  # the device counts for a pool that several share
BINDINGS_MAX = 32  # bindings that one signature or one call of the committee names

_ATTEST = Function("attest", bytes.fromhex("ee773fb5"), ("bytes32[]", "uint256[]", PERSON_SIGNATURE_TYPE), ())
_CONFIRM = Function("confirm", bytes.fromhex("9b11fd09"), ("bytes32", "uint256", PERSON_SIGNATURE_TYPE), ())
_CONTEST = Function("contest", bytes.fromhex("6f133743"), ("bytes32", "uint256", PERSON_SIGNATURE_TYPE), ())
_CONFIRM_AS_COMMITTEE = Function("confirm_as_committee", bytes.fromhex("cafa17ec"), ("bytes32[]", "uint256[]"), ())
_SWAP_SIGNED = Function(
    "swap_signed",
    bytes.fromhex("867c62cf"),
    ("(bytes32,bytes32,bytes32,uint256,bytes32,bytes32)", PERSON_SIGNATURE_TYPE, PERSON_SIGNATURE_TYPE),
    ("uint256",),
)
_SWAP_AS_COMMITTEE = Function(
    "swap_as_committee",
    bytes.fromhex("2ddc8652"),
    ("(bytes32,bytes32,bytes32,uint256,bytes32,bytes32)", PERSON_SIGNATURE_TYPE),
    ("uint256",),
)
_BINDING = Function(
    "binding",
    bytes.fromhex("dea0a934"),
    ("bytes32", "uint256"),
    ("(bytes32,bytes32,uint256,uint256,uint256,uint256,bool)",),
)
_IS_BOUND = Function(
    "is_bound", bytes.fromhex("5ecd5ee9"), ("bytes32", "bytes32", "uint256", "uint256", "uint256"), ("bool",)
)
_BINDING_COUNT = Function("binding_count", bytes.fromhex("fcdfc859"), ("bytes32",), ("uint256",))


class Confirmed(IntEnum):
    """Who stands behind a binding beside the installer."""

    NO = 0
    OWNER = 1
    COMMITTEE = 2
    CONTESTED = 3


@dataclass(frozen=True, slots=True)
class Binding:
    """Which unit or pool a device counts for, and from when to when."""

    subject: bytes
    commitment: bytes
    role: int  # 1 own, 2 pool
    from_date: int  # boundary date YYYYMMDD
    to_date: int  # 0 while open
    confirmed: int  # see `Confirmed`
    attested: bool  # an installer signed the commitment


@dataclass(frozen=True, slots=True, kw_only=True)
class Swap:
    """One meter follows another for the same unit or pool."""

    subject: bytes
    old_device: bytes
    new_device: bytes
    date: int  # boundary date YYYYMMDD
    closing: bytes  # commitment of the old device's binding, with its last day and register
    opening: bytes  # commitment of the new device's binding

    def abi(self) -> tuple[bytes, bytes, bytes, int, bytes, bytes]:
        """The fields in the contract's order."""
        return (self.subject, self.old_device, self.new_device, self.date, self.closing, self.opening)


def deploy(bytecode: bytes, *, registry: str, verifier: str) -> bytes:
    """Creation data: the compiled bytecode with its constructor's arguments."""
    return bytecode + encode_arguments("Bindings", ("address", "address"), (registry, verifier))


def attest(to: str, *, devices: Sequence[bytes], numbers: Sequence[int], signature: PersonSignature) -> Call:
    """An installer signs what stands at the meters: the commitments of these bindings."""
    return _ATTEST.call(to, list(devices), list(numbers), signature.abi())


def confirm(to: str, *, device: bytes, number: int, signature: PersonSignature) -> Call:
    """The owner confirms that this meter counts for the unit."""
    return _CONFIRM.call(to, device, number, signature.abi())


def contest(to: str, *, device: bytes, number: int, signature: PersonSignature) -> Call:
    """The owner disputes that this meter counts for the unit."""
    return _CONTEST.call(to, device, number, signature.abi())


def confirm_as_committee(to: str, *, devices: Sequence[bytes], numbers: Sequence[int]) -> Call:
    """The committee confirms: for pools, and for units whose owner is silent."""
    return _CONFIRM_AS_COMMITTEE.call(to, list(devices), list(numbers))


def swap_signed(to: str, *, swap: Swap, installer: PersonSignature, owner: PersonSignature) -> Call:
    """A unit's meter is replaced, signed by the installer and by the owner. It takes effect after the delay."""
    return _SWAP_SIGNED.call(to, swap.abi(), installer.abi(), owner.abi())


def parse_swap_signed(result: bytes) -> int:
    """The result of `swap_signed`."""
    value: int = _SWAP_SIGNED.decode(result)[0]
    return value


def swap_as_committee(to: str, *, swap: Swap, installer: PersonSignature) -> Call:
    """A pool's meter is replaced, signed by the installer and sent by the committee."""
    return _SWAP_AS_COMMITTEE.call(to, swap.abi(), installer.abi())


def parse_swap_as_committee(result: bytes) -> int:
    """The result of `swap_as_committee`."""
    value: int = _SWAP_AS_COMMITTEE.decode(result)[0]
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


def binding_count(to: str, *, device: bytes) -> Call:
    """How many bindings a device ever had."""
    return _BINDING_COUNT.call(to, device)


def parse_binding_count(result: bytes) -> int:
    """The result of `binding_count`."""
    value: int = _BINDING_COUNT.decode(result)[0]
    return value
