"""When visits are looked at again; whose firm answered a flag; erased visits whose photographs are still to go."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("visits", schema=None) as batch_op:
        batch_op.add_column(sa.Column("look_at_ms", sa.BigInteger(), server_default=sa.text("0"), nullable=True))
        batch_op.add_column(sa.Column("looked_at_ms", sa.BigInteger(), server_default=sa.text("0"), nullable=False))
        batch_op.create_index("visits_to_look_at", ["look_at_ms"], unique=False)
    with op.batch_alter_table("flag_words", schema=None) as batch_op:
        batch_op.add_column(sa.Column("firm", sa.Text(), nullable=True))
    op.create_table(
        "erased_visits",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("erased_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )


def downgrade() -> None:
    op.drop_table("erased_visits")
    with op.batch_alter_table("flag_words", schema=None) as batch_op:
        batch_op.drop_column("firm")
    with op.batch_alter_table("visits", schema=None) as batch_op:
        batch_op.drop_index("visits_to_look_at")
        batch_op.drop_column("looked_at_ms")
        batch_op.drop_column("look_at_ms")
