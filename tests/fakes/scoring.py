"""What Minglou makes of a visit of the corpus: the gateway's own judge and the cloud's own rules, over what they heard.

A visit is *alarmed* if its level stays below what an agreement pays for although the machine was heard all the time, or
if it got a grave flag. A machine that was silent cannot tell, and what it cannot tell is not counted as caught. Of an
item that was not done it is asked that the verdict itself doubts one of the items left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import sha256

from cloud.integrity import Limits, flags_of_visit
from cloud.integrity.facts import Phone, Photo, VisitFacts
from cloud.integrity.facts import Scan as ScanFacts
from cloud.integrity.stored import verdict_facts
from cloud.visits.pictures import Fingerprints, read_picture
from contracts.label import PLACE_OF
from contracts.pack import Pack, read_pack
from contracts.presence import Phone as ProofPhone
from contracts.presence import Presence
from contracts.presence import Scan as ProofScan
from contracts.rotating import Moment, slot_at, token, token_text
from contracts.visit import Visit
from devices.mqtt_profile import MqttJsonProfile, ValueRule
from devices.profile import load_profile
from devices.simulated.lift.module import MODELS
from devices.visit_rules import VisitRule
from edge.presence.codes import Evidence, Signers, find_codes
from edge.visits.finding import Finding, PresenceFinding
from edge.visits.items import Track, Window, asked_by
from edge.visits.judge import Judgement, judge
from tests.fakes.corpus import Lot
from tests.fakes.pictures import jpeg_of
from tests.fakes.visits import Case, Kind
from tests.fakes.world import Picture, Signed, digest_of

PACK = "cn-tsg-t5002-2017-a"
PAYS_FROM = 2  # the level that an agreement asks for, in the demo as in the contract's tests
_WHOLE_PROFILE = "lift-monitor-json"
_PROFILES = {"A": "lift-module-json", "B": _WHOLE_PROFILE}  # the others are mapped as model B is
_MORNING_S = 6 * 3600
_AGAINST = (Finding.NOT_SEEN.value, Finding.CONTRADICTED.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One case judged."""

    kind: Kind
    model: str
    seed: int
    variant: str
    level: int
    is_heard: bool  # all the time
    flags: tuple[str, ...]  # kind:why
    grave: tuple[str, ...]
    doubted: tuple[str, ...]  # items of the list that the machine did not show, or showed the opposite of
    left_out: frozenset[str]  # of them, where that is the cheat

    @property
    def is_alarmed(self) -> bool:
        """Whether the visit is not paid for, or somebody is asked a grave question."""
        return self.is_alarmed_but_for(())

    def is_alarmed_but_for(self, kinds: tuple[str, ...]) -> bool:
        """The same, had there been no flags of these kinds."""
        grave = [flag for flag in self.grave if flag.partition(":")[0] not in kinds]
        return bool(grave) or (self.is_heard and self.level < PAYS_FROM)

    @property
    def is_caught(self) -> bool:
        """Whether a fake was found out at what it is."""
        if self.kind is Kind.ITEM_NOT_DONE:
            return bool(self.left_out & set(self.doubted))
        return self.is_alarmed


def outcome_of(lot: Lot) -> Outcome:
    """Live through one case, and judge it as gateway and cloud would."""
    return judge_case(lot.case())


def judge_case(case: Case) -> Outcome:
    """The same of a case that is at hand."""
    beside = {other.name: judged(replace(case, signed=other)) for other in case.others if _is_beside(case, other)}
    judgement = judged(case, taken=[work for one in beside.values() if (work := _work_of(one))])
    others = [facts_of(other, beside[other.name]) if other.name in beside else _facts(other) for other in case.others]
    flags = flags_of_visit(facts_of(case.signed, judgement), others, Limits())
    items: Mapping[str, str] = judgement.verdict["items"]  # type: ignore[assignment]
    listed: Mapping[str, str] = judgement.verdict.get("list", {})  # type: ignore[assignment]
    return Outcome(
        kind=case.kind, model=case.told.model, seed=case.seed, variant=case.variant, level=judgement.level,
        is_heard=items["inspection-mode"] != Finding.NOT_OBSERVABLE.value,
        flags=tuple(f"{flag.kind}:{flag.why}" for flag in flags),
        grave=tuple(f"{flag.kind}:{flag.why}" for flag in flags if flag.grave),
        doubted=tuple(code for code, finding in listed.items() if finding in _AGAINST),
        left_out=case.left_out,
    )  # fmt: skip


# ---- the gateway ----


def judged(case: Case, *, taken: Sequence[Window] = ()) -> Judgement:
    """The verdict on a case; `taken` is what visits that were handed in before were credited with."""
    signed, rules = case.signed, rules_of(case.told.model)
    visit = Visit(
        device=digest_of(signed.lift), plan=_pack().digest(), visit_class=signed.visit_class,
        checklist=digest_of("list"), started_at_s=signed.start_s, ended_at_s=signed.end_s,
        presence=digest_of("presence"), mechanics=(digest_of(signed.signers[0]), digest_of(signed.signers[1])),
        manager=digest_of(signed.signers[2]), salt=bytes(16),
    )  # fmt: skip
    asked = asked_by(rules, _pack(), signed.visit_class, None)
    return judge(
        visit, rules, tracks_of(case), asked=asked, due=asked, presence=presence_of(case), key_class="file", taken=taken
    )  # fmt: skip


def _is_beside(case: Case, other: Signed) -> bool:
    """Whether another crew's visit of the same machine lies near enough to share its work."""
    is_near = abs(other.start_s - case.signed.start_s) < _MORNING_S
    return other.lift == case.signed.lift and is_near


def _work_of(judgement: Judgement) -> Window | None:
    """From when to when a machine showed the work that a visit was credited with."""
    work = judgement.facts.get("work")
    return (int(work["from_ms"]), int(work["to_ms"])) if isinstance(work, Mapping) else None


def tracks_of(case: Case) -> dict[str, Track]:
    """What the module told, per quantity, by its own time."""
    found: dict[str, set[tuple[int, int]]] = {}
    for message in case.told.messages:
        for value in _values(case.told.model):
            told = message.content.get(str(value.path[0]))
            if told is not None:
                number = value.codes[told] if isinstance(told, str) else told
                assert isinstance(number, int)
                found.setdefault(value.quantity, set()).add((message.told_ms, number))
    return {quantity: sorted(seen) for quantity, seen in found.items()}


@lru_cache
def rules_of(model: str) -> tuple[VisitRule, ...]:
    """The rules of a model's profile; whoever writes one for C or D leaves out what these modules cannot tell."""
    profile = _profile(model)
    kept = {value.quantity: value for value in _values(model)}
    merged = set(MODELS[model].contacts)
    modes = set(MODELS[model].modes)

    def is_told(rule: VisitRule) -> bool:
        if rule.form.value == "passed":
            return False  # no machine room's door here
        if rule.quantity not in kept:
            return False
        names = {code: name for name, code in kept[rule.quantity].codes.items()}
        return names.get(rule.code, "") not in merged | modes

    # Whether a module tells again what stands is its profile's to say: B's does, and whoever writes one for the others
    # says that these do not.
    is_own = model in _PROFILES
    return tuple(
        rule if is_own else replace(rule, retold_s=0) for rule in profile.visit_rules if is_told(rule)
    )  # fmt: skip


@lru_cache
def _values(model: str) -> tuple[ValueRule, ...]:
    fields = MODELS[model].fields
    return tuple(value for value in _profile(model).messages[0].values if value.path[0] in fields)


@lru_cache
def _profile(model: str) -> MqttJsonProfile:
    profile = load_profile(_PROFILES.get(model, _WHOLE_PROFILE))
    assert isinstance(profile, MqttJsonProfile)
    return profile


@lru_cache
def _pack() -> Pack:
    return read_pack(PACK)


def presence_of(case: Case) -> PresenceFinding:
    """What the gateway makes of the codes that the crew brought."""
    signed = case.signed
    device, secret = digest_of(signed.lift), digest_of(f"secret of {signed.lift}")
    proof = Presence(
        device=device, salt=bytes(16),
        scans=tuple(
            ProofScan(
                by=scan.by, sense=scan.sense, place=PLACE_OF[scan.place], way=scan.way, at_s=scan.at_s,
                label=None if scan.token else digest_of(f"label {scan.place}"),
                moment=_moment(secret, device, scan.shown_s, scan.token) if scan.token else None,
            )
            for scan in signed.scans
        ),
        phones=tuple(
            ProofPhone(by=one.by, id=digest_of(one.name)[:16], number=one.number, previous=digest_of(one.previous))
            for one in signed.phones
        ),
    )  # fmt: skip
    signers = Signers(
        keys=tuple(map(digest_of, signed.signers)), mechanics=2, started_at_s=signed.start_s, ended_at_s=signed.end_s
    )
    evidence = Evidence(device=device, secrets=(secret,), is_heard=case.is_display_heard, is_spent=lambda _mark: False)
    return find_codes(proof, signers, evidence)[0]


def _moment(secret: bytes, device: bytes, shown_s: int, kind: str) -> Moment:
    slot = slot_at(shown_s)
    return Moment(slot, token(secret, device, slot) if kind == "right" else b"\x01guess!\x02")


# ---- the cloud ----


def facts_of(signed: Signed, judgement: Judgement) -> VisitFacts:
    """What the cloud's rules are told of a visit that was judged."""
    detail = {"facts": judgement.facts, "verdict": judgement.verdict}
    verdict, work = verdict_facts(judgement.level, detail)
    return replace(_facts(signed), verdict=verdict, work=work)


def _facts(signed: Signed) -> VisitFacts:
    pictured = {picture.item for picture in signed.pictures}
    return VisitFacts(
        digest=digest_of(signed.name), device=digest_of(signed.lift), cell=signed.place.cell,
        visit_class=int(signed.visit_class), started_at_s=signed.start_s, ended_at_s=signed.end_s,
        signers=tuple(map(digest_of, signed.signers)), mechanics=2,
        scans=tuple(
            ScanFacts(
                by=scan.by, sense=scan.sense, place=scan.place, at_s=scan.at_s,
                slot=slot_at(scan.shown_s) if scan.token else None,
                token=token_text(sha256(f"{signed.lift} {slot_at(scan.shown_s)} {scan.token}".encode()).digest()[:8])
                if scan.token else "",
            )
            for scan in signed.scans
        ),
        phones=tuple(
            Phone(by=one.by, name=digest_of(one.name)[:16], number=one.number, previous=digest_of(one.previous))
            for one in signed.phones
        ),
        photos=tuple(map(_photo, signed.pictures)), items=len(signed.ticked),
        lacks_challenge=any(code not in pictured for code in signed.challenged),
    )  # fmt: skip


def _photo(picture: Picture) -> Photo:
    """Looked at as the cloud looks at uploads; when it was taken is the phone's word."""
    seen, digest = _seen(replace(picture, item="", at_s=0))
    return Photo(
        sha256=digest, dhash=seen.dhash, at_s=picture.at_s, turned=seen.turned, parts=seen.parts, grey=seen.grey
    )  # fmt: skip


@lru_cache(maxsize=256)
def _seen(picture: Picture) -> tuple[Fingerprints, bytes]:
    encoded = jpeg_of(picture)
    return read_picture(encoded, "image/jpeg"), sha256(encoded).digest()
