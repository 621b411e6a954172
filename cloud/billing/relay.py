"""Owners' signed acts on their way to the chain: checked here so that nobody waits for a transaction that cannot pass,
then queued.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cloud.billing.kept import read_bill
from cloud.chain.deployment import Deployment
from cloud.chain.intents import add_intent, intent_state
from cloud.chain.view import ChainView
from cloud.store import Store
from contracts import p256
from contracts.clock import Clock
from contracts.errors import ContractsError
from contracts.person import KeyKind, Purpose, key_id_of, person_digest

__all__ = ["Relay", "Relayed", "SignedAct"]

_DEADLINE_MARGIN_S = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedAct:
    """A software key's signature over a person digest, as a page sends it."""

    public: bytes  # 64: x || y
    nonce: int
    deadline_s: int
    signature: bytes  # 64: r || s

    def to_json(self) -> dict[str, str]:
        """As the outbox keeps it."""
        return {
            "key_id": key_id_of(self.public).hex(),
            "nonce": str(self.nonce),
            "deadline": str(self.deadline_s),
            "r": str(int.from_bytes(self.signature[:32])),
            "s": str(int.from_bytes(self.signature[32:])),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Relayed:
    """Whether an act was queued. `code` is stable: queued, known, or why not."""

    accepted: bool
    code: str
    says: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Relay:
    """Takes signed acts. The contract checks all of this again: the relay can refuse, never forge."""

    store: Store
    view: ChainView
    deployment: Deployment
    clock: Clock

    async def challenge(self, period: int, unit_index: int, line: int, act: SignedAct) -> Relayed:
        """An owner's challenge of one line of a posted bill."""
        closed = self.view.periods.get(period)
        async with self.store.read() as connection:
            proof = await read_bill(connection, self.view, self.deployment, period, unit_index)
        if closed is None or proof is None:
            return Relayed(accepted=False, code="unknown_bill", says="this bill is not posted; reload the page")
        if not 0 <= line < len(proof.bill.lines):
            return Relayed(accepted=False, code="unknown_line", says="the bill has no such line; reload the page")
        if self.view.head_time_s > closed.window_end_s:
            return Relayed(accepted=False, code="window_over", says="the time to challenge this bill is over")
        if (period, unit_index, line) in self.view.challenges:
            return Relayed(accepted=True, code="known", says="the line is challenged already")
        body = Purpose.CHALLENGE.body_digest(period, unit_index, line, proof.bill.lines_digest)
        refusal = self._check(act, unit_index, Purpose.CHALLENGE, body)
        if refusal is not None:
            return refusal
        params = {"period": period, "unit": unit_index, "line": line, "signature": act.to_json()}
        return await self._queue(f"challenge:{period}:{unit_index}:{line}", "challenge", params)

    async def withdraw(self, unit_index: int, amount: int, to: str, act: SignedAct) -> Relayed:
        """An owner's withdrawal from the unit's prepaid balance."""
        body = Purpose.WITHDRAW.body_digest(unit_index, amount, to)
        refusal = self._check(act, unit_index, Purpose.WITHDRAW, body)
        if refusal is not None:
            return refusal
        params = {"unit": unit_index, "amount": str(amount), "to": to, "signature": act.to_json()}
        return await self._queue(f"withdraw:{unit_index}:{act.nonce}", "withdraw", params)

    def _check(self, act: SignedAct, unit_index: int, purpose: Purpose, body_digest: bytes) -> Relayed | None:
        key = self.view.owner_keys.get(key_id_of(act.public))
        unit = None if key is None else self.view.units.get(key.unit)
        if key is None or not key.is_in_force or unit is None or unit.index != unit_index:
            return Relayed(accepted=False, code="unknown_key", says="this key is not registered for this unit")
        if key.kind != KeyKind.SOFTWARE:
            return Relayed(
                accepted=False, code="wrong_kind", says="this key is a passkey; sign with it on the page that made it"
            )
        if act.deadline_s < self.view.head_time_s + _DEADLINE_MARGIN_S:
            return Relayed(accepted=False, code="too_late", says="the signature's deadline has passed; sign again")
        digest = person_digest(
            chain_id=self.deployment.chain_id,
            contract=self.deployment.challenges if purpose is Purpose.CHALLENGE else self.deployment.usage_fees,
            purpose=purpose,
            key_id=key_id_of(act.public),
            nonce=act.nonce,
            deadline=act.deadline_s,
            body_digest=body_digest,
        )
        try:
            p256.verify(act.public, digest, act.signature)
        except ContractsError as error:
            return Relayed(accepted=False, code="bad_signature", says=f"{error}; reload the page and sign again")
        return None

    async def _queue(self, key: str, kind: str, params: Mapping[str, Any]) -> Relayed:
        async with self.store.write() as connection:
            is_new = await add_intent(connection, key, kind, params, now_ms=self.clock.now_ms())
        if is_new:
            return Relayed(accepted=True, code="queued")
        async with self.store.read() as connection:
            state, says = await intent_state(connection, key) or ("pending", "")
        if state == "refused":
            return Relayed(accepted=False, code="refused", says=says)
        return Relayed(accepted=True, code="known", says=state)
