"""A mirror's settings: one TOML file, read once, every key checked."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from cloud.errors import SettingsError
from cloud.toml_table import Table, read_toml
from contracts.copy_note import is_copy_name
from contracts.errors import TrustError
from contracts.trust import TRUST_BYTES_MAX, Trust, parse_trust

__all__ = ["MirrorSettings", "PinnedKey", "load_mirror_settings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedKey:
    """A gateway's key that the mirror knows by itself."""

    origin: str
    public: bytes  # x || y


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorSettings:
    """Everything `minglou mirror` reads. Real seconds."""

    name: str
    data_dir: Path
    key_file: Path
    cloud_url: str
    token_file: Path
    pause_seconds: float
    acknowledge_seconds: float
    trust: Trust | None
    rpc_url: str
    pinned: Sequence[PinnedKey]

    @property
    def segments(self) -> Path:
        """Where the copy is."""
        return self.data_dir / "segments"

    @property
    def contradictions(self) -> Path:
        """Where proofs of what contradicts the copy are kept."""
        return self.data_dir / "contradictions"


def load_mirror_settings(file: Path) -> MirrorSettings:
    """The settings of a mirror.

    Raises:
        SettingsError: naming file, table, key and remedy.
    """
    document = read_toml(file)
    unknown = set(document) - {"mirror", "cloud", "keys", "gateway"}
    if unknown:
        raise SettingsError(f"{file}: unknown tables {', '.join(sorted(unknown))}; remove or correct them")
    mirror, cloud, keys = (Table(file, name, document.get(name, {})) for name in ("mirror", "cloud", "keys"))
    data_dir = mirror.needed_path("data_dir")
    trust_file = keys.path("trust_file", None)
    settings = MirrorSettings(
        name=mirror.take("name", str),
        data_dir=data_dir,
        key_file=mirror.path("key_file", None) or data_dir / "copy.pem",
        cloud_url=cloud.take("url", str).rstrip("/"),
        token_file=cloud.needed_path("token_file"),
        pause_seconds=mirror.take("seconds", float, 10.0),
        acknowledge_seconds=mirror.take("acknowledge_seconds", float, 60.0),
        trust=None if trust_file is None else _trust(trust_file),
        rpc_url=keys.take("rpc", str, ""),
        pinned=_pinned(file, document.get("gateway", [])),
    )
    for table in (mirror, cloud, keys):
        table.done()
    _check(file, settings)
    return settings


def _check(file: Path, settings: MirrorSettings) -> None:
    if not is_copy_name(settings.name):
        raise SettingsError(f"{file}: [mirror] name {settings.name!r}: write a host, maybe with a path, in lower case")
    for what, url in (("[cloud] url", settings.cloud_url), ("[keys] rpc", settings.rpc_url)):
        if url and urlsplit(url).scheme not in ("http", "https"):
            raise SettingsError(f"{file}: {what} is {url!r}; write http://HOST:PORT or https://HOST")
    if bool(settings.trust) != bool(settings.rpc_url):
        raise SettingsError(f"{file}: [keys] needs trust_file and rpc together: which Registry, and whom to ask")
    if settings.trust is None and not settings.pinned:
        raise SettingsError(f"{file}: no keys; write [keys] trust_file and rpc, or a table [[gateway]] for each log")


def _pinned(file: Path, written: object) -> Sequence[PinnedKey]:
    if not isinstance(written, list):
        raise SettingsError(f"{file}: write each pinned key as a table [[gateway]]")
    found = []
    for values in written:
        table = Table(file, "[gateway]", values)
        origin, text = table.take("origin", str), table.take("key", str)
        table.done()
        if len(text) != 128:
            raise SettingsError(f"{file}: [[gateway]] key of {origin}: write x || y as 128 hex digits")
        found.append(PinnedKey(origin=origin, public=bytes.fromhex(text)))
    return found


def _trust(file: Path) -> Trust:
    try:
        with file.open("rb") as opened:
            return parse_trust(opened.read(TRUST_BYTES_MAX + 1))
    except (OSError, TrustError) as error:
        raise SettingsError(f"trust file {file}: {error}; take it from the notice board's address") from error
