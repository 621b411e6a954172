"""An EVM that shares no code with anvil's comes to the same gas, events and storage over the same blocks."""

from pathlib import Path

import pytest

from contracts.calls import anchor_log
from contracts.tree import MemoryTree, consistency_path
from tests.contracts.vyper.chain import Reverted
from tests.contracts.vyper.forks import SECOND_EVM, chain_at, recorded, replayed, storage
from tests.contracts.vyper.month import close_month
from tests.contracts.vyper.site import Site, name

there = pytest.mark.skipif(not SECOND_EVM.exists(), reason="the second EVM is not installed; `make install` does it")


@there
def test_a_month_leaves_the_same_gas_events_and_storage_in_the_execution_specification(tmp_path: Path) -> None:
    with chain_at("osaka", tmp_path, with_every_state=True) as chain:
        site = Site(chain)
        site.set_up()
        anchor_twice(site)
        month = close_month(site)
        month.open(0)
        month.answer(0)
        with pytest.raises(Reverted):
            month.answer(0)  # a refused transaction is in the record too
        blocks = recorded(chain)
        contracts = sorted({receipt["to"] for block in blocks for receipt in block["receipts"] if receipt["to"]})
        answer = replayed(chain, "osaka", blocks, contracts)
        receipts = [receipt for block in blocks for receipt in block["receipts"]]
        assert len(receipts) >= 30
        assert len(contracts) >= 5
        for ours, theirs in zip(receipts, answer["receipts"], strict=True):
            assert theirs["succeeded"] == (ours["status"] == "0x1")
            assert theirs["gas"] == int(ours["gasUsed"], 16)
            assert theirs["logs"] == [{key: log[key] for key in ("address", "topics", "data")} for log in ours["logs"]]
        kept = storage(chain)
        assert sum(len(slots) for slots in kept.values()) >= 100
        for address in contracts:
            assert answer["contracts"][address]["storage"] == kept[address], address
            assert answer["contracts"][address]["code"] == chain.rpc("eth_getCode", address, "latest")


def anchor_twice(site: Site) -> None:
    tree = MemoryTree(name(str(number)) for number in range(40))
    for old, size in ((0, 7), (7, 40)):
        proof = consistency_path(tree.node, old, size) if old else []
        call = anchor_log.anchor(site.anchor_log, size=size, root=tree.root(size), proof=proof)
        site.chain.send(site.relayer, call)
