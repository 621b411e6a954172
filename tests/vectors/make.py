"""Write the golden vectors: `python -m tests.vectors.make`. They come from fixed keys, so nothing changes by itself.

The Python and the JavaScript verifier both pass them; `test_golden_vectors.py` fails where a file is not what this
script writes.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from contracts import ed25519, p256
from contracts.checkpoint import open_checkpoint
from contracts.detail import decode_detail, detail_digest, encode_detail
from contracts.entry import Entry, encode_entry
from contracts.note import Note, SignatureLine, format_note, parse_note
from contracts.superlog import superlog_id, superlog_leaf, verify_cosignatures
from contracts.tree import MemoryTree, consistency_path, inclusion_path, leaf_hash
from contracts.trust import format_trust
from contracts.witness import cosigned_message
from tests.vectors.crew_cases import crew_vectors
from tests.vectors.deployment import (
    GATEWAY_KEY,
    ORIGIN,
    OTHER_KEY,
    SUPER_KEY,
    SUPER_ORIGIN,
    TRUST,
    WITNESS_KEYS,
    Deployment,
    entries,
    salt,
)
from tests.vectors.evidence_cases import evidence_vectors
from tests.vectors.meter_swap_cases import meter_swap_vectors
from tests.vectors.segment_cases import segment_vectors
from tests.vectors.visit_cases import visit_vectors

DIRECTORY = Path(__file__).parent


def entry_vectors() -> dict[str, Any]:
    valid = [
        {**entry_fields(entry), "encoded": encode_entry(entry).hex(), "leaf_hash": leaf_hash(encode_entry(entry)).hex()}
        for entry, _ in entries()[:10]
    ]
    reading = bytearray(encode_entry(entries()[2][0]))
    changes: dict[str, tuple[int, bytes]] = {
        "kind 0": (31, b"\x00"),
        "kind 7": (31, b"\x07"),
        "kind with a high byte": (0, b"\x01"),
        "observed at 2^53": (88, bytes.fromhex("0020000000000000")),
        "observed_at with a high byte": (64, b"\x01"),
        "quantity in capitals": (96, b"A"),
        "quantity of an unknown shape": (97, b"."),
        "quantity with a space": (97, b" "),
        "quantity with a zero inside": (98, b"\x00"),
        "quantity with a byte behind its end": (127, b"a"),
        "boundary on no calendar date": (106, b"20261332"),
        "value above 2^63 - 1": (152, b"\x80"),
        "value of -2^63": (128, b"\xff" * 24 + b"\x80" + bytes(7)),
        "value with broken sign extension": (130, b"\xff"),
        "salt with a byte in its padding": (223, b"\x01"),
    }
    invalid = []
    for name, (at, octets) in changes.items():
        changed = reading.copy()
        changed[at : at + len(octets)] = octets
        invalid.append({"name": name, "encoded": changed.hex()})
    visit, beacon = (bytearray(encode_entry(entries()[number][0])) for number in (6, 1))
    for name, entry in (("visit without a digest", visit), ("beacon without a hash", beacon)):
        entry[160:192] = bytes(32)
        invalid.append({"name": name, "encoded": entry.hex()})
    invalid.append({"name": "a byte short", "encoded": reading[:-1].hex()})
    return {"valid": valid, "invalid": invalid}


def entry_fields(entry: Entry) -> dict[str, Any]:
    return {
        "kind": int(entry.kind),
        "device": entry.device.hex(),
        "observed_at_ms": entry.observed_at_ms,
        "quantity": entry.quantity,
        "value": str(entry.value),
        "detail_digest": entry.detail_digest.hex(),
        "salt": entry.salt.hex(),
    }


def detail_vectors() -> dict[str, Any]:
    fields: list[dict[str, object]] = [
        {},
        {"source": "freeze", "meter_time": "2026-11-22T00:00", "flags": []},
        {"b": 1, "a": -(2**53) + 1, "é": True, "\U0001f600": "pair", "\ufb33": "sorts behind the pair", "\r": "\u2028"},
        {"text": 'quotes " and \\ and \b\f\n\r\t\x0b\x1f\x7f/', "deep": [[[{"z": [False, 0]}]]]},
    ]
    valid = []
    for number, given in enumerate(fields):
        encoded = encode_detail(given, salt=salt(number))
        vector = {"fields": given, "salt": salt(number).hex(), "encoded": encoded.hex(), "digest": _digest(encoded)}
        valid.append(vector)
    s = salt(0).hex()
    invalid = {
        "no salt": b'{"a":1}',
        "short salt": b'{"salt":"00"}',
        "salt in capitals": f'{{"salt":"{s.upper()}"}}'.encode(),
        "white space": f'{{"a":1, "salt":"{s}"}}'.encode(),
        "keys out of order": f'{{"salt":"{s}","a":1}}'.encode(),
        "a key twice": f'{{"a":1,"a":1,"salt":"{s}"}}'.encode(),
        "null": f'{{"a":null,"salt":"{s}"}}'.encode(),
        "a fraction": f'{{"a":1.5,"salt":"{s}"}}'.encode(),
        "an exponent": f'{{"a":1e3,"salt":"{s}"}}'.encode(),
        "minus zero": f'{{"a":-0,"salt":"{s}"}}'.encode(),
        "2^53": f'{{"a":{2**53},"salt":"{s}"}}'.encode(),
        "an escape that is not the shortest": f'{{"a":"\\u0041","salt":"{s}"}}'.encode(),
        "an escaped slash": f'{{"a":"\\/","salt":"{s}"}}'.encode(),
        "half a surrogate pair": f'{{"a":"\\ud800","salt":"{s}"}}'.encode(),
        "not UTF-8": b'{"a":"\xff","salt":"' + s.encode() + b'"}',
        "an array": b"[]",
        "nothing": b"",
        "too long": f'{{"a":"{"x" * 4096}","salt":"{s}"}}'.encode(),
        "too deep": b'{"a":' + b"[" * 17 + b"]" * 17 + f',"salt":"{s}"}}'.encode(),
    }
    return {"valid": valid, "invalid": [{"name": name, "encoded": octets.hex()} for name, octets in invalid.items()]}


def tree_vectors() -> dict[str, Any]:
    tree = MemoryTree(leaf_hash(bytes([number])) for number in range(21))
    inclusion = [
        _inclusion(tree, index, size) for size in (1, 2, 3, 4, 7, 8, 13, 21) for index in {0, size // 2, size - 1}
    ]
    consistency: list[dict[str, Any]] = [
        {
            "old_size": old,
            "size": size,
            "old_root": tree.root(old).hex(),
            "root": tree.root(size).hex(),
            "path": [node.hex() for node in consistency_path(tree.node, old, size)],
        }
        for old, size in ((1, 1), (1, 2), (2, 3), (3, 7), (4, 8), (6, 8), (8, 21), (13, 21), (20, 21), (21, 21))
    ]
    third = _inclusion(tree, 2, 4)
    longer = {**third, "path": [*third["path"], third["path"][0]]}
    refused = [{**third, "index": index} for index in (3, 4, 6, 10, 1002)]
    refused += [longer, {**third, "path": third["path"][:1]}, {**third, "root": tree.root(5).hex()}]
    refused_consistency = [
        {**consistency[3], "old_size": 0},
        {**consistency[3], "old_size": 8},
        {**consistency[3], "old_root": tree.root(4).hex()},
        {**consistency[3], "root": tree.root(8).hex()},
        {**consistency[3], "path": consistency[3]["path"][:-1]},
        {**consistency[0], "root": tree.root(2).hex()},
    ]
    return {
        "leaves": [bytes([number]).hex() for number in range(21)],
        "roots": [tree.root(size).hex() for size in range(22)],
        "inclusion": sorted(inclusion, key=lambda case: (case["size"], case["index"])),
        "refused_inclusion": refused,
        "consistency": consistency,
        "refused_consistency": refused_consistency,
    }


def _inclusion(tree: MemoryTree, index: int, size: int) -> dict[str, Any]:
    return {
        "leaf_hash": tree.node(0, index).hex(),
        "index": index,
        "size": size,
        "path": [node.hex() for node in inclusion_path(tree.node, index, size)],
        "root": tree.root(size).hex(),
    }


def checkpoint_vectors() -> dict[str, Any]:
    deployment = Deployment()
    note, public = deployment.note, p256.public_bytes(GATEWAY_KEY)
    signed = open_checkpoint(note, public)
    line = parse_note(note).signatures[0]
    signature = int.from_bytes(signed.signature[32:])
    high_s = _der(int.from_bytes(signed.signature[:32]), p256.ORDER - signature)

    def changed(text: str | None = None, *lines: SignatureLine) -> str:
        return format_note(Note(text=text or parse_note(note).text, signatures=lines or (line,)))

    body = parse_note(note).text
    invalid = {
        "another size": changed(body.replace("\n21\n", "\n22\n")),
        "size with a leading zero": changed(body.replace("\n21\n", "\n021\n")),
        "size zero": changed(body.replace("\n21\n", "\n0\n")),
        "size 2^48": changed(body.replace("\n21\n", f"\n{2**48}\n")),
        "an extension line": changed(body + "more\n"),
        "another origin": changed(body.replace("b07", "b08")),
        "an origin in capitals": changed(body.replace("b07", "B07")),
        "a root of 31 bytes": changed(body.replace(body.split("\n")[2], "A" * 42 + "==")),
        "two signatures": changed(None, line, line),
        "another name": changed(None, replace(line, name="demo.minglou.example/cuiyuan/b08/e0")),
        "another key id": changed(None, replace(line, key_id=bytes(4))),
        "a high s": changed(None, replace(line, signature=high_s)),
        "DER with a byte behind it": changed(None, replace(line, signature=line.signature + b"\0")),
        "signed by another key under this key's id": changed(
            None, replace(line, signature=p256.signature_to_der(p256.sign(OTHER_KEY, body.encode(), repeatable=True)))
        ),
        "no empty line": note.replace("\n\n", "\n"),
        "carriage returns": note.replace("\n", "\r\n"),
    }
    return {
        "public": public.hex(),
        "spki": p256.spki(public).hex(),
        "valid": [
            {
                "note": deployment.checkpoint_note(size, deployment.log.root(size), GATEWAY_KEY),
                "origin": ORIGIN,
                "size": size,
                "root": deployment.log.root(size).hex(),
                "signature": open_checkpoint(
                    deployment.checkpoint_note(size, deployment.log.root(size), GATEWAY_KEY), public
                ).signature.hex(),
            }
            for size in (1, 2, 21)
        ],
        "invalid": [{"name": name, "note": text} for name, text in invalid.items()],
    }


def _der(r: int, s: int) -> bytes:
    """DER of any r and s: `contracts.p256` refuses to write a high one."""
    numbers = b"".join(b"\x02" + bytes([len(n)]) + n for n in (x.to_bytes(x.bit_length() // 8 + 1) for x in (r, s)))
    return b"\x30" + bytes([len(numbers)]) + numbers


def superlog_vectors() -> dict[str, Any]:
    deployment = Deployment()
    public = ed25519.public_bytes(SUPER_KEY)
    signed = open_checkpoint(deployment.note, deployment.public)
    note = deployment.super_note
    lines = parse_note(note).signatures
    text = parse_note(note).text

    def with_lines(*chosen: SignatureLine) -> str:
        return format_note(Note(text=text, signatures=chosen))

    stranger = SignatureLine(name="stranger.example/w", key_id=bytes(4), signature=bytes(72))
    zero = cosigned_message(text, 0)
    timeless = replace(lines[2], signature=bytes(8) + ed25519.sign(WITNESS_KEYS[1], zero))
    late = replace(lines[2], signature=(2**40).to_bytes(8) + lines[2].signature[8:])
    return {
        "origin": SUPER_ORIGIN,
        "key": public.hex(),
        "id": superlog_id(SUPER_ORIGIN, public).hex(),
        "checkpoint": deployment.note,
        "public": deployment.public.hex(),
        "leaf": superlog_leaf(signed).hex(),
        "note": note,
        "size": 5,
        "root": deployment.super_log.root().hex(),
        "policy": json.loads(format_trust(TRUST))["witness_policy"],
        "cosigned_at_s": [c.signed_at_s for c in verify_cosignatures(note, TRUST.witness_policy)],
        "witnesses": [
            {"name": "all three", "note": note, "count": 3},
            {"name": "one of them", "note": with_lines(lines[0], lines[2]), "count": 1},
            {"name": "one of them twice", "note": with_lines(lines[0], lines[2], lines[2]), "count": 1},
            {"name": "a stranger is ignored", "note": with_lines(lines[0], stranger, lines[1]), "count": 1},
            {"name": "another time", "note": with_lines(lines[0], late), "count": None},
            {"name": "a time of zero", "note": with_lines(lines[0], timeless), "count": None},
            {"name": "cut off", "note": with_lines(lines[0], replace(lines[1], signature=bytes(71))), "count": None},
        ],
        "invalid": [
            {"name": "unsigned", "note": with_lines(*lines[1:])},
            {"name": "another signature", "note": with_lines(replace(lines[0], signature=bytes(64)), *lines[1:])},
            {"name": "another text", "note": note.replace("\n5\n", "\n6\n")},
            {"name": "a gateway's checkpoint", "note": deployment.note},
        ],
    }


def _digest(encoded: bytes) -> str:
    assert decode_detail(encoded)
    return detail_digest(encoded).hex()


VECTORS: dict[str, Callable[[], dict[str, Any]]] = {
    "entry.json": entry_vectors,
    "detail.json": detail_vectors,
    "tree.json": tree_vectors,
    "checkpoint.json": checkpoint_vectors,
    "superlog.json": superlog_vectors,
    "evidence.json": evidence_vectors,
    "visit.json": visit_vectors,
    "segment.json": segment_vectors,
    "crew.json": crew_vectors,
    "meter-swap.json": meter_swap_vectors,
}


def written(vectors: dict[str, Any]) -> str:
    """The text of one vector file."""
    return json.dumps(vectors, indent=1, ensure_ascii=True) + "\n"


if __name__ == "__main__":
    for name, make in VECTORS.items():
        (DIRECTORY / name).write_text(written(make()), encoding="utf-8")
