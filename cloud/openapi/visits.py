"""Operations of crews' phones."""

from collections.abc import Mapping

from cloud.openapi.described import BYTES, Content, Described, json_of
from cloud.openapi.kept import KEPT

__all__ = ["VISITS"]

_WORK = {
    "format": "minglou-work/1",
    "site": {"name": "cuiyuan", "title": {"zh": "翠苑", "en": "Cuiyuan"}, "timezone": "Asia/Shanghai"},
    "host": "cuiyuan.example",
    "chain_id": "31337",
    "contracts": {
        "service_agreements": "0x" + "c1" * 20,
        "work_orders": "0x" + "d2" * 20,
        "bindings": "0x" + "b1" * 20,
    },
    "packs": [
        {"name": "cn-tsg-t5002-2017-a", "url": f"/crew/packs/{'ab' * 32}.json", "sha256": "ab" * 32},
    ],
    "devices": [
        {
            "name": "b07-l1",
            "title": {"zh": "7 幢 1 号梯", "en": "Building 7, lift 1"},
            "kind": "lift",
            "device": "cd" * 32,
            "place": {"building": {"zh": "7 幢", "en": "Building 7"}, "floor": 1},
            "labels": [{"place": "car", "digest": "ef" * 32}],
            "packs": ["ab" * 32],
            "due": [{"class": "half-month", "due_on": "2026-12-01", "warn_on": "2026-11-28", "overdue_days": 0}],
            "last_visit": {"at": 1_794_000_000, "class": "half-month", "level": 3},
            "fence": {"latitude_e6": 30_270_000, "longitude_e6": 120_150_000, "radius_m": 1500},
            "swap": None,
        },
        {
            "name": "b07-0501",
            "title": {"zh": "7 幢 501 水表", "en": "Flat 501, water meter"},
            "kind": "water",
            "device": "12" * 32,
            "place": {"building": {"zh": "7 幢", "en": "Building 7"}, "floor": 5},
            "labels": [{"place": "housing", "digest": "ba" * 32}],
            "packs": ["ab" * 32],
            "due": [],
            "last_visit": None,
            "fence": None,
            "swap": {
                "subject": "ab" * 32,
                "from": "2026-10-23",
                "opening": 0,
                "quantity": "8-0:1.0.0",
                "step": 1000,
                "spares": [
                    {
                        "device": "56" * 32,
                        "name": "b07-w1",
                        "title": {"zh": "备用水表 1", "en": "Spare water meter 1"},
                        "step": 1000,
                        "labels": ["dc" * 32],
                    },
                ],
            },
        },
    ],
    "orders": [
        {
            "name": "0e" * 32,
            "device": "cd" * 32,
            "cause": "entrapment",
            "state": "accepted",
            "round": 0,
            "seen_at": 1_794_000_000,
            "promise_at": 1_794_001_800,
            "firm": 1,
            "rescue_s": 1800,
            "arrived_after_s": 840,
            "arrival_shown": True,
        },
    ],
    "people": [{"alias": "12" * 32, "key_id": "34" * 32, "duty": "mechanic", "installs": True}],
}

_SWAP = {
    "format": "minglou-meter-swap/1",
    "chain_id": "31337",
    "contract": "0x" + "b1" * 20,
    "visit": "cd" * 32,
    "subject": "ab" * 32,
    "quantity": "1-0:1.8.0",
    "date": "2026-11-24",
    "old": {"device": "12" * 32, "from": "2026-10-23", "opening": 0, "closing": 1_234_560, "photo": "34" * 32},
    "new": {"device": "56" * 32, "opening": 0, "photo": "78" * 32},
    "salt": "9a" * 32,
    "installer": {
        "key": "bc" * 64,
        "kind": "software",
        "nonce": "1796119200000",
        "deadline": "1796724000",
        "signature": "de" * 64,
        "authenticator_data": "",
        "client_data": "",
    },
}

VISITS: Mapping[tuple[str, str], Described] = {
    ("post", "/v1/visits"): Described(
        request=json_of("VisitBundle", KEPT["visit"]),
        answers={200: ("kept", json_of("VisitState", KEPT["visit_judged"]))},
        refusals={
            400: [("malformed", "the visit lacks a field; send one minglou-visit-bundle/1")],
            403: [("unknown_crew", "the key is not the one that this site knows of that crew member")],
            404: [("unknown_device", "no gateway here looks after this device; is it another site's?")],
            413: [("too_large", "the body passes 65536 bytes; send less at once")],
            422: [
                ("bad_signature", "a signature does not fit the record"),
                ("wrong_contract", "signed for another chain or contract"),
                ("bad_time", "it began over 60 days ago; what the gateway saw then is kept no more"),
                ("bad_list", "list: item A-1-22 is a test; photograph its result before it can be closed"),
            ],
            429: [("too_many", "too many visits of this gateway wait already; hand it in again later")],
            503: [("no_maintenance", "this cloud relays no visits; name [maintenance] contract")],
        },
    ),
    ("get", "/v1/crew/work"): Described(
        answers={
            200: ("the firm's devices, labels, lists and due days", json_of("CrewWork", _WORK)),
            304: ("nothing has changed since the ETag that If-None-Match named", None),
        },
        refusals={
            401: [("bad_token", "sign in as somebody of a crew or of a firm")],
            404: [("not_found", "only people of a crew or of a firm have this")],
        },
        security=["session"],
    ),
    ("get", "/v1/visits/{digest}"): Described(
        parameters={"digest": KEPT["visit_judged"]["digest"]},
        answers={200: ("what became of it", json_of("VisitState", KEPT["visit_judged"]))},
        refusals={
            400: [("malformed", "a visit is named by the 64 hex digits of its digest")],
            404: [("unknown_visit", "no such visit was handed in here; POST it to /v1/visits")],
        },
    ),
    ("post", "/v1/arrivals"): Described(
        request=json_of("Arrival", {"format": "minglou-arrival/1"}),
        answers={200: ("kept", json_of("ArrivalKept", {"order": "ab" * 32, "digest": "cd" * 32, "chain": "waiting"}))},
        refusals={
            400: [("malformed", "the file: missing device; send one minglou-arrival/1")],
            403: [("unknown_crew", "this crew member has another key here, or none")],
            404: [("unknown_order", "no such order about this device is on the followed chain")],
            413: [("too_large", "the body passes 8192 bytes; send less at once")],
            422: [
                ("wrong_contract", "signed for another chain or contract"),
                ("bad_time", "it lies ahead, or over 60 days back; check the phone's clock"),
                ("wrong_label", "the code that was scanned is not this device's, or was withdrawn"),
                ("bad_signature", "arrival: its signature does not hold"),
            ],
            429: [("too_many", "20 arrivals are kept for this order already; finish it by its visit")],
            503: [("no_chain", "this cloud follows no chain with work orders")],
        },
    ),
    ("put", "/v1/visits/{digest}/swap"): Described(
        parameters={"digest": KEPT["visit_judged"]["digest"]},
        request=json_of("MeterSwap", _SWAP),
        answers={200: ("kept", json_of("SwapKept", {"visit": KEPT["visit_judged"]["digest"]}))},
        refusals={
            400: [("malformed", "the swap lacks a field; send one minglou-meter-swap/1")],
            403: [("unknown_crew", "the swap is signed by nobody who signed the visit")],
            404: [("unknown_visit", "no such visit was handed in here; POST it to /v1/visits first")],
            409: [("already_signed", "the owner has signed this swap already")],
            413: [("too_large", "the body passes 8192 bytes; send less at once")],
            422: [
                ("wrong_visit", "it is signed beside another visit"),
                ("wrong_contract", "signed for another chain or contract"),
                ("no_binding", "the old meter does not count for this unit from that day on"),
                ("not_noted", "the visit's list notes another swap, or none"),
                ("wrong_photo", "the photographs are not those of the list's two registers"),
            ],
            503: [("no_chain", "this cloud follows no chain that could hold the swap")],
        },
    ),
    ("put", "/v1/visits/{digest}/files/{sha256}"): Described(
        parameters={"digest": KEPT["visit_judged"]["digest"], "sha256": "ab" * 32},
        request=Content(schema=BYTES, media=("image/jpeg", "image/webp")),
        answers={200: ("kept", json_of("PhotoKept", {"sha256": "ab" * 32}))},
        refusals={
            400: [("malformed", "a visit and a photo are each named by the 64 hex digits of their digest")],
            404: [
                ("unknown_visit", "no such visit was handed in here; POST it to /v1/visits first"),
                ("unknown_file", "the visit's list names no photo of this hash; send those it names"),
            ],
            413: [("too_large", "the body passes 524288 bytes; send less at once")],
            422: [
                ("wrong_hash", "these are not the bytes whose hash was signed; send the photo itself"),
                ("bad_picture", "it is no JPEG picture, or a damaged one; take it again"),
            ],
            429: [("too_many_photos", "500 photos of this crew member came within 24 hours; send it again later")],
        },
    ),
}
