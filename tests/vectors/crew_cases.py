"""Labels, rotating codes, packs, lists, presence proofs and bundles: what both implementations must read alike."""

import copy
import json
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any

from contracts import p256
from contracts.bundle import Bundle, bundle_to_json
from contracts.checklist import challenge_items, checklist_to_json
from contracts.detail import canonical_json
from contracts.exchange import MessageKind, frames_of
from contracts.label import label_digest, label_link, new_code, parse_code
from contracts.pack import read_pack
from contracts.packs import NAMES
from contracts.person import person_digest
from contracts.presence import presence_to_json
from contracts.rotating import Moment, display_link, format_moment, slot_at, token, token_text
from contracts.visit import CLASS_NAMES, VisitClass
from tests.bundles import ANNEX_A, SECRET, bundle_of_three
from tests.vectors.visit_cases import visit
from tests.visits import MANAGER, MECHANIC, OTHER

AT_S = 1_796_119_200
BASE = "https://minglou.example"
DEVICE = visit(VisitClass.YEAR).device


def crew_vectors() -> dict[str, Any]:
    """Everything of the crew's files from fixed keys, and damaged forms that must be refused."""
    bundle = _repeatable(bundle_of_three(AT_S))
    assert bundle.checklist and bundle.presence
    checklist, presence = checklist_to_json(bundle.checklist), presence_to_json(bundle.presence)
    return {
        "labels": _labels(),
        "moments": _moments(),
        "packs": [_pack(name) for name in NAMES],
        "challenges": [_challenge(number) for number in range(8)],
        "checklist": {"value": checklist, "digest": _digest(checklist), "invalid": _damaged(checklist, _BAD_LISTS)},
        "presence": {"value": presence, "digest": _digest(presence), "invalid": _damaged(presence, _BAD_PROOFS)},
        "bundle": {
            "value": bundle_to_json(bundle),
            "digest": bundle.visit.digest().hex(),
            "invalid": _damaged(bundle_to_json(bundle), _BAD_BUNDLES),
        },
        "exchange": {"kind": "ask", "value": presence, "frames": list(frames_of(MessageKind.ASK, presence))},
    }


def _repeatable(bundle: Bundle) -> Bundle:
    """The bundle with signatures that come out the same every time."""
    signed = bundle.signed
    signatures = []
    for key, one, purpose in zip((MECHANIC, OTHER, MANAGER), signed.signatures, signed.purposes(), strict=True):
        digest = person_digest(
            chain_id=signed.chain_id, contract=signed.contract, purpose=purpose, key_id=one.signature.key_id,
            nonce=one.signature.nonce, deadline=one.signature.deadline, body_digest=bundle.visit.digest(),
        )  # fmt: skip
        rs = p256.sign(key, digest, repeatable=True)
        signature = replace(one.signature, r=int.from_bytes(rs[:32]), s=int.from_bytes(rs[32:]))
        signatures.append(replace(one, signature=signature))
    return replace(bundle, signed=replace(signed, signatures=tuple(signatures)))


def _labels() -> list[dict[str, Any]]:
    found = []
    for number in range(4):
        code = new_code(sha256(bytes([number])).digest()[:8])
        found.append(
            {"code": code, "typed": code.upper(), "digest": label_digest(code).hex(), "link": label_link(BASE, code)}
        )
    typed = "O0IL-1abc defG"
    found.append({"code": parse_code(typed), "typed": typed, "digest": label_digest(parse_code(typed)).hex()})
    return found


def _moments() -> list[dict[str, Any]]:
    found = []
    for at_s in (AT_S, AT_S + 29, AT_S + 30, 30):
        moment = Moment(slot_at(at_s), token(SECRET, DEVICE, slot_at(at_s)))
        found.append(
            {
                "slot": moment.slot, "token": moment.token.hex(), "token_text": token_text(moment.token),
                "text": format_moment(moment), "link": display_link(BASE, "4k7mq2xd90bz", moment),
            }
        )  # fmt: skip
    return found


def _pack(name: str) -> dict[str, Any]:
    pack = read_pack(name)
    return {
        "name": name,
        "bytes": pack.encoded.decode(),
        "digest": pack.digest().hex(),
        "items": {CLASS_NAMES[each]: [item.code for item in pack.items_of(each)] for each in pack.classes},
    }


def _challenge(number: int) -> dict[str, Any]:
    drawn = sha256(b"token" + bytes([number])).digest()[:8]
    visit_class = VisitClass(1 + number % 4)
    codes = challenge_items(drawn, read_pack(ANNEX_A), visit_class)
    return {"token": drawn.hex(), "class": int(visit_class), "codes": list(codes)}


_BAD_LISTS: dict[str, tuple[tuple[Any, ...], Any]] = {
    "another format": (("format",), "minglou-checklist/2"),
    "another pack": (("pack",), "00" * 32),
    "a class that it is not of": (("class",), "quarter"),
    "no such result": (("items", 3, "result"), "done"),
    "an item twice": (("items", 3, "code"), "A-1-01"),
    "another item's place": (("items", 0, "code"), "A-1-99"),
    "a test without its photograph": (("items", 5, "photos"), []),
    "a photograph that is not there": (("items", 5, "photos"), [1]),
    "a photograph by its truth": (("items", 5, "photos"), [False]),
    "a number below its limit": (("items", 28, "value"), 69),
    "a fraction": (("items", 28, "value"), "7.5"),
    "a number beyond all": (("items", 28, "value"), 10**9 + 1),
    "an unknown member": (("items", 0, "by"), "somebody"),
    "an empty note": (("items", 0, "note"), ""),
    "a long note": (("items", 0, "note"), "长" * 201),
    "a challenged item that is none": (("challenge",), ["A-4-01"]),
    "three challenged items": (("challenge",), ["A-1-01", "A-1-02", "A-1-03"]),
    "a photograph too large": (("photos", 0, "bytes"), 512 * 1024 + 1),
    "a photograph of another type": (("photos", 0, "type"), "image/svg+xml"),
    "a short hash": (("photos", 0, "dhash"), "00"),
    "no parts": (("parts",), []),
    "a short salt": (("salt",), "00"),
}
_BAD_PROOFS: dict[str, tuple[tuple[Any, ...], Any]] = {
    "another format": (("format",), "minglou-presence/2"),
    "a place": (("place",), "30.27,120.15"),
    "inside in words": (("inside",), "yes"),
    "a fourth signer": (("scans", 0, "by"), 3),
    "another sense": (("scans", 0, "sense"), "through"),
    "another way": (("scans", 0, "way"), "nfc"),
    "no such place": (("scans", 0, "place"), "roof"),
    "a display's scan at a printed label": (("scans", 0, "place"), "car"),
    "both a label and a moment": (("scans", 0, "label"), "00" * 32),
    "a slot of zero": (("scans", 0, "slot"), 0),
    "a token of 65 bits": (("scans", 0, "token"), "z" * 13),
    "a token in capitals": (("scans", 0, "token"), "A" * 13),
    "a time of zero": (("scans", 0, "at"), 0),
    "one person with two phones": (("phones", 1, "by"), 0),
    "a visit number of zero": (("phones", 0, "number"), 0),
}
_BAD_BUNDLES: dict[str, tuple[tuple[Any, ...], Any]] = {
    "another format": (("format",), "minglou-visit-bundle/2"),
    "another list": (("checklist", "items", 0, "result"), "fault"),
    "another proof": (("presence", "scans", 0, "at"), AT_S + 1),
    "a record of another device": (("signed", "visit", "device"), "11" * 32),
    "a record hours later": (("signed", "visit", "started_at"), AT_S + 1500),
    "two signatures of three": (("signed", "signatures"), []),
    "a nonce of 48 bits and one": (("signed", "signatures", 0, "nonce"), str(2**48)),
    "an unknown member": (("photos",), []),
}


def _damaged(value: dict[str, Any], changes: dict[str, tuple[tuple[Any, ...], Any]]) -> list[dict[str, Any]]:
    """Each change by its path and what to put there, and that it is one."""
    found = []
    for name, (path, put) in changes.items():
        assert json.dumps(changed(value, path, put)) != json.dumps(value), name
        found.append({"name": name, "path": list(path), "put": put})
    return found


def changed(value: dict[str, Any], path: Sequence[Any], put: object) -> dict[str, Any]:
    """A copy with another value at the path."""
    damaged = copy.deepcopy(value)
    place: Any = damaged
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = put
    return damaged


def _digest(value: dict[str, Any]) -> str:
    return sha256(canonical_json(value)).hexdigest()
