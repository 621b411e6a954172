"""The cloud as a mirror asks it: logs, frames, and where acknowledgements go."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

import httpx

from cloud.errors import MirrorError
from cloud.segments.notes import StoredNote, stored_note
from contracts.checkpoint import is_log_origin
from contracts.errors import CheckpointError, SegmentError
from contracts.note import NOTE_BYTES_MAX
from contracts.segment import FRAME_BYTES_MAX, PREFIX_BYTES, split_frames
from contracts.tiles import TILE_WIDTH, Tile, tile_path
from contracts.tree import HASH_BYTES

__all__ = ["CloudClient", "ShownLog"]

_ANSWER_SECONDS = 60.0
_BYTES_MAX = 2 * (FRAME_BYTES_MAX + PREFIX_BYTES) + 8 * 1024 * 1024
_JSON_BYTES_MAX = 8 * 1024 * 1024
_WHOLE_SECONDS = 600.0  # 16 MB over a slow line
_NOTES_AT_ONCE = 500
_TIME_END_MS = 1 << 53
_SIZE = re.compile(r"[1-9][0-9]{0,14}")
_PLACE = re.compile(r"0|[1-9][0-9]{0,14}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownLog:
    """What the cloud says of a log."""

    origin: str
    size: int
    note: str


class CloudClient:
    """One cloud, asked with the copy's own token."""

    def __init__(self, url: str, token: str) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        self._client = httpx.AsyncClient(base_url=url, headers=headers, timeout=_ANSWER_SECONDS, trust_env=False)

    async def close(self) -> None:
        await self._client.aclose()

    async def logs(self) -> AsyncIterator[ShownLog]:
        """Every log that the cloud holds. Raises `MirrorError`."""
        after = ""
        while True:
            answer = await self._json("GET", "/v1/copies/logs", params={"after": after})
            shown = [_shown(one) for one in _listed(answer, "logs")]
            for log in shown:
                yield log
            following = answer.get("next")
            if not isinstance(following, str) or following <= after or not shown:
                return
            after = following

    async def audit_heads(self, start: int) -> Sequence[StoredNote]:
        """The audit log's heads in the super-log, from this place of that on. Raises `MirrorError`."""
        answer = await self._json("GET", "/v1/copies/audit-heads", params={"from": start})
        heads = [_head(one) for one in _listed(answer, "heads")]
        places = [head.order for head in heads]
        if places != sorted({place for place in places if place >= start}):
            raise MirrorError(f"the cloud lists heads of its audit log at {places[:9]} behind {start}, out of order")
        return heads

    async def super_checkpoint(self) -> str | None:
        """The super-log's newest note, as it is served to everybody; None before the first. Raises `MirrorError`."""
        status, body = await self._read("GET", "/log/checkpoint", NOTE_BYTES_MAX)
        if status == 404:
            return None
        if status != 200:
            raise MirrorError(f"the cloud answers /log/checkpoint with {status}: {body[:300]!r}")
        return body.decode(errors="replace")

    async def super_tile(self, tile: Tile) -> bytes:
        """A tile of the super-log's hashes. Raises `MirrorError`."""
        path = f"/log/{tile_path(tile)}"
        status, body = await self._read("GET", path, TILE_WIDTH * HASH_BYTES)
        if status != 200:
            raise MirrorError(f"the cloud answers {path} with {status}, which its checkpoint covers: {body[:300]!r}")
        return body

    async def frames(self, origin: str, start: int) -> Sequence[bytes]:
        """Whole frames from the one that holds entry `start` on. Raises `MirrorError`."""
        status, body = await self._read("GET", f"/v1/copies/frames/{origin}", _BYTES_MAX, params={"from": start})
        if status != 200:
            raise MirrorError(f"{origin}: the cloud answers {status}: {body[:300]!r}")
        try:
            return list(split_frames(body))
        except SegmentError as error:
            raise MirrorError(f"{origin}: {error}") from error

    async def acknowledge(self, notes: Sequence[str]) -> Sequence[str]:
        """Hand signed notes in; what the cloud refused of them, in its words. Raises `MirrorError`."""
        refused = list[str]()
        for at in range(0, len(notes), _NOTES_AT_ONCE):
            body = {"notes": notes[at : at + _NOTES_AT_ONCE]}
            answer = await self._json("POST", "/v1/copies/acknowledgements", json=body)
            refused += [str(one)[:300] for one in _listed(answer, "refused")]
        return refused

    async def _json(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        status, body = await self._read(method, path, _JSON_BYTES_MAX, **options)
        if status != 200:
            raise MirrorError(f"the cloud answers {path} with {status}: {body[:300].decode(errors='replace')}")
        try:
            found = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise MirrorError(f"the cloud answers {path} with no JSON; is this the right address?") from error
        return found if isinstance(found, dict) else {}

    async def _read(self, method: str, path: str, bytes_max: int, **options: Any) -> tuple[int, bytes]:
        """Status and body, bounded in time and size as a whole. Raises `MirrorError`."""
        body = bytearray()
        try:
            async with (
                asyncio.timeout(_WHOLE_SECONDS),
                self._client.stream(method, path, **options) as answer,
            ):
                async for piece in answer.aiter_bytes():
                    body += piece
                    if len(body) > bytes_max:
                        raise MirrorError(f"{path}: the cloud sends over {bytes_max} bytes at once")
        except TimeoutError as error:
            raise MirrorError(f"{path}: the cloud did not end its answer within {_WHOLE_SECONDS:g} s") from error
        except httpx.HTTPError as error:
            raise _unreachable(error) from error
        return answer.status_code, bytes(body)


def _unreachable(error: httpx.HTTPError) -> MirrorError:
    return MirrorError(f"the cloud cannot be reached: {type(error).__name__} {error}".rstrip())


def _listed(answer: dict[str, Any], name: str) -> list[object]:
    found = answer.get(name, [])
    if not isinstance(found, list):
        raise MirrorError(f"the cloud answers {name} with {str(found)[:40]!r}, which is no list")
    return found


def _is_note(found: object) -> TypeGuard[str]:
    """JSON may spell half a character, which no file takes."""
    return isinstance(found, str) and not any("\ud800" <= letter <= "\udfff" for letter in found)


def _head(one: object) -> StoredNote:
    fields = one if isinstance(one, dict) else {}
    place, signed_at_ms, note = fields.get("super_index"), fields.get("signed_at_ms"), fields.get("note")
    is_placed = isinstance(place, str) and _PLACE.fullmatch(place) is not None
    is_timed = type(signed_at_ms) is int and 0 <= signed_at_ms < _TIME_END_MS  # True is an int too
    try:
        if not is_placed or not is_timed or not _is_note(note):
            raise CheckpointError("it lacks its place, time or note")
        return stored_note(note, int(str(signed_at_ms)), int(str(place)))
    except CheckpointError as error:
        raise MirrorError(f"the cloud lists a head of its audit log that is none: {error}") from error


def _shown(one: object) -> ShownLog:
    fields = one if isinstance(one, dict) else {}
    origin, size, note = fields.get("origin"), fields.get("size"), fields.get("checkpoint")
    if not isinstance(origin, str) or not is_log_origin(origin) or not _is_note(note):
        raise MirrorError("the cloud lists a log without name or checkpoint")
    if not isinstance(size, str) or not _SIZE.fullmatch(size):
        raise MirrorError(f"{origin}: the cloud lists it with the size {str(size)[:40]!r}")
    return ShownLog(origin=origin, size=int(size), note=note)
