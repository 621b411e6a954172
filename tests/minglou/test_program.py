"""The `minglou` program: quick to help, clear about what is missing, and a verifier with honest exit codes."""

import http.server
import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import minglou
from contracts.evidence import format_evidence
from contracts.trust import format_trust
from tests.vectors.deployment import TRUST, Chain, Deployment

DEPLOYMENT = Deployment()
FILE = format_evidence(DEPLOYMENT.evidence(9))


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "trust.json").write_bytes(format_trust(TRUST))
    (tmp_path / "good.json").write_bytes(FILE)
    (tmp_path / "bad.json").write_bytes(FILE.replace(b'"value":"1322456"', b'"value":"1327456"'))
    return tmp_path


@pytest.fixture
def node_url() -> Iterator[str]:
    """A chain node over real HTTP that answers from the deployment's facts."""

    class Node(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            result = DEPLOYMENT.chain.rpc(question["method"], question["params"])
            answer = json.dumps({"jsonrpc": "2.0", "id": question["id"], "result": result}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            """Keep the test's output quiet."""

    with http.server.HTTPServer(("127.0.0.1", 0), Node) as server:
        thread = threading.Thread(target=server.serve_forever, name="node")
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join(timeout=5)


def test_help_imports_no_room() -> None:
    code = "import sys, minglou; minglou.main(['--help']); print([m for m in sys.modules if '.' not in m])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for room in ("contracts", "edge", "cloud", "devices", "provisioning", "cryptography"):
        assert f"'{room}'" not in run.stdout


def test_an_unknown_or_missing_command_is_refused_with_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert minglou.main([]) == 2
    assert minglou.main(["verifi"]) == 2
    assert "it is one of verify, edge" in capsys.readouterr().err
    assert minglou.main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("minglou ")


def test_a_room_that_is_not_installed_names_its_extra(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(name: str) -> None:
        raise ModuleNotFoundError("No module named 'web3'", name="web3")

    monkeypatch.setattr(minglou, "import_module", absent)
    assert minglou.main(["chain", "deploy"]) == 2
    assert capsys.readouterr().err == "minglou chain: web3 is not installed here; pip install 'minglou[cloud]'\n"


def test_a_good_file_is_ticked_off_and_ends_with_its_state(
    files: Path, node_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _verify(files, "good.json", "--rpc", node_url) == 0
    told = capsys.readouterr().out
    assert told.count("✓") == 13
    assert told.splitlines()[-1] == "  final (key class file, witnessed 3 of 3)"


def test_a_changed_file_names_the_broken_step_and_exits_1(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _verify(files, "bad.json") == 1
    told = capsys.readouterr().out
    assert "✗ inclusion" in told
    assert "→ This is not what the gateway signed" in told
    assert "BROKEN at inclusion" in told


def test_without_trust_the_exit_code_says_that_the_origin_is_unknown(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert minglou.main(["verify", str(files / "good.json")]) == 3
    assert "logged: internally consistent, origin unknown" in capsys.readouterr().out


def test_json_holds_every_check_and_the_worst_file_decides(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _verify(files, "good.json", "--json", also=["bad.json"]) == 1
    good, bad = map(json.loads, capsys.readouterr().out.splitlines())
    assert (good["state"], bad["state"]) == ("logged", None)
    assert [check["name"] for check in good["checks"]][:3] == ["format", "entry", "detail"]
    assert {"name", "outcome", "says", "remedy"} == set(bad["checks"][0])


def test_what_cannot_be_read_exits_2_and_says_why(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _verify(files, "absent.json") == 2
    assert minglou.main(["verify", str(files / "good.json"), "--trust", str(files / "good.json")]) == 2
    assert minglou.main(["verify", str(files / "good.json"), "--rpc", "http://localhost:1"]) == 2
    assert _verify(files, "good.json", "--rpc", "file:///etc/passwd") == 2
    told = capsys.readouterr().err
    assert "absent.json" in told
    assert "trust file" in told
    assert "--rpc needs --trust" in told
    assert "no address of a node" in told


def test_a_node_that_is_not_there_leaves_its_checks_open(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _verify(files, "good.json", "--rpc", "http://127.0.0.1:9") == 0
    assert "does not answer eth_chainId" in capsys.readouterr().out


def test_a_node_that_refuses_or_answers_no_json_rpc_leaves_its_checks_open(
    files: Path, node_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DEPLOYMENT, "chain", Chain(chain_id=1))
    assert _verify(files, "good.json", "--rpc", node_url) == 0
    assert "this node serves chain 1, not 31337" in capsys.readouterr().out


def test_a_bill_is_ticked_off_too(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    vectors = json.loads((Path(__file__).parents[1] / "contracts" / "js" / "bill.json").read_text(encoding="utf-8"))
    (files / "bill.json").write_text(json.dumps(vectors["bill"]))
    assert _verify(files, "bill.json") == 3
    assert "drafted: internally consistent, origin unknown" in capsys.readouterr().out
    vectors["bill"]["lines"][0]["usage"] = "1"
    (files / "padded.json").write_text(json.dumps(vectors["bill"]))
    assert _verify(files, "padded.json") == 1
    assert "BROKEN at tree" in capsys.readouterr().out


def _verify(files: Path, name: str, *more: str, also: Sequence[str] = ()) -> int:
    paths = [str(files / one) for one in (name, *also)]
    return minglou.main(["verify", *paths, "--trust", str(files / "trust.json"), *more])
