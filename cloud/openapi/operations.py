"""What each operation takes, answers and refuses, with an example of each. The examples are real: a small site's month
was run, and its answers kept in examples.json.
"""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from cloud.openapi.acts import ACTS
from cloud.openapi.described import BYTES, Content, Described, json_of
from cloud.openapi.devices import DEVICES
from cloud.openapi.kept import KEPT as _KEPT
from cloud.openapi.visits import VISITS

__all__ = ["OPERATIONS", "Content", "Described"]

_ORIGIN = "demo.minglou.example/cuiyuan/b07/e0"
_PERIOD = int(_KEPT["bill"]["period"])
_KEY: Mapping[str, Any] = {
    "pool": "7d" * 32,
    "table": "7d" * 32 + "5c" * 32 + f"{41_250_000:064x}" + f"{3:064x}",
    "key": "12345000",
    "salt": "a1" * 16 + "00" * 16,
    "path": [{"hash": "b2" * 32, "sums": "8905000"}, {"hash": "c3" * 32, "sums": "20000000"}],
}
_DERIVED: Mapping[str, Any] = {
    "derivation": {
        "kind": "standing",
        "quantity": "fee.area",
        "from": "2026-11-01",
        "to": "2026-12-01",
        "amount": "13395",
        "tariff": "3",
        "count": "8930",
        "basis": "area",
        "matches": True,
    },
    "zh": "2026-11-01 至 2026-12-01：89.3，133.95 元。",
    "en": "From 2026-11-01 to 2026-12-01: 89.3, 133.95 yuan.",
}
_PLAIN, _OCTETS = "text/plain; charset=utf-8", "application/octet-stream"
_TEXT: Mapping[str, Any] = {"type": "string"}


def _note(example: str) -> Content:
    return Content(schema=_TEXT, media=(_PLAIN,), example=example)


_NOT_FOUND_NOTE = Content(schema=_TEXT, media=(_PLAIN,), example="no checkpoint yet\n")
_NOT_FOUND_TILE = Content(
    schema=_TEXT,
    media=(_PLAIN,),
    example="no such tile under the newest checkpoint; ask for /checkpoint and take tiles of its size\n",
)
_NO_CHAIN = {503: [("no_chain", "this cloud follows no chain")]}
_BAD_UPLINK = ("bad_token", "send `Authorization: Bearer <the 32 bytes of the uplink token in hex>`")


def _bad_program(scope: str, maker: str = "`minglou identity token`") -> tuple[str, str]:
    says = f"send `Authorization: Bearer <a token with {scope}>`; {maker} makes one"
    return "bad_token", says


_BAD_COPY = (
    "bad_token",
    "send `Authorization: Bearer <the copy's token>`; [[copy]] in the settings names copies",
)
_NOT_KNOWN = [
    ("unknown_gateway", f"{_ORIGIN} is not registered on the followed chain; enrol it, then send again"),
    ("not_enrolled", f"{_ORIGIN}: entry 0 must be epoch.open with claim_code and uplink_token_digest"),
    ("revoked", f"the key of {_ORIGIN} is no longer in force; open a new epoch"),
]
_ACT = {
    "period": str(_PERIOD),
    "unit_index": 1,
    "line": 0,
    "nonce": "2",
    "deadline": "1801500000",
    "public": "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c2964fe342e2fe1a7f9b8ee7eb4a7c0f9e16"
    "2bce33576b315ececbb6406837bf51f5",
    "signature": "a1" * 32 + "0b" * 32,
}
_WITHDRAWAL = {
    **{name: value for name, value in _ACT.items() if name not in ("period", "line")},
    "amount": "12500",
    "to": "0x2279b7a0a67db372996a5fab50d91eaa73d2ebe6",
}
_QUEUED = json_of("Relayed", {"accepted": True, "code": "queued", "message": ""})
_NOT_RELAYED = json_of(
    "Relayed", {"accepted": False, "code": "bad_signature", "message": "reload the page and sign again"}
)
_RELAY = Described(
    request=json_of("SignedAct", _ACT),
    answers={202: ("queued for the chain, or known already", _QUEUED), 422: ("not relayed; why", _NOT_RELAYED)},
    refusals={
        400: [("malformed", "the signed act lacks a field or has a wrong one: KeyError('nonce')")],
        413: [("too_large", "the body passes 16384 bytes; send less at once")],
        **_NO_CHAIN,
    },
)

_OPERATIONS: dict[tuple[str, str], Described] = {
    ("get", "/healthz"): Described(answers={200: ("the process answers", _note("ok\n"))}),
    ("get", "/readyz"): Described(
        answers={
            200: ("send traffic", json_of("Readiness", _KEPT["readiness"])),
            503: (
                "a needed check fails; `says` tells what to do",
                json_of(
                    "Readiness",
                    {
                        "ready": False,
                        "checks": [
                            {
                                "name": "store",
                                "passed": False,
                                "needed": True,
                                "says": "the database does not answer; start it, or correct [store] url",
                            }
                        ],
                    },
                ),
            ),
        }
    ),
    ("get", "/metrics"): Described(
        security=["program", ""],
        answers={
            200: (
                "Prometheus' text format",
                Content(schema=_TEXT, media=("text/plain; version=1.0.0; charset=utf-8",), example=_KEPT["metrics"]),
            )
        },
        refusals={
            403: [
                (
                    "not_public",
                    "the monitor asks from this machine itself, "
                    "or with `Authorization: Bearer <a token with metrics:read>`",
                )
            ]
        },
    ),
    ("get", "/v1/status"): Described(answers={200: ("counts and words", json_of("Status", _KEPT["status"]))}),
    ("get", "/v1/evidence/{origin}/{index}"): Described(
        security=["program", ""],
        parameters={"origin": _ORIGIN, "index": 1},
        answers={200: ("the file", json_of("Evidence", _KEPT["evidence"]))},
        refusals={
            403: [("not_public", "a household's entry: sign in as its owner, or send a token with evidence:read")],
            404: [("unknown_entry", f"no entry 99 of {_ORIGIN} is held")],
            410: [("erased", f"entry 3 of {_ORIGIN} was erased down to its hash, as the site keeps readings")],
        },
    ),
    ("get", "/v1/logs/{origin}/entries"): Described(
        security=["program"],
        parameters={"origin": _ORIGIN, "from": 0, "count": 2},
        answers={200: ("in their order; none past the end", json_of("Entries", _KEPT["entries"]))},
        refusals={401: [_bad_program("entries:read")]},
    ),
    ("post", "/v1/logs/{origin}/entries"): Described(
        security=["program"],
        parameters={"origin": _ORIGIN},
        request=Content(schema=BYTES, media=("application/vnd.minglou.batch",), example_base64=_KEPT["batch_base64"]),
        answers={200: ("the log's size, on disk", json_of("LogSize", {"size": 27}))},
        refusals={
            400: [("malformed", "not a minglou-batch/1; nothing was stored")],
            401: [_BAD_UPLINK],
            403: _NOT_KNOWN,
            409: [
                ("gap", "the batch begins at 40, 27 entries are held: send from 27"),
                ("fork", "two histories carry this gateway's signature; the log is frozen"),
                ("frozen", "the log is frozen; open a new epoch"),
            ],
            413: [("too_large", "the body passes 4194304 bytes; send less at once")],
            415: [("bad_content_type", "send the batch as application/vnd.minglou.batch")],
            422: [
                ("wrong_root", "the root is not that of the entries; nothing was stored"),
                ("bad_signature", "the Registry's key did not sign it; nothing was stored"),
                ("bad_entry", "entry 3: its detail is not canonical; nothing was stored"),
            ],
            429: [("too_fast", "over this gateway's quota; wait Retry-After seconds")],
            503: [("busy", "wait Retry-After seconds")],
        },
    ),
    ("get", "/v1/logs/{origin}"): Described(
        security=["program"],
        parameters={"origin": _ORIGIN},
        answers={200: ("size and newest checkpoint", json_of("LogHead", _KEPT["log"]))},
        refusals={
            401: [_BAD_UPLINK],
            403: _NOT_KNOWN,
            404: [("unknown_log", f"nothing of {_ORIGIN} is held; send entry 0")],
        },
    ),
    ("get", "/v1/gateways/{origin}/mail"): Described(
        security=["program"],
        parameters={"origin": _ORIGIN, "after": 0, "wait": 0},
        answers={200: ("messages after the number", json_of("Mail", _KEPT["mail"]))},
        refusals={
            401: [_BAD_UPLINK],
            403: _NOT_KNOWN,
        },
    ),
    ("get", "/log/checkpoint"): Described(
        answers={
            200: ("a signed note with its cosignatures", _note(_KEPT["super_checkpoint"])),
            404: ("none yet", _NOT_FOUND_NOTE),
        }
    ),
    ("get", "/log/checkpoint/{size}"): Described(
        parameters={"size": 1},
        answers={
            200: ("a signed note with its cosignatures", _note(_KEPT["super_checkpoint"])),
            404: ("none of this size", _NOT_FOUND_NOTE),
        },
    ),
    ("get", "/log/tile/{path}"): Described(
        parameters={"path": "0/000.p/1"},
        answers={
            200: (
                "hashes, or with entries/ leaf data",
                Content(schema=BYTES, media=(_OCTETS,), example_base64=_KEPT["super_tile_base64"]),
            ),
            404: ("none", _NOT_FOUND_TILE),
        },
    ),
    ("get", "/audit/tile/{path}"): Described(
        parameters={"path": "0/000.p/1"},
        answers={
            200: ("hashes", Content(schema=BYTES, media=(_OCTETS,), example_base64=_KEPT["super_tile_base64"])),
            404: ("none", _NOT_FOUND_TILE),
        },
    ),
    ("get", "/v1/logs/{origin}/checkpoint"): Described(
        parameters={"origin": _ORIGIN},
        answers={200: ("as the gateway signed it", _note(_KEPT["log_checkpoint"])), 404: ("none yet", _NOT_FOUND_NOTE)},
    ),
    ("get", "/v1/logs/{origin}/checkpoint/{size}"): Described(
        parameters={"origin": _ORIGIN, "size": 27},
        answers={
            200: ("as the gateway signed it", _note(_KEPT["log_checkpoint"])),
            404: ("none of this size", _NOT_FOUND_NOTE),
        },
    ),
    ("get", "/v1/logs/{origin}/tile/{path}"): Described(
        parameters={"origin": _ORIGIN, "path": "0/000.p/27"},
        answers={
            200: ("hashes", Content(schema=BYTES, media=(_OCTETS,), example_base64=_KEPT["log_tile_base64"])),
            404: ("none", _NOT_FOUND_TILE),
        },
    ),
    ("get", "/v1/bills/{period}"): Described(
        parameters={"period": _PERIOD},
        answers={200: ("how many of how many", json_of("BillsHeld", _KEPT["bills_held"]))},
        refusals={404: [("unknown_period", f"no bills of period {_PERIOD} are held")]},
    ),
    ("get", "/v1/own"): Described(
        security=["program"],
        answers={200: ("the flat of the household that made the token", json_of("OwnFlat", _KEPT["own"]))},
        refusals={
            401: [_bad_program("own:read", "the page /account")],
            404: [("unknown_flat", "the flat is not in the directory any more; ask the property office")],
        },
    ),
    ("get", "/v1/own/bills/{period}"): Described(
        security=["program"],
        parameters={"period": _PERIOD},
        answers={200: ("the bill's file", json_of("Bill", _KEPT["bill"]))},
        refusals={
            401: [_bad_program("own:read", "the page /account")],
            404: [("unknown_bill", f"no bill of yours for period {_PERIOD} is held; /v1/own lists them")],
        },
    ),
    ("post", "/v1/bills/{period}/units"): Described(
        parameters={"period": _PERIOD},
        request=Content(schema=BYTES, media=("application/vnd.minglou.bills",)),
        answers={200: ("how many of how many", json_of("BillsTaken", {"held": 3, "unit_count": 3}))},
        refusals={
            409: [
                ("bad_bills", f"period {_PERIOD} is not closed on the followed chain; post it first"),
                ("too_early", "bills from unit 8192 come too early: 4096 are held; go on there"),
            ],
            413: [("too_large", "the body passes 25372736 bytes; send less at once")],
            422: [("bad_bills", "upload: these are not minglou-bills/1")],
            **_NO_CHAIN,
        },
    ),
    ("get", "/v1/bills/{period}/units/{unit_index}"): Described(
        security=["program"],
        parameters={"period": _PERIOD, "unit_index": 0},
        answers={200: ("the bill's file", json_of("Bill", _KEPT["bill"]))},
        refusals={
            401: [_bad_program("bills:read")],
            404: [("unknown_bill", f"no bill of unit 9 for period {_PERIOD} is held")],
            **_NO_CHAIN,
        },
    ),
    ("get", "/v1/bills/{period}/units/{unit_index}/derivations"): Described(
        security=["program"],
        parameters={"period": _PERIOD, "unit_index": 0},
        answers={200: ("each line's derivation, in the bill's order", json_of("Derivations", {"lines": [_DERIVED]}))},
        refusals={
            401: [_bad_program("bills:read")],
            404: [("unknown_bill", f"no bill of unit 9 for period {_PERIOD} is held")],
            **_NO_CHAIN,
        },
    ),
    ("get", "/v1/bills/{period}/units/{unit_index}/keys"): Described(
        security=["program"],
        parameters={"period": _PERIOD, "unit_index": 0},
        answers={200: ("one for each pool that is shared by volume", json_of("Keys", {"keys": [_KEY]}))},
        refusals={401: [_bad_program("bills:read")], **_NO_CHAIN},
    ),
    ("post", "/v1/bills/{period}/volumes"): Described(
        parameters={"period": _PERIOD},
        request=Content(schema=BYTES, media=("application/vnd.minglou.volumes",)),
        answers={200: ("they are held", json_of("VolumesHeld", {"held": True}))},
        refusals={
            409: [("bad_volumes", f"no volumes for {_PERIOD} are on the followed chain; post them first")],
            413: [("too_large", "the body passes 25165952 bytes; send less at once")],
            422: [("bad_volumes", "these volumes do not make the table that was posted; hand in what was posted")],
            **_NO_CHAIN,
        },
    ),
    ("post", "/v1/bills/{period}/compare"): Described(
        parameters={"period": _PERIOD},
        answers={200: ("what differs", json_of("Compared", {"mismatches": [], "count": 0}))},
        refusals={
            409: [("bad_bills", f"0 bills of period {_PERIOD} are held; upload the rest, then compare")],
            503: [*_NO_CHAIN[503], ("busy", "other periods are being compared; ask again in a minute")],
        },
    ),
    ("post", "/v1/relay/challenge"): _RELAY,
    ("post", "/v1/relay/withdraw"): replace(_RELAY, request=json_of("SignedAct", _WITHDRAWAL)),
    ("post", "/v1/cut-off/{service}"): Described(
        parameters={"service": "water"},
        answers={},
        refusals={403: [("civil_code_944", "water is not cut off to collect a fee: Civil Code, article 944")]},
    ),
    ("get", "/v1/copies/logs"): Described(
        security=["program"],
        parameters={"after": ""},
        answers={
            200: (
                "at most 500",
                json_of(
                    "CopyLogs",
                    {
                        "logs": [{"origin": _ORIGIN, "size": "27", "checkpoint": _KEPT["log_checkpoint"]}],
                        "next": None,
                    },
                ),
            )
        },
        refusals={401: [_BAD_COPY]},
    ),
    ("get", "/v1/copies/audit-heads"): Described(
        security=["program"],
        parameters={"from": 0},
        answers={
            200: (
                "at most 500",
                json_of(
                    "AuditHeads",
                    {
                        "heads": [
                            {
                                "super_index": "12",
                                "signed_at_ms": 1_795_744_800_000,
                                "note": "audit.demo.minglou.example/log\n…",
                            }
                        ]
                    },
                ),
            )
        },
        refusals={401: [_BAD_COPY]},
    ),
    ("get", "/v1/copies/frames/{origin}"): Described(
        security=["program"],
        parameters={"origin": _ORIGIN, "from": 0},
        answers={
            200: ("whole frames; none past the end", Content(schema=BYTES, media=("application/vnd.minglou.segment",)))
        },
        refusals={
            401: [_BAD_COPY],
            404: [("unknown_log", "'x' is no log's name")],
            503: [("damaged", "a segment's file is damaged; bring it back from a copy")],
        },
    ),
    ("post", "/v1/copies/acknowledgements"): Described(
        security=["program"],
        reads_json=True,
        request=json_of("Notes", {"notes": ["committee.example/copy\n…"]}),
        answers={
            200: ("each is taken or refused", json_of("NotesTaken", {"taken": 0, "refused": ["not a signed note"]}))
        },
        refusals={401: [_BAD_COPY], 413: [("too_large", "a note has at most 4096 bytes")]},
    ),
    **ACTS,
    **DEVICES,
    **VISITS,
    ("get", "/v1/exports/{what}.{form}"): Described(
        security=["program", "session", ""],
        parameters={"what": "bill-lines", "form": "csv", "from": "2026-11-01T00:00:00Z", "boundaries": False},
        answers={
            200: (
                "the file, as it is made",
                Content(
                    schema=BYTES,
                    media=(
                        "text/csv; charset=utf-8; header=present",
                        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
                        "application/vnd.apache.parquet",
                    ),
                    example=_KEPT["bill_lines_csv"],
                ),
            )
        },
        refusals={
            403: [("not_public", "readings are not yours to export: sign in, or send a token with exports:read")],
            503: [("busy", "2 exports are under way; ask again in 10 s")],
        },
    ),
    ("get", "/v1/personal.zip"): Described(
        security=["program", "session", ""],
        parameters={"unit": "b07-0101"},
        answers={200: ("the file, as it is made", Content(schema=BYTES, media=("application/zip",), example="PK"))},
        refusals={
            403: [
                ("not_yours", "sign in as the flat's owner or tenant, or name it as unit= with an operator's token"),
                ("needs_passkey", "a whole file leaves only by a passkey; sign in with yours"),
            ],
            503: [("busy", "2 exports are under way; ask again in 10 s")],
        },
    ),
}
OPERATIONS: Mapping[tuple[str, str], Described] = MappingProxyType(_OPERATIONS)
"""By method and path."""
