"""Alembic, run from inside the program: no alembic.ini, the connection is handed over by `Store.migrate`."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy.engine import Connection

__all__ = ["alembic_config", "upgrade"]


def alembic_config(connection: Connection) -> Config:
    """Alembic's configuration for this package's migrations on `connection`."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def upgrade(connection: Connection) -> None:
    """Apply all missing revisions, each in its own transaction."""
    command.upgrade(alembic_config(connection), "head")
