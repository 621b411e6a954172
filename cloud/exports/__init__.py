"""What is stored as tables for other programs: CSV, XLSX and Parquet, row by row, so that a million of them need no
more memory than a thousand.

Each row names the log entry or the transaction that it can be checked against. It may import the rest of the cloud;
nothing of the cloud imports it but the application and the command.
"""

from cloud.exports.routes import exports_router

__all__ = ["exports_router"]
