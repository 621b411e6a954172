"""Traces and metrics over OTLP, where `[telemetry]` names a collector; without it nothing is collected or loaded.

Spans tell what a cloud does and how long it takes: batches, the outbox, bills, webhooks, answers. Their attributes are
counts, names of routes and of our own parts; nothing that names a person, a household or a device, and no address that
somebody chose. Whoever asks with a `traceparent` (W3C Trace Context) finds our spans in the own trace.
"""

import re
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from opentelemetry import metrics, propagate, trace
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.trace import SpanKind, StatusCode
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cloud.errors import SettingsError
from cloud.toml_table import Table

__all__ = ["TelemetrySettings", "TracedAnswers", "observe", "span", "start_telemetry", "telemetry_from_settings"]

_TRACER = trace.get_tracer("minglou.cloud")  # its spans go nowhere until a collector is named

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})
_STOP_MS = 3_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetrySettings:
    """Where to send, and how much."""

    endpoint: str  # of OTLP over HTTP: /v1/traces and /v1/metrics are below it
    service_name: str
    ratio: float  # of the traces that begin here; one that a caller has begun is kept as the caller says
    seconds: float  # between two exports of metrics


def telemetry_from_settings(table: Table | None) -> TelemetrySettings | None:
    """The settings of `[telemetry]`; None without the table. Raises `SettingsError`."""
    if table is None:
        return None
    endpoint = str(table.take("endpoint", str)).rstrip("/")
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SettingsError('[telemetry] endpoint is the address of an OTLP collector, such as "http://127.0.0.1:4318"')
    name, ratio = table.take("service_name", str, "minglou-cloud"), table.take("ratio", float, 1.0)
    seconds = table.take("seconds", float, 30.0)
    if not _NAME.fullmatch(name) or not 0 <= ratio <= 1 or not 1 <= seconds <= 3600:
        raise SettingsError("[telemetry] service_name is a short name, ratio from 0 to 1, seconds from 1 to 3600")
    return TelemetrySettings(endpoint=endpoint, service_name=name, ratio=ratio, seconds=seconds)


def start_telemetry(settings: TelemetrySettings) -> Callable[[], None]:
    """Begin to collect and send, in threads of their own; what ends it, after a last sending of at most some seconds.

    A collector that is away costs nothing but its spans: they wait in a bounded queue.
    """
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

    resource = Resource({"service.name": settings.service_name, "service.version": "1"})
    tracing = TracerProvider(
        sampler=ParentBased(TraceIdRatioBased(settings.ratio)), resource=resource, shutdown_on_exit=False
    )
    tracing.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{settings.endpoint}/v1/traces")))
    exporter = OTLPMetricExporter(endpoint=f"{settings.endpoint}/v1/metrics")
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=settings.seconds * 1000)
    measuring = MeterProvider(metric_readers=[reader], resource=resource, shutdown_on_exit=False)
    trace.set_tracer_provider(tracing)
    metrics.set_meter_provider(measuring)

    def stop() -> None:
        tracing.force_flush(_STOP_MS)
        tracing.shutdown()
        measuring.shutdown(timeout_millis=_STOP_MS)

    return stop


def span(name: str, **options: Any) -> AbstractContextManager[trace.Span]:
    """A span around what is done now. An error that leaves it is not told: its words may name a household."""
    return _TRACER.start_as_current_span(name, record_exception=False, set_status_on_exception=False, **options)


def observe(name: str, says: str, read: Callable[[], float]) -> None:
    """A figure that is read when metrics are sent; `read` must not block."""

    def figures(_options: CallbackOptions) -> Iterable[Observation]:
        return (Observation(read()),)

    metrics.get_meter("minglou.cloud").create_observable_gauge(name, callbacks=[figures], description=says)


class TracedAnswers:
    """A span and a duration for each answer, by the route that gave it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._seconds = metrics.get_meter("minglou.cloud").create_histogram(
            "http.server.request.duration", unit="s", description="Time to the first byte of an answer"
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        carrier = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        context, started = propagate.extract(carrier), time.perf_counter()
        method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
        with span(method, context=context, kind=SpanKind.SERVER) as answer:

            async def send_traced(message: Message) -> None:
                if message["type"] == "http.response.start":
                    route = getattr(scope.get("route"), "path", "unmatched")
                    told: dict[str, Any] = {
                        "http.request.method": method,
                        "http.route": route,
                        "http.response.status_code": message["status"],
                    }
                    answer.update_name(f"{method} {route}")
                    answer.set_attributes(told)
                    if message["status"] >= 500:
                        answer.set_status(StatusCode.ERROR)
                    self._seconds.record(time.perf_counter() - started, told)
                await send(message)

            await self._app(scope, receive, send_traced)
