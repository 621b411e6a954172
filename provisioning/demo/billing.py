"""Closing the period as the property firm does: draft, a look at the draft, post. This firm's clerk pads one line."""

from __future__ import annotations

import asyncio
import json
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from contracts.calls import usage_fees
from contracts.tariff import Tariff
from provisioning.demo.calendar import period_number
from provisioning.demo.commands import run_command
from provisioning.demo.errors import DemoError
from provisioning.demo.processes import minglou
from provisioning.demo.progress import Progress
from provisioning.demo.state import DemoState
from provisioning.files import write_private
from provisioning.names import SecretNames
from provisioning.rpc import Rpc
from provisioning.settings import Places
from provisioning.site import Site
from provisioning.tariffs import contract_tariff

__all__ = ["PADDING_WH", "Billing", "Padding", "UnbillableError", "pad_draft"]

_DRAFTS_MAX = 5
_DRAFT_PAUSE_SECONDS = 3.0
PADDING_WH = 100_000  # 100 kWh more than the meter counted


class UnbillableError(DemoError):
    """Readings that the bills rest on are missing: the demo was away at one of the month's ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Padding:
    """What the clerk did to one line."""

    unit: str
    true_wh: int
    padded_wh: int
    true_fen: int
    padded_fen: int


def pad_draft(draft: dict[str, Any], unit: str, tariff: Tariff) -> Padding:
    """Raise one unit's own line in the draft, price and all, so that the bill adds up within itself."""
    row = next((row for row in draft["units"] if row["name"] == unit), None)
    line = next((line for line in row["lines"] if int(line["kind"]) == 1), None) if row is not None else None
    if row is None or line is None:
        raise UnbillableError(f"the draft has no own line of {unit}; its problems: {draft.get('problems')}")
    true_wh, true_fen = int(line["usage"]), int(line["amount"])
    padded_wh = true_wh + PADDING_WH
    padded_fen = tariff.terms.season(int(line["from"]), int(line["to"])).charge(used=[padded_wh])
    line["usage"], line["amount"] = str(padded_wh), str(padded_fen)
    return Padding(unit=unit, true_wh=true_wh, padded_wh=padded_wh, true_fen=true_fen, padded_fen=padded_fen)


class Billing:
    """The period's closing, by the real commands."""

    def __init__(self, places: Places, state: DemoState, site: Site, names: SecretNames, progress: Progress) -> None:
        self._places = places
        self._state = state
        self._site = site
        self._names = names
        self._progress = progress
        self.padding: Padding | None = None

    async def close(self) -> None:
        """Draft the bills, pad one, post them to the contract; what has been done already is not done again.

        Raises:
            DemoError: the period cannot be billed; the message says which readings are missing.
        """
        if await asyncio.to_thread(self._is_closed):
            self._progress.say("the contract holds this period already; its bills are handed to the cloud again")
            self.padding = self._kept_padding()
        else:
            await self._draft_and_pad()
        with self._progress.step("The operator posts the bills; the contract charges them") as step:
            operator = str(self._places.cloud / "operator.toml")
            await run_command(
                minglou("billing", "post", "--config", operator, str(self._draft_file)), directory=self._places.root
            )
            window = f"{self._state.challenge_seconds} s for disputes (7 days in production)"
            step.says = f"period {period_number(self._state.month)}, {window}"

    async def _draft_and_pad(self) -> None:
        with self._progress.step("The period is closed: bills drafted from boundary readings") as step:
            draft = await self._draft(self._draft_file)
            step.says = f"{len(draft['units'])} bills, {len(draft['problems'])} problems"
        for problem in draft["problems"]:
            self._progress.say(f"draft: {problem}")
        with self._progress.step(f"The clerk pads the bill of {self._state.padded_unit}") as step:
            tariff = next(tariff for tariff in self._site.tariffs if tariff.name == "electricity")
            priced = contract_tariff(tariff, self._state.month.opening)
            self.padding = padding = pad_draft(draft, self._state.padded_unit, priced)
            # The padding first: whoever finds the padded draft must find what was done to it.
            write_private(self._padding_file, json.dumps(asdict(padding)).encode() + b"\n")
            write_private(self._draft_file, json.dumps(draft, ensure_ascii=False, indent=1).encode() + b"\n")
            step.says = (
                f"{padding.true_wh / 1000:.1f} kWh became {padding.padded_wh / 1000:.1f} kWh, "
                f"{padding.true_fen / 100:.2f} became {padding.padded_fen / 100:.2f} yuan"
            )

    @property
    def _draft_file(self) -> Path:
        return self._places.root / "draft.json"

    @property
    def _padding_file(self) -> Path:
        return self._places.root / "padding.json"

    def _is_closed(self) -> bool:
        """Whether the contract holds the period: the chain knows, whatever this launcher remembers."""
        fees = json.loads(self._places.deployment_file.read_text())["contracts"]["usage_fees"]
        with closing(Rpc(f"http://127.0.0.1:{self._state.ports.chain}")) as rpc:
            answer = rpc.view(usage_fees.period(fees, period=period_number(self._state.month)))
        return usage_fees.parse_period(answer).closed_at != 0

    def _kept_padding(self) -> Padding:
        try:
            return Padding(**json.loads(self._padding_file.read_text()))
        except (OSError, ValueError, TypeError) as error:
            raise DemoError(
                f"the contract holds this period, but {self._padding_file} is gone or damaged; start anew with --dir"
            ) from error

    async def _draft(self, draft_file: Path) -> dict[str, Any]:
        """The draft; taken again for a while if readings are still missing, as they are just after midnight."""
        month = self._state.month
        command = minglou(
            "billing",
            "draft",
            "--config",
            str(self._places.cloud / "cloud.toml"),
            "--period",
            f"{month.opening:%Y%m%d}..{month.closing:%Y%m%d}",
            "--out",
            str(draft_file),
        )
        for _ in range(_DRAFTS_MAX):
            await run_command(command, directory=self._places.root)
            draft: dict[str, Any] = json.loads(await asyncio.to_thread(draft_file.read_text))
            if draft["units"] and not draft["problems"]:
                break
            await asyncio.sleep(_DRAFT_PAUSE_SECONDS)
        return draft
