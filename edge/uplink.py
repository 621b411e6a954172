"""The cloud's HTTP interface as the gateway uses it: post a batch, ask for the head, fetch the mail."""

from dataclasses import dataclass
from typing import Any

import httpx

from contracts.batch import MEDIA_TYPE
from edge.errors import UplinkError

_TIMEOUT = httpx.Timeout(10.0, read=40.0)
_HELD_MAX = 2**48
_REFUSED_TEXT_MAX = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the cloud said to a batch. `size` is what it now holds, None where it did not say."""

    status: int
    error: str  # "" when it took the batch
    message: str
    size: int | None
    retry_after_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What the cloud holds of one log: its size and last checkpoint note."""

    size: int
    note: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One numbered message of the downlink mail."""

    number: int
    kind: str
    body: dict[str, Any]


class Uplink:
    """One client for all requests; safe to ask twice, every request is idempotent."""

    def __init__(self, url: str, token: str) -> None:
        self._client = httpx.AsyncClient(
            base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=_TIMEOUT, trust_env=True
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def post_batch(self, origin: str, batch: bytes) -> Answer:
        """Raises `UplinkError` when the cloud cannot be reached or does not speak as agreed."""
        try:
            response = await self._client.post(
                f"/v1/logs/{origin}/entries", content=batch, headers={"Content-Type": MEDIA_TYPE}
            )
        except httpx.HTTPError as error:
            raise UplinkError(f"cloud: {type(error).__name__} {error}; entries wait on disk") from error
        content = _object(response)
        size = content.get("size")
        return Answer(
            status=response.status_code,
            error="" if response.status_code == 200 else str(content.get("error", response.status_code)),
            message=str(content.get("message", ""))[:_REFUSED_TEXT_MAX],
            size=size if isinstance(size, int) and 0 <= size < _HELD_MAX else None,
            retry_after_s=_retry_after(response),
        )

    async def head(self, origin: str) -> Head:
        """What the cloud holds of this log; nothing where it does not know it.

        Raises:
            UplinkError: unreachable, or another answer than agreed.
        """
        response = await self._get(f"/v1/logs/{origin}", {})
        if response.status_code == 404:
            return Head(size=0, note=None)
        content = _object(response)
        size, note = content.get("size"), content.get("checkpoint")
        if response.status_code != 200 or not isinstance(size, int) or not 0 <= size < _HELD_MAX:
            raise UplinkError(f"cloud: head of {origin} answered {response.status_code}; nothing is signed before it")
        return Head(size=size, note=note if isinstance(note, str) else None)

    async def mail(self, origin: str, after: int, wait_s: int) -> list[Message]:
        """Messages numbered above `after`, oldest first; empty when none came in the time."""
        response = await self._get(f"/v1/gateways/{origin}/mail", {"after": str(after), "wait": str(wait_s)})
        if response.status_code != 200:
            raise UplinkError(f"cloud: mail of {origin} answered {response.status_code}")
        messages = _object(response).get("messages")
        if not isinstance(messages, list):
            raise UplinkError(f"cloud: mail of {origin} is no list of messages")
        return sorted((_message(one) for one in messages), key=lambda message: message.number)

    async def _get(self, path: str, query: dict[str, str]) -> httpx.Response:
        try:
            return await self._client.get(path, params=query)
        except httpx.HTTPError as error:
            raise UplinkError(f"cloud: {type(error).__name__} {error}") from error


def _object(response: httpx.Response) -> dict[str, Any]:
    try:
        content = response.json()
    except ValueError as error:
        if response.status_code == 200:
            raise UplinkError("cloud: answered 200 without JSON; is this the right address?") from error
        return {}
    return content if isinstance(content, dict) else {}


def _message(one: object) -> Message:
    if not isinstance(one, dict):
        raise UplinkError("cloud: a message is no object")
    number, kind, body = one.get("number"), one.get("kind"), one.get("body")
    if not isinstance(number, int) or number < 1 or not isinstance(kind, str) or not isinstance(body, dict):
        raise UplinkError("cloud: a message lacks number, kind or body")
    return Message(number=number, kind=kind, body=body)


def _retry_after(response: httpx.Response) -> float | None:
    text = response.headers.get("Retry-After", "")
    return min(float(text), 3600.0) if text.isdecimal() else None
