"""Alembic's entry: runs the revisions on the connection that `cloud.store.migration` hands over."""

from alembic import context

from cloud.store.migration import is_whole_table
from cloud.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    include_name=is_whole_table,
    render_as_batch=True,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
