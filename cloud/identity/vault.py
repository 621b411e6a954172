"""Per-unit data keys, held apart from the database: a file of wrapped keys, and the master key that wraps them.

Sealing is AES-SIV (RFC 5297) under the unit's own 64 random bytes: the same content gives the same bytes, so that a
rebuilt table can be compared with the present one, and two equal contents of one unit look equal. Keys are wrapped with
AES-256-GCM under the master key. Without the two files a dump of the database shows nothing that was sealed.
"""

import os
import secrets
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV

from cloud.errors import SettingsError, StoreError
from cloud.store.sealing import SEALED

__all__ = ["UnitVault", "new_master", "open_vault"]

_NONCE_BYTES = 12
_MASTER_BYTES = 32
_DATA_KEY_BYTES = 64  # AES-SIV with AES-256 takes two keys
_WRAPS = b"minglou/unit-key/1\0"
_AT_ONCE = 500


class UnitVault:
    """The data keys of one site's units."""

    def __init__(self, file: Path, master: bytes) -> None:
        self._file, self._master = file, AESGCM(master)
        self._held: dict[bytes, AESSIV] = {}
        _make(file)
        self._database = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        # Keys are on disk before anything is sealed under them; what is rewrapped leaves no copy in a journal.
        for pragma in ("secure_delete=ON", "journal_mode=TRUNCATE", "synchronous=FULL", "busy_timeout=15000"):
            self._database.execute(f"PRAGMA {pragma}")
        self._database.execute("CREATE TABLE IF NOT EXISTS unit_keys (unit BLOB PRIMARY KEY, wrapped BLOB NOT NULL)")

    def seal(self, purpose: str, rows: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
        """Sealed contents of (unit, content) rows; a unit's first one makes its key."""
        keys = self._keys({unit for unit, _ in rows}, makes=True)
        return [SEALED + keys[unit].encrypt(content, [purpose.encode(), unit]) for unit, content in rows]

    def unseal(self, purpose: str, rows: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
        """Contents of (unit, sealed) rows. Raises `StoreError` where a key is missing or a row was altered."""
        keys = self._keys({unit for unit, _ in rows}, makes=False)
        found = []
        for unit, sealed in rows:
            if unit not in keys:
                raise StoreError(f"no data key of unit {unit.hex()[:8]}…; bring back the key store {self._file}")
            try:
                found.append(keys[unit].decrypt(sealed[len(SEALED) :], [purpose.encode(), unit]))
            except InvalidTag as error:
                raise StoreError(f"{purpose} of unit {unit.hex()[:8]}… do not open: altered, or another key") from error
        return found

    def rewrap(self, master: bytes) -> int:
        """Wrap every key under another master key, in one transaction; how many."""
        other = AESGCM(master)
        with self._transaction():
            rows = self._database.execute("SELECT unit, wrapped FROM unit_keys").fetchall()
            self._database.executemany(
                "UPDATE unit_keys SET wrapped = ? WHERE unit = ?",
                [(_wrap(other, unit, self._unwrap(unit, wrapped)), unit) for unit, wrapped in rows],
            )
        self._master = other
        return len(rows)

    def close(self) -> None:
        self._database.close()

    def _transaction(self) -> sqlite3.Connection:
        self._database.execute("BEGIN IMMEDIATE")
        return self._database  # as a context it commits, or rolls back

    def _keys(self, units: Iterable[bytes], *, makes: bool) -> dict[bytes, AESSIV]:
        """The keys of these units, as far as there are any."""
        wanted = set(units)
        self._held.update(self._read(wanted - self._held.keys()))
        missing = wanted - self._held.keys()
        if makes and missing:
            self._make(missing)
            self._held.update(self._read(missing))
        return {unit: self._held[unit] for unit in wanted & self._held.keys()}

    def _read(self, units: Iterable[bytes]) -> dict[bytes, AESSIV]:
        ordered, found = sorted(units), {}
        for at in range(0, len(ordered), _AT_ONCE):
            some = ordered[at : at + _AT_ONCE]
            marks = ",".join("?" * len(some))
            query = f"SELECT unit, wrapped FROM unit_keys WHERE unit IN ({marks})"  # noqa: S608 - marks alone
            for unit, wrapped in self._database.execute(query, some):
                found[unit] = AESSIV(self._unwrap(unit, wrapped))
        return found

    def _make(self, units: Iterable[bytes]) -> None:
        rows = [(unit, _wrap(self._master, unit, secrets.token_bytes(_DATA_KEY_BYTES))) for unit in units]
        with self._transaction():
            self._database.executemany("INSERT OR IGNORE INTO unit_keys VALUES (?, ?)", rows)

    def _unwrap(self, unit: bytes, wrapped: bytes) -> bytes:
        try:
            return self._master.decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], _WRAPS + unit)
        except InvalidTag as error:
            raise StoreError(f"{self._file}: wrapped under another master key; name the right one") from error


def open_vault(folder: Path, master_file: Path) -> UnitVault:
    """The vault in a folder of its own, and its master key; both made where they do not exist.

    Raises:
        SettingsError: a file can be read by others, or the master key is none, or is missing beside kept keys.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = folder / "units.sqlite3"
    if not master_file.exists() and file.exists():
        raise SettingsError(f"master key {master_file} is missing; bring it back: without it nobody reads {file}")
    return UnitVault(file, new_master(master_file))


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
        write_master(file, secrets.token_bytes(_MASTER_BYTES))
    return read_master(file)


def write_master(file: Path, master: bytes) -> None:
    """Keep a master key where no file is, readable by its owner only."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        opened.write(master.hex() + "\n")


def _make(file: Path) -> None:
    if not file.exists():
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600))
    if file.stat().st_mode & 0o077:
        raise SettingsError(f"key store {file} can be read by others; run: chmod 600 {file}")


def _wrap(master: AESGCM, unit: bytes, key: bytes) -> bytes:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + master.encrypt(nonce, key, _WRAPS + unit)
