"""Visit records for the golden vectors: canonical ones, and bytes that are none."""

from typing import Any

from contracts.entry import device_id
from contracts.visit import NOBODY, Visit, VisitClass, visit_to_json

_LIFT = device_id("urn:minglou:cuiyuan:b07:lift:1")


def visit(visit_class: VisitClass, *, mechanics: int = 2, is_countersigned: bool = True) -> Visit:
    """A visit of fixed bytes."""
    return Visit(
        device=_LIFT,
        plan=bytes([0x70]) * 32,
        visit_class=visit_class,
        checklist=bytes([0xC4]) * 32,
        started_at_s=1_796_119_200,
        ended_at_s=1_796_122_800,
        presence=bytes([0x9E]) * 32 if is_countersigned else NOBODY,
        mechanics=(bytes([0xA1]) * 32, bytes([0xA2]) * 32)[:mechanics],
        manager=bytes([0xB1]) * 32 if is_countersigned else NOBODY,
        salt=bytes(range(16)),
    )


def visit_vectors() -> dict[str, Any]:
    valid = [
        visit(VisitClass.HALF_MONTH),
        visit(VisitClass.YEAR),
        visit(VisitClass.REPAIR, mechanics=1, is_countersigned=False),
    ]
    record = bytearray(valid[0].encode())
    changes: dict[str, tuple[int, bytes]] = {
        "no device": (0, bytes(32)),
        "no plan": (32, bytes(32)),
        "class 5": (95, b"\x05"),
        "class with a high byte": (64, b"\x01"),
        "no checklist": (96, bytes(32)),
        "start at zero": (128, bytes(32)),
        "end before the start": (184, (1_796_119_199).to_bytes(8)),
        "end over a day after the start": (184, (1_796_119_200 + 86_401).to_bytes(8)),
        "end at 2^40": (186, b"\x01"),
        "no first mechanic": (224, bytes(32)),
        "one mechanic twice": (256, bytes([0xA1]) * 32),
        "a mechanic counter-signs": (288, bytes([0xA2]) * 32),
        "salt with a byte in its padding": (351, b"\x01"),
    }
    invalid = []
    for name, (at, octets) in changes.items():
        damaged = bytearray(record)
        damaged[at : at + len(octets)] = octets
        assert damaged != record, name
        invalid.append({"name": name, "encoded": damaged.hex()})
    invalid += [{"name": "cut off", "encoded": record[:-1].hex()}, {"name": "too long", "encoded": record.hex() + "00"}]
    return {
        "valid": [
            {"visit": visit_to_json(each), "encoded": each.encode().hex(), "digest": each.digest().hex()}
            for each in valid
        ],
        "invalid": invalid,
    }
