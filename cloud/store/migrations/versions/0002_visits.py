"""visits on their way to gateways."""

import sqlalchemy as sa
from alembic import op

# 63 bits on PostgreSQL; SQLite's integers are as wide as they must be.
LOG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "visits",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("device", sa.LargeBinary(), nullable=False),
        sa.Column("gateway", sa.String(length=64), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("visit_class", sa.SmallInteger(), nullable=False),
        sa.Column("started_at_s", sa.BigInteger(), nullable=False),
        sa.Column("ended_at_s", sa.BigInteger(), nullable=False),
        sa.Column("received_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("mailed_log_id", LOG_ID, nullable=True),
        sa.Column("mail_number", sa.Integer(), nullable=True),
        sa.Column("entry_log_id", LOG_ID, nullable=True),
        sa.Column("entry_index", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("digest"),
    )
    with op.batch_alter_table("visits", schema=None) as batch_op:
        batch_op.create_index("visits_of_device", ["device", "started_at_s"], unique=False)
        batch_op.create_index("visits_of_gateway", ["gateway", "entry_index"], unique=False)


def downgrade() -> None:
    op.drop_table("visits")
