"""Arrivals by scan: who may sign them, and how they stand on the clock of a rescue until a gateway shows them."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from sqlalchemy import select

from cloud.directory import DirectoryFile
from cloud.identity.roles import Role
from cloud.mail import Bell
from cloud.maintenance.records import ArrivalRecord, LabelRecord
from cloud.maintenance.view import MaintenanceView
from cloud.questions import StoreQuestions
from cloud.service import Cloud
from cloud.store import Store, tables
from cloud.visits.arrivals import OF_ORDER_MAX, ArrivalRoom
from cloud.visits.room import VisitRefused, VisitRoom
from cloud.web.answers import Person, Title
from cloud.web.device_answers import Entrapment, WorkOrder
from contracts import p256
from contracts.arrival import Arrival, format_arrival, sign_arrival
from contracts.bundle import format_bundle
from contracts.entry import Kind, device_id
from contracts.label import Place, label_digest
from contracts.presence import Scan
from contracts.rotating import SLOT_S
from contracts.visit import VisitClass
from contracts.work_order import Order, State, source_of
from tests.bundles import ANNEX_A, bundle_of, scan
from tests.cloud.conftest import Bench, open_bench
from tests.cloud.gateway import SimulatedGateway
from tests.cloud.test_visits import NOW_S, Clock, directory
from tests.visits import ALIASES, CHAIN_ID, CONTRACT, LIFT, MECHANIC, OTHER

Run = Callable[[Any], Any]
ORDER, DEVICE, CAR = b"o" * 32, device_id(LIFT), label_digest("4k7mq2xd90bz")
SEEN_S = (NOW_S - 3600) // SLOT_S * SLOT_S
CAME_S = SEEN_S + 14 * 60
TRANSACTION = "0x" + "cd" * 32
AT_DISPLAY = scan(0, "in", CAME_S, device=DEVICE)
AT_LABEL = Scan(by=0, sense="in", place=Place.CAR, way="camera", at_s=CAME_S, label=CAR)
REPAIR: Any = {"visit_class": VisitClass.REPAIR, "pack_name": "lift-repair"}
MANAGER = Person(key="m", role=Role.MANAGER, title=Title(zh="", en=""))


def site_view() -> MaintenanceView:
    """The chain's word: somebody is trapped, and a firm has promised to come."""
    view = MaintenanceView()
    view.book.orders[ORDER] = Order(
        state=State.ACCEPTED, reported_at=SEEN_S + 60, seen_at=SEEN_S, source=source_of(DEVICE, "lift.entrapment"),
        firm=7, promise_at=SEEN_S + 1800,
    )  # fmt: skip
    view.reports[ORDER] = (DEVICE, "0x" + "ab" * 32)
    return view


def directory_file(folder: Path) -> DirectoryFile:
    document = json.loads(directory(MECHANIC))
    document["devices"][0] |= {"packs": [ANNEX_A], "labels": [{"place": "car", "digest": CAR.hex()}]}
    (folder / "directory.json").write_text(json.dumps(document))
    return DirectoryFile(folder / "directory.json")


def room_of(store: Store, folder: Path, view: MaintenanceView | None) -> ArrivalRoom:
    return ArrivalRoom(
        store=store, directory=directory_file(folder), clock=Clock(), chain_id=CHAIN_ID, contract=CONTRACT, view=view
    )  # fmt: skip


def arrival(made: Scan = AT_DISPLAY, **changes: Any) -> Arrival:
    fields = {
        "order": ORDER,
        "round": 0,
        "device": DEVICE,
        "mechanic": ALIASES[MECHANIC],
        "scan": made,
        "salt": bytes(16),
    }
    return Arrival(**(fields | changes))


def signed_by(said: Arrival, key: p256.PrivateKey = MECHANIC, contract: str = CONTRACT) -> bytes:
    return format_arrival(
        sign_arrival(said, key, chain_id=CHAIN_ID, contract=contract, nonce=1, deadline=NOW_S + 3600)
    )  # fmt: skip


def test_an_arrival_is_kept_once_with_the_time_of_its_scan(tmp_path: Path, store: Store, run: Run) -> None:
    late = replace(AT_DISPLAY, at_s=CAME_S + 240)  # by a phone whose clock is ahead
    early = replace(AT_LABEL, at_s=SEEN_S - 60)

    async def scenario() -> None:
        room = room_of(store, tmp_path, site_view())
        for said in (arrival(), arrival(), arrival(late), arrival(AT_LABEL), arrival(early)):
            assert await room.take(signed_by(said)) == {
                "order": ORDER.hex(), "digest": said.digest().hex(), "chain": "waiting",
            }  # fmt: skip
        async with store.read() as connection:
            rows = (await connection.execute(select(tables.arrivals.c.at_s, tables.arrivals.c.device))).all()
            wishes = (await connection.execute(select(tables.intents.c.business_key))).scalars().all()
        assert len(wishes) == len(rows) and all(wish.startswith("arrival:") for wish in wishes)
        assert sorted(row.at_s for row in rows) == [SEEN_S, CAME_S, CAME_S, CAME_S + 60]
        assert {row.device for row in rows} == {DEVICE}
        for number in range(len(rows), OF_ORDER_MAX):
            await room.take(signed_by(arrival(salt=number.to_bytes(16))))
        with pytest.raises(VisitRefused, match="finish it by its visit"):
            await room.take(signed_by(arrival(salt=b"\xff" * 16)))
        await room.take(signed_by(arrival()))
        await store.close()

    run(scenario())


@pytest.mark.parametrize(
    ("encoded", "code"),
    [
        (b"{", "malformed"),
        (signed_by(arrival(replace(AT_LABEL, label=None))), "malformed"),
        (signed_by(arrival(), OTHER), "unknown_crew"),
        (signed_by(arrival(mechanic=ALIASES[OTHER]), OTHER), "unknown_crew"),
        (signed_by(arrival(), contract="0x" + "d2" * 20), "wrong_contract"),
        (signed_by(arrival(order=b"x" * 32)), "unknown_order"),
        (signed_by(arrival(device=b"d" * 32)), "unknown_order"),
        (signed_by(arrival(replace(AT_LABEL, at_s=NOW_S + 3600))), "bad_time"),
        (signed_by(arrival(replace(AT_LABEL, at_s=SEEN_S - 3600))), "bad_time"),
        (signed_by(arrival(replace(AT_DISPLAY, at_s=CAME_S + 1200))), "bad_time"),
        (signed_by(arrival(replace(AT_LABEL, label=b"l" * 32))), "wrong_label"),
        (signed_by(arrival()).replace(bytes(16).hex().encode(), b"11" * 16), "bad_signature"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_arrival_of_somebody_or_somewhere_else_is_refused(
    encoded: bytes, code: str, tmp_path: Path, kept: str, run: Run
) -> None:
    async def scenario() -> None:
        store = Store(kept)
        with pytest.raises(VisitRefused) as refused:
            await room_of(store, tmp_path, site_view()).take(encoded)
        assert refused.value.code == code
        await store.close()

    run(scenario())


def test_a_withdrawn_label_shows_no_arrival_and_a_cloud_without_a_chain_takes_none(
    tmp_path: Path, kept: str, run: Run
) -> None:
    async def scenario() -> None:
        store, view = Store(kept), site_view()
        view.labels[CAR] = LabelRecord(device=DEVICE, place=int(Place.CAR), revoked_at_s=1)
        for room, code in (
            (room_of(store, tmp_path, view), "wrong_label"),
            (room_of(store, tmp_path, None), "no_chain"),
        ):
            with pytest.raises(VisitRefused) as refused:
                await room.take(signed_by(arrival(AT_LABEL)))
            assert refused.value.code == code
        await store.close()

    run(scenario())


def recorded(said: Arrival, *, came_s: int = CAME_S) -> ArrivalRecord:
    """The chain's word of an arrival."""
    return ArrivalRecord(
        order=said.order, round=said.round, crew=said.mechanic, digest=said.digest(), at_s=came_s, block_number=9,
        transaction_hash=TRANSACTION,
    )  # fmt: skip


class Rescue:
    """Somebody is trapped in a lift whose page and order are looked at."""

    def __init__(self, bench: Bench, folder: Path) -> None:
        self.bench, self.clock, self.gateway = bench, Clock(), SimulatedGateway()
        self.directory = directory_file(folder)
        self.arrivals = room_of(bench.store, folder, site_view())
        self.visits = VisitRoom(
            store=bench.store, directory=self.directory, bell=Bell(), clock=self.clock, chain_id=CHAIN_ID,
            contract=CONTRACT,
        )  # fmt: skip
        self.view = site_view()
        deployment = SimpleNamespace(bindings="0x" + "b1" * 20)
        chain = SimpleNamespace(maintenance=self.view, view=None, deployment=deployment)
        settings = SimpleNamespace(clock=self.clock, public_url="https://x.example")
        self.cloud = cast(
            Cloud,
            SimpleNamespace(
                store=bench.store,
                directory=self.directory,
                chain=chain,
                settings=settings,
                visits=self.visits,
                arrivals=self.arrivals,
            ),
        )
        for minute, value in ((0, 1), (20, 0)):
            self.gateway.log(Kind.STATUS, LIFT, "lift.entrapment", value, at_ms=(SEEN_S + 60 * minute) * 1000)

    async def send(self) -> None:
        self.bench.keys.enrol(self.gateway)
        await self.bench.send(self.gateway)

    async def seen(self) -> tuple[Entrapment, WorkOrder]:
        """What the public page and the order's page are told."""
        ask = StoreQuestions(self.cloud)
        lift, order = await ask.lift("l1"), await ask.order(MANAGER, ORDER)
        assert lift is not None and order is not None
        (entrapment,) = lift.care.entrapments
        assert (entrapment.arrived_after_s, entrapment.arrival_shown) == (order.arrived_after_s, order.arrival_shown)
        assert entrapment.arrival_transaction == order.arrival_transaction
        return entrapment, order


@pytest.mark.parametrize(
    ("level", "word", "shown_after_s"),
    [(2, "confirmed", 14 * 60), (1, "contradicted", None), (0, "not-seen", None)],
)
def test_an_arrival_is_said_until_the_gateway_found_its_code_right(
    level: int, word: str, shown_after_s: int | None, tmp_path: Path, kept: str, run: Run
) -> None:
    async def scenario() -> None:
        async with open_bench(kept) as bench:
            rescue = Rescue(bench, tmp_path)
            await rescue.send()
            entrapment, order = await rescue.seen()
            assert entrapment.arrived_after_s is None and order.rescue_s == 1800
            assert order.waited_s(rescue.clock.now_ms()) == NOW_S - SEEN_S
            await rescue.arrivals.take(signed_by(arrival()))
            entrapment, order = await rescue.seen()
            assert (entrapment.arrived_after_s, entrapment.arrival_shown) == (14 * 60, False)
            assert order.waited_s(rescue.clock.now_ms()) == 14 * 60
            moment = AT_DISPLAY.moment
            assert moment is not None
            bundle = bundle_of(
                CAME_S, MECHANIC, minutes=20, codes=[(0, moment)], photos=(), **REPAIR
            )  # fmt: skip
            await rescue.visits.take(format_bundle(bundle))
            presence = {"signers": [word], "slots": [moment.slot] if word == "confirmed" else []}
            at_ms = bundle.visit.ended_at_s * 1000 + 60_000
            rescue.gateway.log_visit(LIFT, level, bundle.visit.digest(), at_ms=at_ms, presence=presence)
            await rescue.send()
            entrapment, order = await rescue.seen()
            assert entrapment.arrived_after_s == 14 * 60
            assert entrapment.arrival_shown is (shown_after_s is not None)

    run(scenario())


def test_an_arrival_says_where_it_stands_on_chain_though_the_chain_alone_has_it(
    tmp_path: Path, kept: str, run: Run
) -> None:
    early = arrival(replace(AT_LABEL, at_s=SEEN_S + 300))

    async def scenario() -> None:
        async with open_bench(kept) as bench:
            rescue = Rescue(bench, tmp_path)
            await rescue.send()
            await rescue.arrivals.take(signed_by(arrival()))
            assert (await rescue.seen())[0].arrival_transaction is None
            others = replace(recorded(arrival()), crew=ALIASES[OTHER], at_s=CAME_S + 60)
            rescue.view.arrivals[ORDER] = [others]
            assert (await rescue.seen())[0].arrival_transaction is None, "another person's is not this one's"
            rescue.view.arrivals[ORDER].append(recorded(arrival()))
            entrapment, _order = await rescue.seen()
            assert (entrapment.arrived_after_s, entrapment.arrival_transaction) == (14 * 60, TRANSACTION)
            rescue.view.arrivals[ORDER].append(recorded(early, came_s=SEEN_S + 300))
            entrapment, _order = await rescue.seen()
            assert (entrapment.arrived_after_s, entrapment.arrival_shown) == (5 * 60, False)
            assert entrapment.arrival_transaction == TRANSACTION

    run(scenario())


def test_a_visit_that_its_gateway_saw_came_when_it_saw_it_and_one_that_it_did_not_see_never_came(
    tmp_path: Path, kept: str, run: Run
) -> None:
    there_s = SEEN_S + 40 * 60
    moment = scan(0, "in", there_s, device=DEVICE).moment
    assert moment is not None

    async def scenario() -> None:
        async with open_bench(kept) as bench:
            rescue = Rescue(bench, tmp_path)
            await rescue.send()
            unseen = bundle_of(SEEN_S + 60, MECHANIC, minutes=9, photos=(), salt=2, **REPAIR)
            claimed = bundle_of(
                SEEN_S + 31 * 60, MECHANIC, minutes=20, codes=[(0, moment)], photos=(), **REPAIR
            )  # fmt: skip
            for bundle, level, slots in ((unseen, 0, []), (claimed, 1, [moment.slot])):
                await rescue.visits.take(format_bundle(bundle))
                presence = {"signers": ["confirmed" if slots else "not-seen"], "slots": slots}
                at_ms = bundle.visit.ended_at_s * 1000 + 60_000
                rescue.gateway.log_visit(LIFT, level, bundle.visit.digest(), at_ms=at_ms, presence=presence)
            await rescue.send()
            entrapment, _order = await rescue.seen()
            assert (entrapment.arrived_after_s, entrapment.arrival_shown) == (40 * 60, True)

    run(scenario())


def test_a_crews_phone_is_told_of_open_orders_and_of_the_contract_that_arrivals_are_signed_for(
    tmp_path: Path, kept: str, run: Run
) -> None:
    async def scenario() -> None:
        async with open_bench(kept) as bench:
            rescue = Rescue(bench, tmp_path)
            work = json.loads(await StoreQuestions(rescue.cloud).crew_work(MANAGER))
            assert work["contracts"]["work_orders"] == CONTRACT
            assert work["orders"] == [
                {
                    "name": ORDER.hex(), "device": DEVICE.hex(), "cause": "entrapment", "state": "accepted",
                    "round": 0, "seen_at": SEEN_S, "promise_at": SEEN_S + 1800, "firm": 7, "rescue_s": 1800,
                    "arrived_after_s": None, "arrival_shown": False,
                }
            ]  # fmt: skip

    run(scenario())


def test_a_crews_phone_is_told_that_a_colleague_is_at_the_order_already(tmp_path: Path, kept: str, run: Run) -> None:
    async def scenario() -> None:
        async with open_bench(kept) as bench:
            rescue = Rescue(bench, tmp_path)
            await rescue.arrivals.take(signed_by(arrival()))
            (order,) = json.loads(await StoreQuestions(rescue.cloud).crew_work(MANAGER))["orders"]
            assert (order["arrived_after_s"], order["arrival_shown"]) == (14 * 60, False)
            assert ALIASES[MECHANIC].hex() not in json.dumps(order), "that somebody came, not who"

    run(scenario())
