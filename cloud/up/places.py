"""What `minglou cloud up` keeps, and where. The same places as `minglou provision site apply --dir` uses."""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from cloud.errors import SettingsError

__all__ = ["PARTIES", "Places", "ensure_chain_key", "write_new"]

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
