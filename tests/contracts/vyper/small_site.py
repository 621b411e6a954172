"""Real Registry, Roll, Crews, Token, AnchorLog, ReserveFund and WorkOrders over whatever assembly a test has."""

from collections.abc import Sequence

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
FUND_TERMS = FundTerms(
    public_delay=7 * DAY,
    share_bp=7000,
    cost_bp=3000,
    review_above=100_000,
    emergency_cap=50_000,
    ratify_within=60 * DAY,
    first_rates=(0, 10_000),
    notice_below_bp=3000,
    utc_offset_seconds=8 * 3600,
    since=20260701,
    months=(6, 3, 12),
    grace_days=(30, 15, 90),
)
WORK_TERMS = WorkTerms(
    accept_within=DAY,
    promise_max=30 * DAY,
    confirm_within=7 * DAY,
    redo_within=2 * DAY,
    give_up_after=5 * DAY,
    report_within=7 * DAY,
    reopens_max=2,
    price_max=20_000,
)


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
