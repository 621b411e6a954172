"""What the chain says: the anchors of the super-log, and the keys of the gateways."""

from dataclasses import dataclass, field
from typing import Any

from contracts import p256
from contracts.abi import AbiError
from contracts.calls import registry_events
from contracts.errors import KeyFormatError, RpcError, SignatureError
from contracts.onchain import ANCHORED_TOPIC, Rpc
from contracts.superlog import parse_superlog_leaf
from contracts.trust import Trust

__all__ = ["AnchoredRoot", "WatchedChain"]

_BLOCKS_AT_ONCE = 5_000
_BLOCKS_AGAIN = 64  # near the end, where blocks may have been replaced
_KEY_TOPIC = "0x" + registry_events.GatewayKeySet.FORM.topic.hex()


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchoredRoot:
    """One `Anchored` event."""

    size: int
    root: bytes
    block: int


@dataclass(slots=True)
class WatchedChain:
    """One deployment's chain through one node. Every method raises `RpcError`."""

    rpc: Rpc
    trust: Trust
    keys: dict[str, list[bytes]] = field(default_factory=dict)  # origin: x || y, every key it ever had
    _keys_to: int | None = None

    def newest_block(self) -> int:
        """The newest block's number; refuses a node of another chain."""
        chain_id = _number(self.rpc("eth_chainId", []))
        if chain_id != self.trust.chain_id:
            raise RpcError(f"this node serves chain {chain_id}, not {self.trust.chain_id}; ask one of that chain")
        return _number(self.rpc("eth_blockNumber", []))

    def anchors(self, start: int, end: int) -> list[AnchoredRoot]:
        """The anchors in blocks start..end, in order."""
        found = []
        for log in self._logs(self.trust.anchor_log, ANCHORED_TOPIC, start, end):
            try:
                size, root = int(log["topics"][1], 16), bytes.fromhex(str(log["data"]).removeprefix("0x"))
            except (KeyError, IndexError, ValueError, TypeError) as error:
                raise RpcError("the node gave an Anchored event that is none; try another node") from error
            found.append(AnchoredRoot(size=size, root=root, block=_number(log.get("blockNumber"))))
        return found

    def read_keys(self, start: int, end: int) -> None:
        """Learn the gateways' keys that were registered up to block `end`."""
        begin = start if self._keys_to is None else max(start, self._keys_to + 1 - _BLOCKS_AGAIN)
        for log in self._logs(self.trust.registry, _KEY_TOPIC, begin, end):
            try:
                topics = [bytes.fromhex(topic.removeprefix("0x")) for topic in log["topics"]]
                event = registry_events.parse_event(topics, bytes.fromhex(str(log["data"]).removeprefix("0x")))
            except (KeyError, ValueError, AttributeError, AbiError) as error:
                raise RpcError("the node gave a GatewayKeySet event that is none; try another node") from error
            if isinstance(event, registry_events.GatewayKeySet):
                keys, public = self.keys.setdefault(event.origin, []), event.x.to_bytes(32) + event.y.to_bytes(32)
                if public not in keys:
                    keys.append(public)
        self._keys_to = max(end, start - 1 if self._keys_to is None else self._keys_to)

    def has_signed(self, leaf: bytes) -> bool:
        """Whether one of the gateway's keys signed this leaf's checkpoint."""
        checkpoint, signature = parse_superlog_leaf(leaf)
        for public in self.keys.get(checkpoint.origin, ()):
            try:
                p256.verify(public, checkpoint.body().encode(), signature)
            except (SignatureError, KeyFormatError):
                continue
            return True
        return False

    def _logs(self, address: bytes, topic: str, start: int, end: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while start <= end:
            last = min(end, start + _BLOCKS_AT_ONCE - 1)
            question = {
                "address": "0x" + address.hex(), "topics": [topic], "fromBlock": hex(start), "toBlock": hex(last),
            }  # fmt: skip
            answer = self.rpc("eth_getLogs", [question])
            if not isinstance(answer, list) or not all(isinstance(log, dict) for log in answer):
                raise RpcError("the node answered eth_getLogs with something else than a list; try another node")
            found += answer
            start = last + 1
        return found


def _number(value: object) -> int:
    try:
        return int(str(value), 16)
    except ValueError as error:
        raise RpcError(f"the node answered {str(value)[:40]!r} where a number belongs; try another node") from error
