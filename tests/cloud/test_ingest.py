"""Ingest takes what continues a log, and refuses everything else without losing anything."""

import asyncio
import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from cloud.errors import IngestRefused
from cloud.ingest import IngestLimits, KeyState
from cloud.status import latest_oddities
from cloud.store import tables
from cloud.store.logs import log_number
from cloud.store.trees import LogTree, SuperTree, walk
from contracts import p256
from contracts.checkpoint import open_checkpoint
from contracts.entry import Kind, decode_entry
from contracts.superlog import open_superlog, superlog_leaf
from contracts.tree import consistency_path, inclusion_path, leaf_hash, root_of, verify_inclusion
from tests.cloud.conftest import SUPER_ORIGIN, Bench, open_bench
from tests.cloud.gateway import CLAIM, SimulatedGateway

Run = Callable[[Any], Any]


async def refusal(bench: Bench, gateway: SimulatedGateway, body: bytes, token: bytes | None = None) -> IngestRefused:
    before = await held(bench)
    with pytest.raises(IngestRefused) as caught:
        await bench.ingest.submit(gateway.origin, gateway.token if token is None else token, body)
    assert await held(bench) == before, "a refused batch left something behind"
    return caught.value


async def held(bench: Bench) -> tuple[int, int, int]:
    await bench.super_log.sequence(bench.store)
    async with bench.store.read() as connection:
        counts = [
            (await connection.execute(select(func.count()).select_from(table))).scalar_one()
            for table in (tables.entries, tables.checkpoints, tables.super_nodes)
        ]
    return counts[0], counts[1], counts[2]


def test_batches_of_any_cut_make_the_same_tree(run: Run, store_url: str) -> None:
    async def scenario() -> None:
        async with open_bench(store_url) as bench:
            gateway = SimulatedGateway()
            gateway.log_readings(399)
            bench.keys.enrol(gateway)
            cuts = [1, 2, 33, 34, 64, 131, 400]
            for start, end in zip([0, *cuts], cuts, strict=False):
                assert await bench.send(gateway, start, end) == end
            tree, log = gateway.tree(), LogTree(log_number(gateway.origin))
            async with bench.store.read() as connection:
                for size in (1, 2, 33, 100, 399, 400):
                    assert await walk(connection, log, lambda node, size=size: root_of(node, size)) == tree.root(size)
                for index in (0, 1, 31, 32, 64, 300, 399):
                    path = await walk(connection, log, lambda node, index=index: inclusion_path(node, index, 400))
                    assert path == inclusion_path(tree.node, index, 400)
                path = await walk(connection, log, lambda node: consistency_path(node, 131, 400))
                assert path == consistency_path(tree.node, 131, 400)

    run(scenario())


def test_every_kind_of_entry_is_stored_as_it_was_sent(run: Run, store_url: str) -> None:
    lift, day = "urn:minglou:cuiyuan:b07:lift:1", "1-0:1.8.0*20261201"
    gateway = SimulatedGateway()
    gateway.log_readings(2)
    gateway.log_readings(2, detailed=False)
    for value in (-1, 2**63 - 1, 1 - 2**63):
        gateway.log(Kind.READING, gateway.urn, day, value)
    gateway.log(Kind.STATUS, lift, "q" * 32, 2, detail={"says": "z" * 3_000})
    gateway.log(Kind.ACCESS, lift, "access.granted", 1, at_ms=2**53 - 1)
    gateway.log_visit(lift, 3, bytes(range(32)), at_ms=0)
    gateway.log(Kind.BEACON, gateway.urn, "block:31337", 7, digest=bytes(range(1, 33)))

    async def scenario() -> None:
        async with open_bench(store_url) as bench:
            bench.keys.enrol(gateway)
            await bench.send(gateway, 0, 5)
            await bench.send(gateway, 3)  # from the middle of what is held
            async with bench.store.read() as connection:
                query = select(tables.entries).where(tables.entries.c.log_id == log_number(gateway.origin))
                rows = (await connection.execute(query.order_by(tables.entries.c.entry_index))).all()
        for row, encoded, detail in zip(rows, gateway.entries, gateway.details, strict=True):
            fields = (row.kind, row.device, row.observed_at_ms, row.quantity, row.value, row.detail_digest, row.salt)
            assert fields == decode_entry(encoded).row
            assert (row.detail or b"", row.leaf_hash, row.sealed_by) == (detail, leaf_hash(encoded), 0)
            assert row.received_month > 202600

    run(scenario())


def test_every_accepted_checkpoint_is_a_leaf_of_the_super_log(run: Run, store_url: str) -> None:
    async def scenario() -> None:
        async with open_bench(store_url) as bench:
            gateway = SimulatedGateway()
            gateway.log_readings(20)
            bench.keys.enrol(gateway)
            for end in (1, 7, 21):
                await bench.send(gateway, {1: 0, 7: 1, 21: 7}[end], end)
            head = await bench.super_log.sign_head(bench.store, now_ms=1)
            assert head is not None and head.size == 3
            assert await bench.super_log.sign_head(bench.store, now_ms=2) == head, "one note for one size"
            checkpoint = open_superlog(head.note, SUPER_ORIGIN, bench.super_log.public)
            async with bench.store.read() as connection:
                rows = (await connection.execute(select(tables.checkpoints))).all()
                for row in rows:
                    leaf = leaf_hash(superlog_leaf(open_checkpoint(row.note, gateway.public)))
                    path = await walk(
                        connection, SuperTree(), lambda node, row=row: inclusion_path(node, row.super_index, 3)
                    )
                    verify_inclusion(leaf, row.super_index, 3, path, checkpoint.root)

    run(scenario())


def test_a_replay_is_answered_and_stored_once(run: Run, store_url: str) -> None:
    async def scenario() -> None:
        async with open_bench(store_url) as bench:
            gateway = SimulatedGateway()
            gateway.log_readings(99)
            bench.keys.enrol(gateway)
            assert await bench.send(gateway, 0, 60) == 60
            assert await bench.send(gateway, 0, 60) == 60
            assert await bench.send(gateway, 10, 40) == 60, "a part of what is held"
            assert await bench.send(gateway, 30, 100) == 100, "the held part is skipped, the rest appended"
            assert await held(bench) == (100, 2, 3)

    run(scenario())


def test_replays_and_a_wrong_clock_are_counted_and_shown(run: Run, store_url: str) -> None:
    async def scenario() -> None:
        async with open_bench(store_url) as bench:
            gateway = SimulatedGateway()
            gateway.log_readings(9)
            gateway.log(Kind.STATUS, gateway.urn, "lift.mode", 1, at_ms=2**52)
            gateway.log_readings(5)
            bench.keys.enrol(gateway)
            for start, end in ((0, 5), (0, 5), (3, 8), (8, 16)):
                await bench.send(gateway, start, end)
            shown = await latest_oddities(bench.store, 10)
            assert len(shown) == 3 and all(line.startswith(gateway.origin) for line in shown)
            assert any("replay, 2 times; last: entries 3 to 4 were sent again" in line for line in shown)
            assert any("clock_ahead, 1 times; last: entry 10 is" in line for line in shown)
            assert any("clock_back, 1 times; last: entry 11 is" in line for line in shown)

    run(scenario())


def test_many_gateways_at_once_lose_and_repeat_nothing(run: Run, store_url: str) -> None:
    async def scenario() -> None:
        async with open_bench(store_url) as bench:
            gateways = [SimulatedGateway(origin=f"demo.minglou.example/s/g{at}/e0", seed=at) for at in range(20)]
            for gateway in gateways:
                gateway.log_readings(59)
                bench.keys.enrol(gateway)
            for start, end in ((0, 1), (1, 30), (30, 60)):
                sizes = await asyncio.gather(*(bench.send(gateway, start, end) for gateway in gateways))
                assert sizes == [end] * 20
            assert (await held(bench))[:2] == (1200, 60)

    run(scenario())


def test_two_batches_of_one_log_in_one_group_follow_each_other(run: Run, store_url: str) -> None:
    async def scenario() -> None:
        async with open_bench(store_url) as bench:
            gateway = SimulatedGateway()
            gateway.log_readings(9)
            bench.keys.enrol(gateway)
            assert await asyncio.gather(*(bench.send(gateway, at, at + 1) for at in range(10))) == list(range(1, 11))

    run(scenario())


@pytest.mark.parametrize(
    ("spoil", "status", "code"),
    [
        (lambda g: g.batch(12), 409, "gap"),
        (lambda g: g.batch(10)[:-1], 400, "malformed"),
        (lambda g: b"minglou-batch/2" + g.batch(10)[15:], 400, "malformed"),
        (lambda g: bytes(5 * 1024 * 1024), 413, "too_large"),
        (lambda g: g.batch(10, note=g.note(root=bytes(32))), 422, "wrong_root"),
        (lambda g: g.batch(10, note=g.note(key=p256.generate_key())), 422, "bad_signature"),
        (
            lambda g: SimulatedGateway(origin="demo.minglou.example/cuiyuan/b08/e0", key=g.key).batch(),
            422,
            "bad_signature",
        ),
    ],
)
def test_a_bad_batch_is_refused_by_name_and_leaves_nothing(
    run: Run, store_url: str, spoil: Callable[[SimulatedGateway], bytes], status: int, code: str
) -> None:
    async def scenario() -> None:
        async with open_bench(store_url) as bench:
            gateway = SimulatedGateway()
            gateway.log_readings(19)
            bench.keys.enrol(gateway)
            await bench.send(gateway, 0, 10)
            refused = await refusal(bench, gateway, spoil(gateway))
            assert (refused.status, refused.code, refused.size) == (status, code, 10)
            assert await bench.send(gateway, 10) == 20, "the honest batch still passes"

    run(scenario())


def test_a_detail_that_is_not_canonical_is_refused(run: Run, store_url: str) -> None:
    async def scenario() -> None:
        async with open_bench(store_url) as bench:
            gateway = SimulatedGateway()
            bench.keys.enrol(gateway)
            await bench.send(gateway)
            gateway.log_readings(1)
            loose = json.dumps(json.loads(gateway.details[1]), indent=1).encode()
            entry = bytearray(gateway.entries[1])
            entry[160:192] = hashlib.sha256(loose).digest()
            gateway.entries[1], gateway.details[1] = bytes(entry), loose
            refused = await refusal(bench, gateway, gateway.batch(1))
            assert (refused.status, refused.code) == (422, "bad_entry")

    run(scenario())


def test_gateways_that_the_registry_does_not_hold_in_force_are_refused(run: Run, store_url: str) -> None:
    async def scenario() -> None:
        async with open_bench(store_url, claims={}) as bench:
            gateway = SimulatedGateway()
            gateway.log_readings(3)
            assert (await refusal(bench, gateway, gateway.batch())).code == "unknown_gateway"
            bench.keys.enrol(gateway, KeyState.PENDING)
            assert (await refusal(bench, gateway, gateway.batch())).code == "not_enrolled"
            bench.keys.enrol(gateway)
            assert (await refusal(bench, gateway, gateway.batch())).code == "not_enrolled", "claim code unknown"
            bench.ingest._claims = {gateway.origin: hashlib.sha256(CLAIM.encode()).digest()}
            assert (await refusal(bench, gateway, gateway.batch(), token=bytes(32))).code == "bad_token"
            assert await bench.send(gateway, 0, 2) == 2
            assert (await refusal(bench, gateway, gateway.batch(2), token=bytes(32))).code == "bad_token"
            bench.keys.enrol(gateway, KeyState.REVOKED)
            assert (await refusal(bench, gateway, gateway.batch(2))).code == "revoked"

    run(scenario())


def test_a_log_does_not_begin_without_its_opening_entry(run: Run, store_url: str) -> None:
    async def scenario() -> None:
        async with open_bench(store_url) as bench:
            gateway = SimulatedGateway()
            gateway.entries.clear()
            gateway.details.clear()
            gateway.log_readings(2)
            bench.keys.enrol(gateway)
            assert (await refusal(bench, gateway, gateway.batch())).code == "not_enrolled"

    run(scenario())


async def frozen(bench: Bench) -> Any:
    async with bench.store.read() as connection:
        fork = (await connection.execute(select(tables.forks))).one()
        intents = (await connection.execute(select(tables.intents.c.business_key, tables.intents.c.kind))).all()
    return fork, [tuple(row) for row in intents]


def test_two_roots_for_one_size_freeze_the_gateway_and_are_reported(run: Run, store_url: str) -> None:
    async def scenario() -> None:
        async with open_bench(store_url) as bench:
            gateway = SimulatedGateway()
            gateway.log_readings(39)
            bench.keys.enrol(gateway)
            note = gateway.note(40)
            await bench.send(gateway, 0, 40, note=note)
            twin = gateway.twin(39, 1_000_000)
            other = twin.note(40)
            with pytest.raises(IngestRefused) as caught:
                await bench.send(twin, 39, 40, note=other)
            assert (caught.value.status, caught.value.code, caught.value.size) == (409, "fork", 40)
            fork, intents = await frozen(bench)
            assert (fork.kind, fork.held_note, fork.other_note) == ("same_size", note, other)
            assert intents == [(f"fork:{gateway.origin}", "fork")]
            gateway.log_readings(1)
            with pytest.raises(IngestRefused, match="frozen"):
                await bench.send(gateway, 40)
            await bench.ingest.load()
            head = await bench.ingest.head(gateway.origin)
            assert head is not None and head.frozen, "a restart does not thaw it"

    run(scenario())


@pytest.mark.parametrize(("fork_at", "twin_size"), [(33, 36), (20, 70), (39, 41)])
def test_two_leaves_at_one_index_are_kept_with_both_proofs(
    run: Run, store_url: str, fork_at: int, twin_size: int
) -> None:
    async def scenario() -> None:
        async with open_bench(store_url) as bench:
            gateway = SimulatedGateway()
            gateway.log_readings(39)
            bench.keys.enrol(gateway)
            await bench.send(gateway, 0, 10)
            await bench.send(gateway, 10, 40)
            twin = gateway.twin(fork_at, 1_000_000)
            twin.log_readings(twin_size - twin.size)
            with pytest.raises(IngestRefused) as caught:
                await bench.send(twin, fork_at - 5, twin_size)
            assert caught.value.code == "fork"
            fork, intents = await frozen(bench)
            assert fork.kind == "leaf" and len(intents) == 1
            material = json.loads(fork.material)
            assert material["index"] == str(fork_at)
            for side, note in (("held", fork.held_note), ("other", fork.other_note)):
                checkpoint = open_checkpoint(note, gateway.public).checkpoint
                proof = material[side]
                assert checkpoint.size == int(proof["size"])
                path = [bytes.fromhex(node) for node in proof["path"]]
                verify_inclusion(bytes.fromhex(proof["leaf"]), fork_at, checkpoint.size, path, checkpoint.root)
            assert material["held"]["leaf"] != material["other"]["leaf"]

    run(scenario())


def test_a_signed_root_that_our_prefix_contradicts_freezes_whatever_entries_come_with_it(
    run: Run, store_url: str
) -> None:
    async def scenario() -> None:
        async with open_bench(store_url) as bench:
            gateway = SimulatedGateway()
            gateway.log_readings(39)
            bench.keys.enrol(gateway)
            await bench.send(gateway, 0, 40)
            twin = gateway.twin(20, 1_000_000)
            twin.log_readings(15)
            with pytest.raises(IngestRefused, match="fork"):
                await bench.send(gateway, 30, 36, note=twin.note(36))
            fork, intents = await frozen(bench)
            assert (fork.kind, intents) == ("unproven", [])

    run(scenario())


def test_entries_damaged_on_the_way_are_no_fork(run: Run, store_url: str) -> None:
    async def scenario() -> None:
        async with open_bench(store_url) as bench:
            gateway = SimulatedGateway()
            gateway.log_readings(39)
            bench.keys.enrol(gateway)
            await bench.send(gateway, 0, 30)
            for start, end in ((20, 30), (25, 40)):
                other = gateway.twin(27, 5)
                other.entries += gateway.entries[28:]
                other.details += gateway.details[28:]
                refused = await refusal(bench, gateway, other.batch(start, end, note=gateway.note(end)))
                assert refused.code == "wrong_root"
            assert await bench.send(gateway, 25, 40) == 40

    run(scenario())


def test_a_gateway_over_its_quota_is_told_when_to_come_back(run: Run, store_url: str) -> None:
    async def scenario() -> None:
        now_ms = [100_000]
        limits = IngestLimits(entries_per_second=10, burst_seconds=2)
        async with open_bench(store_url, limits=limits, now_ms=lambda: now_ms[0]) as bench:
            gateway = SimulatedGateway()
            gateway.log_readings(39)
            bench.keys.enrol(gateway)
            await bench.send(gateway, 0, 15)
            refused = await refusal(bench, gateway, gateway.batch(15, 30))
            assert (refused.status, refused.code, refused.retry_after) == (429, "too_fast", 1)
            now_ms[0] += 1000
            assert await bench.send(gateway, 15, 30) == 30

    run(scenario())


GATEWAY = SimulatedGateway()
GATEWAY.log_readings(3)
WHOLE = GATEWAY.batch()


damages = st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(1, 255), st.booleans())


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.lists(damages, min_size=25, max_size=25, unique=True))
def test_a_damaged_body_is_refused_with_a_client_error(
    tmp_path_factory: pytest.TempPathFactory, cases: list[tuple[int, int, bool]]
) -> None:
    async def scenario() -> None:
        async with open_bench(tmp_path_factory.mktemp("damage") / "c.sqlite3") as bench:
            bench.keys.enrol(GATEWAY)
            for at, flip, cut in cases:
                body = WHOLE[:at] if cut else WHOLE[:at] + bytes([WHOLE[at] ^ flip]) + WHOLE[at + 1 :]
                refused = await refusal(bench, GATEWAY, body)
                assert 400 <= refused.status < 429 and refused.message

    asyncio.run(scenario())
