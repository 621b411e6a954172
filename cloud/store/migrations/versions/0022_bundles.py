"""visits with their lists, presence proofs and photographs; who signed them; flags; arrivals; passengers' notes."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("visits", schema=None) as batch_op:
        batch_op.add_column(sa.Column("checklist", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("presence", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("examined", sa.SmallInteger(), server_default=sa.text("0"), nullable=False))
        batch_op.create_index("visits_to_examine", ["examined", "started_at_s"], unique=False)
    op.create_table(
        "visit_signers",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("position", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("signer", sa.LargeBinary(), nullable=False),
        sa.Column("started_at_s", sa.BigInteger(), nullable=False),
        sa.Column("phone", sa.LargeBinary(), nullable=True),
        sa.Column("number", sa.BigInteger(), nullable=True),
        sa.Column("previous", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("digest", "position"),
    )
    op.create_index("visits_of_signer", "visit_signers", ["signer", "started_at_s"])
    op.create_index("visits_of_phone", "visit_signers", ["phone", "started_at_s"])
    op.create_table(
        "visit_files",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("bytes_length", sa.Integer(), nullable=False),
        sa.Column("media_type", sa.String(length=32), nullable=False),
        sa.Column("dhash", sa.LargeBinary(), nullable=False),
        sa.Column("shapes", sa.LargeBinary(), nullable=False),
        sa.Column("tag", sa.Integer(), nullable=False),
        sa.Column("stored_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", "sha256"),
    )
    op.create_index("visit_files_by_time", "visit_files", ["stored_at_ms"])
    _flags()
    op.create_table(
        "arrivals",
        sa.Column("order_id", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("device", sa.LargeBinary(), nullable=False),
        sa.Column("at_s", sa.BigInteger(), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("received_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("order_id", "digest"),
    )
    op.create_index("arrivals_of_device", "arrivals", ["device", "at_s"])
    op.create_table(
        "fault_notes",
        sa.Column("note_id", sa.LargeBinary(), nullable=False),
        sa.Column("device", sa.LargeBinary(), nullable=False),
        sa.Column("place", sa.String(length=16), nullable=False),
        sa.Column("says", sa.Text(), nullable=False),
        sa.Column("received_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("note_id"),
    )
    op.create_index("fault_notes_of_device", "fault_notes", ["device", "received_at_ms"])


def _flags() -> None:
    op.create_table(
        "visit_flags",
        sa.Column("flag_id", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("other", sa.LargeBinary(), nullable=True),
        sa.Column("device", sa.LargeBinary(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("grave", sa.Boolean(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("raised_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("flag_id"),
    )
    op.create_index("ix_visit_flags_digest", "visit_flags", ["digest"])
    op.create_index("ix_visit_flags_other", "visit_flags", ["other"])
    op.create_index("visit_flags_by_time", "visit_flags", ["raised_at_ms"])
    op.create_table(
        "flag_words",
        sa.Column("flag_id", sa.LargeBinary(), nullable=False),
        sa.Column("number", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("word", sa.String(length=12), nullable=False),
        sa.Column("says", sa.Text(), nullable=False),
        sa.Column("account_id", sa.LargeBinary(), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("said_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("flag_id", "number"),
    )


def downgrade() -> None:
    for table in ("fault_notes", "arrivals", "flag_words", "visit_flags", "visit_files", "visit_signers"):
        op.drop_table(table)
    with op.batch_alter_table("visits", schema=None) as batch_op:
        batch_op.drop_index("visits_to_examine")
        batch_op.drop_column("examined")
        batch_op.drop_column("presence")
        batch_op.drop_column("checklist")
