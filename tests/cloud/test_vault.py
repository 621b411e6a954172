"""What belongs to a household is not readable in a dump of the database, on SQLite and PostgreSQL."""

import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from sqlalchemy import select

from cloud.billing import kept
from cloud.errors import SettingsError, StoreError
from cloud.identity.key_store import KeyStore
from cloud.identity.vault import open_vault
from cloud.store import Store, sqlite_url, tables
from cloud.store.sealing import DEVICES

Run = Callable[[Any], Any]
UNITS = [sha256(b"unit %d" % at).digest() for at in range(3)]
NOTES = [(at, 0, unit, b"the household of flat %d used 122456 Wh" % at) for at, unit in enumerate(UNITS)]


def opened(url: str, folder: Path) -> Store:
    return Store(url, open_vault(folder, folder / "master.key"))


def test_a_dump_without_the_key_store_shows_no_household(run: Run, tmp_path: Path, store_url: str) -> None:
    async def scenario() -> None:
        store = opened(store_url, tmp_path / "keys")
        async with store.write() as connection:
            await kept.keep_notes(connection, 1, NOTES)
        async with store.read() as connection:
            for at, line, unit, content in NOTES:
                assert await kept.read_note(connection, 1, at, unit, line) == content
            rows = [repr(tuple(row)) for row in await connection.execute(select(tables.line_notes))]
        assert len(rows) == 3 and not [row for row in rows if "household" in row or "122456" in row]
        await store.close()
        without = Store(store_url)
        async with without.read() as connection:
            with pytest.raises(StoreError, match="key store"):
                await kept.read_note(connection, 1, 0, UNITS[0], 0)
        await without.close()
        other = opened(store_url, tmp_path / "others")
        async with other.read() as connection:
            with pytest.raises(StoreError, match="data key"):
                await kept.read_note(connection, 1, 0, UNITS[0], 0)
        await other.close()

    run(scenario())


def test_the_database_file_itself_holds_no_households_bytes(run: Run, tmp_path: Path, migrated_sqlite: Path) -> None:
    file = tmp_path / "cloud.sqlite3"
    file.write_bytes(migrated_sqlite.read_bytes())

    async def keep() -> bytes:
        store = opened(sqlite_url(file), tmp_path / "keys")
        async with store.write() as connection:
            await kept.keep_notes(connection, 1, NOTES)
        held = everything()  # with the journal beside it
        await store.close()
        return held

    def everything() -> bytes:
        return b"".join(path.read_bytes() for path in tmp_path.glob("cloud.sqlite3*"))

    held = run(keep()) + everything()
    assert b"household" not in held and b"122456" not in held


def test_a_units_bytes_open_under_its_own_key_and_for_their_purpose_alone(tmp_path: Path) -> None:
    vault = open_vault(tmp_path, tmp_path / "master.key")
    one, again, other = vault.seal("bills", [(UNITS[0], b"salt"), (UNITS[0], b"salt"), (UNITS[1], b"salt")])
    assert one == again != other, "the same content gives the same bytes, for a rebuilt table to be compared"
    assert vault.unseal("bills", [(UNITS[0], one), (UNITS[1], other)]) == [b"salt", b"salt"]
    refused = [("bills", UNITS[1], one), ("line notes", UNITS[0], one), ("bills", UNITS[0], one[:-1])]
    for purpose, unit, sealed in [*refused, ("bills", UNITS[2], one)]:
        with pytest.raises(StoreError):
            vault.unseal(purpose, [(unit, sealed)])
    vault.close()


def test_another_master_key_takes_over_and_the_old_one_opens_nothing(tmp_path: Path) -> None:
    vault = open_vault(tmp_path / "keys", tmp_path / "keys" / "master.key")
    (sealed,) = vault.seal("bills", [(UNITS[0], b"salt")])
    assert vault.rewrap(bytes(31) + b"\x01") == 1
    vault.close()
    with pytest.raises(SettingsError, match="another master key"):
        open_vault(tmp_path / "keys", tmp_path / "keys" / "master.key")
    new = tmp_path / "new.key"
    new.touch(mode=0o600)
    new.write_text((bytes(31) + b"\x01").hex())
    fresh = open_vault(tmp_path / "keys", new)
    assert fresh.unseal("bills", [(UNITS[0], sealed)]) == [b"salt"]
    fresh.close()


def test_key_files_are_their_owners_alone_and_a_lost_master_key_is_said(tmp_path: Path) -> None:
    keys, master = tmp_path / "keys", tmp_path / "keys" / "master.key"
    vault = open_vault(keys, master)
    vault.seal("bills", [(UNITS[0], b"salt")])
    vault.close()
    assert {oct(path.stat().st_mode & 0o777) for path in keys.iterdir()} == {"0o600"}
    os.chmod(master, 0o644)
    with pytest.raises(SettingsError, match="chmod 600"):
        open_vault(keys, master)
    master.unlink()
    with pytest.raises(SettingsError, match="bring it back"):
        open_vault(keys, master)


@pytest.mark.parametrize("asks", ["is_destroyed", "marks", "fingerprint", "generations"])
def test_no_two_threads_are_in_the_key_store_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asks: str
) -> None:
    vault = open_vault(tmp_path, tmp_path / "master.key")
    vault.present_keys([UNITS[0]])
    is_inside, may_go_on, really = Event(), Event(), KeyStore.present
    asked = {
        "is_destroyed": lambda: vault.is_destroyed(UNITS[0], 1),
        "marks": lambda: vault.marks(DEVICES),
        "fingerprint": lambda: vault.fingerprint,
        "generations": lambda: vault.generations(DEVICES, [UNITS[0]]),
    }

    def slow(keys: KeyStore, *words: Any, **options: Any) -> Any:
        is_inside.set()
        assert may_go_on.wait(60)
        return really(keys, *words, **options)

    monkeypatch.setattr(KeyStore, "present", slow)
    first, second = Thread(target=vault.present_keys, args=([UNITS[1]],)), Thread(target=asked[asks])
    first.start()
    assert is_inside.wait(60)
    second.start()
    second.join(0.1)
    assert second.is_alive()
    may_go_on.set()
    first.join()
    second.join()
    vault.close()
