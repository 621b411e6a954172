"""After a period is closed: answer challenges with the boundary entries that we hold, reverse silent ones, debit what
is due.

Anyone may do all of this; the cloud does it because it holds the entries and pays the gas. It answers with what the
gateway signed, whoever that helps.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.billing.kept import read_bill, read_block
from cloud.billing.pool_keys import key_in_table
from cloud.billing.usage import BoundaryEntry, MeterSpan, read_reach, read_spans
from cloud.chain.builders import contract_head, transaction_of
from cloud.chain.deployment import Deployment
from cloud.chain.intents import add_intent
from cloud.chain.proving import entry_proof, wait_for_heads
from cloud.chain.reading import ContractReader
from cloud.chain.sender import AlreadyDone, Builder, NotYet, Transaction
from cloud.chain.view import ChainView, ChallengeRecord, PeriodRecord
from cloud.errors import BillingError
from cloud.store import Store, tables
from contracts.abi import Call
from contracts.bill import BLOCK, BillProof, Line, LineKind
from contracts.calls import challenges, usage_fees
from contracts.calls.charges import EntryProof, LineProof, Span
from contracts.clock import Clock
from contracts.onchain import origin_id
from contracts.person import PersonSignature
from contracts.tariff import Counting, Terms

__all__ = ["Settlement"]

Built = Transaction | AlreadyDone | NotYet
_LOGS_MAX = 3
_RECOMPUTED = (LineKind.OWN, LineKind.SHARED, LineKind.STANDING, LineKind.ESTIMATED)


class Settlement:
    """Wishes and builders of UsageFees' open ends."""

    def __init__(
        self, *, store: Store, reader: ContractReader, deployment: Deployment, view: ChainView, clock: Clock
    ) -> None:
        self._store, self._reader, self._deployment, self._view, self._clock = store, reader, deployment, view, clock

    def builders(self) -> dict[str, Builder]:
        """Builders by the intents' kind."""
        return {
            "answer": self.answer,
            "reverse": self.reverse,
            "debit": self.debit,
            "challenge": self.challenge,
            "withdraw": self.withdraw,
        }

    async def step(self) -> bool:
        """Note what is due, by the chain's own time."""
        wishes = [*self._challenge_wishes(), *self._debit_wishes()]
        if not wishes:
            return False
        async with self._store.read() as connection:
            column = tables.intents.c.business_key
            keys = [key for key, _kind, _params in wishes]
            known = set((await connection.execute(select(column).where(column.in_(keys)))).scalars())
        new = [wish for wish in wishes if wish[0] not in known]
        if new:
            async with self._store.write() as connection:
                for key, kind, params in new:
                    await add_intent(connection, key, kind, params, now_ms=self._clock.now_ms())
        return bool(new)

    def _challenge_wishes(self) -> list[tuple[str, str, dict[str, Any]]]:
        wishes = []
        for (period, unit, line), challenge in self._view.challenges.items():
            if challenge.state == "open":
                kind = "answer" if self._view.head_time_s <= challenge.deadline_s else "reverse"
                params = {"period": period, "unit": unit, "line": line}
                wishes.append((f"{kind}:{period}:{unit}:{line}", kind, params))
        return wishes

    def _debit_wishes(self) -> list[tuple[str, str, dict[str, Any]]]:
        wishes = []
        for period, closed in self._view.periods.items():
            if self._view.head_time_s <= closed.window_end_s:
                continue
            for first in range(0, closed.unit_count, BLOCK):
                times = closed.debits.get(first, [])
                if not times or self._settled_since(closed, first, times[-1]):
                    params = {"period": period, "first": first, "debits": len(times)}
                    wishes.append((f"debit:{period}:{first}:{len(times)}", "debit", params))
        return wishes

    def _settled_since(self, closed: PeriodRecord, first: int, at_s: int) -> bool:
        """Whether a bill of the block that was under challenge at the last debit can be debited now."""
        return any(
            period == closed.period
            and first <= unit < first + BLOCK
            and unit not in closed.paid
            and challenge.settled_at_s is not None
            and challenge.settled_at_s >= at_s
            for (period, unit, _line), challenge in self._view.challenges.items()
        )

    # -- builders ---------------------------------------------------------------------------------------------------

    async def debit(self, params: Mapping[str, Any]) -> Built:
        """`{"period", "first", "debits"}`: one aligned block of bills, as posted."""
        period, first, before = int(params["period"]), int(params["first"]), int(params["debits"])
        closed = self._view.periods.get(period)
        if closed is None:
            return NotYet(says="the period is not closed on the followed chain")
        if len(closed.debits.get(first, [])) > before:
            return AlreadyDone(says="the block was debited")
        async with self._store.read() as connection:
            found = await read_block(connection, self._deployment, period, first)
        if found is None:
            return NotYet(says="the operator has not uploaded the period's bills")
        bills, path = found
        call = usage_fees.debit(
            self._deployment.usage_fees,
            period=period,
            first_index=first,
            bills=bills,
            path=path,
        )
        return transaction_of(call)

    async def reverse(self, params: Mapping[str, Any]) -> Built:
        """`{"period", "unit", "line"}`: nobody could answer in time, so the line falls."""
        challenge = self._challenge(params)
        if challenge is None:
            return NotYet(says="the challenge is not on the followed chain")
        if challenge.state != "open":
            return AlreadyDone(says=f"the challenge is {challenge.state}")
        call = challenges.reverse(
            self._deployment.challenges,
            period=challenge.period,
            unit_index=challenge.unit_index,
            number=challenge.line,
        )
        return transaction_of(call)

    async def answer(self, params: Mapping[str, Any]) -> Built:
        """`{"period", "unit", "line"}`: the boundary entries of the challenged line, under the gateway's accepted
        head.
        """
        challenge = self._challenge(params)
        if challenge is None:
            return NotYet(says="the challenge is not on the followed chain")
        if challenge.state != "open" or self._view.head_time_s > challenge.deadline_s:
            return AlreadyDone(
                says=f"the challenge is {challenge.state}, its time to answer ends at {challenge.deadline_s}"
            )
        async with self._store.read() as connection:
            proof = await self._bill(connection, challenge.period, challenge.unit_index)
            if proof is None:
                return NotYet(says="the operator has not uploaded the period's bills")
            if challenge.line == challenges.PLACE_BILL:
                return transaction_of(self._show(challenge, proof))
            line = proof.bill.lines[challenge.line]
            record = self._view.tariffs.get(line.tariff)
            if record is None or line.kind not in _RECOMPUTED:
                return AlreadyDone(says="no contract recomputes this line; the arbiter judges it")
            try:
                during, before = await self._spans(connection, challenge, line, record.terms)
                key = await key_in_table(
                    connection,
                    self._view,
                    line,
                    record.terms,
                    period=challenge.period,
                    unit_index=challenge.unit_index,
                )
            except BillingError as error:
                return NotYet(says=str(error))
            entries = [
                entry for span in (*(span for _, span in during), *before) for entry in (span.opening, span.closing)
            ]
            origins = list(dict.fromkeys(entry.origin for entry in entries))
            if len(origins) > _LOGS_MAX:
                return NotYet(says=f"the line's entries lie in {len(origins)} logs; an answer takes {_LOGS_MAX}")
            places = [(entry.origin, entry.index) for entry in entries]
            now_ms = self._clock.now_ms()
            behind = await wait_for_heads(self._store, connection, self._view, places, now_ms=now_ms)
            if behind is not None:
                return behind
            sizes = {origin: self._view.head(origin).size for origin in origins}
            answer = LineProof(
                terms=record.terms,
                logs=[(origin_id(origin), contract_head(self._view.head(origin))) for origin in origins],
                before=[await self._span(connection, span, 0, origins, sizes) for span in before],
                during=[await self._span(connection, span, place, origins, sizes) for place, span in during],
                key=key,
            )
        call = challenges.answer(
            self._deployment.challenges,
            period=challenge.period,
            unit_index=challenge.unit_index,
            number=challenge.line,
            line=line,
            proof=answer,
        )
        return transaction_of(call)

    def _show(self, challenge: ChallengeRecord, proof: BillProof) -> Call:
        """The demanded bill, as it was posted."""
        return challenges.show(
            self._deployment.challenges,
            period=challenge.period,
            unit_index=challenge.unit_index,
            bill=proof.bill,
            path=proof.path,
            lines=proof.bill.lines,
        )

    async def challenge(self, params: Mapping[str, Any]) -> Built:
        """`{"period", "unit", "line", "signature"}`: an owner's signed challenge, relayed."""
        period, unit, line = int(params["period"]), int(params["unit"]), int(params["line"])
        if self._challenge(params) is not None:
            return AlreadyDone(says="the line is challenged")
        async with self._store.read() as connection:
            proof = await self._bill(connection, period, unit)
        if proof is None:
            return NotYet(says="the operator has not uploaded the period's bills")
        bill = proof.bill
        call = challenges.open_challenge(
            self._deployment.challenges,
            period=period,
            unit_index=unit,
            bill=bill,
            path=proof.path,
            lines=bill.lines,
            number=line,
            signature=_signature(params["signature"]),
        )
        return transaction_of(call)

    async def withdraw(self, params: Mapping[str, Any]) -> Built:
        """`{"unit", "amount", "to", "signature"}`: an owner's signed withdrawal, relayed; the nonce tells whether it is
        done.
        """
        signature = _signature(params["signature"])
        asked = usage_fees.account(self._deployment.usage_fees, unit_index=int(params["unit"]))
        account = usage_fees.parse_account(await self._reader.call(asked.to, asked.data))
        if account.nonce >= signature.nonce:
            return AlreadyDone(says="the account has moved past this signature's nonce")
        call = usage_fees.withdraw(
            self._deployment.usage_fees, amount=int(params["amount"]), recipient=str(params["to"]), signature=signature
        )
        return transaction_of(call)

    # -- entries ----------------------------------------------------------------------------------------------------

    async def _bill(self, connection: AsyncConnection, period: int, unit: int) -> BillProof | None:
        return await read_bill(connection, self._view, self._deployment, period, unit)

    def _challenge(self, params: Mapping[str, Any]) -> ChallengeRecord | None:
        return self._view.challenges.get((int(params["period"]), int(params["unit"]), int(params["line"])))

    async def _spans(
        self, connection: AsyncConnection, challenge: ChallengeRecord, line: Line, terms: Terms
    ) -> tuple[list[tuple[int, MeterSpan]], Sequence[MeterSpan]]:
        """Over the line's days, each with its register's place; and before them, by the total register."""
        if line.kind is LineKind.STANDING:
            return [], ()
        is_own = line.kind is not LineKind.SHARED
        subject = self._view.roll[challenge.unit_index].alias if is_own else line.subject

        async def spans(register: str, from_date: int, to_date: int) -> Sequence[MeterSpan]:
            return await read_spans(
                connection,
                self._view,
                subject=subject,
                role=1 if is_own else 2,
                register=register,
                from_date=from_date,
                to_date=to_date,
            )

        until = line.to_date
        if line.kind is LineKind.ESTIMATED:
            reach = await read_reach(
                connection,
                self._view,
                (subject, 1),
                names=terms.registers,
                from_date=line.from_date,
                to_date=line.to_date,
            )
            if reach is None:
                raise BillingError("no entry measures the estimate yet; until one does the arbiter judges it")
            until = reach
        during = [
            (place, span)
            for place, register in enumerate(terms.registers)
            for span in await spans(register, line.from_date, until)
        ]
        counts_before = terms.counting is not Counting.NONE and line.since != line.from_date
        return during, await spans(line.quantity, line.since, line.from_date) if counts_before else ()

    async def _span(
        self,
        connection: AsyncConnection,
        span: MeterSpan,
        register: int,
        origins: Sequence[str],
        sizes: Mapping[str, int],
    ) -> Span:
        if span.opening.origin != span.closing.origin:
            raise BillingError(f"meter {span.device.hex()[:12]}… changed its gateway inside the line's days")
        size = sizes[span.opening.origin]
        return Span(
            from_date=span.from_date,
            to_date=span.to_date,
            opening=await self._entry_proof(connection, span.opening, size),
            closing=await self._entry_proof(connection, span.closing, size),
            register=register,
            gateway=origins.index(span.opening.origin),
        )

    async def _entry_proof(self, connection: AsyncConnection, entry: BoundaryEntry, size: int) -> EntryProof:
        proof = await entry_proof(connection, entry.log_id, entry.index, size)
        if proof is None:
            raise BillingError(f"{entry.origin}: entry {entry.index} was erased; nobody can show it any more")
        return proof


def _signature(fields: Mapping[str, Any]) -> PersonSignature:
    """A person's signature as the outbox keeps it."""
    return PersonSignature(
        key_id=bytes.fromhex(fields["key_id"]),
        nonce=int(fields["nonce"]),
        deadline=int(fields["deadline"]),
        r=int(fields["r"]),
        s=int(fields["s"]),
        authenticator_data=bytes.fromhex(fields.get("authenticator_data", "")),
        client_data=bytes.fromhex(fields.get("client_data", "")),
    )
