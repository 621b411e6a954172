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
_COUNTS: Schema = {"type": "object", "additionalProperties": _COUNT}
_TEXTS: Schema = {"type": "object", "additionalProperties": _TEXT}
_WORDS = _object("a name in both languages", {"zh": _TEXT, "en": _TEXT})

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
    "SignedVisit": {
        "type": "object",
        "description": "minglou-signed-visit/1: see docs/formats.md",
        "properties": {"format": {"const": "minglou-signed-visit/1"}},
        "required": ["format"],
    },
    "VisitState": _object(
        "kept, and what became of it so far",
        {
            "digest": _hex(32, "the visit's name"),
            "state": {"enum": ["waiting", "judged"]},
            "level": {"type": ["integer", "null"], "minimum": 0, "maximum": 4},
            "entry": {"type": ["object", "null"], "properties": {"origin": _TEXT, "index": _number("its place")}},
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
