"""The cloud's HTTP interface as the gateway uses it: post a batch, ask for the head, fetch the mail."""

import json
from dataclasses import dataclass
from typing import Any

from contracts.batch import MEDIA_TYPE
from edge.errors import UplinkError
from edge.http_client import HttpClient, Response

_ANSWER_SECONDS = 20.0
_OK, _NOT_FOUND = 200, 404
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
    """One connection for batches, one for the mail that waits; safe to ask twice, every request is idempotent."""

    def __init__(self, url: str, token: str) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        self._batches = HttpClient(url, headers)
        self._mail = HttpClient(url, headers)

    def close(self) -> None:
        """Close what is open; a later request opens it again."""
        self._batches.close()
        self._mail.close()

    async def post_batch(self, origin: str, batch: bytes) -> Answer:
        """Raises `UplinkError` when the cloud cannot be reached or does not speak as agreed."""
        path = f"/v1/logs/{origin}/entries"
        response = await self._batches.request(
            "POST", path, body=batch, content_type=MEDIA_TYPE, seconds=_ANSWER_SECONDS
        )
        content = _object(response)
        size = content.get("size")
        return Answer(
            status=response.status,
            error="" if response.status == _OK else str(content.get("error", response.status)),
            message=str(content.get("message", ""))[:_REFUSED_TEXT_MAX],
            size=size if isinstance(size, int) and 0 <= size < _HELD_MAX else None,
            retry_after_s=_retry_after(response),
        )

    async def head(self, origin: str) -> Head:
        """What the cloud holds of this log; nothing where it does not know it.

        Raises:
            UplinkError: unreachable, or another answer than agreed.
        """
        response = await self._batches.request("GET", f"/v1/logs/{origin}", seconds=_ANSWER_SECONDS)
        if response.status == _NOT_FOUND:
            return Head(size=0, note=None)
        content = _object(response)
        size, note = content.get("size"), content.get("checkpoint")
        if response.status != _OK or not isinstance(size, int) or not 0 <= size < _HELD_MAX:
            raise UplinkError(f"cloud: head of {origin} answered {response.status}; nothing is signed before it")
        return Head(size=size, note=note if isinstance(note, str) else None)

    async def mail(self, origin: str, after: int, wait_s: int) -> list[Message]:
        """Messages numbered above `after`, oldest first; empty when none came in the time."""
        path = f"/v1/gateways/{origin}/mail?after={after}&wait={wait_s}"
        response = await self._mail.request("GET", path, seconds=wait_s + _ANSWER_SECONDS)
        if response.status != _OK:
            raise UplinkError(f"cloud: mail of {origin} answered {response.status}")
        messages = _object(response).get("messages")
        if not isinstance(messages, list):
            raise UplinkError(f"cloud: mail of {origin} is no list of messages")
        return sorted((_message(one) for one in messages), key=lambda message: message.number)


def _object(response: Response) -> dict[str, Any]:
    try:
        content = json.loads(response.body)
    except ValueError as error:
        if response.status == _OK:
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


def _retry_after(response: Response) -> float | None:
    text = response.headers.get("retry-after", "")
    return min(float(text), 3600.0) if text.isdecimal() else None
