"""What every proof shares that reaches the chain through the super-log: its checks from the super-log outwards."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import ClassVar

from contracts.errors import EvidenceError
from contracts.evidence import Anchor, SuperProof
from contracts.onchain import ChainView
from contracts.report import Check, CheckName, NotCheckedError, Outcome, State, run_check
from contracts.superlog import open_superlog, parse_superlog, verify_cosignatures
from contracts.tree import leaf_hash, verify_consistency, verify_inclusion
from contracts.trust import Trust


class AnchoredProof(ABC):
    """One run over one file.

    Each `_check_` method returns what it found, raises `ContractsError` when that is wrong and `NotCheckedError` when
    it cannot tell, or when it rests on a check that did not pass.
    """

    _leaf_is: ClassVar[str]
    _remedies: ClassVar[Mapping[CheckName, str]]

    def __init__(
        self, super_proof: SuperProof | None, anchor: Anchor | None, trust: Trust | None, chain: ChainView | None
    ) -> None:
        self._super, self._anchor = super_proof, anchor
        self._trust, self._chain = trust, chain
        self._outcomes: dict[CheckName, Outcome] = {}
        self._super_root = b""
        self._anchored_at_s: int | None = None
        self._witnessed: str | None = None

    @abstractmethod
    def _super_leaf(self) -> bytes:
        """The leaf data that the super-log must hold; asked for where the check `checkpoint` has passed."""

    def _run(self, name: CheckName, step: Callable[[], str]) -> Check:
        check = run_check(name, step, self._remedies[name])
        self._outcomes[name] = check.outcome
        return check

    def _has_passed(self, name: CheckName) -> bool:
        return self._outcomes.get(name) is Outcome.PASSED

    def _needs(self, *names: CheckName) -> None:
        """Raises `NotCheckedError` unless the checks that this one rests on have passed."""
        for name in names:
            if not self._has_passed(name):
                raise NotCheckedError(f"rests on the check {name}, which has not passed")

    def _reached(self) -> State:
        """How far a proof goes whose log is signed, as far as nothing failed."""
        if self._has_passed(CheckName.FINALITY):
            return State.FINAL
        return State.ANCHORED if self._has_passed(CheckName.ANCHOR) else State.LOGGED

    # What the super-log and its witnesses said.

    def _check_super_signature(self) -> str:
        proof = self._require_super()
        trust = self._trust
        if trust is None:
            said = parse_superlog(proof.note)
        else:
            if proof.origin != trust.super_log_origin:
                raise EvidenceError(f"the file names super-log {proof.origin}, you trust {trust.super_log_origin}")
            said = open_superlog(proof.note, trust.super_log_origin, trust.super_log_public)
        if (said.origin, said.size) != (proof.origin, proof.size):
            raise EvidenceError(f"the file names {proof.origin} at {proof.size}, its note {said.origin} at {said.size}")
        self._super_root = said.root
        if trust is None:
            raise NotCheckedError("whose super-log this is, only a trust file tells: --trust trust.json")
        return f"signed by the super-log you trust, over {proof.size} checkpoints"

    def _check_super_inclusion(self) -> str:
        proof = self._require_super()
        self._needs(CheckName.CHECKPOINT)
        if not self._super_root:
            raise NotCheckedError(f"rests on the check {CheckName.SUPER_SIGNATURE}, which has not passed")
        verify_inclusion(leaf_hash(self._super_leaf()), proof.index, proof.size, proof.path, self._super_root)
        return f"{self._leaf_is} is number {proof.index} of the super-log"

    def _check_witnesses(self) -> str:
        proof = self._require_super()
        policy = self._require_trust().witness_policy
        if not policy.witnesses:
            raise NotCheckedError("the trust file names no witnesses")
        self._needs(CheckName.SUPER_SIGNATURE)
        cosignatures = verify_cosignatures(proof.note, policy)
        self._witnessed = f"witnessed {len(cosignatures)} of {len(policy.witnesses)}"
        if len(cosignatures) < policy.quorum:
            raise EvidenceError(f"{self._witnessed}; your trust file asks for {policy.quorum}")
        return self._witnessed

    # What the chain says.

    def _check_anchor(self) -> str:
        proof, anchor = self._require_anchor()
        self._needs(CheckName.SUPER_INCLUSION)
        verify_consistency(proof.size, self._super_root, anchor.size, anchor.root, anchor.path)
        trust = self._require_trust()
        if (anchor.chain_id, anchor.contract) != (trust.chain_id, trust.anchor_log):
            raise EvidenceError(
                f"anchored at 0x{anchor.contract.hex()} on chain {anchor.chain_id}; "
                f"you trust 0x{trust.anchor_log.hex()} on chain {trust.chain_id}"
            )
        self._anchored_at_s = self._require_chain().anchored_at_s(anchor)
        if self._anchored_at_s is None:
            raise EvidenceError(f"the chain knows no such anchor in block {anchor.block}")
        return f"the super-log's root stands on chain {anchor.chain_id} in block {anchor.block}"

    def _check_finality(self) -> str:
        _, anchor = self._require_anchor()
        self._needs(CheckName.ANCHOR)
        finalized = self._require_chain().finalized_block()
        if finalized < anchor.block:
            raise NotCheckedError(f"block {anchor.block} is not final yet, {finalized} is; ask again later")
        return f"block {anchor.block} is final"

    # What the checks need to be made at all.

    def _require_super(self) -> SuperProof:
        if self._super is None:
            raise NotCheckedError("the super-log does not hold the checkpoint yet; ask again later")
        return self._super

    def _require_anchor(self) -> tuple[SuperProof, Anchor]:
        if self._anchor is None:
            raise NotCheckedError("the super-log is not anchored yet; ask again later")
        return self._require_super(), self._anchor

    def _require_trust(self) -> Trust:
        if self._trust is None:
            raise NotCheckedError("internally consistent, origin unknown: name your roots with --trust trust.json")
        return self._trust

    def _require_chain(self) -> ChainView:
        if self._chain is None:
            raise NotCheckedError("only the chain knows: name your roots and a node, --trust trust.json --rpc URL")
        return self._chain
