"""what was erased and why, and how far retention has come."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

LOG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "erasures",
        sa.Column("log_id", LOG_ID, autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("first_index", sa.BigInteger(), nullable=False),
        sa.Column("end_index", sa.BigInteger(), nullable=False),
        sa.Column("entries", sa.BigInteger(), nullable=False),
        sa.Column("cause", sa.String(length=16), nullable=False),
        sa.Column("says", sa.Text(), nullable=False),
        sa.Column("erased_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("in_segments", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("log_id", "number"),
    )
    op.create_table(
        "retained",
        sa.Column("log_id", LOG_ID, autoincrement=False, nullable=False),
        sa.Column("data", sa.String(length=16), nullable=False),
        sa.Column("end_index", sa.BigInteger(), nullable=False),
        sa.Column("reached_index", sa.BigInteger(), nullable=False),
        sa.Column("month", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("log_id", "data"),
    )


def downgrade() -> None:
    op.drop_table("retained")
    op.drop_table("erasures")
