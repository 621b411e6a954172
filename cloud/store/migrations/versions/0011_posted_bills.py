"""posted bills as salt and lines beside their tree's upper nodes; what an estimate rested on; boundaries by day."""

import json
from collections.abc import Iterator
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_BLOCK_LEVEL = 6


def upgrade() -> None:
    _index_boundaries()  # first: what stands outside of the transaction must bear to be begun again
    op.create_table(
        "posted_periods",
        sa.Column("period", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("sums", sa.LargeBinary(), nullable=False),
        sa.Column("unit_count", sa.Integer(), nullable=False),
        sa.Column("held", sa.Integer(), nullable=False),
        sa.Column("accepted_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("compared_at_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("period"),
    )
    op.create_table(
        "posted_bills",
        sa.Column("period", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("unit_index", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("unit", sa.LargeBinary(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("period", "unit_index"),
    )
    op.create_table(
        "posted_nodes",
        sa.Column("period", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("level", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("place", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("sums", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("period", "level", "place"),
    )
    op.create_table(
        "line_notes",
        sa.Column("period", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("unit_index", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("line", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("period", "unit_index", "line"),
    )
    _carry_over()
    op.create_index("posted_bills_of_unit", "posted_bills", ["unit", "period"])
    op.drop_table("bills")


def _index_boundaries() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.create_index("boundaries_of_day", "boundaries", ["boundary_date"])
        return
    # Built while ingest goes on writing.
    with op.get_context().autocommit_block():
        op.create_index(
            "boundaries_of_day", "boundaries", ["boundary_date"], postgresql_concurrently=True, if_not_exists=True
        )


def _carry_over() -> None:
    """The bills kept as files, period by period: a file holds all that the new form is made of."""
    connection = op.get_bind()
    held = sa.MetaData()
    held.reflect(connection, only=["bills", "posted_periods", "posted_bills", "posted_nodes"])
    old = held.tables["bills"]
    rows = connection.execute(sa.select(old).order_by(old.c.period, old.c.unit_index))
    for _, some in groupby(rows, key=lambda row: row.period):
        for table, found in _compacted(list(some)):
            if found:
                connection.execute(sa.insert(held.tables[table]), found)


def _compacted(rows: list[Any]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    from contracts.bill import BillTree
    from contracts.bill_file import bill_from_json

    proofs = [bill_from_json(json.loads(row.file)) for row in rows]
    tree = BillTree.of_bills([proof.bill for proof in proofs])
    period, whole = rows[0].period, len(rows)
    yield (
        "posted_periods",
        [
            {
                "period": period,
                "root": tree.root.hash,
                "sums": tree.root.sums.to_bytes(32),
                "unit_count": whole,
                "held": whole,
                "accepted_at_ms": rows[0].accepted_at_ms,
                "compared_at_ms": rows[0].accepted_at_ms,
            }
        ],
    )
    yield (
        "posted_bills",
        [
            {
                "period": period,
                "unit_index": row.unit_index,
                "unit": row.unit,
                "total": row.total,
                "content": proof.bill.salt[:16] + b"".join(line.encode() for line in proof.bill.lines),
            }
            for row, proof in zip(rows, proofs, strict=True)
        ],
    )
    yield (
        "posted_nodes",
        [
            {"period": period, "level": level, "place": place, "hash": node.hash, "sums": node.sums.to_bytes(32)}
            for level in range(min(_BLOCK_LEVEL, tree.height), tree.height + 1)
            for place, node in enumerate(tree.row(level))
        ],
    )


def downgrade() -> None:
    # The files are not made again: the operator uploads the periods once more.
    op.create_table(
        "bills",
        sa.Column("period", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("unit_index", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("unit", sa.LargeBinary(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("accepted_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("period", "unit_index"),
    )
    op.drop_index("boundaries_of_day", table_name="boundaries")
    for name in ("line_notes", "posted_nodes", "posted_bills", "posted_periods"):
        op.drop_table(name)
