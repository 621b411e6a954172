"""The audit log as outsiders see it: its heads in the super-log must be of one tree that only grows.

Whose key signed them does not matter: the operator says each by putting it into the super-log, under the key that
`trust.json` names.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from cloud.monitor.finding import ASK, Finding, Kind
from cloud.monitor.growth import Diverged
from cloud.monitor.memory import SUPER, Memory, SeenHead
from cloud.monitor.proofs import PlacedHead, audit_fork
from cloud.monitor.seen import compare_log, side_of
from cloud.monitor.settings import MonitorSettings
from cloud.monitor.sources import LogSource, Web
from contracts.checkpoint import Checkpoint, audit_origin
from contracts.superlog import parse_superlog, parse_superlog_leaf
from contracts.tree import root_of
from contracts.trust import Trust

__all__ = ["AuditWatch"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Placed:
    """A head of the audit log with its place in the super-log."""

    place: int
    leaf: bytes

    @property
    def head(self) -> Checkpoint:
        return parse_superlog_leaf(self.leaf)[0]


class AuditWatch:
    """Follows the audit log of one deployment by its heads in the super-log and its tiles of hashes."""

    def __init__(
        self,
        settings: MonitorSettings,
        trust: Trust,
        memory: Memory,
        web: Web,
        clock_s: Callable[[], int],
        *,
        say: Callable[[Finding], None],
        remember: Callable[[Finding], None],
    ) -> None:
        self.origin = audit_origin(trust.super_log_origin)
        self._settings, self._memory, self._clock_s = settings, memory, clock_s
        self._source = LogSource(web, f"{settings.cloud_url}/audit")
        self._say, self._remember = say, remember

    def take(self, leaves: list[tuple[int, bytes]]) -> None:
        """Leaves that the super-log holds, with their places; judged in `follow`. In the caller's transaction."""
        own = list[list[object]]()
        for place, leaf in leaves:
            if _Placed(place=place, leaf=leaf).head.origin == self.origin:
                own.append([place, leaf.hex()])
            else:
                says = f"leaf {place} is a head of an audit log that is not this deployment's, {self.origin}"
                self._say(Finding(kind=Kind.SIGNATURE, log=SUPER, says=says, remedy=ASK))
        if own:
            self._memory.keep_fact("audit_pending", [*self._memory.fact("audit_pending", []), *own])

    def follow(self) -> None:
        """Judge the heads that came; say where the log has grown and none came. Raises `Unreachable`, `Withheld`."""
        pending = _placed(self._memory.fact("audit_pending", []))
        if pending:
            self._find_shrunk(pending)
            if not self._judge(pending):
                return
            with self._memory.transaction():
                self._memory.keep_fact("audit_pending", [])
                self._memory.keep_fact("audit_last", [[pending[-1].place, pending[-1].leaf.hex()]])
        self._check_served()

    def _find_shrunk(self, pending: list[_Placed]) -> None:
        heads = [*_placed(self._memory.fact("audit_last", [])), *pending]
        for before, after in pairwise(heads):
            if after.head.size < before.head.size:
                says = f"the audit log shrank from {_shown(before)} to {_shown(after)}: entries were cut"
                self._remember(Finding(kind=Kind.ROLLBACK, log=self.origin, says=says, remedy=ASK))

    def _judge(self, pending: list[_Placed]) -> bool:
        """Let all heads lie on one tree, which begins with the one seen before; whether that could be told."""
        seen = self._memory.head(self.origin)
        largest = max(pending, key=lambda one: one.head.size)
        if seen is None or largest.head.size > seen.size:
            result = compare_log(self._memory, self._source, self.origin, largest.head.size, largest.head.root)
            if result is None:
                says = f"the tiles served of the audit log do not hash to {_shown(largest)}"
                self._say(Finding(kind=Kind.GAP, log=self.origin, says=says, remedy=ASK))
                return False
            if isinstance(result, Diverged):
                self._forked(self._largest(), largest, result)
                return True
            with self._memory.transaction():
                self._memory.append(self.origin, seen.size if seen else 0, list(result.new))
                head = SeenHead(size=largest.head.size, root=largest.head.root, note="", grown_at_s=self._clock_s())
                self._memory.keep_head(self.origin, head)
                self._memory.keep_fact("audit_largest", [[largest.place, largest.leaf.hex()]])
        nodes = self._memory.nodes(self.origin)
        for one in pending:
            if root_of(nodes, one.head.size) != one.head.root:
                self._forked(self._largest(), one, None)
        return True

    def _forked(self, one: _Placed, other: _Placed, diverged: Diverged | None) -> None:
        size = self._super_size()
        heads = [PlacedHead(leaf=each.leaf, place=each.place, side=side_of(self._memory, SUPER, each.place, size))
                 for each in (one, other)]  # fmt: skip
        head = self._memory.head(SUPER)
        index = None if diverged is None else diverged.index
        ours = None if diverged is None else side_of(self._memory, self.origin, diverged.index, one.head.size)
        path = audit_fork(
            self._settings.state_dir / "proofs", head.note if head else "", *heads, index=index, a=ours,
            b=None if diverged is None else diverged.other,
        )  # fmt: skip
        says = f"the audit log was rewritten: {_shown(one)} and {_shown(other)} are not of one history"
        remedy = "the super-log holds both heads: show the proof to the committee and the regulator"
        self._remember(Finding(kind=Kind.FORK, log=self.origin, says=says, remedy=remedy, proof=str(path)))

    def _check_served(self) -> None:
        """What is served as newest must be of the tree that was seen, and be in the super-log soon."""
        note, last = self._source.checkpoint(), _placed(self._memory.fact("audit_last", []))
        placed = last[0].head.size if last else 0
        served = parse_superlog(note).size if note is not None else 0
        if served < placed:
            says = f"the cloud serves an audit log of {served} entries, the super-log holds {_shown(last[0])}"
            self._say(Finding(kind=Kind.ROLLBACK, log=self.origin, says=says, remedy=ASK))
        waiting, now_s = self._memory.fact("audit_waiting"), self._clock_s()
        if served <= placed:
            self._memory.keep_fact("audit_waiting", None)
        elif waiting is None or waiting[1] != placed or waiting[0] > now_s:
            self._memory.keep_fact("audit_waiting", [now_s, placed])
        elif now_s - waiting[0] > self._settings.stale_s:
            says = (
                f"the audit log has {served} entries; the super-log holds no newer head of it than that of {placed}, "
                f"for {(now_s - waiting[0]) // 60} minutes"
            )
            remedy = "until then no witness and no anchor covers what was looked at; ask the operator"
            self._say(Finding(kind=Kind.STALE, log=self.origin, says=says, remedy=remedy))

    def _largest(self) -> _Placed:
        (found,) = _placed(self._memory.fact("audit_largest"))
        return found

    def _super_size(self) -> int:
        head = self._memory.head(SUPER)
        assert head is not None, "heads come from a super-log that was seen"
        return head.size


def _placed(kept: list[list[object]]) -> list[_Placed]:
    return [_Placed(place=int(str(place)), leaf=bytes.fromhex(str(leaf))) for place, leaf in kept]


def _shown(one: _Placed) -> str:
    return f"the head of {one.head.size} entries with root {one.head.root.hex()} (leaf {one.place} of the super-log)"
