"""Tables of what the store knows of its key store."""

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, SmallInteger, String, Table, Text

from cloud.store.metadata import metadata

__all__ = ["destroyed_keys", "key_store"]

# Which key store seals what stands here, so that no other takes its place; and keys of it that were destroyed, so that
# an older copy of it does not bring them back.
key_store = Table(
    "key_store",
    metadata,
    Column("one", SmallInteger, primary_key=True, autoincrement=False),
    Column("fingerprint", LargeBinary, nullable=True),
    # 0 in a database that held clear readings before, until `minglou cloud seal` has run.
    Column("seals_readings", SmallInteger, nullable=False),
)

destroyed_keys = Table(
    "destroyed_keys",
    metadata,
    Column("owner", LargeBinary, primary_key=True),
    Column("tag", Integer, primary_key=True, autoincrement=False),
    # Whose it was: "unit_keys" or "device_keys".
    Column("held_in", String(16), nullable=False),
    Column("says", Text, nullable=False),
    Column("destroyed_at_ms", BigInteger, nullable=False),
)
