"""The cloud's database: tables, connections, migrations, bulk inserts. Imports SQLAlchemy; nothing of ours beyond
`cloud.errors`.
"""

from cloud.store.bulk import insert_rows
from cloud.store.store import Store, sqlite_url

__all__ = ["Store", "insert_rows", "sqlite_url"]
