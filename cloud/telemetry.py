"""Traces and metrics over OTLP, where `[telemetry]` names a collector. Without it only OpenTelemetry's API is loaded,
whose spans are empty: no SDK, no exporter, no thread, nothing collected.

Spans tell what a cloud does and how long it takes: batches, the outbox, bills, webhooks, answers. Their attributes are
counts, names of routes and of our own parts; nothing that names a person, a household or a device, and no address that
somebody chose. Whoever asks with a `traceparent` (W3C Trace Context) finds our spans in the own trace, as many as
`ratio` lets through: whether to record is ours to say, or any stranger could have everything recorded.
"""

import random
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from opentelemetry import metrics, propagate, trace
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.trace import SpanKind, StatusCode
from starlette.types import Scope

from cloud.answers import Answer, Tell, Trace
from cloud.errors import SettingsError
from cloud.toml_table import Table

__all__ = [
    "TelemetrySettings",
    "observe",
    "sampler_of",
    "span",
    "start_telemetry",
    "telemetry_from_settings",
    "traced_answers",
]

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.sampling import Sampler

_TRACER = trace.get_tracer("minglou.cloud")  # its spans go nowhere until a collector is named

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_STOP_MS = 3_000
_SITE = "minglou.site"


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetrySettings:
    """Where to send, and how much."""

    endpoint: str  # of OTLP over HTTP: /v1/traces and /v1/metrics are below it
    service_name: str
    ratio: float  # of the requests and tasks that are recorded, whatever a caller says of its own trace
    seconds: float  # between two exports of metrics


def telemetry_from_settings(table: Table | None) -> TelemetrySettings | None:
    """The settings of `[telemetry]`; None without the table. Raises `SettingsError`."""
    if table is None:
        return None
    endpoint = str(table.take("endpoint", str)).rstrip("/")
    if not _is_address(endpoint):
        raise SettingsError('[telemetry] endpoint is the address of an OTLP collector, such as "http://127.0.0.1:4318"')
    name, ratio = table.take("service_name", str, "minglou-cloud"), table.take("ratio", float, 1.0)
    seconds = table.take("seconds", float, 30.0)
    if not _NAME.fullmatch(name) or not 0 <= ratio <= 1 or not 1 <= seconds <= 3600:
        raise SettingsError("[telemetry] service_name is a short name, ratio from 0 to 1, seconds from 1 to 3600")
    return TelemetrySettings(endpoint=endpoint, service_name=name, ratio=ratio, seconds=seconds)


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


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

    resource = Resource({"service.name": settings.service_name, "service.version": "1"})
    tracing = TracerProvider(sampler=sampler_of(settings.ratio), resource=resource, shutdown_on_exit=False)
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


def sampler_of(ratio: float, rng: random.Random | None = None) -> "Sampler":
    """Draws for each request or task whether it is recorded; what is done within follows.

    Neither a caller's sampled flag nor its trace id counts: both are chosen by whoever asks.
    """
    from opentelemetry.sdk.trace.sampling import Decision, ParentBased, Sampler, SamplingResult

    drawing = rng or random.Random()

    class Drawn(Sampler):
        def should_sample(self, parent_context: Any, *_: Any, **options: Any) -> SamplingResult:
            is_recorded = drawing.random() < ratio
            return SamplingResult(
                Decision.RECORD_AND_SAMPLE if is_recorded else Decision.DROP, options.get("attributes")
            )

        def get_description(self) -> str:
            return f"Drawn{{{ratio}}}"

    drawn = Drawn()
    return ParentBased(drawn, remote_parent_sampled=drawn, remote_parent_not_sampled=drawn)


def span(name: str, **options: Any) -> AbstractContextManager[trace.Span]:
    """A span around what is done now. An error that leaves it is not told: its words may name a household."""
    return _TRACER.start_as_current_span(name, record_exception=False, set_status_on_exception=False, **options)


def observe(name: str, says: str, read: Callable[[], Iterable[tuple[str, float]]]) -> None:
    """A figure of each site, to be named once in a process.

    Args:
        read: sites with their values; asked in a thread when metrics are sent, and must not block.
    """

    def figures(_options: CallbackOptions) -> Iterable[Observation]:
        return [Observation(value, {_SITE: site}) for site, value in read()]

    metrics.get_meter("minglou.cloud").create_observable_gauge(name, callbacks=[figures], description=says)


def traced_answers(site: str) -> Trace:
    """What puts a span around each answer of a site, in the caller's trace, and records its duration by route."""
    seconds = metrics.get_meter("minglou.cloud").create_histogram(
        "http.server.request.duration", unit="s", description="Time to the first byte of an answer"
    )

    @contextmanager
    def traced(scope: Scope, method: str) -> Iterator[Tell]:
        carrier = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        method = "_OTHER" if method == "other" else method  # OpenTelemetry's own word
        with span(method, context=propagate.extract(carrier), kind=SpanKind.SERVER) as made:

            def tell(answer: Answer) -> None:
                told: dict[str, Any] = {
                    _SITE: site,
                    "http.request.method": method,
                    "http.route": answer.route,
                    "http.response.status_code": answer.status,
                }
                made.update_name(f"{method} {answer.route}")
                made.set_attributes(told)
                if answer.status >= 500:
                    made.set_status(StatusCode.ERROR)
                seconds.record(answer.seconds, told)

            yield tell

    return traced
