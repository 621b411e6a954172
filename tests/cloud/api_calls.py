"""One good call of every operation of the HTTP interface, made of a cloud with a posted month."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
from jsonschema import Draft202012Validator

from contracts.batch import MEDIA_TYPE
from tests.cloud.month import Month
from tests.cloud.served import ServedCloud
from tests.plain_http import NO_TLS

__all__ = ["Call", "answer_to", "answers_are_as_described", "good_calls"]


PROGRAM = "a program's"
"""Stands for the token of a program that may read everything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request: the operation by its method and path in the document, and what fills it."""

    method: str
    path: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    query: Mapping[str, Any] = field(default_factory=dict)
    token: str | None = PROGRAM
    body: bytes | None = None
    media: str = "application/json"


def good_calls(month: Month) -> list[Call]:
    """Reading calls first, so that they meet what the month left."""
    gateway, period = month.gateway, month.period
    log, uplink = {"origin": gateway.origin}, gateway.token.hex()
    public = [Call(method="get", path=path, token=None) for path in ("/healthz", "/readyz", "/v1/status")]
    return [
        *public,
        Call(method="get", path="/metrics"),
        Call(method="get", path="/v1/evidence/{origin}/{index}", fields={**log, "index": 1}),
        Call(method="get", path="/v1/logs/{origin}/entries", fields=log, query={"from": 0, "count": 2}),
        Call(method="get", path="/v1/logs/{origin}", fields=log, token=uplink),
        Call(method="get", path="/v1/gateways/{origin}/mail", fields=log, query={"after": 0, "wait": 0}, token=uplink),
        Call(method="get", path="/v1/logs/{origin}/checkpoint", fields=log, token=None),
        Call(
            method="get", path="/v1/logs/{origin}/checkpoint/{size}", fields={**log, "size": gateway.size}, token=None
        ),
        Call(method="get", path="/log/checkpoint", token=None),
        Call(method="get", path="/log/checkpoint/{size}", fields={"size": 1}, token=None),
        Call(method="get", path="/log/tile/{path}", fields={"path": "0/000.p/1"}, token=None),
        Call(
            method="get",
            path="/v1/logs/{origin}/tile/{path}",
            fields={**log, "path": f"0/000.p/{gateway.size}"},
            token=None,
        ),
        Call(method="get", path="/v1/bills/{period}", fields={"period": period}, token=None),
        Call(method="get", path="/v1/bills/{period}/units/{unit_index}", fields={"period": period, "unit_index": 0}),
        Call(method="post", path="/v1/bills/{period}/compare", fields={"period": period}),
        Call(method="get", path="/v1/exports/{what}.{form}", fields={"what": "bill-lines", "form": "csv"}),
        Call(
            method="post",
            path="/v1/logs/{origin}/entries",
            fields=log,
            token=uplink,
            body=gateway.batch(),
            media=MEDIA_TYPE,
        ),
    ]


def answer_to(cloud: ServedCloud, call: Call) -> httpx.Response:
    token = cloud.program_token if call.token == PROGRAM else call.token
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    headers |= {} if call.body is None else {"Content-Type": call.media}
    return httpx.request(
        call.method.upper(),
        cloud.url + call.path.format(**call.fields),
        params=dict(call.query) or None,
        headers=headers,
        content=call.body,
        timeout=70,
        trust_env=False,
        verify=NO_TLS,
    )


def answers_are_as_described(cloud: ServedCloud, month: Month) -> None:
    """Each good call succeeds, and its answer fits the schema and media type that /openapi.json gives for it."""
    document = httpx.get(f"{cloud.url}/openapi.json", timeout=70, trust_env=False).json()
    for call in good_calls(month):
        answer = answer_to(cloud, call)
        assert answer.status_code == 200, (call.method, call.path, answer.status_code, answer.text[:300])
        described = document["paths"][call.path][call.method]["responses"]["200"]["content"]
        media = answer.headers["content-type"]
        assert media in described, (call.path, media)
        if media == "application/json":
            schema = {**described[media]["schema"], "components": document["components"]}
            assert list(Draft202012Validator(schema).iter_errors(answer.json())) == [], call.path
