"""Traces and metrics as a collector gets them: a real server, a real receiver of OTLP over HTTP, real protobuf."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

from cloud.errors import SettingsError
from cloud.telemetry import sampler_of, span, telemetry_from_settings
from cloud.toml_table import Table
from contracts.batch import MEDIA_TYPE
from tests.cloud.gateway import SimulatedGateway
from tests.cloud.tenants import serving_sites
from tests.cloud.test_openapi import write_site
from tests.cloud.test_sites import tenants
from tests.processes import free_port, is_listening, program, running, wait_until

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
TOKEN = "5a" * 32
ATTRIBUTES = {
    "http.request.method", "http.route", "http.response.status_code", "minglou.batch.bytes", "minglou.block.bytes",
    "minglou.units", "minglou.webhook", "minglou.kind", "minglou.site",
}  # fmt: skip


@dataclass
class Collector:
    """What was received."""

    port: int
    spans: list[Any] = field(default_factory=list)
    figures: set[str] = field(default_factory=set)
    sites: dict[str, set[str]] = field(default_factory=dict)  # by figure, as it was sent last
    services: set[str] = field(default_factory=set)
    raw: bytes = b""

    def take(self, path: str, body: bytes) -> None:
        self.raw += body
        if path == "/v1/traces":
            for group in ExportTraceServiceRequest.FromString(body).resource_spans:
                self.services |= {
                    one.value.string_value for one in group.resource.attributes if one.key == "service.name"
                }
                self.spans += [span for scope in group.scope_spans for span in scope.spans]
        elif path == "/v1/metrics":
            for group in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                for one in [one for scope in group.scope_metrics for one in scope.metrics]:
                    self.figures.add(one.name)
                    told = [attribute for point in one.gauge.data_points for attribute in point.attributes]
                    self.sites[one.name] = {each.value.string_value for each in told if each.key == "minglou.site"}


@contextmanager
def collecting() -> Iterator[Collector]:
    collector = Collector(free_port())

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            collector.take(self.path, self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", collector.port), Handler)
    thread = threading.Thread(target=server.serve_forever, name="collector")
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_collector_gets_spans_and_figures_in_the_callers_trace_and_nothing_of_anybody(tmp_path: Path) -> None:
    gateway = SimulatedGateway()
    port = free_port()
    with collecting() as collector:
        config = write_site(tmp_path, port)
        telemetry = f'[telemetry]\nendpoint = "http://127.0.0.1:{collector.port}"\nservice_name = "cuiyuan"\n'
        config.write_text(config.read_text() + telemetry + "seconds = 1\n")
        command = [program("minglou"), "cloud", "serve", "--config", config]
        with running(command, name="cloud", output_dir=tmp_path, ready=lambda: is_listening(port), seconds=40) as cloud:
            ask(port, gateway)
            wait_until(lambda: len(served(collector)) >= 3, seconds=20, what="the spans")
            wait_until(lambda: "minglou.batches.refused" in collector.figures, seconds=20, what="the figures")
            assert cloud.stop() == 0
        names = {span.name for span in collector.spans}
        assert {"GET /healthz", "POST /v1/logs/{origin:path}/entries", "GET unmatched", "ingest.batch"} <= names
        (health,) = [span for span in collector.spans if span.name == "GET /healthz"]
        assert (health.trace_id.hex(), health.parent_span_id.hex()) == (TRACE, PARENT)
        batch = next(span for span in collector.spans if span.name == "ingest.batch")
        parents = {span.span_id for span in collector.spans if span.name.startswith("POST /v1/logs")}
        assert batch.parent_span_id in parents, "what an answer waits for stands below it"
        assert {one.key for span in collector.spans for one in span.attributes} <= ATTRIBUTES
        for secret in (gateway.origin, gateway.token.hex(), TOKEN, "zhang-san"):
            assert secret.encode() not in collector.raw
        assert collector.services == {"cuiyuan"}
        assert {"http.server.request.duration", "minglou.entries.accepted"} <= collector.figures


def test_each_of_several_sites_is_told_for_as_long_as_it_is_served(tmp_path: Path) -> None:
    port, figure = free_port(), "minglou.entries.accepted"
    one, other = tenants(tmp_path, "a", "b", port=port)
    with collecting() as collector:
        for site in (one, other):
            telemetry = f'[telemetry]\nendpoint = "http://127.0.0.1:{collector.port}"\nseconds = 1\n'
            site.config.write_text(site.settings_text() + telemetry)
        with serving_sites(tmp_path, one, other) as cloud:
            wait_until(
                lambda: collector.sites.get(figure) == {one.host, other.host}, seconds=30, what="figures of both sites"
            )
            assert {one.ask("GET", "/healthz").status_code, other.ask("GET", "/healthz").status_code} == {200}
            other.config.unlink()
            os.kill(cloud.pid, signal.SIGHUP)
            wait_until(lambda: collector.sites.get(figure) == {one.host}, seconds=30, what="the other to be let go")
            assert cloud.stop() == 0, cloud.said()
        told = {
            attribute.value.string_value
            for span in collector.spans
            for attribute in span.attributes
            if attribute.key == "minglou.site"
        }
        assert told == {one.host, other.host}


def ask(port: int, gateway: SimulatedGateway) -> None:
    url = f"http://127.0.0.1:{port}"
    with httpx.Client(base_url=url, trust_env=False, timeout=60) as client:
        client.get("/healthz", headers={"traceparent": f"00-{TRACE}-{PARENT}-01"})
        client.get("/no/such/page/of/zhang-san", headers={"Authorization": f"Bearer {TOKEN}"})
        headers = {"Content-Type": MEDIA_TYPE, "Authorization": f"Bearer {gateway.token.hex()}"}
        refused = client.post(f"/v1/logs/{gateway.origin}/entries", content=gateway.batch(), headers=headers)
        assert refused.status_code == 403, "no chain vouches for this gateway"


def served(collector: Collector) -> list[Any]:
    return [span for span in collector.spans if span.name.startswith(("GET", "POST"))]


def test_a_collector_that_is_away_disturbs_nobody_and_the_end_does_not_wait_for_it(tmp_path: Path) -> None:
    port = free_port()
    config = write_site(tmp_path, port)
    config.write_text(config.read_text() + f'[telemetry]\nendpoint = "http://127.0.0.1:{free_port()}"\n')
    command = [program("minglou"), "cloud", "serve", "--config", config]
    with running(command, name="cloud", output_dir=tmp_path, ready=lambda: is_listening(port), seconds=40) as cloud:
        answers = [httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=60, trust_env=False) for _ in range(20)]
        assert {answer.status_code for answer in answers} == {200}
        assert cloud.stop() == 0, cloud.said()


@pytest.mark.parametrize("trace_id", [1, 2**128 - 1, int(TRACE, 16)])
@pytest.mark.parametrize("is_sampled", [False, True])
def test_no_caller_decides_what_is_recorded(trace_id: int, is_sampled: bool) -> None:
    parent = SpanContext(trace_id, 7, is_remote=True, trace_flags=TraceFlags(int(is_sampled)))
    context = set_span_in_context(NonRecordingSpan(parent))

    def recorded(ratio: float) -> int:
        sampler = sampler_of(ratio, Random(1))
        return sum(sampler.should_sample(context, trace_id, "GET").decision.is_sampled() for _ in range(400))

    assert (recorded(0.0), recorded(1.0)) == (0, 400)
    assert 60 < recorded(0.25) < 140, "its share of this caller's requests, whatever id and flag it sends"


def test_what_is_done_within_a_request_is_recorded_with_it() -> None:
    for flags in (0, 1):
        own = SpanContext(5, 7, is_remote=False, trace_flags=TraceFlags(flags))
        context = set_span_in_context(NonRecordingSpan(own))
        decisions = {sampler_of(0.5).should_sample(context, 5, "x").decision.is_sampled() for _ in range(50)}
        assert decisions == {bool(flags)}


def test_without_a_collector_no_sdk_is_loaded(tmp_path: Path) -> None:
    says = "import sys, cloud.telemetry; print([one for one in sys.modules if one.startswith('opentelemetry.sdk')])"
    found = subprocess.run([sys.executable, "-c", says], capture_output=True, text=True, check=True, timeout=120)
    assert found.stdout.strip() == "[]"


def test_without_a_collector_no_span_is_made() -> None:
    with span("anything") as made:
        assert not made.is_recording()


@pytest.mark.parametrize(
    "values",
    [{}, {"endpoint": "collector"}, {"endpoint": "http://c", "ratio": 2.0}, {"endpoint": "http://c", "seconds": 0}],
)
def test_wrong_settings_are_named(values: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="telemetry"):
        telemetry_from_settings(Table(tmp_path / "cloud.toml", "telemetry", values))
