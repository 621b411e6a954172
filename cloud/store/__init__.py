"""The cloud's database: tables, connections, migrations, bulk inserts. Imports SQLAlchemy; nothing of ours beyond
`cloud.errors`.
"""

from cloud.store.bulk import insert_rows
from cloud.store.logs import log_id_of
from cloud.store.store import Store, sqlite_url
from cloud.store.upsert import insert_new

__all__ = ["Store", "insert_new", "insert_rows", "log_id_of", "sqlite_url"]
