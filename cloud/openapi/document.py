"""Joins what FastAPI knows of the routes with what `operations` says of them."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from cloud.openapi.operations import OPERATIONS, Content, Described
from cloud.openapi.schemas import SCHEMAS

__all__ = ["describe", "document_of"]

_SECURITY = {
    "program": {
        "type": "http",
        "scheme": "bearer",
        "description": "A program's token with the route's scope, a gateway's uplink token or a copy's token.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "minglou_session",
        "description": "A signed-in person's, as the pages set it.",
    },
}
_TOO_FAST = ("too_fast", "more than 600 reads a minute by one account; wait 7 s, then ask again")
_CONVERTER = re.compile(r":\w+}")
_DESCRIPTION = (
    "Every refusal is `{error, message}`: a stable word for programs, and a sentence that says what to do. Integers "
    "that may pass 2^53 are decimal strings, bytes lower-case hex, instants UTC milliseconds. A log's name holds "
    "slashes: as a path parameter it may be sent plain or as %2F."
)


def describe(app: FastAPI, limited: Collection[tuple[str, str]] = ()) -> None:
    """Let the application serve the whole document at /openapi.json.

    Args:
        limited: routes, as (method, path), that answer 429 to who asks too often.
    """

    def whole() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = document_of(app, limited)
        return app.openapi_schema

    app.openapi = whole  # type: ignore[method-assign]


def document_of(app: FastAPI, limited: Collection[tuple[str, str]] = ()) -> dict[str, Any]:
    """The document of this application's routes."""
    counted = {(method.lower(), _CONVERTER.sub("}", path)) for method, path in limited}
    document = get_openapi(
        title=app.title,
        version=app.version,
        summary=app.summary,
        description=_DESCRIPTION,
        routes=app.routes,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    components = document.setdefault("components", {})
    own = {name: one for name, one in components.get("schemas", {}).items() if "ValidationError" not in name}
    components["schemas"] = {**own, **SCHEMAS}
    components["securitySchemes"] = _SECURITY
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            described = OPERATIONS.get((method, path))
            if described is not None:
                _complete(operation, described, is_limited=(method, path) in counted)
    return document


def _complete(operation: dict[str, Any], described: Described, *, is_limited: bool) -> None:
    # Who asks is said once, as a security scheme; a header parameter beside it would say it twice.
    parameters = [one for one in operation.get("parameters", ()) if one["name"].lower() != "authorization"]
    for parameter in parameters:
        if parameter["name"] in described.parameters:
            parameter["example"] = described.parameters[parameter["name"]]
    if parameters:
        operation["parameters"] = parameters
    else:
        operation.pop("parameters", None)
    if described.security:
        operation["security"] = [{name: []} if name else {} for name in described.security]
    if described.request is not None:
        operation["requestBody"] = {"required": True, "content": _content(described.request)}
    refusals = _refusals(described, has_inputs=bool(parameters), is_limited=is_limited)
    operation["responses"] = {
        **{str(status): _answer(says, content) for status, (says, content) in described.answers.items()},
        **{str(status): _refusal(codes) for status, codes in sorted(refusals.items())},
    }


def _answer(says: str, content: Content | None) -> dict[str, Any]:
    return {"description": says} | ({} if content is None else {"content": _content(content)})


def _content(content: Content) -> dict[str, Any]:
    entry: dict[str, Any] = {"schema": dict(content.schema)}
    if content.example is not None:
        entry["examples"] = {"one": {"value": content.example}}
    if content.example_base64 is not None:
        # JSON cannot show bytes; whoever decodes this has a real one.
        entry["x-example-base64"] = content.example_base64
    return dict.fromkeys(content.media, entry)


def _refusals(described: Described, *, has_inputs: bool, is_limited: bool) -> Mapping[int, Sequence[tuple[str, str]]]:
    """The operation's own, and those that many share: with parameters or fields, and to who asks too often."""
    refusals: dict[int, list[tuple[str, str]]] = {status: list(codes) for status, codes in described.refusals.items()}
    if has_inputs or described.reads_json:
        refusals.setdefault(422, []).append(("malformed", "path.index: Input should be a valid integer"))
    if is_limited:
        refusals.setdefault(429, []).append(_TOO_FAST)
    return refusals


def _refusal(codes: Sequence[tuple[str, str]]) -> dict[str, Any]:
    schema = {
        "allOf": [{"$ref": "#/components/schemas/Refusal"}],
        "properties": {"error": {"enum": [code for code, _ in codes]}},
    }
    examples = {code: {"value": {"error": code, "message": message}} for code, message in codes}
    description = "; ".join(f"`{code}`: {message}" for code, message in codes)
    return {"description": description, "content": {"application/json": {"schema": schema, "examples": examples}}}
