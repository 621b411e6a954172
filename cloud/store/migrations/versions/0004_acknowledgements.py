"""what copies acknowledged, for the gateways' mail."""

import sqlalchemy as sa
from alembic import op

# 63 bits on PostgreSQL; SQLite's integers are as wide as they must be.
LOG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "acknowledgements",
        sa.Column("log_id", LOG_ID, autoincrement=False, nullable=False),
        sa.Column("keeper", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("received_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("log_id", "keeper"),
    )


def downgrade() -> None:
    op.drop_table("acknowledgements")
