"""How a dispute ended, asked of the contract itself."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import closing
from dataclasses import dataclass

from contracts.calls import challenges, usage_fees
from provisioning.demo.calendar import period_number
from provisioning.demo.cheats.scene import Scene
from provisioning.demo.errors import DemoError
from provisioning.errors import ChainSetupError
from provisioning.rpc import Rpc

__all__ = ["Settlement", "SettlementOutcome"]

_STATES = ("not disputed", "open", "answered: the contract computed it anew", "reversed: nobody answered in time")
_SETTLED = 2
_LINE = 0  # the own line comes first


@dataclass(frozen=True, slots=True, kw_only=True)
class SettlementOutcome:
    """The disputed line and the unit's account, in fen."""

    state: str
    charged_fen: int  # what the bill said
    standing_fen: int  # what stands after the dispute
    balance_fen: int
    is_paid: bool


class Settlement:
    """Asks UsageFees and Challenges about one unit's dispute."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        contracts = json.loads(scene.places.deployment_file.read_text())["contracts"]
        self._fees: str = contracts["usage_fees"]
        self._challenges: str = contracts["challenges"]

    async def wait(self, unit: str, *, seconds: float) -> SettlementOutcome:
        """Wait until the dispute of a unit's own line is decided and its bill, as it stands then, is debited.

        Raises:
            DemoError: it was not after `seconds`.
        """
        deadline = time.monotonic() + seconds
        while True:
            state, outcome = await asyncio.to_thread(self._ask, unit)
            if state >= _SETTLED and outcome.is_paid:
                return outcome
            if time.monotonic() > deadline:
                paid = "debited" if outcome.is_paid else "not debited"
                raise DemoError(f"{unit} is {outcome.state}, its bill {paid}, after {seconds:.0f} s; look at cloud.log")
            await asyncio.sleep(0.5)

    def _ask(self, unit: str) -> tuple[int, SettlementOutcome]:
        with closing(Rpc(self._scene.rpc_url)) as rpc:
            return self._ask_by(rpc, unit)

    def _ask_by(self, rpc: Rpc, unit: str) -> tuple[int, SettlementOutcome]:
        index = next(one.index for one in self._scene.site.units if one.name == unit)
        period = period_number(self._scene.state.month)
        try:
            challenge = challenges.parse_challenge(
                rpc.view(challenges.challenge(self._challenges, period=period, unit_index=index, number=_LINE))
            )
            status = usage_fees.parse_status(rpc.view(usage_fees.status(self._fees, period=period, unit_index=index)))
            account = usage_fees.parse_account(rpc.view(usage_fees.account(self._fees, unit_index=index)))
        except ChainSetupError as error:
            raise DemoError(str(error)) from error
        return challenge.state, SettlementOutcome(
            state=_STATES[challenge.state],
            charged_fen=challenge.amount,
            standing_fen=challenge.charge,
            balance_fen=account.balance,
            is_paid=status.is_paid,
        )
