"""Tables of the cloud's store, as SQLAlchemy Core metadata.

Primary data: `entries` with their details, `checkpoints` and the super-log's notes; and what people hand in: visits
with their lists and photographs, and what is said of them. Everything else is derived from them and from the chain.
Tables of one log's rows lead their keys with `log_id`, the column by which a larger store is spread
(docs/decisions/0015); all others are small and kept whole. Instants are UTC milliseconds, hashes raw bytes, integers
that may pass 2^63 decimal strings.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from cloud.store.access_tables import (
    accounts,
    api_tokens,
    audit_entries,
    audit_head,
    audit_heads,
    audit_nodes,
    audit_notes,
    ceremonies,
    grants,
    invitations,
    one_time_codes,
    passkeys,
    sessions,
    throttles,
)
from cloud.store.bill_tables import (
    bill_mismatches,
    line_notes,
    posted_bills,
    posted_nodes,
    posted_periods,
    volume_keys,
    volume_nodes,
)
from cloud.store.key_tables import destroyed_keys, key_store
from cloud.store.metadata import LogId, metadata
from cloud.store.visit_tables import (
    arrivals,
    erased_visits,
    fault_notes,
    flag_words,
    repair_words,
    visit_files,
    visit_flags,
    visit_signers,
    visits,
)

__all__ = [
    "LogId",
    "accounts",
    "acknowledgements",
    "anomalies",
    "api_tokens",
    "arrivals",
    "attempts",
    "audit_entries",
    "audit_head",
    "audit_heads",
    "audit_nodes",
    "audit_notes",
    "bill_mismatches",
    "boundaries",
    "ceremonies",
    "chain_blocks",
    "chain_cursor",
    "chain_events",
    "chain_leases",
    "checkpoints",
    "destroyed_keys",
    "device_days",
    "entries",
    "erased_visits",
    "erasures",
    "fault_notes",
    "flag_words",
    "forks",
    "grants",
    "intents",
    "invitations",
    "key_store",
    "line_notes",
    "logs",
    "mail",
    "metadata",
    "nodes",
    "notices",
    "one_time_codes",
    "origins",
    "passkeys",
    "posted_bills",
    "posted_nodes",
    "posted_periods",
    "repair_words",
    "retained",
    "sessions",
    "sign_ins",
    "super_cosignatures",
    "super_head",
    "super_nodes",
    "super_notes",
    "throttles",
    "visit_files",
    "visit_flags",
    "visit_signers",
    "visits",
    "volume_keys",
    "volume_nodes",
    "webhook_cursors",
    "witness_states",
]

logs = Table(
    "logs",
    metadata,
    Column("log_id", LogId, primary_key=True, autoincrement=False),
    Column("origin", String(64), nullable=False),
    Column("size", BigInteger, nullable=False),
    # Roots of the complete subtrees of `size` leaves, largest first, 32 bytes each (RFC 9162's frontier).
    Column("peaks", LargeBinary, nullable=False),
    # SHA-256 of the uplink token, from the signed `epoch.open` entry: a dump of this table lets nobody in.
    Column("token_digest", LargeBinary, nullable=False),
    Column("opened_at_ms", BigInteger, nullable=False),
    Column("last_seen_at_ms", BigInteger, nullable=False),
    Column("frozen", Text, nullable=True),
    # What the gateway may still send at once (entries), as of a moment in real time: shared by all workers.
    Column("quota_level", Float, nullable=True),
    Column("quota_at_ms", BigInteger, nullable=True),
)

origins = Table(
    "origins",
    metadata,
    Column("origin", String(64), primary_key=True),
    Column("log_id", LogId, nullable=False, unique=True),
)

entries = Table(
    "entries",
    metadata,
    Column("log_id", LogId, primary_key=True, autoincrement=False),
    Column("entry_index", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", SmallInteger, nullable=False),
    Column("device", LargeBinary, nullable=False),
    Column("observed_at_ms", BigInteger, nullable=False),
    Column("quantity", String(32), nullable=False),
    Column("value", BigInteger, nullable=False),
    Column("detail_digest", LargeBinary, nullable=False),
    Column("salt", LargeBinary, nullable=False),
    Column("detail", LargeBinary, nullable=True),
    # Kept beside the fields, so that erasing (or altering) one entry leaves every other entry's proof as it was.
    Column("leaf_hash", LargeBinary, nullable=False),
    # YYYYMM of its checkpoint's arrival, by which PostgreSQL partitions (`cloud.store.months`); negative for what is
    # left of it after retention. PostgreSQL's key ends with it, as a partitioned table's must.
    Column("received_month", Integer, nullable=False, server_default=text("0")),
    # By which key of its device value, salt and detail are sealed (`cloud.store.readings`); 0: they are clear.
    Column("sealed_by", Integer, nullable=False, server_default=text("0")),
    Index("entries_of_device", "device", "observed_at_ms"),
    sqlite_with_rowid=False,
)

# What was erased down to leaf hashes, and why: so many of a log's entries first_index to end_index - 1.
erasures = Table(
    "erasures",
    metadata,
    Column("log_id", LogId, primary_key=True, autoincrement=False),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("first_index", BigInteger, nullable=False),
    Column("end_index", BigInteger, nullable=False),
    Column("entries", BigInteger, nullable=False),
    # "retention", or "request": a person asked for it.
    Column("cause", String(16), nullable=False),
    Column("says", Text, nullable=False),
    Column("erased_at_ms", BigInteger, nullable=False),
    # Unused, 0: each folder of segments notes for itself how far it has followed. Processes of before write it.
    Column("in_segments", SmallInteger, nullable=False),
)

# How far retention has come in each log, by kind of data.
retained = Table(
    "retained",
    metadata,
    Column("log_id", LogId, primary_key=True, autoincrement=False),
    Column("data", String(16), primary_key=True),
    # Nothing before it is left to erase; between it and reached_index stands what bills or disputes still need.
    Column("end_index", BigInteger, nullable=False),
    Column("reached_index", BigInteger, nullable=False),
    # The last month that is wholly done.
    Column("month", Integer, nullable=False),
)

nodes = Table(
    "nodes",
    metadata,
    Column("log_id", LogId, primary_key=True, autoincrement=False),
    Column("level", SmallInteger, primary_key=True, autoincrement=False),
    Column("node_index", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

checkpoints = Table(
    "checkpoints",
    metadata,
    Column("log_id", LogId, primary_key=True, autoincrement=False),
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("root", LargeBinary, nullable=False),
    Column("note", Text, nullable=False),
    Column("public_key", LargeBinary, nullable=False),
    Column("received_at_ms", BigInteger, nullable=False),
    # Its place in the super-log; None until the sequencer has come by.
    Column("super_index", BigInteger, nullable=True),
    Index("checkpoints_by_super_index", "super_index"),
    sqlite_with_rowid=False,
)

boundaries = Table(
    "boundaries",
    metadata,
    Column("log_id", LogId, primary_key=True, autoincrement=False),
    Column("entry_index", BigInteger, primary_key=True, autoincrement=False),
    Column("device", LargeBinary, nullable=False),
    Column("register", String(32), nullable=False),
    Column("boundary_date", Integer, nullable=False),
    Column("value", BigInteger, nullable=False),
    # As in `entries`; the leaf hash stands where the value is sealed, for it opens it.
    Column("sealed_by", Integer, nullable=False, server_default=text("0")),
    Column("leaf_hash", LargeBinary, nullable=True),
    Index("boundaries_of_device", "device", "boundary_date"),
    Index("boundaries_of_day", "boundary_date"),
    sqlite_with_rowid=False,
)

super_head = Table(
    "super_head",
    metadata,
    Column("one", SmallInteger, primary_key=True, autoincrement=False),
    Column("size", BigInteger, nullable=False),
    Column("peaks", LargeBinary, nullable=False),
)

super_nodes = Table(
    "super_nodes",
    metadata,
    Column("level", SmallInteger, primary_key=True, autoincrement=False),
    Column("node_index", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

super_notes = Table(
    "super_notes",
    metadata,
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("root", LargeBinary, nullable=False),
    Column("note", Text, nullable=False),
    Column("signed_at_ms", BigInteger, nullable=False),
)

super_cosignatures = Table(
    "super_cosignatures",
    metadata,
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("vkey", String(220), primary_key=True),
    # The note's signature line as it came, verified, with its newline.
    Column("line", Text, nullable=False),
    Column("signed_at_s", BigInteger, nullable=False),
)

witness_states = Table(
    "witness_states",
    metadata,
    Column("vkey", String(220), primary_key=True),
    # Why it does not cosign, and what to do; empty while it does.
    Column("says", Text, nullable=False),
    Column("changed_at_ms", BigInteger, nullable=False),
)

forks = Table(
    "forks",
    metadata,
    Column("fork_id", Integer, primary_key=True),
    Column("log_id", LogId, nullable=False),
    # "same_size": two roots for one size; "leaf": two leaves at one index; "unproven": a signed root that our prefix
    # contradicts.
    Column("kind", String(16), nullable=False),
    Column("held_note", Text, nullable=False),
    Column("other_note", Text, nullable=False),
    Column("material", Text, nullable=False),
    Column("found_at_ms", BigInteger, nullable=False),
)

anomalies = Table(
    "anomalies",
    metadata,
    Column("log_id", LogId, primary_key=True, autoincrement=False),
    # "replay": entries that were held already; "clock_ahead", "clock_back": of the gateway's clock.
    Column("kind", String(16), primary_key=True),
    Column("count", BigInteger, nullable=False),
    Column("says", Text, nullable=False),
    Column("first_at_ms", BigInteger, nullable=False),
    Column("last_at_ms", BigInteger, nullable=False),
)

mail = Table(
    "mail",
    metadata,
    Column("log_id", LogId, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("kind", String(16), nullable=False),
    Column("body", Text, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
)

# The newest acknowledgement of each copy of each log: signed notes that came in, relayed as mail.
acknowledgements = Table(
    "acknowledgements",
    metadata,
    Column("log_id", LogId, primary_key=True, autoincrement=False),
    Column("keeper", String(64), primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("note", Text, nullable=False),
    Column("received_at_ms", BigInteger, nullable=False),
)

# What a device's own words say of each local day (days since 1970), in seconds; derived.
device_days = Table(
    "device_days",
    metadata,
    Column("device", LargeBinary, primary_key=True),
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("in_service_s", Integer, nullable=False),
    Column("stopped_s", Integer, nullable=False),
    Column("inspection_s", Integer, nullable=False),
    Column("silent_s", Integer, nullable=False),
    sqlite_with_rowid=False,
)

chain_cursor = Table(
    "chain_cursor",
    metadata,
    Column("one", SmallInteger, primary_key=True, autoincrement=False),
    Column("followed_number", BigInteger, nullable=False),
    Column("followed_hash", String(66), nullable=False),
    Column("final_number", BigInteger, nullable=False),
    Column("final_hash", String(66), nullable=False),
)

chain_blocks = Table(
    "chain_blocks",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", String(66), nullable=False),
    Column("parent_hash", String(66), nullable=False),
    Column("timestamp", BigInteger, nullable=False),
)

chain_events = Table(
    "chain_events",
    metadata,
    Column("block_number", BigInteger, primary_key=True, autoincrement=False),
    Column("log_index", Integer, primary_key=True, autoincrement=False),
    Column("block_hash", String(66), nullable=False),
    Column("transaction_hash", String(66), nullable=False),
    Column("contract", String(32), nullable=False),
    Column("topics", LargeBinary, nullable=False),
    Column("data", LargeBinary, nullable=False),
)

intents = Table(
    "intents",
    metadata,
    Column("intent_id", Integer, primary_key=True),
    Column("business_key", String(200), nullable=False, unique=True),
    Column("kind", String(24), nullable=False),
    Column("params", Text, nullable=False),
    # pending -> sent -> mined -> final; `done`: the contract said that it is so already, final once `block_number` is;
    # `refused`: the contract says no, for good.
    Column("state", String(12), nullable=False, index=True),
    Column("says", Text, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("block_number", BigInteger, nullable=True),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("changed_at_ms", BigInteger, nullable=False),
)

attempts = Table(
    "attempts",
    metadata,
    Column("attempt_id", Integer, primary_key=True),
    Column("intent_id", Integer, nullable=False, index=True),
    Column("account", String(42), nullable=False, server_default=""),
    Column("nonce", BigInteger, nullable=False, index=True),
    # act: what the intent wants; cancel: nothing, so that the nonce is used up.
    Column("purpose", String(8), nullable=False, server_default="act"),
    Column("transaction_hash", String(66), nullable=False, unique=True),
    # Stored before it is broadcast: after a crash the same bytes are sent again, never other ones under the same nonce.
    Column("raw", LargeBinary, nullable=False),
    Column("max_fee_wei", String(40), nullable=False),
    Column("priority_fee_wei", String(40), nullable=False),
    Column("is_legacy", SmallInteger, nullable=False, server_default="0"),
    # signed -> mined -> final, or failed -> reverted; replaced; lost (its nonce was used by another's transaction).
    Column("state", String(12), nullable=False, index=True),
    Column("signed_at_ms", BigInteger, nullable=False),
    Column("block_number", BigInteger, nullable=True),
    Column("block_hash", String(66), nullable=True),
    Column("gas_used", BigInteger, nullable=True),
)

# Who has a duty that is one process's alone, to follow the chain and send first of all: each holder begins a term.
chain_leases = Table(
    "chain_leases",
    metadata,
    Column("name", String(24), primary_key=True),
    Column("term", BigInteger, nullable=False),
    Column("holder", Text, nullable=False),
)

sign_ins = Table(
    "sign_ins",
    metadata,
    Column("token_digest", LargeBinary, primary_key=True),
    Column("used_at_ms", BigInteger, nullable=False),
)

webhook_cursors = Table(
    "webhook_cursors",
    metadata,
    Column("hook", String(31), primary_key=True),
    Column("source", String(16), primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("retry_at_ms", BigInteger, nullable=False),
)

notices = Table(
    "notices",
    metadata,
    Column("notice_id", Integer, primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("says", Text, nullable=False),
    UniqueConstraint("at_ms", "says"),
)
