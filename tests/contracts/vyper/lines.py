"""A closed month's entries without its bills, and what the contract makes of lines over them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from contracts.bill import Line, LineKind
from contracts.calls import charges, tariffs
from contracts.calls.anchor_log import Head
from contracts.calls.charges import Bounds, LineProof, Span
from contracts.key_table import NO_KEY, KeyProof
from contracts.tariff import Tariff, Terms
from tests.contracts.vyper.month import POOL_USED, SINCE, log_month
from tests.contracts.vyper.site import (
    AREAS,
    CLOSING,
    CLOSING_AT,
    METERS,
    OPENING,
    ORIGIN,
    PERIOD,
    POOL,
    POOL_METER,
    RESIDENTIAL,
    GatewayLog,
    Site,
    span,
)


class Month:
    """The month's entries without its bills."""

    def __init__(self, site: Site) -> None:
        site.chain.wait_until(CLOSING_AT + 3600)
        self.site, self.indexes = site, log_month(site)

    def span(self, meter: bytes, from_date: int, to_date: int) -> Span:
        size = self.site.heads[ORIGIN].size
        return span(self.site.log, size, self.indexes[meter, from_date], self.indexes[meter, to_date])

    def own_line(self, unit_index: int = 0, **changes: Any) -> Line:
        return replace(self.site.line(METERS[unit_index], 0, 0, since=SINCE), **changes)

    def pool_line(self, **changes: Any) -> Line:
        return replace(
            self.own_line(kind=LineKind.SHARED, subject=POOL, tariff=2, since=OPENING, usage=POOL_USED), **changes
        )

    def ask(
        self,
        line: Line | None = None,
        *,
        unit_index: int = 0,
        before: Sequence[Span] | None = None,
        during: Sequence[Span] | None = None,
        head: Head | None = None,
        origin_id: bytes | None = None,
        terms: Terms = RESIDENTIAL.terms,
        key: KeyProof = NO_KEY,
        logs: Sequence[GatewayLog] = (),
        unit_count: int = 3,
    ) -> int:
        site, meter = self.site, METERS[unit_index]
        first = (origin_id or site.log.origin_id, head or site.heads[ORIGIN])
        proof = LineProof(
            terms=terms,
            logs=[first, *((log.origin_id, site.heads[log.origin]) for log in logs)],
            before=[self.span(meter, SINCE, OPENING)] if before is None else before,
            during=[self.span(meter, OPENING, CLOSING)] if during is None else during,
            key=key,
        )
        bounds = Bounds(period=PERIOD, unit_index=unit_index, unit_count=unit_count, total_area=sum(AREAS))
        call = charges.right_amount(site.charges, bounds=bounds, line=line or self.own_line(unit_index), proof=proof)
        return charges.parse_right_amount(site.chain.view(call))

    def ask_pool(self, unit_index: int, terms: Terms, *, tariff: int, key: KeyProof = NO_KEY, **changes: Any) -> int:
        during = [self.span(POOL_METER, OPENING, CLOSING)]
        line = self.pool_line(tariff=tariff)
        return self.ask(line, unit_index=unit_index, before=[], during=during, terms=terms, key=key, **changes)


def in_force(site: Site, terms: Terms, valid_from: int = 20261020) -> int:
    """Announce terms and approve them; must be called before their delay begins to run out."""
    site.chain.send(site.manager, tariffs.announce(site.tariffs, tariff=Tariff(terms=terms, valid_from=valid_from)))
    version = tariffs.parse_tariff_count(site.chain.view(tariffs.tariff_count(site.tariffs)))
    site.chain.send(site.committee, tariffs.approve(site.tariffs, version=version))
    return version
