"""A flat as its household's program is told of it: `GET /v1/own` with a token that the owner made on their page.

What is told here is *not verified*: each register says by which entry it can be (`minglou.client`, the flat's pages).
"""

import asyncio
import json
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import httpx

__all__ = [
    "Bill", "CloudAway", "Meter", "OwnCloud", "OwnFlat", "Register", "TokenRefused", "flat_of", "read_secret",
    "read_token",
]  # fmt: skip

_TIMEOUT_SECONDS = 30.0
_ANSWER_BYTES_MAX = 1_048_576
_TOKEN = re.compile(r"mlt_[A-Za-z0-9_-]{43}")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class CloudAway(Exception):
    """The cloud does not answer, or with something else; asking again later may help."""

    def __init__(self, says: str, *, retry_seconds: float = 0.0) -> None:
        super().__init__(says)
        self.retry_seconds = retry_seconds  # what the cloud asks to wait at least


class TokenRefused(Exception):
    """The token opens nothing: ended, revoked, or its role has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """What one register of a meter showed last."""

    quantity: str
    value: int  # base units
    unit: str  # Wh, mL, L; empty where none is known
    observed_at_ms: int
    origin: str
    index: int
    state: str  # recorded, logged, anchored, final


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    """One meter that counts for the flat."""

    name: str
    title: str
    registers: tuple[Register, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """One bill of the flat."""

    period: str
    opening: str  # ISO date
    closing: str
    total_fen: int
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnFlat:
    """The flat, in one language."""

    site: str  # the cloud's host
    door: str
    title: str
    meters: tuple[Meter, ...]
    month_fen: int | None  # an estimate since the last bill
    month_until_ms: int
    balance_fen: int | None
    bills: tuple[Bill, ...]  # newest first


class OwnCloud:
    """Asks one cloud with one token."""

    def __init__(self, url: str, token: str, *, language: str, seconds: float = _TIMEOUT_SECONDS) -> None:
        """Raises ValueError where the token would travel in clear."""
        parts = urlsplit(url)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
            raise ValueError(f"{url}: name the cloud as https://…; a token must not travel in clear")
        self._language = language
        self._seconds = seconds
        self._site = parts.hostname or ""
        headers = {"authorization": f"Bearer {token}", "accept": "application/json"}
        self._http = httpx.AsyncClient(base_url=url.rstrip("/"), headers=headers, timeout=seconds)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def read(self) -> OwnFlat:
        """The flat as it is now. Raises `CloudAway` and `TokenRefused`."""
        try:
            # The client's own deadline begins anew with each byte: this one is the whole answer's.
            async with asyncio.timeout(self._seconds), self._http.stream("GET", "/v1/own") as answer:
                body = await _whole(answer)
                if answer.status_code == httpx.codes.UNAUTHORIZED:
                    raise TokenRefused("the cloud does not know this token: make a new one under My access (/account)")
                if not answer.is_success:
                    raise _away(answer, body)
        except (httpx.HTTPError, TimeoutError) as error:
            raise CloudAway(f"the cloud does not answer: {str(error) or type(error).__name__}") from error
        try:
            return flat_of(json.loads(body), self._language, site=self._site)
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise CloudAway(f"what answers is no such cloud: {error!r}; look at --cloud") from error


def read_token(path: Path) -> str:
    """The token in a file. Raises ValueError where others may read it, or it holds none."""
    token = read_secret(path)
    if _TOKEN.fullmatch(token) is None:
        raise ValueError(f"{path} holds no token of ours: mlt_ and 43 letters; copy it from your page")
    return token


def read_secret(path: Path) -> str:
    """What a file holds that its owner alone may read. Raises ValueError."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        secret = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    if mode & 0o077:
        raise ValueError(f"{path}: mode {mode:o} lets others read it; run chmod 600 {path}")
    return secret


async def _whole(answer: httpx.Response) -> bytes:
    body = b""
    async for piece in answer.aiter_bytes():
        body += piece
        if len(body) > _ANSWER_BYTES_MAX:
            raise CloudAway(f"the cloud answers with over {_ANSWER_BYTES_MAX} bytes; look at --cloud")
    return body


def _away(answer: httpx.Response, body: bytes) -> CloudAway:
    try:
        says = str(json.loads(body)["message"])[:300]
    except (ValueError, TypeError, KeyError, RecursionError):
        says = "look at --cloud, or ask again later"
    wait = answer.headers.get("retry-after", "")
    seconds = float(wait) if wait.isdecimal() and len(wait) < 6 else 0.0
    return CloudAway(f"the cloud answers {answer.status_code}: {says}", retry_seconds=seconds)


def flat_of(told: Any, language: str, *, site: str) -> OwnFlat:
    """The flat in an answer that was parsed. Raises KeyError, TypeError, ValueError."""
    month, balance = told["month"], told["balance_fen"]
    return OwnFlat(
        site=site,
        door=str(told["flat"]),
        title=str(told["title"][language]),
        meters=tuple(_meter(one, language) for one in told["meters"]),
        month_fen=None if month is None else _integer(month["amount_fen"]),
        month_until_ms=0 if month is None else _integer(month["until_ms"]),
        balance_fen=None if balance is None else _integer(balance),
        bills=tuple(
            Bill(
                period=str(one["period"]),
                opening=str(one["opening"]),
                closing=str(one["closing"]),
                total_fen=_integer(one["total_fen"]),
                state=str(one["state"]),
            )
            for one in told["bills"]
        ),
    )


def _integer(told: Any) -> int:
    """A JSON integer, or one as a decimal string; a fraction is none, nor what is larger than any number."""
    if isinstance(told, bool) or not isinstance(told, int | str):
        raise TypeError(f"{told!r} is no integer")
    return int(told)


def _meter(told: Any, language: str) -> Meter:
    registers = tuple(
        Register(
            quantity=str(one["quantity"]),
            value=_integer(one["value"]),
            unit=str(one["unit"]),
            observed_at_ms=_integer(one["observed_at_ms"]),
            origin=str(one["origin"]),
            index=_integer(one["index"]),
            state=str(one["state"]),
        )
        for one in told["registers"]
    )
    return Meter(name=str(told["name"]), title=str(told["title"][language]), registers=registers)
