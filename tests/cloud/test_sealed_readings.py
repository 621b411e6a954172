"""No household reading stands in a database, its journal or a dump; the product shows every one."""

import subprocess
from collections.abc import Callable, Coroutine
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import insert, make_url, select

from cloud.billing.register_columns import load_register_columns
from cloud.billing.usage import load_registers
from cloud.chain.records import AssignmentRecord
from cloud.chain.view import ChainView
from cloud.errors import StoreError
from cloud.identity.vault import Vault, open_vault
from cloud.retention.holds import Holds
from cloud.retention.requests import erase_devices
from cloud.retention.sealing import seal_store
from cloud.retention.shredding import shred_devices
from cloud.store import Store, tables
from cloud.store.logs import log_number
from cloud.store.readings import CLEAR, mask, mask_rows, open_entries, open_entry
from cloud.store.trees import LogTree
from contracts.entry import Kind, device_id
from contracts.onchain import origin_id
from contracts.tree import leaf_hash
from tests.cloud.conftest import open_bench
from tests.cloud.gateway import SimulatedGateway
from tests.postgres import installed_programs

ENTRIES = tables.entries.c
Run = Callable[[Coroutine[Any, Any, Any]], Any]
METER = "urn:minglou:cuiyuan:b07:meter:0101-abc"
OTHER = "urn:minglou:cuiyuan:b07:meter:0102-def"
DOOR = "urn:minglou:cuiyuan:b07:access:d1"
LIFT = "urn:minglou:cuiyuan:b07:lift:l1"
SENSOR = "urn:minglou:cuiyuan:b07:sensor:s1"
REGISTER = "1-0:1.8.0"
# No number that a clock, a size or an offset would have by chance.
VALUES = [7_305_114_229_913 + 1_000_003 * at for at in range(11)]
FALLING = -6_104_993_177_521


def household() -> SimulatedGateway:
    """Unmistakable readings, boundaries, a door and a sensor; and a lift, which is everybody's."""
    gateway = SimulatedGateway()
    for at, value in enumerate(VALUES[:8]):
        detail: dict[str, object] | None = {"source": f"poll-of-the-kitchen-{at}"} if at % 2 else None
        gateway.log(Kind.READING, METER if at % 3 else OTHER, REGISTER, value, detail=detail)
    gateway.log(Kind.READING, METER, f"{REGISTER}*20261101", VALUES[8], detail={"source": "freeze-of-the-kitchen"})
    gateway.log(Kind.READING, METER, f"{REGISTER}*20261201", VALUES[9])
    gateway.log(Kind.ACCESS, DOOR, "access.granted", 1, detail={"who": "credential-of-the-kitchen"})
    gateway.log(Kind.STATUS, SENSOR, "temperature", VALUES[10])
    gateway.log(Kind.READING, METER, "1-0:2.8.0", FALLING)
    gateway.log(Kind.STATUS, LIFT, "lift.mode", 1)
    return gateway


def secrets_of(gateway: SimulatedGateway) -> list[bytes]:
    """Every form in which what a household said could stand somewhere."""
    found = [b"kitchen", b"kitchen".hex().encode()]
    for value in [*VALUES, FALLING]:
        for order in ("big", "little"):
            octets = value.to_bytes(8, order, signed=True)
            # SQLite keeps whole numbers in as many bytes as they need: these in six.
            found += [octets, octets.hex().encode(), octets[2:] if order == "big" else octets[:6]]
        found.append(str(value).encode())
    for entry in gateway.entries[1:-1]:
        found += [entry[192:208], entry[192:208].hex().encode()]
    return found


def stands_in(place: bytes, gateway: SimulatedGateway) -> list[bytes]:
    return [secret for secret in secrets_of(gateway) if secret in place]


def everything_in(store_url: str, folder: Path) -> bytes:
    """All that somebody who took the database has: its files with the journal, or PostgreSQL's dump as text."""
    if store_url.startswith("sqlite"):
        return b"".join(path.read_bytes() for path in folder.glob("cloud.sqlite3*"))
    url = make_url(store_url)
    words = ["-h", str(url.query["host"]), "-U", "minglou", str(url.database)]
    dumped = subprocess.run([installed_programs() / "pg_dump", *words], capture_output=True, timeout=60, check=True)
    return dumped.stdout


def vault_at(folder: Path) -> Vault:
    return open_vault(folder / "keys", folder / "keys" / "master.key")


def test_a_database_shows_no_household_reading_without_its_key_store(run: Run, tmp_path: Path, store_url: str) -> None:
    gateway = household()

    async def scene() -> None:
        async with open_bench(store_url, sealer=vault_at(tmp_path)) as bench:
            bench.keys.enrol(gateway)
            await bench.send(gateway)
            assert stands_in(everything_in(store_url, tmp_path), gateway) == [], "with the journal beside it"
            async with bench.store.read() as connection:
                rows = (await connection.execute(select(tables.entries).order_by(tables.entries.c.entry_index))).all()
                opened = open_entries(connection, rows)
            for at, row in enumerate(opened):
                assert row.value == int.from_bytes(gateway.entries[at][152:160], signed=True), at
                assert (row.salt, row.detail or b"") == (gateway.entries[at][192:208], gateway.details[at])
            assert [row.sealed_by != CLEAR for row in rows] == [False, *[True] * 13, False]
        assert stands_in(everything_in(store_url, tmp_path), gateway) == []
        without = Store(store_url)
        async with without.read() as connection:
            with pytest.raises(StoreError, match="key store"):
                open_entries(connection, (await connection.execute(select(tables.entries))).all())
        await without.close()

    run(scene())


def test_without_keys_the_same_search_finds_every_value(run: Run, tmp_path: Path, store_url: str) -> None:
    gateway = household()

    async def scene() -> None:
        async with open_bench(store_url) as bench:
            bench.keys.enrol(gateway)
            await bench.send(gateway)
        place = everything_in(store_url, tmp_path)
        assert len(stands_in(place, gateway)) >= len(VALUES) + len(gateway.entries) - 2, "or the search proves nothing"

    run(scene())


def test_bills_read_sealed_boundaries_one_by_one_and_as_columns(run: Run, tmp_path: Path, store_url: str) -> None:
    gateway = household()
    device = device_id(METER)

    async def scene() -> None:
        view = ChainView(31337)
        view.assignments[device] = [
            AssignmentRecord(origin_id=origin_id(gateway.origin), first_index=1, last_index=None, block=1)
        ]
        async with open_bench(store_url, sealer=vault_at(tmp_path)) as bench:
            bench.keys.enrol(gateway)
            await bench.send(gateway)
            async with bench.store.read() as connection:
                days = [20261101, 20261201]
                found = await load_registers(connection, view, dates=days, devices=[device])
                told = [entry.value for day in days for entry in found.at(device, REGISTER, day)]
                asked = [(REGISTER, day) for day in days]
                columns = await load_register_columns(connection, view, devices=[device, device_id(OTHER)], asked=asked)
        assert told == VALUES[8:10]
        assert [columns.at(REGISTER, day)[0].tolist() for day in days] == [[VALUES[8], 0], [VALUES[9], 0]]

    run(scene())


def test_two_versions_of_one_place_share_no_part_of_a_stream(tmp_path: Path) -> None:
    with closing(vault_at(tmp_path)) as vault:
        key = vault.present_keys([device_id(METER)])[device_id(METER)]
        leaves, heads = [sha256(b"one").digest(), sha256(b"other").digest()], np.zeros((2, 24), np.uint8)
        masked, details = mask([key, key], leaves, heads, [bytes(400), bytes(400)])
        streams = [head.tobytes() + (detail or b"") for head, detail in zip(masked, details, strict=True)]
        pieces = [stream[at : at + 8] for stream in streams for at in range(0, 424, 8)]
        assert len(set(pieces)) == len(pieces), "every part of every entry is another"
        opened, again = mask([key, key], leaves, masked, details)
        assert not opened.any() and again == [bytes(400), bytes(400)], "and what seals opens"


def test_few_rows_are_sealed_and_opened_as_many_are(tmp_path: Path) -> None:
    vault, devices = open_vault(tmp_path / "keys", tmp_path / "master.key"), [b"a" * 32, b"b" * 32]
    present = vault.present_keys(devices)
    keys = [present[devices[at % 2]] for at in range(100)]
    leaves = [sha256(b"%d" % at).digest() for at in range(100)]
    values = [(-1) ** at * 3**at % (1 << 63) for at in range(100)]
    salts = [leaf[16:] for leaf in leaves]
    details = [None if at % 3 == 0 else bytes(range(at)) for at in range(100)]
    rows = (keys, leaves, values, salts, details)
    many = mask_rows(*rows)
    few = [row for at in range(0, 100, 5) for row in mask_rows(*(column[at : at + 5] for column in rows))]
    assert few == many
    again = [
        mask_rows([key], [leaf], *([one] for one in row))[0] for key, leaf, row in zip(keys, leaves, many, strict=True)
    ]
    assert again == list(zip(values, salts, details, strict=True))
    vault.close()


def test_a_store_whose_key_store_is_lost_makes_no_new_one(run: Run, tmp_path: Path, store_url: str) -> None:
    gateway = household()

    async def scene() -> None:
        async with open_bench(store_url, sealer=vault_at(tmp_path)) as bench:
            bench.keys.enrol(gateway)
            await bench.send(gateway)
        (tmp_path / "keys").rename(tmp_path / "elsewhere")
        lost = Store(store_url, vault_at(tmp_path))
        with pytest.raises(StoreError, match="bring it back"):
            await lost.migrate()
        await lost.close()
        assert not (tmp_path / "keys").exists(), "nothing was made in its place"
        other = vault_at(tmp_path)
        other.seal("bills", [(bytes(32), b"another site's")])
        stranger = Store(store_url, other)
        with pytest.raises(StoreError, match="another key store"):
            await stranger.migrate()
        await stranger.close()
        (tmp_path / "keys").rename(tmp_path / "other")
        (tmp_path / "elsewhere").rename(tmp_path / "keys")
        again = Store(store_url, vault_at(tmp_path))
        await again.migrate()
        await again.close()

    run(scene())


def test_what_is_erased_opens_in_no_older_copy_and_what_bills_rest_on_stays(
    run: Run, tmp_path: Path, store_url: str
) -> None:
    gateway, theirs = household(), {device_id(METER)}
    held_until = Holds(boundaries=((20260101, 20261231),))

    async def scene() -> None:
        async with open_bench(store_url, sealer=vault_at(tmp_path)) as bench:
            bench.keys.enrol(gateway)
            await bench.send(gateway)
            async with bench.store.read() as connection:
                taken = (await connection.execute(select(tables.entries).order_by(ENTRIES.entry_index))).all()
            keys_before = (tmp_path / "keys" / "units.sqlite3").read_bytes()
            await erase_devices(bench.store, theirs, says="asked", now_ms=1, holds=held_until, boundaries_due=999912)
            assert await shred_devices(bench.store, theirs, says="asked", now_ms=1) == 1
            async with bench.store.read() as connection:
                for row in taken:
                    if row.device in theirs:
                        with pytest.raises(StoreError, match="destroyed on request"):
                            open_entry(connection, row)
                    else:
                        assert open_entry(connection, row) is not None, "another's stays"
                left = (await connection.execute(select(tables.entries).where(ENTRIES.device.in_(theirs)))).all()
                assert sorted(row.value for row in open_entries(connection, left)) == VALUES[8:10]
                found = (await connection.execute(select(tables.boundaries))).all()
                assert sorted(row.value for row in open_entries(connection, found)) == VALUES[8:10]
                assert await LogTree(log_number(gateway.origin)).leaf_hashes(connection, 0, gateway.size) == [
                    leaf_hash(entry) for entry in gateway.entries
                ]
            start = gateway.size
            gateway.log(Kind.READING, METER, REGISTER, VALUES[0])
            await bench.send(gateway, start)
        (tmp_path / "keys" / "units.sqlite3").write_bytes(keys_before)
        restored = Store(store_url, vault_at(tmp_path))
        await restored.migrate()
        async with restored.read() as connection:
            with pytest.raises(StoreError, match="destroyed on request"):
                open_entry(connection, next(row for row in taken if row.device in theirs))
        await restored.close()

    run(scene())


def test_a_database_that_held_clear_readings_is_sealed_while_it_goes_on(
    run: Run, tmp_path: Path, store_url: str
) -> None:
    gateway = household()

    async def scene() -> None:
        async with open_bench(store_url) as older:
            older.keys.enrol(gateway)
            await older.send(gateway)
            async with older.store.write() as connection:
                await connection.execute(insert(tables.key_store).values(one=1, seals_readings=0))  # as 0015 finds it
        async with open_bench(store_url, sealer=vault_at(tmp_path)) as bench:
            bench.keys.enrol(gateway)
            gateway.log(Kind.READING, METER, REGISTER, VALUES[0])
            await bench.send(gateway, gateway.size - 1)
            private = len(gateway.entries) - 3  # not the opening, the lift, and the one that comes now
            said = list[str]()
            assert await seal_store(bench.store, said.append) == private + 1 and len(said) == 1
            assert await seal_store(bench.store, said.append) == 0, "and nothing twice"
            gateway.log(Kind.READING, METER, REGISTER, VALUES[1])
            await bench.send(gateway, gateway.size - 1)
            async with bench.store.read() as connection:
                rows = (await connection.execute(select(tables.entries).order_by(ENTRIES.entry_index))).all()
                dates = (await connection.execute(select(tables.boundaries))).all()
                opened, bounds = open_entries(connection, rows), open_entries(connection, dates)
            assert [row.value for row in opened] == [
                int.from_bytes(one[152:160], signed=True) for one in gateway.entries
            ]
            assert sorted(row.value for row in bounds) == VALUES[8:10] and all(row.sealed_by for row in dates)
            assert [row.sealed_by != CLEAR for row in rows] == [False, *[True] * 13, False, True, True]

    run(scene())
