"""Figures for Prometheus, read from the store when they are asked for, and the latency of answers as they are given.

Names follow Prometheus' own rules: base units, `_total` for what only grows. Routes are named by their pattern, never
by a path that somebody chose, so nobody can fill the monitor's memory.
"""

import time
from collections.abc import Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, GCCollector, Histogram, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cloud.operations.readiness import Check, readiness
from cloud.service import Cloud
from cloud.status import Status, read_status

__all__ = ["CONTENT_TYPE_LATEST", "Figures", "TimedAnswers"]

_UNMATCHED = "unmatched"
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)


class Figures:
    """One process's figures."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self._registry)
        self._seconds = Histogram(
            "minglou_http_answer_seconds",
            "Time to the first byte of an answer",
            labelnames=("method", "route", "status"),
            buckets=_BUCKETS,
            registry=self._registry,
        )

    def answered(self, *, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answer."""
        self._seconds.labels(method, route, f"{status // 100}xx").observe(seconds)

    async def exposition(self, cloud: Cloud) -> bytes:
        """Everything in Prometheus' text format."""
        status = await read_status(cloud.store, chain=cloud.chain_status(), refused=dict(cloud.ingest.refused))
        families = _Families([*_stored(status), *_ingest(cloud), *_checks(await readiness(cloud))])
        once = CollectorRegistry()
        once.register(families)
        return bytes(generate_latest(self._registry)) + bytes(generate_latest(once))


class _Families(Collector):
    """Families that were made already; Prometheus' library asks a collector for them."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _stored(status: Status) -> Iterator[Metric]:
    yield _gauge("minglou_entries", "Entries held", status.entries)
    yield _gauge("minglou_logs", "Gateways' logs held", status.logs)
    yield _gauge("minglou_logs_frozen", "Logs frozen after a fork", status.frozen)
    yield _gauge("minglou_super_log_size", "Leaves of the super-log", status.super_size)
    yield _by("minglou_outbox_intents", "Wishes for the chain", "state", status.outbox)
    if status.chain is not None:
        yield _gauge("minglou_chain_head_block", "The node's newest block", status.chain.head_block)
        yield _gauge("minglou_chain_followed_block", "The newest block that was read", status.chain.followed_block)
        yield _gauge("minglou_chain_final_block", "The newest final block", status.chain.final_block)
        yield _gauge("minglou_anchored_size", "Super-log leaves anchored", status.chain.anchored_size)
        yield _gauge(
            "minglou_anchored_final_size", "Super-log leaves finally anchored", status.chain.anchored_final_size
        )


def _ingest(cloud: Cloud) -> Iterator[Metric]:
    accepted = CounterMetricFamily("minglou_entries_accepted", "Entries stored since this process started")
    accepted.add_metric([], cloud.ingest.accepted_entries)
    yield accepted
    refused = CounterMetricFamily("minglou_batches_refused", "Batches refused, by reason", labels=["reason"])
    for reason, count in cloud.ingest.refused.items():
        refused.add_metric([reason], count)
    yield refused


def _checks(checks: Iterable[Check]) -> Iterator[Metric]:
    yield _by("minglou_check_passed", "Named checks of /readyz", "check", {one.name: int(one.passed) for one in checks})


def _gauge(name: str, says: str, value: float) -> Metric:
    return GaugeMetricFamily(name, says, value=value)


def _by(name: str, says: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, says, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


class TimedAnswers:
    """Measures each answer to its first byte, by the route that gave it."""

    def __init__(self, app: ASGIApp, *, figures: Figures) -> None:
        self._app, self._figures = app, figures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()

        async def send_timed(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", _UNMATCHED)
                self._figures.answered(
                    method=scope["method"] if scope["method"] in _METHODS else "other",
                    route=route,
                    status=message["status"],
                    seconds=time.perf_counter() - started,
                )
            await send(message)

        await self._app(scope, receive, send_timed)


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})
