"""readings sealed under their device's key, and which key store does it.

Columns with a constant default: a change of the catalogue alone. A database that holds readings goes on as it was until
`minglou cloud seal`: processes of the version before would not know what they read.
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("entries", "boundaries"):
        sealed_by = sa.Column("sealed_by", sa.Integer(), nullable=False, server_default=sa.text("0"))
        op.add_column(table, sealed_by)
    op.add_column("boundaries", sa.Column("leaf_hash", sa.LargeBinary(), nullable=True))
    op.create_table(
        "key_store",
        sa.Column("one", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=True),
        sa.Column("seals_readings", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("one"),
    )
    op.create_table(
        "destroyed_keys",
        sa.Column("owner", sa.LargeBinary(), nullable=False),
        sa.Column("tag", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("held_in", sa.String(length=16), nullable=False),
        sa.Column("says", sa.Text(), nullable=False),
        sa.Column("destroyed_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("owner", "tag"),
    )
    op.execute(
        "INSERT INTO key_store (one, fingerprint, seals_readings) "
        "SELECT 1, NULL, 0 WHERE EXISTS (SELECT 1 FROM entries)"
    )


def downgrade() -> None:
    raise RuntimeError("sealed readings have no older form; restore a backup")
