"""What became of the month's maintenance, asked of ServiceAgreements itself."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from contracts.bundle import Bundle
from contracts.calls import service_agreements
from contracts.calls.service_agreements import Agreement, KeptDay
from contracts.due import local_day
from provisioning.demo.cheats.scene import Scene
from provisioning.demo.errors import DemoError
from provisioning.errors import ChainSetupError
from provisioning.files import write_text
from provisioning.rpc import Rpc
from provisioning.settings import Places

__all__ = ["Upkeep", "UpkeepState", "write_agreements"]

_PAUSE_SECONDS = 0.5
_UTC_OFFSET_S = 8 * 3600  # the contract's, as it was deployed


@dataclass(frozen=True, slots=True, kw_only=True)
class UpkeepState:
    """One lift's agreement, and the day of a visit."""

    agreement: Agreement
    kept: KeptDay | None


class Upkeep:
    """Asks about the lifts' agreements."""

    def __init__(self, scene: Scene) -> None:
        self._rpc_url = scene.rpc_url
        self._contract: str = json.loads(scene.places.deployment_file.read_text())["contracts"]["service_agreements"]
        self._names = {lift: bytes.fromhex(name) for lift, name in json.loads(_file(scene.places).read_text()).items()}

    async def wait(
        self, lift: str, bundle: Bundle, *, until: Callable[[UpkeepState], bool], seconds: float
    ) -> UpkeepState:
        """What the contract keeps once `until` holds, or after `seconds` without.

        Raises:
            DemoError: the chain does not answer.
        """
        deadline = time.monotonic() + seconds
        while True:
            state = await asyncio.to_thread(self._ask, lift, bundle)
            if until(state) or time.monotonic() > deadline:
                return state
            await asyncio.sleep(_PAUSE_SECONDS)

    def _ask(self, lift: str, bundle: Bundle) -> UpkeepState:
        slot = local_day(bundle.visit.ended_at_s, utc_offset_s=_UTC_OFFSET_S) % service_agreements.RING
        try:
            with closing(Rpc(self._rpc_url)) as rpc:
                asked = service_agreements.agreement(self._contract, agreement=self._names[lift])
                agreement = service_agreements.parse_agreement(rpc.view(asked))
                visit = service_agreements.visit(self._contract, line=agreement.line, slot=slot)
                return UpkeepState(agreement=agreement, kept=service_agreements.parse_visit(rpc.view(visit), slot=slot))
        except ChainSetupError as error:
            raise DemoError(str(error)) from error


def write_agreements(places: Places, names: Mapping[str, bytes]) -> None:
    """Keep the agreements' names, which are hashes of their terms, by lift."""
    write_text(_file(places), json.dumps({lift: name.hex() for lift, name in names.items()}, indent=1) + "\n")


def _file(places: Places) -> Path:
    return places.chain / "agreements.json"
