"""The proof of a look at a household's data: from the entry to the anchor, and broken wherever it is altered."""

import json
from collections.abc import Callable, Coroutine
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from cloud.chain.deployment import Deployment
from cloud.chain.records import AnchorRecord
from cloud.chain.view import ChainView
from cloud.evidence import EvidenceRoom
from cloud.identity.audit import LOCK, Act, AuditLog, write_entry
from cloud.identity.roles import Role
from contracts import ed25519
from contracts.checkpoint import audit_origin
from contracts.detail import canonical_json
from contracts.evidence import Anchor
from contracts.look import LOOK_FORMAT, parse_look
from contracts.look_verifier import verify_look
from contracts.report import Outcome, Report, State
from contracts.superlog import WitnessPolicy, parse_superlog, sign_superlog
from contracts.trust import Trust, format_trust
from minglou import verify
from tests.cloud.conftest import Bench, open_bench
from tests.cloud.house import UNITS, alias_of, house
from tests.vectors.deployment import TRUST, Chain

Run = Callable[[Coroutine[Any, Any, Any]], Any]
OURS, THEIRS = alias_of(UNITS[0]), alias_of(UNITS[1])
BLOCK, HASH, TRANSACTION = 123, bytes([1]) * 32, bytes([2]) * 32
ENTRY = '{"account":"","act":"looked","at_ms":0,"index":0,"role":"manager","salt":"00","unit":"","what":"bill"}'
FINAL = {
    "format",
    "entry",
    "checkpoint",
    "inclusion",
    "super_signature",
    "super_inclusion",
    "anchor",
    "finality",
    "origin",
}


def room_of(bench: Bench, anchors: list[AnchorRecord]) -> EvidenceRoom:
    view = ChainView(TRUST.chain_id)
    view.anchors = anchors
    named = {one.name: "0x" + "00" * 20 for one in fields(Deployment)}
    named |= {
        "chain_id": TRUST.chain_id,
        "from_block": 0,
        "site": bytes(32),
        "anchor_log": "0x" + TRUST.anchor_log.hex(),
    }
    return EvidenceRoom(
        store=bench.store, view=view, deployment=Deployment(**named), super_origin=bench.super_log.origin
    )


async def looked(bench: Bench, *, key: ed25519.PrivateKey) -> AuditLog:
    """Entries of two flats and of nobody, and their head in the super-log."""
    audit = AuditLog(bench.store, audit_origin(bench.super_log.origin), key)
    async with bench.store.write(LOCK) as connection:
        for at in range(20):
            unit = (OURS, THEIRS, None)[at % 3]
            await write_entry(connection, Act.LOOKED, at_ms=1_000 * at, role="manager", unit=unit, what=f"bill {at}")
    await audit.sign_head(now_ms=1)
    return audit


async def anchored(bench: Bench) -> tuple[EvidenceRoom, Trust, Chain]:
    """The super-log's present head on the chain."""
    head = await bench.super_log.sign_head(bench.store, now_ms=1)
    assert head is not None
    record = AnchorRecord(
        size=head.size, root=head.root, block_number=BLOCK, block_hash="0x" + HASH.hex(), block_time_s=1,
        transaction_hash="0x" + TRANSACTION.hex(),
    )  # fmt: skip
    anchor = Anchor(
        chain_id=TRUST.chain_id, contract=TRUST.anchor_log, size=head.size, root=head.root, path=(), block=BLOCK,
        block_hash=HASH, transaction=TRANSACTION,
    )  # fmt: skip
    trust = replace(TRUST, super_log_public=bench.super_log.public, witness_policy=WitnessPolicy())
    return room_of(bench, [record]), trust, Chain(anchors=[anchor])


def passed(report: Report) -> set[str]:
    return {check.name.value for check in report.checks if check.outcome is Outcome.PASSED}


def altered(file: bytes, change: Callable[[dict[str, Any]], None]) -> bytes:
    document = json.loads(file)
    change(document)
    return canonical_json(document, nulls=True)


def test_a_looks_proof_reaches_the_anchor_and_every_altered_part_breaks_it(store_url: str, run: Run) -> None:
    async def scene() -> None:
        async with open_bench(store_url) as bench:
            await looked(bench, key=ed25519.key_from_seed(bytes(32)))
            room, trust, chain = await anchored(bench)
            file = await room.look(OURS, 9)
            assert file is not None
            report = verify_look(file, trust, chain.rpc)
            assert (report.state, passed(report)) == (State.FINAL, FINAL)
            assert "looked manager bill 9" in report.checks[1].says
            forged = sign_superlog(
                replace(parse_superlog(parse_look(file).log.checkpoint), size=19),  # type: ignore[union-attr]
                ed25519.key_from_seed(bytes(31) + b"\x09"),
            )

            def flip(document: dict[str, Any], part: str) -> None:
                path = document[part]["path"]
                path[0] = path[0][:-1] + ("0" if path[0][-1] != "0" else "1")

            for change, broken in (
                (lambda d: d.update(entry=d["entry"].replace("bill 9", "bill 8")), "inclusion"),
                (lambda d: d.update(entry=d["entry"].replace('"index":9', '"index":6')), "entry"),
                (lambda d: flip(d, "log"), "inclusion"),
                (lambda d: d["log"].update(checkpoint=forged), "checkpoint"),
                (lambda d: d["super"].update(index="7"), "super_inclusion"),
                (lambda d: d["anchor"].update(root="00" * 32), "anchor"),
                (lambda d: d["anchor"].update(block="124"), "anchor"),
            ):
                worse = verify_look(altered(file, change), trust, chain.rpc)
                assert worse.state is None and broken in [name.value for name in worse.broken_at], broken
            assert verify_look(file[:-1]).broken_at == ("format",)

    run(scene())


def test_a_head_that_the_super_log_does_not_hold_proves_nothing(store_url: str, run: Run) -> None:
    """The operator signs a rewritten log anew: the same size, under the right key, for one owner only."""

    async def scene() -> None:
        async with open_bench(store_url) as bench:
            key = ed25519.key_from_seed(bytes(32))
            await looked(bench, key=key)
            room, trust, chain = await anchored(bench)
            file = await room.look(OURS, 0)
            assert file is not None
            head = parse_superlog(parse_look(file).log.checkpoint)  # type: ignore[union-attr]
            anew = sign_superlog(replace(head, root=bytes(32)), key)
            report = verify_look(altered(file, lambda d: d["log"].update(checkpoint=anew)), trust, chain.rpc)
            assert report.state is None and not passed(report) & {"inclusion", "super_inclusion", "origin"}

    run(scene())


def test_a_proof_grows_with_its_head_and_is_nobody_elses(store_url: str, run: Run) -> None:
    async def scene() -> None:
        async with open_bench(store_url) as bench:
            room = room_of(bench, [])
            await looked(bench, key=ed25519.key_from_seed(bytes(32)))
            file = await room.look(OURS, 3)
            assert file is not None and verify_look(file).state is State.RECORDED
            assert await bench.super_log.sequence(bench.store) is False
            file = await room.look(OURS, 3)
            assert file is not None and verify_look(file).state is State.LOGGED
            assert "origin unknown" in verify_look(file).marks
            for index in (1, 2, 20):
                assert await room.look(OURS, index) is None
            assert await room.look(OURS, 3, from_ms=3_001) is None, "before this household's time"

    run(scene())


def test_the_program_checks_it_like_any_evidence(tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    async def scene() -> tuple[bytes, Trust]:
        async with open_bench(tmp_path / "cloud.sqlite3") as bench:
            await looked(bench, key=ed25519.key_from_seed(bytes(32)))
            room, trust, _chain = await anchored(bench)
            file = await room.look(OURS, 0)
            assert file is not None
            return file, trust

    file, trust = run(scene())
    (tmp_path / "trust.json").write_bytes(format_trust(trust))

    def told(content: bytes) -> int:
        (tmp_path / "look.json").write_bytes(content)
        return verify._verify_file(tmp_path / "look.json", trust, None, as_json=False)

    assert told(file) == verify.SOUND
    assert told(altered(file, lambda d: d.update(entry=d["entry"].replace("bill 0", "bill 1")))) == verify.BROKEN
    assert "BROKEN at inclusion" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("[]", "not an object"),
        ('"x"', "not an object"),
        ("1", "not an object"),
        ("{}", "missing"),
        (ENTRY.replace('"index":0', '"index":true'), "not a whole number"),
        (ENTRY.replace('"what":"bill"', '"what":7'), "not a text"),
        (ENTRY.replace('"role"', '"rolf"'), "missing role; unknown rolf"),
        (ENTRY.replace("bill", "\\u001b]0;owned\\u0007\u009b2J"), "looked manager \ufffd]0;owned\ufffd\ufffd2J"),
    ],
)
def test_a_hostile_entry_is_refused_or_told_without_commanding_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], entry: str, says: str
) -> None:
    file = tmp_path / "look.json"
    document = {"anchor": None, "entry": entry, "format": LOOK_FORMAT, "log": None, "super": None}
    file.write_bytes(canonical_json(document, nulls=True))
    verdict = verify._verify_file(file, None, None, as_json=False)
    told = capsys.readouterr().out
    assert says in told and all(one.isprintable() or one == "\n" for one in told), told
    assert (verdict == verify.BROKEN) == ("looked" not in says)


def test_an_owner_downloads_the_proof_from_the_page_of_looks(run: Run, tmp_path: Path) -> None:
    async def scene() -> None:
        async with house(tmp_path) as site:
            owner, other = await site.member(Role.OWNER, UNITS[0]), await site.member(Role.OWNER, UNITS[1])
            audit = site.cloud.identity.audit
            await audit.write(Act.LOOKED, at_ms=site.clock.at_ms, role="manager", unit=OURS, what="bill 202612")
            index = (await audit.newest(1))[0].index
            page = await owner.get("/account")
            assert f"/account/looks/{index}/evidence.json" in page.text
            answer = await owner.get(f"/account/looks/{index}/evidence.json")
            assert answer.status_code == 200 and "no-store" in answer.headers["cache-control"]
            assert "bill 202612" in parse_look(answer.content).entry
            assert (await other.get(f"/account/looks/{index}/evidence.json")).status_code == 404

    run(scene())
