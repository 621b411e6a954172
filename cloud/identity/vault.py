"""What opens households' data: sealing under per-unit and per-device data keys that are held apart from the database.

What a bill says is sealed with AES-SIV (RFC 5297) under the unit's own 64 random bytes: the same content gives the same
bytes, so that a rebuilt table can be compared with the present one, and two equal contents of one unit look equal.
Readings are XORed with AES-256 in counter mode under their device's key (`cloud.store.readings`). Without the key store
and the master key a dump of the database shows nothing that was sealed.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from threading import Lock

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from cloud.errors import SettingsError, StoreError
from cloud.identity.key_store import DataKey, KeyStore, new_master, read_master
from cloud.identity.keys_at_hand import KeysAtHand
from cloud.store.sealing import DEVICES, SEALED, UNITS

__all__ = ["Vault", "open_vault"]

_HELD_MAX = 32_768
"""Keys of devices, and of units, that are kept ready, at about 1.3 KB each."""


class _DeviceKey:
    """AES under one device's key, its schedule computed once."""

    __slots__ = ("_encryptor", "_lock", "tag")

    def __init__(self, key: DataKey) -> None:
        self.tag = key.tag
        # ECB over counters that the caller makes is counter mode with counters of his own.
        self._encryptor = Cipher(algorithms.AES(key.key), modes.ECB()).encryptor()  # noqa: S305
        self._lock = Lock()  # a cipher's state is for one thread at a time

    def blocks(self, counters: bytes) -> bytes:
        with self._lock:
            return self._encryptor.update(counters)


class Vault:
    """The data keys of one site's units and devices. The files are made when a store first meets them."""

    def __init__(self, folder: Path, master_file: Path) -> None:
        self._folder, self._master_file = folder, master_file
        self._opened: KeyStore | None = None
        self._units = KeysAtHand[bytes, list[AESSIV]](_HELD_MAX)
        self._present = KeysAtHand[bytes, _DeviceKey](_HELD_MAX)
        self._held = KeysAtHand[tuple[bytes, int], _DeviceKey](_HELD_MAX)
        self._lock = Lock()
        self.seals_readings = False  # until the store says so

    @property
    def file(self) -> Path:
        return self._folder / "units.sqlite3"

    @property
    def is_there(self) -> bool:
        """Whether the key store exists already."""
        return self.file.exists()

    @property
    def keys(self) -> KeyStore:
        """The key store, opened or made. Raises `SettingsError`."""
        if self._opened is None:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._opened = KeyStore(self.file, new_master(self._master_file))
        if self._opened.was_changed():  # by another process: a key that was destroyed there must seal nothing here
            self._forget()
        return self._opened

    # ---- units ----

    def seal(self, purpose: str, rows: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
        """Sealed contents of (unit, content) rows; a unit's first one makes its key."""
        units = {unit for unit, _ in rows}
        with self._lock:
            held = self._unit_keys(units)
            if newcomers := units - held.keys():
                self.keys.present(UNITS, newcomers, makes=True)
                held |= self._unit_keys(newcomers)
        return [SEALED + held[unit][-1].encrypt(content, [purpose.encode(), unit]) for unit, content in rows]

    def unseal(self, purpose: str, rows: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
        """Contents of (unit, sealed) rows. Raises `StoreError` where a key is missing or a row was altered."""
        with self._lock:
            held = self._unit_keys({unit for unit, _ in rows})
        return [self._opened_content(held, purpose, unit, sealed) for unit, sealed in rows]

    def _opened_content(
        self, held: Mapping[bytes, Sequence[AESSIV]], purpose: str, unit: bytes, sealed: bytes
    ) -> bytes:
        if unit not in held:
            raise StoreError(f"no data key of unit {unit.hex()[:8]}…; bring back the key store {self.file}")
        for key in reversed(held[unit]):
            try:
                return key.decrypt(sealed[len(SEALED) :], [purpose.encode(), unit])
            except InvalidTag:
                continue
        raise StoreError(f"{purpose} of unit {unit.hex()[:8]}… do not open: altered, or another key")

    def _unit_keys(self, units: Collection[bytes]) -> dict[bytes, list[AESSIV]]:
        """The keys of these units, oldest first, as far as there are any."""
        keys = self.keys
        found = self._units.find(units)
        missing = [unit for unit in units if unit not in found]
        if missing:
            fresh = {
                unit: [AESSIV(key.key) for key in several] for unit, several in keys.all_of(UNITS, missing).items()
            }
            found |= fresh
            self._units.keep(fresh.items())
        return found

    # ---- devices ----

    def present_keys(self, devices: Collection[bytes]) -> Mapping[bytes, _DeviceKey]:
        """The keys that seal what these devices say now; a device's first entry makes its key."""
        with self._lock:
            keys = self.keys
            found = self._present.find(devices)
            missing = [device for device in devices if device not in found]
            if missing:
                made = keys.present(DEVICES, missing, makes=True)
                fresh = {device: _DeviceKey(key) for device, key in made.items()}
                found |= fresh
                self._present.keep(fresh.items())
            return found

    def keys_of(self, wanted: Collection[tuple[bytes, int]]) -> Mapping[tuple[bytes, int], _DeviceKey]:
        """Keys by device and tag, as far as they are there."""
        with self._lock:
            keys = self.keys
            found = self._held.find(wanted)
            missing = [one for one in wanted if one not in found]
            if missing:
                stored = keys.all_of(DEVICES, {device for device, _ in missing})
                tagged = {(device, key.tag): key for device, keys in stored.items() for key in keys}
                fresh = {one: _DeviceKey(tagged[one]) for one in missing if one in tagged}
                found |= fresh
                self._held.keep(fresh.items())
            return found

    def is_destroyed(self, device: bytes, tag: int) -> bool:
        """Whether a key was destroyed so that nobody reads what it sealed."""
        with self._lock:
            return (device, tag) in self.keys.destroyed(DEVICES, [device])

    # ---- the whole ----

    def elsewhere(self) -> Callable[[], "Vault"]:
        """What another process opens the same keys with."""
        return partial(open_vault, self._folder, self._master_file)

    @property
    def fingerprint(self) -> bytes:
        """16 bytes that tell this key store from every other; the key store is made where there is none."""
        with self._lock:
            return self.keys.fingerprint

    def marks(self, table: str) -> list[tuple[bytes, int, int]]:
        """Owner, tag and time of every key that was destroyed."""
        with self._lock:
            return self.keys.marks(table)

    def generations(self, table: str, owners: Collection[bytes]) -> dict[bytes, list[DataKey]]:
        """Every key of these owners that is not destroyed, oldest first; owners without one are left out."""
        with self._lock:
            return self.keys.all_of(table, owners)

    def rewrap(self, master: bytes) -> int:
        """Wrap every key under another master key, in one transaction; how many."""
        with self._lock:
            return self.keys.rewrap(master)

    def destroy(self, table: str, keys: Collection[tuple[bytes, int, int]]) -> int:
        """Destroy keys by owner, tag and time; how many were there."""
        with self._lock:
            count = self.keys.destroy(table, keys) if keys else 0
            self._forget()
        return count

    def renew(self, table: str, owners: Collection[bytes]) -> None:
        """A next generation for each owner that has a key; it seals from now on."""
        with self._lock:
            self.keys.renew(table, owners)
            self._forget()

    def _forget(self) -> None:
        self._units.clear()
        self._present.clear()
        self._held.clear()

    def close(self) -> None:
        if self._opened is not None:
            self._opened.close()
            self._opened = None


def open_vault(folder: Path, master_file: Path) -> Vault:
    """The vault in a folder of its own, and its master key; both are made when a store first meets them.

    Raises:
        SettingsError: a file can be read by others, or the master key is none, or is missing beside kept keys.
    """
    vault = Vault(folder, master_file)
    if vault.is_there:
        if not master_file.exists():
            raise SettingsError(
                f"master key {master_file} is missing; bring it back: nobody reads {vault.file} without"
            )
        _ = vault.keys
    elif master_file.exists():
        read_master(master_file)
    return vault
