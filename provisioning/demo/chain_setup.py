"""The demo's site on its chain: registry, tariffs and balances, with delays that really pass in block time."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any

from contracts.abi import Call
from contracts.calls import bindings, roll, service_agreements, tariffs, token, usage_fees
from contracts.calls.service_agreements_events import Proposed, parse_event
from contracts.due import CLASSES, Terms, day_number
from contracts.p256 import key_from_secret
from contracts.pack import read_pack
from contracts.person import PersonSignature, Purpose, sign_software
from provisioning.account import ChainAccount
from provisioning.batches import Change, TwoParties
from provisioning.demo.crew import FIRM_NUMBER, PACK, installer_seed
from provisioning.demo.upkeep import write_agreements
from provisioning.keys import ensure_chain_key, ensure_person_seed
from provisioning.names import SecretNames
from provisioning.registration import Enrolled, binding_commitment, site_changes
from provisioning.rpc import CallLike, Rpc, Sender
from provisioning.settings import Places
from provisioning.site import Device, Site
from provisioning.tariffs import contract_tariff

__all__ = ["ACCOUNTS", "DAY_MS", "SetupClock", "SiteOnChain", "fund_accounts"]

DAY_MS = 86_400_000
ACCOUNTS = ("deployer", "manager", "committee", "operator", "registrar", "relayer", "cashier", "firm")
PREPAID_FEN = 60_000  # 600.00 yuan in each unit's account
MANDATE_FEN = 50_000  # the most that a month may debit
BOND_FEN = 500_000
VISIT_FEES_FEN = (20_000, 30_000, 45_000, 80_000)  # by class, from half-month to year
FACTORS_PERMILLE = (0, 0, 900, 1000, 1100)  # by the visit's level
OVERDUE_FEN = 5_000  # a day
UPKEEP_BUDGET_FEN, UPKEEP_DEPOSIT_FEN = 500_000, 200_000
UPKEEP_DAYS = 365
_SIGNATURE_SECONDS = 86_400
_WEI = 10**18


class SetupClock:
    """The chain's time while it is set up: it goes on by itself, and is put forward over the public delays."""

    def __init__(self, start_ms: int) -> None:
        self._start_ms = start_ms
        self._real_start = time.monotonic()

    def now_ms(self) -> int:
        """The set-up's time."""
        return self._start_ms + round((time.monotonic() - self._real_start) * 1000)

    def real_ms_until(self, at_ms: int) -> int:
        """Real milliseconds until a set-up time."""
        return max(0, at_ms - self.now_ms())

    def pass_days(self, days: float) -> None:
        """Let this many days pass; the next block is that much later."""
        self._start_ms += round(days * DAY_MS)


def fund_accounts(rpc: Rpc, places: Places) -> dict[str, str]:
    """Give every account of the development chain gas money; the addresses by role."""
    addresses = {role: ChainAccount(ensure_chain_key(places.key(role))).address for role in ACCOUNTS}
    for address in addresses.values():
        rpc.call("anvil_setBalance", [address, hex(10_000 * _WEI)])
    return addresses


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteOnChain:
    """The set-up calls of one site, each by the account that may make it."""

    site: Site
    names: SecretNames
    places: Places
    sender: Sender
    contracts: Mapping[str, str]  # addresses by name: registry, roll, crews, bindings, tariffs, usage_fees, token
    addresses: Mapping[str, str]  # accounts by role
    enrolled: Enrolled
    clock: SetupClock
    unconfirmed_units: frozenset[str]

    def post_letters(self) -> None:
        """The committee's registrar posts the digests of the activation letters. Runs after its role is in force."""
        units = [bytes.fromhex(self.names.units[unit.name]) for unit in self.site.units]
        digests = [sha256(bytes.fromhex(self.names.letters[unit.name])).digest() for unit in self.site.units]
        self._send("committee", roll.post_letters(self.contracts["roll"], units=units, digests=digests), "post letters")

    def announce(self) -> list[tuple[int, list[Call]]]:
        """The manager announces everything that the site file says, and the committee approves it."""
        announced = self._parties().announce(self._changes())
        self._parties().approve(announced, self._changes())
        return announced

    def enact(self, announced: list[tuple[int, list[Call]]]) -> None:
        """Anyone enacts it once the delay is over."""
        self._parties().enact(announced, anyone=self._key("relayer"))

    def announce_tariffs(self, valid_from: date) -> None:
        """The manager announces the tariffs, the committee approves them; versions count from 1 in the file's order."""
        contract = self.contracts["tariffs"]
        for version, tariff in enumerate(self.site.tariffs, start=1):
            call = tariffs.announce(contract, tariff=contract_tariff(tariff, valid_from))
            self._send("manager", call, f"announce tariff {tariff.name}")
            self._send("committee", tariffs.approve(contract, version=version), f"approve tariff {tariff.name}")

    def attest_bindings(self) -> int:
        """The installer signs what he found at the meters; how many there are."""
        bound = [device for device in self.site.devices if device.unit is not None or device.pool is not None]
        calls: list[CallLike] = []
        for start in range(0, len(bound), bindings.BINDINGS_MAX):
            some = bound[start : start + bindings.BINDINGS_MAX]
            devices = [self.names.device(self.site, device) for device in some]
            numbers = [0] * len(some)
            commitments = [binding_commitment(self.site, self.names, device, self.enrolled) for device in some]
            body = (devices, numbers, commitments)
            signature = self._signed_by(installer_seed(self.places), "bindings", Purpose.ATTEST_BINDINGS, *body)
            calls.append(
                bindings.attest(self.contracts["bindings"], devices=devices, numbers=numbers, signature=signature)
            )
        self._send_many("relayer", calls, "attest meters")
        return len(bound)

    def confirm_bindings(self) -> tuple[int, int]:
        """Owners confirm the meters that count for them, the committee those of the pools; how many they did."""
        calls: list[CallLike] = []
        for device in self.site.devices:
            if device.unit is None or device.unit in self.unconfirmed_units:
                continue
            commitment = binding_commitment(self.site, self.names, device, self.enrolled)
            device_id = self.names.device(self.site, device)
            signature = self._signed(device.unit, "bindings", Purpose.CONFIRM_BINDING, device_id, 0, commitment)
            calls.append(bindings.confirm(self.contracts["bindings"], device=device_id, number=0, signature=signature))
        self._send_many("relayer", calls, "confirm meters")
        shared = [self.names.device(self.site, device) for device in self.site.devices if device.pool is not None]
        self._send(
            "committee",
            bindings.confirm_as_committee(self.contracts["bindings"], devices=shared, numbers=[0] * len(shared)),
            "confirm the pools' meters",
        )
        return len(calls), len(shared)

    def pay_in(self) -> None:
        """The cashier tops up every unit's account, owners sign their mandates, the operator posts his bond."""
        money, fees = self.contracts["token"], self.contracts["usage_fees"]
        total = PREPAID_FEN * len(self.site.units)
        self._send_many(
            "cashier",
            [
                token.mint(money, recipient=self.addresses["cashier"], amount=total),
                token.mint(money, recipient=self.addresses["operator"], amount=BOND_FEN),
                token.approve(money, spender=fees, amount=total),
            ],
            "mint demo money",
        )
        self._send("operator", token.approve(money, spender=fees, amount=BOND_FEN), "allow the bond")
        self._send("operator", usage_fees.post_bond(fees, amount=BOND_FEN), "post the bond")
        self._send_many(
            "cashier",
            [usage_fees.top_up(fees, unit_index=unit.index, amount=PREPAID_FEN) for unit in self.site.units],
            "top up accounts",
        )
        mandates: list[CallLike] = []
        for unit in self.site.units:
            signature = self._signed(unit.name, "usage_fees", Purpose.MANDATE, unit.index, MANDATE_FEN)
            mandates.append(usage_fees.set_mandate(fees, cap=MANDATE_FEN, signature=signature))
        self._send_many("relayer", mandates, "owners' mandates")

    def agree_upkeep(self, first: date) -> int:
        """Manager and firm agree on each lift's maintenance from `first` on, with budget and deposit; how many."""
        contract, money = self.contracts["service_agreements"], self.contracts["token"]
        terms = [self._upkeep_terms(device, first) for device in self.site.devices if device.kind == "lift"]
        budget, deposit = UPKEEP_BUDGET_FEN * len(terms), UPKEEP_DEPOSIT_FEN * len(terms)
        self._send_many(
            "cashier",
            [
                token.mint(money, recipient=self.addresses["manager"], amount=budget),
                token.mint(money, recipient=self.addresses["firm"], amount=deposit),
            ],
            "mint demo money for maintenance",
        )
        offers: list[CallLike] = [service_agreements.propose(contract, terms=one) for one in terms]
        allow = token.approve(money, spender=contract, amount=budget)
        receipts = self.sender.send_many(self._key("manager"), [allow, *offers], purpose="offer maintenance")
        proposed = [event for receipt in receipts for event in _proposed(receipt)]
        self._send_many(
            "firm",
            [
                token.approve(money, spender=contract, amount=deposit),
                *(
                    service_agreements.agree(contract, agreement=one.agreement, terms_digest=one.terms_digest)
                    for one in proposed
                ),
            ],
            "the firm agrees",
        )
        self._send_many(
            "manager",
            [
                service_agreements.add_budget(contract, agreement=one.agreement, amount=UPKEEP_BUDGET_FEN)
                for one in proposed
            ],
            "budgets for maintenance",
        )
        lifts = {self.names.device(self.site, device): device.name for device in self.site.devices}
        write_agreements(self.places, {lifts[one.device]: one.agreement for one in proposed})
        return len(proposed)

    def _upkeep_terms(self, device: Device, first: date) -> Terms:
        """Annex A at its own pace, by two people, counter-signed, seen by the machine; last done on the first day."""
        pack = read_pack(PACK)
        starts_on = day_number(first)
        return Terms(
            device=self.names.device(self.site, device),
            plan=pack.digest(),
            firm=FIRM_NUMBER,
            starts_on=starts_on,
            ends_on=starts_on + UPKEEP_DAYS - 1,
            checklists=tuple(pack.list_digest(each) for each in CLASSES),
            interval_days=tuple(pack.classes[each].interval_days for each in CLASSES),
            done_on=(starts_on,) * len(CLASSES),
            grace_days=0,
            fees=VISIT_FEES_FEN,
            factors=FACTORS_PERMILLE,
            penalty=OVERDUE_FEN,
            deposit=UPKEEP_DEPOSIT_FEN,
            two_people=pack.people == 2,
            countersigned=pack.countersigned,
            level=2,
            account=self.addresses["firm"],
            payer=self.addresses["manager"],
        )

    def _changes(self) -> tuple[Change, ...]:
        return site_changes(self.site, self.names, self.enrolled, self.contracts)

    def _signed(self, unit: str, contract: str, purpose: Purpose, *body: object) -> PersonSignature:
        return self._signed_by(self.places.owners / f"{unit}.seed", contract, purpose, *body)

    def _signed_by(self, seed_file: Path, contract: str, purpose: Purpose, *body: object) -> PersonSignature:
        seed = ensure_person_seed(seed_file)
        now_ms = self.clock.now_ms()
        return sign_software(
            key_from_secret(int.from_bytes(seed)),
            chain_id=self.site.chain_id,
            contract=self.contracts[contract],
            purpose=purpose,
            nonce=now_ms,
            deadline=now_ms // 1000 + _SIGNATURE_SECONDS,
            body_digest=purpose.body_digest(*body),
        )

    def _parties(self) -> TwoParties:
        return TwoParties(
            self.sender, self.contracts["registry"], manager=self._key("manager"), committee=self._key("committee")
        )

    def _key(self, role: str) -> bytes:
        return ensure_chain_key(self.places.key(role))

    def _send(self, role: str, call: CallLike, purpose: str) -> None:
        self.sender.send(self._key(role), call, purpose=purpose)

    def _send_many(self, role: str, calls: list[CallLike], purpose: str) -> None:
        self.sender.send_many(self._key(role), calls, purpose=purpose)


def _proposed(receipt: Mapping[str, Any]) -> list[Proposed]:
    """What a receipt says was offered."""
    found = []
    for log in receipt["logs"]:
        topics = [bytes.fromhex(topic.removeprefix("0x")) for topic in log["topics"]]
        event = parse_event(topics, bytes.fromhex(log["data"].removeprefix("0x")))
        found += [event] if isinstance(event, Proposed) else []
    return found
