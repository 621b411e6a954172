"""The replicated ingest log: NATS JetStream takes batches on several nodes, consumers carry them into PostgreSQL.

For operators who outgrow one PostgreSQL, or whose gateways must be answered while it is away. A batch is judged as
ever, upon the log's head; only the head comes from the last message of the log's subject, and the acknowledgement from
the cluster. See docs/decisions/0019. Imports `cloud.ingest` and `cloud.store`.
"""
