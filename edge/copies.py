"""Independent copies: how much of the open log each copy in this gateway's own settings has acknowledged.

The notes come through the cloud, which can neither make nor change one. Each must be signed by a key of the settings,
for this very log, over the root that this gateway's own tree has at that size; so an old note, one of another log, or
one of another history never lets anything be pruned.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Any

from contracts.copy_note import CopyKeeper, open_acknowledgement
from contracts.errors import ContractsError, CopyError
from contracts.mail import parse_copied
from edge.log_store import LogStore

_log = logging.getLogger("edge.copies")


class Copies:
    """What may be pruned as far as the copies are concerned."""

    def __init__(self, keepers: Sequence[CopyKeeper], say: Callable[[str], None]) -> None:
        self._keepers = {keeper.name: keeper for keeper in keepers}
        self._say = say
        self._said: set[str] = set()
        self.sizes: dict[str, int] = {}  # entries of the open log that each copy holds

    def start_epoch(self, store: LogStore) -> None:
        """Recall what was acknowledged of this log; a new log starts from nothing."""
        reader = store.reader()
        try:
            self.sizes = {keeper.name: reader.number(_state(keeper)) for keeper in self._keepers.values()}
        finally:
            reader.close()

    def take(self, body: dict[str, Any], store: LogStore) -> dict[str, bytes]:
        """Judge one message; the states to keep with it, none where it says nothing new or nothing true."""
        try:
            news = parse_copied(body)
            keeper = self._keepers.get(news.copy)
            if keeper is None:
                raise CopyError(f"{news.copy} is no copy of this gateway's settings")
            held = open_acknowledgement(news.note, keeper)
        except ContractsError as error:
            _log.warning("mail: an acknowledgement was dropped: %s", error)
            return {}
        if held.origin != store.origin or held.size <= self.sizes[keeper.name]:
            return {}  # of another log, or known: what the postman may bring twice
        if not self._is_ours(store, held.size, held.root):
            self._complain(f"copy {keeper.name} holds another history at size {held.size} than this gateway logged")
            return {}
        self.sizes[keeper.name] = held.size
        return {_state(keeper): str(held.size).encode()}

    def _is_ours(self, store: LogStore, size: int, root: bytes) -> bool:
        reader = store.reader()
        try:
            return size <= reader.size() and reader.frontier_at(size).root() == root
        finally:
            reader.close()

    def _complain(self, says: str) -> None:
        if says not in self._said and len(self._said) < 100:
            self._said.add(says)
            self._say(says)


def _state(keeper: CopyKeeper) -> str:
    """Named by the key: a new key under an old name has acknowledged nothing yet."""
    return f"copied:{keeper.public.hex()}"
