"""`--once`: what is verified after the month, and the table that it ends with."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from contracts.entry import Kind
from contracts.quantities import VISIT_VERDICT
from provisioning.demo.billing import Billing
from provisioning.demo.browser import OwnerSession, owners_browser
from provisioning.demo.calendar import period_number
from provisioning.demo.cheats.scene import Scene
from provisioning.demo.cheats.super_log import try_to_rewrite
from provisioning.demo.commands import try_command
from provisioning.demo.crew import PAPER_LIFT, SERVICED_LIFT
from provisioning.demo.doors import Door
from provisioning.demo.errors import DemoError
from provisioning.demo.figures import Figures, Snapshot
from provisioning.demo.outage import Outage
from provisioning.demo.processes import minglou
from provisioning.demo.programs import chromium_program
from provisioning.demo.progress import Progress
from provisioning.demo.settlement import Settlement
from provisioning.demo.upkeep import Upkeep
from provisioning.demo.visits import Crew
from provisioning.demo.watcher import write_monitor

__all__ = ["OnceRun", "Row", "agreements", "choose_entries", "table"]

HONEST_UNIT = "b07-0502"
_PAGE = 1000  # what the cloud lists at once
_FILES = 10
_OUTAGE_SECONDS = 120.0
_VERDICT_SECONDS = 30.0
_MADE_LEVELS = (2, 3)  # a gateway whose key lies in a file gives at most 3; 2 is what the agreement asks for
_CHAIN_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table."""

    what: str
    found: str
    holds: bool


class OnceRun:
    """The verification of one demo, by the tools that anybody has."""

    def __init__(
        self,
        scene: Scene,
        progress: Progress,
        figures: Figures,
        billing: Billing,
        crew: Crew,
        outage: Outage,
        doors: tuple[Door, ...],
        started: float,
    ) -> None:
        self._scene = scene
        self._progress = progress
        self._figures = figures
        self._billing = billing
        self._crew = crew
        self._outage = outage
        self._doors = {door.unit: door for door in doors if door.role == "owner"}
        self._started = started
        self._rows: list[Row] = []
        self._is_disputed = chromium_program() is not None  # the owner's key signs in a browser only

    async def run(self) -> int:
        """Close the period and do all of it, print the table; 0 when every row holds.

        The browser stands ready before the bills are posted: the time for disputes is short here.
        """
        if chromium_program() is None:
            await self._without_browser()
        else:
            await self._with_browser()
        await self._attempt("Signed visits, judged by what the lifts said", self._visits)
        await self._attempt("What both visits are worth on chain", self._upkeep)
        await self._attempt("Three witnesses: one off, two off, one bribed", self._witnesses)
        await self._attempt("Ten evidence files by the command line verifier", self._evidence)
        if self._is_disputed:
            await self._attempt("The dispute is settled and the money is back", self._dispute)
        await self._attempt("The committee's own copy, checked again", self._copy)
        await self._attempt("Counts of frames, messages, entries and anchors", self._counts)
        self._rows.append(Row(what="whole run", found=f"{time.monotonic() - self._started:.1f} s", holds=True))
        print(table(self._rows), flush=True)
        failed = sum(not row.holds for row in self._rows)
        self._progress.say(f"{len(self._rows) - failed} of {len(self._rows)} rows hold")
        return 0 if not failed else 1

    async def _without_browser(self) -> None:
        with self._progress.step("Everything sent"):
            await self._figures.wait_until_sent()
        await self._billing.close()

    async def _with_browser(self) -> None:
        base_url = f"http://localhost:{self._scene.state.ports.cloud}"
        async with owners_browser(base_url, home=self._scene.places.root / "browser") as browser:
            with self._progress.step("Everything sent; two owners sign in with their letters, in Chromium"):
                padded, honest, _ = await asyncio.gather(
                    browser.sign_in(self._doors[self._scene.state.padded_unit].link),
                    browser.sign_in(self._doors[HONEST_UNIT].link),
                    self._figures.wait_until_sent(),
                )
            await self._billing.close()
            await self._attempt("The padded line is checked and disputed", self._padded_line, padded)
            await self._attempt("Another owner checks his bill", self._honest_bill, honest)

    async def _attempt(self, name: str, work: Callable[..., Awaitable[None]], *arguments: object) -> None:
        try:
            with self._progress.step(name):
                await work(*arguments)
        except DemoError as error:
            self._rows.append(Row(what=name, found=str(error), holds=False))

    async def _counts(self) -> None:
        self._rows += agreements(await self._settled())

    async def _settled(self) -> Snapshot:
        """Counts at a moment when nothing is on its way: the processes go on, so equal sums are waited for."""
        for _ in range(60):
            now = await self._figures.snapshot()
            if all(row.holds for row in agreements(now)):
                return now
            await asyncio.sleep(0.5)
        return now

    async def _evidence(self) -> None:
        await self._figures.wait_until_anchored()
        chosen = await choose_entries(self._scene)
        directory = self._scene.places.root / "evidence"
        directory.mkdir(exist_ok=True)
        paths = []
        for name, index in chosen.items():
            path = directory / f"{name}.json"
            path.write_bytes(await self._scene.evidence(index))
            paths.append(path)
        outcome = await try_command(
            minglou(
                "verify",
                *map(str, paths),
                "--trust",
                str(self._scene.places.trust_file),
                "--rpc",
                self._scene.rpc_url,
                "--json",
            ),
            directory=directory,
        )
        verdicts = [json.loads(line) for line in outcome.stdout.splitlines()]
        for (name, index), verdict in zip(chosen.items(), verdicts, strict=False):
            self._rows.append(_verdict_row(name, index, verdict))
        kinds = {int(json.loads(path.read_bytes())["entry"]["kind"]) for path in paths}
        enough = {f"witnessed {count} of 3" for count in (2, 3)}
        witnessed = sum(bool(enough & set(verdict["marks"])) for verdict in verdicts)
        sound = outcome.code == 0 and len(verdicts) >= _FILES and kinds == set(Kind) and witnessed == len(verdicts)
        found = (
            f"{len(verdicts)} files of kinds {', '.join(map(str, sorted(kinds)))}, all witnessed by 2 or 3 of 3, "
            f"exit code {outcome.code}"
        )
        self._rows.append(Row(what="`minglou verify` on all of them", found=found, holds=sound))

    async def _copy(self) -> None:
        mirror = self._scene.places.mirror
        outcome = await try_command(
            minglou("mirror", "verify", "--config", str(mirror / "mirror.toml"), "--json"), directory=mirror
        )
        if outcome.code not in (0, 1):
            raise DemoError(f"minglou mirror verify: {outcome.stderr or outcome.stdout}")
        copy = json.loads(outcome.stdout)
        entries = sum(log["entries"] for log in copy["logs"])
        broken = " ".join(log["broken"] for log in copy["logs"])
        found = f"{entries} entries verified by the Registry's keys, {copy['contradictions']} contradictions {broken}"
        holds = outcome.code == 0 and entries > 0
        self._rows.append(
            Row(what="`minglou mirror verify` on the committee's copy", found=found.rstrip(), holds=holds)
        )

    async def _visits(self) -> None:
        for found in await self._crew.verdicts(seconds=_VERDICT_SECONDS):
            visit = found.visit
            what, levels = ("made", _MADE_LEVELS) if visit.is_made else ("but never made", (0,))
            self._rows.append(
                Row(
                    what=f"visit of {visit.lift}, signed {'and ' if visit.is_made else ''}{what}",
                    found=f"level {found.level} of 4, entry {found.index} of the gateway",
                    holds=found.level in levels,
                )
            )

    async def _upkeep(self) -> None:
        """What the agreements' contract keeps of both lifts: one fee released, one penalty claimed."""
        upkeep = Upkeep(self._scene)
        made, paper = self._crew.handed_in(SERVICED_LIFT), self._crew.handed_in(PAPER_LIFT)
        if made is None or paper is None:
            raise DemoError("no visit was signed; look at gateway.log")
        state = await upkeep.wait(
            SERVICED_LIFT, made, until=lambda now: now.kept is not None and now.kept.paid > 0, seconds=_CHAIN_SECONDS
        )
        kept = state.kept
        is_its = kept is not None and made.visit.digest().startswith(kept.digest)
        says = f"level {kept.best.level}, kept by ServiceAgreements" if kept else "not recorded in time"
        self._rows.append(Row(what=f"visit of {SERVICED_LIFT} on chain", found=says, holds=is_its))
        paid = kept.paid if kept else 0
        self._rows.append(
            Row(what=f"fee of {SERVICED_LIFT} released", found=f"{paid / 100:.2f} yuan to the firm", holds=paid > 0)
        )
        missed = await upkeep.wait(
            PAPER_LIFT, paper, until=lambda now: now.agreement.claimed > 0, seconds=_CHAIN_SECONDS
        )  # fmt: skip
        claimed = missed.agreement.claimed
        says = f"{claimed / 100:.2f} yuan of the firm's deposit claimed, provisional for 30 days"
        self._rows.append(Row(what=f"{PAPER_LIFT} overdue", found=says, holds=claimed > 0))

    async def _witnesses(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_OUTAGE_SECONDS):
                await self._outage.over.wait()
        for what, seen in (
            ("one witness off", self._outage.with_one_off),
            ("two off, the bribed one alone", self._outage.with_two_off),
            ("both back", self._outage.afterwards),
        ):
            self._rows.append(Row(what=what, found=seen or "not seen in time", holds=bool(seen)))
        await self._monitor()
        done = await try_to_rewrite(self._scene)
        found = (
            f"cosigned by the {', '.join(done.cosigned_by) or 'nobody'}, refused by {' and '.join(done.refused_by)}: "
            f"witnessed {done.witnessed} of {done.of}, {done.quorum} are asked for"
        )
        holds = done.is_useless and done.cosigned_by == ("volunteer",) and len(done.refused_by) == 2
        self._rows.append(Row(what="the super-log rewritten with its own key", found=found, holds=holds))

    async def _monitor(self) -> None:
        """What anybody's monitor says of the whole month, from the tiles, the chain, a witness and the gateway."""
        outcome = await try_command(
            minglou("monitor", "run", "--once", "--config", str(write_monitor(self._scene))),
            directory=self._scene.places.root,
        )
        said = [json.loads(line) for line in outcome.stdout.splitlines()]
        checked = said[-1] if said else {}
        found = f"{checked.get('super_log')} checkpoints, anchored {checked.get('anchored')}, {len(said) - 1} findings"
        holds = outcome.code == 0 and len(said) == 1 and bool(checked.get("logs"))
        if not holds:
            found += f": {outcome.said}"
        self._rows.append(Row(what="`minglou monitor run --once`", found=found, holds=holds))

    async def _padded_line(self, owner: OwnerSession) -> None:
        unit = self._scene.state.padded_unit
        line = f"/bills/{unit}/{period_number(self._scene.state.month)}/lines/0"
        sent = await owner.dispute(line)
        result = await owner.check(line)
        self._rows.append(Row(what=f"dispute of {unit}, signed in Chromium", found=sent, holds=sent == "sent"))
        is_caught = result.outcome == "failed" and result.broken == ("readings",)
        self._rows.append(Row(what="the padded line, checked there", found=result.sentence, holds=is_caught))

    async def _honest_bill(self, owner: OwnerSession) -> None:
        bill = f"/bills/{HONEST_UNIT}/{period_number(self._scene.state.month)}"
        for what, path in (
            (f"bill of {HONEST_UNIT}, checked in Chromium", bill),
            ("its first line, down to both readings", f"{bill}/lines/0"),
        ):
            result = await owner.check(path)
            self._rows.append(Row(what=what, found=result.sentence, holds=result.outcome == "passed"))

    async def _dispute(self) -> None:
        settlement = Settlement(self._scene)
        outcome = await settlement.wait(
            self._scene.state.padded_unit, seconds=3 * self._scene.state.challenge_seconds + 30
        )
        padding = self._billing.padding
        assert padding is not None
        back = outcome.charged_fen - outcome.standing_fen
        found = (
            f"{outcome.state}: {outcome.charged_fen / 100:.2f} became {outcome.standing_fen / 100:.2f} yuan, "
            f"{back / 100:.2f} back; balance after the debit {outcome.balance_fen / 100:.2f}"
        )
        is_right = outcome.standing_fen <= padding.true_fen and back >= padding.padded_fen - padding.true_fen
        self._rows.append(Row(what="the padded line after the dispute", found=found, holds=is_right))


def agreements(now: Snapshot) -> list[Row]:
    """The counts of separate processes beside each other."""
    building, gateway, cloud = now.building, now.gateway, now.cloud
    counts = gateway.get("counts", {})
    acknowledged = sum(building.get("mqtt_acknowledged", {}).values())
    entries = int(gateway.get("entries", 0))
    copied = min((copy["size"] for copy in gateway.get("copies", ())), default=None)
    return [
        _equal(
            "DL/T 645 frames: meters answered = gateway read",
            building.get("frames_answered"),
            counts.get("serial_exchanges"),
        ),
        _equal("MQTT messages: devices saw acknowledged = gateway logged", acknowledged, counts.get("messages")),
        _equal("log entries: gateway = cloud", entries, cloud.get("entries")),
        _equal("anchored: gateway was told = entries", gateway.get("anchored"), entries),
        _equal("the committee's copy: gateway has its signature = entries", copied, entries),
    ]


async def choose_entries(scene: Scene) -> dict[str, int]:
    """Ten entries, of every kind that the month brought forth; indices by a name for the file."""
    month = scene.state.month
    device = {one.name: scene.names.device(scene.site, one).hex() for one in scene.site.devices if one.kind != "water"}
    water = [scene.names.device(scene.site, one).hex() for one in scene.site.devices if one.kind == "water"]
    flat = scene.names.device(scene.site, scene.meter(HONEST_UNIT)).hex()
    wanted: dict[str, Callable[[dict[str, Any]], bool]] = {
        "epoch-open": lambda row: row["quantity"] == "epoch.open",
        "beacon": lambda row: int(row["kind"]) == 6,
        "flat-opening": lambda row: row["device"] == flat and row["quantity"] == f"1-0:1.8.0*{month.opening:%Y%m%d}",
        "flat-closing": lambda row: row["device"] == flat and row["quantity"] == f"1-0:1.8.0*{month.closing:%Y%m%d}",
        "flat-hourly": lambda row: row["device"] == flat and row["quantity"] == "1-0:1.8.0",
        "common-closing": lambda row: (
            row["device"] == device["common"] and row["quantity"] == f"1-0:1.8.0*{month.closing:%Y%m%d}"
        ),
        "water": lambda row: row["device"] in water,
        "lift-endpoint": lambda row: row["device"] == device["l1"],
        "lift-broker": lambda row: row["device"] == device["l2"],
        "visit-made": lambda row: int(row["kind"]) == Kind.VISIT and row["device"] == device[SERVICED_LIFT],
        "visit-made-verdict": lambda row: row["quantity"] == VISIT_VERDICT and row["device"] == device[SERVICED_LIFT],
        "visit-on-paper": lambda row: int(row["kind"]) == Kind.VISIT and row["device"] == device[PAPER_LIFT],
        "visit-on-paper-verdict": lambda row: row["quantity"] == VISIT_VERDICT and row["device"] == device[PAPER_LIFT],
        "access-endpoint": lambda row: row["device"] == device["gate"],
        "access-broker": lambda row: row["device"] == device["garage"],
    }
    if "water" in scene.state.left_out:
        del wanted["water"]
    chosen: dict[str, int] = {}
    start = 0
    while len(chosen) < len(wanted):
        answer = await scene.ask_cloud(f"/v1/logs/{scene.origin}/entries?from={start}&count={_PAGE}")
        rows = answer.json().get("entries", [])
        if not rows:
            raise DemoError(
                f"the cloud's log holds no {', '.join(sorted(wanted.keys() - chosen.keys()))}; look at gateway.log"
            )
        for row in rows:
            for name, fits in wanted.items():
                if name not in chosen and fits(row):
                    chosen[name] = int(row["index"])
        start = int(rows[-1]["index"]) + 1
    return {name: chosen[name] for name in wanted}


def table(rows: list[Row]) -> str:
    """The rows as aligned text."""
    width = max(len(row.what) for row in rows)
    return "\n".join(f"  {'✓' if row.holds else '✗'} {row.what:<{width}}  {row.found}" for row in rows)


def _equal(what: str, left: object, right: object) -> Row:
    return Row(
        what=what,
        found=f"{left} = {right}" if left == right else f"{left} ≠ {right}",
        holds=left == right and left is not None,
    )


def _verdict_row(name: str, index: int, verdict: dict[str, Any]) -> Row:
    failed = [check["name"] for check in verdict["checks"] if check["outcome"] == "failed"]
    marks = f" ({', '.join(verdict['marks'])})" if verdict["marks"] else ""
    found = f"{verdict['state'] or 'broken at ' + ', '.join(failed)}{marks}"
    return Row(what=f"evidence {name}, entry {index}", found=found, holds=verdict["state"] == "final")
