"""Tables of who may do what: accounts, roles, letters, passkeys, sessions, programs' tokens, the audit log."""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, SmallInteger, String, Table, Text

from cloud.store.metadata import metadata

__all__ = [
    "accounts",
    "api_tokens",
    "audit_entries",
    "audit_head",
    "audit_heads",
    "audit_nodes",
    "audit_notes",
    "ceremonies",
    "grants",
    "invitations",
    "one_time_codes",
    "passkeys",
    "sessions",
    "throttles",
]

# Who may do what. No names: an account is 16 random bytes, a household its unit's alias.
accounts = Table(
    "accounts",
    metadata,
    Column("account_id", LargeBinary, primary_key=True),
    Column("created_at_ms", BigInteger, nullable=False),
)

grants = Table(
    "grants",
    metadata,
    Column("grant_id", Integer, primary_key=True),
    Column("account_id", LargeBinary, nullable=False, index=True),
    Column("role", String(16), nullable=False),
    Column("unit", LargeBinary, nullable=True, index=True),
    Column("firm", String(80), nullable=True),
    Column("granted_at_ms", BigInteger, nullable=False),
    # The account that invited; None: the machine's own command, or a link of the demo.
    Column("granted_by", LargeBinary, nullable=True),
    Column("ended_at_ms", BigInteger, nullable=True),
)

invitations = Table(
    "invitations",
    metadata,
    Column("code_digest", LargeBinary, primary_key=True),
    Column("role", String(16), nullable=False),
    Column("unit", LargeBinary, nullable=True),
    Column("firm", String(80), nullable=True),
    # Whose lost passkeys it replaces; None: whoever uses it becomes a new account.
    Column("account_id", LargeBinary, nullable=True, index=True),
    Column("created_by", LargeBinary, nullable=True),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("valid_from_ms", BigInteger, nullable=False),
    Column("expires_at_ms", BigInteger, nullable=False),
    Column("used_at_ms", BigInteger, nullable=True),
    Column("stopped_at_ms", BigInteger, nullable=True),
)

passkeys = Table(
    "passkeys",
    metadata,
    Column("credential_id", LargeBinary, primary_key=True),
    Column("account_id", LargeBinary, nullable=False, index=True),
    # WebAuthn's attested credential data: AAGUID, credential id, COSE public key.
    Column("credential", LargeBinary, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("last_used_at_ms", BigInteger, nullable=True),
)

# Challenges that authenticators have yet to answer; each is answered once.
ceremonies = Table(
    "ceremonies",
    metadata,
    Column("challenge", LargeBinary, primary_key=True),
    Column("purpose", String(12), nullable=False),
    # Whom it is for: an account, or an invitation's digest.
    Column("subject", LargeBinary, nullable=True),
    Column("expires_at_ms", BigInteger, nullable=False),
)

one_time_codes = Table(
    "one_time_codes",
    metadata,
    Column("code_digest", LargeBinary, primary_key=True),
    Column("account_id", LargeBinary, nullable=False, index=True),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("used_at_ms", BigInteger, nullable=True),
)

# Attempts to sign in within a window, by the hash of who or where from.
throttles = Table(
    "throttles",
    metadata,
    Column("subject", LargeBinary, primary_key=True),
    Column("window_ends_at_ms", BigInteger, nullable=False),
    Column("count", Integer, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("session_digest", LargeBinary, primary_key=True),
    Column("account_id", LargeBinary, nullable=False, index=True),
    Column("grant_id", Integer, nullable=False),
    Column("strength", String(8), nullable=False),
    Column("opened_at_ms", BigInteger, nullable=False),
    Column("idle_until_ms", BigInteger, nullable=False),
    Column("expires_at_ms", BigInteger, nullable=False),
)

audit_entries = Table(
    "audit_entries",
    metadata,
    Column("entry_index", BigInteger, primary_key=True, autoincrement=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("act", String(24), nullable=False),
    Column("account_id", LargeBinary, nullable=True),
    # The household that it concerns, to which it is shown.
    Column("unit", LargeBinary, nullable=True),
    # The leaf: canonical JSON of all of it.
    Column("body", Text, nullable=False),
    Index("ix_audit_entries_unit_act_at_ms", "unit", "act", "at_ms"),
)

audit_head = Table(
    "audit_head",
    metadata,
    Column("one", SmallInteger, primary_key=True, autoincrement=False),
    Column("size", BigInteger, nullable=False),
    Column("peaks", LargeBinary, nullable=False),
)

audit_notes = Table(
    "audit_notes",
    metadata,
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("note", Text, nullable=False),
    Column("signed_at_ms", BigInteger, nullable=False),
)

# Those heads that have a place in the super-log: of all signed between two steps of that, the newest.
audit_heads = Table(
    "audit_heads",
    metadata,
    Column("super_index", BigInteger, primary_key=True, autoincrement=False),
    Column("size", BigInteger, nullable=False),
    Column("note", Text, nullable=False),
    Column("signed_at_ms", BigInteger, nullable=False),
)

# Derived from the entries, as far as the newest note reaches: every complete subtree, leaves (level 0) too.
audit_nodes = Table(
    "audit_nodes",
    metadata,
    Column("level", SmallInteger, primary_key=True, autoincrement=False),
    Column("node_index", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

# What programs show instead of signing in: the hash, what it opens, until when.
api_tokens = Table(
    "api_tokens",
    metadata,
    Column("token_digest", LargeBinary, primary_key=True),
    Column("name", String(64), nullable=False),
    Column("role", String(16), nullable=False),
    # Words from cloud.identity.tokens.Scope, separated by blanks.
    Column("scopes", String(200), nullable=False),
    Column("created_by", LargeBinary, nullable=True),
    # The role that it was made in, with which it ends; None: the machine's own command, or older than this column.
    Column("grant_id", Integer, nullable=True, index=True),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("expires_at_ms", BigInteger, nullable=False),
    Column("last_used_at_ms", BigInteger, nullable=True),
    Column("revoked_at_ms", BigInteger, nullable=True),
)
