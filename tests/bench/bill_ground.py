"""What a million bills rest on: a roll, its meters and two pools, as the chain's view has them, and gateways' logs."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from datetime import date, timedelta
from types import SimpleNamespace
from typing import Any

import numpy as np

from cloud.chain.records import AssignmentRecord, BindingRecord, TariffRecord, UnitRecord
from cloud.chain.view import ChainView
from contracts import p256
from contracts.abi import padded
from contracts.batch import encode_batch
from contracts.calls.bindings import Confirmed
from contracts.checkpoint import Checkpoint, sign_checkpoint
from contracts.detail import encode_detail
from contracts.entry import NO_DETAIL, Entry, Kind, encode_entry
from contracts.onchain import origin_id
from contracts.tariff import Component, Counting, Season, Terms, Window
from contracts.tree import Frontier, leaf_hashes

GATEWAYS = 1_000
TOTAL = "1-0:1.8.0"
RATES = ("1-0:1.8.1", "1-0:1.8.2", "1-0:1.8.3")
BATCH_ENTRIES = 4_000
ENTRY_BYTES = 224
POOLS = (hashlib.sha256(b"lift").digest(), hashlib.sha256(b"light").digest())
OWN_KIND, POOL_KIND = 1, 2
VALID_FROM = 20200101


@dataclass(frozen=True, slots=True)
class Ground:
    """So many units, and the month that is billed."""

    units: int
    opening: int
    closing: int

    @property
    def period(self) -> int:
        return self.opening * 10**8 + self.closing

    @property
    def year(self) -> int:
        return self.opening // 10_000 * 10_000 + 101

    @property
    def entries(self) -> int:
        return 9 * (self.units + len(POOLS)) + GATEWAYS

    def keys(self) -> dict[str, bytes]:
        """Every gateway's public key by its log's origin."""
        return {origin(number): p256.public_bytes(_key(number)) for number in range(GATEWAYS)}

    def meters_of(self, gateway: int) -> list[bytes]:
        """The meters that a gateway hears; the first one the pools' too."""
        own = [device(unit) for unit in range(gateway, self.units, GATEWAYS)]
        return [*own, *(hashlib.sha256(pool).digest() for pool in POOLS)] if gateway == 0 else own

    def view(self) -> ChainView:
        """As the followed chain's events would have made it."""
        view = ChainView(31337)
        rng = random.Random(self.units)
        for index in range(self.units):
            alias = hashlib.sha256(b"unit %d" % index).digest()
            unit = UnitRecord(alias=alias, index=index, area_centi_m2=rng.randrange(4_000, 20_000), category=0)
            view.roll.append(unit)
            view.units[alias] = unit
            _bind(view, device(index), alias, OWN_KIND, index % GATEWAYS, self.year)
        for pool in POOLS:
            view.pools.append(pool)
            _bind(view, hashlib.sha256(pool).digest(), pool, POOL_KIND, 0, self.year)
        announced: Any = SimpleNamespace(valid_from=VALID_FROM, valid_to=0, terms=b"")
        view.tariffs[1] = TariffRecord(version=1, announced=announced, terms=terms(), approved=True)
        return view


def terms() -> Terms:
    """Zhejiang's way: three steps by the year, each with a price by time of use."""
    rates = (("peak", 56_800_000), ("flat", 53_800_000), ("valley", 28_800_000))
    prices = [Component(name=name, price=price, registers=1 << at) for at, (name, price) in enumerate(rates)]
    steps = [
        Component(name="second step", price=5_000_000, tiers=2),
        Component(name="third step", price=30_000_000, tiers=4),
    ]
    windows = (Window(0, 480, 1320), Window(1, 1320, 1380), Window(2, 1380, 480))
    season = Season(components=(*prices, *steps), bounds=(2_760_000, 4_800_000), windows=windows)
    return Terms(quantity=TOTAL, registers=RATES, seasons=(season,), counting=Counting.YEAR)


def origin(gateway: int) -> str:
    return f"bench.example/s/g{gateway}/e0"


def device(unit: int) -> bytes:
    return hashlib.sha256(b"meter %d" % unit).digest()


def _key(gateway: int) -> p256.PrivateKey:
    return p256.key_from_secret(10_000 + gateway)


def _bind(view: ChainView, meter: bytes, subject: bytes, role: int, gateway: int, since: int) -> None:
    view.bindings[meter] = [BindingRecord(subject=subject, role=role, from_date=since, state=Confirmed.OWNER)]
    assigned = AssignmentRecord(origin_id=origin_id(origin(gateway)), first_index=1, last_index=None, block=1)
    view.assignments[meter] = [assigned]


def gateway_batches(ground: Ground, gateway: int) -> tuple[str, bytes, list[bytes]]:
    """Origin, uplink token and all batches of one gateway's log, each up to a signed checkpoint."""
    name, token, key, frontier = (
        origin(gateway),
        hashlib.sha256(b"token %d" % gateway).digest(),
        _key(gateway),
        Frontier(),
    )
    opening, detail = _opening(gateway, token)
    slots = opening + _boundaries(ground, gateway)
    batches = []
    for start in range(0, len(slots) // ENTRY_BYTES, BATCH_ENTRIES):
        some = slots[start * ENTRY_BYTES : (start + BATCH_ENTRIES) * ENTRY_BYTES]
        frontier.extend(leaf_hashes(some, ENTRY_BYTES))
        note = sign_checkpoint(Checkpoint(origin=name, size=frontier.size, root=frontier.root()), key)
        details = [detail if start == 0 else b"", *[b""] * (len(some) // ENTRY_BYTES - 1)]
        batches.append(encode_batch(start, note, some, details))
    return name, token, batches


def _opening(gateway: int, token: bytes) -> tuple[bytes, bytes]:
    fields = {"claim_code": "c", "uplink_token_digest": hashlib.sha256(token).hexdigest()}
    detail = encode_detail(fields, salt=bytes(16))
    entry = Entry(
        kind=Kind.GATEWAY, device=hashlib.sha256(b"gateway %d" % gateway).digest(), observed_at_ms=1_764_000_000_000,
        quantity="epoch.open", value=0, detail_digest=hashlib.sha256(detail).digest(), salt=bytes(16),
    )  # fmt: skip
    return encode_entry(entry), detail


def _boundaries(ground: Ground, gateway: int) -> bytes:
    """The meters' boundary entries, day by day and meter by meter: a year's total, then a month by three registers."""
    meters = ground.meters_of(gateway)
    rng = np.random.default_rng(gateway)
    rates = rng.integers(100_000, 3_000_000, (len(meters), len(RATES)))
    used = rng.integers(5_000, 180_000, rates.shape)
    first = rates.sum(axis=1) - rng.integers(0, 250_000, len(meters))
    opened, closed = (np.column_stack((values.sum(axis=1), values)) for values in (rates, rates + used))
    parts = [
        _slots(meters, (TOTAL,), ground.year, first[:, None], rng),
        _slots(meters, (TOTAL, *RATES), ground.opening, opened, rng),
        _slots(meters, (TOTAL, *RATES), ground.closing, closed, rng),
    ]
    return b"".join(parts)


def _slots(meters: list[bytes], registers: tuple[str, ...], day: int, values: Any, rng: np.random.Generator) -> bytes:
    """Entries' words: kind, device, time, quantity, value, no detail, salt."""
    words = np.zeros((len(meters), len(registers), 7, 32), np.uint8)
    words[:, :, 0, 31] = int(Kind.READING)
    words[:, :, 1] = np.frombuffer(b"".join(meters), np.uint8).reshape(-1, 1, 32)
    local = date(day // 10_000, day // 100 % 100, day % 100) - date(1970, 1, 1)
    words[:, :, 2] = np.frombuffer(((local - timedelta(hours=8)) // timedelta(milliseconds=1)).to_bytes(32), np.uint8)
    for at, register in enumerate(registers):
        words[:, at, 3] = np.frombuffer(padded(f"{register}*{day}"), np.uint8)
    words[:, :, 4, 24:] = np.ascontiguousarray(values.astype(">i8")).view(np.uint8).reshape(len(meters), -1, 8)
    words[:, :, 5] = np.frombuffer(NO_DETAIL, np.uint8)
    words[:, :, 6, :16] = rng.integers(0, 256, (len(meters), len(registers), 16), np.uint8)
    return words.tobytes()
