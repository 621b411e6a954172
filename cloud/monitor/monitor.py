"""One round of watching: the super-log, the gateways' logs behind it, the audit log, the witnesses and the chain's
anchors.

What was verified is remembered, so that the next round checks the growth only, and a history that differs from the one
seen before becomes a proof in a file. A monitor knows what it has seen: it watches from its first round on.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path

from cloud.monitor.audit import AuditWatch
from cloud.monitor.chain import WatchedChain
from cloud.monitor.finding import ASK, Finding, Kind
from cloud.monitor.growth import Diverged, Grown
from cloud.monitor.memory import SUPER, Memory, SeenHead
from cloud.monitor.proofs import fork_report, super_fork
from cloud.monitor.seen import compare_log, side_of
from cloud.monitor.settings import MonitorSettings
from cloud.monitor.sources import LogSource, Unreachable, Web, Withheld
from contracts.checkpoint import Checkpoint, is_audit_origin, parse_checkpoint
from contracts.errors import ContractsError, RpcError
from contracts.superlog import open_superlog, parse_superlog_leaf, superlog_leaf_of, verify_cosignatures
from contracts.tree import leaf_hash, root_of
from contracts.trust import Trust

__all__ = ["Monitor"]

_log = logging.getLogger("monitor")
_BLOCKS_AGAIN = 64
_ANCHORS_RECENT = 256


class Monitor:
    """Follows one deployment. `round` answers with all that is wrong now."""

    def __init__(
        self,
        settings: MonitorSettings,
        trust: Trust,
        memory: Memory,
        web: Web,
        chain: WatchedChain | None,
        clock_s: Callable[[], int],
    ) -> None:
        self._settings, self._trust, self._memory = settings, trust, memory
        self._web, self._chain, self._clock_s = web, chain, clock_s
        self._super = LogSource(web, f"{settings.cloud_url}/log")
        self._proofs = settings.state_dir / "proofs"
        self._found: list[Finding] = []
        self._audit = AuditWatch(settings, trust, memory, web, clock_s, say=self._say, remember=self._remember)

    def round(self) -> list[Finding]:
        """Look at everything once."""
        self._found = [*self._kept_proofs()]
        # The chain before the cloud: what was anchored by then must be served by now.
        self._try("chain", self._read_chain)
        self._try("cloud", self._follow_super_log)
        self._try(self._audit.origin, self._audit.follow)
        for origin in self._memory.origins():
            if origin.startswith(self._settings.site):
                self._try(origin, partial(self._follow_gateway, origin))
        for name, url in self._settings.witnesses:
            self._try(f"witness {name}", partial(self._ask_witness, name, url))
        for origin, url in self._settings.gateways:
            self._try(f"gateway {origin}", partial(self._ask_gateway, origin, url))
        return self._found

    def summary(self) -> dict[str, object]:
        """What is known to be right, for the round's own line."""
        head = self._memory.head(SUPER)
        return {
            "super_log": head.size if head else 0,
            "anchored": self._memory.fact("anchored", 0),
            "logs": {
                origin: seen.size
                for origin in self._memory.origins()
                if (seen := self._memory.head(origin)) is not None
            },
        }

    # The super-log.

    def _follow_super_log(self) -> None:
        note = self._super.checkpoint()
        if note is None:
            self._add(
                Kind.GAP, SUPER, "the cloud serves no checkpoint", "wait for its first anchor, or ask its operator"
            )
            return
        head = open_superlog(note, self._trust.super_log_origin, self._trust.super_log_public)
        seen = self._memory.head(SUPER)
        if seen is None or head.size > seen.size:
            self._extend_super_log(note, seen)
        elif root_of(self._memory.nodes(SUPER), head.size) != head.root:
            self._super_forked(seen.note, note, None)
        elif head.size < seen.size:
            says = f"the cloud serves {head.size} checkpoints and has served {seen.size}"
            self._add(Kind.ROLLBACK, SUPER, says, "was its database brought back from an older copy? " + ASK)
        self._check_cosignatures(note, head.size)
        self._check_stale(SUPER)
        held = self._memory.head(SUPER)
        self._check_anchors(held.size if held else 0)
        self._check_unanchored(held.size if held else 0)

    def _extend_super_log(self, note: str, seen: SeenHead | None) -> None:
        head = open_superlog(note, self._trust.super_log_origin, self._trust.super_log_public)
        result = compare_log(self._memory, self._super, SUPER, head.size, head.root)
        if result is None:
            says = f"the tiles served do not hash to the root signed for {head.size} checkpoints"
            self._add(Kind.GAP, SUPER, says, ASK)
        elif isinstance(result, Diverged):
            assert seen is not None
            self._super_forked(seen.note, note, result)
        else:
            size = seen.size if seen else 0
            entries = self._super.entries(size, head.size)
            if [leaf_hash(entry) for entry in entries] != list(result.new):
                raise Withheld(f"the entries served behind {size} are not those of the tree")
            self._keep_super_log(
                entries, result, SeenHead(size=head.size, root=head.root, note=note, grown_at_s=self._clock_s()), size
            )

    def _keep_super_log(self, entries: list[bytes], result: Grown, head: SeenHead, size: int) -> None:
        audit_heads = list[tuple[int, bytes]]()
        with self._memory.transaction():
            self._memory.append(SUPER, size, list(result.new))
            for number, entry in enumerate(entries, size):
                try:
                    checkpoint, _ = parse_superlog_leaf(entry)
                except ContractsError as error:
                    self._add(Kind.SIGNATURE, SUPER, f"leaf {number}: {error}", ASK)
                    continue
                if is_audit_origin(checkpoint.origin):
                    audit_heads.append((number, entry))
                    continue
                other = self._memory.leaf(checkpoint.origin, checkpoint.size)
                if other is not None and parse_superlog_leaf(other)[0].root != checkpoint.root:
                    self._gateway_forked(checkpoint.origin, fork_report(self._proofs, self._trust, other, entry))
                self._memory.keep_leaf(checkpoint.origin, checkpoint.size, entry)
            self._audit.take(audit_heads)
            self._memory.keep_head(SUPER, head)

    def _super_forked(self, seen: str, note: str, diverged: Diverged | None) -> None:
        ours = None
        if diverged is not None:
            head = self._memory.head(SUPER)
            assert head is not None
            ours = side_of(self._memory, SUPER, diverged.index, head.size)
        index = None if diverged is None else diverged.index
        path = super_fork(self._proofs, seen, note, index=index, a=ours, b=diverged.other if diverged else None)
        says = "the super-log's key has signed two histories"
        self._remember(Finding(kind=Kind.FORK, log=SUPER, says=says, remedy="show the proof to everybody: manager and "
                               "committee name a successor in AnchorLog", proof=str(path)))  # fmt: skip

    def _check_cosignatures(self, note: str, size: int) -> None:
        policy = self._trust.witness_policy
        try:
            count = len(verify_cosignatures(note, policy))
        except ContractsError as error:
            self._add(Kind.COSIGNATURES, SUPER, str(error), ASK)
            return
        if count >= policy.quorum:
            self._memory.keep_fact("uncosigned_since", None)
        elif self._lasts("uncosigned_since", self._settings.cosign_s):
            says = f"checkpoint {size} has {count} cosignatures of the {policy.quorum} that the trust file asks for"
            self._add(Kind.COSIGNATURES, SUPER, says, "ask the witnesses' keepers; /v1/status says who is missing")

    # The chain.

    def _read_chain(self) -> None:
        """Learn of new anchors and keys; the anchors are judged once the cloud's tree is there to compare."""
        if self._chain is None:
            return
        newest, first = self._chain.newest_block(), self._settings.from_block
        reached = self._memory.fact("blocks_to", first - 1)
        # Blocks near the end are read again: some may have been replaced, and a node may be behind the last one asked.
        start = max(first, reached + 1 - _BLOCKS_AGAIN)
        self._chain.read_keys(first, newest)
        anchored, anchored_in = self._memory.fact("anchored", 0), self._memory.fact("anchored_in", reached)
        pending, recent = self._memory.fact("pending_anchors", []), self._memory.fact("recent_anchors", [])
        for anchor in self._chain.anchors(start, newest):
            if [anchor.size, anchor.root.hex()] in recent:
                continue
            if anchor.size < anchored and anchor.block > anchored_in:
                says = f"block {anchor.block} anchors {anchor.size} checkpoints after {anchored} were anchored"
                self._remember(Finding(kind=Kind.ROLLBACK, log="anchors", says=says, remedy=ASK))
            anchored, anchored_in = max((anchored, anchored_in), (anchor.size, anchor.block))
            recent = [*recent, [anchor.size, anchor.root.hex()]][-_ANCHORS_RECENT:]
            pending.append([anchor.size, anchor.root.hex(), anchor.block])
        with self._memory.transaction():
            self._memory.keep_fact("anchored", anchored)
            self._memory.keep_fact("anchored_in", anchored_in)
            self._memory.keep_fact("recent_anchors", recent)
            self._memory.keep_fact("pending_anchors", pending)
            self._memory.keep_fact("blocks_to", max(reached, newest))

    def _check_anchors(self, held: int) -> None:
        """Each anchored root must be that of the tree which the cloud serves; what cannot be judged now is kept."""
        waiting, unjudged = [], []
        for size, root, block in self._memory.fact("pending_anchors", []):
            if size > held:
                waiting.append([size, root, block])
            elif not self._try("anchors", partial(self._judge_anchor, size, root, block)):
                unjudged.append([size, root, block])
        self._memory.keep_fact("pending_anchors", [*waiting, *unjudged])
        if waiting:
            says = f"the chain holds an anchor of {waiting[-1][0]} checkpoints, the cloud serves {held}"
            self._add(Kind.ROLLBACK, "anchors", says, "what was anchored must be served; " + ASK)

    def _judge_anchor(self, size: int, root: str, block: int) -> None:
        if root_of(self._memory.nodes(SUPER), size).hex() == root:
            self._check_anchored_note(size, root)
        else:
            says = f"block {block} anchors another root for {size} checkpoints than the cloud serves"
            self._remember(Finding(kind=Kind.ANCHOR, log="anchors", says=says, remedy=ASK))

    def _check_anchored_note(self, size: int, root: str) -> None:
        """What is anchored must have been cosigned by enough: this very head, not another one."""
        note, policy, count = self._super.checkpoint(size), self._trust.witness_policy, 0
        if note is not None:
            shown = open_superlog(note, self._trust.super_log_origin, self._trust.super_log_public)
            if (shown.size, shown.root.hex()) != (size, root):
                raise Withheld(f"the note served for the anchored checkpoint {size} is another one, of {shown.size}")
            count = len(verify_cosignatures(note, policy))
        if count < policy.quorum:
            says = (
                f"{size} checkpoints were anchored with {count} cosignatures; the trust file asks for {policy.quorum}"
            )
            self._remember(Finding(kind=Kind.COSIGNATURES, log="anchors", says=says, remedy=ASK))

    def _check_unanchored(self, size: int) -> None:
        anchored, since = self._memory.fact("anchored", 0), self._memory.fact("unanchored_since")
        if size <= anchored:
            self._memory.keep_fact("unanchored_since", None)
        elif since is None or since[1] < anchored or since[0] > self._clock_s():
            self._memory.keep_fact("unanchored_since", [self._clock_s(), anchored])
        elif self._clock_s() - since[0] > self._settings.unanchored_s:
            says = (
                f"{size - anchored} checkpoints wait for an anchor since {(self._clock_s() - since[0]) // 60} minutes"
            )
            self._add(Kind.UNANCHORED, SUPER, says, "after 24 hours the committee may anchor by itself")

    # Gateways.

    def _follow_gateway(self, origin: str) -> None:
        seen = self._memory.head(origin)
        leaves = self._signed(origin, self._memory.leaves(origin, seen.size if seen else 0))
        if leaves:
            self._extend_gateway(origin, leaves)
        self._check_stale(origin)

    def _signed(self, origin: str, leaves: list[bytes]) -> list[bytes]:
        """Those that one of the log's keys signed. Our node may lag behind the cloud and not know a new key yet: so
        nothing is followed past a leaf without one for a while, and only then is that a proven wrong.
        """
        if self._chain is None:
            return leaves
        unsigned = [at for at, leaf in enumerate(leaves) if not self._chain.has_signed(leaf)]
        if not unsigned:
            self._memory.keep_fact(f"unsigned_since {origin}", None)
            return leaves
        size = parse_superlog_leaf(leaves[unsigned[0]])[0].size
        says = f"no key that the Registry ever gave to this log signed its checkpoint of {size} entries"
        finding = Finding(kind=Kind.SIGNATURE, log=origin, says=says, remedy=ASK)
        if self._lasts(f"unsigned_since {origin}", self._settings.cosign_s):
            self._remember(finding)
            return [leaf for at, leaf in enumerate(leaves) if at not in unsigned]
        self._found.append(finding)
        return leaves[: unsigned[0]]

    def _extend_gateway(self, origin: str, leaves: list[bytes]) -> None:
        """Let all new checkpoints of a gateway lie on one tree, which begins with the one seen before."""
        source = LogSource(self._web, f"{self._settings.cloud_url}/v1/logs/{origin}")
        newest, _ = parse_superlog_leaf(leaves[-1])
        result = compare_log(self._memory, source, origin, newest.size, newest.root)
        if result is None:
            says = f"the tiles served do not hash to the root that the gateway signed for {newest.size} entries"
            self._add(Kind.GAP, origin, says, ASK)
        elif isinstance(result, Diverged):
            self._two_leaves(origin, leaves[-1], result)
        else:
            self._keep_gateway(origin, leaves, result)

    def _keep_gateway(self, origin: str, leaves: list[bytes], result: Grown) -> None:
        newest, _ = parse_superlog_leaf(leaves[-1])
        seen = self._memory.head(origin)
        with self._memory.transaction():
            self._memory.append(origin, seen.size if seen else 0, list(result.new))
            head = SeenHead(size=newest.size, root=newest.root, note="", grown_at_s=self._clock_s())
            self._memory.keep_head(origin, head)
        nodes = self._memory.nodes(origin)
        for leaf in leaves:
            checkpoint, _ = parse_superlog_leaf(leaf)
            if root_of(nodes, checkpoint.size) != checkpoint.root:
                says = (
                    f"the gateway's checkpoint of {checkpoint.size} entries is not one of the history that its "
                    f"checkpoint of {newest.size} signs; its own entries would prove where they part"
                )
                self._remember(Finding(kind=Kind.FORK, log=origin, says=says, remedy=ASK))

    def _two_leaves(self, origin: str, leaf: bytes, diverged: Diverged) -> None:
        seen = self._memory.head(origin)
        assert seen is not None
        held = self._memory.first_leaf_above(origin, diverged.index, seen.size)
        assert held is not None, "a verified head is one of the kept checkpoints"
        ours = side_of(self._memory, origin, diverged.index, parse_superlog_leaf(held)[0].size)
        path = fork_report(self._proofs, self._trust, held, leaf, index=diverged.index, a=ours, b=diverged.other)
        self._gateway_forked(origin, path)

    def _gateway_forked(self, origin: str, proof: Path) -> None:
        remedy = f"bring the proof to the chain: minglou chain submit {proof} --rpc URL --key FILE"
        says = "the gateway's key has signed two histories"
        self._remember(Finding(kind=Kind.FORK, log=origin, says=says, remedy=remedy, proof=str(proof)))

    def _ask_gateway(self, origin: str, url: str) -> None:
        """The gateway's own newest checkpoint, past the cloud: it must lie on the same tree."""
        note = self._web.note(f"{url}/checkpoint")
        if note is None:
            return
        leaf = superlog_leaf_of(note)
        checkpoint, _ = parse_superlog_leaf(leaf)
        if checkpoint.origin != origin or (self._chain is not None and not self._chain.has_signed(leaf)):
            self._add(Kind.SIGNATURE, origin, f"{url} shows a checkpoint that is not this gateway's", ASK)
            return
        seen, held = self._memory.head(origin), self._memory.leaf(origin, checkpoint.size)
        if held is not None and parse_superlog_leaf(held)[0].root != checkpoint.root:
            self._gateway_forked(origin, fork_report(self._proofs, self._trust, held, leaf))
        elif seen is not None and not self._has_root(origin, checkpoint, seen):
            says = f"the gateway shows another history of {checkpoint.size} entries than the cloud"
            self._remember(Finding(kind=Kind.FORK, log=origin, says=says, remedy=ASK))

    # Witnesses.

    def _ask_witness(self, name: str, url: str) -> None:
        """What a witness cosigned last must be of the same history as the cloud shows us."""
        note = self._web.note(f"{url}/{sha256(self._trust.super_log_origin.encode()).hexdigest()}/checkpoint")
        if note is None:
            return
        head = open_superlog(note, self._trust.super_log_origin, self._trust.super_log_public)
        seen = self._memory.head(SUPER)
        if seen is not None and not self._has_root(SUPER, head, seen):
            self._super_forked(seen.note, note, None)
        elif seen is None or head.size > seen.size:
            again = parse_checkpoint(self._super.checkpoint() or note)
            if again.size < head.size:
                says = f"the witness {name} has cosigned {head.size} checkpoints, the cloud serves {again.size}"
                self._add(Kind.ROLLBACK, f"witness {name}", says, ASK)

    # What all need.

    def _has_root(self, log: str, checkpoint: Checkpoint, seen: SeenHead) -> bool:
        """Whether a checkpoint is of the tree that was seen, as far as that reaches."""
        return checkpoint.size > seen.size or root_of(self._memory.nodes(log), checkpoint.size) == checkpoint.root

    def _lasts(self, since: str, seconds: int) -> bool:
        """Whether it is longer than that ago that this was noticed first; a time to come was a wrong clock's."""
        noticed, now_s = self._memory.fact(since), self._clock_s()
        if noticed is None or noticed > now_s:
            self._memory.keep_fact(since, now_s)
            return False
        return now_s - int(noticed) > seconds

    def _check_stale(self, log: str) -> None:
        seen = self._memory.head(log)
        if seen is not None and seen.grown_at_s > self._clock_s():  # a clock that was wrong must not silence us
            self._memory.keep_head(log, replace(seen, grown_at_s=self._clock_s()))
        elif seen is not None and self._clock_s() - seen.grown_at_s > self._settings.stale_s:
            says = f"no new checkpoint since {(self._clock_s() - seen.grown_at_s) // 60} minutes, size {seen.size}"
            self._add(
                Kind.STALE, log, says, "is the gateway, its uplink or the cloud off? After 48 hours anyone may flag it"
            )

    def _try(self, who: str, look: Callable[[], None]) -> bool:
        """Look; whether that told something. What goes wrong is a finding of its own and keeps from no other look."""
        try:
            look()
            return True
        except (Unreachable, RpcError) as error:
            self._add(Kind.UNREACHABLE, who, str(error), "nothing is known of it until it answers")
        except Withheld as error:
            self._add(Kind.GAP, who, str(error), "what a signed checkpoint covers must be served; " + ASK)
        except ContractsError as error:
            self._add(Kind.SIGNATURE, who, str(error), ASK)
        except Exception as error:  # noqa: BLE001 - a monitor that dies of what one of them answers is silent about all
            _log.exception("monitor: %s", who)
            says = f"{type(error).__name__}: {error}"[:300]
            self._add(Kind.MONITOR, who, says, "has its disk room? else report the lines on stderr to Minglou")
        return False

    def _add(self, kind: Kind, log: str, says: str, remedy: str) -> None:
        self._found.append(Finding(kind=kind, log=log, says=says, remedy=remedy))

    def _say(self, finding: Finding) -> None:
        self._found.append(finding)

    def _remember(self, finding: Finding) -> None:
        """A proven wrong stays said in every round from now on."""
        kept = self._memory.fact("proven", [])
        row = [finding.kind, finding.log, finding.says, finding.remedy, finding.proof]
        if all(one[:2] != row[:2] for one in kept):
            self._memory.keep_fact("proven", [*kept, row])
            self._found.append(finding)

    def _kept_proofs(self) -> list[Finding]:
        return [
            Finding(kind=Kind(kind), log=log, says=says, remedy=remedy, proof=proof)
            for kind, log, says, remedy, proof in self._memory.fact("proven", [])
        ]
