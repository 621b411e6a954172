"""JSON schemas of what is answered and sent, by name."""

from collections.abc import Mapping

from cloud.openapi.shapes import (
    COUNT,
    COUNTS,
    DAY,
    FLAG,
    MAYBE_DAY,
    MAYBE_MS,
    TEXT,
    TEXTS,
    WORDS,
    Schema,
    array,
    decimal,
    members,
    octets,
)

__all__ = ["SCHEMAS", "ref"]


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


_OBIS: Schema = {"type": "string", "description": "OBIS code of the register, which says its base unit"}
_REGISTER: Schema = {**COUNT, "description": "in the base unit of `quantity`: Wh of energy, mL of water, L of gas"}
_STEP: Schema = {**COUNT, "description": "the last digit that the display shows, in base units"}
_METER = {"device": octets(32, "SHA-256 of its URN"), "opening": _REGISTER, "photo": octets(32, "SHA-256 of its photo")}

_SPARE = members(
    "a meter in stock",
    {"device": _METER["device"], "name": TEXT, "title": WORDS, "step": _STEP, "labels": array(octets(32, "of a code"))},
)

_CREW_SWAP = members(
    "of a flat's meter whose place another one waits to take: what the installer's swap is made of",
    {
        "subject": octets(32, "the unit's alias"),
        "from": {**DAY, "description": "from which day on the present meter counts"},
        "opening": {**COUNT, "description": "the register that its binding began with; 0: not read then"},
        "quantity": _OBIS,
        "step": _STEP,
        "spares": array(_SPARE),
    },
)

_MEMBER = members(
    "a member; whoever `installs` may sign meter swaps",
    {"alias": octets(32, "random"), "key_id": octets(32, "of the key"), "duty": TEXT, "installs": FLAG},
)

_CREW_DEVICE = members(
    "a device that the firm looks after",
    {
        "name": TEXT,
        "title": WORDS,
        "kind": TEXT,
        "device": octets(32, "SHA-256 of its URN"),
        "place": {"type": "object"},
        "labels": array(members("a code at it", {"place": TEXT, "digest": octets(32, "of the code")})),
        "packs": array(octets(32, "of the checklist's bytes")),
        "due": array(members("a class that falls due", {"class": TEXT, "due_on": TEXT, "warn_on": TEXT})),
        "last_visit": {"type": ["object", "null"]},
        "fence": {"type": ["object", "null"], "description": "where a phone should be, as coarse as the site gave it"},
        "swap": {"anyOf": [_CREW_SWAP, {"type": "null"}]},
    },
)

_CREW_ORDER = members(
    "an open repair: what an arrival and a firm's acts are signed for",
    {
        "name": octets(32, "of the order"),
        "device": octets(32, "SHA-256 of its URN"),
        "cause": {"enum": ["entrapment", "stopped", "fault", "person"]},
        "state": {"enum": ["reported", "accepted", "done"]},
        "round": COUNT,
        "seen_at": {"type": "integer", "description": "Unix seconds, by the machine's word or the report"},
        "promise_at": {"type": ["integer", "null"], "description": "Unix seconds"},
        "firm": {"type": "integer", "description": "number in Crews; 0 for nobody yet, or the site's own people"},
        "rescue_s": {"type": ["integer", "null"], "description": "within which somebody must be with trapped people"},
    },
)

_LINE = members(
    "one line of a bill",
    {
        "kind": {"enum": [1, 2, 3, 4, 5, 6], "description": "own, shared, standing, credit, estimated, interval"},
        "subject": octets(32, "device at closing, pool, or what gives the right to charge"),
        "quantity": TEXT,
        "tariff": decimal("version of the terms, 0 for none"),
        "since": decimal("YYYYMMDD from which tiers count"),
        "from": decimal("first day, YYYYMMDD"),
        "to": decimal("day after the last, YYYYMMDD"),
        "usage": decimal("base units"),
        "amount": decimal("0.01 CNY"),
    },
)
_AMOUNTS = members(
    "0.01 CNY",
    {"total": decimal("all"), "own": decimal("own"), "shared": decimal("shared"), "other": decimal("other")},
)
_NODE = members("a node of the bill tree", {"hash": octets(32, "SHA-256"), "sums": _AMOUNTS})

SCHEMAS: Mapping[str, Schema] = {
    "Refusal": members(
        "why not, and what to do",
        {
            "error": {"type": "string", "description": "a stable word for programs"},
            "message": {"type": "string", "description": "what is wrong and what to do"},
            "size": {"type": "integer", "description": "of a log: entries that the cloud holds"},
        },
        optional=["size"],
    ),
    "Readiness": members(
        "named checks",
        {
            "ready": FLAG,
            "checks": array(members("one", {"name": TEXT, "passed": FLAG, "needed": FLAG, "says": TEXT})),
        },
    ),
    "Status": members(
        "what is stored, followed, sent and noticed; the chain's fields are there where one is followed",
        {
            "entries": COUNT,
            "checkpoints": COUNT,
            "logs": COUNT,
            "frozen": COUNT,
            "super_size": COUNT,
            "outbox": COUNTS,
            "notices": array(TEXT),
            "oddities": array(TEXT),
            "refused": COUNTS,
            "witnesses": {"type": "object"},
            "followed_block": COUNT,
            "head_block": COUNT,
            "final_block": COUNT,
            "anchored_size": COUNT,
            "anchored_final_size": COUNT,
            "is_sender": FLAG,
            "stopped": TEXTS,
            "endpoints": TEXTS,
        },
        optional=[
            *("followed_block", "head_block", "final_block", "anchored_size", "anchored_final_size"),
            *("is_sender", "stopped", "endpoints"),
        ],
    ),
    "Evidence": members(
        "minglou-evidence/1: one entry, from its fields to the anchor; null where it has not come so far",
        {
            "format": {"const": "minglou-evidence/1"},
            "entry": members(
                "the seven words",
                {
                    "kind": {"enum": [1, 2, 3, 4, 5, 6]},
                    "device": octets(32, "SHA-256 of the device's URN"),
                    "observed_at_ms": COUNT,
                    "quantity": TEXT,
                    "value": decimal("base units"),
                    "detail_digest": octets(32, "SHA-256 of the detail, or zero"),
                    "salt": octets(16, "random"),
                },
            ),
            "detail": {"type": ["object", "string", "null"]},
            "log": {"type": ["object", "null"]},
            "assignment": {"type": ["object", "null"]},
            "super_log": {"type": ["object", "null"]},
            "anchor": {"type": ["object", "null"]},
        },
        optional=["detail", "log", "assignment", "super_log", "anchor"],
    ),
    "Entries": members(
        "entries of a log in their order",
        {
            "entries": array(
                members(
                    "one entry, without detail and salt",
                    {
                        "index": decimal("its place"),
                        "kind": {"enum": [0, 1, 2, 3, 4, 5, 6]},
                        "device": octets(32, "SHA-256 of the device's URN"),
                        "quantity": TEXT,
                        "value": decimal("base units"),
                        "observed_at_ms": COUNT,
                    },
                )
            )
        },
    ),
    "LogSize": members("the log's size, on disk", {"size": COUNT}),
    "LogHead": members("what is held", {"size": COUNT, "checkpoint": {"type": ["string", "null"]}}),
    "Mail": members(
        "numbered messages",
        {
            "messages": array(
                members(
                    "one",
                    {
                        "number": COUNT,
                        "kind": {"enum": ["block", "anchored", "copied", "revoked", "visit"]},
                        "body": {"type": "object"},
                        "signature": {"type": ["string", "null"]},
                    },
                    optional=["signature"],
                )
            )
        },
    ),
    "BillsHeld": members(
        "how far an upload has come", {"held": COUNT, "unit_count": COUNT, "root": octets(32, "root")}
    ),
    "Derivations": members(
        "what each line of a bill rests on, as data and in words",
        {"lines": array(members("one line", {"derivation": {"type": "object"}, "zh": TEXT, "en": TEXT}))},
    ),
    "Keys": members(
        "where a unit's keys stand in the tables of volumes that share pools",
        {
            "keys": array(
                members(
                    "one pool's",
                    {
                        "pool": octets(32, "the pool's alias"),
                        "table": octets(128, "pool, root, sum, units: what was posted on chain"),
                        "key": decimal("what the unit's own meter counted, in base units"),
                        "salt": octets(32, "of the unit's leaf"),
                        "path": array(
                            members("a sibling", {"hash": octets(32, "of the node"), "sums": decimal("keys below it")})
                        ),
                    },
                )
            )
        },
    ),
    "VolumesHeld": members("the volumes are held", {"held": {"type": "boolean"}}),
    "BillsTaken": members("how far an upload has come", {"held": COUNT, "unit_count": COUNT}),
    "OwnFlat": members(
        "one flat, as its owner's or tenant's pages show it",
        {
            "flat": TEXT,
            "title": WORDS,
            "meters": array(
                members(
                    "a meter that counts for the flat",
                    {
                        "name": TEXT,
                        "kind": TEXT,
                        "title": WORDS,
                        "registers": array(
                            members(
                                "what a register showed last",
                                {
                                    "quantity": {**TEXT, "description": "OBIS code, or a dotted name"},
                                    "value": decimal("base units"),
                                    "unit": {**TEXT, "description": "Wh, mL, …; empty where none is known"},
                                    "observed_at_ms": COUNT,
                                    "origin": {**TEXT, "description": "the log that holds it"},
                                    "index": decimal("its place there: evidence is asked for by both"),
                                    "state": {"enum": ["recorded", "logged", "anchored", "final"]},
                                },
                            )
                        ),
                    },
                )
            ),
            "month": {
                "anyOf": [
                    {"type": "null"},
                    members(
                        "electricity since the last closed period: an estimate, not a bill",
                        {
                            "opening": TEXT,
                            "until_ms": COUNT,
                            "usage_wh": decimal("Wh"),
                            "amount_fen": decimal("0.01 CNY"),
                        },
                    ),
                ]
            },
            "balance_fen": {
                "anyOf": [{"type": "null"}, decimal("0.01 CNY; for the owner alone")],
            },
            "bills": array(
                members(
                    "one bill, newest first",
                    {
                        "period": TEXT,
                        "opening": TEXT,
                        "closing": TEXT,
                        "total_fen": decimal("0.01 CNY"),
                        "state": {"enum": ["open", "disputed", "debited", "corrected", "unpaid"]},
                    },
                )
            ),
        },
    ),
    "Bill": members(
        "minglou-bill/1: one bill with its path to the root on chain",
        {
            "format": {"const": "minglou-bill/1"},
            "chain_id": decimal("of the chain"),
            "contract": {"type": "string", "pattern": "^0x[0-9a-f]{40}$"},
            "site": octets(32, "the site's id"),
            "period": decimal("opening date * 10^8 + closing date"),
            "unit_index": decimal("its place in the tree"),
            "unit_count": decimal("leaves of the tree"),
            "amounts": _AMOUNTS,
            "lines": array(_LINE),
            "terms": array(members("a tariff as announced", {"version": decimal("on chain"), "encoded": TEXT})),
            "salt": octets(32, "of the leaf"),
            "path": array(_NODE),
            "root": _NODE,
        },
    ),
    "Compared": members("lines that the signed readings do not give", {"mismatches": array(TEXT), "count": COUNT}),
    "SignedAct": {
        "type": "object",
        "description": "an owner's act, signed by the unit's key over its person digest",
        "properties": {
            "period": decimal("of the bill"),
            "unit_index": {"type": "integer", "minimum": 0},
            "line": {"type": "integer", "minimum": 0},
            "amount": decimal("0.01 CNY"),
            "to": {"type": "string", "pattern": "^0x[0-9a-fA-F]{40}$"},
            "nonce": decimal("never used before by this key"),
            "deadline": decimal("UTC seconds"),
            "public": octets(64, "the key, x || y"),
            "signature": octets(64, "r || s"),
        },
        "required": ["unit_index", "nonce", "deadline", "public", "signature"],
    },
    "Relayed": members("what became of it", {"accepted": FLAG, "code": TEXT, "message": TEXT}),
    "Act": {
        "type": "object",
        "description": "minglou-act/1: see docs/formats.md",
        "properties": {"format": {"const": "minglou-act/1"}},
        "required": ["format", "chain_id", "contract", "function", "arguments"],
    },
    "RelayedAct": members(
        "where an act stands",
        {
            "act": octets(32, "SHA-256 of the file: the act's name"),
            "state": {"enum": ["pending", "sent", "mined", "final", "refused"]},
            "message": {"type": "string", "description": "why it was not sent, where it was not"},
        },
    ),
    "VisitBundle": {
        "type": "object",
        "description": "minglou-visit-bundle/1, or a bare minglou-signed-visit/1: see docs/formats.md",
        "properties": {"format": {"enum": ["minglou-visit-bundle/1", "minglou-signed-visit/1"]}},
        "required": ["format"],
    },
    "VisitState": members(
        "kept, and what became of it so far",
        {
            "digest": octets(32, "the visit's name"),
            "state": {"enum": ["waiting", "judged"]},
            "level": {"type": ["integer", "null"], "minimum": 0, "maximum": 4},
            "entry": {"type": ["object", "null"], "properties": {"origin": TEXT, "index": decimal("its place")}},
            "chain": {"enum": ["waiting", "recorded", "paid"]},
            "files_missing": array(octets(32, "of a photo that the list names and nobody sent yet")),
            "flags": array(
                members(
                    "what is asked about the visit, in public; no person is named",
                    {
                        "name": octets(16, "of its page, /flags/{name}"),
                        "kind": {"type": "string", "description": "travel, twice, dwell, photo, phone, list or code"},
                        "grave": FLAG,
                        "state": {"enum": ["open", "explained", "upheld", "dismissed"]},
                        "says": WORDS,
                    },
                )
            ),
        },
    ),
    "Arrival": {
        "type": "object",
        "description": "minglou-arrival/1: see docs/formats.md",
        "properties": {"format": {"const": "minglou-arrival/1"}},
        "required": ["format"],
    },
    "ArrivalKept": members(
        "an arrival",
        {
            "order": octets(32, "the work order"),
            "digest": octets(32, "of what was said"),
            "chain": {"enum": ["waiting", "recorded"]},
        },
    ),
    "MeterSwap": members(
        "a minglou-meter-swap/1 (docs/formats.md)",
        {
            "format": {"const": "minglou-meter-swap/1"},
            "chain_id": decimal("of the site's chain"),
            "contract": {**TEXT, "description": "Bindings, 0x and 40 hex digits"},
            "visit": octets(32, "whose list notes the same swap"),
            "subject": octets(32, "the unit's alias"),
            "quantity": _OBIS,
            "date": {**DAY, "description": "from which day on the new meter counts"},
            "old": members("the meter that went", {**_METER, "from": DAY, "closing": _REGISTER}),
            "new": members("the meter that came", _METER),
            "salt": octets(32, "random"),
            "installer": {"type": "object", "description": "a signature as in a signed visit"},
        },
    ),
    "SwapKept": members("a meter swap beside its visit", {"visit": octets(32, "whose it is")}),
    "PhotoKept": members("a photo of a visit", {"sha256": octets(32, "its name")}),
    "CrewWork": members(
        "what a crew's phone keeps, minglou-work/1",
        {
            "format": {"const": "minglou-work/1"},
            "site": members("the site", {"name": TEXT, "title": WORDS, "timezone": TEXT}),
            "host": TEXT,
            "chain_id": decimal("for which chain visits are signed"),
            "contracts": {"type": "object", "additionalProperties": {"type": ["string", "null"]}},
            "packs": array(members("a checklist", {"name": TEXT, "url": TEXT, "sha256": octets(32, "of its bytes")})),
            "devices": array(_CREW_DEVICE),
            "orders": array(_CREW_ORDER),
            "people": array(_MEMBER),
        },
    ),
    "PublicDevice": members(
        "a lift or another common device, as its public page shows it; days are the site's own",
        {
            "format": {"const": "minglou-device/1"},
            "name": TEXT,
            "kind": TEXT,
            "title": WORDS,
            "word": {"enum": ["in_service", "stopped", "inspection", "overdue", "unknown"]},
            "overdue_days": COUNT,
            "since_ms": MAYBE_MS,
            "last_seen_at_ms": MAYBE_MS,
            "firm": {"anyOf": [WORDS, {"type": "null"}]},
            "last_visit": {"type": ["object", "null"], "description": "what was signed, and what its gateway found"},
            "due": array(
                members(
                    "a class of maintenance",
                    {
                        "class": {"enum": ["half-month", "quarter", "half-year", "year"]},
                        "last": MAYBE_DAY,
                        "due": TEXT,
                        "overdue_days": COUNT,
                        "state": {"enum": ["in_time", "warning", "overdue"]},
                        "source": {"enum": ["agreement", "pack"]},
                    },
                )
            ),
            "inspection_until": MAYBE_DAY,
            "calibration_until": MAYBE_DAY,
            "availability": array(
                members(
                    "whole days up to yesterday; silence stands beside and is never filled",
                    {
                        "days": COUNT,
                        "known_days": COUNT,
                        "available_permille": {"type": ["integer", "null"], "minimum": 0, "maximum": 1000},
                        "silent_permille": COUNT,
                    },
                )
            ),
            "entrapments": array(
                members(
                    "by the machine's own word",
                    {
                        "at_ms": COUNT,
                        "freed_at_ms": MAYBE_MS,
                        "arrived_after_s": {"type": ["integer", "null"]},
                        "arrival": {"enum": ["shown", "said", None]},
                        "arrival_transaction": {"type": ["string", "null"], "description": "that recorded it"},
                    },
                )
            ),
            "orders_open": COUNT,
        },
    ),
    "CopyLogs": members(
        "logs in the order of their names",
        {
            "logs": array(members("one", {"origin": TEXT, "size": decimal("entries"), "checkpoint": TEXT})),
            "next": {"type": ["string", "null"], "description": "ask again with `after`"},
        },
    ),
    "AuditHeads": members(
        "heads in the order of their places",
        {"heads": array(members("one", {"super_index": decimal("its leaf"), "signed_at_ms": COUNT, "note": TEXT}))},
    ),
    "Notes": members("signed notes of a copy", {"notes": {"type": "array", "items": TEXT, "maxItems": 500}}),
    "NotesTaken": members("what became of them", {"taken": COUNT, "refused": array(TEXT)}),
}
