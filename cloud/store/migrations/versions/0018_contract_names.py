"""room for the longest contract's name: PostgreSQL would have refused the first event of the service agreements."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("chain_events", schema=None) as batch_op:
        batch_op.alter_column(
            "contract", existing_type=sa.String(length=16), type_=sa.String(length=32), existing_nullable=False
        )


def downgrade() -> None:
    with op.batch_alter_table("chain_events", schema=None) as batch_op:
        batch_op.alter_column(
            "contract", existing_type=sa.String(length=32), type_=sa.String(length=16), existing_nullable=False
        )
