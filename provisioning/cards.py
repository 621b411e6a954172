"""Whose card opens machine rooms, `minglou-cards/1`: personal data, kept apart from keys and names, 0600.

It stays on the manager's machine; a gateway with a machine-room door gets a copy, and nobody else. A card's number is
never printed, and never taken from a command line, where everybody on the machine could read it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from provisioning.errors import KeyFileError, PersonRefusedError
from provisioning.files import write_private
from provisioning.keys import private_mode
from provisioning.toml_text import toml_document

__all__ = ["TEST", "cards_text", "give_card", "read_cards"]

TEST = "test"
"""Called so, nobody's card (alias 0): it opens no door, and crews try that it does not."""

_FORMAT = "minglou-cards/1"
_CARD_LENGTH_MAX = 64
_CARDS_MAX = 1000  # what a gateway takes


def read_cards(path: Path) -> dict[bytes, str]:
    """Each person's card by alias; nobody's where there is no file.

    Raises:
        KeyFileError: others may read the file, or it is damaged.
    """
    if not path.exists():
        return {}
    private_mode(path)
    try:
        document = json.loads(path.read_text("utf-8"))
        if document["format"] != _FORMAT:
            raise ValueError("another format")
        return {bytes.fromhex(alias): str(card) for alias, card in document["cards"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise KeyFileError(
            f"{path}: is damaged ({type(error).__name__}); remove it, and give every card anew"
        ) from None


def give_card(path: Path, alias: bytes, card: str | None) -> None:
    """Keep a person's card; None takes it away.

    Raises:
        PersonRefusedError: it is no card, or somebody else's already. The message does not hold its number.
        KeyFileError: the file is damaged or others may read it.
    """
    cards = read_cards(path)
    if card is None:
        cards.pop(alias, None)
    else:
        if not 0 < len(card) <= _CARD_LENGTH_MAX or not card.isprintable() or card != card.strip():
            raise PersonRefusedError(
                f"a card is 1 to {_CARD_LENGTH_MAX} characters as the door's controller reports it; type it again"
            )
        holder = next((known for known, held in cards.items() if held == card and known != alias), None)
        if holder is not None:
            raise PersonRefusedError(
                f"this card is {holder.hex()[:16]}'s already; take it away there first, or give each person an own one"
            )
        cards[alias] = card
    if len(cards) > _CARDS_MAX:
        raise PersonRefusedError(f"a gateway takes {_CARDS_MAX} cards; take those away that nobody carries any more")
    document = {"format": _FORMAT, "cards": {known.hex(): held for known, held in cards.items()}}
    write_private(path, json.dumps(document, indent=1, ensure_ascii=False).encode() + b"\n")


def cards_text(cards: Mapping[bytes, str]) -> str:
    """The file that a gateway reads beside its settings."""
    return toml_document(
        "Written by `minglou provision`: whose card opens machine rooms. Personal data; for this gateway alone.",
        [("cards", {alias.hex(): cards[alias] for alias in sorted(cards)})],
    )
