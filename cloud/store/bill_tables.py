"""Tables of posted bills: their contents and trees, what lines rest on, and the volumes that share pools."""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, SmallInteger, Table, Text

from cloud.store.metadata import metadata

__all__ = [
    "bill_mismatches",
    "line_notes",
    "posted_bills",
    "posted_nodes",
    "posted_periods",
    "volume_keys",
    "volume_nodes",
]

bill_mismatches = Table(
    "bill_mismatches",
    metadata,
    Column("period", BigInteger, primary_key=True, autoincrement=False),
    Column("unit_index", Integer, primary_key=True, autoincrement=False),
    Column("line", Integer, primary_key=True, autoincrement=False),
    Column("says", Text, nullable=False),
)

# A period's bills as far as the operator has handed them in, from unit 0 on; whole where `held` is `unit_count`.
posted_periods = Table(
    "posted_periods",
    metadata,
    Column("period", BigInteger, primary_key=True, autoincrement=False),
    Column("root", LargeBinary, nullable=False),
    Column("sums", LargeBinary, nullable=False),
    Column("unit_count", Integer, nullable=False),
    Column("held", Integer, nullable=False),
    Column("accepted_at_ms", BigInteger, nullable=False),
    Column("compared_at_ms", BigInteger, nullable=True),
)

posted_bills = Table(
    "posted_bills",
    metadata,
    Column("period", BigInteger, primary_key=True, autoincrement=False),
    Column("unit_index", Integer, primary_key=True, autoincrement=False),
    Column("unit", LargeBinary, nullable=False),
    Column("total", BigInteger, nullable=False),
    # Salt and the lines' words (cloud.billing.bill_block); the file that owners get is made of it on demand.
    Column("content", LargeBinary, nullable=False),
    Index("posted_bills_of_unit", "unit", "period"),
)

# Of a period's tree what lies above its blocks of 64 bills: level and place as in `contracts.bill.BillTree`.
posted_nodes = Table(
    "posted_nodes",
    metadata,
    Column("period", BigInteger, primary_key=True, autoincrement=False),
    Column("level", SmallInteger, primary_key=True, autoincrement=False),
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary, nullable=False),
    Column("sums", LargeBinary, nullable=False),
)

# The tables of volumes that share pools, as far as the operator has handed them in: key and salt of each unit, and of
# the sum tree what lies above its blocks of 64 units.
volume_keys = Table(
    "volume_keys",
    metadata,
    Column("period", BigInteger, primary_key=True, autoincrement=False),
    Column("pool", LargeBinary, primary_key=True),
    Column("unit_index", Integer, primary_key=True, autoincrement=False),
    Column("unit", LargeBinary, nullable=False),
    Column("content", LargeBinary, nullable=False),
)

volume_nodes = Table(
    "volume_nodes",
    metadata,
    Column("period", BigInteger, primary_key=True, autoincrement=False),
    Column("pool", LargeBinary, primary_key=True),
    Column("level", SmallInteger, primary_key=True, autoincrement=False),
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary, nullable=False),
    Column("sums", LargeBinary, nullable=False),
)

# What cannot be told from entries again once later ones have come: by which rule a line was estimated, and from what.
line_notes = Table(
    "line_notes",
    metadata,
    Column("period", BigInteger, primary_key=True, autoincrement=False),
    Column("unit_index", Integer, primary_key=True, autoincrement=False),
    Column("line", Integer, primary_key=True, autoincrement=False),
    Column("content", LargeBinary, nullable=False),
)
