"""Witnesses that are off for a while: with one, anchoring goes on; with two, it waits and says why."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from provisioning.demo.cheats.scene import Scene
from provisioning.demo.progress import Progress
from provisioning.demo.witnesses import PARTIES, QUORUM

__all__ = ["Outage"]

_SECONDS_MAX = 60.0


@dataclass(slots=True)
class Outage:
    """What was seen while witnesses were off; a sentence each, empty where it was not seen in time."""

    scene: Scene
    progress: Progress
    with_one_off: str = ""
    with_two_off: str = ""
    afterwards: str = ""
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Stop one honest witness, then the other, then start both again."""
        committee, regulator = (party for party in PARTIES if not party.colludes)
        children = self.scene.supervisor.children
        before = await self._until(lambda status: status.get("anchored_size", 0) > 0)
        self.progress.say(f"witnesses: the {committee.name}'s is off for a while")
        await children[committee.process].stop()
        size = int(before.get("anchored_size", 0))
        found = await self._until(lambda status: _missing(status) == 1 and status["anchored_size"] > size)
        if found:
            self.with_one_off = f"checkpoints {size} to {found['anchored_size']} anchored with {QUORUM} of 3"
        self.progress.say(f"witnesses: the {regulator.name}'s is off too; only the bribed one is left")
        await children[regulator.process].stop()
        waiting = await self._until(_is_bribed_one_alone)
        stood = int(waiting.get("anchored_size", 0))
        if waiting:
            self.with_two_off = waiting["witnesses"]["waiting"].partition(";")[0]
        await asyncio.gather(*(children[party.process].start() for party in (committee, regulator)))
        self.progress.say("witnesses: both are back")
        found = await self._until(lambda status: _missing(status) == 0 and status["anchored_size"] > stood)
        if found and waiting:
            self.afterwards = f"anchoring went on from {stood} to {found['anchored_size']}, all three cosign"
        self.over.set()

    async def _until(self, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The cloud's status once it is so; empty when it was not in time."""
        deadline = time.monotonic() + _SECONDS_MAX
        while time.monotonic() < deadline:
            status = (await self.scene.ask_cloud("/v1/status")).json()
            if status.get("witnesses") and holds(status):
                return status
            await asyncio.sleep(0.2)
        return {}


def _is_bribed_one_alone(status: dict[str, Any]) -> bool:
    """Whether anchoring waits although the one that signs everything has signed."""
    witnesses = status["witnesses"]
    return bool(witnesses["waiting"]) and witnesses["cosigned"] == 1 and _missing(status) == 2


def _missing(status: dict[str, Any]) -> int:
    """How many witnesses are said not to cosign."""
    return sum(bool(one["says"]) for one in status["witnesses"]["each"])
