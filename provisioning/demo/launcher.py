"""`minglou demo`: brings everything up, lives through the month, closes it, charges the contract, and goes on."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from contracts.clock import Clock, DemoClock
from contracts.label import label_link
from provisioning.demo.billing import Billing, UnbillableError
from provisioning.demo.calendar import Month, last_month, month_clock
from provisioning.demo.chain import ChainMiner, chain_program, keep_states
from provisioning.demo.chain_setup import DAY_MS, SetupClock, SiteOnChain
from provisioning.demo.cheats.catalogue import cheats_of
from provisioning.demo.cheats.gateway_log import copy_log
from provisioning.demo.cheats.scene import Scene
from provisioning.demo.control import Control, OpenPage, serve_control
from provisioning.demo.crew import SERVICED_LIFT, crew_members, mechanic_visits, signed_visits
from provisioning.demo.doors import Door, make_doors
from provisioning.demo.errors import DemoError
from provisioning.demo.figures import Figures
from provisioning.demo.once import OnceRun
from provisioning.demo.outage import Outage
from provisioning.demo.preparation import PADDED_UNIT, Preparation, clear_unfinished, left_out_lines
from provisioning.demo.processes import (
    bluetooth_address,
    bluetooth_programs,
    broker_program,
    building_program,
    cloud_program,
    gateway_program,
    has_bluetooth,
    mirror_program,
)
from provisioning.demo.progress import Progress
from provisioning.demo.state import DemoState, choose_ports, read_state, write_state
from provisioning.demo.supervisor import Supervisor
from provisioning.demo.visits import Crew
from provisioning.demo.witnesses import witness_programs
from provisioning.demo.writing import write_directory, write_passwords, write_settings
from provisioning.names import SecretNames, read_names
from provisioning.settings import Places, Ports, VisitTimes
from provisioning.site import Site, Title, read_site

__all__ = ["DemoOptions", "Launcher"]

_LEAD_SECONDS_MIN = 9.0  # from the deployment to the month's begin; the site is set up meanwhile
_LEAD_FACTOR = 1.6  # of the time from the launcher's start to the end of the deployment
_FIELD_START_MS = 3_500  # what gateway and building need to start, at least
_FIELD_START_PART = 0.3  # and as a part of the lead, which a slow machine lengthens
_WITNESS_DAYS = 7.1  # the Registry's public delay is 7 days
_SETUP_DAYS = 46  # tariffs are announced 30 days before they begin; the rest is for the Registry's 7 days, and air


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """What the command line asked for."""

    directory: Path
    once: bool
    month_seconds: float
    challenge_seconds: int
    days_later: int = 0  # since it was stopped, beside those that really went by


class Launcher:
    """One run of the demo, from the first process to the last."""

    def __init__(self, options: DemoOptions) -> None:
        self.options = options
        self.places = Places(options.directory)
        self.progress = Progress()
        self.supervisor = Supervisor(self.progress.say)
        self._started = time.monotonic()
        self._state: DemoState | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._control: Control
        self._miner: ChainMiner

    async def run(self) -> int:
        """Run until the month is verified (`--once`), or until a signal comes; the exit code."""
        self.places.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _only_one(self.places):
            loop = asyncio.get_running_loop()
            work = asyncio.create_task(self._run(), name="demo")
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                loop.add_signal_handler(number, work.cancel)
            try:
                return await work
            except asyncio.CancelledError:
                self.progress.say("stopping")
                return 0
            finally:
                await self._end()

    async def _run(self) -> int:
        state = self._state = self._known_state()
        ports = choose_ports(state.ports if state is not None else None, usual=not self.options.once)
        control = Control(
            self.progress,
            port=ports.control,
            sentence=self._sentence,
            is_live=self._is_live,
            new_doors=self._change_doors,
        )
        self._control = control
        for line in left_out_lines(with_browser=self.options.once):
            self.progress.say(line)
        async with serve_control(control, ports.control):
            self.progress.say(f"page: http://localhost:{ports.control}")
            if state is None:
                state = await self._prepare(ports)
            else:
                state = await self._continue(state, ports)
            return await self._live(state)

    def _known_state(self) -> DemoState | None:
        """What is here to be continued; `--once` always begins anew, where it will not take a living demo away."""
        state = read_state(self._state_file)
        if self.options.days_later and (state is None or self.options.once or _now_ms() < state.clock.real_end_ms):
            raise DemoError(
                f"--days-later continues a demo whose month is over; there is none in {self.places.root}: leave it out"
            )
        if state is None or not self.options.once:
            return state
        if state.challenge_seconds != self.options.challenge_seconds:
            raise DemoError(f"{self.places.root} holds a demo that goes on; give --once another --dir")
        self._state_file.unlink()
        return None

    async def _prepare(self, ports: Ports) -> DemoState:
        """A new demo: everything up to the moment before the month begins."""
        clear_unfinished(self.places)
        preparation = Preparation(places=self.places, ports=ports, challenge_seconds=self.options.challenge_seconds)
        with self.progress.step("Keys, names and settings"):
            site, names = await asyncio.to_thread(preparation.names_and_keys)
        month = last_month(_now_ms(), site.timezone)
        setup = SetupClock(month.opening_ms - _SETUP_DAYS * DAY_MS)
        state = DemoState(
            phase="prepared",
            month=month,
            ports=ports,
            challenge_seconds=self.options.challenge_seconds,
            clock=self._month_clock(month, lead_seconds=3600),
            padded_unit=PADDED_UNIT,
            left_out=() if has_bluetooth() else ("water",),
        )
        self._write_settings(site, names, state)
        with self.progress.step("Chain, broker and Bluetooth"):
            await self._start_chain(ports, genesis_s=setup.now_ms() // 1000, clock=setup)
            await self._start_carriers(site, ports)
        witnesses = asyncio.create_task(self._start_witnesses(ports), name="witnesses")
        with self.progress.step("Contracts deployed; the gateway makes its key and shows its claim") as step:
            contracts, identity = await asyncio.gather(preparation.contracts(site, names), preparation.identity(site))
            step.says = f"gateway key {identity.fingerprint[:16]}"
        # Building and cloud take about as long to start as the deployment took, and do it while the site is set up.
        lead_seconds = max(_LEAD_SECONDS_MIN, _LEAD_FACTOR * (time.monotonic() - self._started))
        state = replace(state, clock=self._month_clock(month, lead_seconds=lead_seconds))
        self._state = state
        self._write_settings(site, names, state)
        await self._change_doors()
        early = asyncio.create_task(self._start_cloud(ports), name="cloud")
        try:
            await self._set_up_site(preparation.site_on_chain(site, names, contracts, identity, setup, month.opening))
        except BaseException:
            early.cancel()
            witnesses.cancel()
            raise
        with self.progress.step("Cloud, the committee's own copy, three witnesses"):
            await witnesses
            await early
        state = await self._with_time_for_the_gateway(site, names, state, lead_seconds)
        self._keep(state)
        return state

    async def _set_up_site(self, on_chain: SiteOnChain) -> None:
        """The roll, keys, devices, tariffs and accounts, with the public delays passing in block time."""
        with self.progress.step("Manager announces, committee approves") as step:
            await asyncio.to_thread(on_chain.post_letters)
            await asyncio.to_thread(on_chain.announce_tariffs, on_chain.enrolled.from_date)
            announced = await asyncio.to_thread(on_chain.announce)
            step.says = f"{sum(len(calls) for _, calls in announced)} changes, {len(on_chain.site.tariffs)} tariffs"
        on_chain.clock.pass_days(_WITNESS_DAYS)
        await self._miner.next_block()
        with self.progress.step("Seven days later: changes in force, owners confirm their meters") as step:
            await asyncio.to_thread(on_chain.enact, announced)
            attested = await asyncio.to_thread(on_chain.attest_bindings)
            by_owners, by_committee = await asyncio.to_thread(on_chain.confirm_bindings)
            step.says = f"{attested} meters signed by the installer, {by_owners} by owners, {by_committee} by committee"
        with self.progress.step("Accounts topped up, mandates signed, bond posted"):
            await asyncio.to_thread(on_chain.pay_in)
        with self.progress.step("Manager and firm agree on the lifts' maintenance") as step:
            agreed = await asyncio.to_thread(on_chain.agree_upkeep, on_chain.enrolled.from_date)
            step.says = f"{agreed} agreements with budget and deposit"

    async def _with_time_for_the_gateway(
        self, site: Site, names: SecretNames, state: DemoState, lead_seconds: float
    ) -> DemoState:
        """A state whose month begins late enough: a gateway that starts after the opening midnight has not seen it."""
        needed_ms = max(_FIELD_START_MS, round(_FIELD_START_PART * lead_seconds * 1000))
        while state.clock.real_start_ms - _now_ms() < needed_ms:
            self.progress.say(f"this machine is slow today: the month begins {lead_seconds:.0f} s later than planned")
            await self.supervisor.children["cloud"].stop()
            state = replace(state, clock=self._month_clock(state.month, lead_seconds=lead_seconds))
            self._state = state
            self._write_settings(site, names, state)
            await self.supervisor.start(cloud_program(self.places, state.ports))
            lead_seconds *= 1.5
        return state

    def _month_clock(self, month: Month, *, lead_seconds: float) -> DemoClock:
        real_start_ms = _now_ms() + round(lead_seconds * 1000)
        return month_clock(month, real_start_ms=real_start_ms, real_seconds=self.options.month_seconds)

    def _write_settings(self, site: Site, names: SecretNames, state: DemoState) -> None:
        with_bluetooth = "water" not in state.left_out
        write_settings(
            site,
            names,
            self.places,
            state.ports,
            state.clock,
            with_bluetooth=with_bluetooth,
            visits=VisitTimes(
                made=mechanic_visits(state.month),
                signed=signed_visits(state.month),
                often_from_ms=state.month.closing_ms,
            ),
        )

    @property
    def _environment(self) -> dict[str, str]:
        return {"DBUS_SYSTEM_BUS_ADDRESS": bluetooth_address(self.places)}

    async def _continue(self, state: DemoState, ports: Ports) -> DemoState:
        """A demo that was here before: the same chain, logs and keys; the absence will show as a gap."""
        later_ms = self.options.days_later * DAY_MS
        state = replace(state, ports=ports, clock=replace(state.clock, ahead_ms=state.clock.ahead_ms + later_ms))
        self._keep(state)
        away_hours = max(0, state.clock.now_ms() - state.clock.real_end_ms) / 3_600_000
        self.progress.say(f"continuing; the month ended {away_hours:.1f} hours ago")
        site, names = self._site()
        write_passwords(site, names, self.places, ports)
        self._write_settings(site, names, state)
        await self._change_doors()
        with self.progress.step("Chain, broker and Bluetooth"):
            await self._start_chain(ports, genesis_s=0, clock=state.clock)
            await self._start_carriers(site, ports)
        with self.progress.step("Cloud, the committee's own copy, three witnesses"):
            await self._start_witnesses(ports)
            await self._start_cloud(ports)
        return state

    async def _live(self, state: DemoState) -> int:
        """The month, its closing, and real time until the end."""
        site, names = self._site()
        self._miner.clock = state.clock
        self._miner.every_seconds = 0.5
        self._miner.is_hurried = lambda: _now_ms() < state.clock.real_end_ms
        with self.progress.step("Gateway and building"):
            # In this order: what a device says to a broker before the gateway's first session there reaches nobody.
            await self.supervisor.start(gateway_program(self.places, state.ports, self._environment))
            await self.supervisor.start(building_program(self.places, self._environment))
        figures = Figures(self.places, state, self.progress)
        self._start_task(figures.follow(), "figures")
        billing = Billing(self.places, state, site, names, self.progress)
        scene = Scene(places=self.places, state=state, site=site, names=names, supervisor=self.supervisor)
        self._control.offer(cheats_of(scene))
        crew = Crew(scene, self.progress)
        self._start_task(crew.work(), "crew")
        if state.phase in ("prepared", "month"):
            outage = Outage(scene, self.progress)
            self._start_task(outage.run(), "witnesses' outage")
            with self.progress.step(f"The month, {state.month.opening} to {state.month.closing}, and today so far"):
                await _sleep_until((state.clock.real_start_ms + state.clock.real_end_ms) // 2)
                await self._keep_old_log()
                await _sleep_until(state.clock.real_end_ms)
            if self.options.once:
                once = OnceRun(scene, self.progress, figures, billing, crew, outage, self._control.doors, self._started)
                code = await once.run()
                self._keep(state.at("live"))
                return code
            await self._close_month(figures, billing)
            self._keep(state := state.at("live"))
        self.progress.say(f"live; open http://localhost:{state.ports.control} (Ctrl-C stops everything)")
        await asyncio.Event().wait()
        return 0

    async def _close_month(self, figures: Figures, billing: Billing) -> None:
        with self.progress.step("Everything sent"):
            await figures.wait_until_sent()
        try:
            await billing.close()
        except UnbillableError as error:
            self.progress.say(f"this month stays unbilled: {error}")

    async def _keep_old_log(self) -> None:
        """A copy of the gateway's log in the middle of the month, as somebody with a disk image would have one."""
        data = self.places.gateway / "data"
        if data.exists():
            await asyncio.to_thread(copy_log, data, self.places.gateway / "old-e0.sqlite3")

    async def _start_chain(self, ports: Ports, *, genesis_s: int, clock: Clock) -> None:
        self._miner = ChainMiner(f"http://127.0.0.1:{ports.chain}", clock)
        program = chain_program(
            self.places.chain,
            ports.chain,
            self.places.logs / "chain.log",
            genesis_s=genesis_s,
            after_restart=self._miner.synchronise,
        )
        self.places.chain.mkdir(parents=True, exist_ok=True)
        await self.supervisor.start(program)
        self._start_task(self._miner.run(), "chain miner")
        self._start_task(keep_states(self.places.chain), "chain keeper")

    async def _start_carriers(self, site: Site, ports: Ports) -> None:
        programs = [broker_program(self.places, ports)]
        if has_bluetooth():
            programs = [*programs, *bluetooth_programs(site, self.places)]
        for program in programs:
            await self.supervisor.start(program)

    async def _start_cloud(self, ports: Ports) -> None:
        await asyncio.gather(
            self.supervisor.start(cloud_program(self.places, ports)),
            self.supervisor.start(mirror_program(self.places)),
        )

    async def _start_witnesses(self, ports: Ports) -> None:
        await asyncio.gather(*(self.supervisor.start(one) for one in witness_programs(self.places, ports)))

    async def _change_doors(self) -> tuple[Door, ...]:
        """Fresh one-time links; the cloud reads the directory again when it meets a token that it does not know."""
        assert self._state is not None
        site, names = self._site()
        state = self._state
        doors = make_doors(site, names, self.places, state.ports, units=(state.padded_unit, "b07-0502", "b07-1202"))
        write_directory(
            site,
            names,
            self.places,
            sign_ins=[door.sign_in for door in doors],
            tariffs={tariff.name: version for version, tariff in enumerate(site.tariffs, start=1)},
            with_bluetooth="water" not in state.left_out,
            crew=crew_members(self.places),
        )
        self._control.doors = doors
        self._control.pages = _open_pages(state.ports, names)
        return doors

    def _site(self) -> tuple[Site, SecretNames]:
        names = read_names(self.places.names_file)
        if names is None:
            raise DemoError(f"{self.places.names_file} is gone; delete {self.places.root} and start the demo anew")
        return read_site(self.places.site_file), names

    def _sentence(self) -> str:
        state = self._state
        if state is None:
            return "准备中 · Setting up"
        now_ms = state.clock.now_ms()
        if _now_ms() < state.clock.real_end_ms:
            day = max(0, (now_ms - state.month.opening_ms) // DAY_MS) + 1
            day, days = min(day, state.month.days), state.month.days
            return f"第 {day} 天，共 {days} 天 · Day {day} of {days}"
        if state.phase != "live":
            return "月末结账 · Closing the month"
        return "实时 · Real time"

    def _is_live(self) -> bool:
        return self._state is not None and self._state.phase == "live"

    @property
    def _state_file(self) -> Path:
        return self.places.root / "demo.json"

    def _keep(self, state: DemoState) -> None:
        self._state = state
        write_state(self._state_file, state)

    def _start_task(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._task_ended)
        self._tasks.append(task)

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self.progress.say(f"{task.get_name()} failed: {type(error).__name__}: {error}")

    async def _end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.supervisor.stop()
        self.progress.say(f"everything is stopped after {time.monotonic() - self._started:.1f} s")


def _open_pages(ports: Ports, names: SecretNames) -> tuple[OpenPage, ...]:
    cloud = f"http://localhost:{ports.cloud}"
    code = names.labels[f"b07:lift:{SERVICED_LIFT}"]["car"][0]
    return (
        OpenPage(
            title=Title(zh="扫 1 号电梯上的码", en="The code on lift 1, as scanned"), link=label_link(cloud, code)
        ),
        OpenPage(title=Title(zh="维保应用", en="The crew's app"), link=f"{cloud}/crew"),
        OpenPage(title=Title(zh="电梯（人人可看）", en="Lifts, for everybody"), link=f"{cloud}/lifts"),
        OpenPage(title=Title(zh="核对任何文件", en="Check any file"), link=f"{cloud}/verify"),
        OpenPage(title=Title(zh="网关", en="The gateway's own page"), link=f"http://localhost:{ports.status}/"),
    )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


async def _sleep_until(real_ms: int) -> None:
    await asyncio.sleep(max(0, real_ms - _now_ms()) / 1000)


@contextmanager
def _only_one(places: Places) -> Iterator[None]:
    """Hold the directory: two demos in one would write over each other."""
    places.run.mkdir(parents=True, exist_ok=True)
    path = places.run / "launcher.pid"
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            raise DemoError(
                f"a demo already runs in {places.root} (process {file.read().strip() or 'unknown'}); "
                "stop it with Ctrl-C there, or choose another directory with --dir"
            ) from error
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield
        file.truncate(0)
