"""One evidence file of a building's month, verified offline in Python: every check but those that ask a chain."""

from __future__ import annotations

from contracts.checkpoint import open_checkpoint
from contracts.entry import encode_entry
from contracts.evidence import Evidence, GatewayKey, LogProof, SuperProof, format_evidence
from contracts.superlog import superlog_leaf
from contracts.tree import MemoryTree, inclusion_path, leaf_hash
from contracts.verifier import verify_evidence
from tests.bench.figure import Figure, median, seconds_of
from tests.vectors.deployment import GATEWAY_KEY, KEY_FROM_BLOCK, ORIGIN, SUPER_ORIGIN, TRUST, Deployment

LOG_ENTRIES = 30_000  # about what one building with 25 meters and two lifts logs in a month
SUPER_LOG_ENTRIES = 100_000
INDEX = 20_001
RUNS = 201


def figures() -> dict[str, Figure]:
    """Median over many verifications of the same file, the parse included and the start of Python not."""
    evidence = format_evidence(month_old_evidence())
    report = verify_evidence(evidence, TRUST, None)
    assert report.state == "logged", report
    taken = median(seconds_of(lambda: verify_evidence(evidence, TRUST, None), runs=RUNS))
    note = (
        f"median of {RUNS}; {len(evidence):,} bytes, log of {LOG_ENTRIES:,} entries, super-log of "
        f"{SUPER_LOG_ENTRIES:,} checkpoints, three cosignatures; state logged, for no chain is asked"
    )
    return {"verify.python_ms": Figure(value=taken * 1000, unit="ms", note=note)}


def month_old_evidence() -> Evidence:
    """A meter's boundary entry in a log and a super-log of real size."""
    deployment = Deployment()
    entry, _ = deployment.entries[1]
    log = tree_with(leaf_hash(encode_entry(entry)), INDEX, LOG_ENTRIES)
    note = deployment.checkpoint_note(log.size, log.root(), GATEWAY_KEY)
    super_leaf = leaf_hash(superlog_leaf(open_checkpoint(note, deployment.public)))
    super_log = tree_with(super_leaf, INDEX, SUPER_LOG_ENTRIES)
    key = GatewayKey(public=deployment.public, key_class="file", from_block=KEY_FROM_BLOCK, to_block=None)
    small = deployment.evidence(1)
    return Evidence(
        row=entry.row,
        detail=small.detail,
        log=LogProof(
            origin=ORIGIN,
            index=INDEX,
            size=log.size,
            path=tuple(inclusion_path(log.node, INDEX, log.size)),
            checkpoint=note,
            key=key,
        ),
        assignment=small.assignment,
        super_proof=SuperProof(
            origin=SUPER_ORIGIN,
            index=INDEX,
            size=super_log.size,
            path=tuple(inclusion_path(super_log.node, INDEX, super_log.size)),
            note=deployment.signed_super_note(super_log.size, super_log.root()),
        ),
        anchor=None,
    )


def tree_with(leaf: bytes, index: int, size: int) -> MemoryTree:
    """A tree of `size` leaves, all filling but `leaf` at `index`."""
    return MemoryTree(leaf if n == index else leaf_hash(n.to_bytes(8)) for n in range(size))
