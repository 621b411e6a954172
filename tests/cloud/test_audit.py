"""The audit log: entries that cannot be changed, cut or slipped in without contradicting a signed head."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, update

from cloud.errors import SettingsError, StoreError
from cloud.identity.audit import Act
from cloud.identity.roles import Role
from cloud.identity.tokens import Scope
from cloud.store import tables
from contracts.superlog import open_superlog
from tests.cloud.house import house

Run = Callable[[Any], Any]
BODY = tables.audit_entries.c.body
INDEX = tables.audit_entries.c.entry_index


@pytest.mark.parametrize(
    "tampering",
    [
        update(tables.audit_entries).where(INDEX == 1).values(body=BODY + " "),
        delete(tables.audit_entries).where(INDEX == 1),
        delete(tables.audit_entries).where(INDEX >= 2),
    ],
    ids=["changed", "removed", "cut"],
)
def test_what_was_changed_removed_or_cut_is_found(run: Run, tmp_path: Path, store_url: str, tampering: Any) -> None:
    async def scenario() -> None:
        async with house(tmp_path, store_url=store_url) as site:
            await site.member(Role.MANAGER)
            await site.member(Role.OWNER, "b07-0501")
            audit = site.cloud.identity.audit
            note = await audit.sign_head(now_ms=1)
            assert note is not None
            assert open_superlog(note, audit.origin, audit.public).size == await audit.check()
            async with site.cloud.store.write() as connection:
                await connection.execute(tampering)
            with pytest.raises(StoreError, match="audit log"):
                await audit.check()

    run(scenario())


def test_a_programs_token_opens_its_scopes_until_it_ends_and_each_look_is_told(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with house(tmp_path) as site:
            tokens, clock = site.cloud.tokens, site.clock
            secret, token = await tokens.make(None, "archive", [Scope.ENTRIES], days=1, now_ms=clock.at_ms)
            metrics, _ = await tokens.make(None, "prometheus", [Scope.METRICS], days=1, now_ms=clock.at_ms)
            browser, path = site.browser(peer="192.0.2.7"), "/v1/logs/demo.minglou.example/a/b/e0/entries"

            async def status(given: str) -> int:
                return (await browser.get(path, headers={"authorization": f"Bearer {given}"})).status_code

            assert [await status(given) for given in (secret, metrics, secret[:-1], "")] == [200, 401, 401, 401]
            newest = (await site.cloud.identity.audit.newest(1))[0]
            assert (newest.act, newest.what.startswith("archive: entries")) == (Act.LOOKED, True)
            listed = await tokens.listed(None, clock.at_ms)
            assert {one.name: one.last_used_at_ms is not None for one in listed} == {
                "archive": True,
                "prometheus": False,
            }
            clock.at_ms += 86_400_000
            assert await status(secret) == 401
            again, token = await tokens.make(None, "archive", [Scope.ENTRIES], days=9, now_ms=clock.at_ms)
            assert await status(again) == 200
            await tokens.revoke(None, token.digest, clock.at_ms)
            assert await status(again) == 401

    run(scenario())


def test_a_replica_with_another_audit_key_does_not_start(run: Run, tmp_path: Path, store_url: str) -> None:
    async def scenario() -> None:
        async with house(tmp_path / "one", store_url=store_url) as site:
            await site.member(Role.MANAGER)
            assert await site.cloud.identity.audit.sign_head(now_ms=1) is not None
        keys = '[identity]\nkeys_dir = "../one/data/keys"\n'
        with pytest.raises(SettingsError, match="audit_key_file, for all replicas"):
            async with house(tmp_path / "two", store_url=store_url, more=keys):
                pass
        shared = f'{keys}audit_key_file = "../one/data/audit.pem"\n'
        async with house(tmp_path / "two", store_url=store_url, more=shared) as site:
            assert await site.cloud.identity.audit.check() > 0

    run(scenario())
