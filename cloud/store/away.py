"""What tells that the database is away, in whichever driver's words."""

from sqlalchemy.exc import SQLAlchemyError

__all__ = ["STORE_ERRORS"]


def _errors() -> tuple[type[Exception], ...]:
    try:
        from asyncpg import InterfaceError, PostgresError
    except ImportError:  # a store on SQLite needs no driver of PostgreSQL's
        return (SQLAlchemyError, OSError)
    # While PostgreSQL starts up or shuts down the driver itself says so, before SQLAlchemy could wrap it.
    return (SQLAlchemyError, OSError, PostgresError, InterfaceError)


STORE_ERRORS = _errors()
