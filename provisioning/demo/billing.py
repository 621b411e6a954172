"""Closing the period as the property firm does: draft, a look at the draft, post. This firm's clerk pads one line."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contracts.tariff import Tariff
from provisioning.demo.calendar import period_number
from provisioning.demo.commands import run_command
from provisioning.demo.errors import DemoError
from provisioning.demo.processes import minglou
from provisioning.demo.progress import Progress
from provisioning.demo.state import DemoState
from provisioning.names import SecretNames
from provisioning.settings import Places
from provisioning.site import Site
from provisioning.tariffs import contract_tariff

__all__ = ["PADDING_WH", "Billing", "Padding", "pad_draft"]

_DRAFTS_MAX = 5
_DRAFT_PAUSE_SECONDS = 3.0
PADDING_WH = 100_000  # 100 kWh more than the meter counted


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
        raise DemoError(f"the draft has no own line of {unit}; its problems: {draft.get('problems')}")
    true_wh, true_fen = int(line["usage"]), int(line["amount"])
    padded_wh = true_wh + PADDING_WH
    padded_fen = tariff.fen(padded_wh)
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
        """Draft the bills, pad one, post them to the contract."""
        month, places = self._state.month, self._places
        draft_file = places.root / "draft.json"
        with self._progress.step("The period is closed: bills drafted from boundary readings") as step:
            draft = await self._draft(draft_file)
            step.says = f"{len(draft['units'])} bills, {len(draft['problems'])} problems"
        for problem in draft["problems"]:
            self._progress.say(f"draft: {problem}")
        with self._progress.step(f"The clerk pads the bill of {self._state.padded_unit}") as step:
            tariff = next(tariff for tariff in self._site.tariffs if tariff.name == "electricity")
            priced = contract_tariff(tariff, month.opening)
            self.padding = padding = pad_draft(draft, self._state.padded_unit, priced)
            draft_file.write_text(json.dumps(draft, ensure_ascii=False, indent=1) + "\n")
            (places.root / "padding.json").write_text(json.dumps(padding_document(padding)) + "\n")
            step.says = (
                f"{padding.true_wh / 1000:.1f} kWh became {padding.padded_wh / 1000:.1f} kWh, "
                f"{padding.true_fen / 100:.2f} became {padding.padded_fen / 100:.2f} yuan"
            )
        with self._progress.step("The operator posts the bills; the contract charges them") as step:
            await run_command(
                minglou("billing", "post", "--config", str(places.cloud / "operator.toml"), str(draft_file)),
                directory=places.root,
            )
            step.says = (
                f"period {period_number(month)}, {self._state.challenge_seconds} s for disputes (7 days in production)"
            )

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


def padding_document(padding: Padding) -> dict[str, Any]:
    """The padding as JSON, so that a later run of the demo still knows it."""
    return {
        "unit": padding.unit,
        "true_wh": padding.true_wh,
        "padded_wh": padding.padded_wh,
        "true_fen": padding.true_fen,
        "padded_fen": padding.padded_fen,
    }
