"""`minglou provision crew`: the people who serve the building, their keys and their cards."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, date, datetime, timedelta
from getpass import getpass
from pathlib import Path

from contracts.visit import NOBODY
from provisioning.cards import TEST, give_card, read_cards
from provisioning.errors import PersonRefusedError
from provisioning.people import DUTIES, add_person, checked_key, person_called, read_people
from provisioning.settings import Places
from provisioning.site import read_site

__all__ = ["add_crew", "run_crew"]


def add_crew(words: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `crew add|list|card`."""
    crew = words.add_parser("crew", help="people who serve the building, and their keys")
    actions = crew.add_subparsers(dest="action", required=True, metavar="ACTION")
    add = actions.add_parser(
        "add", help="check a key that a phone showed, and put its person among those whom both parties enrol"
    )
    add.add_argument("key", type=Path, metavar="KEY", help="the file of the crew's app: minglou-crew-key/1")
    add.add_argument("file", type=Path, metavar="FILE", help="the site file")
    add.add_argument("--says", required=True, help="words for whoever approves it; no name of a person is needed")
    add.add_argument("--firm", type=int, required=True, help="the firm's number; 0 for the site's own people")
    add.add_argument("--duty", required=True, choices=sorted(DUTIES))
    add.add_argument("--licence-until", type=date.fromisoformat, required=True, metavar="YYYY-MM-DD")
    listed = actions.add_parser("list", help="who was added, by alias and words")
    card = actions.add_parser(
        "card", help="the card that opens machine rooms, asked for without showing it; then apply the site file"
    )
    card.add_argument(
        "alias",
        metavar="ALIAS",
        help=f"the first digits of the person's alias; {TEST!r} for the card that opens no door",
    )
    card.add_argument("--none", action="store_true", help="take the card away")
    for action in (add, listed, card):
        action.add_argument("--dir", type=Path, required=True, help="where keys, names and settings are kept")


def run_crew(arguments: argparse.Namespace) -> int:
    """Run one action. Raises `ProvisioningError`."""
    {"add": _add, "list": _list, "card": _card}[arguments.action](arguments)
    return 0


def _add(arguments: argparse.Namespace) -> None:
    key = checked_key(arguments.key.read_bytes(), read_site(arguments.file).host)
    person = add_person(
        Places(arguments.dir.absolute()).people_file, key, says=arguments.says, firm=arguments.firm,
        duties=DUTIES[arguments.duty], licence_until=arguments.licence_until,
    )  # fmt: skip
    kind = "passkey" if person.origin else "software key"
    print(f"{person.says}: {kind} {key.proof.signature.key_id.hex()[:16]}, alias {person.alias.hex()[:16]}; enrolled")
    print("`minglou provision changes announce` brings it before both parties")


def _list(arguments: argparse.Namespace) -> None:
    places = Places(arguments.dir.absolute())
    cards = read_cards(places.cards_file)
    for person in read_people(places.people_file):
        last_day = datetime.fromtimestamp(person.licence_until, UTC).date() - timedelta(days=1)
        duties = ", ".join(name for name, duty in DUTIES.items() if duty & person.duties)
        card = ", has a card" if person.alias in cards else ""
        print(f"{person.alias.hex()[:16]} {duties} of firm {person.firm} until {last_day}{card}: {person.says}")


def _card(arguments: argparse.Namespace) -> None:
    places = Places(arguments.dir.absolute())
    if arguments.alias == TEST:
        alias, says = NOBODY, "the test card"
    else:
        person = person_called(read_people(places.people_file), arguments.alias)
        alias, says = person.alias, person.says
    give_card(places.cards_file, alias, None if arguments.none else _asked_card())
    done = "is taken away" if arguments.none else "is kept"
    print(f"card of {says} {done}; `minglou provision site apply` writes it for the gateways, which then start anew")


def _asked_card() -> str:
    """From the keyboard without an echo, or one line from another program."""
    typed = getpass("card, as the door's controller reports it: ") if sys.stdin.isatty() else sys.stdin.readline()
    if not typed.strip():
        raise PersonRefusedError("no card was given; type it, or say --none to take one away")
    return typed.strip()
