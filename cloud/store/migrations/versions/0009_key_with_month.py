"""PostgreSQL: what it takes to make the table of entries a partition, made while ingest goes on.

The index is built without a lock; the bound of the months that the table will hold is looked up first and checked
afterwards, for rows that are there already. The bound lies two months ahead: until the next revision, which follows at
once, nothing later may be stored.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.engine import Connection

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_INDEX = "entries_key_with_month"
_BOUND = "entries_before_"
_INVALID = sa.text(
    f"SELECT 1 FROM pg_index WHERE indexrelid = to_regclass('{_INDEX}') AND NOT indisvalid"  # noqa: S608 - our name
)
_BOUNDS = sa.text("SELECT conname FROM pg_constraint WHERE conrelid = 'entries'::regclass AND conname LIKE :name")
# By the cloud's clock, which need not be the database's.
_END = sa.text(
    "SELECT to_char(greatest(now() AT TIME ZONE 'UTC', (SELECT to_timestamp(max(last_seen_at_ms) / 1000.0) "
    "AT TIME ZONE 'UTC' FROM logs)) + interval '2 months', 'YYYYMM')"
)


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        with op.get_context().autocommit_block():
            _build_index(op.get_bind())
            _bound_months(op.get_bind())


def _build_index(connection: Connection) -> None:
    if connection.execute(_INVALID).first() is not None:
        connection.execute(sa.text(f"DROP INDEX CONCURRENTLY {_INDEX}"))
    connection.execute(
        sa.text(
            f"CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS {_INDEX} ON entries (log_id, entry_index, received_month)"
        )
    )


def _bound_months(connection: Connection) -> None:
    name = connection.execute(_BOUNDS, {"name": f"{_BOUND}%"}).scalar_one_or_none()
    if name is None:
        end = int(connection.execute(_END).scalar_one())
        name = f"{_BOUND}{end}"
        rule = f"CHECK (received_month >= 0 AND received_month < {end})"
        connection.execute(sa.text("SET lock_timeout = '1s'"))
        try:
            connection.execute(sa.text(f"ALTER TABLE entries ADD CONSTRAINT {name} {rule} NOT VALID"))
        finally:
            connection.execute(sa.text("RESET lock_timeout"))
    connection.execute(sa.text(f"ALTER TABLE entries VALIDATE CONSTRAINT {name}"))


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        connection = op.get_bind()
        for name in connection.execute(_BOUNDS, {"name": f"{_BOUND}%"}).scalars().all():
            connection.execute(sa.text(f"ALTER TABLE entries DROP CONSTRAINT {name}"))
        connection.execute(sa.text(f"DROP INDEX IF EXISTS {_INDEX}"))
