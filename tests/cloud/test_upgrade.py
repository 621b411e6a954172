"""A store that an older version filled is upgraded as it stands, and its gateways go on."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, Table, insert, select

from cloud.billing.kept import read_bill
from cloud.chain.view import ChainView
from cloud.store import Store, migration, tables
from cloud.store.migration import alembic_config
from cloud.store.store import newest_revision
from cloud.store.trees import LogTree, walk
from contracts.batch import decode_batch
from contracts.bill import Bill, BillProof, BillTree, Line, LineKind
from contracts.bill_file import bill_to_json
from contracts.checkpoint import parse_checkpoint
from contracts.tree import Frontier, Node, leaf_hash, root_of
from tests.cloud.conftest import open_bench
from tests.cloud.gateway import SimulatedGateway

Run = Callable[[Any], Any]

OLD = "0005"  # before batches on any replica: logs count from 1, ingest gives checkpoints their places
HELD = 40
PERIOD = 2026110120261201
LINE = Line(
    kind=LineKind.OWN, subject=bytes(32), quantity="1-0:1.8.0", tariff=0, since=20261101, from_date=20261101,
    to_date=20261201, usage=1, amount=0,
)  # fmt: skip


def test_migrations_are_named_in_the_order_in_which_they_follow_each_other() -> None:
    """A start knows the newest by its file's name alone: reading the chain costs a second of import."""
    config = Config()
    config.set_main_option("script_location", str(Path(migration.__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    scripts = ScriptDirectory.from_config(config)
    assert scripts.get_heads() == [newest_revision()], "one chain, and its end has the highest number"
    chain = [script.revision for script in scripts.walk_revisions()][::-1]
    assert chain == sorted(chain)
    names = sorted(path.name for path in Path(scripts.versions).glob("*.py") if path.name != "__init__.py")
    assert [name.partition("_")[0] for name in names] == chain


def fill(connection: Connection, gateway: SimulatedGateway) -> None:
    """What the older version's ingest left of one batch, in its own tables."""
    command.upgrade(alembic_config(connection), OLD)
    old = MetaData()
    old.reflect(connection)
    batch = decode_batch(gateway.batch(0, HELD))
    leaves = batch.leaf_hashes()
    frontier, nodes = Frontier(), list[Node]()
    frontier.extend(leaves, on_node=nodes.append, level_min=5)
    root = parse_checkpoint(batch.note).root
    digest = sha256(gateway.token).digest()
    super_leaf = leaf_hash(b"a leaf of the super-log")
    _insert(connection, old.tables["logs"], [(1, gateway.origin, HELD, frontier.to_bytes(), digest, 1, 1, None)])
    rows = zip(batch.rows, batch.details, leaves, strict=True)
    _insert(
        connection,
        old.tables["entries"],
        [(1, at, *row, detail or None, leaf) for at, (row, detail, leaf) in enumerate(rows)],
    )
    _insert(connection, old.tables["nodes"], [(1, *node) for node in nodes])
    _insert(connection, old.tables["checkpoints"], [(1, HELD, root, batch.note, gateway.public, 1, 0)])
    _insert(connection, old.tables["super_nodes"], [(0, 0, super_leaf)])
    _insert(connection, old.tables["super_head"], [(1, 1, Frontier(1, [super_leaf]).to_bytes())])


def _insert(connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
    names = [column.name for column in table.columns]
    connection.execute(insert(table), [dict(zip(names, row, strict=True)) for row in rows])


def test_an_older_filled_store_is_upgraded_and_its_gateways_go_on(run: Run, unmigrated_store_url: str) -> None:
    gateway = SimulatedGateway()
    gateway.log_readings(79)

    async def scenario() -> None:
        store = Store(unmigrated_store_url)
        async with store._writer.connect() as connection:
            await connection.run_sync(fill, gateway)
            await connection.commit()
        await store.close()
        async with open_bench(unmigrated_store_url) as bench:
            bench.keys.enrol(gateway)
            assert await bench.send(gateway, 20, 60) == 60
            assert await bench.send(gateway, 60, 80) == 80
            async with bench.store.read() as connection:
                logs = (await connection.execute(select(tables.logs))).all()
                assert [(log.log_id, log.origin, log.size) for log in logs] == [(1, gateway.origin, 80)]
                assert await walk(connection, LogTree(1), lambda node: root_of(node, 80)) == gateway.tree().root()
                column = tables.checkpoints.c
                places = await connection.execute(select(column.size, column.super_index).order_by(column.size))
                assert [tuple(row) for row in places] == [(HELD, 0), (60, 1), (80, 2)]

    run(scenario())


def test_bills_kept_as_files_by_an_older_version_are_carried_over(run: Run, unmigrated_store_url: str) -> None:
    bills = [
        Bill(
            chain_id=31337, contract="0x" + "ab" * 20, site=bytes(32), period=PERIOD, unit_index=unit,
            lines=tuple(replace(LINE, amount=fen) for fen in range(unit % 3)), salt=bytes([unit]) * 16 + bytes(16),
        )
        for unit in range(70)
    ]  # fmt: skip
    tree = BillTree.of_bills(bills)

    def fill_bills(connection: Connection) -> None:
        command.upgrade(alembic_config(connection), "0007")
        old = MetaData()
        old.reflect(connection)
        proofs = [
            BillProof(bill=bill, path=tree.path(bill.unit_index), unit_count=70, root=tree.root) for bill in bills
        ]
        rows = [
            (
                PERIOD,
                proof.bill.unit_index,
                bytes(32),
                proof.bill.amounts.total,
                json.dumps(bill_to_json(proof)),
                tree.root.hash,
                5,
            )
            for proof in proofs
        ]
        _insert(connection, old.tables["bills"], rows)

    async def scenario() -> None:
        store = Store(unmigrated_store_url)
        async with store._writer.connect() as connection:
            await connection.run_sync(fill_bills)
            await connection.commit()
        await store.migrate()
        deployed = SimpleNamespace(chain_id=31337, usage_fees="0x" + "ab" * 20, site=bytes(32))
        async with store.read() as connection:
            for unit in (0, 63, 69):
                proof = await read_bill(connection, ChainView(31337), deployed, PERIOD, unit)  # type: ignore[arg-type]
                assert proof is not None and (proof.bill, proof.path) == (bills[unit], tree.path(unit))
        await store.close()

    run(scenario())
