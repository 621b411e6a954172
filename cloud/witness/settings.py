"""A witness's settings: its name, its two files, and the logs it watches."""

from dataclasses import dataclass
from pathlib import Path

from cloud.errors import SettingsError
from cloud.toml_table import Table, read_toml
from contracts.errors import NoteError
from contracts.note import ED25519, VerifierKey, parse_vkey

__all__ = ["WitnessSettings", "load_witness_settings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessSettings:
    """Everything `minglou witness run` reads."""

    name: str
    host: str
    port: int
    key_file: Path
    state_file: Path
    logs: tuple[VerifierKey, ...]  # a log's origin is its key's name; a log may have several keys
    requests_per_second: float  # of one address


def load_witness_settings(file: Path) -> WitnessSettings:
    """The settings in a TOML file.

    Raises:
        SettingsError: naming file, table, key and remedy.
    """
    document = Table(file, "file", read_toml(file))
    witness = Table(file, "witness", document.take("witness", dict))
    host, _, port = str(witness.take("listen", str, "127.0.0.1:8700")).rpartition(":")
    if not host or not port.isdecimal():
        raise SettingsError(f'{file}: [witness] listen must be "ADDRESS:PORT"')
    name = witness.take("name", str)
    settings = WitnessSettings(
        name=_name(file, name),
        host=host.strip("[]"),
        port=int(port),
        key_file=witness.path("key_file", "witness.pem") or file,
        state_file=witness.path("state_file", "witness.sqlite3") or file,
        logs=tuple(_log(file, log) for log in document.tables("log")),
        requests_per_second=witness.take("requests_per_second", float, 20.0),
    )
    if not settings.logs:
        raise SettingsError(f"{file}: no [[log]] is named; add one with the vkey that its operator publishes")
    witness.done()
    document.done()
    return settings


def _log(file: Path, log: Table) -> VerifierKey:
    try:
        key = parse_vkey(log.take("vkey", str), signature_type=ED25519)
    except NoteError as error:
        raise SettingsError(f"{file}: [[log]] {error}") from error
    log.done()
    return key


def _name(file: Path, name: str) -> str:
    if not name or "+" in name or any(letter.isspace() or letter < " " for letter in name) or len(name) > 128:
        raise SettingsError(
            f"{file}: [witness] name {name[:40]!r} must be 1 to 128 characters without spaces or plus, "
            "best a host of yours and a word, such as committee.example/w1"
        )
    return name
