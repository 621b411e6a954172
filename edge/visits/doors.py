"""Whose card opened a machine room: the crew's cards alone, out of a file that only the gateway reads.

What the log holds of a card is a commitment under the gateway's own secret. The gateway opens it with the cards that
crews handed in, so that it knows its mechanics at the door and remembers nobody else's way.
"""

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path

from devices.credential import commitment
from edge.errors import SettingsError
from edge.keys import read_secret
from edge.visits.items import TEST_CARD

CARDS_MAX = 1000
_NOBODY = bytes(32)
_NUMBER_BYTES = 6  # of an alias: what a value of the store can hold

SaltOf = Callable[[bytes], bytes]
"""The salt of a commitment, by its nonce: `CredentialCommitter.salt`."""


def person_number(alias: bytes) -> int:
    """The number under which a person's way through a door is kept, above 0."""
    return int.from_bytes(alias[:_NUMBER_BYTES]) or 1


class CrewCards:
    """The cards of one file: `[cards]`, lines `"<alias, 64 hex>" = "number"`; nobody's (alias 0) is the test card."""

    def __init__(self, cards: Mapping[bytes, str], salt_of: SaltOf) -> None:
        self._cards = dict(cards)
        self._salt_of = salt_of

    @classmethod
    def read(cls, path: Path, salt_of: SaltOf) -> "CrewCards":
        """Raises `SettingsError` or `KeyFileError`, with the remedy."""
        try:
            cards = tomllib.loads(read_secret(path).decode())["cards"]
            parsed = {bytes.fromhex(alias): card for alias, card in cards.items()}
        except (ValueError, KeyError, AttributeError) as error:
            raise SettingsError(
                f'{path}: {type(error).__name__} {error}; write [cards] and lines "<alias>" = "card"'
            ) from error
        is_whole = all(len(alias) == 32 and isinstance(card, str) and card for alias, card in parsed.items())
        if not is_whole or len(parsed) > CARDS_MAX:
            raise SettingsError(f"{path}: an alias has 64 hex digits and a card is a text; at most {CARDS_MAX} of them")
        return cls(parsed, salt_of)

    @property
    def knows_some(self) -> bool:
        """Whether there is any card."""
        return bool(self._cards)

    @property
    def has_test_card(self) -> bool:
        """Whether there is a card that opens no door, by which crews try that it does not."""
        return _NOBODY in self._cards

    def whose(self, told: Mapping[str, object]) -> int:
        """The person whose card an access entry's detail commits to, or the test card; 0 for any other card."""
        kept = told.get("credential")
        if not isinstance(kept, dict):
            return 0
        try:
            salt, committed = self._salt_of(bytes.fromhex(str(kept["nonce"]))), bytes.fromhex(str(kept["commitment"]))
        except (KeyError, ValueError):
            return 0
        alias = next((alias for alias, card in self._cards.items() if commitment(salt, card) == committed), None)
        if alias is None:
            return 0
        return TEST_CARD if alias == _NOBODY else person_number(alias)
