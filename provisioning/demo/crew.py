"""The demo's mechanic and his phone: he services lift 1, and signs for lift 2 without having gone there.

His key is a software key on this machine's disk and is labelled so everywhere. His phone does what a crew's app will:
it fills a record, signs its digest, keeps the file, and hands it to the cloud as any relay may, again and again until
the cloud has it. Nothing here knows what the gateway saw.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from contracts.calls.crews import Duty
from contracts.detail import canonical_json
from contracts.p256 import key_from_secret
from contracts.signed_visit import SIGNED_VISIT_BYTES_MAX, parse_signed_visit, sign_visit, signed_visit_to_json
from contracts.visit import NOBODY, SALT_BYTES, Visit, VisitClass
from provisioning.demo.calendar import Month
from provisioning.demo.cheats.scene import Answer, Scene
from provisioning.demo.errors import DemoError
from provisioning.demo.progress import Progress
from provisioning.files import write_private
from provisioning.keys import ensure_person_seed, person_public_key
from provisioning.registration import EnrolledPerson
from provisioning.settings import Places, maintenance_contract
from provisioning.settings.cloud import CrewMember
from provisioning.site import Title

__all__ = [
    "FIRM",
    "FIRM_NUMBER",
    "LICENCE_SECONDS",
    "PAPER_LIFT",
    "SERVICED_LIFT",
    "Crew",
    "CrewVerdict",
    "crew_members",
    "enrolled_people",
    "installer_seed",
    "mechanic_visits",
    "signed_starts",
]

SERVICED_LIFT, PAPER_LIFT = "l1", "l2"
FIRM_NUMBER = 1
LICENCE_SECONDS = 4 * 365 * 86_400
FIRM = Title(zh="安行电梯维保（演示）", en="Anxing Lift Service (demo)")
_MINUTES = 35
_SERVICED_AT_MINUTE, _PAPER_AT_MINUTE = 9 * 60 + 40, 10 * 60 + 30  # of the same morning
_MINUTE_MS, _DAY_MS = 60_000, 86_400_000
_HANDED_IN_AFTER_DAYS = {SERVICED_LIFT: 1, PAPER_LIFT: 4}  # phones sync when they can; the gateway remembers 60 days
_SIGNATURE_SECONDS = 60 * 86_400
_PAUSE_SECONDS = 0.5
_TAKEN, _TOO_OLD = 200, "bad_time"
_PACK = {"pack": "minglou-demo-half-month", "items": ["car-top switch and stop switch", "landing doors", "return"]}


@dataclass(frozen=True, slots=True, kw_only=True)
class CrewVerdict:
    """What the gateway said to one visit."""

    lift: str
    level: int
    index: int  # of the visit's entry


def mechanic_visits(month: Month) -> dict[str, tuple[int, ...]]:
    """When the mechanic really comes, by lift: what the simulated building does."""
    return {SERVICED_LIFT: (signed_starts(month)[SERVICED_LIFT],), PAPER_LIFT: ()}


def signed_starts(month: Month) -> dict[str, int]:
    """When, in ms, the signed visits begin by their own word."""
    morning_ms = month.opening_ms + month.days // 2 * _DAY_MS
    return {
        SERVICED_LIFT: morning_ms + _SERVICED_AT_MINUTE * _MINUTE_MS,
        PAPER_LIFT: morning_ms + _PAPER_AT_MINUTE * _MINUTE_MS,
    }


def crew_members(places: Places) -> tuple[CrewMember, ...]:
    """The mechanic as the cloud's directory knows him; his key is made at the first call."""
    public = person_public_key(ensure_person_seed(_seed_file(places)))
    return (CrewMember(alias=_alias(public), public=public, firm=FIRM),)


def enrolled_people(places: Places, licence_until: int) -> tuple[EnrolledPerson, ...]:
    """The mechanic, and the installer who read the meters' first registers, as both parties enrol them."""
    mechanic, installer = (
        person_public_key(ensure_person_seed(seed)) for seed in (_seed_file(places), installer_seed(places))
    )
    return tuple(
        EnrolledPerson(
            says=says, alias=_alias(public), public=public, duties=duty, firm=FIRM_NUMBER, licence_until=licence_until
        )
        for says, public, duty in (
            ("the mechanic", mechanic, Duty.MECHANIC),
            ("the installer", installer, Duty.INSTALLER),
        )
    )


def installer_seed(places: Places) -> Path:
    """Where the installer's software key stands."""
    return places.crews / "installer.seed"


class Crew:
    """The phone: signs the month's two visits and hands them in."""

    def __init__(self, scene: Scene, progress: Progress) -> None:
        self._scene = scene
        self._progress = progress

    async def work(self) -> None:
        """Hand in each visit some days after it, by the demo's clock, until the cloud has taken it."""
        for lift, start_ms in signed_starts(self._scene.state.month).items():
            handed_in_ms = start_ms + _HANDED_IN_AFTER_DAYS[lift] * _DAY_MS
            await asyncio.sleep(self._scene.state.clock.real_ms_until(handed_in_ms) / 1000)
            await self._hand_in(lift, await asyncio.to_thread(self._signed_file, lift, start_ms))

    async def verdicts(self, *, seconds: float) -> dict[str, CrewVerdict]:
        """The gateway's word on both visits.

        Raises:
            DemoError: it has not come after `seconds`.
        """
        deadline = asyncio.get_running_loop().time() + seconds
        found: dict[str, CrewVerdict] = {}
        while len(found) < len(_HANDED_IN_AFTER_DAYS):
            for lift in _HANDED_IN_AFTER_DAYS.keys() - found.keys():
                verdict = await self._verdict(lift)
                found |= {lift: verdict} if verdict else {}
            if asyncio.get_running_loop().time() > deadline:
                missing = ", ".join(sorted(_HANDED_IN_AFTER_DAYS.keys() - found.keys()))
                raise DemoError(f"no verdict on the visit of {missing} after {seconds:.0f} s; look at gateway.log")
            await asyncio.sleep(0 if len(found) == len(_HANDED_IN_AFTER_DAYS) else _PAUSE_SECONDS)
        return found

    async def _hand_in(self, lift: str, file: bytes) -> None:
        while True:
            answer = await self._scene.ask_cloud("/v1/visits", body=file)
            if answer.code == _TAKEN:
                if answer.json().get("state") == "waiting":
                    self._progress.say(f"the mechanic's phone handed in his visit of {lift}")
                return
            if 400 <= answer.code < 500 and answer.code != 429:
                self._say_refused(lift, answer)
                return
            await asyncio.sleep(_PAUSE_SECONDS)

    def _say_refused(self, lift: str, answer: Answer) -> None:
        says = answer.json()
        if says.get("error") != _TOO_OLD:  # a demo that is continued after two months has been judged long ago
            self._progress.say(f"the cloud refused the visit of {lift}: {says.get('message')}")

    async def _verdict(self, lift: str) -> CrewVerdict | None:
        path = self._file(lift)
        if not path.exists():
            return None
        digest = parse_signed_visit(path.read_bytes()).visit.digest()
        says = (await self._scene.ask_cloud(f"/v1/visits/{digest.hex()}")).json()
        entry = says.get("entry")
        return None if entry is None else CrewVerdict(lift=lift, level=says["level"], index=int(entry["index"]))

    def _signed_file(self, lift: str, start_ms: int) -> bytes:
        """The file on the phone, written at the first call: a signature is made once, however often it is sent."""
        path, places = self._file(lift), self._scene.places
        if not path.exists():
            secret = ensure_person_seed(_seed_file(places))
            contract = maintenance_contract(places)
            assert contract is not None, "the demo's contracts are deployed"
            signed = sign_visit(
                self._record(lift, start_ms, person_public_key(secret)),
                [key_from_secret(int.from_bytes(secret))],
                chain_id=self._scene.site.chain_id,
                contract=contract,
                nonce=start_ms,
                deadline=start_ms // 1000 + _SIGNATURE_SECONDS,
            )
            write_private(path, canonical_json(signed_visit_to_json(signed)) + b"\n")
        encoded = path.read_bytes()
        assert len(encoded) <= SIGNED_VISIT_BYTES_MAX
        return encoded

    def _record(self, lift: str, start_ms: int, public: bytes) -> Visit:
        """The same ticks for both lifts: on paper, a visit that was made and one that was not look alike."""
        device = next(one for one in self._scene.site.devices if one.name == lift)
        ticked: Mapping[str, object] = {"lift": lift, "done": _PACK["items"], "photographs": []}
        return Visit(
            device=self._scene.names.device(self._scene.site, device),
            plan=sha256(canonical_json(_PACK)).digest(),
            visit_class=VisitClass.HALF_MONTH,
            checklist=sha256(canonical_json(ticked)).digest(),
            started_at_s=start_ms // 1000,
            ended_at_s=start_ms // 1000 + _MINUTES * 60,
            presence=NOBODY,
            mechanics=(_alias(public),),
            manager=NOBODY,
            salt=secrets.token_bytes(SALT_BYTES),
        )

    def _file(self, lift: str) -> Path:
        return self._scene.places.root / "visits" / f"{lift}.json"


def _seed_file(places: Places) -> Path:
    return places.crews / "mechanic.seed"


def _alias(public: bytes) -> bytes:
    """The name under which the mechanic signs; real crews get random ones from the Registry."""
    return sha256(b"minglou demo crew" + public).digest()
