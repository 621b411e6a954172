"""What lies sealed in the store is plain AES in counter mode, entry by entry, however many are sealed in one step."""

from collections.abc import Callable, Coroutine, Sequence
from contextlib import closing
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from cloud.identity.key_store import DEVICES
from cloud.identity.vault import Vault, open_vault
from cloud.ingest import Ingest, IngestLimits
from cloud.ingest.journal import StoreJournal
from cloud.ingest.judgement import Continuation
from cloud.ingest.sealing import SealedGroup
from cloud.store import Store, opening, tables
from cloud.store.readings import CLEAR, HEAD_BYTES, NONCE_BYTES, mask
from contracts.clock import SystemClock
from contracts.detail import DETAIL_BYTES_MAX
from contracts.entry import Kind, decode_entry, device_id
from contracts.tree import leaf_hash
from tests.cloud.conftest import open_bench, sending
from tests.cloud.gateway import SimulatedGateway

Run = Callable[[Coroutine[Any, Any, Any]], Any]
DEVICE_COUNT = 3
# Beside chance: nothing, the borders of blocks, and where the block's number is carried into its second byte.
LENGTHS = (0, 1, 15, 16, 17, 31, 32, 33, 16 * 253, 16 * 254, 16 * 254 + 1, DETAIL_BYTES_MAX)
ENTRY = st.tuples(st.integers(0, DEVICE_COUNT - 1), st.one_of(st.none(), st.sampled_from(LENGTHS), st.integers(0, 600)))


class PlainKey:
    """One device's key for both ways: in bulk, and straight from the library."""

    def __init__(self, device: int) -> None:
        self.tag, self.key = device + 1, sha256(b"key %d" % device).digest()

    def blocks(self, counters: bytes) -> bytes:
        return Cipher(algorithms.AES(self.key), modes.ECB()).encryptor().update(counters)


def counter_mode(key: bytes, leaf: bytes, head: bytes, detail: bytes) -> tuple[bytes, bytes]:
    """Head and detail under the library's own counter mode; the detail begins with the stream's third block."""
    first = leaf[:NONCE_BYTES] + bytes(16 - NONCE_BYTES)
    cipher = Cipher(algorithms.AES(key), modes.CTR(first)).encryptor()
    sealed = cipher.update(head + bytes(32 - HEAD_BYTES) + detail)
    return sealed[:HEAD_BYTES], sealed[32:]


def filled(name: bytes, length: int) -> bytes:
    return b"".join(sha256(name + b"%d" % at).digest() for at in range(length // 32 + 1))[:length]


@given(st.lists(ENTRY, min_size=1, max_size=40))
def test_sealing_in_bulk_gives_the_bytes_of_counter_mode(told: Sequence[tuple[int, int | None]]) -> None:
    devices = [PlainKey(number) for number in range(DEVICE_COUNT)]
    keys = [devices[number] for number, _ in told]
    leaves = [sha256(b"leaf %d" % at).digest() for at in range(len(told))]
    heads = [filled(b"head %d" % at, HEAD_BYTES) for at in range(len(told))]
    details = [None if length is None else filled(b"detail %d" % at, length) for at, (_, length) in enumerate(told)]
    in_bulk = np.frombuffer(b"".join(heads), np.uint8).reshape(-1, HEAD_BYTES)
    masked, sealed = mask(keys, leaves, in_bulk, details)
    for at, key in enumerate(keys):
        head, detail = counter_mode(key.key, leaves[at], heads[at], details[at] or b"")
        assert masked[at].tobytes() == head
        assert sealed[at] == (None if details[at] is None else detail)
    opened, again = mask(keys, leaves, masked, sealed)
    assert (opened == in_bulk).all() and again == details, "and what seals opens"


def vault_at(folder: Path) -> Vault:
    return open_vault(folder / "keys", folder / "keys" / "master.key")


def a_compound() -> SimulatedGateway:
    """Clear and private entries in turn, of several devices, with details of many lengths, over several portions."""
    gateway = SimulatedGateway()
    for at in range(400):
        detail: dict[str, object] | None = {"source": "x" * (at * 7 % 90)} if at % 3 else None
        gateway.log(Kind.READING, f"urn:minglou:m{at % 7}", ("1-0:1.8.0", "1-0:21.7.0")[at % 2], -at, detail=detail)
        if at % 5 == 0:
            gateway.log(Kind.STATUS, "urn:minglou:lift", "lift.mode", 1, detail=detail)
    return gateway


def test_what_gateways_send_is_stored_in_counter_mode(run: Run, tmp_path: Path, store_url: str) -> None:
    """Sealed by ingest or not, cut here or there: column by column what was logged."""
    gateway = a_compound()
    cuts = [0, 1, 150, 160, gateway.size]

    async def scene() -> None:
        async with open_bench(store_url, sealer=vault_at(tmp_path)) as bench:
            bench.keys.enrol(gateway)
            for start, end in pairwise(cuts):
                await bench.send(gateway, start, end)
            async with bench.store.read() as connection:
                query = select(tables.entries).order_by(tables.entries.c.entry_index)
                rows = (await connection.execute(query)).all()
        with closing(vault_at(tmp_path)) as vault:
            keys = vault.keys.all_of(DEVICES, {row.device for row in rows})
        assert [row.entry_index for row in rows] == list(range(gateway.size))
        for row, entry, detail in zip(rows, gateway.entries, gateway.details, strict=True):
            assert (row.leaf_hash, row.device) == (leaf_hash(entry), entry[32:64])
            assert (row.kind, row.observed_at_ms) == (entry[31], int.from_bytes(entry[88:96]))
            assert (row.quantity.encode(), row.detail_digest) == (entry[96:128].rstrip(b"\0"), entry[160:192])
            said = (entry[152:160] + entry[192:208], detail)
            is_clear = row.quantity.startswith("lift.") or row.kind == Kind.GATEWAY
            assert row.sealed_by == (CLEAR if is_clear else keys[row.device][-1].tag)
            if not is_clear:
                said = counter_mode(keys[row.device][-1].key, row.leaf_hash, *said)
            assert (row.value.to_bytes(8, signed=True) + row.salt, row.detail or b"") == said

    run(scene())


class RenewingJournal(StoreJournal):
    """A device's key is exchanged after a group was sealed ahead, and before it is written."""

    def __init__(self, store: Store, vault: Vault) -> None:
        super().__init__(store)
        self.vault, self.tags = vault, list[int]()

    async def prepare(self, continuations: Sequence[Continuation]) -> SealedGroup | None:
        ahead = await super().prepare(continuations)
        assert ahead is not None and ahead.tags.keys() == {device_id("urn:minglou:m1")}
        self.tags += ahead.tags.values()
        self.vault.renew(DEVICES, ahead.tags)
        return ahead


def test_a_key_that_was_exchanged_meanwhile_seals_nothing(run: Run, tmp_path: Path, store_url: str) -> None:
    gateway = SimulatedGateway()
    for value in range(5):
        gateway.log(Kind.READING, "urn:minglou:m1", "1-0:1.8.0", value)

    async def scene() -> None:
        vault = vault_at(tmp_path)
        async with open_bench(store_url, sealer=vault) as bench:
            journal = RenewingJournal(bench.store, vault)
            bench.keys.enrol(gateway)
            ingest = Ingest(
                store=bench.store, keys=bench.keys, clock=SystemClock(), limits=IngestLimits(), journal=journal
            )
            async with sending(ingest):
                assert await ingest.submit(gateway.origin, gateway.token, gateway.batch(0)) == gateway.size
            async with bench.store.read() as connection:
                rows = (await connection.execute(select(tables.entries))).all()
            used = {row.sealed_by for row in rows} - {CLEAR}
            ((_device, keys),) = vault.keys.all_of(DEVICES, {device_id("urn:minglou:m1")}).items()
            assert [key.tag for key in keys[:-1]] == journal.tags and used == {keys[-1].tag}

    run(scene())


def test_values_opened_by_processes_beside_this_one_are_those_that_were_logged(
    run: Run, tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = a_compound()
    monkeypatch.setattr(opening, "_MANY", 1)
    monkeypatch.setattr(opening, "_ROWS_AT_ONCE", 64)

    async def scene() -> None:
        async with open_bench(store_url, sealer=vault_at(tmp_path)) as bench:
            bench.keys.enrol(gateway)
            await bench.send(gateway)
            async with bench.store.read() as connection:
                rows = (await connection.execute(select(tables.entries).order_by(tables.entries.c.entry_index))).all()
                devices = sorted({row.device for row in rows}, reverse=True)
                columns = (
                    np.frombuffer(b"".join(devices), np.uint8).reshape(-1, 32),
                    np.array([devices.index(row.device) for row in rows], np.int32),
                    np.frombuffer(b"".join(row.leaf_hash for row in rows), np.uint8).reshape(-1, 32),
                    np.array([row.sealed_by for row in rows], np.int64),
                    np.array([row.value for row in rows], np.int64),
                )
                async with opening.value_opener(connection, len(rows)) as open_values:
                    opened = await open_values(*columns)
        assert any(columns[3] != CLEAR)
        assert opened.tolist() == [decode_entry(entry).value for entry in gateway.entries]

    run(scene())
