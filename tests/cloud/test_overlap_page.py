"""The button that brings two overlapping visits to their contract: who finds it, and what stands there afterwards."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from sqlalchemy import select

from cloud.app import build_app
from cloud.directory import DirectoryFile
from cloud.identity.audit import Act
from cloud.identity.people import Grant
from cloud.identity.roles import Role
from cloud.integrity.facts import Flag, FlagKind
from cloud.integrity.flags import FlagState, explain_or_decide, raise_flags
from cloud.mail import Bell
from cloud.maintenance.ground import Ground
from cloud.maintenance.overlaps import Overlaps
from cloud.maintenance.records import MemberRecord
from cloud.maintenance.view import MaintenanceView
from cloud.store import tables
from cloud.visits.room import VisitRoom
from contracts import p256
from contracts.crew_signature import DUTY_MECHANIC, CrewKey
from contracts.person import KeyKind, key_id_of
from contracts.signed_visit import signed_visit_to_json
from tests.cloud.house import House, house
from tests.cloud.maintenance_site import OTHER_LIFT, two_lifts
from tests.cloud.test_visits import directory
from tests.visits import ALIASES, CHAIN_ID, CONTRACT, MECHANIC, signed, visit_of

Run = Callable[[Any], Any]
GRANT = Grant(number=1, account=bytes(16), role=Role.FIRM, unit=None, firm=None, granted_at_ms=0, ended_at_ms=None)


def known_crew() -> MaintenanceView:
    """What the chain says of the mechanic."""
    public = p256.public_bytes(MECHANIC)
    key = CrewKey(
        duties=DUTY_MECHANIC, licence_until_s=2**40, x=int.from_bytes(public[:32]), y=int.from_bytes(public[32:]),
        kind=KeyKind.SOFTWARE, rp_id_hash=bytes(32), origin="",
    )  # fmt: skip
    view = MaintenanceView()
    view.members[ALIASES[MECHANIC]] = MemberRecord(firm=1, key_id=key_id_of(public), key=key)
    return view


async def two_visits(site: House, folder: Path, *, apart_s: int) -> str:
    """Handed in, and flagged; the flag's address."""
    (folder / "directory.json").write_text(two_lifts(directory(MECHANIC)))
    room = VisitRoom(
        store=site.cloud.store, directory=DirectoryFile(folder / "directory.json"), bell=Bell(), clock=site.clock,
        chain_id=CHAIN_ID, contract=CONTRACT,
    )  # fmt: skip
    start_s = site.clock.at_ms // 1000 - 7200
    visits = [visit_of(start_s), visit_of(start_s + apart_s, urn=OTHER_LIFT)]
    for visit in visits:
        await room.take(json.dumps(signed_visit_to_json(signed(visit))).encode())
    one, other = (visit.digest() for visit in visits)
    flag = Flag(kind=FlagKind.TWICE, why="one-person", visit=one, other=other, grave=True, facts={"seconds": 900})
    async with site.cloud.store.write() as connection:
        devices = {visit.digest(): visit.device for visit in visits}
        await raise_flags(connection, devices, [flag], now_ms=site.clock.at_ms)
    return f"/flags/{flag.name().hex()}"


def with_chain(site: House, view: MaintenanceView) -> House:
    """The same cloud as if it followed a chain, as far as flags go."""
    nothing = cast(Any, None)
    ground = Ground(
        store=site.cloud.store, reader=nothing, deployment=nothing, chain=nothing, view=view, clock=site.clock
    )
    deployment = SimpleNamespace(chain_id=CHAIN_ID, bindings=CONTRACT, work_orders="", registry=CONTRACT)
    chain = SimpleNamespace(
        upkeep=SimpleNamespace(overlaps=Overlaps(ground)), maintenance=view, view=None, deployment=deployment
    )
    cloud = replace(site.cloud, chain=cast(Any, chain))
    return House(cloud, build_app(cloud), site.clock)


def test_manager_and_committee_bring_an_overlap_and_everybody_sees_how_far_it_is(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with house(tmp_path) as plain:
            page, view = await two_visits(plain, tmp_path, apart_s=1200), known_crew()
            site = with_chain(plain, view)
            public, firm, manager = site.browser(), await site.member(Role.FIRM), await site.member(Role.MANAGER)
            for reader in (public, firm):
                assert "Bring both visits" not in (await reader.get(page)).text
            assert "Bring both visits" in (await (await site.member(Role.COMMITTEE)).get(page)).text
            assert "This cannot be undone" in (await manager.get(page)).text
            assert (await public.post(f"{page}/bring")).status_code == 401
            assert (await firm.post(f"{page}/bring")).status_code == 404
            assert (await manager.post(f"/flags/{'0' * 32}/bring")).status_code == 404
            assert (await manager.post(f"{page}/bring")).status_code == 303
            assert "On its way to the ledger" in (await public.get(page)).text
            async with site.cloud.store.read() as connection:
                (wish,) = (await connection.execute(select(tables.intents))).all()
                acts = (await connection.execute(select(tables.audit_entries.c.act))).scalars().all()
            assert (wish.kind, wish.state) == ("overlap", "pending") and acts.count(Act.FLAG_BROUGHT) == 1
            digests = frozenset(bytes.fromhex(json.loads(wish.params)[name]) for name in ("first", "second"))
            view.overlaps[digests] = "0x" + "ab" * 32
            told = (await public.get(page, headers={"accept-language": "zh"})).text
            assert "0xabababab" in told and "两次维保都有同一个人的签名" in told
            said = [FlagState.EXPLAINED, FlagState.UPHELD]
            grants = [replace(GRANT, role=Role.FIRM, firm="Anxing"), replace(GRANT, role=Role.MANAGER)]
            for state, by in zip(said, grants, strict=True):
                name = bytes.fromhex(page.rpartition("/")[2])
                await explain_or_decide(site.cloud.store, name, state, f"word {state}", by=by, now_ms=site.clock.at_ms)
            overseen = (await manager.get("/oversight")).text
            assert "word explained" in overseen and "Not explained, a person decided" in overseen
            assert "1 question: 0 open" in " ".join(overseen.split())

    run(scenario())


def test_two_visits_that_no_contract_would_compare_have_no_button(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with house(tmp_path) as plain:
            page = await two_visits(plain, tmp_path, apart_s=1800)  # 35 minutes each: five of them at once
            site = with_chain(plain, known_crew())
            manager = await site.member(Role.MANAGER)
            assert "Bring both visits" not in (await manager.get(page)).text
            assert (await manager.post(f"{page}/bring")).status_code == 404

    run(scenario())
