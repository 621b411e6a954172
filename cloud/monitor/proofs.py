"""Proofs of two histories under one key, as files that others can check, and bring to AnchorLog."""

import json
from dataclasses import dataclass
from pathlib import Path

from cloud.monitor.growth import Side
from contracts.act_file import act_of_call, format_act
from contracts.calls import anchor_log
from contracts.checkpoint import Checkpoint
from contracts.superlog import parse_superlog_leaf
from contracts.trust import Trust
from contracts.vyper.compile import artifact

__all__ = ["PlacedHead", "audit_fork", "fork_report", "super_fork"]

_CONTRACT = "AnchorLog"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedHead:
    """A head of the audit log, and that the super-log holds it."""

    leaf: bytes
    place: int
    side: Side


def fork_report(
    folder: Path, trust: Trust, leaf_a: bytes, leaf_b: bytes, *, index: int = 0, a: Side | None = None,
    b: Side | None = None,
) -> Path:  # fmt: skip
    """The act file (`minglou chain submit`) that reports a gateway's fork: two roots for one size, or two leaves.

    Args:
        leaf_a: the super-log's leaf of one signed checkpoint, or another checkpoint's text and signature.
        index: the entry at which the two histories differ, where the sizes do.
        a: that entry's leaf hash and path under the first checkpoint.
    """
    (first, signature_a), (second, signature_b) = parse_superlog_leaf(leaf_a), parse_superlog_leaf(leaf_b)
    address = "0x" + trust.anchor_log.hex()
    heads = {"a": _signed_head(first, signature_a), "b": _signed_head(second, signature_b)}
    if a is None or b is None:
        function = "report_two_roots"
        call = anchor_log.report_two_roots(address, origin=first.origin, **heads)
    else:
        function = "report_two_leaves"
        call = anchor_log.report_two_leaves(
            address, origin=first.origin, **heads, index=index, leaf_a=a.leaf, path_a=a.path, leaf_b=b.leaf,
            path_b=b.path,
        )  # fmt: skip
    abi = artifact(_CONTRACT).abi
    act = act_of_call(call, chain_id=trust.chain_id, contract=_CONTRACT, function=function, abi=abi)
    return _write(folder, f"fork {first.origin} {first.size} {second.size}", format_act(act, abi))


def super_fork(folder: Path, note_a: str, note_b: str, *, index: int | None, a: Side | None, b: Side | None) -> Path:
    """Two notes of one super-log, and where their sizes differ the two leaves at one index with their paths."""
    document = {
        "format": "minglou-two-histories/1",
        "a": note_a,
        "b": note_b,
        "index": None if index is None else str(index),
        "leaf_a": _side(a),
        "leaf_b": _side(b),
    }
    return _write(folder, "fork super-log", json.dumps(document, indent=1, ensure_ascii=False).encode() + b"\n")


def audit_fork(
    folder: Path, note: str, first: PlacedHead, second: PlacedHead, *, index: int | None, a: Side | None,
    b: Side | None,
) -> Path:  # fmt: skip
    """Two heads of an audit log that are not of one history, both under one note of the super-log.

    Args:
        index: the entry at which the two histories differ, where that is known, with its leaf hash and path under each.
    """
    document = {
        "format": "minglou-two-histories/1",
        "a": _text(first),
        "b": _text(second),
        "index": None if index is None else str(index),
        "leaf_a": _side(a),
        "leaf_b": _side(b),
        "super": {"note": note, "a": _place(first), "b": _place(second)},
    }
    return _write(folder, "fork audit-log", json.dumps(document, indent=1, ensure_ascii=False).encode() + b"\n")


def _text(head: PlacedHead) -> str:
    return parse_superlog_leaf(head.leaf)[0].body()


def _place(head: PlacedHead) -> object:
    path = [node.hex() for node in head.side.path]
    return {"index": str(head.place), "size": str(head.side.size), "leaf": head.leaf.hex(), "path": path}


def _side(side: Side | None) -> object:
    if side is None:
        return None
    return {"size": str(side.size), "leaf": side.leaf.hex(), "path": [node.hex() for node in side.path]}


def _signed_head(checkpoint: Checkpoint, signature: bytes) -> anchor_log.SignedHead:
    r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
    return anchor_log.SignedHead(size=checkpoint.size, root=checkpoint.root, r=r, s=s)


def _write(folder: Path, name: str, content: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / (name.replace("/", "_").replace(" ", "-") + ".json")
    path.write_bytes(content)
    return path
