"""A monitor that nobody whom it asks can silence, mislead or make accuse the innocent."""

import json
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest

from cloud.monitor.finding import Finding, Kind, Reporter
from cloud.monitor.sources import NodeRpc, Unreachable, Web
from contracts.checkpoint import Checkpoint
from contracts.errors import RpcError
from contracts.superlog import sign_superlog
from tests.cloud.test_monitor import HOUR_S, ORIGIN, ROOTS, SUPER_KEY, Deployment, kinds, watching
from tests.processes import free_port


def test_a_cosigned_note_of_another_size_does_not_stand_in_for_the_anchored_one(tmp_path: Path) -> None:
    deployment = Deployment()
    deployment.grow()
    deployment.cosigning = 0
    deployment.grow()
    deployment.anchor()
    honest, hidden = deployment.answer, ["/log/checkpoint/2"]

    def shows_the_first(request: httpx.Request) -> httpx.Response:
        hides = request.url.path in hidden
        return httpx.Response(200, text=deployment.notes[1]) if hides else honest(request)

    deployment.answer = shows_the_first  # type: ignore[method-assign]
    with watching(deployment, tmp_path) as look:
        assert kinds(look()) == [("gap", "anchors")]
        hidden.clear()
        assert kinds(look()) == [("cosignatures", "anchors")]


def test_a_note_that_is_not_answered_hides_no_other_anchor(tmp_path: Path) -> None:
    deployment = Deployment()
    deployment.grow()
    deployment.anchor()
    deployment.grow()
    deployment.anchors.append((2, bytes(32)))
    honest = deployment.answer

    def fails_for_the_first(request: httpx.Request) -> httpx.Response:
        return httpx.Response(503) if request.url.path == "/log/checkpoint/1" else honest(request)

    deployment.answer = fails_for_the_first  # type: ignore[method-assign]
    with watching(deployment, tmp_path) as look:
        assert sorted(kinds(look())) == [("anchor", "anchors"), ("unreachable", "anchors")]


def test_a_node_that_is_behind_for_a_while_accuses_nobody(tmp_path: Path) -> None:
    deployment = Deployment()
    with watching(deployment, tmp_path) as look:
        for _ in range(3):
            deployment.grow()
            deployment.anchor()
            assert look() == []
        deployment.behind = 4  # as one that was restarted, or another one behind the same address
        assert look() == []
        deployment.behind = 0
        assert look() == [], "anchors that were read before are no rollback"


def test_a_key_that_our_node_learns_late_is_no_wrong(tmp_path: Path) -> None:
    deployment = Deployment()
    with watching(deployment, tmp_path, gateways=()) as look:
        known, deployment._logs = deployment._logs, list  # type: ignore[method-assign]
        deployment.grow()
        assert kinds(look()) == [("signature", ORIGIN)]
        deployment._logs = known  # type: ignore[method-assign]
        deployment.grow()
        assert look() == []


def test_a_clock_that_was_ahead_does_not_silence_the_monitor(tmp_path: Path) -> None:
    deployment = Deployment(now_s=2_800_000_000)
    deployment.grow()
    with watching(deployment, tmp_path) as look:
        look()
        deployment.now_s = 1_800_000_000
        look()
        deployment.now_s += 6 * HOUR_S + 1
        assert sorted(kinds(look())) == [("stale", ORIGIN), ("stale", "super-log"), ("unanchored", "super-log")]


def test_an_answer_that_drips_is_cut_off_and_the_others_are_heard(tmp_path: Path) -> None:
    class Drips(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with suppress(OSError):
                while not ended.is_set():
                    self.wfile.write(b"X-Header: for ever\r\n")
                    ended.wait(0.05)

        def log_message(self, *_arguments: object) -> None:
            pass

    ended = threading.Event()
    with HTTPServer(("127.0.0.1", 0), Drips) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        web = Web(answer_seconds=0.5)
        try:
            with pytest.raises(Unreachable, match="did not end its answer"):
                web.get(f"http://127.0.0.1:{server.server_port}/x", bytes_max=100)
        finally:
            ended.set()
            web.close()
            server.shutdown()
            serving.join()


def test_a_log_that_says_to_be_endless_is_not_followed_and_hides_nothing(tmp_path: Path) -> None:
    deployment = Deployment()
    deployment.grow()
    endless = Checkpoint(origin=ROOTS.super_log_origin, size=2**40, root=bytes(32))
    deployment.notes[2**40] = sign_superlog(endless, SUPER_KEY)
    deployment.witness_note = "no note at all"
    with watching(deployment, tmp_path, gateways=()) as look:
        assert sorted(kinds(look())) == [("gap", "cloud"), ("signature", "witness w0.example/w")]


def test_what_the_monitor_cannot_do_is_said_and_ends_nothing(tmp_path: Path) -> None:
    deployment = Deployment()
    deployment.grow()
    with watching(deployment, tmp_path) as look:
        (tmp_path / "proofs").write_text("no folder can be made here")
        split = Checkpoint(origin=ROOTS.super_log_origin, size=1, root=bytes(32))
        deployment.witness_note = sign_superlog(split, SUPER_KEY)
        deployment.gateway_note = "no note at all"
        assert sorted(kinds(look())) == [("monitor", "witness w0.example/w"), ("signature", f"gateway {ORIGIN}")]


def test_no_address_with_a_key_is_ever_shown(tmp_path: Path) -> None:
    lines: list[str] = []
    secret = f"http://127.0.0.1:{free_port()}/v3/s3cret"
    reporter = Reporter(secret, write=lines.append)
    reporter.report([Finding(kind=Kind.GAP, log="super-log", says="x", remedy="y")], now_s=0, summary={})
    web = Web()
    with pytest.raises(RpcError) as caught:
        NodeRpc(web, secret)("eth_chainId", [])
    web.close()
    assert "s3cret" not in "".join(lines) + str(caught.value) and "127.0.0.1" in str(caught.value)


def test_a_webhook_that_was_away_is_told_when_it_is_back() -> None:
    told: list[str] = []
    broken = [True]

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["content-length"])))["event"])
            self.send_response(503 if broken[0] else 200)
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Hook) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            reporter = Reporter(f"http://127.0.0.1:{server.server_port}/", write=lambda _line: None)
            found = [Finding(kind=Kind.FORK, log="super-log", says="x", remedy="y")]
            reporter.report(found, now_s=0, summary={})
            broken[0] = False
            told.clear()
            reporter.report(found, now_s=60, summary={})
        finally:
            server.shutdown()
            serving.join()
    assert told == ["found"]
