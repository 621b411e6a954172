"""a household's entries of one kind within a time are found at once, however many of other kinds there are."""

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_audit_entries_unit_act_at_ms", "audit_entries", ["unit", "act", "at_ms"])
    op.drop_index("ix_audit_entries_unit", "audit_entries")


def downgrade() -> None:
    op.create_index("ix_audit_entries_unit", "audit_entries", ["unit"])
    op.drop_index("ix_audit_entries_unit_act_at_ms", "audit_entries")
