"""One small deployment with fixed keys: a gateway's log, a super-log with witnesses, and a chain that holds them.

The chain answers JSON-RPC as a node does, from the few facts that a test gives it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date
from hashlib import sha256
from typing import Any

from contracts import ed25519, onchain, p256
from contracts.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from contracts.detail import decode_detail, detail_digest, encode_detail
from contracts.entry import NO_DETAIL, Entry, Kind, device_id, encode_entry
from contracts.errors import RpcError
from contracts.evidence import Anchor, Assignment, Binding, Evidence, GatewayKey, LogProof, SuperProof
from contracts.superlog import Witness, WitnessPolicy, add_cosignature, sign_superlog, superlog_leaf
from contracts.tree import SIZE_END, MemoryTree, consistency_path, inclusion_path, leaf_hash
from contracts.trust import Trust

ORIGIN = "demo.minglou.example/cuiyuan/b07/e0"
SUPER_ORIGIN = "demo.minglou.example/log"
METER = "urn:minglou:cuiyuan:b07:meter:k3v9q2m7x4t8w5zr"
LIFT = "urn:minglou:cuiyuan:b07:lift:l1"
DOOR = "urn:minglou:cuiyuan:b07:access:front"
GATEWAY = "urn:minglou:cuiyuan:b07:gateway:g1"
CHAIN_ID = 31337
START_MS = 1_791_820_800_000  # 2026-10-12 16:00 UTC, a midnight in Shanghai; then one entry every five days
UNIT = sha256(b"unit 0501").digest()

GATEWAY_KEY = p256.key_from_secret(int.from_bytes(sha256(b"gateway").digest()) % p256.ORDER)
OTHER_KEY = p256.key_from_secret(int.from_bytes(sha256(b"another gateway").digest()) % p256.ORDER)
SUPER_KEY = ed25519.key_from_seed(sha256(b"super-log").digest())
WITNESS_KEYS = tuple(ed25519.key_from_seed(sha256(b"witness %d" % n).digest()) for n in range(3))
WITNESSES = tuple(
    Witness(name=f"witness{n}.example/w", public=ed25519.public_bytes(key)) for n, key in enumerate(WITNESS_KEYS)
)
BINDINGS = bytes.fromhex("7c" * 20)  # where the Registry's directory has them
TRUST = Trust(
    chain_id=CHAIN_ID,
    registry=bytes.fromhex("5fbdb2315678afecb367f032d93f642f64180aa3"),
    anchor_log=bytes.fromhex("e7f1725e7734ce288f8367e1bb143e90bb3f0512"),
    usage_fees=bytes.fromhex("9fe46736679d2d9a65f0992f2272de9f3c7fa6e0"),
    super_log_origin=SUPER_ORIGIN,
    super_log_public=ed25519.public_bytes(SUPER_KEY),
    witness_policy=WitnessPolicy(quorum=2, witnesses=WITNESSES),
)
START_S = START_MS // 1000
KEY_FROM_BLOCK, ASSIGNED_BLOCK, ANCHOR_BLOCK, FINAL_BLOCK = 12, 15, 123, 140


def salt(number: int) -> bytes:
    """16 bytes that look random and are always the same."""
    return sha256(b"salt %d" % number).digest()[:16]


def entries() -> list[tuple[Entry, bytes]]:
    """One entry of every kind and shape with its detail bytes, then readings up to 21 entries."""
    meter, lift, door, gateway = (device_id(urn) for urn in (METER, LIFT, DOOR, GATEWAY))
    visit_digest, block_hash = sha256(b"visit record").digest(), sha256(b"block 100").digest()
    shapes: list[tuple[Kind, bytes, str, int, dict[str, object] | bytes | None]] = [
        (Kind.GATEWAY, gateway, "epoch.open", 0, {"claim_code": "7K4M-Q2", "software": "0.1.0"}),
        (Kind.BEACON, gateway, f"block:{CHAIN_ID}", 100, block_hash),
        (Kind.READING, meter, "1-0:1.8.0*20261023", 1_200_000, {"source": "freeze", "meter_time": "2026-10-23T00:00"}),
        (Kind.READING, meter, "1-0:1.8.0", 1_200_450, None),
        (Kind.STATUS, lift, "lift.mode", 2, {"楼": "七号", "flags": ["normal", True, -5]}),
        (Kind.ACCESS, door, "access.granted", 1, {"credential": "ab" * 32}),
        (Kind.VISIT, lift, "visit", 3, visit_digest),
        (Kind.STATUS, lift, "visit.verdict", 3, {"visit": visit_digest.hex(), "level": 3}),
        (Kind.READING, meter, "1-0:2.8.0", -77, None),
        (Kind.READING, meter, "1-0:1.8.0*20261127", 1_322_456, {"source": "freeze", "meter_time": "2026-11-27T00:00"}),
    ]
    shapes += [(Kind.READING, meter, "1-0:1.8.0", 1_322_456 + 10 * n, None) for n in range(11)]
    return [_entry(number, *shape) for number, shape in enumerate(shapes)]


def _entry(
    number: int, kind: Kind, device: bytes, quantity: str, value: int, detail: dict[str, object] | bytes | None
) -> tuple[Entry, bytes]:
    encoded = encode_detail(detail, salt=salt(1000 + number)) if isinstance(detail, dict) else b""
    digest = detail if isinstance(detail, bytes) else detail_digest(encoded) if encoded else NO_DETAIL
    entry = Entry(
        kind=kind, device=device, observed_at_ms=START_MS + 5 * 86_400_000 * number, quantity=quantity, value=value,
        detail_digest=digest, salt=salt(number),
    )  # fmt: skip
    return entry, encoded


@dataclass
class Chain:
    """What Registry, Bindings and AnchorLog hold, answered as a node answers. Records are lists of 32-byte words."""

    chain_id: int = CHAIN_ID
    finalized: int = FINAL_BLOCK
    keys: dict[tuple[bytes, bytes], tuple[int, int, int]] = field(default_factory=dict)
    assignments: dict[bytes, list[tuple[bytes | int, ...]]] = field(default_factory=dict)
    bindings: dict[bytes, list[tuple[bytes | int, ...]]] = field(default_factory=dict)
    anchors: list[Anchor] = field(default_factory=list)
    anchored_at_s: int = START_S + 105 * 86_400
    is_silent: bool = False

    def rpc(self, method: str, parameters: list[Any]) -> Any:
        if self.is_silent:
            raise RpcError("the node does not answer")
        match method, parameters:
            case "eth_chainId", []:
                return hex(self.chain_id)
            case "eth_getBlockByNumber", ["finalized", False]:
                return {"number": hex(self.finalized)}
            case "eth_getBlockByNumber", [number, False]:
                return self._block(int(number, 16))
            case "eth_getLogs", [{"blockHash": block_hash, "address": address, "topics": [topic]}]:
                return [log for log in map(self._log, self.anchors) if _has(log, block_hash, address, topic)]
            case "eth_call", [{"to": to, "data": data}, "latest"] if to in (_hex(TRUST.registry), _hex(BINDINGS)):
                asked = bytes.fromhex(data[2:])
                return _hex(b"".join(_word(word) for word in self._call(asked, of_bindings=to == _hex(BINDINGS))))
        raise AssertionError(f"{method} {parameters}: no such question is expected")

    def _block(self, number: int) -> dict[str, str] | None:
        return next(
            (
                {"number": hex(number), "hash": _hex(anchor.block_hash), "timestamp": hex(self.anchored_at_s)}
                for anchor in self.anchors
                if anchor.block == number
            ),
            None,
        )

    def _log(self, anchor: Anchor) -> dict[str, Any]:
        return {
            "address": _hex(anchor.contract),
            "topics": [onchain.ANCHORED_TOPIC, _hex(_word(anchor.size))],
            "data": _hex(anchor.root),
            "blockHash": _hex(anchor.block_hash),
            "transactionHash": _hex(anchor.transaction),
            "removed": False,
        }

    def _call(self, data: bytes, *, of_bindings: bool) -> Iterable[bytes | int]:
        selector, words = data[:4].hex(), [data[at : at + 32] for at in range(4, len(data), 32)]
        assert of_bindings == (selector in (onchain.BINDING_COUNT, onchain.BINDING)), "another contract is asked"
        match selector:
            case onchain.CONTRACT_NAMED:
                assert words == [onchain.BINDINGS], "no other contract is looked for"
                return [bytes(12) + BINDINGS]
            case onchain.GATEWAY_KEY:
                return self.keys.get((words[0], words[1]), (0, 0, 0))
            case onchain.ASSIGNMENT_COUNT:
                return [len(self.assignments.get(words[0], []))]
            case onchain.ASSIGNMENT:
                return self.assignments[words[0]][int.from_bytes(words[1])]
            case onchain.BINDING_COUNT:
                return [len(self.bindings.get(words[0], []))]
            case onchain.BINDING:
                return self.bindings[words[0]][int.from_bytes(words[1])]
        raise AssertionError(f"no view {selector}")


def _has(log: dict[str, Any], block_hash: str, address: str, topic: str) -> bool:
    return bool(log["blockHash"] == block_hash and log["address"] == address and log["topics"][0] == topic)


def _word(value: bytes | int) -> bytes:
    return value if isinstance(value, bytes) else value.to_bytes(32)


def _hex(octets: bytes) -> str:
    return "0x" + octets.hex()


class Deployment:
    """A log of 21 entries, its checkpoint third of five in a super-log, which is anchored at its fifth."""

    def __init__(self, key: p256.PrivateKey = GATEWAY_KEY) -> None:
        self.entries = entries()
        self.log = MemoryTree(leaf_hash(encode_entry(entry)) for entry, _ in self.entries)
        self.public = p256.public_bytes(key)
        self.note = self.checkpoint_note(self.log.size, self.log.root(), key)
        signed = open_checkpoint(self.note, self.public)
        self.super_log = MemoryTree(leaf_hash(b"checkpoint %d of others" % n) for n in range(3))
        self.super_log.append(leaf_hash(superlog_leaf(signed)))
        self.super_log.append(leaf_hash(b"checkpoint 4 of others"))
        self.super_note = self.signed_super_note(5, self.super_log.root())
        self.anchor = Anchor(
            chain_id=CHAIN_ID, contract=TRUST.anchor_log, size=5, root=self.super_log.root(), path=(),
            block=ANCHOR_BLOCK, block_hash=sha256(b"block 123").digest(), transaction=sha256(b"anchor").digest(),
        )  # fmt: skip
        self.chain = self._chain()

    def checkpoint_note(self, size: int, root: bytes, key: p256.PrivateKey, origin: str = ORIGIN) -> str:
        return sign_checkpoint(Checkpoint(origin=origin, size=size, root=root), key, repeatable=True)

    def signed_super_note(self, size: int, root: bytes, witnesses: Iterable[int] = (0, 1, 2)) -> str:
        note = sign_superlog(Checkpoint(origin=SUPER_ORIGIN, size=size, root=root), SUPER_KEY)
        seen_at_s = START_S + 104 * 86_400
        for number in witnesses:
            note = add_cosignature(note, WITNESSES[number], WITNESS_KEYS[number], seen_at_s + number)
        return note

    def evidence(self, index: int) -> Evidence:
        """The whole evidence of one entry."""
        entry, detail = self.entries[index]
        return Evidence(
            row=entry.row,
            detail=decode_detail(detail) if detail else None,
            log=LogProof(
                origin=ORIGIN, index=index, size=self.log.size,
                path=tuple(inclusion_path(self.log.node, index, self.log.size)), checkpoint=self.note,
                key=GatewayKey(public=self.public, key_class="file", from_block=KEY_FROM_BLOCK, to_block=None),
            ),
            assignment=self._assignment(entry),
            super_proof=SuperProof(
                origin=SUPER_ORIGIN, index=3, size=5, path=tuple(inclusion_path(self.super_log.node, 3, 5)),
                note=self.super_note,
            ),
            anchor=self.anchor,
        )  # fmt: skip

    def anchored_later(self) -> Anchor:
        """An anchor of the super-log after two more checkpoints, with the path that refreshes an older proof."""
        grown = MemoryTree(self.super_log.node(0, n) for n in range(5))
        for number in (5, 6):
            grown.append(leaf_hash(b"checkpoint %d of others" % number))
        path = tuple(consistency_path(grown.node, 5, 7))
        return replace(self.anchor, size=7, root=grown.root(), path=path)

    def _assignment(self, entry: Entry) -> Assignment | None:
        urn = next((u for u in (METER, LIFT, DOOR) if device_id(u) == entry.device), None)
        if urn is None:
            return None
        binding = Binding(unit=UNIT, role="own", from_date=date(2026, 10, 23), to_date=None, confirmed=True)
        return Assignment(
            urn=urn, device=entry.device, origin=ORIGIN, first_index=0, last_index=None, block=ASSIGNED_BLOCK,
            binding=binding if urn == METER else None,
        )  # fmt: skip

    def _chain(self) -> Chain:
        origin = onchain.origin_id(ORIGIN)
        devices = [device_id(urn) for urn in (METER, LIFT, DOOR)]
        return Chain(
            keys={(origin, sha256(self.public).digest()): (1, KEY_FROM_BLOCK, 0)},
            assignments={device: [(origin, 0, SIZE_END - 1, ASSIGNED_BLOCK)] for device in devices},
            bindings={devices[0]: [(UNIT, sha256(b"commitment").digest(), 1, 20261023, 0, 1, 1)]},
            anchors=[self.anchor],
        )
