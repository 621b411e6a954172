"""The one schema that all tables of the store belong to, and the type of the column that spreads them."""

from sqlalchemy import BigInteger, Integer, MetaData

__all__ = ["LogId", "metadata"]

metadata = MetaData()

LogId = BigInteger().with_variant(Integer, "sqlite")
"""63 bits of the origin's hash: whoever opens a log first, on whatever replica, gives it the same number."""
