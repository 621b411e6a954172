"""A made-up site for the billing engine: a followed chain's view and the boundary entries of its meters, from a seed.

Most meters are ordinary. Some are swapped, bound late, silent at a boundary, fall, hold two values for one boundary, or
are heard in a log that the Registry did not give them.
"""

from dataclasses import dataclass, field
from hashlib import sha256
from random import Random
from types import SimpleNamespace
from typing import Any

from sqlalchemy import insert

from cloud.chain.records import AssignmentRecord, BindingRecord, TariffRecord, UnitRecord
from cloud.chain.view import ChainView
from cloud.store import Store, insert_rows, tables
from contracts.calls.bindings import Confirmed
from contracts.onchain import origin_id
from contracts.tariff import Basis, Component, Counting, Key, Season, Terms

TOTAL = "1-0:1.8.0"
RATES = ("1-0:1.8.1", "1-0:1.8.2", "1-0:1.8.3")
YEAR, OPENING, CLOSING = 20260101, 20261001, 20261201
SWAP, LATE, SEASON = 20260801, 20260901, 20261101
PERIOD = OPENING * 10**8 + CLOSING
DATES = (YEAR, SWAP, LATE, OPENING, SEASON, 20261115, CLOSING)
ORIGINS = ("demo.example/s/g1/e0", "demo.example/s/g2/e0")
POOLS = (sha256(b"lift").digest(), sha256(b"light").digest())


def by_time(*, counting: Counting, category: int) -> Terms:
    """Tiers by time of use over three registers, in two seasons."""
    prices = [Component(name=name, price=price, registers=1 << at) for at, (name, price) in enumerate(PRICES)]
    steps = [Component(name=f"step{tier}", price=3_000_000 * tier, tiers=1 << tier) for tier in (1, 2)]
    bounds = (180_000, 400_000) if counting is Counting.PERIOD else (2_160_000, 4_200_000)
    seasons = (
        Season(months=tuple(range(1, 11)), bounds=bounds, components=(*prices, *steps), windows=WINDOWS),
        Season(
            months=(11, 12), bounds=bounds, components=(*prices[:2], *steps), windows=WINDOWS, persons=4, extra=9_000
        ),
    )
    return Terms(quantity=TOTAL, registers=RATES, seasons=seasons, counting=counting, category=category)


PRICES = (("peak", 56_800_000), ("flat", 53_800_000), ("valley", 28_800_000))


def _windows() -> tuple[Any, ...]:
    from contracts.tariff import Window

    return (Window(0, 480, 1320), Window(1, 1320, 1380), Window(2, 1380, 480))


WINDOWS = _windows()


def plain(category: int, *, key: Key = Key.AREA) -> Terms:
    return Terms.tiered(quantity=TOTAL, tiers=[(None, 55_800_000)], category=category, key=key)


def fee(basis: Basis, price: int) -> Terms:
    season = Season(components=(Component(name="fee", price=price),))
    return Terms(quantity="fee.area" if basis is Basis.AREA else "fee.waste", seasons=(season,), basis=basis)


@dataclass
class BillingSite:
    """View and entries; `write` puts the entries' boundary rows into a store."""

    view: ChainView
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    next_index: dict[int, int] = field(default_factory=lambda: {1: 1, 2: 1})

    def entry(self, device: bytes, register: str, day: int, value: int, *, log: int = 1) -> None:
        index = self.next_index[log]
        self.next_index[log] = index + 1
        self.rows.append((log, index, device, register, day, value, 0, None))  # not sealed

    async def write(self, store: Store) -> None:
        async with store.write() as connection:
            for number, origin in enumerate(ORIGINS, 1):
                await connection.execute(
                    insert(tables.logs).values(
                        log_id=number, origin=origin, size=10**6, peaks=b"", token_digest=b"", opened_at_ms=1,
                        last_seen_at_ms=1,
                    )
                )  # fmt: skip
            await insert_rows(connection, tables.boundaries, self.rows)


def tariff(view: ChainView, terms: Terms) -> None:
    version = len(view.tariffs) + 1
    announced: Any = SimpleNamespace(valid_from=20251201, valid_to=0, terms=terms.encode())
    view.tariffs[version] = TariffRecord(version=version, announced=announced, terms=terms, approved=True)


def bind(view: ChainView, device: bytes, subject: bytes, role: int, first: int, last: int = 0, *, log: int = 0) -> None:
    view.bindings.setdefault(device, []).append(
        BindingRecord(subject=subject, role=role, from_date=first, to_date=last, state=Confirmed.OWNER)
    )
    if device not in view.assignments:
        assigned = AssignmentRecord(origin_id=origin_id(ORIGINS[log]), first_index=1, last_index=None, block=1)
        view.assignments[device] = [assigned]


def random_site(seed: int, units: int = 40, *, odd: float = 0.4) -> BillingSite:
    """A site from its seed; `odd` is the part of units whose meters are not ordinary."""
    rng = Random(seed)
    site = BillingSite(ChainView(31337))
    view = site.view
    view.origins.update({origin_id(origin): origin for origin in ORIGINS})
    tariff(view, by_time(counting=rng.choice((Counting.YEAR, Counting.PERIOD)), category=0))
    tariff(view, plain(1))
    tariff(view, plain(2))
    tariff(view, fee(Basis.AREA, 150 * 10**9 // 100))
    tariff(view, fee(Basis.HEADS, 300 * 10**9))
    for index in range(units):
        unit = UnitRecord(
            alias=sha256(f"{seed} unit {index}".encode()).digest(), index=index,
            area_centi_m2=rng.randrange(4_000, 20_000), category=int(rng.random() < 0.2),
        )  # fmt: skip
        view.roll.append(unit)
        view.units[unit.alias] = unit
        view.households[unit.alias] = [(YEAR, rng.randrange(1, 8))]
        _meter(site, rng, unit, rng.choice(ODDITIES) if rng.random() < odd else "")
    for pool in POOLS:
        view.pools.append(pool)
        device = sha256(pool).digest()
        bind(view, device, pool, 2, YEAR)
        registers = [0 for _ in RATES]
        for day in DATES:
            _boundary(site, rng, device, day, registers, "", 1)
            registers = [value + rng.randrange(2_000_000) for value in registers]
    return site


ODDITIES = (
    "swapped",
    "swapped before",
    "late",
    "missing",
    "no opening",
    "falls",
    "doubled",
    "foreign",
    "silent",
    "untold",
)


def _meter(site: BillingSite, rng: Random, unit: UnitRecord, oddity: str) -> None:
    view, log = site.view, rng.randrange(2)
    devices = [sha256(unit.alias + bytes([at])).digest() for at in range(2)]
    swap = {"swapped": 20261115, "swapped before": SWAP}.get(oddity, 0)
    first = LATE if oddity == "late" else YEAR
    bind(view, devices[0], unit.alias, 1, first, swap, log=log)
    spans = [(devices[0], first, swap or CLOSING)]
    if swap:
        bind(view, devices[1], unit.alias, 1, swap, log=log)
        spans.append((devices[1], swap, CLOSING))
    for device, begins, ends in spans:
        registers = [rng.randrange(10**6) for _ in RATES]
        for day in DATES:
            if begins <= day <= ends:
                _boundary(site, rng, device, day, registers, oddity, log + 1)
            registers = [value + rng.randrange(200_000) for value in registers]


def _boundary(
    site: BillingSite, rng: Random, device: bytes, day: int, registers: list[int], oddity: str, log: int
) -> None:
    values = {TOTAL: sum(registers), **dict(zip(RATES, registers, strict=True))}
    for register, value in values.items():
        gone = {"missing": day == CLOSING and register != TOTAL, "no opening": day == OPENING, "silent": day >= OPENING}
        if gone.get(oddity, oddity == "untold"):
            continue
        shown = 0 if oddity == "falls" and day == CLOSING else value
        site.entry(device, register, day, shown, log=3 - log if oddity == "foreign" and day == CLOSING else log)
        if oddity == "doubled" and day == CLOSING:
            site.entry(device, register, day, value + rng.randrange(-50, 50), log=log)
