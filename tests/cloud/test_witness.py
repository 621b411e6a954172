"""A witness: the answers of C2SP tlog-witness, and a memory that no race, no kill and no lost file deceives."""

import random
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest

from cloud.errors import SettingsError
from cloud.witness import WitnessSettings, load_witness_settings, open_witness
from cloud.witness.app import build_witness_app
from cloud.witness.judgement import Refused
from cloud.witness.state import WitnessState
from cloud.witness.witness import Witness
from contracts import ed25519
from contracts.checkpoint import Checkpoint
from contracts.note import COSIGNATURE_V1, ED25519, VerifierKey, encode_base64, format_vkey, parse_note, parse_vkey
from contracts.superlog import Witness as KnownWitness
from contracts.superlog import WitnessPolicy, sign_superlog, verify_cosignatures
from contracts.tree import EMPTY_ROOT, MemoryTree, consistency_path, leaf_hash
from contracts.witness import (
    REQUEST_BYTES_MAX,
    AddCheckpoint,
    decode_add_checkpoint,
    encode_add_checkpoint,
    parse_tree_head,
)
from tests.plain_http import NO_TLS
from tests.processes import Program, free_port, program, running, wait_until

ORIGIN = "demo.minglou.example/log"
LOG_KEY = ed25519.key_from_seed(bytes(31) + b"\x07")
LOG = VerifierKey(name=ORIGIN, signature_type=ED25519, public=ed25519.public_bytes(LOG_KEY))

# C2SP tlog-witness: the example request.
EXAMPLE = """old 20852014
PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=
5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=
/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=

example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
— example.com/behind-the-sofa opLqBQsREYCgu6xQkYQwJr9fo45a62DN9EdmHXnZdXNqlcVGlCum2Wks+49/V6267UEjw6QUXTS5Rovnzv++qbSzm9Q=
"""  # noqa: E501


def history(leaves: int, branch: int = 0, at: int | None = None) -> MemoryTree:
    """A log of so many leaves, which from leaf `at` on is another one than branch 0."""
    fork = leaves if at is None else at
    return MemoryTree(leaf_hash(f"{index} {branch if index >= fork else 0}".encode()) for index in range(leaves))


def request(tree: MemoryTree, size: int, old: int, *, key: ed25519.PrivateKey = LOG_KEY, **change: Any) -> bytes:
    note = sign_superlog(Checkpoint(origin=ORIGIN, size=size, root=tree.root(size)), key)
    proof = tuple(consistency_path(tree.node, old, size)) if 0 < old <= size else ()
    return encode_add_checkpoint(AddCheckpoint(**{"old_size": old, "proof": proof, "note": note, **change}))


def settings_in(folder: Path, **change: Any) -> WitnessSettings:
    fields = {
        "name": "committee.example/w",
        "host": "127.0.0.1",
        "port": 0,
        "key_file": folder / "witness.pem",
        "state_file": folder / "witness.sqlite3",
        "logs": (LOG,),
        "requests_per_second": 1e6,
    }
    return WitnessSettings(**{**fields, **change})


def policy_of(witness: Witness) -> WitnessPolicy:
    key = parse_vkey(witness.vkey, signature_type=COSIGNATURE_V1)
    return WitnessPolicy(quorum=1, witnesses=(KnownWitness(name=key.name, public=key.public),))


@pytest.fixture
def witness(tmp_path: Path) -> Witness:
    return open_witness(settings_in(tmp_path))


def now() -> float:
    return 1_800_000_000.9


def test_the_specifications_request_is_read_and_written_back() -> None:
    asked = decode_add_checkpoint(EXAMPLE.encode())
    assert (asked.old_size, len(asked.proof)) == (20852014, 4)
    assert asked.proof[0].hex().startswith("3e544d0abc07a6a8")
    assert encode_add_checkpoint(asked).decode() == EXAMPLE


@pytest.mark.parametrize(
    "body",
    [
        b"", b"old 1\n", b"old 01\n\nx", b"old -1\n\nx", b"new 1\n\nx", "old ٣\n\nx".encode(), b"old 1\nAAAA\n\nx",
        EXAMPLE.replace("old 20852014", "old 20852014 ").encode(), EXAMPLE.replace("PlRN", "PlRN=").encode(),
        EXAMPLE.replace("\n\nexample", "\n" * 3 + "example").encode(), EXAMPLE.encode()[:-1],
        b"\xff" + EXAMPLE.encode(), EXAMPLE.replace("20852163", "020852163").encode(),
        EXAMPLE.replace("PlRN", "PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n" * 60 + "PlRN").encode(),
        EXAMPLE.encode() + bytes(REQUEST_BYTES_MAX),
    ],
)  # fmt: skip
def test_what_is_no_request_is_refused(body: bytes, witness: Witness) -> None:
    with pytest.raises(Refused) as refused:
        witness.add_checkpoint(body, now)
    assert refused.value.status == 400


def test_any_logs_checkpoint_is_understood(tmp_path: Path) -> None:
    """A C2SP log of another kind: another form of origin, extension lines, an empty tree."""
    name = "Go.Example/sumdb"
    log = VerifierKey(name=name, signature_type=ED25519, public=LOG.public)
    witness = open_witness(settings_in(tmp_path, logs=(log,)))
    for size, root, old in ((0, EMPTY_ROOT, 0), (3, history(3).root(), 0)):
        text = f"{name}\n{size}\n{encode_base64(root)}\nan extension\n"
        line = f"— {name} {encode_base64(log.id + ed25519.sign(LOG_KEY, text.encode()))}\n"
        answer = witness.add_checkpoint(f"old {old}\n\n{text}\n{line}".encode(), now)
        assert answer.startswith("— committee.example/w ")
    assert parse_tree_head(parse_note(f"{text}\n{line}")).size == 3


def test_the_answers_are_the_specifications(tmp_path: Path, run: Callable[[Any], Any]) -> None:
    tree, other = history(40), history(40, 1, at=5)
    stranger = ed25519.key_from_seed(bytes(32))

    async def scenario() -> None:
        witness = open_witness(settings_in(tmp_path))
        app = build_witness_app(witness, requests_per_second=1e6, clock=now)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://w.example") as http:

            async def post(body: bytes) -> httpx.Response:
                return await http.post("/add-checkpoint", content=body)

            assert (await post(request(tree, 8, 0))).status_code == 200
            good = await post(request(tree, 20, 8))
            assert good.status_code == 200
            note = sign_superlog(Checkpoint(origin=ORIGIN, size=20, root=tree.root(20)), LOG_KEY) + good.text
            (cosignature,) = verify_cosignatures(note, policy_of(witness))
            assert cosignature.signed_at_s == 1_800_000_000
            assert (await post(request(tree, 20, 20))).status_code == 200, "the same again, for a newer time"

            conflict = await post(request(tree, 30, 8))
            assert (conflict.status_code, conflict.text) == (409, "20\n")
            assert conflict.headers["content-type"].startswith("text/x.tlog.size")
            assert (await post(request(tree, 12, 0))).text == "20\n"
            for status, body in (
                (422, request(other, 30, 20)),  # another history with its own proof
                (422, request(other, 20, 20)),  # another root for the same size
                (422, request(tree, 30, 20, proof=())),
                (422, request(tree, 30, 20, proof=(bytes(32),) * 63)),
                (400, request(tree, 12, 20)),
                (403, request(tree, 30, 20, key=stranger)),
                (403, request(tree, 30, 20).replace(b"\n30\n", b"\n31\n")),  # signed, but not this
                (400, b"old 1\n"),
                (413, bytes(REQUEST_BYTES_MAX + 1)),
            ):
                assert (await post(body)).status_code == status, body[:40]
            unknown = sign_superlog(Checkpoint(origin="other.example/log", size=1, root=bytes(32)), LOG_KEY)
            assert (await post(b"old 0\n\n" + unknown.encode())).status_code == 404
            assert (await http.get("/add-checkpoint")).status_code == 405
            assert (await http.get(f"/{'0' * 64}/checkpoint")).status_code == 404
            served = await http.get(f"/{sha256(ORIGIN.encode()).hexdigest()}/checkpoint")
            assert served.text.split("\n")[1] == "20" and len(verify_cosignatures(served.text, policy_of(witness))) == 1
            assert witness.vkey in (await http.get("/")).text

    run(scenario())


def test_a_size_that_was_never_cosigned_needs_no_proof_and_gets_none(witness: Witness) -> None:
    tree = history(9)
    with pytest.raises(Refused) as refused:
        witness.add_checkpoint(request(tree, 9, 0, proof=(bytes(32),)), now)
    assert refused.value.status == 422
    witness.add_checkpoint(request(tree, 9, 0), now)


def test_no_order_of_requests_makes_it_cosign_two_histories(tmp_path: Path) -> None:
    """Honest and forked requests in random order, against the rule in one line: a cosigned head extends the last."""
    trees = [history(30), history(30, 1, at=4), history(30, 2, at=17)]
    cosigned = 0
    for seed in range(12):
        rng = random.Random(seed)
        witness = open_witness(settings_in(tmp_path / str(seed)))
        size, last = 0, trees[0]
        for _ in range(40):
            tree = rng.choice(trees)
            old, new = rng.choice([size, rng.randint(0, 30)]), rng.randint(1, 30)
            extends = size == 0 or tree.root(size) == last.root(size)
            is_right = old == size and new >= size and extends
            try:
                witness.add_checkpoint(request(tree, new, old), now)
            except Refused as refused:
                assert not is_right, (seed, old, new, refused.status)
                continue
            assert is_right, (seed, old, new)
            size, last, cosigned = new, tree, cosigned + 1
    assert cosigned > 30


def test_requests_at_once_leave_one_history(tmp_path: Path) -> None:
    """Eight threads and two processes' worth of objects on one file push different branches from size 4 on."""
    witnesses = [open_witness(settings_in(tmp_path)), open_witness(settings_in(tmp_path))]
    witnesses[0].add_checkpoint(request(history(4), 4, 0), now)
    start = threading.Barrier(8)

    def push(branch: int) -> list[tuple[int, bytes]]:
        tree, done = history(24, branch, at=4), []
        start.wait(timeout=30)
        for size in range(5, 25):
            try:
                witnesses[branch % 2].add_checkpoint(request(tree, size, size - 1), now)
            except Refused as refused:
                assert refused.status in (409, 422)
            else:
                done.append((size, tree.root(size)))
        return done

    with ThreadPoolExecutor(8) as pool:
        found = [head for heads in pool.map(push, range(1, 9)) for head in heads]
    assert len({size for size, _ in found}) == len(found), "no size was cosigned twice"
    branches = {next(b for b in range(1, 9) if history(24, b, at=4).root(size) == root) for size, root in found}
    assert len(branches) == 1, "the first one past size 4 decided which history it is"


def test_a_key_without_its_memory_does_not_start_again(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    first = open_witness(settings)
    assert settings.key_file.stat().st_mode & 0o777 == 0o600
    assert open_witness(settings).vkey == first.vkey
    first.add_checkpoint(request(history(4), 4, 0), now)

    kept = {path: path.read_bytes() for path in (settings.key_file, settings.state_file)}
    for path in tmp_path.glob("witness.sqlite3*"):
        path.unlink()
    with pytest.raises(SettingsError, match="forgotten what it signed"):
        open_witness(settings)
    settings.state_file.write_bytes(kept[settings.state_file])
    assert open_witness(settings).vkey == first.vkey
    settings.key_file.unlink()
    with pytest.raises(SettingsError, match="is gone but its state"):
        open_witness(settings)
    settings.key_file.write_bytes(ed25519.dump_pem(ed25519.generate_key()))
    settings.key_file.chmod(0o600)
    with pytest.raises(SettingsError, match="belongs to"):
        open_witness(settings)
    settings.key_file.write_bytes(kept[settings.key_file])
    settings.key_file.chmod(0o644)
    with pytest.raises(SettingsError, match="chmod 600"):
        open_witness(settings)


def test_a_fast_asker_waits_and_another_does_not(tmp_path: Path, run: Callable[[Any], Any]) -> None:
    async def scenario() -> None:
        clock = [0.0]
        witness = open_witness(settings_in(tmp_path))
        app = build_witness_app(witness, requests_per_second=2, clock=now, monotonic=lambda: clock[0])

        async def ask(address: str, count: int) -> list[int]:
            transport = httpx.ASGITransport(app, client=(address, 1))
            async with httpx.AsyncClient(transport=transport, base_url="http://w.example") as http:
                return [(await http.post("/add-checkpoint", content=b"")).status_code for _ in range(count)]

        assert await ask("10.0.0.1", 12) == [400] * 10 + [429] * 2
        assert await ask("10.0.0.2", 1) == [400]
        clock[0] = 1.0
        assert await ask("10.0.0.1", 3) == [400, 400, 429]

    run(scenario())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "lacks witness"),
        ('[witness]\nname = "a b"\n', "without spaces"),
        ('[witness]\nname = "a"\nlisten = "nowhere"\n', "listen"),
        ('[witness]\nname = "a"\n', "no \\[\\[log\\]\\]"),
        ('[witness]\nname = "a"\n[[log]]\nvkey = "x+00000000+AA=="\n', "not a key of 32 bytes"),
        ('[witness]\nname = "a"\nnmae = "b"\n[[log]]\nvkey = "VKEY"\n', "unknown keys nmae"),
        ('[witness]\nname = "a"\n[[log]]\nvkey = "VKEY"\nurl = ""\n', "unknown keys url"),
    ],
)
def test_wrong_settings_name_the_key_and_the_remedy(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "witness.toml").write_text(text.replace("VKEY", format_vkey(LOG)))
    with pytest.raises(SettingsError, match=says):
        load_witness_settings(tmp_path / "witness.toml")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Program, str]]:
    """`minglou witness run` as anybody starts it."""
    port = free_port()
    (tmp_path / "witness.toml").write_text(
        f'[witness]\nname = "committee.example/w"\nlisten = "127.0.0.1:{port}"\nrequests_per_second = 100000\n'
        f'[[log]]\nvkey = "{format_vkey(LOG)}"\n'
    )
    url = f"http://127.0.0.1:{port}"
    command = [program("minglou"), "witness", "run", "--config", tmp_path / "witness.toml"]
    with running(command, name="witness", output_dir=tmp_path, ready=lambda: is_up(url), seconds=60) as started:
        yield started, url


def is_up(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5, trust_env=False, verify=NO_TLS).status_code == 200
    except httpx.HTTPError:
        return False


@pytest.mark.timeout(180)
def test_what_it_answered_it_remembers_after_kill_9(served: tuple[Program, str]) -> None:
    """Killed in the middle of a stream of requests, twice: no answered size is ever forgotten."""
    started, url = served
    tree, answered = history(4_000), [0]

    def pump() -> None:
        with httpx.Client(trust_env=False, timeout=10) as http:
            size = answered[-1]
            while size < 3_999:
                try:
                    answer = http.post(f"{url}/add-checkpoint", content=request(tree, size + 1, size))
                except httpx.HTTPError:
                    return
                if answer.status_code == 409:  # its last answer before the kill was lost on the way
                    size = int(answer.text)
                    continue
                assert answer.status_code == 200, answer.text
                size += 1
                answered.append(size)

    for _ in range(2):
        before = len(answered)
        pumping = threading.Thread(target=pump)
        pumping.start()
        wait_until(lambda before=before: len(answered) > before + 5, seconds=60, what="some cosignatures")
        started.kill()
        pumping.join(timeout=60)
        assert not pumping.is_alive()
        started.restart()
        wait_until(lambda: is_up(url), seconds=60, what="the witness again")
        conflict = httpx.post(f"{url}/add-checkpoint", content=request(tree, 4_000, 0), trust_env=False, timeout=10)
        assert conflict.status_code == 409 and int(conflict.text) in (answered[-1], answered[-1] + 1)
    assert started.stop() == 0, started.said()
    assert started.said().count(started.said().split("\n")[0]) == 3, "its vkey at every start, the same"


def test_a_witness_that_cannot_write_signs_nothing_and_says_what_to_do(
    tmp_path: Path, run: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a full disk: SQLite takes no row."""
    real = WitnessState._connection

    @contextmanager
    def full(state: WitnessState) -> Iterator[sqlite3.Connection]:
        with real(state) as connection:
            connection.set_authorizer(
                lambda action, *_names: sqlite3.SQLITE_DENY if action == sqlite3.SQLITE_INSERT else sqlite3.SQLITE_OK
            )
            yield connection

    async def scenario() -> None:
        app = build_witness_app(open_witness(settings_in(tmp_path)), requests_per_second=1e6)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://w.example") as client:
            tree = history(20)
            with monkeypatch.context() as patched:
                patched.setattr(WitnessState, "_connection", full)
                refused = await client.post("/add-checkpoint", content=request(tree, 5, 0))
                assert refused.status_code == 503
                assert "nothing was signed: its keeper must make room on its disk" in refused.text
            assert (await client.post("/add-checkpoint", content=request(tree, 5, 0))).status_code == 200
            with monkeypatch.context() as patched:
                patched.setattr(WitnessState, "_connection", full)
                other = await client.post("/add-checkpoint", content=request(history(20, branch=1, at=3), 9, 5))
                assert other.status_code == 422, "what is wrong is refused all the same"
            assert (await client.post("/add-checkpoint", content=request(tree, 9, 5))).status_code == 200

    run(scenario())
