"""Real Registry, Roll, Crews, Token, AnchorLog, ReserveFund and WorkOrders over whatever assembly a test has."""

from collections.abc import Sequence
from dataclasses import replace

from cloud.chain import terms as deployed
from contracts.abi import Call
from contracts.calls import registry, registry_events, reserve_fund, roll_changes, work_orders
from contracts.fund import Terms as FundTerms
from contracts.vyper.compile import artifact
from contracts.work_order import LIFT_FAULT, Fault
from contracts.work_order import Terms as WorkTerms
from tests.contracts.vyper.chain import Chain
from tests.contracts.vyper.site import DAY
from tests.contracts.vyper.site_contracts import PRECOMPILE, Parties, created_address, creation

CONTRACTS = {
    "registry": "Registry",
    "roll": "Roll",
    "crews": "Crews",
    "token": "Token",
    "anchor_log": "AnchorLog",
    "reserve_fund": "ReserveFund",
    "work_orders": "WorkOrders",
}
# The rules that sites are deployed with, and amounts small enough to be reached.
FUND_TERMS = replace(deployed.FUND_TERMS, review_above=100_000, emergency_cap=50_000)
WORK_TERMS = replace(deployed.WORK_TERMS, redo_within=2 * DAY, give_up_after=5 * DAY, price_max=20_000)


class SmallSite:
    """The contracts, and the two parties' way to change who and what there is."""

    registry: str
    roll: str
    crews: str
    token: str
    anchor_log: str
    reserve_fund: str
    work_orders: str

    def __init__(self, chain: Chain, *, manager: str, committee: str, **others: str) -> None:
        """Others stand in the directory under these names: the assembly, and perhaps the roll that it votes by."""
        self.chain = chain
        self.deployer, self.manager, self.committee = chain.accounts[0], manager, committee
        nonce = int(chain.rpc("eth_getTransactionCount", self.deployer, "latest"), 16)
        at = {one: created_address(self.deployer, nonce + number) for number, one in enumerate(CONTRACTS)}
        self.at = at | others
        self.parties = Parties(deployer=self.deployer, manager=manager, committee=committee, relayer=chain.accounts[4])
        for one, contract in CONTRACTS.items():
            address = chain.deploy(self.deployer, self.creation(one, artifact(contract).bytecode))
            assert address == at[one], one
            setattr(self, one, address)

    def creation(self, contract: str, code: bytes) -> bytes:
        if contract == "reserve_fund":
            return self.fund_creation(FUND_TERMS)
        if contract == "work_orders":
            return self.work_creation(WORK_TERMS)
        return creation(contract, code, self.at, self.parties)

    def fund_creation(self, terms: FundTerms) -> bytes:
        code = artifact("ReserveFund").bytecode
        return reserve_fund.deploy(code, registry=self.at["registry"], terms=terms)

    def work_creation(self, terms: WorkTerms, faults: Sequence[Fault] = (LIFT_FAULT,)) -> bytes:
        code = artifact("WorkOrders").bytecode
        return work_orders.deploy(code, registry=self.at["registry"], terms=terms, faults=faults, verifier=PRECOMPILE)

    def enact(self, *calls: Call) -> None:
        """The whole way of a batch: announced, approved, waited for, enacted."""
        receipt = self.chain.send(self.manager, registry.announce(self.registry, calls=calls))
        announced = registry_events.parse_event(receipt.logs[0].topics, receipt.logs[0].data)
        assert isinstance(announced, registry_events.Announced)
        self.chain.send(self.committee, registry.approve(self.registry, number=announced.number))
        self.chain.wait(7 * DAY)
        self.chain.send(self.manager, registry.enact(self.registry, number=announced.number, calls=calls))

    def units_calls(self, units: Sequence[roll_changes.NewUnit]) -> list[Call]:
        step = roll_changes.UNITS_MAX
        return [
            roll_changes.add_units(self.roll, units=units[first : first + step]) for first in range(0, len(units), step)
        ]
