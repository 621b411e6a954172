"""Asks the table of rules before a route runs, and refuses to start an application with a route that is not in it."""

from fastapi import FastAPI, HTTPException, Request
from fastapi.routing import APIRoute, iter_route_contexts

from cloud.identity.limits import Asker, Limits
from cloud.identity.loads import Load
from cloud.identity.policy import Gate, load_of, rule_of
from cloud.identity.tokens import Scope, Tokens
from cloud.web.questions import Questions
from cloud.web.session import address_of, viewer_of
from cloud.web.settings import WebSettings
from contracts.clock import Clock

__all__ = ["Guard", "declared_routes", "undeclared_routes"]


class Guard:
    """A dependency of every route."""

    def __init__(
        self,
        *,
        questions: Questions,
        settings: WebSettings,
        clock: Clock,
        tokens: Tokens | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._questions, self._settings, self._clock = questions, settings, clock
        self._tokens, self._limits = tokens, limits

    async def __call__(self, request: Request) -> None:
        """Let the request pass, or raise the HTTP problem that its page explains."""
        rule = rule_of(request.method, request.scope["route"].path)
        if rule is None:
            raise HTTPException(404)  # fail closed: an application with such a route should not have started
        load = load_of(request.method, rule)
        if load is not Load.ELSEWHERE and self._limits is not None:
            await self._limits.ask(load, await self._asker(request), self._clock.now_ms())
        if rule.gate is Gate.TOKEN:
            await self._ask_for_token(request)
        if rule.gate is not Gate.ROLES:
            return
        viewer = await viewer_of(request, self._questions, self._settings, self._clock.now_ms())
        if viewer is None:
            raise HTTPException(401)
        if viewer.role not in rule.roles:
            raise HTTPException(404)  # nobody learns what others have
        if rule.is_act and not viewer.can_act:
            raise HTTPException(403, "needs_passkey")

    async def _asker(self, request: Request) -> Asker:
        """Whom a request is counted for: a token in force, somebody signed in, or else its address."""
        now_ms = self._clock.now_ms()
        token = await self._tokens.in_force(request.headers.get("authorization"), now_ms) if self._tokens else None
        if token is not None:
            return Asker(by="token", who=token.digest)
        viewer = await viewer_of(request, self._questions, self._settings, now_ms)
        if viewer is not None and viewer.grant is not None:
            return Asker(by="account", who=viewer.grant.account)
        return Asker(by="address", who=address_of(request).encode())

    async def _ask_for_token(self, request: Request) -> None:
        rule = rule_of(request.method, request.scope["route"].path)
        assert rule is not None and rule.scope is not None, "its gate asks for a scope"
        given = request.headers.get("authorization")
        token = await self._tokens.open(given, rule.scope, self._clock.now_ms()) if self._tokens else None
        if token is None:
            maker = "the page /account" if rule.scope is Scope.OWN else "`minglou identity token`"
            says = f"send `Authorization: Bearer <a token with {rule.scope}>`; {maker} makes one"
            raise HTTPException(401, says)
        request.state.token = token


def declared_routes(app: FastAPI) -> list[tuple[str, str]]:
    """Every route of an application that runs code of ours: (method, path), HEAD aside."""
    found = []
    for context in iter_route_contexts(app.routes):
        if isinstance(context.original_route, APIRoute) and context.path is not None:
            methods = context.original_route.methods or set()
            found += [(method, context.path) for method in sorted(methods - {"HEAD"})]
    return found


def undeclared_routes(app: FastAPI) -> list[tuple[str, str]]:
    """Routes without a rule."""
    return [route for route in declared_routes(app) if rule_of(*route) is None]
