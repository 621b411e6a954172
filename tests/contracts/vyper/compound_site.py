"""A random compound on a chain: enrolled, metered, billed and closed, each line recomputed and challenged there."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from random import Random
from typing import Any, TypeVar

from contracts.abi import Call, padded
from contracts.bill import Bill, BillProof, BillTree, Line
from contracts.bill_file import bill_to_json
from contracts.calls import (
    bindings_changes,
    challenges,
    charges,
    registry,
    registry_changes,
    roll,
    roll_changes,
    tariffs,
    token,
    usage_fees,
)
from contracts.calls.charges import Bounds, LineProof, Span
from contracts.calls.roll import PoolKeys
from contracts.entry import Entry
from contracts.key_table import NO_KEY, key_proof_to_json
from contracts.p256 import PrivateKey
from contracts.person import Purpose
from contracts.tariff import Basis, Key, Tariff
from tests.contracts.vyper.chain import Chain, Receipt
from tests.contracts.vyper.compound import VALID_FROM, Charge, Compound, Part, Subject
from tests.contracts.vyper.conftest import undone
from tests.contracts.vyper.fund_site import Votes
from tests.contracts.vyper.site import (
    BINDING,
    BOND_FLOOR,
    DAY,
    GATEWAY_KEY,
    NEIGHBOUR,
    NEIGHBOUR_KEY,
    OFFSET,
    ORIGIN,
    SITE,
    WEB_ORIGIN,
    WINDOW,
    GatewayLog,
    Site,
    key_of,
    name,
    span,
)

CALLS_MAX = 30  # of one announced batch, a little below the Registry's limit
BALANCE, PLENTY = 10**15, 10**18  # fen
HIRE_THE_FIRM, PASSED = 4, 4
T = TypeVar("T")
TABLE_KIND = 2  # of the roll's tables: floor factors


class EmptySite:
    """The contracts without anything enrolled; every compound begins here and is undone."""

    def __init__(self, chain: Chain) -> None:
        self.votes = Votes(chain, contract="OutcomeStandIn")
        self.site = Site(chain, assembly=self.votes.address)

    @contextmanager
    def closed(self, compound: Compound, *, tampered: Random | None = None) -> Iterator["ClosedPeriod"]:
        """The compound's period closed with its bills, of which one line may be tampered with; undone afterwards."""
        with undone(self.site):
            enrol(self.site, self.votes, compound)
            yield close(self.site, compound, tampered)


# --- Enrolment ---


def enrol(site: Site, votes: Votes, compound: Compound) -> None:
    """Roll, keys, gateways, meters, tables and tariffs, with all delays really waited for."""
    codes = [name(f"code {index}") for index in range(len(compound.units))]
    aliases = [unit.subject.alias for unit in compound.units]
    letters = [sha256(code).digest() for code in codes]
    site.chain.send(site.committee, roll.post_letters(site.roll, units=aliases, digests=letters))
    calls = [*_ground(site, compound), *_people(site, compound, codes), *_meters(site, compound)]
    batches = list(_pieces(calls, CALLS_MAX))
    numbers = [site.approved(*batch) for batch in batches]
    _price(site, votes, compound)
    site.chain.wait(7 * DAY)
    for number, batch in zip(numbers, batches, strict=True):
        site.enact_batch(number, *batch)
    for account in (site.operator, site.stranger):
        site.chain.send(site.deployer, token.mint(site.token, recipient=account, amount=PLENTY))
        site.chain.send(account, token.approve(site.token, spender=site.usage_fees, amount=2**200))
    site.chain.send(site.operator, usage_fees.post_bond(site.usage_fees, amount=2 * BOND_FLOOR))


def _ground(site: Site, compound: Compound) -> Iterator[Call]:
    new = [
        roll_changes.NewUnit(
            alias=unit.subject.alias, area_centi_m2=unit.area_centi_m2, category=unit.category, head=index, floor=index
        )
        for index, unit in enumerate(compound.units)
    ]
    for units in _pieces(new, roll_changes.UNITS_MAX):
        yield site.units_change(units)
    rp = sha256(b"localhost").digest()
    yield roll_changes.set_relying_party(site.roll, number=0, rp_id_hash=rp, origin=WEB_ORIGIN)
    yield registry_changes.set_role(site.registry, role=registry.OPERATOR, account=site.operator)
    yield registry_changes.set_role(site.registry, role=padded("arbiter"), account=site.stranger)
    yield site.gateway_change(ORIGIN, GATEWAY_KEY)
    yield site.gateway_change(NEIGHBOUR, NEIGHBOUR_KEY)
    for number, log in enumerate((site.log, site.neighbour)):
        devices = [meter.device for one in compound.subjects for meter in one.meters if meter.gateway == number]
        for some in _pieces(devices, 20):
            yield registry_changes.assign_devices(site.registry, origin_id=log.origin_id, first_index=0, devices=some)


def _people(site: Site, compound: Compound, codes: Sequence[bytes]) -> Iterator[Call]:
    for index, unit in enumerate(compound.units):
        yield site.owner_key_change(unit.subject.alias, owner_key(index), codes[index])
        for since, persons in unit.residents:
            yield roll_changes.set_residents(site.roll, unit=unit.subject.alias, from_date=since, count=persons)
    for pool in compound.pools:
        yield roll_changes.add_pool(site.roll, pool=pool.subject.alias)
        if pool.subject.terms.key is Key.TABLE and pool.table:
            root = pool.table.root
            keys = PoolKeys(
                root=root.hash, total=root.sums, kind=TABLE_KIND, unit_count=len(pool.keys), valid_from=VALID_FROM
            )
            yield roll_changes.set_pool_keys(site.roll, pool=pool.subject.alias, keys=keys)


def _meters(site: Site, compound: Compound) -> Iterator[Call]:
    for subject in compound.subjects:
        for meter in subject.meters:
            yield site.binding_change(
                subject.alias, meter.device, role=subject.role, from_date=meter.from_date, commitment=BINDING
            )
            if meter.to_date:
                yield bindings_changes.end_binding(
                    site.bindings,
                    subject=subject.alias,
                    device=meter.device,
                    to_date=meter.to_date,
                    commitment=BINDING,
                )


def _price(site: Site, votes: Votes, compound: Compound) -> None:
    """All tariffs, announced and approved; a fee by floor area with the owners' resolution for it."""
    for version, terms in enumerate(compound.tariffs, start=1):
        tariff = Tariff(terms=terms, valid_from=VALID_FROM)
        site.chain.send(site.manager, tariffs.announce(site.tariffs, tariff=tariff))
        resolution = version if terms.basis is Basis.AREA else 0
        if resolution:
            payload = sha256(tariffs.resolution_payload(tariff)).digest()
            votes.tell(resolution, PASSED, HIRE_THE_FIRM, payload, 0, 0)
        site.chain.send(site.committee, tariffs.approve(site.tariffs, version=version, resolution=resolution))


def owner_key(index: int) -> PrivateKey:
    """The key of the unit's owner."""
    return key_of(5000 + index)


# --- The period ---


@dataclass
class ClosedPeriod:
    """A closed period: its bills as posted, what each line should say, and where the boundary entries stand."""

    site: Site
    compound: Compound
    charges: list[list[Charge]]
    bills: list[Bill]
    tree: BillTree
    indexes: dict[tuple[bytes, str, int], int]
    tampered: tuple[int, int] | None

    @property
    def places(self) -> Iterator[tuple[int, int]]:
        """(unit, line) of every line."""
        return ((unit, number) for unit, lines in enumerate(self.charges) for number in range(len(lines)))

    def right(self, unit: int, number: int) -> int:
        """Fen of a line, as Python has it."""
        return self.charges[unit][number].line.amount

    def is_for_arbiter(self, unit: int, number: int) -> bool:
        charge = self.charges[unit][number]
        call = charges.is_for_arbiter(self.site.charges, line=self.bills[unit].lines[number], terms=charge.terms)
        return charges.parse_is_for_arbiter(self.site.chain.view(call))

    def recomputed(self, unit: int, number: int) -> int:
        """Fen of a line, as the contract recomputes it from the evidence. Raises Reverted where it cannot."""
        bounds = Bounds(
            period=self.compound.period,
            unit_index=unit,
            unit_count=len(self.bills),
            total_area=sum(one.area_centi_m2 for one in self.compound.units),
        )
        line = self.bills[unit].lines[number]
        call = charges.right_amount(self.site.charges, bounds=bounds, line=line, proof=self.proof(unit, number))
        return charges.parse_right_amount(self.site.chain.view(call))

    def proof(self, unit: int, number: int) -> LineProof:
        charge = self.charges[unit][number]
        subject, line, terms = charge.subject, charge.line, charge.terms
        if subject is None:
            return LineProof(terms=terms)
        key = NO_KEY
        if charge.pool and charge.pool.table:
            key = charge.pool.table.proof(unit, posted=terms.key is Key.VOLUME)
        return LineProof(
            terms=terms,
            logs=[(log.origin_id, self.site.heads[log.origin]) for log in _logs(self.site)],
            before=self._spans(subject, terms.quantity, 0, line.since, line.from_date),
            during=[
                span
                for place, register in enumerate(terms.registers)
                for span in self._spans(subject, register, place, line.from_date, line.to_date)
            ],
            key=key,
        )

    def _spans(self, subject: Subject, register: str, place: int, first: int, last: int) -> list[Span]:
        return [self._span(part, register, place) for part in subject.parts(first, last)]

    def _span(self, part: Part, register: str, place: int) -> Span:
        log = _logs(self.site)[part.gateway]
        opening, closing = (self.indexes[part.device, register, day] for day in (part.from_date, part.to_date))
        return replace(span(log, log.tree.size, opening, closing), register=place, gateway=part.gateway)

    # --- What a browser gets ---

    def files(self) -> list[dict[str, Any]]:
        """Each unit's bill file, and for each of its lines the readings and the key that the line's page hands over."""
        terms = {version: one.encode() for version, one in enumerate(self.compound.tariffs, start=1)}
        return [
            {"file": bill_to_json(self._bill_proof(unit, terms)), "lines": [self._handed(unit, at) for at in numbers]}
            for unit, numbers in enumerate(range(len(lines)) for lines in self.charges)
        ]

    def _bill_proof(self, unit: int, terms: Mapping[int, bytes]) -> BillProof:
        bill = self.bills[unit]
        named = tuple((version, terms[version]) for version in sorted({line.tariff for line in bill.lines}))
        return BillProof(
            bill=bill, path=self.tree.path(unit), unit_count=len(self.bills), root=self.tree.root, terms=named
        )

    def _handed(self, unit: int, number: int) -> dict[str, Any]:
        charge, proof = self.charges[unit][number], self.proof(unit, number)
        readings: dict[tuple[bytes, str], dict[str, Any]] = {}
        for counted in (*proof.before, *proof.during):
            for end in (counted.opening, counted.closing):
                assert charge.subject is not None
                readings[end.entry.device, end.entry.quantity] = _reading(charge.subject, end.entry)
        return {
            "readings": list(readings.values()),
            "key": key_proof_to_json(proof.key) if proof.key.path or proof.key.key else None,
        }

    # --- What owners, the operator and the arbiter do ---

    def open(self, unit: int, number: int) -> Receipt:
        bill = self.bills[unit]
        body = (bill.period, unit, number, bill.lines_digest)
        signature = self.site.sign(unit, Purpose.CHALLENGE, *body, key=owner_key(unit))
        call = challenges.open_challenge(
            self.site.challenges,
            period=bill.period,
            unit_index=unit,
            bill=bill,
            path=self.tree.path(unit),
            lines=bill.lines,
            number=number,
            signature=signature,
        )
        return self.site.chain.send(self.site.stranger, call)

    def answer(self, unit: int, number: int) -> Receipt:
        bill, proof = self.bills[unit], self.proof(unit, number)
        call = challenges.answer(
            self.site.challenges,
            period=bill.period,
            unit_index=unit,
            number=number,
            line=bill.lines[number],
            proof=proof,
        )
        return self.site.chain.send(self.site.operator, call)

    def judge(self, unit: int, number: int) -> Receipt:
        """The arbiter's word: what Python has."""
        call = challenges.judge(
            self.site.challenges,
            period=self.compound.period,
            unit_index=unit,
            number=number,
            line=self.bills[unit].lines[number],
            terms=self.charges[unit][number].terms,
            charge=self.right(unit, number),
            reason=name("reasons"),
        )
        return self.site.chain.send(self.site.stranger, call)

    def stands_at(self, unit: int, number: int) -> int:
        """Fen at which a challenged line stands."""
        call = challenges.challenge(self.site.challenges, period=self.compound.period, unit_index=unit, number=number)
        return challenges.parse_challenge(self.site.chain.view(call)).charge

    def debit(self) -> Receipt:
        """After the window, all bills at once."""
        self.site.chain.wait(WINDOW + 3600)
        call = usage_fees.debit(
            self.site.usage_fees,
            period=self.compound.period,
            first_index=0,
            bills=self.bills,
            path=self.tree.block_path(0),
        )
        return self.site.chain.send(self.site.stranger, call)

    def balance(self, unit: int) -> int:
        call = usage_fees.account(self.site.usage_fees, unit_index=unit)
        return usage_fees.parse_account(self.site.chain.view(call)).balance

    def collected(self) -> int:
        return usage_fees.parse_collected(self.site.chain.view(usage_fees.collected(self.site.usage_fees)))


def close(site: Site, compound: Compound, tampered: Random | None) -> ClosedPeriod:
    """Wait for the period's end, log the boundaries, post bills and volumes, and put money into every account."""
    site.chain.wait_until(_midnight(compound.closing) + 3600)
    indexes = _log(site, compound)
    for pool in compound.pools:
        if pool.subject.terms.key is Key.VOLUME and pool.table:
            site.chain.send(site.operator, tariffs.post_volumes(site.tariffs, period=compound.period, table=pool.table))
    right = compound.bills()
    lines = [[charge.line for charge in bill] for bill in right]
    place = _tamper(lines, tampered) if tampered else None
    bills = [_bill(site, compound, index, unit) for index, unit in enumerate(lines)]
    for index in range(len(bills)):
        _fund(site, index)
    tree, _receipt = site.close(bills)
    return ClosedPeriod(site, compound, right, bills, tree, indexes, place)


def _log(site: Site, compound: Compound) -> dict[tuple[bytes, str, int], int]:
    """What the meters showed at the boundaries, in the logs of their gateways, accepted on chain."""
    indexes: dict[tuple[bytes, str, int], int] = {}
    logs = _logs(site)
    for log in logs:
        log.fill(5)
    gateways = {meter.device: meter.gateway for one in compound.subjects for meter in one.meters}
    shown = {key: value for one in compound.subjects for key, value in one.shown.items()}
    for (device, register, day), value in sorted(shown.items(), key=lambda one: one[0][2]):
        indexes[device, register, day] = logs[gateways[device]].read(device, day, value, register)
    for log in logs:
        site.accept(log)
    return indexes


def _tamper(lines: list[list[Line]], rng: Random) -> tuple[int, int] | None:
    """One line asks for more than it should: by a single fen, or by much."""
    unit = rng.choice([index for index, bill in enumerate(lines) if bill])
    number = rng.randrange(len(lines[unit]))
    line = lines[unit][number]
    lines[unit][number] = replace(line, amount=line.amount + rng.choice((1, rng.randrange(1, 100_000))))
    return unit, number


def _bill(site: Site, compound: Compound, index: int, lines: Sequence[Line]) -> Bill:
    return Bill(
        chain_id=31337,
        contract=site.usage_fees,
        site=SITE,
        period=compound.period,
        unit_index=index,
        lines=tuple(lines),
        salt=name(f"salt of bill {index}"),
    )


def _fund(site: Site, index: int) -> None:
    call = usage_fees.top_up(site.usage_fees, unit_index=index, amount=BALANCE)
    site.chain.send(site.stranger, call)
    signature = site.sign(index, Purpose.MANDATE, index, BALANCE, key=owner_key(index))
    site.chain.send(site.stranger, usage_fees.set_mandate(site.usage_fees, cap=BALANCE, signature=signature))


def _logs(site: Site) -> tuple[GatewayLog, GatewayLog]:
    return site.log, site.neighbour


def _midnight(day: int) -> int:
    """Seconds since 1970 at which the day begins at the site."""
    begins = datetime(day // 10_000, day // 100 % 100, day % 100, tzinfo=UTC)
    return int(begins.timestamp()) - OFFSET


def _pieces(items: Sequence[T], length: int) -> Iterator[Sequence[T]]:
    return (items[first : first + length] for first in range(0, len(items), length))


def _reading(subject: Subject, entry: Entry) -> dict[str, Any]:
    meter = next(meter for meter in subject.meters if meter.device == entry.device)
    binding = {
        "unit": subject.alias.hex(),
        "role": "own" if subject.role == 1 else "pool",
        "from": meter.from_date,
        "to": meter.to_date or None,
    }
    return {
        "device": entry.device.hex(),
        "quantity": entry.quantity,
        "value": str(entry.value),
        "binding": binding,
    }
