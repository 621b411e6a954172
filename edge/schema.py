"""The tables of one epoch's log, and the statements that write them.

One file holds one epoch. Rows are only ever added to `block`, `node` and `boundary`; pruning empties an uploaded and
anchored block down to its leaf hashes. A block is up to 16 entries of one commit: about one page of the disk, so that a
destroyed page costs a few entries, and a row is written a sixteenth as often. `delivery` has one row a commit, folded
into one row when there are many. `node` keeps the complete subtrees of 256 entries and more, so that a root or a
proof at any size reads a few rows instead of the whole log.
"""

import sqlite3
from pathlib import Path

FORMAT = 1
NODE_LEVEL_MIN = 8  # subtrees of 2^8 entries; smaller ones are recomputed from at most 255 leaf hashes
BLOCK_ENTRIES = 16
DELIVERY_ROWS_MAX = 4096

_TABLES = """
CREATE TABLE block (start INTEGER PRIMARY KEY, entries BLOB, details BLOB, leaves BLOB NOT NULL) STRICT;
CREATE TABLE node (level INTEGER, number INTEGER, hash BLOB NOT NULL, PRIMARY KEY (level, number))
    STRICT, WITHOUT ROWID;
CREATE TABLE checkpoint (size INTEGER PRIMARY KEY, root BLOB NOT NULL, note TEXT) STRICT;
CREATE TABLE boundary (device BLOB, quantity TEXT, position INTEGER NOT NULL, PRIMARY KEY (device, quantity))
    STRICT, WITHOUT ROWID;
CREATE TABLE delivery (number INTEGER PRIMARY KEY, packed BLOB NOT NULL) STRICT;
CREATE TABLE session (client_id TEXT PRIMARY KEY, username TEXT NOT NULL, filters TEXT NOT NULL)
    STRICT, WITHOUT ROWID;
CREATE TABLE state (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
"""


# Every statement gives up the interpreter's lock, and a busy event loop gives it back only after a switch interval:
# so a group's blocks go in with as few statements as possible.
_BLOCK = "INSERT INTO block VALUES (?, ?, ?, ?)"
INSERT_BLOCKS = tuple((rows, _BLOCK + ", (?, ?, ?, ?)" * (rows - 1)) for rows in (32, 8, 1))


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """A connection with the durability the log rests on: WAL, and a commit that waits for the disk."""
    location = f"{path.as_uri()}?mode={'ro' if read_only else 'rwc'}"
    connection = sqlite3.connect(
        location, uri=True, isolation_level=None, check_same_thread=False, timeout=10.0, cached_statements=64
    )
    try:
        if read_only:
            connection.execute("PRAGMA query_only=1")
        else:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA wal_autocheckpoint=2000")
        connection.execute("PRAGMA cache_size=-4096")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def create_tables(connection: sqlite3.Connection, origin: str) -> None:
    """Make a new epoch's tables in one transaction."""
    connection.execute("BEGIN IMMEDIATE")
    for statement in _TABLES.split(";"):
        if statement.strip():
            connection.execute(statement)
    connection.execute("INSERT INTO state VALUES ('origin', ?)", (origin.encode(),))
    connection.execute(f"PRAGMA user_version={FORMAT}")
    connection.execute("COMMIT")
