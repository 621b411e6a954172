"""Who serves the site: the people whose keys manager and committee enrol, `minglou-people/1` beside the names.

A person's key comes as the file that the phone showed. What is kept holds no person's name: an alias, a key, a firm's
number, duties, and words by which the two parties know whom they approve.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType

from contracts.calls.crews import Duty
from contracts.crew_key import CrewKeyError, NewCrewKey, parse_crew_key, verify_crew_key
from provisioning.crews import EnrolledPerson, ends_at
from provisioning.errors import KeyFileError, PersonRefusedError
from provisioning.files import write_private

__all__ = ["DUTIES", "add_person", "checked_key", "person_called", "read_people"]

DUTIES: Mapping[str, Duty] = MappingProxyType(
    {"mechanic": Duty.MECHANIC, "manager": Duty.SITE_MANAGER, "installer": Duty.INSTALLER}
)
_FORMAT = "minglou-people/1"
_SAYS_LENGTH_MAX = 64
_FIRM_MAX = 65_535  # as in the site file
_ALIAS_DIGITS_MIN = 8


def checked_key(encoded: bytes, host: str) -> NewCrewKey:
    """The key in a phone's file.

    Args:
        host: the site's public host; a passkey of another one could never sign here.

    Raises:
        PersonRefusedError: no such file, a proof that does not hold, or another host's passkey.
    """
    try:
        key = parse_crew_key(encoded)
        verify_crew_key(key)
    except CrewKeyError as error:
        raise PersonRefusedError(str(error)) from error
    if key.origin and (key.rp_id_hash, key.origin) != (sha256(host.encode()).digest(), f"https://{host}"):
        raise PersonRefusedError(
            f"the passkey is of {key.origin}, the site is {host}; make it on the crew's page of https://{host}"
        )
    return key


def add_person(
    path: Path, key: NewCrewKey, *, says: str, firm: int, duties: Duty, licence_until: date
) -> EnrolledPerson:
    """Put a person among those whom both parties enrol. The same key again renews licence, duties, firm and words.

    Args:
        licence_until: the last day, by UTC, on which the person's licence holds.

    Raises:
        PersonRefusedError: alias or key stand there for somebody else, or the firm's number or the words are none.
        KeyFileError: the file is damaged.
    """
    if not 0 <= firm <= _FIRM_MAX or not 0 < len(says) <= _SAYS_LENGTH_MAX or not says.isprintable():
        raise PersonRefusedError(
            f"firm {firm}, {says[:80]!r}: a firm is a number from 0 to {_FIRM_MAX}, "
            f"words have 1 to {_SAYS_LENGTH_MAX} characters"
        )
    person = EnrolledPerson(
        says=says, alias=key.alias, public=key.public, duties=duties, firm=firm, licence_until=ends_at(licence_until),
        rp_id_hash=key.rp_id_hash, origin=key.origin,
    )  # fmt: skip
    people = {known.alias: known for known in read_people(path)}
    for known in people.values():
        if (person.alias == known.alias) != (person.public == known.public):
            raise PersonRefusedError(
                f"alias or key stand there already for {known.says}; a new phone makes a new key and a new alias"
            )
    if people.get(person.alias) != person:
        _write_people(path, [*(people | {person.alias: person}).values()])
    return person


def person_called(people: Sequence[EnrolledPerson], name: str) -> EnrolledPerson:
    """The person whose alias begins with these hex digits, as `crew add` and `crew list` print it.

    Raises:
        PersonRefusedError: nobody, or several.
    """
    found = [person for person in people if person.alias.hex().startswith(name.lower())]
    if len(name) < _ALIAS_DIGITS_MIN or len(found) != 1:
        says = "too short, or several people's" if found else "nobody's"
        raise PersonRefusedError(
            f"alias {name[:64]!r} is {says}; give at least {_ALIAS_DIGITS_MIN} digits of what `crew list` prints"
        )
    return found[0]


def read_people(path: Path) -> tuple[EnrolledPerson, ...]:
    """Everybody who was added, in that order; nobody where there is no file. Raises `KeyFileError`."""
    if not path.exists():
        return ()
    try:
        document = json.loads(path.read_text("utf-8"))
        if document["format"] != _FORMAT:
            raise ValueError("another format")
        return tuple(_person(one) for one in document["people"])
    except (ValueError, KeyError, TypeError) as error:
        raise KeyFileError(
            f"{path}: is damaged ({error!r}); restore it from a backup, or add everybody anew"
        ) from error


def _person(one: Mapping[str, str | int]) -> EnrolledPerson:
    return EnrolledPerson(
        says=str(one["says"]), alias=bytes.fromhex(str(one["alias"])), public=bytes.fromhex(str(one["public"])),
        duties=Duty(int(one["duties"])), firm=int(one["firm"]), licence_until=int(one["licence_until"]),
        rp_id_hash=bytes.fromhex(str(one["rp_id_hash"])), origin=str(one["origin"]),
    )  # fmt: skip


def _write_people(path: Path, people: Sequence[EnrolledPerson]) -> None:
    document = {
        "format": _FORMAT,
        "people": [
            {
                "says": person.says,
                "alias": person.alias.hex(),
                "public": person.public.hex(),
                "duties": int(person.duties),
                "firm": person.firm,
                "licence_until": person.licence_until,
                "rp_id_hash": person.rp_id_hash.hex(),
                "origin": person.origin,
            }
            for person in people
        ],
    }
    write_private(path, json.dumps(document, indent=1, ensure_ascii=False).encode() + b"\n")
