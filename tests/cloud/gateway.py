"""A gateway as the cloud sees one: a real key, a real tree, real batches; it can also lie on demand."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from contracts import p256
from contracts.batch import encode_batch
from contracts.checkpoint import Checkpoint, sign_checkpoint
from contracts.detail import detail_digest, encode_detail
from contracts.entry import NO_DETAIL, Entry, Kind, device_id, encode_entry
from contracts.tree import MemoryTree, leaf_hash

ORIGIN = "demo.minglou.example/cuiyuan/b07/e0"
CLAIM = "claim-7"
START_MS = 1_764_000_000_000


@dataclass
class SimulatedGateway:
    """Logs entries in memory and encodes batches of them."""

    origin: str = ORIGIN
    urn: str = "urn:minglou:cuiyuan:b07:gateway:g1"
    seed: int = 1
    key: p256.PrivateKey = field(default_factory=p256.generate_key)
    entries: list[bytes] = field(default_factory=list)
    details: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.token = hashlib.sha256(f"token {self.origin} {self.seed}".encode()).digest()
        fields = {
            "claim_code": CLAIM,
            "uplink_token_digest": hashlib.sha256(self.token).hexdigest(),
            "software": "minglou 0.1.0",
        }
        self.log(Kind.GATEWAY, self.urn, "epoch.open", 0, detail=fields)

    @property
    def public(self) -> bytes:
        return p256.public_bytes(self.key)

    @property
    def size(self) -> int:
        return len(self.entries)

    def log(
        self,
        kind: Kind,
        urn: str,
        quantity: str,
        value: int,
        *,
        detail: dict[str, object] | None = None,
        at_ms: int | None = None,
        digest: bytes = NO_DETAIL,
    ) -> int:
        """Append one entry; its index. `digest` stands raw in the detail word of visits and beacons."""
        index = len(self.entries)
        salt = hashlib.sha256(f"salt {self.origin} {self.seed} {index}".encode()).digest()[:16]
        encoded = b"" if detail is None else encode_detail(detail, salt=salt[::-1])
        entry = Entry(
            kind=kind,
            device=device_id(urn),
            observed_at_ms=START_MS + 1000 * index if at_ms is None else at_ms,
            quantity=quantity,
            value=value,
            detail_digest=detail_digest(encoded) if encoded else digest,
            salt=salt,
        )
        self.entries.append(encode_entry(entry))
        self.details.append(encoded)
        return index

    def log_readings(
        self, count: int, *, urn: str = "urn:minglou:cuiyuan:b07:meter:0101-abc", detailed: bool = True
    ) -> None:
        """Append `count` readings of one meter, rising by 7 Wh."""
        for _ in range(count):
            detail: dict[str, object] | None = {"source": "poll"} if detailed else None
            self.log(Kind.READING, urn, "1-0:1.8.0", 7 * self.size, detail=detail)

    def log_visit(
        self, urn: str, level: int, digest: bytes, *, at_ms: int, presence: Mapping[str, object] | None = None
    ) -> int:
        """Append a judged visit and its verdict, as the edge does; the visit's index. `presence`: of its facts."""
        index = self.log(Kind.VISIT, urn, "visit", level, digest=digest, at_ms=at_ms)
        items = dict.fromkeys(("inspection-mode", "door-cycles"), "confirmed" if level >= 2 else "not-seen")
        verdict: dict[str, object] = {"items": items, "presence": "not-observable", "key_class": "file"}
        detail: dict[str, object] = {"visit": digest.hex(), "facts": {"heard": 8}, "verdict": verdict}
        if presence is not None:
            detail["facts"] = {"heard": 8, "presence": dict(presence)}
        self.log(Kind.STATUS, urn, "visit.verdict", level, detail=detail, at_ms=at_ms)
        return index

    def tree(self) -> MemoryTree:
        return MemoryTree([leaf_hash(entry) for entry in self.entries])

    def note(self, size: int | None = None, *, key: p256.PrivateKey | None = None, root: bytes | None = None) -> str:
        size = self.size if size is None else size
        checkpoint = Checkpoint(origin=self.origin, size=size, root=self.tree().root(size) if root is None else root)
        return sign_checkpoint(checkpoint, key or self.key)

    def batch(self, start: int = 0, end: int | None = None, *, note: str | None = None) -> bytes:
        end = self.size if end is None else end
        return encode_batch(start, note or self.note(end), self.entries[start:end], self.details[start:end])

    def twin(self, at: int, value: int) -> "SimulatedGateway":
        """The same gateway restored from before entry `at`: it logs another entry there. Same key."""
        other = SimulatedGateway(origin=self.origin, urn=self.urn, seed=self.seed, key=self.key)
        other.entries, other.details = self.entries[:at], self.details[:at]
        other.log(Kind.READING, "urn:minglou:cuiyuan:b07:meter:0101-abc", "1-0:1.8.0", value)
        return other
