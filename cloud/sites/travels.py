"""Visits of one site's crews at the other sites of the process: who serves two sites is in one place at a time.

Sites tell each other when and in which coarse place a signing key's visits were, and nothing else of theirs is kept or
shown. What another operator's service holds is not known here.
"""

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

from cloud.integrity.facts import VisitFacts
from cloud.integrity.worker import Elsewhere
from cloud.store.away import STORE_ERRORS

if TYPE_CHECKING:
    from cloud.sites.site import Site

__all__ = ["elsewhere_of"]


def elsewhere_of(site: "Site", sites: Callable[[], Sequence["Site"]]) -> Elsewhere:
    """Asks every site of the process but one."""

    async def ask(signers: Collection[bytes], from_s: int, to_s: int) -> Sequence[VisitFacts]:
        found: list[VisitFacts] = []
        for other in sites():
            if other is not site and other.cloud is not None:
                try:
                    found += await other.cloud.integrity.visits_of(signers, from_s, to_s)
                except STORE_ERRORS:
                    continue  # its store is away: it asks about these visits itself when it is back
        return found

    return ask
