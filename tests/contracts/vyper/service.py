"""Maintenance on the development chain: a firm and its crew, a lift's agreement, visits signed, logged and relayed."""

from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from eth_utils.crypto import keccak

from contracts import p256
from contracts.abi import Call, encode_arguments
from contracts.calls import counterevidence, crews_changes, service_agreements, token
from contracts.calls.anchor_log import Head
from contracts.calls.counterevidence import LoggedEntry
from contracts.calls.crews import Duty
from contracts.calls.service_agreements import RING, Agreement, Claim, KeptDay, LoggedVisit
from contracts.calls.service_agreements_events import VisitRecorded, parse_event
from contracts.crew_signature import DUTY_MANAGER, DUTY_MECHANIC, CrewKey, CrewSignature, crew_signature
from contracts.due import TERMS_TYPE, Terms, local_day
from contracts.entry import Entry, Kind
from contracts.person import (
    KeyKind,
    PersonSignature,
    Purpose,
    challenge_text,
    key_id_of,
    person_digest,
    sign_software,
    webauthn_signature,
)
from contracts.visit import NOBODY, Visit, VisitClass
from contracts.vyper.compile import artifact
from tests.contracts.vyper.chain import Receipt
from tests.contracts.vyper.site import (
    DAY,
    FIRM,
    FOREVER,
    LICENCE_UNTIL,
    LIFT,
    OFFSET,
    PRECOMPILE,
    WEB_ORIGIN,
    Site,
    coordinates,
    key_of,
    name,
)

BUDGET, DEPOSIT = 500_000, 1_000_000  # of the agreement that fixtures start
PLAN = name("TSG T5002-2017 annex A")
RP_ID_HASH = sha256(b"localhost").digest()
OTHER_FIRM = FIRM + 1
PRESENT_AND_VERIFIED = bytes([5]) + bytes(4)


@dataclass(frozen=True, kw_only=True)
class Member:
    """One person who serves, and the key that signs for him."""

    alias: bytes
    secret: int
    firm: int = FIRM
    duties: int = DUTY_MECHANIC
    licence_until_s: int = LICENCE_UNTIL
    kind: KeyKind = KeyKind.WEBAUTHN

    @property
    def private(self) -> p256.PrivateKey:
        return key_of(self.secret)

    @property
    def key(self) -> CrewKey:
        x, y = coordinates(self.private)
        is_passkey = self.kind is KeyKind.WEBAUTHN
        return CrewKey(
            duties=self.duties,
            licence_until_s=self.licence_until_s,
            x=x,
            y=y,
            kind=self.kind,
            rp_id_hash=RP_ID_HASH if is_passkey else bytes(32),
            origin=WEB_ORIGIN if is_passkey else "",
        )


MECHANIC = Member(alias=name("mechanic"), secret=301)
SECOND = Member(alias=name("second mechanic"), secret=302)
LEARNER = Member(alias=name("learner"), secret=303, duties=Duty.INSTALLER)
STRANGER = Member(alias=name("another firm's mechanic"), secret=304, firm=OTHER_FIRM)
STRANGERS_PAIR = Member(alias=name("another firm's second mechanic"), secret=308, firm=OTHER_FIRM)
BY_SOFTWARE = Member(alias=name("mechanic without passkey"), secret=305, kind=KeyKind.SOFTWARE)
BOTH = Member(alias=name("mechanic who counter-signs elsewhere"), secret=307, duties=DUTY_MECHANIC | DUTY_MANAGER)
SITE_MANAGER = Member(alias=name("site manager"), secret=310, firm=0, duties=DUTY_MANAGER)
# Licensed for the half day in which the crew is enrolled.
UNLICENSED = Member(alias=name("mechanic whose licence ended"), secret=306, licence_until_s=0)
MEMBERS = (MECHANIC, SECOND, LEARNER, STRANGER, STRANGERS_PAIR, BY_SOFTWARE, BOTH, SITE_MANAGER)


class Service:
    """One lift of the site and the firm that keeps it."""

    def __init__(self, site: Site) -> None:
        self.site, self.chain = site, site.chain
        self.terms_now: Terms  # of the agreement that fixtures start
        self.account, self.payer = self.chain.accounts[6:8]
        self.unlicensed = replace(UNLICENSED, licence_until_s=self.chain.now() + 7 * DAY + DAY // 2)
        site.enact(
            crews_changes.set_firm(site.crews, firm=OTHER_FIRM, name_digest=name("other"), licence_until=LICENCE_UNTIL),
            *(change for member in (*MEMBERS, self.unlicensed) for change in self.enrolment(member)),
        )
        self.address = self.deploy()
        for account in (self.account, site.stranger, site.manager):
            self.chain.send(site.deployer, token.mint(site.token, recipient=account, amount=10_000_000))
            self.chain.send(account, token.approve(site.token, spender=self.address, amount=2**200))

    def deploy(self, utc_offset_seconds: int = OFFSET) -> str:
        creation = service_agreements.deploy(
            artifact("ServiceAgreements").bytecode,
            registry=self.site.registry,
            utc_offset_seconds=utc_offset_seconds,
            verifier=PRECOMPILE,
        )
        return self.chain.deploy(self.site.deployer, creation)

    def enrolment(self, member: Member) -> list[Call]:
        """The two calls by which manager and committee enrol a person."""
        site = self.site
        return [
            site.member_change(member.alias, member.duties, firm=member.firm, licence_until=member.licence_until_s),
            site.crew_key_change(member.alias, member.private, int(member.kind)),
        ]

    # --- Agreements ---

    @property
    def today(self) -> int:
        return local_day(self.chain.now(), utc_offset_s=OFFSET)

    def terms(self, **changes: Any) -> Terms:
        """Half a year or so from tomorrow on, with the intervals of the law."""
        starts_on = self.today + 1
        fields: dict[str, Any] = {
            "device": LIFT,
            "plan": PLAN,
            "firm": FIRM,
            "starts_on": starts_on,
            "ends_on": starts_on + 500,
            "checklists": tuple(name(f"checklist {number}") for number in range(4)),
            "interval_days": (15, 90, 180, 365),
            "done_on": (starts_on - 3, starts_on - 20, starts_on - 100, starts_on - 300),
            "grace_days": 0,
            "fees": (20_000, 30_000, 45_000, 80_000),
            "factors": (0, 800, 950, 1000, 1100),
            "penalty": 5_000,
            "deposit": DEPOSIT,
            "two_people": False,
            "countersigned": False,
            "level": 0,
            "account": self.account,
            "payer": self.payer,
        }
        return Terms(**(fields | changes))

    def start(self, **changes: Any) -> Terms:
        """An agreement that both agreed to, on its first day, with a budget."""
        terms = self.terms(**changes)
        self.chain.send(self.site.manager, service_agreements.propose(self.address, terms=terms))
        self.chain.send(self.account, self.agree_call(terms))
        budget = service_agreements.add_budget(self.address, agreement=agreement_name(terms), amount=BUDGET)
        self.chain.send(self.site.manager, budget)
        self.go_to(terms.starts_on)
        return terms

    def agree_call(self, terms: Terms) -> Call:
        digest = keccak(encode_arguments("terms", (TERMS_TYPE,), (terms.abi(),)))
        return service_agreements.agree(self.address, agreement=agreement_name(terms), terms_digest=digest)

    def go_to(self, day: int, hour: int = 9) -> None:
        """Wait until this local hour."""
        self.chain.wait_until(day * DAY - OFFSET + hour * 3600)

    def agreement(self, terms: Terms) -> Agreement:
        call = service_agreements.agreement(self.address, agreement=agreement_name(terms))
        return service_agreements.parse_agreement(self.chain.view(call))

    def kept(self, terms: Terms, day: int) -> KeptDay | None:
        """What is kept of a day, if its slot holds that day."""
        kept = self.kept_at(terms, day % RING)
        return kept if kept is not None and kept.day == day else None

    def kept_at(self, terms: Terms, slot: int) -> KeptDay | None:
        call = service_agreements.visit(self.address, line=line_name(terms), slot=slot)
        return service_agreements.parse_visit(self.chain.view(call), slot=slot)

    # --- Visits ---

    def visit(
        self,
        visit_class: VisitClass = VisitClass.HALF_MONTH,
        *,
        mechanics: tuple[Member, ...] = (MECHANIC,),
        manager: Member | None = None,
        ended_at_s: int | None = None,
        **changes: Any,
    ) -> Visit:
        """A visit that ended a moment ago."""
        ended = self.chain.now() if ended_at_s is None else ended_at_s
        fields: dict[str, Any] = {
            "device": LIFT,
            "plan": PLAN,
            "visit_class": visit_class,
            "checklist": name("filled list"),
            "started_at_s": ended - 2400,
            "ended_at_s": ended,
            "presence": name("presence proof"),
            "mechanics": tuple(member.alias for member in mechanics),
            "manager": manager.alias if manager else NOBODY,
            "salt": bytes(range(16)),
        }
        return Visit(**(fields | changes))

    def log(self, visit: Visit, *, level: int = 3, observed_at_s: int | None = None, **changes: Any) -> int:
        """The gateway's entry for the visit; returns its index."""
        fields: dict[str, Any] = {
            "kind": Kind.VISIT,
            "device": visit.device,
            "observed_at_ms": 1000 * (visit.ended_at_s + 60 if observed_at_s is None else observed_at_s),
            "quantity": "visit",
            "value": level,
            "detail_digest": visit.digest(),
            "salt": bytes(range(16)),
        }
        return self.site.log.append(Entry(**(fields | changes)))

    def call(self, terms: Terms, visit: Visit, index: int, *, signers: tuple[Member, ...], **changes: Any) -> Call:
        """The relayer's call, under the head accepted last."""
        fields: dict[str, Any] = {
            "visit": visit,
            "firm": terms.firm,
            "logged": self.logged(index),
            "signatures": [self.sign(visit, signer) for signer in signers],
        }
        return service_agreements.record_visit(self.address, **(fields | changes))

    def logged(self, index: int) -> LoggedVisit:
        """A logged visit, proven under the head accepted last."""
        head: Head = self.site.heads[self.site.log.origin]
        proof = self.site.log.proof(index, head.size)
        return LoggedVisit(proof.entry, index, 0, head, proof.path)

    def record(
        self,
        terms: Terms,
        visit: Visit,
        *,
        level: int = 3,
        signers: tuple[Member, ...] = (MECHANIC,),
        observed_at_s: int | None = None,
        **changes: Any,
    ) -> Receipt:
        """Log, accept and relay: the whole way of a visit."""
        index = self.log(visit, level=level, observed_at_s=observed_at_s)
        self.chain.wait(120)
        self.site.accept(self.site.log)
        return self.chain.send(self.site.relayer, self.call(terms, visit, index, signers=signers, **changes))

    def live(self, day: int) -> None:
        """The lift's gateway logs something on a day, and somebody shows it."""
        at = day * DAY - OFFSET + 8 * 3600
        index = self.log(self.visit(), kind=Kind.STATUS, quantity="lift.mode", observed_at_s=at)
        self.site.accept(self.site.log)
        head: Head = self.site.heads[self.site.log.origin]
        logged = LoggedEntry(0, head, self.site.log.proof(index, head.size))
        call = counterevidence.report_life(self.site.counterevidence, device=LIFT, logged=logged)
        self.chain.send(self.site.stranger, call)

    def sign(self, visit: Visit, member: Member, **changes: Any) -> CrewSignature:
        """The member's signature as the contract takes it."""
        return crew_signature(member.key, self.person_signature(visit, member, **changes))

    def person_signature(
        self, visit: Visit, member: Member, *, contract: str | None = None, deadline: int = FOREVER, nonce: int = 0
    ) -> PersonSignature:
        fields: dict[str, Any] = {
            "chain_id": 31337,
            "contract": contract or self.address,
            "purpose": Purpose.COUNTERSIGN_VISIT if member.duties & DUTY_MANAGER else Purpose.VISIT,
            "nonce": nonce,
            "deadline": deadline,
            "body_digest": visit.digest(),
        }
        if member.kind is KeyKind.SOFTWARE:
            return sign_software(member.private, **fields)
        key_id = key_id_of(p256.public_bytes(member.private))
        return passkey_signature(member.private, person_digest(key_id=key_id, **fields), nonce=nonce, deadline=deadline)


def passkey_signature(key: p256.PrivateKey, digest: bytes, *, nonce: int, deadline: int) -> PersonSignature:
    """What a platform authenticator answers to a challenge."""
    authenticator = RP_ID_HASH + PRESENT_AND_VERIFIED
    challenge = challenge_text(digest)
    client = f'{{"type":"webauthn.get","challenge":"{challenge}","origin":"{WEB_ORIGIN}","crossOrigin":false}}'.encode()
    return webauthn_signature(
        key_id=key_id_of(p256.public_bytes(key)),
        nonce=nonce,
        deadline=deadline,
        signature_der=p256.signature_to_der(p256.sign(key, authenticator + sha256(client).digest())),
        authenticator_data=authenticator,
        client_data=client,
    )


def send(service: Service, by: str, builder: Any, **arguments: Any) -> None:
    """A call about the agreement that fixtures start, unless another is named."""
    service.chain.send(by, builder(service.address, **{"agreement": agreement_name(service.terms_now)} | arguments))


def held(service: Service) -> int:
    """Fen that the contract holds."""
    return service.site.balance(service.address)


def overdue(service: Service, visit_class: VisitClass, from_day: int, through_day: int) -> int:
    """How many days the contract counts now."""
    call = service_agreements.overdue_days(
        service.address,
        agreement=agreement_name(service.terms_now),
        visit_class=visit_class,
        from_day=from_day,
        through_day=through_day,
    )
    return service_agreements.parse_overdue_days(service.chain.view(call))


def claim_of(service: Service, number: int) -> Claim:
    """A claim about the agreement that fixtures start."""
    call = service_agreements.claim(service.address, agreement=agreement_name(service.terms_now), number=number)
    return service_agreements.parse_claim(service.chain.view(call))


def line_name(terms: Terms) -> bytes:
    """By which the contract keeps the visits of a device, plan and firm."""
    return keccak(encode_arguments("", ("bytes32", "bytes32", "uint256"), (terms.device, terms.plan, terms.firm)))


def agreement_name(terms: Terms) -> bytes:
    """As the contract names it."""
    return keccak(encode_arguments("", ("bytes32", "uint256"), (line_name(terms), terms.starts_on)))


def recorded(receipt: Receipt) -> VisitRecorded:
    """The event of a visit."""
    event = parse_event(receipt.logs[-1].topics, receipt.logs[-1].data)
    assert isinstance(event, VisitRecorded)
    return event
