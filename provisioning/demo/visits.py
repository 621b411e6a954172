"""The month's visits: the crew's phones sign them and hand them in, and the gateway's word on each is waited for."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from contracts.bundle import Bundle
from provisioning.demo.cheats.scene import Answer, Scene
from provisioning.demo.crew import MonthVisit, month_visits
from provisioning.demo.errors import DemoError
from provisioning.demo.phones import Phones
from provisioning.demo.progress import Progress

__all__ = ["Crew", "CrewVerdict"]

_PAUSE_SECONDS = 0.5
_TAKEN, _TOO_OLD = 200, "bad_time"


@dataclass(frozen=True, slots=True, kw_only=True)
class CrewVerdict:
    """What the gateway said to one visit."""

    visit: MonthVisit
    level: int
    index: int  # of the visit's entry


class Crew:
    """The crew over the month."""

    def __init__(self, scene: Scene, progress: Progress) -> None:
        self._scene = scene
        self._progress = progress
        self._phones = Phones(scene)
        self._visits = month_visits(scene.state.month)

    async def work(self) -> None:
        """Hand in each visit some days after it, by the demo's clock, until the cloud has taken it."""
        for visit in self._visits:
            await asyncio.sleep(self._scene.state.clock.real_ms_until(visit.handed_in_ms) / 1000)
            bundle = await self._phones.sign(visit.name, visit.lift, visit.start_ms, with_codes=visit.is_made)
            self._say(visit.lift, await self._phones.hand_in(bundle))

    async def verdicts(self, *, seconds: float) -> tuple[CrewVerdict, ...]:
        """The gateway's word on all of them.

        Raises:
            DemoError: it has not come after `seconds`.
        """
        deadline = asyncio.get_running_loop().time() + seconds
        found: dict[str, CrewVerdict] = {}
        while True:
            for visit in self._visits:
                if visit.name not in found and (verdict := await self._verdict(visit)):
                    found[visit.name] = verdict
            if len(found) == len(self._visits):
                return tuple(found[visit.name] for visit in self._visits)
            if asyncio.get_running_loop().time() > deadline:
                missing = ", ".join(sorted({visit.name for visit in self._visits} - found.keys()))
                raise DemoError(f"no verdict on the visits {missing} after {seconds:.0f} s; look at gateway.log")
            await asyncio.sleep(_PAUSE_SECONDS)

    def handed_in(self, name: str) -> Bundle | None:
        """The bundle on the phone; None before it is signed."""
        return self._phones.kept(name)

    def _say(self, lift: str, answer: Answer) -> None:
        says = answer.json()
        if answer.code == _TAKEN:
            if says.get("state") == "waiting":
                self._progress.say(f"the crew's phones handed in the visit of {lift}")
        elif says.get("error") != _TOO_OLD:  # a demo that is continued after two months has been judged long ago
            self._progress.say(f"the cloud refused the visit of {lift}: {says.get('message')}")

    async def _verdict(self, visit: MonthVisit) -> CrewVerdict | None:
        bundle = self.handed_in(visit.name)
        if bundle is None:
            return None
        says = await self._phones.became(bundle)
        entry = says.get("entry")
        return None if entry is None else CrewVerdict(visit=visit, level=says["level"], index=int(entry["index"]))
