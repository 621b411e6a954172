"""One development chain for all contract tests; each test starts from the same enrolled site."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.contracts.vyper.assembly_site import Hall
from tests.contracts.vyper.chain import Chain, Reverted
from tests.contracts.vyper.forks import chain_at
from tests.contracts.vyper.fund_site import FundSite, funded, kept
from tests.contracts.vyper.service import Service
from tests.contracts.vyper.site import Site
from tests.contracts.vyper.work_site import WorkSite
from tests.contracts.vyper.work_site import undone as put_back


@pytest.fixture(scope="session")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """At Osaka, or at the fork that MINGLOU_FORK names: `make soak` runs these tests at Prague too."""
    with chain_at(os.environ.get("MINGLOU_FORK", "osaka"), tmp_path_factory.mktemp("anvil")) as started:
        yield started


@pytest.fixture(scope="session")
def enrolled(chain: Chain) -> Site:
    """The site after its set-up; tests use `site`, which puts it back."""
    site = Site(chain)
    site.set_up()
    return site


@pytest.fixture
def site(enrolled: Site) -> Iterator[Site]:
    """The enrolled site; everything that a test does is undone after it."""
    with undone(enrolled):
        yield enrolled


@pytest.fixture(scope="session")
def assembled(chain: Chain) -> Hall:
    """The hall after its set-up; tests use `hall`, which puts it back."""
    hall = Hall(chain)
    hall.set_up()
    return hall


@pytest.fixture
def hall(assembled: Hall) -> Iterator[Hall]:
    """The owners' assembly of a site; everything that a test does is undone after it."""
    with assembled.undone():
        yield assembled


@contextmanager
def undone(site: Site) -> Iterator[None]:
    snapshot = site.chain.snapshot()
    log, neighbour, heads = site.log, site.neighbour, dict(site.heads)
    site.log = type(log)(log.origin, log.key)
    site.neighbour = type(neighbour)(neighbour.origin, neighbour.key)
    try:
        yield
    finally:
        site.log, site.neighbour, site.heads = log, neighbour, heads
        site.chain.revert_to(snapshot)


@contextmanager
def refused(reason: str) -> Iterator[None]:
    """The contract must refuse, with exactly this text."""
    with pytest.raises(Reverted) as caught:
        yield
    assert caught.value.reason == reason


@pytest.fixture(scope="module")
def serving(enrolled: Site) -> Iterator[Service]:
    """The site with ServiceAgreements and one lift's agreement; tests use `service`, which puts it back."""
    with undone(enrolled):
        service = Service(enrolled)
        service.terms_now = service.start()
        yield service


@pytest.fixture
def service(serving: Service) -> Iterator[Service]:
    """The lift on the first day of its agreement; everything that a test does is undone after it."""
    with undone(serving.site):
        yield serving


@pytest.fixture(scope="module")
def standing(chain: Chain) -> Iterator[WorkSite]:
    """The small site with repairs; tests use `work`, which puts it back."""
    snapshot = chain.snapshot()
    yield WorkSite(chain)
    chain.revert_to(snapshot)


@pytest.fixture
def work(standing: WorkSite) -> Iterator[WorkSite]:
    """Repairs on a small site; everything that a test does is undone after it."""
    yield from put_back(standing)


@pytest.fixture(scope="module")
def begun_fund(chain: Chain) -> Iterator[FundSite]:
    """A site with its reserve fund; tests use `fund`, which puts it back."""
    with funded(chain) as site:
        yield site


@pytest.fixture
def fund(begun_fund: FundSite) -> Iterator[FundSite]:
    with kept(begun_fund) as site:
        yield site
