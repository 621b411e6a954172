"""Visits carry the meter swap that their installer and the unit's owner sign."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("visits", schema=None) as batch_op:
        batch_op.add_column(sa.Column("swap", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("swap_act", sa.LargeBinary(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("visits", schema=None) as batch_op:
        batch_op.drop_column("swap_act")
        batch_op.drop_column("swap")
