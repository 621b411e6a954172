"""The FastAPI application: the gateways' and programs' API, billing, and the pages."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, Depends, FastAPI, Request

from cloud.answers import TimedAnswers
from cloud.api import api_router
from cloud.billing.routes import billing_router
from cloud.copies.acknowledgements import Acknowledgements
from cloud.copies.routes import copies_router
from cloud.crew import crew_router
from cloud.devices import device_router
from cloud.errors import SettingsError
from cloud.exports import exports_router
from cloud.identity.policy import is_limited
from cloud.ingest.routes import gateway_router
from cloud.integrity.desk import FlagDesk
from cloud.maintenance.routes import maintenance_router
from cloud.openapi import describe
from cloud.operations import operations_router
from cloud.operations.metrics import Figures
from cloud.own import own_router
from cloud.proxies import BehindProxies
from cloud.questions import StoreQuestions
from cloud.questions.doors import role_title
from cloud.questions.ground import title
from cloud.service import Cloud
from cloud.settings import read_secret
from cloud.telemetry import traced_answers
from cloud.tiles import TileRoom, tile_router
from cloud.visits.looks import PhotoLooks
from cloud.visits.routes import visit_router
from cloud.visits.swaps import SwapRoom
from cloud.web import WebSettings, install
from cloud.web.answers import Person, Title
from cloud.web.desk import Desk, Door
from cloud.web.guard import Guard, declared_routes, undeclared_routes
from cloud.web.session import viewer_of

__all__ = ["build_app"]


def build_app(cloud: Cloud, figures_of_all: Figures | None = None) -> FastAPI:
    """The application over an open cloud. Its workers run elsewhere: see `cloud.sites`.

    Args:
        figures_of_all: of the process, where it serves other sites too.
    """

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield

    app = FastAPI(
        title="Minglou cloud",
        version="1",
        summary="Receives gateways' signed logs, anchors them, prepares bills and answers people.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        # It would tell paths and query strings, which name households; cloud.telemetry tells what is nobody's.
        telemetry={
            "tracing": False,
            "metrics": False,
            "logs": False,
            "operation_spans": False,
            "auto_configure": False,
        },
    )
    figures = app.state.figures = (figures_of_all or Figures()).of(cloud.settings.site)
    questions, settings, clock = StoreQuestions(cloud), _web_settings(cloud), cloud.settings.clock
    guard = Guard(questions=questions, settings=settings, clock=clock, tokens=cloud.tokens, limits=cloud.limits)
    # Pages first: a request is tried against every router before its own.
    install(app, questions=questions, settings=settings, clock=clock, guard=guard, desk=_desk(cloud, questions))

    async def viewer(request: Request) -> Person | None:
        return await viewer_of(request, questions, settings, clock.now_ms())

    for router in (
        operations_router(cloud, figures),
        api_router(cloud, questions),
        own_router(questions),
        device_router(questions),
        tile_router(TileRoom(store=cloud.store, super_log=cloud.super_log)),
        gateway_router(cloud.ingest, cloud.mail),
        billing_router(cloud),
        _copies(cloud),
        visit_router(cloud.visits, cloud.photos, cloud.arrivals, _looks(cloud), _swaps(cloud), viewer),
        crew_router(questions, viewer),
        exports_router(cloud, questions, viewer),
        maintenance_router(cloud),
    ):
        app.include_router(router, dependencies=[Depends(guard)])
    describe(app, [route for route in declared_routes(app) if is_limited(*route)])
    undeclared = undeclared_routes(app)
    assert not undeclared, f"who may use {undeclared}? Write it into cloud/identity/policy.py"
    trace = None if cloud.settings.telemetry is None else traced_answers(cloud.settings.site)
    app.add_middleware(BehindProxies, trusted=cloud.settings.trusted_proxies)
    app.add_middleware(TimedAnswers, tell=figures.answered, trace=trace)
    return app


def _swaps(cloud: Cloud) -> SwapRoom | None:
    return None if cloud.chain is None else SwapRoom(cloud.store, cloud.chain.view, cloud.chain.deployment)


def _looks(cloud: Cloud) -> PhotoLooks:
    return PhotoLooks(
        store=cloud.store,
        photos=cloud.photos,
        directory=cloud.directory,
        audit=cloud.identity.audit,
        clock=cloud.settings.clock,
    )


def _copies(cloud: Cloud) -> APIRouter:
    copies = cloud.settings.copies
    keepers = {read_secret(one.token_file): one.keeper for one in copies}
    if len(keepers) != len(copies):
        raise SettingsError("two [[copy]] tables have one token; give each copy a token of its own")
    acknowledgements = Acknowledgements(cloud.store, cloud.settings.clock)
    return copies_router(cloud.store, cloud.archive, acknowledgements, keepers)


def _web_settings(cloud: Cloud) -> WebSettings:
    directory = cloud.directory.read()
    return WebSettings(
        public_url=cloud.settings.public_url,
        rpc_url=cloud.settings.rpc_for_browsers or None,
        site_title=Title(zh=directory.title.zh, en=directory.title.en),
        timezone=directory.timezone,
        secure_cookie=cloud.settings.public_url.startswith("https://"),
        demo_note=cloud.settings.demo_note,
    )


def _desk(cloud: Cloud, questions: StoreQuestions) -> Desk:
    def doors() -> list[Door]:
        return [Door(name=one.name, alias=one.alias, title=title(one.title)) for one in cloud.directory.read().units]

    return Desk(
        identity=cloud.identity,
        tokens=cloud.tokens,
        flags=FlagDesk(cloud.store, cloud.directory, cloud.settings.clock),
        person=questions.person,
        doors=doors,
        role_title=role_title,
        overlaps=cloud.chain.upkeep.overlaps if cloud.chain else None,
    )
