"""A cloud for the gateway's tests: real HTTP, real verification with contracts, and it lies when told to."""

import json
import threading
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from contracts.batch import Batch, decode_batch
from contracts.checkpoint import open_checkpoint
from contracts.detail import decode_detail
from contracts.entry import Entry, decode_entry
from contracts.errors import ContractsError
from contracts.tree import Frontier


class HeldLog:
    """What the stub holds of one log, verified."""

    def __init__(self) -> None:
        self.frontier = Frontier()
        self.entries: list[Entry] = []
        self.details: list[bytes] = []
        self.note: str | None = None
        self.roots: dict[int, bytes] = {}

    def fields(self, index: int) -> dict[str, Any]:
        return decode_detail(self.details[index]) if self.details[index] else {}


class CloudStub:
    """`with CloudStub(public) as cloud:` serves at `cloud.url`."""

    def __init__(self, public: bytes) -> None:
        self.public = public
        self.logs: dict[str, HeldLog] = {}
        self.mail: list[dict[str, Any]] = []
        self.refusals: list[str] = []  # batches that did not verify: a gateway must never cause one
        self.answer: tuple[int, dict[str, Any]] | None = None  # says this to every batch instead of taking it
        self.head: tuple[int, dict[str, Any]] | None = None  # says this to every question for a head
        self.lose_answers = False  # takes the batch, then cuts the connection
        self.batches = 0
        self.lies = 0  # batches that got `answer`
        self.mail_seconds = 0.05  # a short long-poll: tests must not wait for it
        self.lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.cloud = self
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> "CloudStub":
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def log(self, origin: str) -> HeldLog:
        return self.logs.setdefault(origin, HeldLog())

    def size(self, origin: str) -> int:
        return len(self.log(origin).entries)

    def of(self, origin: str, quantity: str) -> list[Entry]:
        """The entries of one quantity, in order."""
        return [entry for entry in list(self.log(origin).entries) if entry.quantity == quantity]

    def take(self, origin: str, token: str, body: bytes) -> tuple[int, dict[str, Any]]:
        with self.lock:
            self.batches += 1
            if self.answer is not None:
                self.lies += 1
                return self.answer
            log = self.log(origin)
            try:
                batch = decode_batch(body)
                return self._append(log, origin, token, batch)
            except (ContractsError, AssertionError) as error:
                self.refusals.append(str(error))
                return 422, {"error": "bad_entry", "message": str(error), "size": log.frontier.size}

    def _append(self, log: HeldLog, origin: str, token: str, batch: Batch) -> tuple[int, dict[str, Any]]:
        held = log.frontier.size
        signed = open_checkpoint(batch.note, self.public).checkpoint
        assert signed.origin == origin, "wrong origin"
        if batch.start > held:
            return 409, {"error": "gap", "message": "resend", "size": held}
        if batch.start == 0:
            assert batch.rows[0][3] == "epoch.open", "entry 0 is not epoch.open"
            digest = decode_detail(batch.details[0])["uplink_token_digest"]
            assert sha256(bytes.fromhex(token)).hexdigest() == digest, "the token is not the signed one"
        skip = held - batch.start
        if skip >= batch.count:
            if log.roots.get(signed.size, signed.root) != signed.root:
                return 409, {"error": "fork", "message": "frozen", "size": held}
            return 200, {"size": held}
        frontier = log.frontier.copy()
        frontier.extend(batch.leaf_hashes()[skip:])
        if frontier.root() != signed.root:
            self.refusals.append(f"{origin}: signed root of {signed.size} does not fit the entries held")
            return 409, {"error": "fork", "message": "frozen", "size": held}
        log.frontier = frontier
        entries = [decode_entry(batch.entries[at : at + 224]) for at in range(0, len(batch.entries), 224)]
        log.entries.extend(entries[skip:])
        log.details.extend(batch.details[skip:])
        log.note, log.roots[signed.size] = batch.note, signed.root
        return 200, {"size": frontier.size}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    cloud: CloudStub

    def handle_error(self, request: object, client_address: object) -> None:
        """A killed gateway cuts its connections; that is what the tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        cloud = self.server.cloud
        body = self.rfile.read(int(self.headers["Content-Length"]))
        origin = self.path.removeprefix("/v1/logs/").removesuffix("/entries")
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        code, answer = cloud.take(origin, token, body)
        if cloud.lose_answers:
            cloud.lose_answers = False
            self.close_connection = True
            self.connection.close()
            return
        self._send(code, answer)

    def do_GET(self) -> None:
        cloud, url = self.server.cloud, urlsplit(self.path)
        if url.path.startswith("/v1/logs/"):
            origin = url.path.removeprefix("/v1/logs/")
            with cloud.lock:
                log = cloud.logs.get(origin)
                held: tuple[int, dict[str, Any]] = (404, {"error": "unknown_log", "size": 0})
                if log is not None and log.note is not None:
                    held = 200, {"size": log.frontier.size, "checkpoint": log.note}
                answer = cloud.head or held
            self._send(*answer)
            return
        after = int(parse_qs(url.query).get("after", ["0"])[0])
        messages = [message for message in cloud.mail if message["number"] > after]
        if not messages:
            threading.Event().wait(cloud.mail_seconds)
        self._send(200, {"messages": messages})

    def _send(self, code: int, answer: dict[str, Any]) -> None:
        content = json.dumps(answer).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        """Say nothing."""
