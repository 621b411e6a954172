"""What the rule for spread stores takes for a statement that names its shard.

The rule itself runs over every statement of every test of this room: see `every_statement_names_its_shard` in
conftest.py.
"""

import pytest
from sqlalchemy import ClauseElement, bindparam, func, insert, select, update

from cloud.store import tables
from tests.cloud.shards import SHARDED, unpinned_tables

ENTRIES, LOGS = tables.entries, tables.logs


def test_tables_of_a_logs_rows_are_known_by_their_key() -> None:
    assert {"entries", "nodes", "checkpoints", "boundaries", "logs", "mail", "forks", "anomalies"} <= SHARDED
    assert not {"origins", "visits", "intents", "super_nodes"} & SHARDED


@pytest.mark.parametrize(
    ("statement", "unpinned"),
    [
        (select(ENTRIES).where(ENTRIES.c.log_id == 5, ENTRIES.c.entry_index == 1), set()),
        (select(ENTRIES).where(ENTRIES.c.log_id.in_([5, 6])), set()),
        (select(ENTRIES).join(LOGS, LOGS.c.log_id == ENTRIES.c.log_id).where(ENTRIES.c.log_id == 5), set()),
        (select(ENTRIES).where(ENTRIES.c.device == b"d"), {"entries"}),
        (
            select(ENTRIES).join(LOGS, LOGS.c.log_id == ENTRIES.c.log_id).where(LOGS.c.origin == "o"),
            {"entries", "logs"},
        ),
        (select(func.count()).select_from(ENTRIES), {"entries"}),
        (select(ENTRIES, LOGS.c.origin).where(ENTRIES.c.log_id == 5), {"logs"}),
        (update(LOGS).where(LOGS.c.log_id == bindparam("of_log")).values(size=1), set()),
        (update(LOGS).values(size=1), {"logs"}),
        (insert(tables.forks).values(log_id=1, kind="k"), set()),
        (insert(tables.forks).values(kind="k"), {"forks"}),
        (select(tables.visits), set()),
    ],
)
def test_a_statement_is_pinned_by_its_shard_column_alone(statement: ClauseElement, unpinned: set[str]) -> None:
    assert unpinned_tables(statement) == unpinned
