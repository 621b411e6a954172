"""Crews: firms with their licences and the people who serve the building (Crews.vy).

The calls that only an enacted batch may make stand in `crews_changes`.
"""

from dataclasses import dataclass
from enum import IntFlag

from contracts.abi import Call, Function, encode_arguments
from contracts.calls.roll import PersonKey, RelyingParty
from contracts.person import PERSON_SIGNATURE_TYPE, PersonSignature

_ROTATE_CREW_KEY = Function(
    "rotate_crew_key",
    bytes.fromhex("05f3f31b"),
    ("uint256", "uint256", "uint256", "uint256", PERSON_SIGNATURE_TYPE),
    ("uint256",),
)
_REVOKE_CREW_KEY = Function("revoke_crew_key", bytes.fromhex("7d3acd10"), (PERSON_SIGNATURE_TYPE,), ())
_END_MEMBER = Function("end_member", bytes.fromhex("2f41d674"), ("bytes32",), ())
_END_FIRM = Function("end_firm", bytes.fromhex("3a3591f2"), ("uint256",), ())
_FIRM = Function("firm", bytes.fromhex("35fd6fd9"), ("uint256",), ("(bool,uint256,bytes32)",))
_MEMBER = Function(
    "member", bytes.fromhex("126d66fd"), ("bytes32",), ("(uint256,uint256,uint256,uint256,bool,bytes32)",)
)
_CREW_KEY = Function(
    "crew_key",
    bytes.fromhex("74ae6981"),
    ("bytes32",),
    ("(bytes32,uint256,uint256,uint256,uint256,uint256,uint256,bytes32,string,uint256)",),
)
_CREW_KEY_OF = Function(
    "crew_key_of",
    bytes.fromhex("d5f1ae16"),
    ("bytes32",),
    ("(bytes32,uint256,uint256,uint256,uint256,uint256,uint256,bytes32,string,uint256)",),
)
_CREW_COMMITMENT = Function(
    "crew_commitment", bytes.fromhex("981b1125"), ("bytes32", "uint256"), ("bytes32", "uint256")
)
_PERSON_KEY = Function(
    "person_key", bytes.fromhex("f0e005e1"), ("bytes32",), ("(bytes32,uint256,uint256,uint256,uint256,bytes32,string)",)
)
_KEY_ON_DUTY = Function(
    "key_on_duty",
    bytes.fromhex("54004ddc"),
    ("bytes32", "uint256"),
    ("(bytes32,uint256,uint256,uint256,uint256,bytes32,string)",),
)
_ADDITIONS = Function("additions", bytes.fromhex("17f0372a"), (), ("(uint256,uint256,uint256)",))
_RELYING_PARTY = Function("relying_party", bytes.fromhex("3c4cb20d"), ("uint256",), ("(bytes32,string)",))


class Duty(IntFlag):
    """What a person may do for the site."""

    MECHANIC = 1
    SITE_MANAGER = 2
    INSTALLER = 4
    RETURNING_OFFICER = 8
    CASHIER = 16


@dataclass(frozen=True, slots=True)
class Firm:
    """A firm that serves the site, or did."""

    exists: bool
    licence_until: int  # Unix seconds
    name_digest: bytes


@dataclass(frozen=True, slots=True)
class Member:
    """A person with duties, in force or not."""

    firm: int  # 0 for those whom the site itself employs
    duties: int  # bits: see `Duty`
    licence_until: int  # Unix seconds
    since: int  # Unix seconds of the present key
    exists: bool
    key_id: bytes  # zero while no key is in force


@dataclass(frozen=True, slots=True)
class CrewKey:
    """What a contract needs of a serving person's key; `alias` is zero when it is not in force."""

    alias: bytes
    firm: int
    duties: int
    licence_until: int  # Unix seconds; the earlier one of the person's and the firm's
    x: int
    y: int
    kind: int
    rp_id_hash: bytes
    origin: str
    since: int


@dataclass(frozen=True, slots=True)
class Counts:
    """What ever joined."""

    firms: int
    members: int
    keys: int


def deploy(bytecode: bytes, *, registry: str, verifier: str) -> bytes:
    """Creation data: the compiled bytecode with its constructor's arguments."""
    return bytecode + encode_arguments("Crews", ("address", "address"), (registry, verifier))


def rotate_crew_key(to: str, *, x: int, y: int, kind: int, relying_party: int, signature: PersonSignature) -> Call:
    """A person replaces the key, signed by the key replaced. Anyone may relay it; it takes effect after the delay."""
    return _ROTATE_CREW_KEY.call(to, x, y, kind, relying_party, signature.abi())


def parse_rotate_crew_key(result: bytes) -> int:
    """The result of `rotate_crew_key`."""
    value: int = _ROTATE_CREW_KEY.decode(result)[0]
    return value


def revoke_crew_key(to: str, *, signature: PersonSignature) -> Call:
    """A person's key ends itself, for a lost telephone. Anyone may relay it."""
    return _REVOKE_CREW_KEY.call(to, signature.abi())


def end_member(to: str, *, alias: bytes) -> Call:
    """Manager or committee ends a person's duties and key at once."""
    return _END_MEMBER.call(to, alias)


def end_firm(to: str, *, firm: int) -> Call:
    """Manager or committee ends a firm's licence at once; with it those of its people."""
    return _END_FIRM.call(to, firm)


def firm(to: str, *, number: int) -> Call:
    """A firm that serves the site, or did."""
    return _FIRM.call(to, number)


def parse_firm(result: bytes) -> Firm:
    """The result of `firm`."""
    return Firm(*_FIRM.decode(result)[0])


def member(to: str, *, alias: bytes) -> Call:
    """A person with duties, in force or not."""
    return _MEMBER.call(to, alias)


def parse_member(result: bytes) -> Member:
    """The result of `member`."""
    return Member(*_MEMBER.decode(result)[0])


def crew_key(to: str, *, key_id: bytes) -> Call:
    """All that a contract needs of a person's key; `alias` is zero when it is not in force."""
    return _CREW_KEY.call(to, key_id)


def parse_crew_key(result: bytes) -> CrewKey:
    """The result of `crew_key`."""
    return CrewKey(*_CREW_KEY.decode(result)[0])


def crew_key_of(to: str, *, alias: bytes) -> Call:
    """The same by the person's alias, which is cheaper; whoever asks compares SHA-256(x || y) with the signature."""
    return _CREW_KEY_OF.call(to, alias)


def parse_crew_key_of(result: bytes) -> CrewKey:
    """The result of `crew_key_of`."""
    return CrewKey(*_CREW_KEY_OF.decode(result)[0])


def crew_commitment(to: str, *, alias: bytes, firm: int) -> Call:
    """One hash over all that makes a person's key count in this firm, and until when the firm is licensed."""
    return _CREW_COMMITMENT.call(to, alias, firm)


def parse_crew_commitment(result: bytes) -> tuple[bytes, int]:
    """The result of `crew_commitment`; the hash is zero while no key is in force."""
    commitment, licence_until = _CREW_COMMITMENT.decode(result)
    return commitment, licence_until


def person_key(to: str, *, key_id: bytes) -> Call:
    """For vetoes: a person's key in force, with the alias where an owner's has the unit."""
    return _PERSON_KEY.call(to, key_id)


def parse_person_key(result: bytes) -> PersonKey:
    """The result of `person_key`."""
    return PersonKey(*_PERSON_KEY.decode(result)[0])


def key_on_duty(to: str, *, key_id: bytes, duty: int) -> Call:
    """The same for who signs in a duty: zeros unless the person has it and a licence that has not ended."""
    return _KEY_ON_DUTY.call(to, key_id, duty)


def parse_key_on_duty(result: bytes) -> PersonKey:
    """The result of `key_on_duty`."""
    return PersonKey(*_KEY_ON_DUTY.decode(result)[0])


def additions(to: str) -> Call:
    """Firms, people and keys that ever joined: who enrols ghosts is seen here."""
    return _ADDITIONS.call(to)


def parse_additions(result: bytes) -> Counts:
    """The result of `additions`."""
    return Counts(*_ADDITIONS.decode(result)[0])


def relying_party(to: str, *, number: int) -> Call:
    """A web origin whose passkeys count."""
    return _RELYING_PARTY.call(to, number)


def parse_relying_party(result: bytes) -> RelyingParty:
    """The result of `relying_party`."""
    return RelyingParty(*_RELYING_PARTY.decode(result)[0])
