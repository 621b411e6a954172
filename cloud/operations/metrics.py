"""Figures for Prometheus, read from the store when they are asked for, and the latency of answers as they are given.

Names follow Prometheus' own rules: base units, `_total` for what only grows. Routes are named by their pattern, never
by a path that somebody chose, so nobody can fill the monitor's memory.
"""

import logging
import os
import shutil
from collections import Counter as Counted
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from cloud.answers import Answer
from cloud.chain.breaker import Cause
from cloud.operations.readiness import Check, readiness
from cloud.operations.waits import Waits, read_waits
from cloud.service import Cloud
from cloud.standing import Standing, read_standing
from cloud.status import ChainStatus, Status, read_status
from cloud.store.away import STORE_ERRORS
from cloud.supervisor import FIGURES_VARIABLE
from cloud.webhooks.settings import Webhook

__all__ = ["CONTENT_TYPE_LATEST", "Figures", "SiteFigures", "chain_families"]

_log = logging.getLogger("cloud")
_SITE = "site"
_ACCEPTED = ""  # no reason for a refusal
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)


class Figures:
    """What this process counts for its sites; with several server processes what all do, whichever is asked."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._is_shared = FIGURES_VARIABLE in os.environ
        for collector in () if self._is_shared else (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self._registry)
        self.accepted = Counter(
            "minglou_entries_accepted", "Entries stored since the start", labelnames=(_SITE,), registry=self._registry
        )
        self.refused = Counter(
            "minglou_batches_refused",
            "Batches refused, by reason",
            labelnames=(_SITE, "reason"),
            registry=self._registry,
        )
        self.limited = Counter(
            "minglou_requests_limited",
            "Requests over a limit, by kind of request and of asker",
            labelnames=(_SITE, "load", "by"),
            registry=self._registry,
        )
        # Where several processes serve, the worst of what they say.
        self.site_up = Gauge(
            "minglou_site_up",
            "Whether a site is served",
            labelnames=(_SITE,),
            registry=self._registry,
            multiprocess_mode="livemin",
        )
        self.site_files_wrong = Gauge(
            "minglou_site_files_wrong",
            "Settings files of sites that cannot be used",
            registry=self._registry,
            multiprocess_mode="livemax",
        )
        self.of_chain = _SharedChain(self._registry) if self._is_shared else None
        self.seconds = Histogram(
            "minglou_http_answer_seconds",
            "Time to the first byte of an answer",
            labelnames=(_SITE, "method", "route", "status"),
            buckets=_BUCKETS,
            registry=self._registry,
        )

    def of(self, site: str) -> "SiteFigures":
        """Those of one site."""
        return SiteFigures(self, site)

    async def exposition(self, clouds: Sequence[Cloud], *, down: Collection[str] = ()) -> bytes:
        """All figures of these clouds and of the process, in Prometheus' text format.

        Args:
            down: sites that are to be served and have no open cloud.
        """
        families = _Families()
        sites = {*down, *(cloud.settings.site for cloud in clouds)}
        for family in self._counted().collect():
            families.add(family, sites)
        for cloud in clouds:
            for family in await _present(cloud):
                if self.of_chain is None or family.name not in self.of_chain.names:
                    families.add_of(cloud.settings.site, family)
        once = CollectorRegistry()
        once.register(families)
        return bytes(generate_latest(once))

    def _counted(self) -> CollectorRegistry:
        if not self._is_shared:
            return self._registry
        of_all = CollectorRegistry()
        MultiProcessCollector(of_all)  # type: ignore[no-untyped-call]  # prometheus_client leaves it untyped
        return of_all


class SiteFigures:
    """What is counted for one site."""

    def __init__(self, figures: Figures, site: str) -> None:
        self._figures, self._site = figures, site
        self._noted: Counted[str] = Counted()
        self._limited: Counted[tuple[str, str]] = Counted()

    def answered(self, answer: Answer) -> None:
        """Count one answer."""
        status = f"{answer.status // 100}xx"
        self._figures.seconds.labels(self._site, answer.method, answer.route, status).observe(answer.seconds)

    def note(self, cloud: Cloud) -> None:
        """Take over what the parts of this process have counted since the last time."""
        figures, site = self._figures, self._site
        for reason, count in (*cloud.ingest.refused.items(), (_ACCEPTED, cloud.ingest.accepted_entries)):
            counter = figures.accepted.labels(site) if reason == _ACCEPTED else figures.refused.labels(site, reason)
            counter.inc(count - self._noted[reason])
            self._noted[reason] = count
        for (load, by), count in cloud.limits.refused.items():
            figures.limited.labels(site, load, by).inc(count - self._limited[load, by])
            self._limited[load, by] = count
        chain = cloud.chain_status()
        if chain is not None and figures.of_chain is not None:
            figures.of_chain.note(site, chain)

    async def exposition(self, cloud: Cloud) -> bytes:
        """This site's and the process' figures in Prometheus' text format."""
        self.note(cloud)
        return await self._figures.exposition([cloud])


async def _present(cloud: Cloud) -> list[Metric]:
    """What is so now; without a database what this process knows by itself."""
    families = [*_ingest_log(cloud), *_disk(cloud), *_checks(await readiness(cloud))]
    chain = cloud.chain_status()
    families += [] if chain is None else chain_families(chain)
    try:
        families += await _stored(cloud)
    except STORE_ERRORS as error:
        _log.warning("cloud: figures of %s without the database: %s", cloud.settings.site, type(error).__name__)
    return families


class _SharedChain:
    """What only the process that sends knows of the chain, told by whichever process is asked."""

    names = ("minglou_chain_sender", "minglou_chain_stopped")

    def __init__(self, registry: CollectorRegistry) -> None:
        sender, stopped = self.names
        self._sender = Gauge(
            sender, "Whether one follows and sends", (_SITE,), registry=registry, multiprocess_mode="livemax"
        )
        self._stopped = Gauge(
            stopped, "Causes that stop sending", (_SITE, "cause"), registry=registry, multiprocess_mode="livemax"
        )

    def note(self, site: str, chain: ChainStatus) -> None:
        self._sender.labels(site).set(int(chain.is_sender))
        for cause in Cause:
            self._stopped.labels(site, cause.value).set(int(cause.value in chain.stopped))


class _Families(Collector):
    """Families of several sites, each name once, as Prometheus' format wants them."""

    def __init__(self) -> None:
        self._families: dict[str, Metric] = {}

    def add(self, family: Metric, sites: Collection[str]) -> None:
        """Take in what the process has counted, for itself and for these sites."""
        ours = self._like(family)
        ours.samples += [one for one in family.samples if _SITE not in one.labels or one.labels[_SITE] in sites]

    def add_of(self, site: str, family: Metric) -> None:
        """Take in what one site says of itself."""
        ours = self._like(family)
        ours.samples += [one._replace(labels={_SITE: site, **one.labels}) for one in family.samples]

    def _like(self, family: Metric) -> Metric:
        new = Metric(family.name, family.documentation, family.type, family.unit)
        return self._families.setdefault(family.name, new)

    def collect(self) -> Iterable[Metric]:
        return self._families.values()


async def _stored(cloud: Cloud) -> list[Metric]:
    chain, cosigners = cloud.chain_status(), cloud.settings.cosigners
    status = await read_status(cloud.store, chain=chain, refused=dict(cloud.ingest.refused))
    standing = await read_standing(cloud.store, cosigners)
    waits = await read_waits(cloud.store, now_ms=cloud.settings.clock.now_ms(), copies=cloud.settings.copies)
    return [*_counts(status), *_witnesses(standing), *_waits(waits, cloud.settings.webhooks)]


def _counts(status: Status) -> Iterator[Metric]:
    yield _gauge("minglou_entries", "Entries held", status.entries)
    yield _gauge("minglou_logs", "Gateways' logs held", status.logs)
    yield _gauge("minglou_logs_frozen", "Logs frozen after a fork", status.frozen)
    yield _gauge("minglou_super_log_size", "Leaves of the super-log", status.super_size)
    yield _by("minglou_outbox_intents", "Wishes for the chain", "state", status.outbox)


def chain_families(status: ChainStatus) -> Iterator[Metric]:
    """Where the followed chain stands, and what stops sending."""
    yield _gauge("minglou_chain_head_block", "The node's newest block", status.head_block)
    yield _gauge("minglou_chain_followed_block", "The newest block that was read", status.followed_block)
    yield _gauge("minglou_chain_final_block", "The newest final block", status.final_block)
    yield _gauge("minglou_anchored_size", "Super-log leaves anchored", status.anchored_size)
    yield _gauge("minglou_anchored_final_size", "Super-log leaves finally anchored", status.anchored_final_size)
    yield _gauge("minglou_chain_sender", "Whether this process follows and sends", int(status.is_sender))
    stopped = {cause.value: int(cause.value in status.stopped) for cause in Cause}
    yield _by("minglou_chain_stopped", "Causes that stop sending", "cause", stopped)
    believed = {name: int(says == "believed") for name, says in status.endpoints.items()}
    yield _by("minglou_chain_endpoint_believed", "Endpoints that count towards the quorum", "endpoint", believed)


def _witnesses(standing: Standing) -> Iterator[Metric]:
    yield _gauge("minglou_witness_quorum", "Cosignatures needed before anchoring", standing.quorum)
    yield _gauge("minglou_witnesses_cosigned", "Witnesses that cosigned the newest head", standing.cosigned)
    well = {one.name: int(not one.says) for one in standing.each}
    yield _by("minglou_witness_up", "Whether a witness answers and cosigns", "witness", well)
    sizes = {one.name: one.size for one in standing.each}
    yield _by("minglou_witness_cosigned_size", "The largest head a witness cosigned", "witness", sizes)


def _waits(waits: Waits, hooks: Sequence[Webhook]) -> Iterator[Metric]:
    yield _gauge("minglou_logs_silent", "Logs, not frozen, that sent nothing for 48 hours", waits.silent_logs)
    yield _gauge("minglou_outbox_oldest_seconds", "Age of the oldest open wish", waits.oldest_wish_seconds)
    behind = {name: one.entries for name, one in waits.copies.items()}
    yield _by("minglou_copy_behind_entries", "Entries that a copy has not acknowledged", "copy", behind)
    ages = {name: one.seconds for name, one in waits.copies.items()}
    yield _by("minglou_copy_age_seconds", "Time since a copy's last acknowledgement", "copy", ages)
    failures = {hook.name: waits.webhook_failures.get(hook.name, 0) for hook in hooks}
    yield _by("minglou_webhook_failures", "Refusals in a row of what waits for a webhook", "hook", failures)


def _ingest_log(cloud: Cloud) -> Iterator[Metric]:
    if cloud.replicated is None:
        return
    standing = cloud.replicated.watch.standing
    yield _gauge("minglou_ingest_log_up", "Whether the ingest log takes batches", int(standing.trouble is None))
    yield _gauge("minglou_ingest_log_waiting", "Acknowledged batches that are not in the store yet", standing.behind)
    yield _gauge("minglou_ingest_log_lag_seconds", "Age of the oldest of them", standing.lag_seconds)
    yield _gauge("minglou_ingest_log_aside", "Batches set aside, for people to look at", standing.set_aside)
    yield _gauge("minglou_ingest_log_bytes", "Size of the ingest log", standing.bytes)
    stored = CounterMetricFamily("minglou_ingest_log_entries_stored", "Entries carried into the store by this process")
    stored.add_metric([], cloud.replicated.storing.stored_entries)
    yield stored


def _disk(cloud: Cloud) -> Iterator[Metric]:
    free = shutil.disk_usage(cloud.settings.data_dir).free
    yield _gauge("minglou_data_free_bytes", "Free on the disk that holds data_dir", free)


def _checks(checks: Iterable[Check]) -> Iterator[Metric]:
    yield _by("minglou_check_passed", "Named checks of /readyz", "check", {one.name: int(one.passed) for one in checks})


def _gauge(name: str, says: str, value: float) -> Metric:
    return GaugeMetricFamily(name, says, value=value)


def _by(name: str, says: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, says, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family
