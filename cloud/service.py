"""The cloud as one object: everything opened, joined, and run in one process until it is told to stop."""

import asyncio
import json
import logging
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloud.chain.unchained import Unchained
from cloud.cosigners import check_same_policy
from cloud.directory import DirectoryFile
from cloud.duties import Duties
from cloud.errors import SettingsError
from cloud.evidence import EvidenceRoom
from cloud.identity.audit import AuditLog
from cloud.identity.identity import Identity
from cloud.identity.limits import Limits
from cloud.identity.passkeys import Passkeys
from cloud.identity.tokens import Tokens
from cloud.ingest import Ingest, IngestLimits, KeyRing
from cloud.integrity.stored import cells_of, labels_of
from cloud.integrity.worker import IntegrityDesk
from cloud.mail import Bell, MailRoom
from cloud.maintenance.availability import Availability
from cloud.maintenance.notes import forget_notes
from cloud.maintenance.repair_photos import RepairPhotos
from cloud.maintenance.roster import Roster
from cloud.retention.keeper import Retention
from cloud.retention.returned import erase_returned
from cloud.sealed_store import open_store
from cloud.segments import Archive
from cloud.segments.writer import SegmentWriter
from cloud.settings import CloudSettings, read_secret
from cloud.status import ChainStatus
from cloud.store import Store
from cloud.store.months import month_of
from cloud.super_log import SuperLog, open_super_key
from cloud.visits.arrivals import ArrivalRoom
from cloud.visits.files import PhotoRoom
from cloud.visits.quota import PhotoQuota
from cloud.visits.room import VisitRoom, not_on_chain
from cloud.webhooks.courier import Courier
from cloud.webhooks.settings import secret_of
from cloud.witnessing import witness_workers
from cloud.workers import Worker, alone, supervise
from contracts.checkpoint import audit_origin
from contracts.ending import end_tasks
from contracts.errors import TrustError
from contracts.trust import parse_trust

if TYPE_CHECKING:
    from cloud.chain.connection import ChainConnection
    from cloud.ingest_log.part import ReplicatedLog

__all__ = ["Cloud", "open_audit_log", "open_cloud"]

_log = logging.getLogger("cloud")
_TELLING_SECONDS = 1.0
_AUDIT_SECONDS = 60.0
_SEQUENCER_SECONDS = 0.2
_MONTHS_SECONDS = 6 * 3600.0
_RETENTION_SECONDS = 3600.0
_INTEGRITY_SECONDS = 5.0
_DAYS_SECONDS = 5.0
_WAITING_BYTES_MAX = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloud:
    """The open parts of one cloud."""

    settings: CloudSettings
    store: Store
    super_log: SuperLog
    ingest: Ingest
    mail: MailRoom
    bell: Bell
    visits: VisitRoom
    photos: PhotoRoom
    repair_photos: RepairPhotos
    arrivals: ArrivalRoom
    integrity: IntegrityDesk
    availability: Availability
    directory: DirectoryFile
    evidence: EvidenceRoom
    archive: Archive
    segments: SegmentWriter
    retention: Retention
    chain: "ChainConnection | None"
    replicated: "ReplicatedLog | None"
    courier: Courier
    duties: Duties
    identity: Identity
    tokens: Tokens
    limits: Limits

    def chain_status(self) -> ChainStatus | None:
        """Where the followed chain stands; None without a chain."""
        return None if self.chain is None else self.chain.status()

    async def run(self) -> None:
        """Run ingest and all background workers until cancelled."""
        rng = random.Random()
        tasks = [asyncio.create_task(self._ingest(), name="ingest")]
        tasks += [
            asyncio.create_task(supervise(worker, self.bell, rng), name=worker.name) for worker in self._workers()
        ]
        try:
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:  # none does unless something is badly wrong: then the cloud ends, and says why
                task.result()
        finally:
            left = await end_tasks(tasks)
            if left:
                _log.error("cloud: %s did not stop; left behind", ", ".join(left))

    async def _ingest(self) -> None:
        while True:
            try:
                await self.ingest.run()
            except Exception:  # noqa: BLE001 - ingest must come back, whatever stopped it
                _log.exception("cloud: ingest failed; starting it again")
                await asyncio.sleep(0.5)
                await self.ingest.load()

    def _workers(self) -> Sequence[Worker]:
        segments = alone(
            Worker(
                name="segments",
                prepare=self.segments.prepare,
                step=self.segments.step,
                pause_seconds=self.settings.segments.pause_seconds,
            ),
            self._writes_segments,
        )
        audit = Worker(name="audit log", step=self._sign_audit_log, pause_seconds=_AUDIT_SECONDS)
        days = Worker(name="device days", step=self.availability.step, pause_seconds=_DAYS_SECONDS)
        sweeping = Worker(name="what has ended", step=self._sweep, pause_seconds=_AUDIT_SECONDS)
        telling = Worker(name="webhooks", step=self.courier.step, pause_seconds=_TELLING_SECONDS)
        months = Worker(name="months", step=self._prepare_months, pause_seconds=_MONTHS_SECONDS)
        retention = Worker(name="retention", step=self.retention.step, pause_seconds=_RETENTION_SECONDS)
        witnessing = witness_workers(self.store, self.super_log, self.settings.cosigners, self.settings.clock)
        integrity = Worker(name="integrity", step=self.integrity.step, pause_seconds=_INTEGRITY_SECONDS)
        photos = Worker(name="photos", step=self.photos.sweep, pause_seconds=_MONTHS_SECONDS)
        once = (
            audit,
            days,
            sweeping,
            retention,
            integrity,
            photos,
            *witnessing,
            *((telling,) if self.settings.webhooks else ()),
        )
        return (
            self._sequencer(),
            months,
            segments,
            # Of all clouds on a database one does these. What follows the chain has a lease of its own, for the others
            # read along.
            *(alone(worker, self.duties.are_ours) for worker in once),
            *(() if self.chain is None else self.chain.workers()),
            *(() if self.replicated is None else self.replicated.workers()),
        )

    async def _writes_segments(self) -> bool:
        return self.archive.try_lock()

    async def _sign_audit_log(self) -> bool:
        return await self.identity.audit.step(self.settings.clock.now_ms())

    async def _sweep(self) -> bool:
        now_ms = self.settings.clock.now_ms()
        await forget_notes(self.store, now_ms)
        await self.repair_photos.sweep()
        return await self.identity.sweep(now_ms)

    async def _prepare_months(self) -> bool:
        await self.store.prepare_months_from(month_of(self.settings.clock.now_ms()))
        return False

    def _sequencer(self) -> Worker:
        return Worker(
            name="super-log", step=lambda: self.super_log.sequence(self.store), pause_seconds=_SEQUENCER_SECONDS
        )


@asynccontextmanager
async def open_cloud(
    settings: CloudSettings, *, migrating: asyncio.Lock | None = None, waiting_bytes_max: int = _WAITING_BYTES_MAX
) -> AsyncIterator[Cloud]:
    """Open everything, migrating the store; closes it all at the end of the block.

    Args:
        migrating: held while the schema is brought up, where a process opens several clouds.
        waiting_bytes_max: of batches that wait for the store.

    Raises:
        SettingsError: a file that the settings name is missing or wrong.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    async with AsyncExitStack() as stack:
        store = open_store(settings)
        stack.push_async_callback(store.close)
        await store.migrate(migrating)
        archive = Archive(settings.segments.folder, segment_bytes=settings.segments.segment_bytes)
        await erase_returned(store, archive, chain_id=settings.chain.chain_id if settings.chain else None)
        await open_audit_log(settings, store).check_key()
        _check_trust(settings)
        super_log = SuperLog(settings.super_origin, open_super_key(settings.super_key_file))
        bell = Bell()
        directory = DirectoryFile(settings.directory_file)
        directory.read()
        chain = await _open_chain(settings, store, super_log, directory, bell, stack)
        if chain is not None:
            directory.join(Roster(chain.maintenance))
        news = chain.view if chain else Unchained()
        replicated = _open_replicated(settings, store, news, bell, stack)
        ingest = Ingest(
            store=store,
            journal=replicated.journal if replicated else None,
            keys=news,
            clock=settings.clock,
            limits=IngestLimits(entries_per_second=settings.entries_per_second, waiting_bytes_max=waiting_bytes_max),
            claims=_claims(settings),
            on_stored=bell.ring,
        )
        await ingest.load()
        mail = MailRoom(
            store=store, news=news, clock=settings.clock, bell=bell, block_seconds=settings.block_mail_seconds
        )
        stack.callback(archive.unlock)
        duties = Duties(store)
        stack.push_async_callback(duties.release)
        photos, repair_photos = _photos(settings, store, stack)
        yield Cloud(
            settings=settings,
            archive=archive,
            segments=SegmentWriter(store, archive),
            store=store,
            super_log=super_log,
            ingest=ingest,
            mail=mail,
            bell=bell,
            visits=VisitRoom(
                store=store,
                directory=directory,
                bell=bell,
                clock=settings.clock,
                chain_id=settings.chain.chain_id if settings.chain else 0,
                contract=settings.maintenance_contract,
                chain_word=chain.maintenance.word if chain else not_on_chain,
            ),
            photos=photos,
            repair_photos=repair_photos,
            arrivals=_arrivals(settings, store, directory, chain),
            integrity=_integrity(settings, store, directory, photos, chain),
            availability=Availability(
                store, directory, settings.clock, chain.view.origins_of if chain else _no_origins
            ),
            directory=directory,
            evidence=EvidenceRoom(
                store=store,
                view=chain.view if chain else None,
                deployment=chain.deployment if chain else None,
                super_origin=settings.super_origin,
            ),
            retention=_retention(settings, store, stack),
            chain=chain,
            replicated=replicated,
            courier=_courier(settings, store, stack),
            duties=duties,
            identity=_identity(settings, store, directory),
            tokens=Tokens(store),
            limits=Limits(settings.limits, store),
        )


async def _open_chain(
    settings: CloudSettings,
    store: Store,
    super_log: SuperLog,
    directory: DirectoryFile,
    bell: Bell,
    stack: AsyncExitStack,
) -> "ChainConnection | None":
    if settings.chain is None:
        return None
    from cloud.chain.connection import open_chain  # web3 costs seconds of import: not without a chain

    return await open_chain(settings, store, super_log, directory, bell, stack)


def _photos(settings: CloudSettings, store: Store, stack: AsyncExitStack) -> tuple[PhotoRoom, RepairPhotos]:
    quota = PhotoQuota(photos=settings.photos_per_day, octets=settings.photo_bytes_per_day)
    photos = PhotoRoom(store=store, folder=settings.photos_dir, clock=settings.clock, quota=quota)
    repair_photos = RepairPhotos(store=store, folder=settings.photos_dir)
    for room in (photos, repair_photos):
        stack.callback(room.close)
    return photos, repair_photos


def _arrivals(
    settings: CloudSettings, store: Store, directory: DirectoryFile, chain: "ChainConnection | None"
) -> ArrivalRoom:
    return ArrivalRoom(
        store=store,
        directory=directory,
        clock=settings.clock,
        chain_id=settings.chain.chain_id if settings.chain else 0,
        contract=chain.deployment.work_orders if chain else "",
        view=chain.maintenance if chain else None,
    )


def _retention(settings: CloudSettings, store: Store, stack: AsyncExitStack) -> Retention:
    chain_id = settings.chain.chain_id if settings.chain else None
    copies = [one.keeper.name for one in settings.copies]
    retention = Retention(store, settings.retention, settings.clock, chain_id=chain_id, copies=copies)
    stack.push_async_callback(retention.close)
    return retention


def _open_replicated(
    settings: CloudSettings, store: Store, keys: KeyRing, bell: Bell, stack: AsyncExitStack
) -> "ReplicatedLog | None":
    if settings.ingest_log is None:
        return None
    from cloud.ingest_log.part import ReplicatedLog  # the client of NATS: not where the store is the log

    replicated = ReplicatedLog(settings.ingest_log, store=store, keys=keys, clock=settings.clock, bell=bell)
    stack.push_async_callback(replicated.close)
    return replicated


def _identity(settings: CloudSettings, store: Store, directory: DirectoryFile) -> Identity:
    audit = open_audit_log(settings, store)
    return Identity(store, Passkeys(public_url=settings.public_url, site=directory.read().title.en), audit)


def open_audit_log(settings: CloudSettings, store: Store) -> AuditLog:
    """The site's audit log, signed with a key of its own under a name of its own."""
    key = open_super_key(settings.audit_key_file, "audit log key")
    return AuditLog(store, audit_origin(settings.super_origin), key)


def _no_origins(_device: bytes) -> tuple[str, ...]:
    """Without a chain no Registry gives devices to logs; the directory's gateway is asked alone."""
    return ()


def _integrity(
    settings: CloudSettings,
    store: Store,
    directory: DirectoryFile,
    photos: PhotoRoom,
    chain: "ChainConnection | None",
) -> IntegrityDesk:
    labels = labels_of(directory, chain.maintenance.carrier_of if chain else _nothing_bound)
    return IntegrityDesk(
        store=store, clock=settings.clock, cells=cells_of(directory), grey=photos.grey, labels=labels
    )  # fmt: skip


def _nothing_bound(_label: bytes) -> None:
    """Without a chain no label is bound there; the directory is asked alone."""


def _courier(settings: CloudSettings, store: Store, stack: AsyncExitStack) -> Courier:
    keys = {hook.name: secret_of(read_secret(hook.secret_file), name=hook.name) for hook in settings.webhooks}
    courier = Courier(store=store, clock=settings.clock, hooks=settings.webhooks, keys=keys)
    stack.push_async_callback(courier.close)
    return courier


def _check_trust(settings: CloudSettings) -> None:
    """Verifiers must ask for what the cloud waits for; without a trust file yet there is nothing to compare."""
    if settings.trust_file is None or not settings.trust_file.exists():
        return
    try:
        trust = parse_trust(settings.trust_file.read_bytes())
    except (OSError, TrustError) as error:
        raise SettingsError(f"trust file {settings.trust_file}: {error}") from error
    check_same_policy(settings.cosigners, trust)


def _claims(settings: CloudSettings) -> dict[str, bytes] | None:
    if settings.claims_file is None:
        return None
    try:
        document = json.loads(settings.claims_file.read_text())
        return {str(origin): bytes.fromhex(digest) for origin, digest in document.items()}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise SettingsError(
            f"claims file {settings.claims_file}: {error}; write {{origin: SHA-256 of the claim code in hex}}"
        ) from error
