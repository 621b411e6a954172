"""The store: migrations, bulk inserts, secrets, and the drivers that are really used."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError

from cloud.chain.parsers import PARSERS
from cloud.errors import SettingsError
from cloud.settings import load_settings, read_secret
from cloud.store import Store, insert_rows, tables
from cloud.store.migration import is_whole_table
from cloud.super_log import open_super_key
from minglou import main
from tests.postgres import PostgresServer


def test_migrations_make_exactly_the_tables_of_the_code(store: Store) -> None:
    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"include_name": is_whole_table})
        return list(compare_metadata(context, tables.metadata))

    async def scenario() -> None:
        async with store.read() as connection:
            assert await connection.run_sync(differences) == []
        await store.close()

    asyncio.run(scenario())


def test_migrating_twice_changes_nothing(unmigrated_store_url: str) -> None:
    async def scenario() -> None:
        store = Store(unmigrated_store_url)
        await store.migrate()
        await store.notice("kept", at_ms=1)
        await store.migrate()
        assert await store.latest_notices(5) == ["kept"]
        await store.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("count", [0, 1, 3, 1_024, 2_600])
def test_bulk_inserts_store_every_row_once(store: Store, count: int) -> None:
    async def scenario() -> None:
        rows = [(5, at, at.to_bytes(32)) for at in range(count)]
        async with store.write() as connection:
            await insert_rows(connection, tables.super_nodes, rows)
        async with store.read() as connection:
            found = await connection.execute(select(tables.super_nodes).order_by(tables.super_nodes.c.node_index))
            assert [tuple(row) for row in found] == rows
        if rows:
            with pytest.raises(IntegrityError):
                async with store.write() as connection:
                    await insert_rows(connection, tables.super_nodes, rows[-1:])
        await store.close()

    asyncio.run(scenario())


def test_events_of_every_contract_have_room(store: Store) -> None:
    async def scenario() -> None:
        async with store.write() as connection:
            digest = "0x" + "00" * 32
            events = [(1, index, digest, digest, name, b"", b"") for index, name in enumerate(PARSERS)]
            await insert_rows(connection, tables.chain_events, events)
        async with store.read() as connection:
            kept = (await connection.execute(select(tables.chain_events.c.contract))).scalars().all()
        assert sorted(kept) == sorted(PARSERS)
        await store.close()

    asyncio.run(scenario())


def test_the_declared_drivers_are_the_ones_used() -> None:
    script = (
        "import sys; from cloud.store import Store; from cloud.chain.endpoint import _provider;"
        "print(Store('sqlite+aiosqlite://')._writer.dialect.driver, 'aiosqlite' in sys.modules);"
        "print(type(_provider('http://127.0.0.1:1')).__mro__[1].__module__)"
    )
    told = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=280, check=True
    ).stdout
    driver, is_loaded, client = told.split()
    assert (driver, is_loaded, client.partition(".")[0]) == ("aiosqlite", "True", "web3")


def test_a_secret_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("0x01")
    path.chmod(0o644)
    with pytest.raises(SettingsError, match="chmod 600"):
        read_secret(path)
    with pytest.raises(SettingsError, match="cannot be read"):
        read_secret(tmp_path / "none")


def test_the_super_logs_key_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "superlog.pem"
    first = open_super_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert open_super_key(path).private_bytes_raw() == first.private_bytes_raw()
    path.chmod(0o640)
    with pytest.raises(SettingsError, match="chmod 600"):
        open_super_key(path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[cloud]\ndata_dir='d'\n[super_log]\norigin='h/log'\n", "lacks listen"),
        ("[cloud]\nlisten='8600'\ndata_dir='d'\n[super_log]\norigin='h/log'\n", "ADDRESS:PORT"),
        ("[cloud]\nlisten='a:1'\ndata_dir='d'\nprot=1\n[super_log]\norigin='h/log'\n", "unknown keys prot"),
        ("[cloud]\nlisten='a:1'\ndata_dir='d'\n[super_log]\norigin='h/log'\n[clok]\n", "unknown tables clok"),
        ("[cloud]\nlisten='a:1'\ndata_dir='d'\n[super_log]\norigin=1\n", "must be of type str"),
        ("[cloud\n", "not TOML"),
    ],
)
def test_wrong_settings_are_named_with_file_table_and_key(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "cloud.toml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=says):
        load_settings(path)


def test_bringing_the_schema_up_tells_no_password(
    postgres: PostgresServer, migrated_postgres: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    address = make_url(postgres.url(migrated_postgres)).set(password="s3cret")
    (tmp_path / "cloud.toml").write_text(
        f'[cloud]\nlisten = "127.0.0.1:1"\ndata_dir = "data"\n[super_log]\norigin = "a.example/log"\n'
        f'[store]\nurl = "{address.render_as_string(hide_password=False)}"\n'
    )
    assert main(["cloud", "migrate", "--config", str(tmp_path / "cloud.toml")]) == 0
    said = capsys.readouterr()
    assert "newest revision" in said.out and "s3cret" not in said.out + said.err
