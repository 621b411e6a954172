"""Gas of whole transactions on a development chain (anvil, Osaka rules, contracts compiled for Prague)."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from contracts.bill import Bill, BillTree
from contracts.calls import anchor_log, roll, roll_changes, usage_fees
from contracts.calls.anchor_log import NO_HEAD, Accepted, Head, parse_event
from contracts.p256 import PrivateKey
from contracts.person import Purpose
from contracts.tree import MemoryTree, consistency_path
from tests.bench.figure import Figure
from tests.bench.gas_assembly import assembly_figures
from tests.bench.gas_fund import all_figures
from tests.bench.gas_signatures import signature_figures
from tests.bench.gas_visits import visit_figures
from tests.contracts.vyper.assembly_site import Hall
from tests.contracts.vyper.forks import chain_at
from tests.contracts.vyper.month import SINCE, close_month
from tests.contracts.vyper.service import Service
from tests.contracts.vyper.site import (
    CLOSING_AT,
    METERS,
    GatewayLog,
    Site,
    key_of,
    name,
)
from tests.contracts.vyper.work_site import WorkSite

ANCHOR_SIZES = (3_000, 8_191, 16_640, 32_767, 65_000)
GATEWAYS, ENTRIES = 256, 60  # checkpoints between two anchors, and entries under each
ACCEPT_SIZES = (1_000, 30_000)
UNITS = 256
BLOCK = 64


def figures() -> dict[str, Figure]:
    """Every gas figure of what the contracts can do now."""
    taken: dict[str, Figure] = {}
    with fresh_site() as site:
        taken |= anchor_figures(site) | accept_figures(site)
    with fresh_site() as site:
        taken |= challenge_figures(site)
    with fresh_site() as site:
        service = Service(site)
        service.terms_now = service.start()
        taken |= visit_figures(service)
    with fresh_site() as site:
        taken |= billing_figures(site) | signature_figures(site.chain)
    with fresh_site() as site:
        taken |= all_figures(WorkSite(site.chain))
    with fresh_site() as site:
        hall = Hall(site.chain)
        hall.set_up()
        taken |= assembly_figures(hall)
    return taken


def anchor_figures(site: Site) -> dict[str, Figure]:
    """The dearest anchor over sizes that end in many and in few complete subtrees."""
    tree = hashed_tree(ANCHOR_SIZES[-1] + GATEWAYS)
    gas: dict[int, int] = {}
    old = 0
    for size in ANCHOR_SIZES:
        anchor(site, tree, old, size)
        gas[size] = anchor(site, tree, size, size + GATEWAYS)
        old = size + GATEWAYS
    spread = ", ".join(f"{size:,}: {used:,}" for size, used in gas.items())
    dearest = max(gas.values())
    return {
        "gas.anchor": Figure(value=dearest, unit="gas", note=f"dearest; {GATEWAYS} checkpoints more at {spread}"),
        "gas.per_event": Figure(
            value=round(dearest / (GATEWAYS * ENTRIES), 2),
            unit="gas/entry",
            note=f"dearest anchor over {GATEWAYS} gateways x {ENTRIES} entries",
        ),
    }


def anchor(site: Site, tree: MemoryTree, old: int, size: int) -> int:
    proof = consistency_path(tree.node, old, size) if old else []
    call = anchor_log.anchor(site.anchor_log, size=size, root=tree.root(size), proof=proof)
    return site.chain.send(site.relayer, call).gas_used


def accept_figures(site: Site) -> dict[str, Figure]:
    """The dearest acceptance: two log sizes, and the first one ever, which takes a new slot."""
    log = GatewayLog(f"minglou.example/{'a' * 30}/b07/e0", key_of(77), tree=hashed_tree(ACCEPT_SIZES[-1] + 256))
    site.enact(site.gateway_change(log.origin, log.key))
    gas: dict[str, int] = {}
    head = NO_HEAD
    for size in ACCEPT_SIZES:
        head, first = accept(site, log, head, size)
        gas.setdefault("the first", first)
        head, gas[f"{size:,} to {size + 256:,}"] = accept(site, log, head, size + 256)
    spread = ", ".join(f"{what}: {used:,}" for what, used in gas.items())
    note = f"dearest; origin of {len(log.origin)} bytes; {spread}"
    return {"gas.accept": Figure(value=max(gas.values()), unit="gas", note=note)}


def accept(site: Site, log: GatewayLog, previous: Head, size: int) -> tuple[Head, int]:
    site.heads[log.origin] = previous
    receipt = site.chain.send(site.stranger, site.accept_call(log, size))
    accepted = parse_event(receipt.logs[0].topics, receipt.logs[0].data)
    assert isinstance(accepted, Accepted)
    return Head(accepted.size, accepted.root, accepted.accepted_at), receipt.gas_used


def challenge_figures(site: Site) -> dict[str, Figure]:
    """Opening and answering: yearly tiers, so year start, opening and closing; four boundary entries."""
    month = close_month(site)
    opened = month.open(0).gas_used
    answered = month.answer(0).gas_used
    note = (
        f"answer with four boundary entries of a log of 1,000 and yearly tiers, line corrected; opening it: {opened:,}"
    )
    return {"gas.challenge": Figure(value=answered, unit="gas", note=note)}


def billing_figures(site: Site) -> dict[str, Figure]:
    """Close over a larger roll and debit one aligned block of it from balances with mandates."""
    enrol_units(site)
    site.chain.wait_until(CLOSING_AT + 3600)
    bills = [site.bill(index, site.line(METERS[0], 1000, 5000 + index, SINCE)) for index in range(UNITS)]
    for unit_index in range(BLOCK, 2 * BLOCK):
        call = usage_fees.top_up(site.usage_fees, unit_index=unit_index, amount=100_000)
        site.chain.send(site.stranger, call)
        signature = site.sign(0, Purpose.MANDATE, unit_index, 50_000, key=owner_key(unit_index))
        site.chain.send(site.stranger, usage_fees.set_mandate(site.usage_fees, cap=50_000, signature=signature))
    tree, closed = site.close(bills)
    # As in any but the first month, fees have been collected before: the slot that counts them is not empty.
    pay = usage_fees.pay(site.usage_fees, period=bills[0].period, unit_index=0, bill=bills[0], path=tree.path(0))
    site.chain.send(site.stranger, pay)
    site.chain.wait(8 * 86400)
    debited = debit(site, bills[BLOCK : 2 * BLOCK], tree)
    return {
        "gas.period_close": Figure(value=closed.gas_used, unit="gas", note="the same for any number of bills"),
        "gas.debit_each_64": Figure(
            value=round(debited / BLOCK), unit="gas", note=f"{debited:,} for {BLOCK} bills in a tree of {UNITS}"
        ),
    }


def debit(site: Site, bills: list[Bill], tree: BillTree) -> int:
    call = usage_fees.debit(
        site.usage_fees, period=bills[0].period, first_index=BLOCK, bills=bills, path=tree.block_path(BLOCK)
    )
    receipt = site.chain.send(site.stranger, call)
    status = usage_fees.status(site.usage_fees, period=bills[0].period, unit_index=2 * BLOCK - 1)
    assert usage_fees.parse_status(site.chain.view(status)).is_paid, "a bill of the block was not debited"
    return receipt.gas_used


def enrol_units(site: Site) -> None:
    """More units than the three of the site, and owner keys for the second block of them."""
    aliases = [name(f"more {index}") for index in range(3, UNITS)]
    new = [roll_changes.NewUnit(alias=alias, area_centi_m2=9000, head=head) for head, alias in enumerate(aliases, 3)]
    calls = [site.units_change(new[start : start + 5]) for start in range(0, len(new), 5)]
    for start in range(0, len(calls), 8):
        site.enact(*calls[start : start + 8])
    keyed = [(index, alias) for index, alias in enumerate(aliases, 3) if BLOCK <= index < 2 * BLOCK]
    code = name("code")
    digests = [sha256(code).digest()] * len(keyed)
    letters = roll.post_letters(site.roll, units=[alias for _, alias in keyed], digests=digests)
    site.chain.send(site.committee, letters)
    changes = [site.owner_key_change(alias, owner_key(index), code) for index, alias in keyed]
    for start in range(0, len(changes), 32):
        site.enact(*changes[start : start + 32])


def owner_key(unit_index: int) -> PrivateKey:
    return key_of(5000 + unit_index)


def hashed_tree(size: int) -> MemoryTree:
    return MemoryTree(sha256(index.to_bytes(8)).digest() for index in range(size))


@contextmanager
def fresh_site() -> Iterator[Site]:
    """A development chain of its own with the contracts and the small site of their tests."""
    with tempfile.TemporaryDirectory() as directory, chain_at("osaka", Path(directory)) as chain:
        site = Site(chain)
        site.set_up()
        yield site
