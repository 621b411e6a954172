"""every entry has the month of its arrival, which its checkpoint tells.

A batch of entries is a transaction, so ingest waits for none of it; begun again, it passes over what is done.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op
from sqlalchemy.engine import Connection

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_ENTRIES_AT_ONCE = 5_000
_UNTOLD = sa.text("SELECT 1 FROM entries WHERE received_month = 0 LIMIT 1")
_CHECKPOINTS = sa.text(
    "SELECT size, received_at_ms FROM checkpoints WHERE log_id = :log AND size > :after ORDER BY size LIMIT 1000"
)
_TELL = sa.text(
    "UPDATE entries SET received_month = :month "
    "WHERE log_id = :log AND entry_index >= :first AND entry_index < :end AND received_month = 0"
)


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        _tell_all(op.get_bind())
        return
    with op.get_context().autocommit_block():
        _tell_all(op.get_bind())


def _tell_all(connection: Connection) -> None:
    if connection.execute(_UNTOLD).first() is None:
        return
    for log in connection.execute(sa.text("SELECT log_id FROM logs ORDER BY log_id")).scalars().all():
        for first, end, month in _runs(connection, log):
            connection.execute(_TELL, {"log": log, "first": first, "end": end, "month": month})


def _runs(connection: Connection, log: int) -> Iterator[tuple[int, int, int]]:
    """First entry, end and month of runs of checkpoints that arrived in one month."""
    first = end = month = 0
    while rows := connection.execute(_CHECKPOINTS, {"log": log, "after": end}).all():
        for size, received_at_ms in rows:
            received = datetime.fromtimestamp(received_at_ms / 1000, UTC)
            arrived_in = received.year * 100 + received.month
            if end > first and (arrived_in != month or size - first > _ENTRIES_AT_ONCE):
                yield first, end, month
                first = end
            end, month = size, arrived_in
    if end > first:
        yield first, end, month


def downgrade() -> None:
    """The months may stay: whoever does not know them does not look at them."""
