"""The replicated log as one part of the cloud: its connection, its journal for ingest, and its two workers."""

from collections.abc import Sequence

from cloud.ingest.keys import KeyRing
from cloud.ingest_log.definition import aside_stream
from cloud.ingest_log.journal import ReplicatedJournal
from cloud.ingest_log.log import IngestLog
from cloud.ingest_log.settings import IngestLogSettings
from cloud.ingest_log.storing import Storing
from cloud.ingest_log.watch import Watch
from cloud.mail import Bell
from cloud.settings import read_secret
from cloud.store import Store
from cloud.workers import Worker
from contracts.clock import Clock

__all__ = ["ReplicatedLog"]

_STORING_SECONDS = 0.05  # between fetches, each of which waits for messages
_WATCH_SECONDS = 2.0


class ReplicatedLog:
    """Not connected before its workers run: until then, and while the cluster is away, batches are answered 503."""

    def __init__(self, settings: IngestLogSettings, *, store: Store, keys: KeyRing, clock: Clock, bell: Bell) -> None:
        password = None if settings.password_file is None else read_secret(settings.password_file)
        self.aside_stream = aside_stream(settings)
        self.log = IngestLog(settings, password=password)
        self.journal = ReplicatedJournal(self.log, store)
        self.storing = Storing(
            log=self.log, journal=self.journal, store=store, keys=keys, clock=clock, on_stored=bell.ring
        )
        self.watch = Watch(self.log)

    def workers(self) -> Sequence[Worker]:
        """What runs beside ingest."""
        storing = Worker(
            name="ingest log", prepare=self.storing.prepare, step=self.storing.step, pause_seconds=_STORING_SECONDS
        )
        watch = Worker(name="ingest log's watch", step=self.watch.step, pause_seconds=_WATCH_SECONDS)
        return storing, watch

    async def close(self) -> None:
        """End the connection."""
        await self.log.close()
