"""The one schema that all tables of the store belong to."""

from sqlalchemy import MetaData

__all__ = ["metadata"]

metadata = MetaData()
