"""The whole gateway: parts built from the settings, run together, and stopped in order."""

import asyncio
import contextlib
import logging
import os
import platform
import random
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from contracts import p256
from contracts.clock import SystemClock
from contracts.ending import end_tasks
from contracts.entry import decode_entry, device_id
from edge.calendar_days import LocalDays
from edge.clock_watch import STEP_MIN_MS, ClockWatch
from edge.committer import Committer, Submission
from edge.copies import Copies
from edge.deliveries import Deliveries
from edge.epochs import Epochs
from edge.errors import EdgeError, StoreBrokenError, StoreError
from edge.forwarder import Forwarder
from edge.head_check import HeadSeen
from edge.keys import Secrets, load_key
from edge.log_store import EntryRow, LogStore
from edge.mail import Mailbox
from edge.mqtt.ingest import MqttDevice, MqttIngest
from edge.notify import Notifier
from edge.registers import Registers
from edge.roster import Roster, make_roster
from edge.settings import Settings
from edge.signer import CheckpointRule, Signer
from edge.supervision import Health, supervise
from edge.uplink import Uplink
from edge.visits.opening import open_visit_desk
from edge.voice import GAP_STOPPED, Voice

if TYPE_CHECKING:
    from edge.mqtt.broker import BrokerClient

_ABSENCE_MS = 60_000  # a stop shorter than that is no gap: nothing is polled more often
_SNAPSHOT_SECONDS = 10.0
_SWEEP_SECONDS = 1.0
_SWEEP_GRACE_MS = 10 * 60_000
_FREEZE_GRACE_MS = 20 * 3_600_000  # how long a silent meter's own freeze is waited for
_FOLD_ROWS = 4096
_LISTENING_SECONDS = 2.0
_HEARTBEAT_SECONDS_MAX = 60.0
_log = logging.getLogger("edge")

Say = Callable[[str], None]
Collectors = list[tuple[str, Callable[[], Awaitable[None]]]]


def software_version() -> str:
    try:
        return version("minglou")
    except PackageNotFoundError:
        return "0"


class Gateway:
    """Built once, run once."""

    def __init__(self, settings: Settings, *, rng: random.Random, say: Say) -> None:
        self._settings = settings
        self._rng = rng
        self._say = say
        self._key = load_key(settings.key_file, settings.key_password_file)
        self._secrets = Secrets(settings.data_dir)
        self._voice = Voice(settings.urn)
        self._days = LocalDays(settings.zone)
        self._epochs = Epochs(
            settings.data_dir, settings.origin_stem, self._voice, self._secrets, settings.clock, self._days,
            software_version(),
        )  # fmt: skip
        self.notices: list[str] = []
        self._epochs.on_opened = self._tell
        self.store = self._epochs.open()
        self._signer = Signer(
            self._key, CheckpointRule(entries=settings.checkpoint_entries, seconds=settings.checkpoint_seconds)
        )
        self.registers = Registers(self._days)
        self.committer = Committer(
            self.store, self._signer, entries=settings.commit_entries, seconds=settings.commit_seconds
        )
        self.committer.on_broken = self._store_broke
        self.committer.on_wait = self._tell
        self._unsigned_from, self._deliveries_rows, self._sessions = self._recall()
        self.roster: Roster = make_roster(settings, self.registers, self.committer, self._secrets.credential_secret)
        for recorder in self.roster.recorders:
            recorder.may_use_last_reading = lambda: self._signer.permitted
        self._copies = Copies(settings.copies, self._tell)
        self._visits = open_visit_desk(
            settings, self.roster, self.registers, self.committer, self._tell, self._secrets.credential_secret
        )
        self._healths: list[Health] = []
        self._ingests: list[MqttIngest] = []
        self._listeners: list[asyncio.Event] = []
        self._counters: list[Callable[[], dict[str, int]]] = []

    # ---- start ----

    def _recall(self) -> tuple[int, list[bytes], list[tuple[str, str, str]]]:
        """What the log remembers: registers, deliveries, sessions, and from where on nobody else can have entries."""
        reader = self.store.reader()
        try:
            checkpoint = reader.last_checkpoint(signed=True)
            self._signer.signed_size = checkpoint.size if checkpoint else 0
            self._signer.revoked = bool(reader.number("revoked"))
            at = max(self.registers.restore(reader.state("registers")), reader.number("pruned"))
            while at < self.store.size:
                end = min(at + _FOLD_ROWS, self.store.size)
                self.registers.fold(reader.rows(at, end))
                at = end
            unsigned = reader.state("unsigned_from")
            unsigned_from = int(unsigned) if unsigned else self.store.size
            return unsigned_from, reader.deliveries(), reader.sessions()
        finally:
            reader.close()

    def _submit_start(self) -> None:
        """The entries of every start, in one transaction with what the head check will need."""
        now_ms = self._settings.clock.now_ms()
        rows: list[EntryRow] = []
        last_ms = self._last_entry_ms()
        if last_ms is not None and now_ms - last_ms > _ABSENCE_MS:
            rows.append(self._voice.gap(now_ms, GAP_STOPPED, last_ms, now_ms, {"reason": "stopped"}))
        if last_ms is not None and last_ms - now_ms >= STEP_MIN_MS:
            rows.append(self._voice.clock_step(now_ms, now_ms - last_ms, {"reason": "behind-the-log"}))
        if ClockWatch(self._settings.clock.now_ms).is_unset:
            rows.append(self._voice.clock_step(now_ms, 0, {"reason": "clock-not-set"}))
        fields = {"version": software_version(), "python": platform.python_version(), "boot": _boot_id()}
        rows.append(self._voice.software(now_ms, fields))
        states = {"unsigned_from": str(self._unsigned_from).encode()}
        self.committer.submit(Submission(rows, states=states, origin=self.store.origin))

    def _last_entry_ms(self) -> int | None:
        reader = self.store.reader()
        try:
            rows = reader.rows(self.store.size - 1, self.store.size) if self.store.size else []
        except StoreError:
            return None  # pruned: then it is old, and the next entry tells the time
        finally:
            reader.close()
        return decode_entry(rows[0][0]).observed_at_ms if rows else None

    # ---- run ----

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop`; then write, sign and close what is open.

        Raises:
            EdgeError: the writer ended, so that nothing could be kept any more.
        """
        notifier = Notifier(os.environ)
        self.committer.start()
        self._submit_start()
        uplink = Uplink(self._settings.uplink_url, self._secrets.uplink_token)
        forwarder = Forwarder(uplink, self.committer, p256.public_bytes(self._key), self._rng, self._own_head_elsewhere)
        self._forwarder = forwarder
        self.committer.on_checkpoint = forwarder.checkpoint_made
        mailbox = Mailbox(
            uplink, self.committer, forwarder, self._voice, self._settings.clock, self._settings.chain_id, self._rng,
            self._tell, self._visits, self._copies,
        )  # fmt: skip
        try:
            async with asyncio.TaskGroup() as tasks:
                running = [
                    tasks.create_task(self._supervised("forwarder", forwarder.run, first=0.1), name="forwarder"),
                    tasks.create_task(self._supervised("mail", mailbox.run), name="mail"),
                    tasks.create_task(self._supervised("clock", self._watch_clock), name="clock"),
                    tasks.create_task(self._supervised("midnight", self._sweep), name="midnight"),
                    tasks.create_task(self._watch_writer(notifier), name="writer"),
                ]
                if self.roster.visit_rules or self.roster.watch_rules:
                    running.append(tasks.create_task(self._supervised("visits", self._visits.run), name="visits"))
                for name, run in self._collectors():
                    running.append(tasks.create_task(self._supervised(name, run), name=name))
                running.extend(self._start_status(tasks, forwarder, mailbox))
                await self._wait_for_listeners()
                self._say(f"edge: ready {self.committer.store.origin}")
                notifier.ready(self.committer.store.origin)
                await stop.wait()
                notifier.stopping()
                left = await end_tasks(running)
                if left:
                    _log.error("%s did not stop; left behind", ", ".join(left))
        finally:
            await asyncio.to_thread(self._finish)
            uplink.close()

    async def _wait_for_listeners(self) -> None:
        """Ready means that devices can connect; an address that is taken must not hold the rest up."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LISTENING_SECONDS):
                for listening in self._listeners:
                    await listening.wait()

    def _supervised(
        self, name: str, run: Callable[[], Awaitable[None]], *, first: float = 0.2
    ) -> Coroutine[Any, Any, None]:
        health = Health(name=name)
        self._healths.append(health)
        return supervise(health, run, self._rng, first=first)

    def _finish(self) -> None:
        self._snapshot()
        self.committer.stop()
        self.committer.store.close()
        self._visits.close()

    def _collectors(self) -> Collectors:
        """The collectors that the settings name; their libraries are imported here and not before."""
        settings, found = self._settings, Collectors()
        senders: dict[str, Callable[[bytes], int]] = {}
        if settings.endpoint is not None:
            from edge.credentials import Credentials
            from edge.mqtt.endpoint import Endpoint

            devices = self.roster.mqtt.get("endpoint", [])
            endpoint = Endpoint(
                settings.endpoint, devices, Credentials.read(settings.endpoint.credentials_file), self._ingest(),
                self.committer, self._sessions, settings.clock.now_ms,
            )  # fmt: skip
            self.committer.on_room = endpoint.room_again
            self._counters.append(lambda: {"mqtt_connected": endpoint.connected, "mqtt_malformed": endpoint.malformed})
            senders.update({device.recorder.urn: _sender(endpoint.command, device) for device in devices})
            self._visits.listen_to(endpoint.lines)
            self._listeners.append(endpoint.listening)
            found.append(("endpoint", endpoint.run))
            found.extend(self._display_clocks(senders))
        for broker_settings in settings.brokers:
            devices = self.roster.mqtt.get(broker_settings.name, [])
            if devices:
                from edge.mqtt.broker import BrokerClient

                ingest = self._ingest(is_behind_broker=True)
                broker = BrokerClient(broker_settings, devices, ingest, self.committer, settings.clock.now_ms)
                self._counters.append(_broker_counts(broker))
                senders.update({device.recorder.urn: _sender(broker.command, device) for device in devices})
                found.append((f"broker-{broker_settings.name}", broker.run))
        found.extend(self._buses())
        if settings.ble_adapter is not None and self.roster.sensors:
            from edge.ble.collector import BleCollector

            scanner = BleCollector(
                settings.ble_adapter, self.roster.sensors, self.committer, settings.clock, settings.ble_silence_seconds
            )
            self._counters.append(lambda: {"ble_advertisements": scanner.advertisements})
            found.append(("ble", scanner.run))
        if settings.home_assistant is not None:
            from edge.home_assistant import HomeAssistant

            named = {broker.name: broker for broker in settings.brokers}
            home = HomeAssistant(
                settings.home_assistant, named[settings.home_assistant.broker], settings.urn, self.roster.recorders,
                senders,
            )  # fmt: skip
            found.append(("home-assistant", home.run))
        return found

    def _display_clocks(self, senders: Mapping[str, Callable[[bytes], int]]) -> Collectors:
        if not self.roster.displays:
            return []
        from edge.presence.clock import DisplayClocks

        sends = {device_id(urn): send for urn, send in senders.items()}
        beside = {served: [sends[one] for one in displays] for served, displays in self.roster.displays.items()}
        return [("displays", DisplayClocks(beside, self._settings.clock).run)]

    def _buses(self) -> Collectors:
        found = Collectors()
        for settings in self._settings.buses:
            placed = self.roster.meters.get(settings.name, [])
            if placed:
                from edge.bus.collector import BusCollector

                bus = BusCollector(
                    settings, [meter for meter, _ in placed], [seconds for _, seconds in placed], self.committer,
                    self._settings.clock, self._days, self._voice,
                )  # fmt: skip
                self._counters.append(bus.counts.fields)
                found.append((f"bus-{settings.name}", bus.run))
        return found

    def _ingest(self, *, is_behind_broker: bool = False) -> MqttIngest:
        """One for each thread that takes messages; the sessions and devices of two never overlap."""
        deliveries = Deliveries(self._deliveries_rows)
        ingest = MqttIngest(deliveries, is_behind_broker=is_behind_broker)
        self._ingests.append(ingest)
        return ingest

    def _start_status(
        self, tasks: asyncio.TaskGroup, forwarder: Forwarder, mailbox: Mailbox
    ) -> "list[asyncio.Task[None]]":
        if self._settings.status is None:
            return []
        from edge.status import Status
        from edge.status_server import StatusServer

        status = Status(
            self._settings.urn, self._settings.clock, self.committer, forwarder, mailbox, self._copies,
            self.roster.recorders, self._healths, self._counts,
        )  # fmt: skip
        status.notices = self.notices
        server = StatusServer(self._settings.status, status, self._visits.nonce_page(self._settings.crew_urls))
        self._listeners.append(server.listening)
        return [tasks.create_task(self._supervised("status", server.run), name="status")]

    def _counts(self) -> dict[str, int]:
        counts = {
            "messages": sum(ingest.messages for ingest in self._ingests),
            "duplicates": sum(ingest.repeated for ingest in self._ingests),
            "messages_refused": sum(ingest.refused for ingest in self._ingests),
            "visits_judged": self._visits.judged,
            "visits_refused": self._visits.refused,
        }
        for counter in self._counters:
            for name, count in counter().items():
                counts[name] = counts.get(name, 0) + count
        return counts

    # ---- beside the collectors ----

    async def _watch_clock(self) -> None:
        watch = ClockWatch(SystemClock().now_ms)
        while True:
            await asyncio.sleep(1.0)
            step_ms = watch.step_ms()
            if step_ms:
                row = self._voice.clock_step(self._settings.clock.now_ms(), step_ms, {"reason": "stepped"})
                self.committer.submit(Submission([row]))

    async def _sweep(self) -> None:
        """Boundary entries of midnights that no reading followed, and the snapshot of the registers."""
        snapshot_at = time.monotonic() + _SNAPSHOT_SECONDS
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            now_ms = self._settings.clock.now_ms()
            for recorder in self.roster.recorders:
                recorder.sweep(now_ms, _FREEZE_GRACE_MS if recorder.freezes else _SWEEP_GRACE_MS)
            if time.monotonic() >= snapshot_at:
                snapshot_at = time.monotonic() + _SNAPSHOT_SECONDS
                self._snapshot()

    def _snapshot(self) -> None:
        states = {"registers": self.registers.snapshot(self.committer.store.size)}
        if self._signer.permitted:
            states["unsigned_from"] = b""
        if self._signer.revoked:
            states["revoked"] = b"1"
        self.committer.submit(Submission((), states=states, origin=self.committer.store.origin))

    async def _watch_writer(self, notifier: Notifier) -> None:
        """Everything rests on the writer: without it the gateway ends, and is started again."""
        beat = min(notifier.watchdog_seconds or 10.0, 10.0) / 2
        while True:
            await asyncio.sleep(beat)
            silent = time.monotonic() - self.committer.heartbeat
            if not self.committer.is_alive or silent > _HEARTBEAT_SECONDS_MAX:
                raise EdgeError(f"the writer has not moved for {silent:.0f} s; start the gateway again")
            notifier.alive()

    # ---- epochs ----

    async def _own_head_elsewhere(self, seen: HeadSeen) -> None:
        """The cloud showed our own signature over a log that we do not hold."""
        self._tell(seen.says)
        unsent = min(self._unsigned_from, seen.size) if not self._signer.permitted else self._forwarder.uploaded

        def switch() -> None:
            old = self.committer.store
            self._stop_signing()
            self.committer.store = self._epochs.open_next(
                _epoch(old), reason="own-head-elsewhere", seen=seen.checkpoint, unsent_from=unsent
            )
            old.close()

        await asyncio.wrap_future(self.committer.call(switch))
        # What the lost part of the old log said about past midnights is not known: only the meters' freezes may tell.
        for state in self.registers.values():
            state.candidates.clear()
        self._unsigned_from = 0
        self._forwarder.uploaded = 0

    def _store_broke(self, error: StoreBrokenError) -> LogStore:
        """In the writer thread."""
        old = self.committer.store
        self._stop_signing()
        store = self._epochs.open_next(_epoch(old), reason="store-broken", seen=None, unsent_from=None)
        old.close()
        self._unsigned_from = 0
        self._forwarder.uploaded = 0
        self._forwarder.checkpoint_made()
        return store

    def _stop_signing(self) -> None:
        """Until the new epoch's own head has been asked for."""
        self._signer.permitted = False
        self._signer.signed_size = 0

    def _tell(self, says: str) -> None:
        self.notices.append(says)
        del self.notices[:-100]
        self._say(f"edge: {says}")


def _epoch(store: LogStore) -> int:
    return int(store.origin.rpartition("/e")[2])


def _sender(command: Callable[[MqttDevice, bytes], int], device: MqttDevice) -> Callable[[bytes], int]:
    return lambda payload: command(device, payload)


def _broker_counts(broker: "BrokerClient") -> Callable[[], dict[str, int]]:
    return lambda: {"brokers_connected": int(broker.is_connected), "mqtt_unmapped": broker.unmapped}


def _boot_id() -> str:
    """Which boot of the machine this is, so that a wall time can be repaired later by its neighbours."""
    with contextlib.suppress(OSError), open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()
    return ""
