"""what households said of repairs."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "repair_words",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("order_name", sa.LargeBinary(), nullable=False),
        sa.Column("unit", sa.LargeBinary(), nullable=False),
        sa.Column("device", sa.LargeBinary(), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("act", sa.Text(), nullable=True),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("said_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_index("repair_words_of_unit", "repair_words", ["unit", "said_at_ms"])
    op.create_index("repair_words_of_order", "repair_words", ["order_name"])
    op.create_index("repair_words_by_time", "repair_words", ["said_at_ms"])


def downgrade() -> None:
    op.drop_table("repair_words")
