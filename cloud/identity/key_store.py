"""The key store: one file of wrapped data keys, apart from the database whose rows they seal.

Keys are wrapped with AES-256-GCM under the master key. An owner of keys (a unit, or a device) has generations of them:
the last one seals, earlier ones open what they sealed. A key that is destroyed leaves its mark, so that it is known to
be gone and not merely missing.
"""

import contextlib
import os
import secrets
import sqlite3
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from cloud.errors import SettingsError, StoreError
from cloud.store.sealing import DEVICES, UNITS

__all__ = ["DataKey", "KeyStore", "new_master", "read_master"]

_MASTER_BYTES = 32
_NONCE_BYTES = 12
_KEY_BYTES = {UNITS: 64, DEVICES: 32}  # AES-SIV with AES-256 takes two keys
_WRAPS = {UNITS: b"minglou/unit-key/1\0", DEVICES: b"minglou/device-key/1\0"}
_NAME_WRAP = b"minglou/key-store/1\0"
_AT_ONCE = 500
_TABLE = (
    "CREATE TABLE IF NOT EXISTS {name} (owner BLOB NOT NULL, generation INTEGER NOT NULL, tag INTEGER NOT NULL, "
    "wrapped BLOB, destroyed_at_ms INTEGER, PRIMARY KEY (owner, generation)) WITHOUT ROWID"
)


@dataclass(frozen=True, slots=True)
class DataKey:
    """One generation of an owner's key."""

    tag: int  # 1 to 2^31 - 1, a digest of the key
    key: bytes


class KeyStore:
    """The keys of one site's units and devices."""

    def __init__(self, file: Path, master: bytes) -> None:
        """Opens the file, or makes it. Raises `SettingsError` where others may read it, or for a wrong master key."""
        self.file, self._master = file, AESGCM(master)
        self._version: int | None = None
        _make(file)
        self._database = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        # Keys are on disk before anything is sealed under them; what is rewrapped leaves no copy in a journal.
        for pragma in ("secure_delete=ON", "journal_mode=TRUNCATE", "synchronous=FULL", "busy_timeout=15000"):
            self._database.execute(f"PRAGMA {pragma}")
        try:
            self._set_up()
            self._name = self._own_name()
        except StoreError as error:
            self._database.close()
            raise SettingsError(str(error)) from error

    @property
    def fingerprint(self) -> bytes:
        """16 bytes that tell this key store from every other; they open nothing."""
        return sha256(_NAME_WRAP + self._name).digest()[:16]

    def was_changed(self) -> bool:
        """Whether another process has written since this was last asked."""
        before, (self._version,) = self._version, self._database.execute("PRAGMA data_version").fetchone()
        return before not in (None, self._version)

    def present(self, table: str, owners: Collection[bytes], *, makes: bool) -> dict[bytes, DataKey]:
        """The keys that seal, by owner; those that there are not are made, or left out."""
        found = {owner: keys[-1] for owner, keys in self.all_of(table, owners).items()}
        missing = set(owners) - found.keys()
        if makes and missing:
            self._make_keys(table, missing)
            found |= {owner: keys[-1] for owner, keys in self.all_of(table, missing).items()}
        return found

    def all_of(self, table: str, owners: Collection[bytes]) -> dict[bytes, list[DataKey]]:
        """Every key of these owners that is not destroyed, oldest first; owners without one are left out."""
        found: dict[bytes, list[DataKey]] = {}
        query = "SELECT owner, tag, wrapped FROM {table} WHERE owner IN ({marks}) AND wrapped IS NOT NULL"
        for owner, tag, wrapped in self._ask(table, f"{query} ORDER BY owner, generation", sorted(owners)):
            found.setdefault(owner, []).append(DataKey(tag, self._unwrap(_WRAPS[table] + owner, wrapped)))
        return found

    def destroyed(self, table: str, owners: Collection[bytes]) -> set[tuple[bytes, int]]:
        """Owner and tag of keys that were destroyed."""
        query = "SELECT owner, tag FROM {table} WHERE owner IN ({marks}) AND wrapped IS NULL"
        return {(owner, tag) for owner, tag in self._ask(table, query, sorted(owners))}

    def marks(self, table: str) -> list[tuple[bytes, int, int]]:
        """Owner, tag and time of every key that was destroyed."""
        query = f"SELECT owner, tag, destroyed_at_ms FROM {table} WHERE wrapped IS NULL"  # noqa: S608 - our name
        return self._database.execute(f"{query} ORDER BY owner, generation").fetchall()

    def renew(self, table: str, owners: Collection[bytes]) -> None:
        """A next generation for each owner that has a key; it seals from now on."""
        rows = []
        for owner, generation in self._ask(
            table, "SELECT owner, max(generation) FROM {table} WHERE owner IN ({marks}) GROUP BY owner", sorted(owners)
        ):
            rows.append(self._new_row(table, owner, generation + 1))
        self._insert(table, rows)

    def destroy(self, table: str, keys: Iterable[tuple[bytes, int, int]]) -> int:
        """Destroy keys by owner, tag and time; how many were there. Their marks stay."""
        change = (
            f"UPDATE {table} SET wrapped = NULL, destroyed_at_ms = ? "  # noqa: S608 - our name
            "WHERE owner = ? AND tag = ? AND wrapped IS NOT NULL"
        )
        with self._transaction():
            return self._database.executemany(change, [(at_ms, owner, tag) for owner, tag, at_ms in keys]).rowcount

    def rewrap(self, master: bytes) -> int:
        """Wrap every key under another master key, in one transaction; how many."""
        other, count = AESGCM(master), 0
        with self._transaction():
            for table in (UNITS, DEVICES):
                rows = self._database.execute(
                    f"SELECT owner, generation, wrapped FROM {table} WHERE wrapped IS NOT NULL"  # noqa: S608 - our name
                ).fetchall()
                changed = [
                    (_wrap(other, _WRAPS[table] + owner, self._unwrap(_WRAPS[table] + owner, wrapped)), owner, number)
                    for owner, number, wrapped in rows
                ]
                change = f"UPDATE {table} SET wrapped = ? WHERE owner = ? AND generation = ?"  # noqa: S608 - our name
                self._database.executemany(change, changed)
                count += len(rows)
            self._database.execute("UPDATE name SET wrapped = ?", (_wrap(other, _NAME_WRAP, self._name),))
        self._master = other
        return count

    def close(self) -> None:
        self._database.close()

    # ---- the file ----

    def _set_up(self) -> None:
        with self._transaction():
            columns = [row[1] for row in self._database.execute(f"PRAGMA table_info({UNITS})")]
            if columns and "generation" not in columns:  # kept before keys had generations
                self._database.execute(f"ALTER TABLE {UNITS} RENAME TO older")
            for table in (UNITS, DEVICES):
                self._database.execute(_TABLE.format(name=table))
            if columns and "generation" not in columns:
                self._database.execute(f"INSERT INTO {UNITS} SELECT unit, 1, 1, wrapped, NULL FROM older")  # noqa: S608
                self._database.execute("DROP TABLE older")
            one = self._database.execute(f"SELECT owner, wrapped FROM {UNITS} WHERE wrapped IS NOT NULL").fetchone()  # noqa: S608
            if one is not None:
                self._unwrap(_WRAPS[UNITS] + one[0], one[1])  # before a name is wrapped under a key that is not its own
            self._database.execute("CREATE TABLE IF NOT EXISTS name (one INTEGER PRIMARY KEY, wrapped BLOB NOT NULL)")
            fresh = _wrap(self._master, _NAME_WRAP, secrets.token_bytes(16))
            self._database.execute("INSERT OR IGNORE INTO name VALUES (1, ?)", (fresh,))

    def _own_name(self) -> bytes:
        (wrapped,) = self._database.execute("SELECT wrapped FROM name").fetchone()
        return self._unwrap(_NAME_WRAP, wrapped)

    def _transaction(self) -> sqlite3.Connection:
        self._database.execute("BEGIN IMMEDIATE")
        return self._database  # as a context it commits, or rolls back

    def _ask(self, table: str, query: str, owners: Sequence[bytes]) -> Iterable[Any]:
        for at in range(0, len(owners), _AT_ONCE):
            some = owners[at : at + _AT_ONCE]
            yield from self._database.execute(query.format(table=table, marks=",".join("?" * len(some))), some)

    def _make_keys(self, table: str, owners: Iterable[bytes]) -> None:
        numbers = dict.fromkeys(owners, 0)
        query = "SELECT owner, max(generation) FROM {table} WHERE owner IN ({marks}) GROUP BY owner"
        numbers.update(self._ask(table, query, sorted(numbers)))  # all of whose keys were destroyed
        self._insert(table, [self._new_row(table, owner, number + 1) for owner, number in numbers.items()])

    def _new_row(self, table: str, owner: bytes, generation: int) -> tuple[bytes, int, int, bytes]:
        key = secrets.token_bytes(_KEY_BYTES[table])
        return owner, generation, _tag(owner, key), _wrap(self._master, _WRAPS[table] + owner, key)

    def _insert(self, table: str, rows: Sequence[tuple[bytes, int, int, bytes]]) -> None:
        """Of two processes that make the same generation, the first one's stays."""
        with self._transaction():
            insert = f"INSERT OR IGNORE INTO {table} VALUES (?, ?, ?, ?, NULL)"  # noqa: S608 - our name
            self._database.executemany(insert, rows)

    def _unwrap(self, name: bytes, wrapped: bytes) -> bytes:
        try:
            return self._master.decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], name)
        except InvalidTag as error:
            raise StoreError(f"{self.file}: wrapped under another master key; name the right one") from error


def read_master(file: Path) -> bytes:
    """The master key in a file of mode 0600. Raises `SettingsError`."""
    if file.stat().st_mode & 0o077:
        raise SettingsError(f"master key {file} can be read by others; run: chmod 600 {file}")
    try:
        master = bytes.fromhex(file.read_text().strip())
    except ValueError as error:
        raise SettingsError(f"master key {file} is not hex") from error
    if len(master) != _MASTER_BYTES:
        raise SettingsError(f"master key {file} holds {len(master)} bytes, not {_MASTER_BYTES}")
    return master


def new_master(file: Path) -> bytes:
    """The master key in a file, made there where it does not exist. Raises `SettingsError`."""
    if not file.exists():
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = file.with_name(f"{file.name}.{secrets.token_hex(4)}")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
            opened.write(secrets.token_bytes(_MASTER_BYTES).hex() + "\n")
        with contextlib.suppress(FileExistsError):  # another process was quicker
            os.link(fresh, file)
        fresh.unlink()
    return read_master(file)


def _make(file: Path) -> None:
    if not file.exists():
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600))
    if file.stat().st_mode & 0o077:
        raise SettingsError(f"key store {file} can be read by others; run: chmod 600 {file}")


def _tag(owner: bytes, key: bytes) -> int:
    return int.from_bytes(sha256(b"minglou/key-tag/1\0" + owner + key).digest()[:4]) >> 1 or 1


def _wrap(master: AESGCM, name: bytes, key: bytes) -> bytes:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + master.encrypt(nonce, key, name)
