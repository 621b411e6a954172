"""batches on any replica: checkpoints wait for their place, logs are named by hash, quotas and anomalies are kept."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

LOG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "origins",
        sa.Column("origin", sa.String(length=64), nullable=False),
        sa.Column("log_id", LOG_ID, nullable=False),
        sa.PrimaryKeyConstraint("origin"),
        sa.UniqueConstraint("log_id"),
    )
    op.create_table(
        "anomalies",
        sa.Column("log_id", LOG_ID, autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("says", sa.Text(), nullable=False),
        sa.Column("first_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("log_id", "kind"),
    )
    op.add_column("logs", sa.Column("quota_level", sa.Float(), nullable=True))
    op.add_column("logs", sa.Column("quota_at_ms", sa.BigInteger(), nullable=True))
    # A constant default is kept in the catalogue on both backends: no row is rewritten.
    op.add_column("entries", sa.Column("received_month", sa.Integer(), nullable=False, server_default=sa.text("0")))
    op.execute("INSERT INTO origins (origin, log_id) SELECT origin, log_id FROM logs")
    if op.get_bind().dialect.name == "sqlite":
        _checkpoints_on_sqlite()
        _logs_on_sqlite()
    else:
        op.alter_column("checkpoints", "super_index", nullable=True)
        op.drop_constraint("logs_origin_key", "logs")
        _checkpoint_index_on_postgres()


def _checkpoint_index_on_postgres() -> None:
    # Built while ingest goes on writing; the unique one goes when the other is there.
    with op.get_context().autocommit_block():
        op.create_index("checkpoints_by_super_index", "checkpoints", ["super_index"], postgresql_concurrently=True)
    op.drop_constraint("checkpoints_super_index_key", "checkpoints")


def _checkpoints_on_sqlite() -> None:
    """SQLite cannot change a column: one row in some hundred entries is copied."""
    op.create_table(
        "checkpoints_new",
        sa.Column("log_id", LOG_ID, autoincrement=False, nullable=False),
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("received_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("super_index", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("log_id", "size"),
        sqlite_with_rowid=False,
    )
    op.execute(
        "INSERT INTO checkpoints_new SELECT log_id, size, root, note, public_key, received_at_ms, super_index "
        "FROM checkpoints"
    )
    op.drop_table("checkpoints")
    op.rename_table("checkpoints_new", "checkpoints")
    op.create_index("checkpoints_by_super_index", "checkpoints", ["super_index"])


def _logs_on_sqlite() -> None:
    """The same for the one row of each log: its name is unique in `origins` now."""
    op.create_table(
        "logs_new",
        sa.Column("log_id", LOG_ID, nullable=False),
        sa.Column("origin", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("peaks", sa.LargeBinary(), nullable=False),
        sa.Column("token_digest", sa.LargeBinary(), nullable=False),
        sa.Column("opened_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_seen_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("frozen", sa.Text(), nullable=True),
        sa.Column("quota_level", sa.Float(), nullable=True),
        sa.Column("quota_at_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("log_id"),
    )
    op.execute("INSERT INTO logs_new SELECT * FROM logs")
    op.drop_table("logs")
    op.rename_table("logs_new", "logs")


def downgrade() -> None:
    raise RuntimeError("checkpoints without a place in the super-log have no older form; restore a backup")
