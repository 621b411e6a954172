"""Alembic, run from inside the program: no alembic.ini, the connection is handed over by `Store.migrate`."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy.engine import Connection

__all__ = ["alembic_config", "is_whole_table", "upgrade"]


def alembic_config(connection: Connection) -> Config:
    """Alembic's configuration for this package's migrations on `connection`."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def is_whole_table(name: str | None, kind: str, _parents: object) -> bool:
    """Alembic's question which names in the database it should compare with the code: not the partitions of entries."""
    return kind != "table" or name is None or not name.startswith("entries_")


def upgrade(connection: Connection) -> None:
    """Apply all missing revisions, each in its own transaction."""
    command.upgrade(alembic_config(connection), "head")
