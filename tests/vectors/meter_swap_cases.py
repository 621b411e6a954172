"""A meter swap with the words that installer and owner sign: what both implementations must compute alike."""

import json
from datetime import date
from typing import Any

from contracts import p256
from contracts.abi import encode_arguments
from contracts.meter_swap import format_meter_swap, meter_swap_to_json, parse_meter_swap
from contracts.person import Purpose, key_id_of, person_digest
from contracts.quantities import UNIT_OF_OBIS
from tests.meter_swaps import noted_of, signed_swap, swap_bundle
from tests.visits import MECHANIC

AT_S = 1_796_119_200
OLD, NEW = "urn:minglou:cuiyuan:b07:meter:0101-abcdefgh", "urn:minglou:cuiyuan:b07:meter:s1-ijklmnop"
BINDINGS = "0x" + "b1" * 20


def meter_swap_vectors() -> dict[str, Any]:
    """One swap as a file, its canonical bytes, the body of its six words, and a person's digest over it; base units."""
    noted = noted_of(OLD, NEW, closing=1_234_560, opening=120, day=date(2026, 11, 24))
    bundle = swap_bundle(noted, started_at_s=AT_S, ended_at_s=AT_S + 1200, old=OLD)
    signed = signed_swap(bundle, subject=bytes(range(32)), old_from=date(2026, 10, 23), contract=BINDINGS)
    file, public = signed.file, signed.installer.public
    digest = person_digest(
        chain_id=file.chain_id, contract=file.contract, purpose=Purpose.SWAP_METER, key_id=key_id_of(public), nonce=1,
        deadline=2**40, body_digest=file.body_digest(),
    )  # fmt: skip
    same = p256.sign(MECHANIC, digest, repeatable=True)  # which comes out the same every time
    value = meter_swap_to_json(signed)
    value["installer"]["signature"] = same.hex()
    return {
        "value": value,
        "bytes": format_meter_swap(parse_meter_swap(json.dumps(value).encode())).decode(),
        "body": encode_arguments("swap", Purpose.SWAP_METER.value[1], file.swap().abi()).hex(),
        "digest": digest.hex(),
        "invalid": [
            {"path": ["format"], "put": "minglou-meter-swap/2"},
            {"path": ["date"], "put": "24.11.2026"},
            {"path": ["old", "closing"], "put": -1},
            {"path": ["new", "opening"], "put": "120"},
            {"path": ["subject"], "put": "00"},
            {"path": ["installer", "signature"], "put": ""},
            {"path": ["installer", "kind"], "put": "password"},
            {"path": ["installer", "client_data"], "put": "ab" * 513},
            {"path": ["chain_id"], "put": "031337"},
            {"path": ["contract"], "put": "B1" * 20},
            {"path": ["quantity"], "put": "1-0:1.8.256"},
            {"path": ["date"], "put": "2026-11-31"},
            {"path": ["date"], "put": "2026-10-23"},
            {"path": ["old", "from"], "put": "2026-11-24"},
            {"path": ["old", "opening"], "put": 2**53},
            {"path": ["new", "device"], "put": value["old"]["device"]},
        ],
        "units": dict(UNIT_OF_OBIS),
    }
