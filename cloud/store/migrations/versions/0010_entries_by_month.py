"""PostgreSQL: entries are partitioned by the month of their arrival.

The table that stands becomes the partition of all months up to the bound that the revision before has set: a few
changes of the catalogue under one short lock, whatever the table's size. SQLite keeps its one table.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_BOUNDS = sa.text("SELECT conname FROM pg_constraint WHERE conrelid = 'entries'::regclass AND conname LIKE :name")


def upgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    connection = op.get_bind()
    connection.execute(sa.text("LOCK TABLE entries IN ACCESS EXCLUSIVE MODE"))
    name = connection.execute(_BOUNDS, {"name": "entries_before_%"}).scalar_one()
    is_empty = connection.execute(sa.text("SELECT 1 FROM entries LIMIT 1")).first() is None
    for statement in (
        f"ALTER TABLE entries RENAME TO {name}",
        f"ALTER TABLE {name} DROP CONSTRAINT entries_pkey",
        f"ALTER TABLE {name} ADD CONSTRAINT {name}_pkey PRIMARY KEY USING INDEX entries_key_with_month",
        f"ALTER INDEX entries_of_device RENAME TO {name}_of_device",
        f"CREATE TABLE entries (LIKE {name} INCLUDING DEFAULTS) PARTITION BY RANGE (received_month)",
        "ALTER TABLE entries ADD CONSTRAINT entries_pkey PRIMARY KEY (log_id, entry_index, received_month)",
        "CREATE INDEX entries_of_device ON entries (device, observed_at_ms)",
    ):
        connection.execute(sa.text(statement))
    if is_empty:
        connection.execute(sa.text(f"DROP TABLE {name}"))
        return
    end = name.removeprefix("entries_before_")
    connection.execute(sa.text(f"ALTER TABLE entries ATTACH PARTITION {name} FOR VALUES FROM (0) TO ({end})"))
    connection.execute(sa.text(f"ALTER TABLE {name} DROP CONSTRAINT {name}"))


def downgrade() -> None:
    raise RuntimeError("a table of entries by month has no older form; restore a backup")
