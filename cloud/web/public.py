"""What is open to everybody: checking a file, what a check trusts. And the site's page for its officers."""

import json
from hashlib import sha256
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from cloud.web.bills import refusal
from cloud.web.checker import checker_page
from cloud.web.page import Pages, Visit
from contracts.trust import parse_trust


def routes(pages: Pages) -> APIRouter:
    """The router of these pages."""
    router = APIRouter(include_in_schema=False)

    @router.get("/verify")
    async def verify(request: Request) -> Response:
        return pages.render(await pages.visit(request), "verify.html")

    @router.get("/trust")
    async def trust(request: Request) -> Response:
        visit = await pages.visit(request)
        file = await pages.questions.trust_file()
        values = {
            "fingerprint": parse_trust(file).fingerprint(),
            "figures": _figures(visit, json.loads(file)),
            "checker_digest": sha256(checker_page(pages, visit, file).encode()).hexdigest(),
        }
        return pages.render(visit, "trust.html", values=values)

    @router.get("/trust.json")
    async def trust_file() -> Response:
        headers = {"cache-control": "no-cache"}
        return Response(await pages.questions.trust_file(), media_type="application/json", headers=headers)

    @router.get("/checker.html")
    async def checker(request: Request) -> Response:
        visit = await pages.visit(request)
        page = checker_page(pages, visit, await pages.questions.trust_file())
        # To be saved, not shown: on a page of ours nothing inlined may run.
        saved = f'attachment; filename="minglou-checker-{visit.language.key}.html"'
        headers = {"cache-control": "no-cache", "vary": "cookie, accept-language", "content-disposition": saved}
        return Response(page, media_type="text/html", headers=headers)

    @router.get("/site")
    async def site(request: Request) -> Response:
        visit = await pages.visit(request)
        found = await pages.questions.site(visit.viewer) if visit.viewer else None
        if found is None:
            return refusal(pages, visit)
        return pages.render(visit, "site.html", values={"site": found})

    return router


def _figures(visit: Visit, trust: dict[str, Any]) -> list[tuple[str, str]]:
    super_log = trust.get("super_log") or {}
    policy = trust.get("witness_policy") or {}
    named = [
        (visit.say("Ledger"), trust.get("chain_id")),
        (visit.say("Register of keys and meters"), trust.get("registry")),
        (visit.say("Contract of the common log"), trust.get("anchor_log")),
        (visit.say("Contract of the bills"), trust.get("usage_fees")),
        (visit.say("Name of the common log"), super_log.get("origin")),
        (visit.say("Key of the common log"), super_log.get("key")),
        (visit.say("Witnesses needed"), policy.get("quorum")),
    ]
    return [(name, str(value)) for name, value in named if value is not None]
