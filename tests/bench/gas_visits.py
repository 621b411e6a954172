"""Gas of visits as whole transactions, proven against the accepted head of a log of a thousand entries."""

from __future__ import annotations

from contracts.calls.service_agreements import RING
from contracts.visit import Visit, VisitClass
from tests.bench.figure import Figure
from tests.contracts.vyper.service import MECHANIC, SECOND, SITE_MANAGER, Member, Service
from tests.contracts.vyper.site import DAY, OFFSET

LOG_SIZE, INDEX = 1_000, 600


def visit_figures(service: Service) -> dict[str, Figure]:
    """A mechanic alone and what the law asks for, each where the day's slot is new and where it was used before."""
    alone: tuple[Member, ...] = (MECHANIC,)
    law = (MECHANIC, SECOND, SITE_MANAGER)
    begin = service.terms_now.starts_on
    crews = [(alone, begin + 1), (law, begin + 2), (alone, begin + 1 + RING), (law, begin + 2 + RING)]
    service.site.log.fill(INDEX)
    visits = [(signers, visit(service, signers, day)) for signers, day in crews]
    indexes = [service.log(each) for _, each in visits]
    service.site.log.fill(LOG_SIZE)
    service.go_to(begin + RING + 3)
    service.site.accept(service.site.log)
    new_alone, new_law, used_alone, used_law = (
        service.chain.send(service.site.relayer, service.call(service.terms_now, each, index, signers=signers)).gas_used
        for (signers, each), index in zip(visits, indexes, strict=True)
    )
    return {
        "gas.visit": Figure(
            value=used_alone,
            unit="gas",
            note=f"one passkey, entry {INDEX + 2} of {LOG_SIZE:,}; in a day's first slot: {new_alone:,}",
        ),
        "gas.visit_by_law": Figure(
            value=used_law,
            unit="gas",
            note=f"passkeys of two mechanics and of the site manager; in a new slot: {new_law:,}",
        ),
    }


def visit(service: Service, signers: tuple[Member, ...], day: int) -> Visit:
    """A half-month visit at noon of a day."""
    return service.visit(
        VisitClass.HALF_MONTH,
        mechanics=tuple(each for each in signers if each is not SITE_MANAGER),
        manager=SITE_MANAGER if SITE_MANAGER in signers else None,
        ended_at_s=day * DAY - OFFSET + 12 * 3600,
    )
