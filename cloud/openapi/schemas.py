"""JSON schemas of what is answered and sent, by name."""

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["SCHEMAS", "ref"]

Schema = Mapping[str, Any]


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _hex(octets: int, says: str) -> Schema:
    return {"type": "string", "pattern": f"^[0-9a-f]{{{2 * octets}}}$", "description": says}


def _number(says: str) -> Schema:
    return {"type": "string", "pattern": "^-?(0|[1-9][0-9]*)$", "description": f"{says}; a decimal string"}


def _object(says: str, fields: Mapping[str, Schema], *, optional: Sequence[str] = ()) -> Schema:
    required = [name for name in fields if name not in optional]
    return {"type": "object", "description": says, "properties": dict(fields), "required": required}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


_TEXT: Schema = {"type": "string"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_FLAG: Schema = {"type": "boolean"}
_MAYBE_MS: Schema = {"type": ["integer", "null"], "description": "UTC milliseconds"}
_MAYBE_DAY: Schema = {"type": ["string", "null"], "format": "date"}
_COUNTS: Schema = {"type": "object", "additionalProperties": _COUNT}
_TEXTS: Schema = {"type": "object", "additionalProperties": _TEXT}
_WORDS = _object("a name in both languages", {"zh": _TEXT, "en": _TEXT})

_CREW_DEVICE = _object(
    "a device that the firm looks after",
    {
        "name": _TEXT,
        "title": _WORDS,
        "kind": _TEXT,
        "device": _hex(32, "SHA-256 of its URN"),
        "place": {"type": "object"},
        "labels": _list(_object("a code at it", {"place": _TEXT, "digest": _hex(32, "of the code")})),
        "packs": _list(_hex(32, "of the checklist's bytes")),
        "due": _list(_object("a class that falls due", {"class": _TEXT, "due_on": _TEXT, "warn_on": _TEXT})),
        "last_visit": {"type": ["object", "null"]},
        "fence": {"type": ["object", "null"], "description": "where a phone should be, as coarse as the site gave it"},
    },
)

_CREW_ORDER = _object(
    "an open repair: what an arrival and a firm's acts are signed for",
    {
        "name": _hex(32, "of the order"),
        "device": _hex(32, "SHA-256 of its URN"),
        "cause": {"enum": ["entrapment", "stopped", "fault", "person"]},
        "state": {"enum": ["reported", "accepted", "done"]},
        "round": _COUNT,
        "seen_at": {"type": "integer", "description": "Unix seconds, by the machine's word or the report"},
        "promise_at": {"type": ["integer", "null"], "description": "Unix seconds"},
        "firm": {"type": "integer", "description": "number in Crews; 0 for nobody yet, or the site's own people"},
        "rescue_s": {"type": ["integer", "null"], "description": "within which somebody must be with trapped people"},
    },
)

_LINE = _object(
    "one line of a bill",
    {
        "kind": {"enum": [1, 2, 3, 4, 5, 6], "description": "own, shared, standing, credit, estimated, interval"},
        "subject": _hex(32, "device at closing, pool, or what gives the right to charge"),
        "quantity": _TEXT,
        "tariff": _number("version of the terms, 0 for none"),
        "since": _number("YYYYMMDD from which tiers count"),
        "from": _number("first day, YYYYMMDD"),
        "to": _number("day after the last, YYYYMMDD"),
        "usage": _number("base units"),
        "amount": _number("0.01 CNY"),
    },
)
_AMOUNTS = _object(
    "0.01 CNY",
    {"total": _number("all"), "own": _number("own"), "shared": _number("shared"), "other": _number("other")},
)
_NODE = _object("a node of the bill tree", {"hash": _hex(32, "SHA-256"), "sums": _AMOUNTS})

SCHEMAS: Mapping[str, Schema] = {
    "Refusal": _object(
        "why not, and what to do",
        {
            "error": {"type": "string", "description": "a stable word for programs"},
            "message": {"type": "string", "description": "what is wrong and what to do"},
            "size": {"type": "integer", "description": "of a log: entries that the cloud holds"},
        },
        optional=["size"],
    ),
    "Readiness": _object(
        "named checks",
        {
            "ready": _FLAG,
            "checks": _list(_object("one", {"name": _TEXT, "passed": _FLAG, "needed": _FLAG, "says": _TEXT})),
        },
    ),
    "Status": _object(
        "what is stored, followed, sent and noticed; the chain's fields are there where one is followed",
        {
            "entries": _COUNT,
            "checkpoints": _COUNT,
            "logs": _COUNT,
            "frozen": _COUNT,
            "super_size": _COUNT,
            "outbox": _COUNTS,
            "notices": _list(_TEXT),
            "oddities": _list(_TEXT),
            "refused": _COUNTS,
            "witnesses": {"type": "object"},
            "followed_block": _COUNT,
            "head_block": _COUNT,
            "final_block": _COUNT,
            "anchored_size": _COUNT,
            "anchored_final_size": _COUNT,
            "is_sender": _FLAG,
            "stopped": _TEXTS,
            "endpoints": _TEXTS,
        },
        optional=[
            *("followed_block", "head_block", "final_block", "anchored_size", "anchored_final_size"),
            *("is_sender", "stopped", "endpoints"),
        ],
    ),
    "Evidence": _object(
        "minglou-evidence/1: one entry, from its fields to the anchor; null where it has not come so far",
        {
            "format": {"const": "minglou-evidence/1"},
            "entry": _object(
                "the seven words",
                {
                    "kind": {"enum": [1, 2, 3, 4, 5, 6]},
                    "device": _hex(32, "SHA-256 of the device's URN"),
                    "observed_at_ms": _COUNT,
                    "quantity": _TEXT,
                    "value": _number("base units"),
                    "detail_digest": _hex(32, "SHA-256 of the detail, or zero"),
                    "salt": _hex(16, "random"),
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
    "Entries": _object(
        "entries of a log in their order",
        {
            "entries": _list(
                _object(
                    "one entry, without detail and salt",
                    {
                        "index": _number("its place"),
                        "kind": {"enum": [0, 1, 2, 3, 4, 5, 6]},
                        "device": _hex(32, "SHA-256 of the device's URN"),
                        "quantity": _TEXT,
                        "value": _number("base units"),
                        "observed_at_ms": _COUNT,
                    },
                )
            )
        },
    ),
    "LogSize": _object("the log's size, on disk", {"size": _COUNT}),
    "LogHead": _object("what is held", {"size": _COUNT, "checkpoint": {"type": ["string", "null"]}}),
    "Mail": _object(
        "numbered messages",
        {
            "messages": _list(
                _object(
                    "one",
                    {
                        "number": _COUNT,
                        "kind": {"enum": ["block", "anchored", "copied", "revoked", "visit"]},
                        "body": {"type": "object"},
                        "signature": {"type": ["string", "null"]},
                    },
                    optional=["signature"],
                )
            )
        },
    ),
    "BillsHeld": _object(
        "how far an upload has come", {"held": _COUNT, "unit_count": _COUNT, "root": _hex(32, "root")}
    ),
    "Derivations": _object(
        "what each line of a bill rests on, as data and in words",
        {"lines": _list(_object("one line", {"derivation": {"type": "object"}, "zh": _TEXT, "en": _TEXT}))},
    ),
    "Keys": _object(
        "where a unit's keys stand in the tables of volumes that share pools",
        {
            "keys": _list(
                _object(
                    "one pool's",
                    {
                        "pool": _hex(32, "the pool's alias"),
                        "table": _hex(128, "pool, root, sum, units: what was posted on chain"),
                        "key": _number("what the unit's own meter counted, in base units"),
                        "salt": _hex(32, "of the unit's leaf"),
                        "path": _list(
                            _object("a sibling", {"hash": _hex(32, "of the node"), "sums": _number("keys below it")})
                        ),
                    },
                )
            )
        },
    ),
    "VolumesHeld": _object("the volumes are held", {"held": {"type": "boolean"}}),
    "BillsTaken": _object("how far an upload has come", {"held": _COUNT, "unit_count": _COUNT}),
    "OwnFlat": _object(
        "one flat, as its owner's or tenant's pages show it",
        {
            "flat": _TEXT,
            "title": _WORDS,
            "meters": _list(
                _object(
                    "a meter that counts for the flat",
                    {
                        "name": _TEXT,
                        "kind": _TEXT,
                        "title": _WORDS,
                        "registers": _list(
                            _object(
                                "what a register showed last",
                                {
                                    "quantity": {**_TEXT, "description": "OBIS code, or a dotted name"},
                                    "value": _number("base units"),
                                    "unit": {**_TEXT, "description": "Wh, mL, …; empty where none is known"},
                                    "observed_at_ms": _COUNT,
                                    "origin": {**_TEXT, "description": "the log that holds it"},
                                    "index": _number("its place there: evidence is asked for by both"),
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
                    _object(
                        "electricity since the last closed period: an estimate, not a bill",
                        {
                            "opening": _TEXT,
                            "until_ms": _COUNT,
                            "usage_wh": _number("Wh"),
                            "amount_fen": _number("0.01 CNY"),
                        },
                    ),
                ]
            },
            "balance_fen": {
                "anyOf": [{"type": "null"}, _number("0.01 CNY; for the owner alone")],
            },
            "bills": _list(
                _object(
                    "one bill, newest first",
                    {
                        "period": _TEXT,
                        "opening": _TEXT,
                        "closing": _TEXT,
                        "total_fen": _number("0.01 CNY"),
                        "state": {"enum": ["open", "disputed", "debited", "corrected", "unpaid"]},
                    },
                )
            ),
        },
    ),
    "Bill": _object(
        "minglou-bill/1: one bill with its path to the root on chain",
        {
            "format": {"const": "minglou-bill/1"},
            "chain_id": _number("of the chain"),
            "contract": {"type": "string", "pattern": "^0x[0-9a-f]{40}$"},
            "site": _hex(32, "the site's id"),
            "period": _number("opening date * 10^8 + closing date"),
            "unit_index": _number("its place in the tree"),
            "unit_count": _number("leaves of the tree"),
            "amounts": _AMOUNTS,
            "lines": _list(_LINE),
            "terms": _list(_object("a tariff as announced", {"version": _number("on chain"), "encoded": _TEXT})),
            "salt": _hex(32, "of the leaf"),
            "path": _list(_NODE),
            "root": _NODE,
        },
    ),
    "Compared": _object("lines that the signed readings do not give", {"mismatches": _list(_TEXT), "count": _COUNT}),
    "SignedAct": {
        "type": "object",
        "description": "an owner's act, signed by the unit's key over its person digest",
        "properties": {
            "period": _number("of the bill"),
            "unit_index": {"type": "integer", "minimum": 0},
            "line": {"type": "integer", "minimum": 0},
            "amount": _number("0.01 CNY"),
            "to": {"type": "string", "pattern": "^0x[0-9a-fA-F]{40}$"},
            "nonce": _number("never used before by this key"),
            "deadline": _number("UTC seconds"),
            "public": _hex(64, "the key, x || y"),
            "signature": _hex(64, "r || s"),
        },
        "required": ["unit_index", "nonce", "deadline", "public", "signature"],
    },
    "Relayed": _object("what became of it", {"accepted": _FLAG, "code": _TEXT, "message": _TEXT}),
    "Act": {
        "type": "object",
        "description": "minglou-act/1: see docs/formats.md",
        "properties": {"format": {"const": "minglou-act/1"}},
        "required": ["format", "chain_id", "contract", "function", "arguments"],
    },
    "RelayedAct": _object(
        "where an act stands",
        {
            "act": _hex(32, "SHA-256 of the file: the act's name"),
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
    "VisitState": _object(
        "kept, and what became of it so far",
        {
            "digest": _hex(32, "the visit's name"),
            "state": {"enum": ["waiting", "judged"]},
            "level": {"type": ["integer", "null"], "minimum": 0, "maximum": 4},
            "entry": {"type": ["object", "null"], "properties": {"origin": _TEXT, "index": _number("its place")}},
            "chain": {"enum": ["waiting", "recorded", "paid"]},
            "files_missing": _list(_hex(32, "of a photo that the list names and nobody sent yet")),
            "flags": _list(
                _object(
                    "what is asked about the visit, in public; no person is named",
                    {
                        "name": _hex(16, "of its page, /flags/{name}"),
                        "kind": {"type": "string", "description": "travel, twice, dwell, photo, phone, list or code"},
                        "grave": _FLAG,
                        "state": {"enum": ["open", "explained", "upheld", "dismissed"]},
                        "says": _WORDS,
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
    "ArrivalKept": _object(
        "an arrival",
        {
            "order": _hex(32, "the work order"),
            "digest": _hex(32, "of what was said"),
            "chain": {"enum": ["waiting", "recorded"]},
        },
    ),
    "MeterSwap": {"type": "object", "description": "a minglou-meter-swap/1 (docs/formats.md)"},
    "SwapKept": _object("a meter swap beside its visit", {"visit": _hex(32, "whose it is")}),
    "PhotoKept": _object("a photo of a visit", {"sha256": _hex(32, "its name")}),
    "CrewWork": _object(
        "what a crew's phone keeps, minglou-work/1",
        {
            "format": {"const": "minglou-work/1"},
            "site": _object("the site", {"name": _TEXT, "title": _WORDS, "timezone": _TEXT}),
            "host": _TEXT,
            "chain_id": _number("for which chain visits are signed"),
            "contracts": {"type": "object", "additionalProperties": {"type": ["string", "null"]}},
            "packs": _list(_object("a checklist", {"name": _TEXT, "url": _TEXT, "sha256": _hex(32, "of its bytes")})),
            "devices": _list(_CREW_DEVICE),
            "orders": _list(_CREW_ORDER),
            "people": _list(
                _object("a member", {"alias": _hex(32, "random"), "key_id": _hex(32, "of the key"), "duty": _TEXT})
            ),
        },
    ),
    "PublicDevice": _object(
        "a lift or another common device, as its public page shows it; days are the site's own",
        {
            "format": {"const": "minglou-device/1"},
            "name": _TEXT,
            "kind": _TEXT,
            "title": _WORDS,
            "word": {"enum": ["in_service", "stopped", "inspection", "overdue", "unknown"]},
            "overdue_days": _COUNT,
            "since_ms": _MAYBE_MS,
            "last_seen_at_ms": _MAYBE_MS,
            "firm": {"anyOf": [_WORDS, {"type": "null"}]},
            "last_visit": {"type": ["object", "null"], "description": "what was signed, and what its gateway found"},
            "due": _list(
                _object(
                    "a class of maintenance",
                    {
                        "class": {"enum": ["half-month", "quarter", "half-year", "year"]},
                        "last": _MAYBE_DAY,
                        "due": _TEXT,
                        "overdue_days": _COUNT,
                        "state": {"enum": ["in_time", "warning", "overdue"]},
                        "source": {"enum": ["agreement", "pack"]},
                    },
                )
            ),
            "inspection_until": _MAYBE_DAY,
            "calibration_until": _MAYBE_DAY,
            "availability": _list(
                _object(
                    "whole days up to yesterday; silence stands beside and is never filled",
                    {
                        "days": _COUNT,
                        "known_days": _COUNT,
                        "available_permille": {"type": ["integer", "null"], "minimum": 0, "maximum": 1000},
                        "silent_permille": _COUNT,
                    },
                )
            ),
            "entrapments": _list(
                _object(
                    "by the machine's own word",
                    {
                        "at_ms": _COUNT,
                        "freed_at_ms": _MAYBE_MS,
                        "arrived_after_s": {"type": ["integer", "null"]},
                        "arrival": {"enum": ["shown", "said", None]},
                        "arrival_transaction": {"type": ["string", "null"], "description": "that recorded it"},
                    },
                )
            ),
            "orders_open": _COUNT,
        },
    ),
    "CopyLogs": _object(
        "logs in the order of their names",
        {
            "logs": _list(_object("one", {"origin": _TEXT, "size": _number("entries"), "checkpoint": _TEXT})),
            "next": {"type": ["string", "null"], "description": "ask again with `after`"},
        },
    ),
    "AuditHeads": _object(
        "heads in the order of their places",
        {"heads": _list(_object("one", {"super_index": _number("its leaf"), "signed_at_ms": _COUNT, "note": _TEXT}))},
    ),
    "Notes": _object("signed notes of a copy", {"notes": {"type": "array", "items": _TEXT, "maxItems": 500}}),
    "NotesTaken": _object("what became of them", {"taken": _COUNT, "refused": _list(_TEXT)}),
}
