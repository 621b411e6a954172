"""The monitor against real tiles and notes: what is well is silent, and each kind of wrong is said, with its proof."""

import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from cloud.errors import SettingsError
from cloud.monitor.chain import WatchedChain
from cloud.monitor.finding import Finding, Kind, Reporter
from cloud.monitor.memory import Memory
from cloud.monitor.monitor import Monitor
from cloud.monitor.settings import MonitorSettings, load_monitor_settings
from cloud.monitor.sources import NodeRpc, Web
from contracts import ed25519, p256
from contracts.abi import encode_arguments
from contracts.act_file import parse_act
from contracts.calls import registry_events
from contracts.checkpoint import Checkpoint, checkpoint_note, sign_checkpoint
from contracts.note import decode_base64
from contracts.onchain import ANCHORED_TOPIC, origin_id
from contracts.superlog import (
    Witness,
    WitnessPolicy,
    add_cosignature,
    parse_superlog_leaf,
    sign_superlog,
    superlog_leaf_of,
)
from contracts.tiles import encode_bundle, encode_tile, parse_tile_path
from contracts.tree import MemoryTree, leaf_hash, verify_inclusion
from contracts.trust import Trust, format_trust
from contracts.vyper.compile import artifact
from tests.processes import free_port, program
from tests.vectors.deployment import TRUST

SUPER_KEY = ed25519.key_from_seed(bytes(31) + b"\x07")
ORIGIN = "demo.minglou.example/cuiyuan/b07/e0"
WITNESS_KEYS = [ed25519.key_from_seed(bytes([at]) * 32) for at in (1, 2, 3)]
WITNESSES = tuple(
    Witness(name=f"w{at}.example/w", public=ed25519.public_bytes(key)) for at, key in enumerate(WITNESS_KEYS)
)
ROOTS: Trust = replace(
    TRUST, super_log_origin="demo.minglou.example/log", super_log_public=ed25519.public_bytes(SUPER_KEY),
    witness_policy=WitnessPolicy(quorum=2, witnesses=WITNESSES),
)  # fmt: skip
HOUR_S = 3600


@dataclass
class Deployment:
    """A cloud, its gateway, a witness and a chain, as a monitor sees them over HTTP; each can lie."""

    key: p256.PrivateKey = field(default_factory=p256.generate_key)
    entries: list[bytes] = field(default_factory=list)
    leaves: list[bytes] = field(default_factory=list)
    anchors: list[tuple[int, bytes]] = field(default_factory=list)
    notes: dict[int, str] = field(default_factory=dict)
    cosigning: int = 3
    gateway_note: str | None = None
    witness_note: str | None = None
    absent: tuple[str, ...] = ()
    behind: int = 0  # blocks that the node lacks just now
    now_s: int = 1_800_000_000

    @property
    def tree(self) -> MemoryTree:
        return MemoryTree(leaf_hash(leaf) for leaf in self.leaves)

    @property
    def log(self) -> MemoryTree:
        return MemoryTree(self.entries)

    def note(self, size: int | None = None, root: bytes | None = None) -> str:
        size = len(self.entries) if size is None else size
        return sign_checkpoint(Checkpoint(origin=ORIGIN, size=size, root=root or self.log.root(size)), self.key)

    def grow(self, count: int = 3, *, note: str | None = None) -> None:
        """More entries, a checkpoint, a leaf, a signed head."""
        self.entries += [sha256(f"entry {len(self.entries) + at}".encode()).digest() for at in range(count)]
        self.leaves.append(superlog_leaf_of(note or self.note()))
        self.sign()

    def sign(self) -> str:
        size = len(self.leaves)
        note = sign_superlog(Checkpoint(origin=ROOTS.super_log_origin, size=size, root=self.tree.root()), SUPER_KEY)
        for witness, key in list(zip(WITNESSES, WITNESS_KEYS, strict=True))[: self.cosigning]:
            note = add_cosignature(note, witness, key, self.now_s)
        self.notes[size] = note
        return note

    def anchor(self) -> None:
        self.anchors.append((len(self.leaves), self.tree.root()))

    def answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if any(path.startswith(part) for part in self.absent):
            return httpx.Response(404)
        if path == "/rpc":
            return httpx.Response(200, json=self._rpc(json.loads(request.content)))
        if path.startswith("/log/checkpoint"):
            size = int(path.rpartition("/")[2]) if path.count("/") == 3 else max(self.notes, default=0)
            return httpx.Response(200, text=self.notes[size]) if size in self.notes else httpx.Response(404)
        if path == "/gateway/checkpoint":
            return httpx.Response(200, text=self.gateway_note or self.note())
        if path.startswith("/witness/"):
            return httpx.Response(200, text=self.witness_note or self.notes[max(self.notes)])
        if path == "/audit/checkpoint":
            return httpx.Response(404)  # followed in test_monitor_audit
        if path.startswith("/log/tile/"):
            return self._tile(path.removeprefix("/log/"), self.tree)
        if path.startswith(f"/v1/logs/{ORIGIN}/tile/"):
            return self._tile(path.removeprefix(f"/v1/logs/{ORIGIN}/"), self.log)
        raise AssertionError(path)

    def _tile(self, path: str, tree: MemoryTree) -> httpx.Response:
        tile = parse_tile_path(path)
        if tile.level is None:
            return httpx.Response(200, content=encode_bundle(self.leaves[tile.start : tile.end]))
        hashes = [tree.node(tile.node_level, at) for at in range(tile.start, tile.end)]
        return httpx.Response(200, content=encode_tile(hashes))

    def _rpc(self, asked: dict[str, Any]) -> dict[str, Any]:
        result: Any
        if asked["method"] == "eth_chainId":
            result = hex(ROOTS.chain_id)
        elif asked["method"] == "eth_blockNumber":
            result = hex(max(5, 10 + len(self.anchors) - self.behind))
        else:
            (wanted,) = asked["params"]
            start, end = int(wanted["fromBlock"], 16), int(wanted["toBlock"], 16)
            logs = [log for log in self._logs() if log["topics"][0] == wanted["topics"][0]]
            result = [log for log in logs if start <= int(log["blockNumber"], 16) <= end]
        return {"jsonrpc": "2.0", "id": asked["id"], "result": result}

    def _logs(self) -> list[dict[str, Any]]:
        public = p256.public_bytes(self.key)
        x, y = int.from_bytes(public[:32]), int.from_bytes(public[32:])
        form = registry_events.GatewayKeySet.FORM
        types = ("string", "uint256", "uint256", "uint256", "uint256", "uint256", "uint256")
        data = encode_arguments("GatewayKeySet", types, (ORIGIN, x, y, 1, 5, 7, 1))
        found = [(form.topic, origin_id(ORIGIN), data, 5)]
        for at, (size, root) in enumerate(self.anchors):
            found.append((bytes.fromhex(ANCHORED_TOPIC[2:]), size.to_bytes(32), root, 11 + at))
        return [
            {"topics": [f"0x{topic.hex()}", f"0x{second.hex()}"], "data": f"0x{data.hex()}", "blockNumber": hex(block)}
            for topic, second, data, block in found
        ]


@contextmanager
def watching(deployment: Deployment, folder: Path, **change: Any) -> Iterator[Callable[[], list[Finding]]]:
    """One monitor; each call is a round. What it remembers is in `folder`."""
    settings = MonitorSettings(
        trust_file=folder / "trust.json", cloud_url="http://cloud.example", rpc="http://cloud.example/rpc",
        from_block=0, state_dir=folder, site="", every_seconds=1, stale_s=6 * HOUR_S, unanchored_s=3 * HOUR_S,
        cosign_s=600, webhook=None, witnesses=(("w0.example/w", "http://cloud.example/witness"),),
        gateways=((ORIGIN, "http://cloud.example/gateway"),),
    )  # fmt: skip
    web, memory = Web(httpx.MockTransport(deployment.answer)), Memory(folder / "monitor.sqlite3")
    chain = WatchedChain(NodeRpc(web, "http://cloud.example/rpc"), ROOTS)
    monitor = Monitor(replace(settings, **change), ROOTS, memory, web, chain, clock_s=lambda: deployment.now_s)
    try:
        yield monitor.round
    finally:
        memory.close()
        web.close()


def kinds(found: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.kind.value, finding.log) for finding in found]


def test_a_log_that_only_grows_is_followed_in_silence(tmp_path: Path) -> None:
    """Over tile boundaries of both kinds of log, in steps and after a restart."""
    deployment = Deployment()
    for batches, count in ((1, 1), (2, 100), (40, 3), (230, 1), (1, 700)):
        for _ in range(batches):
            deployment.grow(count)
        deployment.anchor()
        with watching(deployment, tmp_path) as look:
            assert look() == []
            assert look() == []
    memory = Memory(tmp_path / "monitor.sqlite3")
    assert (memory.head("super-log").size, memory.head(ORIGIN).size) == (274, len(deployment.entries))  # type: ignore[union-attr]
    assert memory.fact("anchored") == 274
    memory.close()


def test_a_rewritten_super_log_is_a_fork_with_a_proof(tmp_path: Path) -> None:
    deployment = Deployment()
    for _ in range(9):
        deployment.grow()
    with watching(deployment, tmp_path) as look:
        assert look() == []
        honest = deployment.notes[9]
        deployment.leaves[4] = superlog_leaf_of(deployment.note(size=2))
        deployment.grow()
        (finding,) = [one for one in look() if one.log == "super-log"]
        assert finding.kind is Kind.FORK and finding.proof is not None
        proof = json.loads(Path(finding.proof).read_text())
        assert (proof["a"], proof["b"], proof["index"]) == (honest, deployment.notes[10], "4")
        for name, size in (("a", 9), ("b", 10)):
            side, root = proof[f"leaf_{name}"], decode_base64(proof[name].split("\n")[2])
            path = [bytes.fromhex(node) for node in side["path"]]
            verify_inclusion(bytes.fromhex(side["leaf"]), 4, size, path, root)
    with watching(deployment, tmp_path) as look:
        assert ("fork", "super-log") in kinds(look()), "what is proven stays said"


def test_two_roots_for_one_size_are_a_fork(tmp_path: Path) -> None:
    deployment = Deployment()
    deployment.grow()
    with watching(deployment, tmp_path) as look:
        assert look() == []
        deployment.leaves[0] = superlog_leaf_of(deployment.note(size=1))
        deployment.sign()
        assert kinds(look()) == [("fork", "super-log")]


def test_a_gateway_that_signed_two_roots_is_reported_by_an_act_for_anchor_log(tmp_path: Path) -> None:
    deployment = Deployment()
    for _ in range(3):
        deployment.grow()
    with watching(deployment, tmp_path) as look:
        assert look() == []
        deployment.gateway_note = deployment.note(size=6, root=bytes(range(32)))
        (finding,) = look()
        assert (finding.kind, finding.log) == (Kind.FORK, ORIGIN) and "minglou chain submit" in finding.remedy
        assert finding.proof is not None
        act = parse_act(Path(finding.proof).read_bytes(), lambda name: artifact(name).abi)
        assert (act.contract, act.function) == ("AnchorLog", "report_two_roots")
        assert (act.arguments["a"]["size"], act.arguments["b"]["root"]) == (6, bytes(range(32)))


def test_a_gateway_that_signed_two_leaves_is_reported_with_both_paths(tmp_path: Path) -> None:
    """The gateway rewrote entry 4 and went on; the colluding cloud took both and serves the new history."""
    deployment = Deployment()
    for _ in range(3):
        deployment.grow()
    with watching(deployment, tmp_path) as look:
        assert look() == []
        old = deployment.log
        deployment.entries[4] = bytes(32)
        deployment.grow()
        (finding,) = [one for one in look() if one.kind is Kind.FORK]
        assert finding.log == ORIGIN and finding.proof is not None
        act = parse_act(Path(finding.proof).read_bytes(), lambda name: artifact(name).abi)
        arguments = act.arguments
        assert (act.function, arguments["index"], arguments["leaf_b"]) == ("report_two_leaves", 4, bytes(32))
        assert (arguments["a"]["size"], arguments["b"]["size"]) == (6, 12)
        verify_inclusion(old.node(0, 4), 4, 6, arguments["path_a"], arguments["a"]["root"])
        verify_inclusion(bytes(32), 4, 12, arguments["path_b"], arguments["b"]["root"])


@pytest.mark.parametrize("log", ["/log/tile/0", "/log/tile/entries", f"/v1/logs/{ORIGIN}/tile"])
def test_a_tile_that_is_withheld_is_a_gap_until_it_comes(tmp_path: Path, log: str) -> None:
    deployment = Deployment(absent=(log,))
    deployment.grow()
    with watching(deployment, tmp_path) as look:
        assert {kind for kind, _ in kinds(look())} == {"gap"}
        deployment.absent = ()
        assert look() == []


def test_a_shorter_log_an_unknown_anchor_and_an_older_cloud_are_rollbacks(tmp_path: Path) -> None:
    deployment = Deployment()
    for _ in range(5):
        deployment.grow()
    with watching(deployment, tmp_path) as look:
        assert look() == []
        kept = deployment.notes.pop(5)
        assert ("rollback", "super-log") in kinds(look())
        deployment.notes[5] = kept
        assert look() == []
        deployment.anchors.append((7, bytes(32)))
        assert ("rollback", "anchors") in kinds(look()), "the chain knows more than the cloud serves"
        deployment.grow()
        deployment.grow()
        assert kinds(look()) == [("anchor", "anchors")], "and then: another root than the cloud serves"


def test_what_no_registered_key_signed_is_said(tmp_path: Path) -> None:
    deployment = Deployment()
    deployment.grow()
    stranger = p256.generate_key()
    checkpoint = Checkpoint(origin=ORIGIN, size=5, root=bytes(32))
    signature = p256.sign(stranger, checkpoint.body().encode())
    deployment.leaves.append(superlog_leaf_of(checkpoint_note(checkpoint, p256.public_bytes(stranger), signature)))
    deployment.sign()
    with watching(deployment, tmp_path, gateways=()) as look:
        assert ("signature", ORIGIN) in kinds(look())
    assert parse_superlog_leaf(deployment.leaves[1])[0].size == 5


def test_silence_is_said_when_it_lasts_too_long_and_is_over_when_it_ends(tmp_path: Path) -> None:
    deployment = Deployment()
    deployment.grow()
    with watching(deployment, tmp_path) as look:
        assert look() == []
        deployment.now_s += 3 * HOUR_S + 1
        assert kinds(look()) == [("unanchored", "super-log")]
        deployment.now_s += 3 * HOUR_S
        assert sorted(kinds(look())) == [("stale", ORIGIN), ("stale", "super-log"), ("unanchored", "super-log")]
        deployment.grow()
        deployment.anchor()
        assert look() == []


def test_missing_cosignatures_are_said_after_a_while_and_at_once_behind_an_anchor(tmp_path: Path) -> None:
    deployment = Deployment(cosigning=1)
    deployment.grow()
    with watching(deployment, tmp_path) as look:
        assert look() == [], "they may still be on their way"
        deployment.now_s += 601
        assert kinds(look()) == [("cosignatures", "super-log")]
        deployment.anchor()
        assert ("cosignatures", "anchors") in kinds(look())


def test_a_witness_that_was_shown_another_history_gives_it_away(tmp_path: Path) -> None:
    deployment = Deployment()
    for _ in range(4):
        deployment.grow()
    split = Checkpoint(origin=ROOTS.super_log_origin, size=3, root=bytes(32))
    deployment.witness_note = add_cosignature(sign_superlog(split, SUPER_KEY), WITNESSES[0], WITNESS_KEYS[0], 1)
    with watching(deployment, tmp_path) as look:
        (finding,) = look()
        assert (finding.kind, finding.log) == (Kind.FORK, "super-log")


def test_who_does_not_answer_is_said_and_nothing_else_is_claimed(tmp_path: Path) -> None:
    deployment = Deployment()
    deployment.grow()

    def dead(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("connection refused", request=request)

    with watching(deployment, tmp_path) as look:
        assert look() == []
        deployment.answer = dead  # type: ignore[method-assign]
    with watching(deployment, tmp_path) as look:
        assert {kind for kind, _ in kinds(look())} == {"unreachable"}


def test_findings_are_lines_that_begin_and_end() -> None:
    lines: list[str] = []
    reporter = Reporter(write=lines.append)
    finding = Finding(kind=Kind.GAP, log="super-log", says="x", remedy="y")
    for found in ([finding], [finding], []):
        reporter.report(found, now_s=0, summary={"super_log": 1})
    events = [json.loads(line)["event"] for line in lines]
    assert events == ["found", "checked", "checked", "over", "checked"]
    assert json.loads(lines[0])["kind"] == "gap" and json.loads(lines[1])["at"] == "1970-01-01T00:00:00Z"


def test_the_webhook_is_told_when_it_begins_and_when_it_is_over() -> None:
    told: list[dict[str, Any]] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200 if len(told) != 1 else 500)  # the first time it fails: told again
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Hook) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            reporter = Reporter(f"http://127.0.0.1:{server.server_port}/", write=lambda _line: None)
            for found in ([Finding(kind=Kind.GAP, log="super-log", says="x", remedy="y")], []):
                reporter.report(found, now_s=0, summary={})
        finally:
            server.shutdown()
            serving.join()
    assert [one["event"] for one in told] == ["found", "found", "over"]


def test_the_exit_code_tells_a_script(tmp_path: Path) -> None:
    """Nobody answers at this port: 3. A misspelt key: 2."""
    (tmp_path / "trust.json").write_bytes(format_trust(ROOTS))
    config = tmp_path / "monitor.toml"
    settings = f'[monitor]\ntrust_file = "trust.json"\ncloud_url = "http://127.0.0.1:{free_port()}"\n'

    def run() -> subprocess.CompletedProcess[str]:
        command = [program("minglou"), "monitor", "run", "--once", "--config", config]
        return subprocess.run(command, capture_output=True, text=True, timeout=100)

    config.write_text(settings)
    silent = run()
    assert silent.returncode == 3, silent.stderr
    *found, checked = (json.loads(line) for line in silent.stdout.splitlines())
    assert {(one["event"], one["kind"]) for one in found} == {("found", "unreachable")}
    assert checked["event"] == "checked"
    config.write_text(settings + "x = 1\n")
    assert run().returncode == 2


def test_wrong_settings_name_the_remedy(tmp_path: Path) -> None:
    for text, says in (
        ("", "lacks monitor"),
        ('[monitor]\ncloud_url = "http://x"\n', "lacks trust_file"),
        ('[monitor]\ntrust_file = "t"\ncloud_url = "x"\n', "must begin with"),
        ('[monitor]\ntrust_file = "t"\ncloud_url = "http://x"\nstale_hour = 1\n', "unknown keys stale_hour"),
    ):
        (tmp_path / "monitor.toml").write_text(text)
        with pytest.raises(SettingsError, match=says):
            load_monitor_settings(tmp_path / "monitor.toml")
