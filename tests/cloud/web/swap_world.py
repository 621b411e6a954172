"""A swap of the owner's meter behind the pages: a real file with its installer's signature."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from cloud.web.answers import Person, RelayAnswer, Role
from cloud.web.swap_answers import MeterSwapAnswer, Register, Standing, SwapRequest, SwapTerms
from contracts import p256
from contracts.meter_swap import MeterSwapFile, format_meter_swap, parse_meter_swap
from tests.vectors.meter_swap_cases import AT_S, meter_swap_vectors

FILE: dict[str, Any] = meter_swap_vectors()["value"]
SIGNED = parse_meter_swap(json.dumps(FILE).encode())
SWAP = SIGNED.file
PHOTO = b"\xff\xd8\xff\xd9"  # as short as a JPEG can be


@dataclass(kw_only=True)
class SwapWorld:
    """The protocol's answers about swaps."""

    swap_owner: p256.PrivateKey
    swap: MeterSwapFile = SWAP
    swap_door: str = "b07-0501"
    swap_standing: Standing = Standing.TO_CONFIRM
    confirmed: list[SwapRequest] = field(default_factory=list)

    async def meter_swaps(self, viewer: Person, door: str) -> Sequence[MeterSwapAnswer]:
        if viewer.role is not Role.OWNER or door not in viewer.units or door != self.swap_door:
            return ()
        swap, noted, read_at_ms = self.swap, self.swap.noted, AT_S * 1000
        word = "contradicted" if self.swap_standing is Standing.AGAINST else "confirmed"
        terms = SwapTerms(
            chain_id=swap.chain_id, contract=swap.contract, key_public=p256.public_bytes(self.swap_owner), nonce=7,
            deadline_s=2**40,
        )  # fmt: skip
        return (
            MeterSwapAnswer(
                visit=swap.visit.hex(), quantity=noted.quantity, day=noted.day, standing=self.swap_standing,
                ended_at_ms=read_at_ms, entry=None, act=None,
                closing=Register(noted=noted.closing, read=noted.closing, read_at_ms=read_at_ms, word=word),
                opening=Register(noted=noted.opening, read=noted.opening, read_at_ms=read_at_ms, word="confirmed"),
                photos=(swap.closing_photo.hex(), swap.opening_photo.hex()),
                terms=terms if self.swap_standing is Standing.TO_CONFIRM else None,
            ),
        )  # fmt: skip

    async def meter_swap(self, viewer: Person, door: str, visit: bytes) -> MeterSwapAnswer | None:
        return next((one for one in await self.meter_swaps(viewer, door) if one.visit == visit.hex()), None)

    async def meter_swap_file(self, viewer: Person, door: str, visit: bytes) -> bytes | None:
        held = await self.meter_swap(viewer, door, visit)
        return format_meter_swap(replace(SIGNED, file=self.swap)) if held else None

    async def meter_swap_photo(self, viewer: Person, door: str, visit: bytes, name: bytes) -> tuple[str, bytes] | None:
        held = await self.meter_swap(viewer, door, visit)
        return ("image/jpeg", PHOTO) if held is not None and name.hex() in held.photos else None

    async def relay_meter_swap(self, viewer: Person, request: SwapRequest) -> RelayAnswer:
        if await self.meter_swap(viewer, request.unit, request.visit) is None:
            return RelayAnswer(accepted=False, code="unknown_swap", remedy="reload the page")
        self.confirmed.append(request)
        self.swap_standing = Standing.RELAYED
        return RelayAnswer(accepted=True, code="queued")
