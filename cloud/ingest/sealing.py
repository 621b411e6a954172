"""The entries of one group of batches as the store keeps them: what is a household's sealed, in a few array operations
for all of them together.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.ingest.columns import Columns
from cloud.ingest.judgement import Continuation
from cloud.store.readings import CLEAR, is_private, mask, sealing_keys

__all__ = ["StoredPart", "seal_parts"]

# Where an entry's device, value and salt lie in its 224 bytes.
_DEVICE, _VALUE, _SALT = slice(32, 64), slice(152, 160), slice(192, 208)
_NONE = np.zeros((0, 224), np.uint8)


@dataclass(frozen=True, slots=True)
class StoredPart:
    """What one continuation adds: its batch's columns with sealed values, salts and details."""

    part: Continuation
    columns: Columns
    sealed_by: npt.NDArray[np.int32]  # the key's tag of every position of the batch


async def seal_parts(connection: AsyncConnection, parts: Sequence[Continuation]) -> list[StoredPart]:
    """The parts as the store keeps them: sealed, or as they are where the store has no keys."""
    private = [_private(part) for part in parts]
    array = np.concatenate([_rows(part, places) for part, places in zip(parts, private, strict=True)] or [_NONE])
    devices = _cut(array[:, _DEVICE])
    keys = await sealing_keys(connection, set(devices))
    if not keys:
        return [
            StoredPart(part, part.content.columns, np.zeros(part.content.columns.count, np.int32)) for part in parts
        ]
    told = list(zip(parts, private, strict=True))
    used = [keys[device] for device in devices]
    heads, details = mask(
        used,
        [part.content.leaves[at] for part, places in told for at in places],
        np.concatenate([array[:, _VALUE], array[:, _SALT]], axis=1),
        [part.content.columns.details.get(at) for part, places in told for at in places],
    )
    tags = np.fromiter((key.tag for key in used), np.int32, len(used))
    stored, at = [], 0
    for part, places in told:
        end = at + len(places)
        stored.append(_stored(part, places, heads[at:end], details[at:end], tags[at:end]))
        at = end
    return stored


def _private(part: Continuation) -> list[int]:
    """Positions, of what is new in a batch, whose content is a household's."""
    columns, start = part.content.columns, part.skipped
    told = list(zip(columns.kinds[start:], columns.quantities[start:], strict=True))
    private = {one: is_private(*one) for one in set(told)}
    return [at for at, one in enumerate(told, start) if private[one]]


def _rows(part: Continuation, places: Sequence[int]) -> npt.NDArray[np.uint8]:
    array = part.content.columns.array
    if places and len(places) == places[-1] - places[0] + 1:  # as nearly always
        return array[places[0] : places[-1] + 1]
    return array[np.array(places, np.int64)]


def _cut(octets: npt.NDArray[np.uint8]) -> list[bytes]:
    """The bytes of each row."""
    width, joined = octets.shape[1], octets.tobytes()
    return [joined[at : at + width] for at in range(0, len(joined), width)]


def _stored(
    part: Continuation, places: Sequence[int], heads: npt.NDArray[np.uint8], details: Sequence[bytes | None], tags: Any
) -> StoredPart:
    columns = part.content.columns
    array, by = columns.array.copy(), np.full(columns.count, CLEAR, np.int32)
    if places:
        array[places, _VALUE], array[places, _SALT], by[places] = heads[:, :8], heads[:, 8:], tags
    sealed = {place: detail for place, detail in zip(places, details, strict=True) if detail is not None}
    return StoredPart(part, replace(columns, entries=array.tobytes(), details={**columns.details, **sealed}), by)
