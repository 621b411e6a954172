"""What `minglou cloud up` keeps, and where. The same places as `minglou provision site apply --dir` uses."""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cloud.errors import SettingsError

__all__ = ["PARTIES", "Places", "ensure_chain_key", "held", "write_new"]

PARTIES = ("deployer", "manager", "committee", "operator", "registrar", "relayer", "cashier")
_ORDER = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141  # of secp256k1


@dataclass(frozen=True, slots=True)
class Places:
    """The files below one folder."""

    root: Path

    @property
    def home(self) -> Path:
        """The cloud's own: settings, data, and what provisioning writes for it."""
        return self.root / "cloud"

    @property
    def settings(self) -> Path:
        return self.home / "cloud.toml"

    @property
    def data(self) -> Path:
        return self.home / "data"

    @property
    def directory(self) -> Path:
        return self.home / "directory.json"

    @property
    def keys(self) -> Path:
        return self.root / "keys"

    @property
    def super_log_key(self) -> Path:
        return self.keys / "superlog.pem"

    @property
    def chain(self) -> Path:
        return self.root / "chain"

    @property
    def chain_state(self) -> Path:
        """What the development chain of this folder has on disk."""
        return self.chain / "state.json"

    @property
    def named_chain(self) -> Path:
        """The address of a chain that was given by --chain: somebody else runs it, wherever it is."""
        return self.chain / "named"

    @property
    def lock(self) -> Path:
        return self.root / "up.lock"

    @property
    def deployment(self) -> Path:
        return self.chain / "deployment.json"

    @property
    def trust(self) -> Path:
        return self.root / "trust.json"

    def key(self, party: str) -> Path:
        """The chain key of a party; in production each party keeps its own elsewhere."""
        return self.keys / f"{party}.key"

    def make(self) -> None:
        """The folders, for their owner alone. Raises `SettingsError`."""
        try:
            for folder in (self.root, self.home, self.data, self.keys, self.chain):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(f"folder {self.root} cannot be made: {error}; name another with --dir") from error


@contextmanager
def held(places: Places) -> Iterator[None]:
    """The folder for this process alone: another one would end our chain and begin its own upon the same state.

    Raises:
        SettingsError: another process holds it.
    """
    try:
        file = os.fdopen(os.open(places.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+")
    except OSError as error:
        raise SettingsError(f"{places.lock} cannot be opened: {error}; run this as the folder's owner") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SettingsError(
                f"another `minglou cloud up` (process {file.read().strip()}) runs on {places.root}; "
                "end that one first, or name another folder with --dir"
            ) from error
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def write_new(path: Path, text: str) -> bool:
    """Write a file for its owner alone, whole or not at all; False where there is one, which stays as it is."""
    if path.exists():
        return False
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    return True


def ensure_chain_key(path: Path) -> None:
    """A secp256k1 key in hex, made where there is none."""
    write_new(path, f"0x{1 + secrets.randbelow(_ORDER - 1):064x}\n")
