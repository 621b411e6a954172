"""The FastAPI application: the gateways' and programs' API, billing, and the pages."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI, Request

from cloud.api import api_router
from cloud.billing.routes import billing_router
from cloud.copies.acknowledgements import Acknowledgements
from cloud.copies.routes import copies_router
from cloud.errors import SettingsError
from cloud.exports import exports_router
from cloud.ingest.routes import gateway_router
from cloud.openapi import describe
from cloud.operations import operations_router
from cloud.operations.metrics import Figures, TimedAnswers
from cloud.questions import StoreQuestions
from cloud.service import Cloud
from cloud.settings import read_secret
from cloud.tiles import TileRoom, tile_router
from cloud.visits.routes import visit_router
from cloud.web import WebSettings, install
from cloud.web.answers import Person, Title
from cloud.web.session import viewer_of

__all__ = ["build_app"]


def build_app(cloud: Cloud) -> FastAPI:
    """The application over an open cloud. Its workers run elsewhere: see `cloud.serving`."""

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
    )
    figures = Figures()
    app.add_middleware(TimedAnswers, figures=figures)
    app.include_router(operations_router(cloud, figures))
    app.include_router(api_router(cloud))
    app.include_router(tile_router(TileRoom(store=cloud.store, super_log=cloud.super_log)))
    app.include_router(gateway_router(cloud.ingest, cloud.mail))
    app.include_router(billing_router(cloud))
    app.include_router(_copies(cloud))
    app.include_router(visit_router(cloud.visits))
    app.include_router(_exports(cloud))
    _install_pages(app, cloud)
    describe(app)
    return app


def _exports(cloud: Cloud) -> APIRouter:
    questions = StoreQuestions(cloud)

    async def viewer(request: Request) -> Person | None:
        return await viewer_of(request, questions, cloud.settings.clock.now_ms())

    return exports_router(cloud, viewer)


def _copies(cloud: Cloud) -> APIRouter:
    copies = cloud.settings.copies
    keepers = {read_secret(one.token_file): one.keeper for one in copies}
    if len(keepers) != len(copies):
        raise SettingsError("two [[copy]] tables have one token; give each copy a token of its own")
    acknowledgements = Acknowledgements(cloud.store, cloud.settings.clock)
    return copies_router(cloud.store, cloud.archive, acknowledgements, keepers)


def _install_pages(app: FastAPI, cloud: Cloud) -> None:
    directory = cloud.directory.read()
    settings = WebSettings(
        public_url=cloud.settings.public_url,
        rpc_url=cloud.settings.rpc_for_browsers or None,
        site_title=Title(zh=directory.title.zh, en=directory.title.en),
        timezone=directory.timezone,
        loopback_only=cloud.settings.demo_note or "localhost" in cloud.settings.public_url,
        secure_cookie=cloud.settings.public_url.startswith("https://"),
        demo_note=cloud.settings.demo_note,
    )
    install(app, questions=StoreQuestions(cloud), settings=settings, clock=cloud.settings.clock)
