"""The visit record: who did which maintenance at which device and when, as its crew signs it and its gateway logs it.

The record's 352 bytes are the Solidity ABI encoding of a static struct of eleven words, so that Python, JavaScript and
Vyper hash the same bytes. Its digest is the detail word of the gateway's visit entry (kind 4) and the body digest of
every signature under the visit. It holds digests and aliases only: no place, no name, no photograph.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256
from types import MappingProxyType
from typing import Any

from contracts.abi import decode_values, encode_arguments
from contracts.errors import ContractsError
from contracts.fields import Fields, parse_json

FORMAT = "minglou-visit/1"
VISIT_BYTES = 352
SALT_BYTES = 16
NOBODY = bytes(32)
TIME_END_S = 2**40
SECONDS_MAX = 86_400  # one visit is one day's work at most; a longer job is several visits
FILE_BYTES_MAX = 4096
RECORD_TYPES = (
    "bytes32", "bytes32", "uint256", "bytes32", "uint256", "uint256", "bytes32", "bytes32[2]", "bytes32", "bytes32"
)  # fmt: skip
RECORD_TYPE = f"({','.join(RECORD_TYPES)})"


class VisitError(ContractsError):
    """A visit record breaks a rule of its format; it would be refused by gateway and contract."""


class VisitClass(IntEnum):
    """What a visit is, after the four cumulative maintenance classes of TSG T5002-2017; each holds the lower."""

    REPAIR = 0
    HALF_MONTH = 1
    QUARTER = 2
    HALF_YEAR = 3
    YEAR = 4


CLASS_NAMES: Mapping[VisitClass, str] = MappingProxyType(
    {
        VisitClass.REPAIR: "repair",
        VisitClass.HALF_MONTH: "half-month",
        VisitClass.QUARTER: "quarter",
        VisitClass.HALF_YEAR: "half-year",
        VisitClass.YEAR: "year",
    }
)
"""How files and pages' addresses name a class."""

_CLASS_OF = {name: visit_class for visit_class, name in CLASS_NAMES.items()}
_KEYS = (
    "format", "device", "plan", "class", "checklist", "started_at", "ended_at", "presence", "mechanics", "manager",
    "salt",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One visit as its crew signs it."""

    device: bytes  # SHA-256 of the device's URN
    plan: bytes  # SHA-256 of the data pack whose checklists it follows
    visit_class: VisitClass
    checklist: bytes  # SHA-256 of the canonical JSON of the filled list with its photographs' hashes
    started_at_s: int  # Unix seconds, when the crew signed in at the device
    ended_at_s: int  # Unix seconds, when it signed out
    presence: bytes  # SHA-256 of the presence proof, zero if there is none
    mechanics: tuple[bytes, ...]  # one or two aliases, in the order of their signatures
    manager: bytes  # alias of the site manager who counter-signs, `NOBODY` if none
    salt: bytes  # 16 random bytes: the digest tells nothing to who does not hold the record

    def __post_init__(self) -> None:
        words = (self.device, self.plan, self.checklist, self.presence, self.manager, *self.mechanics)
        if any(len(word) != 32 for word in words) or len(self.salt) != SALT_BYTES:
            raise VisitError(f"visit: digests and aliases have 32 bytes, the salt has {SALT_BYTES}")
        if self.visit_class not in VisitClass.__members__.values():
            raise VisitError(f"visit: class {self.visit_class} is not one of 0 to {max(VisitClass)}")
        if NOBODY in (self.device, self.plan, self.checklist):
            raise VisitError("visit: device, plan and checklist are never zero")
        _check_times(self.started_at_s, self.ended_at_s)
        _check_people(self.mechanics, self.manager)

    def encode(self) -> bytes:
        """The 352 bytes of the record."""
        return encode_arguments("visit", RECORD_TYPES, self.abi())

    def digest(self) -> bytes:
        """SHA-256 of the record: the visit's name, in the gateway's entry and under every signature."""
        return sha256(self.encode()).digest()

    def abi(self) -> tuple[Any, ...]:
        """The fields in the contract's order."""
        mechanics = (self.mechanics[0], self.mechanics[1] if len(self.mechanics) == 2 else NOBODY)
        return (
            self.device, self.plan, int(self.visit_class), self.checklist, self.started_at_s, self.ended_at_s,
            self.presence, mechanics, self.manager, self.salt.ljust(32, b"\0"),
        )  # fmt: skip


def decode_visit(encoded: bytes) -> Visit:
    """The visit that these 352 bytes are the canonical encoding of.

    Raises:
        VisitError: another length, a byte that the encoding keeps zero, or a record that breaks a rule.
    """
    if len(encoded) != VISIT_BYTES:
        raise VisitError(f"visit: {len(encoded)} bytes; a record has {VISIT_BYTES}")
    device, plan, visit_class, checklist, started, ended, presence, mechanics, manager, salt = decode_values(
        "visit", RECORD_TYPES, encoded
    )
    if any(salt[SALT_BYTES:]):
        raise VisitError(f"visit: the salt's last {32 - SALT_BYTES} bytes are not zero")
    return Visit(
        device=device, plan=plan, visit_class=_class_numbered(visit_class), checklist=checklist, started_at_s=started,
        ended_at_s=ended, presence=presence, mechanics=mechanics if any(mechanics[1]) else mechanics[:1],
        manager=manager, salt=salt[:SALT_BYTES],
    )  # fmt: skip


def format_visit(visit: Visit) -> bytes:
    """The record as a JSON file; `parse_visit` reads it back."""
    return (json.dumps(visit_to_json(visit), indent=1) + "\n").encode()


def visit_to_json(visit: Visit) -> dict[str, Any]:
    """The record's JSON object, to stand in a file or within a message."""
    return {
        "format": FORMAT,
        "device": visit.device.hex(),
        "plan": visit.plan.hex(),
        "class": CLASS_NAMES[visit.visit_class],
        "checklist": visit.checklist.hex(),
        "started_at": visit.started_at_s,
        "ended_at": visit.ended_at_s,
        "presence": visit.presence.hex(),
        "mechanics": [alias.hex() for alias in visit.mechanics],
        "manager": visit.manager.hex(),
        "salt": visit.salt.hex(),
    }


def parse_visit(encoded: bytes) -> Visit:
    """The visit of a JSON file, laid out as people like.

    Raises:
        VisitError: over 4 KB, not JSON, a field missing, unknown or misspelt, or a record that breaks a rule.
    """
    return visit_from_json(parse_json(encoded, length_max=FILE_BYTES_MAX, what="visit file", refuse=VisitError))


def visit_from_json(value: object, *, place: str = "") -> Visit:
    """The visit of a JSON object.

    Args:
        place: where the object stands, for messages; "" is the file itself.

    Raises:
        VisitError: a field missing, unknown or misspelt, or a record that breaks a rule.
    """
    fields = Fields(value, place=place, keys=_KEYS, refuse=VisitError)
    fields.choice("format", (FORMAT,))
    return Visit(
        device=fields.octets("device", 32),
        plan=fields.octets("plan", 32),
        visit_class=_CLASS_OF[fields.choice("class", tuple(_CLASS_OF))],
        checklist=fields.octets("checklist", 32),
        started_at_s=fields.integer("started_at"),
        ended_at_s=fields.integer("ended_at"),
        presence=fields.octets("presence", 32),
        mechanics=fields.octets_list("mechanics", 32, 2),
        manager=fields.octets("manager", 32),
        salt=fields.octets("salt", SALT_BYTES),
    )


def _class_numbered(number: int) -> VisitClass:
    try:
        return VisitClass(number)
    except ValueError as error:
        raise VisitError(f"visit: class {number} is not one of 0 to {max(VisitClass)}") from error


def _check_times(started_at_s: int, ended_at_s: int) -> None:
    if not 0 < started_at_s <= ended_at_s < TIME_END_S:
        raise VisitError(f"visit: from {started_at_s} to {ended_at_s} s is no stretch of time; check the phone's clock")
    if ended_at_s - started_at_s > SECONDS_MAX:
        raise VisitError(f"visit: {ended_at_s - started_at_s} s from start to end; a visit lasts at most {SECONDS_MAX}")


def _check_people(mechanics: tuple[bytes, ...], manager: bytes) -> None:
    if not 1 <= len(mechanics) <= 2 or NOBODY in mechanics:
        raise VisitError(f"visit: {len(mechanics)} mechanics, or one without an alias; a record names one or two")
    if len({*mechanics, manager}) != len(mechanics) + 1:
        raise VisitError("visit: one person stands twice; two mechanics and the site manager are different people")
