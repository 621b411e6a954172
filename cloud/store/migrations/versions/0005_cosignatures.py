"""Witnesses' cosignatures of the super-log's heads, and how each witness stands."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "super_cosignatures",
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("vkey", sa.String(length=220), nullable=False),
        sa.Column("line", sa.Text(), nullable=False),
        sa.Column("signed_at_s", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("size", "vkey"),
    )
    op.create_table(
        "witness_states",
        sa.Column("vkey", sa.String(length=220), nullable=False),
        sa.Column("says", sa.Text(), nullable=False),
        sa.Column("changed_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("vkey"),
    )


def downgrade() -> None:
    op.drop_table("witness_states")
    op.drop_table("super_cosignatures")
