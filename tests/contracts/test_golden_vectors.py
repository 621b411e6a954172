"""The committed vectors are what their script writes, and the code agrees with each of them from the file alone."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from contracts import p256
from contracts.bundle import parse_bundle
from contracts.checklist import challenge_items, parse_checklist
from contracts.checkpoint import open_checkpoint
from contracts.copy_note import CopyKeeper, open_acknowledgement
from contracts.detail import canonical_json, decode_detail, encode_detail
from contracts.entry import decode_entry, encode_entry
from contracts.errors import (
    CheckpointError,
    ContractsError,
    CopyError,
    DetailError,
    EntryError,
    RpcError,
    SegmentError,
    TreeError,
)
from contracts.label import label_digest, parse_code
from contracts.pack import parse_pack
from contracts.presence import parse_presence
from contracts.rotating import Moment, parse_moment
from contracts.segment import decode_frame, encode_frame, parse_segment_header, verify_frame
from contracts.superlog import open_superlog, superlog_id, superlog_leaf, verify_cosignatures
from contracts.tree import MemoryTree, leaf_hash, verify_consistency, verify_inclusion
from contracts.trust import parse_trust
from contracts.verifier import verify_evidence
from contracts.visit import VisitClass, VisitError, decode_visit, format_visit, parse_visit
from tests.vectors import make
from tests.vectors.crew_cases import changed


def load(name: str) -> Any:
    return json.loads((make.DIRECTORY / name).read_text(encoding="utf-8"))


def h(text: str) -> bytes:
    return bytes.fromhex(text)


@pytest.mark.parametrize("name", make.VECTORS)
def test_the_committed_file_is_what_the_script_writes(name: str) -> None:
    committed = (make.DIRECTORY / name).read_text(encoding="utf-8")
    assert committed == make.written(make.VECTORS[name]()), "run python -m tests.vectors.make and look at the change"


def test_entries() -> None:
    vectors = load("entry.json")
    for vector in vectors["valid"]:
        entry = decode_entry(h(vector["encoded"]))
        assert make.entry_fields(entry).items() <= vector.items()
        assert encode_entry(entry).hex() == vector["encoded"]
        assert leaf_hash(encode_entry(entry)).hex() == vector["leaf_hash"]
    for vector in vectors["invalid"]:
        with pytest.raises(EntryError):
            decode_entry(h(vector["encoded"]))


def test_visits() -> None:
    vectors = load("visit.json")
    for vector in vectors["valid"]:
        visit = decode_visit(h(vector["encoded"]))
        assert visit.encode().hex() == vector["encoded"]
        assert visit.digest().hex() == vector["digest"]
        assert parse_visit(json.dumps(vector["visit"]).encode()) == visit
        assert json.loads(format_visit(visit)) == vector["visit"]
    for vector in vectors["invalid"]:
        with pytest.raises(VisitError):
            decode_visit(h(vector["encoded"]))


def test_the_crews_files() -> None:
    vectors = load("crew.json")
    for vector in vectors["labels"]:
        assert parse_code(vector["typed"]) == vector["code"]
        assert label_digest(vector["code"]).hex() == vector["digest"]
    for vector in vectors["moments"]:
        assert parse_moment(vector["text"]) == Moment(vector["slot"], h(vector["token"]))
    packs = {vector["name"]: parse_pack(vector["bytes"].encode()) for vector in vectors["packs"]}
    for vector in vectors["packs"]:
        assert packs[vector["name"]].digest().hex() == vector["digest"]
    annex_a = packs["cn-tsg-t5002-2017-a"]
    for vector in vectors["challenges"]:
        codes = challenge_items(h(vector["token"]), annex_a, VisitClass(vector["class"]))
        assert list(codes) == vector["codes"]
    _file(vectors["checklist"], lambda encoded: parse_checklist(encoded, annex_a).digest())
    _file(vectors["presence"], lambda encoded: parse_presence(encoded).digest())
    _file(vectors["bundle"], lambda encoded: parse_bundle(encoded).visit.digest())


def _file(vectors: Any, digest_of: Callable[[bytes], bytes]) -> None:
    assert digest_of(canonical_json(vectors["value"])).hex() == vectors["digest"]
    for vector in vectors["invalid"]:
        with pytest.raises(VisitError):
            digest_of(canonical_json(changed(vectors["value"], vector["path"], vector["put"])))


def test_details() -> None:
    vectors = load("detail.json")
    for vector in vectors["valid"]:
        assert encode_detail(vector["fields"], salt=h(vector["salt"])).hex() == vector["encoded"]
        assert decode_detail(h(vector["encoded"])) == {**vector["fields"], "salt": vector["salt"]}
    for vector in vectors["invalid"]:
        with pytest.raises(DetailError):
            decode_detail(h(vector["encoded"]))


def test_trees() -> None:
    vectors = load("tree.json")
    tree = MemoryTree(leaf_hash(h(leaf)) for leaf in vectors["leaves"])
    assert [tree.root(size).hex() for size in range(22)] == vectors["roots"]
    for case in vectors["inclusion"]:
        _inclusion(case)
    for case in vectors["consistency"]:
        _consistency(case)
    for verify, name in ((_inclusion, "refused_inclusion"), (_consistency, "refused_consistency")):
        for case in vectors[name]:
            with pytest.raises(TreeError):
                verify(case)


def test_checkpoints() -> None:
    vectors = load("checkpoint.json")
    public = h(vectors["public"])
    assert p256.spki(public).hex() == vectors["spki"]
    for vector in vectors["valid"]:
        signed = open_checkpoint(vector["note"], public)
        assert (signed.checkpoint.origin, signed.checkpoint.size) == (vector["origin"], vector["size"])
        assert (signed.checkpoint.root.hex(), signed.signature.hex()) == (vector["root"], vector["signature"])
    for vector in vectors["invalid"]:
        with pytest.raises(ContractsError):
            open_checkpoint(vector["note"], public)


def test_segments() -> None:
    vectors = load("segment.json")
    public = h(vectors["public"])
    assert parse_segment_header(vectors["header"].encode()) == (vectors["origin"], len(vectors["header"]))
    for vector in vectors["valid"]:
        frame = decode_frame(h(vector["encoded"]))
        verified = verify_frame(frame, public)
        assert (frame.start, frame.end, sorted(frame.erased())) == (vector["start"], vector["end"], vector["erased"])
        assert verified.checkpoint.root.hex() == vector["root"] == verified.frontier.root().hex()
        assert encode_frame(frame).hex() == vector["encoded"]
    for vector in vectors["invalid"]:
        with pytest.raises(SegmentError):
            verify_frame(decode_frame(h(vector["encoded"])), public)


def test_acknowledgements_of_copies() -> None:
    vector = load("segment.json")["copy"]
    keeper = CopyKeeper(name=vector["name"], public=h(vector["key"]))
    held = open_acknowledgement(vector["note"], keeper)
    assert (held.size, held.root.hex()) == (vector["size"], vector["root"])
    for note, other in (
        (vector["note"].replace("\n21\n", "\n20\n"), keeper),
        (vector["note"].replace("minglou-copy/1", "minglou-copy/2"), keeper),
        (vector["note"], CopyKeeper(name="other.example/copy", public=h(vector["key"]))),
        (vector["note"], CopyKeeper(name=vector["name"], public=bytes(32))),
    ):
        with pytest.raises(CopyError):
            open_acknowledgement(note, other)


def test_super_logs() -> None:
    vectors = load("superlog.json")
    origin, key = vectors["origin"], h(vectors["key"])
    signed = open_checkpoint(vectors["checkpoint"], h(vectors["public"]))
    assert superlog_leaf(signed).hex() == vectors["leaf"]
    assert superlog_id(origin, key).hex() == vectors["id"]
    checkpoint = open_superlog(vectors["note"], origin, key)
    assert (checkpoint.size, checkpoint.root.hex()) == (vectors["size"], vectors["root"])
    for vector in vectors["invalid"]:
        with pytest.raises(ContractsError):
            open_superlog(vector["note"], origin, key)
    policy = parse_trust(json.dumps(load("evidence.json")["trust"]).encode()).witness_policy
    for vector in vectors["witnesses"]:
        if vector["count"] is None:
            with pytest.raises(ContractsError):
                verify_cosignatures(vector["note"], policy)
        else:
            assert len(verify_cosignatures(vector["note"], policy)) == vector["count"], vector["name"]
    with pytest.raises(CheckpointError, match="not of other"):
        open_superlog(vectors["note"], "other.example/log", key)


def test_evidence() -> None:
    vectors = load("evidence.json")
    trust = parse_trust(json.dumps(vectors["trust"]).encode())
    for case in vectors["cases"]:
        rpc = None if case["rpc"] is None else _replay([vectors["exchanges"][number] for number in case["rpc"]])
        report = verify_evidence(case["evidence"].encode(), trust if case["trust"] else None, rpc)
        outcomes = {check.name: check.outcome for check in report.checks}
        assert outcomes == case["expect"]["outcomes"], case["name"]
        assert (report.state, list(report.marks)) == (case["expect"]["state"], case["expect"]["marks"]), case["name"]


def _replay(exchanges: list[dict[str, Any]]) -> Callable[[str, list[Any]], Any]:
    def rpc(method: str, parameters: list[Any]) -> Any:
        for exchange in exchanges:
            if (exchange["method"], exchange["params"]) == (method, parameters):
                return exchange["result"]
        raise RpcError(f"{method} {parameters} was not asked when the vector was made")

    return rpc


def _inclusion(case: dict[str, Any]) -> None:
    path = [h(node) for node in case["path"]]
    verify_inclusion(h(case["leaf_hash"]), case["index"], case["size"], path, h(case["root"]))


def _consistency(case: dict[str, Any]) -> None:
    path = [h(node) for node in case["path"]]
    verify_consistency(case["old_size"], h(case["old_root"]), case["size"], h(case["root"]), path)
