"""programs' tokens rest on the role that made them, so that a household's opens one flat and ends with its role.

A column that may be empty: a change of the catalogue alone.
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("api_tokens", sa.Column("grant_id", sa.Integer(), nullable=True))
    op.create_index("ix_api_tokens_grant_id", "api_tokens", ["grant_id"])


def downgrade() -> None:
    op.execute("DELETE FROM api_tokens WHERE scopes = 'own:read'")  # which an older process cannot read
    op.drop_index("ix_api_tokens_grant_id", "api_tokens")
    op.drop_column("api_tokens", "grant_id")
