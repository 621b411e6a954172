"""A swap's file beside its visit, as phones hand it in: kept once, however often, whatever has become of it since."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cloud.chain.records import BindingRecord
from cloud.chain.view import ChainView
from cloud.directory import DirectoryFile
from cloud.mail import Bell
from cloud.visits.room import VisitRefused, VisitRoom
from cloud.visits.swaps import SwapRoom
from contracts import p256
from contracts.bundle import Bundle, format_bundle
from contracts.calls.bindings import ROLE_OWN
from contracts.entry import device_id
from contracts.meter_swap import SignedMeterSwap, format_meter_swap, meter_swap_to_json
from tests.cloud.conftest import Bench, open_bench
from tests.cloud.gateway import ORIGIN
from tests.cloud.house import Hands
from tests.meter_swaps import noted_of, signed_swap, swap_bundle
from tests.visits import ALIASES, CHAIN_ID, CONTRACT, MECHANIC

OLD, NEW = "urn:minglou:cuiyuan:b07:water:0101-abcdefgh", "urn:minglou:cuiyuan:b07:water:s1-ijklmnop"
FLAT, BINDINGS = bytes(range(32)), "0x" + "b1" * 20
BOUND_FROM, DAY = date(2025, 10, 23), date(2025, 11, 25)
NOW_S = 1_764_000_000
Run = Callable[[Any], Any]


@asynccontextmanager
async def swaps(folder: Path, store_url: str) -> AsyncIterator[tuple[Bench, SwapRoom, ChainView]]:
    """Where swaps are taken, over a chain that says for whom the old meter counts; a swap's visit is handed in."""
    words = {"zh": "水表", "en": "Water meter"}
    crew = {"alias": ALIASES[MECHANIC].hex(), "public": p256.public_bytes(MECHANIC).hex(), "firm": words}
    site = {"name": "cuiyuan", "host": "x.example", "title": words, "timezone": "Asia/Shanghai"}
    device = {"urn": OLD, "kind": "water", "origin": ORIGIN, "title": words}
    document = {"format": "minglou-directory/1", "site": site, "units": [], "devices": [device], "crew": [crew]}
    (folder / "directory.json").write_text(json.dumps(document))
    view = ChainView(CHAIN_ID)
    bound = BindingRecord(subject=FLAT, role=ROLE_OWN, from_date=20251023)
    view.bindings[device_id(OLD)] = [bound]
    deployment = SimpleNamespace(chain_id=CHAIN_ID, bindings=BINDINGS)
    async with open_bench(store_url) as bench:
        room = VisitRoom(
            store=bench.store, directory=DirectoryFile(folder / "directory.json"), bell=Bell(),
            clock=Hands(NOW_S * 1000), chain_id=CHAIN_ID, contract=CONTRACT,
        )  # fmt: skip
        await room.take(format_bundle(made()[0]))
        yield bench, SwapRoom(bench.store, view, deployment), view


def made(closing: int = 123_456_000) -> tuple[Bundle, SignedMeterSwap]:
    """A water meter's swap, and the visit that notes it."""
    noted = noted_of(OLD, NEW, closing=closing, opening=7_000, day=DAY)
    bundle = swap_bundle(noted, started_at_s=NOW_S - 1200, ended_at_s=NOW_S - 60, old=OLD)
    return bundle, signed_swap(bundle, subject=FLAT, old_from=BOUND_FROM, contract=BINDINGS)


def test_a_swap_is_kept_once_and_a_phone_that_never_heard_so_may_ask_for_ever(
    tmp_path: Path, store_url: str, run: Run
) -> None:
    bundle, swap = made()
    digest = bundle.visit.digest()

    async def scenario() -> None:
        async with swaps(tmp_path, store_url) as (_bench, room, view):
            assert await room.take(digest, format_meter_swap(swap)) == swap
            assert await room.take(digest, format_meter_swap(swap)) == swap
            await room.note_act(digest, bytes(32))
            view.bindings[device_id(OLD)][0].to_date = 20251125
            view.bindings[device_id(NEW)] = [BindingRecord(subject=FLAT, role=ROLE_OWN, from_date=20251125)]
            laid_out = json.dumps(meter_swap_to_json(swap), indent=2).encode()
            assert await room.take(digest, laid_out) == swap, "the binding is renewed; it is here all the same"
            elsewhere = signed_swap(bundle, subject=FLAT, old_from=BOUND_FROM, contract="0x" + "b2" * 20)
            for refused, code in ((elsewhere, "wrong_contract"), (made(closing=1_000)[1], "wrong_visit")):
                with pytest.raises(VisitRefused) as refusal:
                    await room.take(digest, format_meter_swap(refused))
                assert refusal.value.code == code

    run(scenario())


@pytest.mark.parametrize(("device", "opening"), [(NEW, 7_000), (OLD, 0)])
def test_a_binding_began_with_the_register_of_the_swap_that_hung_the_meter_up(
    tmp_path: Path, store_url: str, run: Run, device: str, opening: int
) -> None:
    async def scenario() -> None:
        async with swaps(tmp_path, store_url) as (bench, room, _view):
            bundle, swap = made()
            await room.take(bundle.visit.digest(), format_meter_swap(swap))
            async with bench.store.read() as connection:
                assert await room.opening_of(connection, FLAT, device_id(device)) == opening

    run(scenario())
