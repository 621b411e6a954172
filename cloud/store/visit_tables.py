"""Tables of maintenance visits: what was signed, who by, its photographs, what looks odd of it and what people said."""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, SmallInteger, String, Table, Text, text

from cloud.store.metadata import LogId, metadata

__all__ = [
    "arrivals",
    "erased_visits",
    "fault_notes",
    "flag_words",
    "repair_words",
    "visit_files",
    "visit_flags",
    "visit_signers",
    "visits",
]

visits = Table(
    "visits",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("device", LargeBinary, nullable=False),
    # The gateway's origin without its epoch: a new epoch gets what the old one left unjudged.
    Column("gateway", String(64), nullable=False),
    Column("file", Text, nullable=False),
    # The filled list and the presence proof, canonical JSON as their digests in the record want them; None: handed in
    # without.
    Column("checklist", Text, nullable=True),
    Column("presence", Text, nullable=True),
    Column("visit_class", SmallInteger, nullable=False),
    Column("started_at_s", BigInteger, nullable=False),
    Column("ended_at_s", BigInteger, nullable=False),
    Column("received_at_ms", BigInteger, nullable=False),
    Column("mailed_log_id", LogId, nullable=True),
    Column("mail_number", Integer, nullable=True),
    # Where the gateway's entry is, once it was looked up; derived.
    Column("entry_log_id", LogId, nullable=True),
    Column("entry_index", BigInteger, nullable=True),
    # When it was wished that the chain records it: the gateway has judged it.
    Column("wished_at_ms", BigInteger, nullable=True),
    # How far `cloud.integrity` has looked at it: 0 not since something of it came, 1 without a verdict, 2 with one;
    # when it is to look again, and when it last did.
    Column("examined", SmallInteger, nullable=False, server_default=text("0")),
    Column("look_at_ms", BigInteger, nullable=True, server_default=text("0")),
    Column("looked_at_ms", BigInteger, nullable=False, server_default=text("0")),
    # A meter swap's file with its installer's signature (`minglou-meter-swap/1`), and the name of the act that carries
    # the owner's beside it.
    Column("swap", Text, nullable=True),
    Column("swap_act", LargeBinary, nullable=True),
    Index("visits_of_device", "device", "started_at_s"),
    Index("visits_of_gateway", "gateway", "entry_index"),
    Index("visits_to_record", "wished_at_ms", "received_at_ms", "digest"),
    Index("visits_to_examine", "examined", "started_at_s"),
    Index("visits_to_look_at", "look_at_ms"),
)

# Who signed, by position (mechanics, then the site manager), and on which phone: what one person's or one phone's
# visits are found by. No alias and no name.
visit_signers = Table(
    "visit_signers",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("position", SmallInteger, primary_key=True, autoincrement=False),
    # SHA-256 of the public key.
    Column("signer", LargeBinary, nullable=False),
    Column("started_at_s", BigInteger, nullable=False),
    # The app's installation, how many visits it had signed, and the digest of its last one.
    Column("phone", LargeBinary, nullable=True),
    Column("number", BigInteger, nullable=True),
    Column("previous", LargeBinary, nullable=True),
    Index("visits_of_signer", "signer", "started_at_s"),
    Index("visits_of_phone", "phone", "started_at_s"),
)

# Photographs that lie, sealed, beside the database.
visit_files = Table(
    "visit_files",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("sha256", LargeBinary, primary_key=True),
    Column("bytes_length", Integer, nullable=False),
    Column("media_type", String(32), nullable=False),
    # As this cloud computed it from the picture: 8 bytes.
    Column("dhash", LargeBinary, nullable=False),
    # Finer fingerprints of the picture turned, and of parts of it (`cloud.visits.pictures`).
    Column("shapes", LargeBinary, nullable=False),
    # By which key of its device it is sealed; 0: clear.
    Column("tag", Integer, nullable=False),
    Column("stored_at_ms", BigInteger, nullable=False),
    Index("visit_files_by_time", "stored_at_ms"),
)

# Visits that were erased and whose photographs' files have not been swept yet.
erased_visits = Table(
    "erased_visits",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("erased_at_ms", BigInteger, nullable=False),
)

# What looks odd of a visit. Kept as it was said: limits may change later, and what stood in public does not vanish.
visit_flags = Table(
    "visit_flags",
    metadata,
    # Hash of kind and visits: found again, it is the same flag.
    Column("flag_id", LargeBinary, primary_key=True),
    Column("digest", LargeBinary, nullable=False, index=True),
    # The other visit, where it takes two.
    Column("other", LargeBinary, nullable=True, index=True),
    Column("device", LargeBinary, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("grave", Boolean, nullable=False),
    # JSON: the numbers that its sentences are made of.
    Column("facts", Text, nullable=False),
    Column("raised_at_ms", BigInteger, nullable=False),
    Index("visit_flags_by_time", "raised_at_ms"),
)

# What firms said to a flag, and what people decided; the last decision is its state.
flag_words = Table(
    "flag_words",
    metadata,
    Column("flag_id", LargeBinary, primary_key=True),
    Column("number", SmallInteger, primary_key=True, autoincrement=False),
    # "explained", "upheld" or "dismissed".
    Column("word", String(12), nullable=False),
    Column("says", Text, nullable=False),
    Column("account_id", LargeBinary, nullable=False),
    Column("role", String(16), nullable=False),
    # Whose account it was; NULL for who belongs to none.
    Column("firm", Text, nullable=True),
    Column("said_at_ms", BigInteger, nullable=False),
)

# Signed words that somebody arrived for a work order.
arrivals = Table(
    "arrivals",
    metadata,
    Column("order_id", LargeBinary, primary_key=True),
    Column("digest", LargeBinary, primary_key=True),
    Column("device", LargeBinary, nullable=False),
    Column("at_s", BigInteger, nullable=False),
    Column("file", Text, nullable=False),
    Column("received_at_ms", BigInteger, nullable=False),
    Index("arrivals_of_device", "device", "at_s"),
)

# What passengers reported on a device's public page.
fault_notes = Table(
    "fault_notes",
    metadata,
    Column("note_id", LargeBinary, primary_key=True),
    Column("device", LargeBinary, nullable=False),
    Column("place", String(16), nullable=False),
    Column("says", Text, nullable=False),
    Column("received_at_ms", BigInteger, nullable=False),
    Index("fault_notes_of_device", "device", "received_at_ms"),
)

# What households said of repairs, with what they signed: the chain has the digest alone.
repair_words = Table(
    "repair_words",
    metadata,
    # SHA-256 of the detail.
    Column("digest", LargeBinary, primary_key=True),
    # The order that it is about, whether the chain has that or not.
    Column("order_name", LargeBinary, nullable=False),
    Column("unit", LargeBinary, nullable=False),
    # 32 zero bytes: nothing that has a name.
    Column("device", LargeBinary, nullable=False),
    # "report" or "reopen".
    Column("kind", String(8), nullable=False),
    Column("detail", Text, nullable=False),
    # The signed act as a file; None: nobody has signed it.
    Column("act", Text, nullable=True),
    Column("role", String(16), nullable=False),
    Column("said_at_ms", BigInteger, nullable=False),
    Index("repair_words_of_unit", "unit", "said_at_ms"),
    Index("repair_words_of_order", "order_name"),
    Index("repair_words_by_time", "said_at_ms"),
)
