"""One month of the test site: what the meters counted, the bills, one of them padded, and the answers to challenges."""

from collections.abc import Sequence
from dataclasses import dataclass

from contracts.bill import Bill, BillTree, Line, LineKind, Node, shares
from contracts.calls import challenges, usage_fees
from contracts.calls.charges import LineProof, Span
from contracts.key_table import NO_KEY, KeyProof
from contracts.person import Purpose
from tests.contracts.vyper.chain import Receipt
from tests.contracts.vyper.site import (
    AREAS,
    CLOSING,
    CLOSING_AT,
    COMMON,
    ENERGY,
    METERS,
    OPENING,
    PERIOD,
    POOL,
    POOL_METER,
    RESIDENTIAL,
    Site,
    cost,
    span,
)

SINCE = 20260901
PRIOR = (2_600_000, 300_000, 4_000_000)  # Wh from 1 September to 1 November
USED = (350_000, 120_000, 900_000)  # Wh in November: unit 0 crosses the first tier, unit 2 the second
POOL_USED = 61_803
PADDING = 12_345  # fen that the operator adds to unit 0's line


@dataclass
class Month:
    """The closed month and where its boundary entries stand in the gateway's log."""

    site: Site
    bills: list[Bill]
    tree: BillTree
    receipt: Receipt
    indexes: dict[tuple[bytes, int], int]

    def path(self, unit_index: int) -> tuple[Node, ...]:
        return self.tree.path(unit_index)

    def span(self, meter: bytes, from_date: int, to_date: int) -> Span:
        log = self.site.log
        size = self.site.heads[log.origin].size
        return span(log, size, self.indexes[meter, from_date], self.indexes[meter, to_date])

    def open(self, unit_index: int, number: int = 0, *, signer: int | None = None, by: str | None = None) -> Receipt:
        site, bill = self.site, self.bills[unit_index]
        signature = site.sign(
            unit_index if signer is None else signer,
            Purpose.CHALLENGE,
            bill.period,
            unit_index,
            number,
            bill.lines_digest,
        )
        call = challenges.open_challenge(
            site.challenges,
            period=bill.period,
            unit_index=unit_index,
            bill=bill,
            path=self.path(unit_index),
            lines=bill.lines,
            number=number,
            signature=signature,
        )
        return site.chain.send(by or site.stranger, call)

    def answer(
        self,
        unit_index: int,
        number: int = 0,
        *,
        before: list[Span] | None = None,
        during: list[Span] | None = None,
        line: Line | None = None,
        by: str | None = None,
        key: KeyProof = NO_KEY,
    ) -> Receipt:
        site = self.site
        line = line or self.bills[unit_index].lines[number]
        meter = line.subject if line.kind is LineKind.OWN else POOL_METER
        if before is None:
            before = [self.span(meter, SINCE, OPENING)] if line.kind is LineKind.OWN else []
        during = [self.span(meter, OPENING, CLOSING)] if during is None else during
        proof = LineProof(
            terms=(RESIDENTIAL if line.tariff == 1 else COMMON).terms,
            logs=[(site.log.origin_id, site.heads[site.log.origin])],
            before=before,
            during=during,
            key=key,
        )
        call = challenges.answer(
            site.challenges, period=PERIOD, unit_index=unit_index, number=number, line=line, proof=proof
        )
        return site.chain.send(by or site.operator, call)

    def challenge(self, unit_index: int, number: int = 0) -> challenges.Challenge:
        call = challenges.challenge(self.site.challenges, period=PERIOD, unit_index=unit_index, number=number)
        return challenges.parse_challenge(self.site.chain.view(call))

    def status(self, unit_index: int) -> usage_fees.BillStatus:
        call = usage_fees.status(self.site.usage_fees, period=PERIOD, unit_index=unit_index)
        return usage_fees.parse_status(self.site.chain.view(call))

    def account(self, unit_index: int) -> usage_fees.Account:
        call = usage_fees.account(self.site.usage_fees, unit_index=unit_index)
        return usage_fees.parse_account(self.site.chain.view(call))

    def debit(self, first_index: int = 0, by: str | None = None) -> Receipt:
        call = usage_fees.debit(
            self.site.usage_fees,
            period=PERIOD,
            first_index=first_index,
            bills=self.bills[first_index : first_index + 64],
            path=self.tree.block_path(first_index),
        )
        return self.site.chain.send(by or self.site.stranger, call)


def log_month(site: Site, *, pool_used: int = POOL_USED, size: int = 1000) -> dict[tuple[bytes, int], int]:
    """The meters' boundary entries in the gateway's log of this size, accepted on chain."""
    indexes: dict[tuple[bytes, int], int] = {}
    dates = (SINCE, OPENING, CLOSING)
    for place, date in enumerate(dates):
        site.log.fill(site.log.tree.size + 40)
        for meter, prior, used in zip(METERS, PRIOR, USED, strict=True):
            value = 1_000_000 + (0, prior, prior + used)[place]
            indexes[meter, date] = site.log.read(meter, date, value)
        indexes[POOL_METER, date] = site.log.read(POOL_METER, date, 5_000 + (0, 0, pool_used)[place])
    site.log.fill(size)
    site.accept(site.log)
    return indexes


def month_bills(
    site: Site, *, padding: int = PADDING, pool_used: int = POOL_USED, shared_padding: Sequence[int] = (0, 0, 0)
) -> list[Bill]:
    """The bills, with what the operator adds to unit 0's own line and to each unit's share."""
    parts = shares(cost(COMMON, used=pool_used), AREAS)
    bills = []
    for index, (meter, prior, used) in enumerate(zip(METERS, PRIOR, USED, strict=True)):
        amount = cost(RESIDENTIAL, used=used, prior=prior) + (padding if index == 0 else 0)
        shared = Line(
            kind=LineKind.SHARED,
            subject=POOL,
            quantity=ENERGY,
            tariff=2,
            since=OPENING,
            from_date=OPENING,
            to_date=CLOSING,
            usage=pool_used,
            amount=parts[index] + shared_padding[index],
        )
        bills.append(site.bill(index, site.line(meter, used, amount, since=SINCE), shared))
    return bills


def close_month(
    site: Site,
    *,
    padding: int = PADDING,
    pool_used: int = POOL_USED,
    shared_padding: Sequence[int] = (0, 0, 0),
    size: int = 1000,
) -> Month:
    """Log the month, close it on chain, and put money and a mandate into every account."""
    site.chain.wait_until(CLOSING_AT + 3600)
    indexes = log_month(site, pool_used=pool_used, size=size)
    bills = month_bills(site, padding=padding, pool_used=pool_used, shared_padding=shared_padding)
    for unit_index in range(3):
        fund(site, unit_index)
    tree, receipt = site.close(bills)
    return Month(site, bills, tree, receipt, indexes)


def fund(site: Site, unit_index: int, amount: int = 200_000, cap: int = 150_000) -> None:
    site.chain.send(site.stranger, usage_fees.top_up(site.usage_fees, unit_index=unit_index, amount=amount))
    signature = site.sign(unit_index, Purpose.MANDATE, unit_index, cap)
    site.chain.send(site.stranger, usage_fees.set_mandate(site.usage_fees, cap=cap, signature=signature))
