"""What Registry, Roll, Crews and Bindings hold, folded from their events alone, and held against their views."""

from collections import defaultdict
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

from contracts.calls import bindings, crews, registry, roll
from contracts.calls import bindings_events as be
from contracts.calls import crews_events as ce
from contracts.calls import registry_events as ge
from contracts.calls import roll_events as re
from contracts.calls.bindings import Binding
from contracts.calls.relying_party_events import RelyingPartySet
from tests.contracts.vyper.site import Site

OPEN = 2**48 - 1
NEVER = 0


@dataclass
class OwnerKeyState:
    """One owner's key as the events tell it."""

    unit: bytes
    set_: re.OwnerKeySet
    buyer: int  # how often the unit had been sold before
    until: int = NEVER


@dataclass
class MemberState:
    """One serving person as the events tell it."""

    firm: int = 0
    duties: int = 0
    licence_until: int = 0
    key: ce.CrewKeySet | None = None
    since: int = 0


@dataclass
class Register:
    """The fold."""

    parties: dict[str, str] = field(default_factory=dict)
    offices: set[tuple[bytes, str]] = field(default_factory=set)
    batches: dict[int, registry.Batch] = field(default_factory=dict)
    directory: dict[bytes, str] = field(default_factory=dict)
    successors: dict[str, str] = field(default_factory=dict)
    gateways: dict[bytes, tuple[int, int]] = field(default_factory=dict)
    gateway_keys: dict[tuple[bytes, bytes], registry.KeyRange] = field(default_factory=dict)
    gateways_added: dict[int, int] = field(default_factory=dict)
    assignments: dict[bytes, list[registry.Assignment]] = field(default_factory=lambda: defaultdict(list))
    units: dict[bytes, roll.Unit] = field(default_factory=dict)
    sold: dict[bytes, int] = field(default_factory=lambda: defaultdict(int))
    letters: dict[bytes, bytes] = field(default_factory=dict)
    owner_keys: dict[bytes, OwnerKeyState] = field(default_factory=dict)
    buildings: dict[int, roll.Additions] = field(default_factory=dict)
    pools: dict[bytes, list[roll.PoolKeys]] = field(default_factory=dict)
    residents: dict[bytes, dict[int, int]] = field(default_factory=lambda: defaultdict(dict))
    parties_of_owners: dict[int, roll.RelyingParty] = field(default_factory=dict)
    firms: dict[int, crews.Firm] = field(default_factory=dict)
    members: dict[bytes, MemberState] = field(default_factory=lambda: defaultdict(MemberState))
    crew_counts: crews.Counts = field(default_factory=lambda: crews.Counts(0, 0, 0))
    parties_of_crews: dict[int, roll.RelyingParty] = field(default_factory=dict)
    bindings: dict[bytes, list[Binding]] = field(default_factory=lambda: defaultdict(list))

    def take(self, contract: str, event: Any, block: int, time_s: int) -> None:
        if isinstance(event, RelyingPartySet):
            parties = self.parties_of_owners if contract == "roll" else self.parties_of_crews
            parties[event.number] = roll.RelyingParty(event.rp_id_hash, event.origin)
            return
        taker = {"registry": self._registry, "roll": self._roll, "crews": self._crews, "bindings": self._bindings}
        taker[contract](event, block, time_s)

    def _registry(self, event: ge.Event, block: int, _time_s: int) -> None:
        match event:
            case ge.ManagerSet(manager=who):
                self.parties["manager"] = who
            case ge.CommitteeSet(committee=who):
                self.parties["committee"] = who
            case ge.RoleSet(role=role, account=account, held=held):
                (self.offices.add if held else self.offices.discard)((role, account))
            case ge.Announced():
                digest = bytes(32)  # Keccak-256 of the calls, which stand in the event
                self.batches[event.number] = registry.Batch(digest, event.parties, event.effective_at, False, 0)
            case ge.Approved(number=number, effective_at=effective_at):
                self.batches[number] = replace(self.batches[number], parties=3, effective_at=effective_at)
            case ge.Vetoed(number=number, mask=mask):
                held_mask = self.batches[number].vetoed | mask
                self.batches[number] = replace(self.batches[number], vetoed=held_mask & (2**32 - 1))
            case ge.Enacted(number=number):
                self.batches[number] = replace(self.batches[number], enacted=True)
            case ge.ContractNamed(name=name, at=at):
                self.directory[name] = at
            case ge.SuccessorNamed(old=old, successor=successor):
                self.successors[old] = successor
            case ge.GatewayKeySet():
                self.gateways[event.origin_id] = (event.x, event.y)
                key_id = sha256(event.x.to_bytes(32) + event.y.to_bytes(32)).digest()
                self.gateway_keys[event.origin_id, key_id] = registry.KeyRange(event.key_class, event.from_block, 0)
                self.gateways_added[event.building] = event.added
            case ge.GatewayKeyEnded(origin_id=origin_id, key_id=key_id, to_block=to_block):
                place = (origin_id, key_id)
                self.gateway_keys[place] = replace(self.gateway_keys[place], to_block=to_block)
                self.gateways[origin_id] = (0, 0)
            case ge.DeviceAssigned(device=device, origin_id=origin_id, first_index=first_index):
                self.assignments[device].append(registry.Assignment(origin_id, first_index, OPEN, block))
            case ge.AssignmentEnded(device=device, number=number, last_index=last_index):
                ended = replace(self.assignments[device][number], last_index=last_index)
                self.assignments[device][number] = ended

    def _roll(self, event: re.Event, _block: int, time_s: int) -> None:
        match event:
            case re.UnitAdded():
                before = sum(unit.area_centi_m2 for unit in self.units.values())
                place = (event.index, event.area_centi_m2, before, event.category)
                self.units[event.unit] = roll.Unit(*place, event.head, event.building, event.floor, True)
            case re.HeadSet(unit=unit, head=head):
                self.units[unit] = replace(self.units[unit], head=head)
                self.sold[unit] += 1
                self.letters[unit] = bytes(32)
            case re.LetterPosted(unit=unit, digest=digest):
                self.letters[unit] = digest
            case re.OwnerKeySet(unit=unit, key_id=key_id):
                self.owner_keys[key_id] = OwnerKeyState(unit, event, self.sold[unit])
            case re.OwnerKeyEnded(key_id=key_id):
                self.owner_keys[key_id].until = time_s
            case re.BuildingCounted(building=building, units=units, keys=keys):
                self.buildings[building] = roll.Additions(units, keys)
            case re.PoolAdded(pool=pool):
                self.pools[pool] = []
            case re.PoolKeysSet():
                table = (event.root, event.total, event.kind, event.unit_count, event.valid_from)
                self.pools[event.pool].append(roll.PoolKeys(*table))
            case re.ResidentsSet(unit=unit, from_date=from_date, count=count):
                self.residents[unit][from_date] = count

    def _crews(self, event: ce.Event, _block: int, time_s: int) -> None:
        match event:
            case ce.FirmSet(firm=firm, name_digest=name_digest, licence_until=until):
                self.firms[firm] = crews.Firm(True, until, name_digest)
            case ce.MemberSet(alias=alias, firm=firm, duties=duties, licence_until=until):
                member = self.members[alias]
                member.firm, member.duties, member.licence_until = firm, duties, until
            case ce.CrewKeySet(alias=alias):
                self.members[alias].key, self.members[alias].since = event, time_s
            case ce.CrewKeyEnded(alias=alias):
                self.members[alias].key, self.members[alias].since = None, 0
            case ce.CrewCounted(firms=firms, members=members, keys=keys):
                self.crew_counts = crews.Counts(firms, members, keys)

    def _bindings(self, event: be.Event, _block: int, _time_s: int) -> None:
        held = self.bindings[event.device]
        match event:
            case be.DeviceBound():
                place = (event.subject, event.commitment, event.role, event.from_date)
                held.append(Binding(*place, 0, 0, False))
            case be.BindingEnded(number=number, to_date=to_date, commitment=commitment):
                held[number] = replace(held[number], to_date=to_date, commitment=commitment, attested=False)
            case be.BindingAttested(number=number):
                held[number] = replace(held[number], attested=True)
            case be.BindingConfirmed(number=number, confirmed=confirmed):
                held[number] = replace(held[number], confirmed=confirmed)

    def is_in_force(self, key_id: bytes) -> bool:
        key = self.owner_keys[key_id]
        return key.until == NEVER and key.buyer == self.sold[key.unit]


PARSERS = {
    "registry": ge.parse_event,
    "roll": re.parse_event,
    "crews": ce.parse_event,
    "bindings": be.parse_event,
}


def folded(site: Site) -> Register:
    """Everything that the four contracts ever said, in order."""
    register = Register()
    contracts = {getattr(site, name): name for name in PARSERS}
    logs = site.chain.rpc("eth_getLogs", {"fromBlock": "0x0", "toBlock": "latest", "address": list(contracts)})
    times: dict[str, int] = {}
    for log in sorted(logs, key=lambda log: (int(log["blockNumber"], 16), int(log["logIndex"], 16))):
        number = log["blockNumber"]
        if number not in times:
            times[number] = int(site.chain.rpc("eth_getBlockByNumber", number, False)["timestamp"], 16)
        contract = contracts[log["address"].lower()]
        topics = [bytes.fromhex(topic[2:]) for topic in log["topics"]]
        event = PARSERS[contract](topics, bytes.fromhex(log["data"][2:]))
        assert event is not None, f"{contract} said something that its face does not know"
        register.take(contract, event, int(number, 16), times[number])
    return register


def check_against_views(site: Site, register: Register) -> None:
    """Every view answers what the events told."""
    _check_registry(site, register)
    _check_roll(site, register)
    _check_crews(site, register)
    for device, held in register.bindings.items():
        count = bindings.binding_count(site.bindings, device=device)
        assert bindings.parse_binding_count(site.chain.view(count)) == len(held)
        assert [site.binding(device, number) for number in range(len(held))] == held


def _check_registry(site: Site, register: Register) -> None:
    view, at = site.chain.view, site.registry
    assert registry.parse_manager(view(registry.manager(at))) == register.parties["manager"]
    assert registry.parse_committee(view(registry.committee(at))) == register.parties["committee"]
    for role, account in register.offices:
        assert registry.parse_has_role(view(registry.has_role(at, role=role, account=account)))
    assert registry.parse_batch_count(view(registry.batch_count(at))) == len(register.batches)
    for number, batch in register.batches.items():
        found = registry.parse_batch(view(registry.batch(at, number=number)))
        assert replace(found, calls_digest=bytes(32)) == batch, number
    for name, contract in register.directory.items():
        assert registry.parse_contract_named(view(registry.contract_named(at, name=name))) == contract
        assert registry.parse_is_member(view(registry.is_member(at, contract=contract)))
    for old, new in register.successors.items():
        assert registry.parse_successor(view(registry.successor(at, old=old))) == new
    for origin_id, point in register.gateways.items():
        found_key = registry.parse_key_in_force(view(registry.key_in_force(at, origin_id=origin_id)))
        assert (found_key.x, found_key.y) == point
    for (origin_id, key_id), kept in register.gateway_keys.items():
        call = registry.gateway_key(at, origin_id=origin_id, key_id=key_id)
        assert registry.parse_gateway_key(view(call)) == kept
    for building, added in register.gateways_added.items():
        assert registry.parse_gateways_added(view(registry.gateways_added(at, building=building))) == added
    for device, ranges in register.assignments.items():
        count = registry.parse_assignment_count(view(registry.assignment_count(at, device=device)))
        assert count == len(ranges)
        calls = [registry.assignment(at, device=device, number=number) for number in range(count)]
        assert [registry.parse_assignment(view(call)) for call in calls] == ranges


def _check_roll(site: Site, register: Register) -> None:
    view, at = site.chain.view, site.roll
    assert roll.parse_unit_count(view(roll.unit_count(at))) == len(register.units)
    heads = max(unit.head for unit in register.units.values()) + 1
    assert roll.parse_head_count(view(roll.head_count(at))) >= heads
    areas = sum(unit.area_centi_m2 for unit in register.units.values())
    assert roll.parse_total_area(view(roll.total_area(at))) == areas
    for alias, unit in register.units.items():
        assert roll.parse_unit(view(roll.unit(at, alias=alias))) == unit
        assert roll.parse_unit_at(view(roll.unit_at(at, index=unit.index))) == alias
        letter = roll.parse_letters(view(roll.letters(at, unit=alias)))
        assert letter == register.letters.get(alias, bytes(32))
        for date, count in register.residents[alias].items():
            assert roll.parse_residents(view(roll.residents(at, alias=alias, date=date))) == count
    for key_id, key in register.owner_keys.items():
        told = key.set_
        expected = roll.OwnerKey(
            key.unit, told.x, told.y, told.kind, told.relying_party, told.since, key.until, register.is_in_force(key_id)
        )
        assert roll.parse_owner_key(view(roll.owner_key(at, key_id=key_id))) == expected
        voter = roll.parse_voter_key(view(roll.voter_key(at, key_id=key_id)))
        person = roll.parse_person_key(view(roll.person_key(at, key_id=key_id)))
        in_force = register.is_in_force(key_id)
        assert (voter.kind != 0, person.unit) == (in_force, key.unit if in_force else bytes(32))
        if in_force:
            assert (voter.head, voter.since) == (register.units[key.unit].head, told.since)
    for building, counted in register.buildings.items():
        call = roll.building_additions(at, building=building)
        assert roll.parse_building_additions(view(call)) == counted
    for pool, tables in register.pools.items():
        assert roll.parse_is_pool(view(roll.is_pool(at, pool=pool)))
        assert roll.parse_pool_keys_count(view(roll.pool_keys_count(at, pool=pool))) == len(tables)
        calls = [roll.pool_keys(at, pool=pool, number=number) for number in range(len(tables))]
        assert [roll.parse_pool_keys(view(call)) for call in calls] == tables
    for number, party in register.parties_of_owners.items():
        assert roll.parse_relying_party(view(roll.relying_party(at, number=number))) == party


def _check_crews(site: Site, register: Register) -> None:
    view, at = site.chain.view, site.crews
    assert crews.parse_additions(view(crews.additions(at))) == register.crew_counts
    for number, firm in register.firms.items():
        assert crews.parse_firm(view(crews.firm(at, number=number))) == firm
    for number, party in register.parties_of_crews.items():
        assert roll.parse_relying_party(view(crews.relying_party(at, number=number))) == party
    for alias, member in register.members.items():
        key_id = bytes(32) if member.key is None else member.key.key_id
        expected = crews.Member(member.firm, member.duties, member.licence_until, member.since, True, key_id)
        assert crews.parse_member(view(crews.member(at, alias=alias))) == expected
        key = crews.parse_crew_key_of(view(crews.crew_key_of(at, alias=alias)))
        assert (key.kind != 0) == (member.key is not None)
        if member.key is not None:
            until = member.licence_until
            if member.firm:
                until = min(until, register.firms[member.firm].licence_until)
            assert (key.x, key.y, key.duties, key.licence_until) == (member.key.x, member.key.y, member.duties, until)
            assert crews.parse_crew_key(view(crews.crew_key(at, key_id=key_id))) == key
