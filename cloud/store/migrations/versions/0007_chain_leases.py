"""who follows and sends; what an attempt is for, and whose account it is."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "chain_leases",
        sa.Column("name", sa.String(length=24), nullable=False),
        sa.Column("term", sa.BigInteger(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.add_column("attempts", sa.Column("account", sa.String(length=42), nullable=False, server_default=""))
    op.add_column("attempts", sa.Column("purpose", sa.String(length=8), nullable=False, server_default="act"))
    op.add_column("attempts", sa.Column("is_legacy", sa.SmallInteger(), nullable=False, server_default="0"))


def downgrade() -> None:
    for name in ("is_legacy", "purpose", "account"):
        op.drop_column("attempts", name)
    op.drop_table("chain_leases")
