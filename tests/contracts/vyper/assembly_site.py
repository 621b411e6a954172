"""A site that votes: units of several owners in two buildings, their keys, and shorthand to convene, sign and count."""

import base64
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from contracts import p256
from contracts.abi import Call
from contracts.ballot import Opening, PaperBallot, SignedBallot, batch_of, chained_papers
from contracts.calls import assembly, ballots, crews_changes, registry, resolutions, roll, roll_changes
from contracts.calls.resolutions import Proposal, Resolution
from contracts.calls.roll_changes import UNITS_MAX, NewUnit
from contracts.person import PersonSignature, Purpose, key_id_of, person_digest, sign_software
from contracts.quorum import Choice
from contracts.roll import Roll, UnitShare
from contracts.vyper.compile import artifact
from tests.contracts.vyper.chain import Chain, Receipt
from tests.contracts.vyper.site import FOREVER, announced, coordinates, key_of, name
from tests.contracts.vyper.site_contracts import DAY, NOTICE, VOTING, Parties, created_address, creation

CALLS_MAX = 32  # inner calls of one batch
ORIGIN = "https://minglou.example"
RP_ID_HASH = sha256(b"minglou.example").digest()
UP_UV = 5
TAIL = b',"crossOrigin":false}'
PASSKEY, SOFTWARE = 1, 2

# area, head, building: head 0 is the developer with three units, head 8 has one unit in each building.
SHARES = (
    (9000, 0, 0),
    (8000, 0, 0),
    (7000, 0, 1),
    (10000, 1, 0),
    (5000, 2, 0),
    (6000, 3, 1),
    (6500, 4, 1),
    (7500, 5, 1),
    (4000, 6, 0),
    (11000, 7, 1),
    (3000, 8, 0),
    (2000, 8, 1),
)
HEADS = 9


@dataclass(frozen=True, slots=True)
class Voter:
    """A key of an owner, with the index of its unit."""

    unit: int
    key: p256.PrivateKey
    kind: int

    @property
    def key_id(self) -> bytes:
        return key_id_of(p256.public_bytes(self.key))


def voters(units: Iterable[int], *, kind: int = PASSKEY, secret: int = 50_000) -> list[Voter]:
    """One key for each of these units."""
    return [Voter(unit, key_of(secret + unit), kind) for unit in units]


def authenticator(flags: int = UP_UV, counter: int = 0) -> bytes:
    return RP_ID_HASH + bytes([flags]) + counter.to_bytes(4)


VOTERS = tuple(Voter(unit, key_of(50_000 + unit), SOFTWARE if unit == 7 else PASSKEY) for unit in range(len(SHARES)))
OF_HEAD = {head: next(voter for voter in VOTERS if SHARES[voter.unit][1] == head) for head in range(HEADS)}
CO_OWNER = Voter(5, key_of(60_005), PASSKEY)  # of head 3
CO_OWNER_SOFTWARE = Voter(5, key_of(60_006), SOFTWARE)
OFFICERS = (key_of(70_001), key_of(70_002))
CASHIER = key_of(70_003)


CONTRACTS = {
    "registry": "Registry",
    "roll": "Roll",
    "crews": "Crews",
    "resolutions": "Resolutions",
    "ballots": "Ballots",
    "assembly": "Assembly",
}


class Hall:
    """The three contracts of the assembly over the real Registry, Roll and Crews, with units and keys as tests want."""

    registry: str
    roll_contract: str
    crews: str
    resolutions: str
    ballots: str
    assembly: str

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.committee, self.manager, self.relayer, self.stranger = chain.accounts[6:10]
        self.units: list[UnitShare] = []
        nonce = int(chain.rpc("eth_getTransactionCount", self.relayer, "latest"), 16)
        at = {one: created_address(self.relayer, nonce + number) for number, one in enumerate(CONTRACTS)}
        parties = Parties(deployer=self.relayer, manager=self.manager, committee=self.committee, relayer=self.relayer)
        for one, contract in CONTRACTS.items():
            address = chain.deploy(self.relayer, creation(one, artifact(contract).bytecode, at, parties))
            assert address == at[one], one
            setattr(self, "roll_contract" if one == "roll" else one, address)

    def set_up(self) -> None:
        """The site that most tests use."""
        parties = (
            roll_changes.set_relying_party(self.roll_contract, number=0, rp_id_hash=RP_ID_HASH, origin=ORIGIN),
            crews_changes.set_relying_party(self.crews, number=0, rp_id_hash=RP_ID_HASH, origin=ORIGIN),
        )
        officers = [self.officer(name(f"officer {place}"), key) for place, key in enumerate(OFFICERS)]
        cashier = self.officer(name("cashier"), CASHIER, duties=16)
        calls = [*parties, *self.units_joining(SHARES), *(call for each in (*officers, cashier) for call in each)]
        self.enact(*calls, *self.keys_joining([*VOTERS, CO_OWNER, CO_OWNER_SOFTWARE]))
        self.chain.wait(3600)

    @contextmanager
    def undone(self) -> Iterator[None]:
        snapshot, units = self.chain.snapshot(), list(self.units)
        try:
            yield
        finally:
            self.units = units
            self.chain.revert_to(snapshot)

    # --- Who there is ---

    def enact(self, *calls: Call) -> None:
        """Both parties announce and approve, and after the delay everything is enacted."""
        batches = []
        for first in range(0, len(calls), CALLS_MAX):
            some = calls[first : first + CALLS_MAX]
            number = announced(self.chain.send(self.manager, registry.announce(self.registry, calls=some)))
            self.chain.send(self.committee, registry.approve(self.registry, number=number))
            batches.append((number, some))
        self.chain.wait(7 * DAY)
        for number, some in batches:
            self.chain.send(self.stranger, registry.enact(self.registry, number=number, calls=some))

    def add_units(self, shares: Sequence[tuple[int, int, int]]) -> None:
        """Units as (area, head, building)."""
        self.enact(*self.units_joining(shares))

    def units_joining(self, shares: Sequence[tuple[int, int, int]]) -> list[Call]:
        new = []
        for area, head, building in shares:
            index = len(self.units)
            self.units.append(UnitShare(index=index, area_centi_m2=area, head=head, building=building))
            new.append(NewUnit(alias=alias_of(index), area_centi_m2=area, head=head, building=building))
        return [
            roll_changes.add_units(self.roll_contract, units=new[first : first + UNITS_MAX])
            for first in range(0, len(new), UNITS_MAX)
        ]

    def add_keys(self, keys: Sequence[Voter]) -> None:
        self.enact(*self.keys_joining(keys))

    def keys_joining(self, keys: Sequence[Voter]) -> list[Call]:
        """The calls that enrol keys; the committee posts their units' letters, whose code is the alias."""
        aliases = sorted({alias_of(voter.unit) for voter in keys})
        for first in range(0, len(aliases), 64):
            some = aliases[first : first + 64]
            digests = [sha256(alias).digest() for alias in some]
            self.chain.send(self.committee, roll.post_letters(self.roll_contract, units=some, digests=digests))
        return [self._key_joining(voter) for voter in keys]

    def _key_joining(self, voter: Voter) -> Call:
        x, y = coordinates(voter.key)
        alias = alias_of(voter.unit)
        return roll_changes.add_owner_key(
            self.roll_contract, unit=alias, x=x, y=y, kind=voter.kind, relying_party=0, letter_code=alias
        )

    def sell(self, unit: int, head: int) -> None:
        self.enact(roll_changes.set_head(self.roll_contract, unit=alias_of(unit), head=head))
        self.units[unit] = replace(self.units[unit], head=head)

    def end_key(self, voter: Voter) -> None:
        """The owner ends a lost key at once."""
        signature = self._signed(voter, Purpose.REVOKE_KEY, voter.key_id)
        self.chain.send(self.stranger, roll.revoke_owner_key(self.roll_contract, signature=signature))

    def rotate_key(self, voter: Voter, new: p256.PrivateKey) -> Voter:
        """The owner's key signs for a new one, which takes its place after the delay."""
        x, y = coordinates(new)
        signature = self._signed(voter, Purpose.ROTATE_KEY, x, y, voter.kind, 0)
        call = roll.rotate_owner_key(
            self.roll_contract, x=x, y=y, kind=voter.kind, relying_party=0, signature=signature
        )
        number = announced(self.chain.send(self.stranger, call))
        self.chain.wait(7 * DAY)
        inner = roll_changes.replace_owner_key(
            self.roll_contract,
            unit=alias_of(voter.unit),
            old_key_id=voter.key_id,
            x=x,
            y=y,
            kind=voter.kind,
            relying_party=0,
        )
        self.chain.send(self.stranger, registry.enact(self.registry, number=number, calls=[inner]))
        return replace(voter, key=new)

    def _signed(self, voter: Voter, purpose: Purpose, *body: Any) -> PersonSignature:
        act: dict[str, Any] = {"chain_id": 31337, "contract": self.roll_contract, "purpose": purpose}
        act |= {"nonce": 1, "deadline": FOREVER, "body_digest": purpose.body_digest(*body)}
        return signed_by(voter, **act)

    def add_officer(self, alias: bytes, key: p256.PrivateKey) -> None:
        self.enact(*self.officer(alias, key))

    def officer(self, alias: bytes, key: p256.PrivateKey, duties: int = 8) -> tuple[Call, Call]:
        x, y = coordinates(key)
        return (
            crews_changes.set_member(self.crews, alias=alias, firm=0, duties=duties, licence_until=2**39),
            crews_changes.add_crew_key(self.crews, alias=alias, x=x, y=y, kind=SOFTWARE, relying_party=0),
        )

    @property
    def head_count(self) -> int:
        return 1 + max(unit.head for unit in self.units)

    def head_of(self, voter: Voter) -> int:
        return self.units[voter.unit].head

    # --- What is put to the vote ---

    def roll(self, proposal: Proposal) -> Roll:
        building = proposal.building - 1 if proposal.building else None
        return Roll.of_units(self.units, head_count=self.head_count, building=building)

    def convening(self, proposal: Proposal, roll: Roll | None = None, **changes: Any) -> dict[str, Any]:
        """Arguments of `convene`; a minute is left for the blocks until then."""
        roll = roll or self.roll(proposal)
        opens_at = self.chain.now() + NOTICE + 60
        fields = {"proposal": proposal, "root": roll.root, "head_count": roll.head_count}
        return fields | {"opens_at": opens_at, "closes_at": opens_at + VOTING} | changes

    def convene(self, proposal: Proposal, *, roll: Roll | None = None, shown: bool = True) -> "Vote":
        roll = roll or self.roll(proposal)
        call = resolutions.convene(self.resolutions, **self.convening(proposal, roll))
        self.chain.send(self.committee, call)
        vote = Vote(self, self.last_number(), roll)
        if shown:
            vote.show()
        return vote

    def last_number(self) -> int:
        return resolutions.parse_resolution_count(self.chain.view(resolutions.resolution_count(self.resolutions)))


class Vote:
    """One resolution, with the roll that was posted for it."""

    def __init__(self, hall: Hall, number: int, roll: Roll) -> None:
        self.hall, self.chain, self.number, self.roll = hall, hall.chain, number, roll
        self.terms = self.resolution()

    def resolution(self) -> Resolution:
        call = resolutions.resolution(self.hall.resolutions, number=self.number)
        return resolutions.parse_resolution(self.chain.view(call))

    def show(self) -> None:
        for call in resolutions.show_roll(self.hall.resolutions, number=self.number, roll=self.roll):
            self.chain.send(self.hall.stranger, call)

    def open(self) -> "Vote":
        self.chain.wait_until(self.terms.opens_at + 1)
        return self

    def close(self) -> None:
        self.chain.wait_until(self.terms.closes_at + 1)

    def end(self) -> None:
        self.chain.wait_until(self.terms.ends_at + 1)

    # --- Signing ---

    def sign(
        self, voter: Voter, says: int, *, sequence: int = 1, purpose: Purpose = Purpose.VOTE, **changes: Any
    ) -> SignedBallot:
        return self.sign_body(voter, says, purpose, says, sequence=sequence, **changes)

    def sign_body(
        self, voter: Voter, says: int, purpose: Purpose, body: Any, *, sequence: int = 1, **changes: Any
    ) -> SignedBallot:
        act: dict[str, Any] = {
            "chain_id": 31337,
            "contract": self.hall.ballots,
            "purpose": purpose,
            "nonce": sequence,
            "deadline": self.terms.closes_at,
            "body_digest": purpose.body_digest(self.terms.digest, body),
        }
        data = changes.pop("authenticator_data", authenticator())
        tail = changes.pop("tail", TAIL)
        act |= changes
        return SignedBallot(says=says, signature=signed_by(voter, data=data, tail=tail, **act))

    def cast_call(self, signed: Iterable[SignedBallot]) -> Any:
        return ballots.cast(self.hall.ballots, number=self.number, batch=batch_of(signed))

    def cast(self, *signed: SignedBallot, by: str | None = None) -> Receipt:
        return self.chain.send(by or self.hall.stranger, self.cast_call(signed))

    def say(self, voters: Iterable[Voter], choice: Choice, *, sequence: int = 1) -> Receipt:
        return self.cast(*(self.sign(voter, choice, sequence=sequence) for voter in voters))

    def give_proxy(self, voter: Voter, holder: int | None, *, sequence: int = 1, by: str | None = None) -> Receipt:
        says = 0 if holder is None else holder + 1
        batch = batch_of([self.sign(voter, says, sequence=sequence, purpose=Purpose.PROXY)])
        call = ballots.set_proxies(self.hall.ballots, number=self.number, batch=batch)
        return self.chain.send(by or self.hall.stranger, call)

    def seal(self, voter: Voter, choice: Choice, *, sequence: int = 1) -> Opening:
        """Cast a sealed ballot; returns what opens it."""
        salt = sha256(b"%d %d" % (voter.unit, sequence)).digest()
        opening = Opening(key_id=voter.key_id, choice=choice, salt=salt)
        commitment = opening.commitment(self.terms.digest)
        signed = self.sign_body(voter, 0, Purpose.SEAL, commitment, sequence=sequence)
        batch = batch_of([signed])
        call = ballots.seal(self.hall.ballots, number=self.number, batch=batch, commitments=[commitment])
        self.chain.send(self.hall.stranger, call)
        return opening

    def reveal(self, *openings: Opening) -> Receipt:
        call = ballots.reveal(self.hall.ballots, number=self.number, openings=openings)
        return self.chain.send(self.hall.stranger, call)

    def papers_signed(self, key: p256.PrivateKey, papers: Sequence[PaperBallot], **changes: Any) -> PersonSignature:
        act: dict[str, Any] = {
            "chain_id": 31337,
            "contract": self.hall.ballots,
            "purpose": Purpose.PAPER,
            "nonce": 1,
            "deadline": self.terms.closes_at,
            "body_digest": Purpose.PAPER.body_digest(chained_papers(self.terms.digest, papers)),
        }
        return sign_software(key, **(act | changes))

    def record(self, papers: Sequence[PaperBallot], first: p256.PrivateKey, second: p256.PrivateKey) -> Receipt:
        signatures = [self.papers_signed(key, papers) for key in (first, second)]
        call = ballots.record_papers(
            self.hall.ballots, number=self.number, papers=papers, first=signatures[0], second=signatures[1]
        )
        return self.chain.send(self.hall.stranger, call)

    # --- What stands ---

    def spoken(self, head: int) -> tuple[Choice | None, int]:
        found = ballots.parse_ballot(self.chain.view(ballots.ballot(self.hall.ballots, number=self.number, head=head)))
        return found.choice, int(found.means)

    def count(self) -> list[Receipt]:
        calls = assembly.count_roll(self.hall.assembly, number=self.number, roll=self.roll)
        return [self.chain.send(self.hall.stranger, call) for call in calls]

    def outcome(self) -> assembly.Outcome:
        return assembly.parse_outcome(self.chain.view(assembly.outcome(self.hall.assembly, number=self.number)))

    def result(self) -> assembly.Result:
        return assembly.parse_result(self.chain.view(assembly.result(self.hall.assembly, number=self.number)))


def alias_of(unit: int) -> bytes:
    return name(f"hall unit {unit}")


def signed_by(voter: Voter, *, data: bytes | None = None, tail: bytes = TAIL, **act: Any) -> PersonSignature:
    """What the voter's passkey or software key answers."""
    if voter.kind == SOFTWARE:
        return sign_software(voter.key, **act)
    return sign_passkey(voter.key, data=authenticator() if data is None else data, tail=tail, **act)


def sign_passkey(key: p256.PrivateKey, *, data: bytes, tail: bytes, **act: Any) -> PersonSignature:
    """What an authenticator would answer."""
    key_id = key_id_of(p256.public_bytes(key))
    digest = person_digest(key_id=key_id, **act)
    challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    client = f'{{"type":"webauthn.get","challenge":"{challenge}","origin":"{ORIGIN}"'.encode() + tail
    signature = p256.sign(key, data + sha256(client).digest())
    return PersonSignature(
        key_id=key_id,
        nonce=act["nonce"],
        deadline=act["deadline"],
        r=int.from_bytes(signature[:32]),
        s=int.from_bytes(signature[32:]),
        authenticator_data=data,
        client_data=client,
    )


def proposal(matter: int = 4, **changes: Any) -> Proposal:
    """Something to decide."""
    fields: dict[str, Any] = {"payload": name("payload"), "discussion": name("discussion")}
    return Proposal(matter=matter, **(fields | changes))


def paper(head: int, choice: Choice = Choice.IN_FAVOUR) -> PaperBallot:
    """A paper ballot as two officers record it."""
    return PaperBallot(head=head, choice=choice, scan=name(f"scan {head}"))
