"""The data packs that this gateway knows: those that come with Minglou, and those in its settings."""

import json
import logging
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from contracts.detail import canonical_json
from contracts.errors import ContractsError
from contracts.pack import Pack, parse_pack, read_pack
from contracts.packs import NAMES

_log = logging.getLogger("edge.visits")


class Plans:
    """Packs by the digest that a visit's record names as its plan. Read when the first visit asks."""

    def __init__(self, files: Sequence[Path]) -> None:
        """`files`: packs of a maker or a country that does not come with Minglou."""
        self._files = files

    def of(self, plan: bytes) -> Pack | None:
        """The pack of a visit, None where it is not known here."""
        return self._packs.get(plan)

    @cached_property
    def _packs(self) -> dict[bytes, Pack]:
        packs = [read_pack(name) for name in NAMES]
        for path in self._files:
            try:
                packs.append(parse_pack(canonical_json(json.loads(path.read_text(encoding="utf-8")))))
            except (OSError, ValueError, ContractsError) as error:
                _log.error("pack %s: %s; visits by it are judged by every rule of the machine", path, error)
        return {pack.digest(): pack for pack in packs}
