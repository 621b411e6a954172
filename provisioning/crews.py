"""Firms and the people who serve the building, as the calls that enrol them; and what of it the chain has already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256
from types import MappingProxyType

from contracts.abi import Call
from contracts.calls import crews, crews_changes
from contracts.calls.crews import Duty, Firm, Member
from contracts.person import KeyKind
from provisioning.batches import Change
from provisioning.errors import ChainSetupError
from provisioning.rpc import Rpc, RpcRefusedError
from provisioning.site import Site

__all__ = [
    "NOBODY_HELD",
    "EnrolledFirm",
    "EnrolledPerson",
    "HeldCrews",
    "crew_changes",
    "ends_at",
    "firms_of",
    "read_crews",
]

_PASSKEY_ORIGINS_MAX = 256  # relying.vy


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolledPerson:
    """Somebody with duties: a mechanic, an installer."""

    says: str
    alias: bytes
    public: bytes  # 64 bytes
    duties: Duty
    firm: int  # a firm's number; 0 for the site's own people
    licence_until: int  # Unix seconds
    rp_id_hash: bytes = bytes(32)  # SHA-256 of the host whose passkey it is; zero for a software key
    origin: str = ""  # https://HOST of that passkey; empty for a software key


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolledFirm:
    """A firm that serves the site."""

    number: int
    name: str  # as registered, with its credit code
    licence_until: int  # Unix seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldCrews:
    """What Crews holds of the firms and people that are asked about."""

    firms: Mapping[int, Firm]
    members: Mapping[bytes, Member]  # by alias
    origins: Sequence[tuple[bytes, str]]  # of passkeys, by their number: hash of the host, https://HOST
    spent: frozenset[bytes]  # aliases without a key, whose key once served: it never serves again


NOBODY_HELD = HeldCrews(firms=MappingProxyType({}), members=MappingProxyType({}), origins=(), spent=frozenset())
"""Fresh contracts."""


def ends_at(last_day: date) -> int:
    """Unix seconds at which a licence ends that holds through this day, by UTC."""
    return int((datetime.combine(last_day, time(), UTC) + timedelta(days=1)).timestamp())


def firms_of(site: Site) -> tuple[EnrolledFirm, ...]:
    """The firms whose registered name and licence the site file gives."""
    return tuple(
        EnrolledFirm(number=firm.number, name=firm.registered, licence_until=ends_at(firm.licence_until))
        for firm in site.firms
        if firm.registered is not None and firm.licence_until is not None
    )


def crew_changes(
    firms: Sequence[EnrolledFirm], people: Sequence[EnrolledPerson], to: str, held: HeldCrews = NOBODY_HELD
) -> list[Change]:
    """The calls that bring Crews from what it holds to these firms and people, in an order that works.

    Somebody who was ended on the chain, or whose key was, is left as he is: he comes back with a new phone's key.

    Raises:
        ChainSetupError: a firm's number is another firm's there.
    """
    origins = [*held.origins]
    changes = [change for firm in firms for change in _firm_changes(firm, to, held)]
    for person in people:
        passkey = (person.rp_id_hash, person.origin)
        if person.origin and passkey not in origins and not _is_over(person, held):
            call = crews_changes.set_relying_party(to, number=len(origins), rp_id_hash=passkey[0], origin=passkey[1])
            changes.append(Change(says=f"passkeys of {person.origin}", call=call))
            origins.append(passkey)
    for person in people:
        if not _is_over(person, held):
            changes += _person_changes(person, to, held, origins)
    return changes


def read_crews(
    rpc: Rpc, to: str, registry: str, firms: Sequence[EnrolledFirm], people: Sequence[EnrolledPerson]
) -> HeldCrews:
    """What Crews at address `to` holds of these firms and people in the newest block."""
    members = {person.alias: crews.parse_member(rpc.view(crews.member(to, alias=person.alias))) for person in people}
    keyless = [person for person in people if members[person.alias].duties and not any(members[person.alias].key_id)]
    return HeldCrews(
        firms={firm.number: crews.parse_firm(rpc.view(crews.firm(to, number=firm.number))) for firm in firms},
        members=members,
        origins=_origins(rpc, to),
        spent=frozenset(person.alias for person in keyless if not _would_take(rpc, _key_call(person, to, 0), registry)),
    )


def _origins(rpc: Rpc, to: str) -> list[tuple[bytes, str]]:
    found: list[tuple[bytes, str]] = []
    while len(found) < _PASSKEY_ORIGINS_MAX:
        party = crews.parse_relying_party(rpc.view(crews.relying_party(to, number=len(found))))
        if not any(party.rp_id_hash):
            break
        found.append((party.rp_id_hash, party.origin))
    return found


def _would_take(rpc: Rpc, call: Call, registry: str) -> bool:
    """Whether Crews would take a key now, were it enacted: a key that once served is known to it alone."""
    fields = {"from": registry, "to": call.to, "data": "0x" + call.data.hex()}
    try:
        rpc.call("eth_call", [fields, "latest"])
    except RpcRefusedError as error:
        if "key was used before" in str(error):
            return False
    return True


def _firm_changes(firm: EnrolledFirm, to: str, held: HeldCrews) -> list[Change]:
    digest, known = sha256(firm.name.encode()).digest(), held.firms.get(firm.number)
    if known is not None and known.exists and known.name_digest != digest:
        raise ChainSetupError(
            f"firm {firm.number} is not {firm.name!r} on the chain; give it a number that was never used, "
            "or correct `registered` in the site file"
        )
    if known is not None and known.exists and known.licence_until == firm.licence_until:
        return []
    call = crews_changes.set_firm(to, firm=firm.number, name_digest=digest, licence_until=firm.licence_until)
    return [Change(says=f"firm {firm.name}", call=call)]


def _is_over(person: EnrolledPerson, held: HeldCrews) -> bool:
    member = held.members.get(person.alias)
    return member is not None and member.exists and (not member.duties or person.alias in held.spent)


def _person_changes(
    person: EnrolledPerson, to: str, held: HeldCrews, origins: Sequence[tuple[bytes, str]]
) -> list[Change]:
    member = held.members.get(person.alias)
    changes: list[Change] = []
    wanted = (person.firm, person.duties, person.licence_until)
    if member is None or (member.firm, member.duties, member.licence_until) != wanted:
        call = crews_changes.set_member(
            to, alias=person.alias, firm=person.firm, duties=person.duties, licence_until=person.licence_until
        )
        changes.append(Change(says=person.says, call=call))
    if member is None or not any(member.key_id):
        number = origins.index((person.rp_id_hash, person.origin)) if person.origin else 0
        changes.append(Change(says=f"key of {person.says}", call=_key_call(person, to, number)))
    return changes


def _key_call(person: EnrolledPerson, to: str, origin_number: int) -> Call:
    return crews_changes.add_crew_key(
        to,
        alias=person.alias,
        x=int.from_bytes(person.public[:32]),
        y=int.from_bytes(person.public[32:]),
        kind=KeyKind.WEBAUTHN if person.origin else KeyKind.SOFTWARE,
        relying_party=origin_number,
    )
