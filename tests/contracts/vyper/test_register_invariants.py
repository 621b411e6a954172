"""Registry, Roll, Crews and Bindings as a state machine: nothing comes into force but by its parties and its delay."""

import os
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from hashlib import sha256
from random import Random

import pytest
from hypothesis.stateful import invariant, rule

from contracts.abi import Call
from contracts.calls import bindings, bindings_changes, crews, crews_changes, registry, roll, roll_changes
from contracts.calls.bindings import Confirmed
from contracts.person import Purpose
from tests.contracts.vyper.conftest import undone
from tests.contracts.vyper.predicted import Predicted, require, run_paths
from tests.contracts.vyper.register import check_against_views, folded
from tests.contracts.vyper.site import (
    DAY,
    FIRM,
    INSTALLER,
    INSTALLER_KEY,
    LICENCE_UNTIL,
    METERS,
    UNITS,
    Site,
    announced,
    coordinates,
    key_id,
    key_of,
    name,
)

EXAMPLES = int(os.environ.get("MINGLOU_REGISTER_EXAMPLES", "12"))
DELAY = 7 * DAY
INSTALLERS_SECRET = 2000
FIRST_SECRETS = (1000, 1001, 1002)


@dataclass
class Model:
    """Who is in force, by the secrets of the tests' keys."""

    heads: list[int] = field(default_factory=lambda: [0, 1, 2])
    head_count: int = 3
    has_key: list[bool] = field(default_factory=lambda: [True] * 3)
    letters: list[bytes | None] = field(default_factory=lambda: [sha256(name(f"code {n}")).digest() for n in range(3)])
    owners: dict[int, int] = field(default_factory=lambda: {secret: n for n, secret in enumerate(FIRST_SECRETS)})
    owners_used: set[int] = field(default_factory=lambda: set(FIRST_SECRETS))
    installer: int | None = INSTALLERS_SECRET
    has_duty: bool = True
    crews_used: set[int] = field(default_factory=lambda: {INSTALLERS_SECRET})
    ended: list[bool] = field(default_factory=lambda: [False] * 3)
    attested: list[bool] = field(default_factory=lambda: [False] * 3)
    confirmed: list[Confirmed] = field(default_factory=lambda: [Confirmed.NO] * 3)


class RefusedError(Exception):
    """The model says that the contract refuses."""


def needs(condition: bool) -> None:
    if not condition:
        raise RefusedError


@dataclass
class Change:
    """One inner call, whom it concerns, and what it does to the model."""

    call: Call
    concerns: bytes
    apply: Callable[[Model], None]


@dataclass
class Pending:
    """One announced batch."""

    number: int
    changes: list[Change]
    by: str
    effective_at: int = 0
    vetoed: int = 0
    enacted: bool = False


PARTIES = ("manager", "committee", "committee", "relayer", "operator")
KINDS = ("key", "head", "remove", "end_binding", "crew_key", "duty")
ACTS = (
    *("propose", "approve", "enact", "enact", "wait", "veto", "veto_signed", "veto_signed", "the_whole_way"),
    *("revoke", "rotate", "rotate_crew", "letter", "attest", "confirm", "contest", "confirm_as_committee"),
    *("propose", "approve", "enact", "the_whole_way", "attest", "confirm", "confirm_as_committee", "end_member"),
)


class Witnesses(Predicted):
    """Calls in any order; each is predicted, and its refusal too."""

    site: Site

    def __init__(self) -> None:
        super().__init__()
        self._undone = undone(self.site)
        self._undone.__enter__()
        self.model = Model()
        self.batches: list[Pending] = []
        self.fresh = 7000
        self.nonce = 10
        self.rng = Random(len(self.succeeded) + 1000 * self.succeeded.total())
        self.site.attest(METERS[0])
        self.model.attested[0] = True

    def teardown(self) -> None:
        try:
            check_against_views(self.site, folded(self.site))
        finally:
            self._undone.__exit__(None, None, None)

    def new_secret(self) -> int:
        self.fresh += 1
        return self.fresh

    # --- What a batch may hold ---

    def change(self, kind: str, unit: int) -> Change:
        site, alias = self.site, UNITS[unit]
        secret = self.new_secret()

        def key(model: Model) -> None:
            letter = model.letters[unit]
            needs(model.has_key[unit] or letter == sha256(name(f"code {unit}")).digest())
            model.has_key[unit] = True
            model.owners[secret] = unit
            model.owners_used.add(secret)

        new_head = self.model.head_count if secret % 2 else 0

        def head(model: Model) -> None:
            needs(new_head <= model.head_count)
            model.head_count = max(model.head_count, new_head + 1)
            model.heads[unit], model.letters[unit], model.has_key[unit] = new_head, None, False
            model.owners = {one: held for one, held in model.owners.items() if held != unit}

        victim = next((one for one, held in self.model.owners.items() if held == unit), FIRST_SECRETS[unit])

        def remove(model: Model) -> None:
            needs(model.owners.get(victim) == unit)
            del model.owners[victim]

        def end_binding(model: Model) -> None:
            needs(not model.ended[unit])
            model.ended[unit], model.attested[unit] = True, False
            if model.confirmed[unit] is not Confirmed.NO:
                model.confirmed[unit] = Confirmed.CONTESTED

        def crew_key(model: Model) -> None:
            needs(model.installer is None)
            model.installer = secret

        def duty(model: Model) -> None:
            model.has_duty = True

        match kind:
            case "key":
                call = site.owner_key_change(alias, key_of(secret), name(f"code {unit}"))
                return Change(call, alias, key)
            case "head":
                return Change(roll_changes.set_head(site.roll, unit=alias, head=new_head), alias, head)
            case "remove":
                call = roll_changes.remove_owner_key(site.roll, unit=alias, key_id=key_id(key_of(victim)))
                return Change(call, alias, remove)
            case "end_binding":
                call = bindings_changes.end_binding(
                    site.bindings, subject=alias, device=METERS[unit], to_date=20261101, commitment=name("end")
                )
                return Change(call, alias, end_binding)
            case "crew_key":
                return Change(site.crew_key_change(INSTALLER, key_of(secret)), INSTALLER, crew_key)
        call = crews_changes.set_member(
            site.crews, alias=INSTALLER, firm=FIRM, duties=crews.Duty.INSTALLER, licence_until=LICENCE_UNTIL
        )
        return Change(call, INSTALLER, duty)

    # --- Acts ---

    @rule()
    def something(self) -> None:
        """One act of one party, drawn by a generator of its own: hypothesis prefers few of many acts, and zeros."""
        rng = self.rng
        act, by, unit, pick = rng.choice(ACTS), rng.choice(PARTIES), rng.randrange(3), rng.randrange(8)
        other = rng.choice((unit, unit, rng.randrange(3)))
        kinds = rng.choices(KINDS, k=rng.randint(1, 3))
        waiting = [batch for batch in self.batches if not batch.enacted]
        if act in ("approve", "enact", "veto", "veto_signed"):
            if not waiting:
                self.propose("committee", [self.change(kind, unit) for kind in kinds])
                waiting = self.batches[-1:]
            getattr(self, act)(waiting[pick % len(waiting)], by, unit)
        elif act in ("propose", "the_whole_way"):
            getattr(self, act)(by, [self.change(kind, (unit + n) % 3) for n, kind in enumerate(kinds)])
        elif act in ("wait", "end_member"):
            getattr(self, act)(by)
        else:
            getattr(self, act)(unit, other, by)

    def propose(self, by: str, changes: list[Change]) -> Pending | None:
        calls = [change.call for change in changes]
        batch = None
        with self.expected("propose", by in ("manager", "committee")):
            number = self.site.announce(*calls, by=getattr(self.site, by))
            batch = Pending(number, changes, by)
            self.batches.append(batch)
        return batch

    def approve(self, batch: Pending, by: str, _unit: int) -> None:
        succeeds = batch.effective_at == 0 and {by, batch.by} == {"manager", "committee"}
        with self.expected("approve", succeeds):
            call = registry.approve(self.site.registry, number=batch.number)
            self.site.chain.send(getattr(self.site, by), call)
        if succeeds:
            batch.effective_at = self.site.chain.now() + DELAY

    def veto(self, batch: Pending, by: str, unit: int) -> None:
        with self.expected("veto", by == "committee"):
            call = registry.veto(self.site.registry, number=batch.number, mask=1 << unit)
            self.site.chain.send(getattr(self.site, by), call)
        if by == "committee":
            batch.vetoed |= 1 << unit

    def veto_signed(self, batch: Pending, _by: str, unit: int) -> None:
        """A unit's key, or the installer's, against the first call."""
        first = batch.changes[0]
        if batch.number % 4 and first.concerns in UNITS:
            unit = UNITS.index(first.concerns)
        crew = first.call.to == self.site.crews
        secret = next((one for one, held in self.model.owners.items() if held == unit), 9999)
        secret = (self.model.installer or 9999) if crew else secret
        succeeds = secret != 9999 and (crew or UNITS[unit] == first.concerns)
        signature = self.site.sign(
            0, Purpose.VETO, batch.number, 0, contract=self.site.registry, key=key_of(secret), nonce=self.nonce
        )
        calls = [change.call for change in batch.changes]
        with self.expected("veto_signed", succeeds):
            call = registry.veto_signed(
                self.site.registry, number=batch.number, calls=calls, call_index=0, signature=signature
            )
            self.site.chain.send(self.site.relayer, call)
        if succeeds:
            batch.vetoed |= 1

    def enact(self, batch: Pending, _by: str, _unit: int) -> None:
        after = deepcopy(self.model)
        # The next block is at most a second or two later; delays are days, so that no edge falls between.
        succeeds = batch.effective_at != 0 and self.site.chain.now() + DAY // 2 >= batch.effective_at
        try:
            for number, change in enumerate(batch.changes):
                if not batch.vetoed >> number & 1:
                    change.apply(after)
        except RefusedError:
            succeeds = False
        with self.expected("enact", succeeds):
            self.site.enact_batch(batch.number, *[change.call for change in batch.changes])
        if succeeds:
            self.model, batch.enacted = after, True

    def the_whole_way(self, by: str, changes: list[Change]) -> None:
        batch = self.propose(by, changes)
        if batch is not None:
            self.approve(batch, "manager" if by == "committee" else "committee", 0)
            self.wait(by)
            self.enact(batch, by, 0)

    def wait(self, _by: str) -> None:
        self.site.chain.wait(8 * DAY)

    def revoke(self, unit: int, _other: int, _by: str) -> None:
        secret = next((one for one, held in self.model.owners.items() if held == unit), FIRST_SECRETS[unit])
        succeeds = secret in self.model.owners
        signature = self.site.sign(
            0, Purpose.REVOKE_KEY, key_id(key_of(secret)), contract=self.site.roll, key=key_of(secret)
        )
        with self.expected("revoke", succeeds):
            call = roll.revoke_owner_key(self.site.roll, signature=signature)
            self.site.chain.send(self.site.relayer, call)
        self.model.owners.pop(secret, None)

    def rotate(self, unit: int, _other: int, _by: str) -> None:
        old = next((one for one, held in self.model.owners.items() if held == unit), FIRST_SECRETS[unit])
        secret, site = self.new_secret(), self.site
        fields = dict(zip(("x", "y"), coordinates(key_of(secret)), strict=True)) | {"kind": 2, "relying_party": 0}
        signature = site.sign(0, Purpose.ROTATE_KEY, *fields.values(), contract=site.roll, key=key_of(old))
        inner = roll_changes.replace_owner_key(site.roll, unit=UNITS[unit], old_key_id=key_id(key_of(old)), **fields)

        def replaced(model: Model) -> None:
            needs(model.owners.get(old) == unit)
            del model.owners[old]
            model.owners[secret] = unit

        with self.expected("rotate", old in self.model.owners):
            sent = site.chain.send(site.relayer, roll.rotate_owner_key(site.roll, signature=signature, **fields))
            batch = Pending(announced(sent), [Change(inner, UNITS[unit], replaced)], "owner")
            batch.effective_at = site.chain.now() + DELAY
            self.batches.append(batch)

    def rotate_crew(self, _unit: int, _other: int, _by: str) -> None:
        old, secret, site = self.model.installer or INSTALLERS_SECRET, self.new_secret(), self.site
        fields = dict(zip(("x", "y"), coordinates(key_of(secret)), strict=True)) | {"kind": 2, "relying_party": 0}
        signature = site.sign(0, Purpose.ROTATE_KEY, *fields.values(), contract=site.crews, key=key_of(old))
        inner = crews_changes.replace_crew_key(site.crews, alias=INSTALLER, old_key_id=key_id(key_of(old)), **fields)

        def replaced(model: Model) -> None:
            needs(model.installer == old)
            model.installer = secret

        with self.expected("rotate_crew", self.model.installer == old):
            sent = site.chain.send(site.relayer, crews.rotate_crew_key(site.crews, signature=signature, **fields))
            batch = Pending(announced(sent), [Change(inner, INSTALLER, replaced)], "installer")
            batch.effective_at = site.chain.now() + DELAY
            self.batches.append(batch)

    def end_member(self, by: str) -> None:
        succeeds = by in ("manager", "committee")
        with self.expected("end_member", succeeds):
            self.site.chain.send(getattr(self.site, by), crews.end_member(self.site.crews, alias=INSTALLER))
        if succeeds:
            self.model.installer, self.model.has_duty = None, False

    def letter(self, unit: int, _other: int, by: str) -> None:
        digest = sha256(name(f"code {unit}")).digest()
        with self.expected("letter", by == "committee"):
            call = roll.post_letters(self.site.roll, units=[UNITS[unit]], digests=[digest])
            self.site.chain.send(getattr(self.site, by), call)
        if by == "committee":
            self.model.letters[unit] = digest

    def attest(self, unit: int, _other: int, _by: str) -> None:
        model = self.model
        succeeds = model.installer is not None and model.has_duty and not model.attested[unit]
        with self.expected("attest", succeeds):
            self.site.attest(METERS[unit], key=key_of(model.installer) if model.installer else INSTALLER_KEY)
        model.attested[unit] |= succeeds

    def confirm(self, unit: int, other: int, _by: str) -> None:
        self._owners_word(unit, other, Purpose.CONFIRM_BINDING, Confirmed.OWNER)

    def contest(self, unit: int, other: int, _by: str) -> None:
        self._owners_word(unit, other, Purpose.CONTEST_BINDING, Confirmed.CONTESTED)

    def _owners_word(self, unit: int, signer: int, purpose: Purpose, state: Confirmed) -> None:
        self.nonce += 1
        secret = next((one for one, held in self.model.owners.items() if held == signer), 9999)
        device = METERS[unit]
        signature = self.site.sign(
            0,
            purpose,
            device,
            0,
            self.site.binding(device).commitment,
            contract=self.site.bindings,
            key=key_of(secret),
            nonce=self.nonce,
        )
        succeeds = secret != 9999 and signer == unit and self.model.confirmed[unit] is not state
        succeeds = succeeds and (self.model.attested[unit] or state is Confirmed.CONTESTED)
        act = bindings.confirm if state is Confirmed.OWNER else bindings.contest
        with self.expected(act.__name__, succeeds):
            self.site.chain.send(
                self.site.relayer, act(self.site.bindings, device=device, number=0, signature=signature)
            )
        if succeeds:
            self.model.confirmed[unit] = state

    def confirm_as_committee(self, unit: int, _other: int, by: str) -> None:
        is_open = self.model.confirmed[unit] in (Confirmed.NO, Confirmed.CONTESTED)
        succeeds = by == "committee" and self.model.attested[unit] and is_open
        with self.expected("confirm_as_committee", succeeds):
            call = bindings.confirm_as_committee(self.site.bindings, devices=[METERS[unit]], numbers=[0])
            self.site.chain.send(getattr(self.site, by), call)
        if succeeds:
            self.model.confirmed[unit] = Confirmed.COMMITTEE

    # --- What must hold ---

    @invariant()
    def keys_heads_and_bindings_are_those_of_the_model(self) -> None:
        model, site, view = self.model, self.site, self.site.chain.view
        assert roll.parse_head_count(view(roll.head_count(site.roll))) == model.head_count
        for unit, alias in enumerate(UNITS):
            assert roll.parse_unit(view(roll.unit(site.roll, alias=alias))).head == model.heads[unit]
            held = site.binding(METERS[unit])
            assert (held.to_date != 0, held.attested, held.confirmed) == (
                model.ended[unit],
                model.attested[unit],
                model.confirmed[unit],
            )
        for secret in model.owners_used | model.owners.keys():
            person = roll.parse_person_key(view(roll.person_key(site.roll, key_id=key_id(key_of(secret)))))
            expected = UNITS[model.owners[secret]] if secret in model.owners else bytes(32)
            assert person.unit == expected, secret
        serving = crews.parse_crew_key_of(view(crews.crew_key_of(site.crews, alias=INSTALLER)))
        x = coordinates(key_of(model.installer))[0] if model.installer else 0
        assert serving.x == x


@pytest.mark.slow
def test_nothing_comes_into_force_but_by_its_parties_and_its_delay(enrolled: Site) -> None:
    Witnesses.site = enrolled
    run_paths(Witnesses, examples=EXAMPLES, steps=30)
    needed = (
        *["propose", "approve", "enact", "veto", "veto_signed", "revoke", "rotate", "letter", "attest"],
        *["confirm", "contest", "confirm_as_committee", "rotate_crew", "end_member"],
    )
    require(Witnesses, needed, times=2)
