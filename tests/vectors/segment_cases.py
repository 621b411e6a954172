"""The vectors of `segment.json`: one log's frames, whole, with an erased entry, and broken; and a copy's note."""

from dataclasses import replace
from hashlib import sha256
from typing import Any

from contracts import ed25519
from contracts.checkpoint import Checkpoint, sign_checkpoint
from contracts.copy_note import sign_acknowledgement
from contracts.entry import encode_entry
from contracts.segment import Frame, encode_frame, encode_slots, erase_entries, segment_header
from contracts.tree import Frontier, leaf_hash
from tests.vectors.deployment import GATEWAY_KEY, ORIGIN, START_MS, Deployment

COPY_NAME = "committee.example/copy"
COPY_KEY = ed25519.key_from_seed(sha256(b"copy").digest())
ENDS = (1, 8, 21)


def frames() -> list[Frame]:
    """The 21 entries of the vectors' log under checkpoints of 1, 8 and 21."""
    deployment, start, found = Deployment(), 0, list[Frame]()
    for number, end in enumerate(ENDS):
        part = deployment.entries[start:end]
        frontier = Frontier()
        frontier.extend(leaf_hash(encode_entry(entry)) for entry, _ in deployment.entries[:start])
        checkpoint = Checkpoint(origin=ORIGIN, size=end, root=deployment.log.root(end))
        found.append(
            Frame(
                start=start,
                peaks=frontier.peaks,
                note=sign_checkpoint(checkpoint, GATEWAY_KEY, repeatable=True),
                public=deployment.public,
                super_index=10 + number,
                received_at_ms=START_MS + end,
                slots=encode_slots([encode_entry(entry) for entry, _ in part]),
                details=tuple(detail for _, detail in part),
            )
        )
        start = end
    return found


def segment_vectors() -> dict[str, Any]:
    """What a reader of segments must take, and what it must refuse."""
    whole = frames()
    erased = erase_entries(whole[1], {2, 4})
    invalid = {
        "another value in an entry": replace(whole[1], slots=_changed(whole[1].slots, 2 * 224 + 159)),
        "another leaf hash of an erased entry": replace(erased, slots=_changed(erased.slots, 4 * 224 + 40)),
        "another peak": replace(whole[2], peaks=(bytes(32),)),
        "another detail": replace(whole[0], details=(b"{}",)),
        "an entry that is none": replace(whole[1], slots=_changed(whole[1].slots, 31)),
        "the checkpoint of another size": replace(whole[1], note=whole[2].note),
        "an erased entry with a detail": replace(erased, details=(*erased.details[:2], b"{}", *erased.details[3:])),
    }
    held = Checkpoint(origin=ORIGIN, size=21, root=Deployment().log.root())
    return {
        "origin": ORIGIN,
        "public": Deployment().public.hex(),
        "header": segment_header(ORIGIN).decode(),
        "valid": [
            {"name": name, "start": frame.start, "end": frame.end, "erased": sorted(frame.erased()),
             "root": Deployment().log.root(frame.end).hex(), "encoded": encode_frame(frame).hex()}
            for name, frame in (("first", whole[0]), ("second", whole[1]), ("third", whole[2]), ("erased", erased))
        ],
        "invalid": [{"name": name, "encoded": encode_frame(frame).hex()} for name, frame in invalid.items()],
        "copy": {
            "name": COPY_NAME,
            "key": ed25519.public_bytes(COPY_KEY).hex(),
            "size": held.size,
            "root": held.root.hex(),
            "note": sign_acknowledgement(held, COPY_NAME, COPY_KEY),
        },
    }  # fmt: skip


def _changed(slots: bytes, at: int) -> bytes:
    return slots[:at] + bytes([slots[at] ^ 0x08]) + slots[at + 1 :]
