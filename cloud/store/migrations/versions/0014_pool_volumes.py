"""tables of volumes that share pools: keys and salts by unit, the upper nodes of their trees."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "volume_keys",
        sa.Column("period", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("pool", sa.LargeBinary(), nullable=False),
        sa.Column("unit_index", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("unit", sa.LargeBinary(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("period", "pool", "unit_index"),
    )
    op.create_table(
        "volume_nodes",
        sa.Column("period", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("pool", sa.LargeBinary(), nullable=False),
        sa.Column("level", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("place", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("sums", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("period", "pool", "level", "place"),
    )


def downgrade() -> None:
    op.drop_table("volume_nodes")
    op.drop_table("volume_keys")
