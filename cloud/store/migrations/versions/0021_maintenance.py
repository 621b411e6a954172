"""visits that are to be recorded on chain, and how long devices were in service each day."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "device_days",
        sa.Column("device", sa.LargeBinary(), nullable=False),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("in_service_s", sa.Integer(), nullable=False),
        sa.Column("stopped_s", sa.Integer(), nullable=False),
        sa.Column("inspection_s", sa.Integer(), nullable=False),
        sa.Column("silent_s", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("device", "day"),
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("visits", schema=None) as batch_op:
        batch_op.add_column(sa.Column("wished_at_ms", sa.BigInteger(), nullable=True))
        batch_op.create_index("visits_to_record", ["wished_at_ms", "received_at_ms", "digest"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("visits", schema=None) as batch_op:
        batch_op.drop_index("visits_to_record")
        batch_op.drop_column("wished_at_ms")
    op.drop_table("device_days")
