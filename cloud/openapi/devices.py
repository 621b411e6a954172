"""Operations on devices that everybody may ask for."""

from collections.abc import Mapping

from cloud.openapi.described import Described, json_of

__all__ = ["DEVICES"]

_LIFT = {
    "format": "minglou-device/1",
    "name": "l1",
    "kind": "lift",
    "title": {"zh": "1 号电梯", "en": "Lift 1"},
    "word": "in_service",
    "overdue_days": 0,
    "since_ms": 1_793_462_400_000,
    "last_seen_at_ms": 1_795_744_740_000,
    "firm": {"zh": "安行电梯维保（演示）", "en": "Anxing Lift Service (demo)"},
    "last_visit": {
        "digest": "bd42573ba6523f8c28ccd0144f8459b88b59ecfe2fcf79a62b323d5ce0ed06ea",
        "started_at_ms": 1_794_965_000_000,
        "ended_at_ms": 1_794_968_000_000,
        "class": "half-month",
        "firm": {"zh": "安行电梯维保（演示）", "en": "Anxing Lift Service (demo)"},
        "people": 2,
        "countersigned": True,
        "level": 3,
        "presence": "confirmed",
        "listed": {"confirmed": 9},
        "ticked": {"ok": 30, "adjusted": 1},
        "flags": [],
        "entry": {"origin": "demo.minglou.example/cuiyuan/b07/e0", "index": "31"},
        "transaction": "0x" + "ab" * 32,
        "paid_transaction": "0x" + "cd" * 32,
    },
    "due": [
        {
            "class": "half-month",
            "last": "2026-11-18",
            "due": "2026-12-03",
            "overdue_days": 0,
            "state": "in_time",
            "source": "agreement",
        }
    ],
    "inspection_until": "2027-10-31",
    "calibration_until": None,
    "availability": [{"days": 30, "known_days": 26, "available_permille": 998, "silent_permille": 3}],
    "entrapments": [
        {
            "at_ms": 1_795_000_000_000,
            "freed_at_ms": 1_795_001_500_000,
            "arrived_after_s": 840,
            "arrival": "shown",
            "arrival_transaction": "0x" + "ab" * 32,
        }
    ],
    "orders_open": 0,
}

DEVICES: Mapping[tuple[str, str], Described] = {
    ("get", "/v1/devices/{name}/public"): Described(
        parameters={"name": "l1"},
        answers={200: ("what everybody may know of it", json_of("PublicDevice", _LIFT))},
        refusals={404: [("unknown_device", "no lift or common device of that name; GET /lifts lists the lifts")]},
    ),
}
