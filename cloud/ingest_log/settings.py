"""The table `[ingest_log]`: which NATS servers, with what right, and how much they keep."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloud.errors import SettingsError
from cloud.toml_table import Table

__all__ = ["IngestLogSettings", "ingest_log_from_settings"]

_STREAM = re.compile(r"[A-Za-z0-9_-]{1,32}")
_SUBJECT = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+){0,3}")
_SCHEMES = ("nats://", "tls://")
_GIB = 1024**3


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestLogSettings:
    """Where the replicated log is and how large it may grow. Real seconds."""

    servers: tuple[str, ...]
    user: str | None = None
    password_file: Path | None = None
    ca_file: Path | None = None  # with it, or with tls:// servers, the connection is encrypted
    certificate_file: Path | None = None  # our own, where the servers ask for one
    key_file: Path | None = None
    stream: str = "minglou-entries"
    subject: str = "minglou.entries"
    replicas: int = 3
    bytes_max: int = 64 * _GIB
    keep_seconds: float = 24 * 3600.0  # of what is in the store already
    answer_seconds: float = 10.0  # while a new leader is elected, say
    redeliver_seconds: float = 30.0  # after which another consumer gets what one did not acknowledge


def ingest_log_from_settings(file: Path, document: Mapping[str, Any]) -> IngestLogSettings | None:
    """The settings; None where there is no such table: the store is the log.

    Raises:
        SettingsError: naming key and remedy.
    """
    if "ingest_log" not in document:
        return None
    table = Table(file, "ingest_log", document["ingest_log"])
    settings = IngestLogSettings(
        servers=_servers(file, table.take("servers", list)),
        user=table.take("user", str, None),
        password_file=table.path("password_file", None),
        ca_file=table.path("ca_file", None),
        certificate_file=table.path("certificate_file", None),
        key_file=table.path("key_file", None),
        stream=table.take("stream", str, "minglou-entries"),
        subject=table.take("subject", str, "minglou.entries"),
        replicas=table.take("replicas", int, 3),
        bytes_max=int(table.take("gib", float, 64.0) * _GIB),
        keep_seconds=table.take("keep_hours", float, 24.0) * 3600,
        answer_seconds=table.take("answer_seconds", float, 10.0),
        redeliver_seconds=table.take("redeliver_seconds", float, 30.0),
    )
    table.done()
    _check(file, settings)
    return settings


def _servers(file: Path, written: Any) -> tuple[str, ...]:
    if not written or not all(isinstance(url, str) and url.startswith(_SCHEMES) for url in written):
        raise SettingsError(f'{file}: [ingest_log] servers must list URLs such as ["nats://10.0.0.1:4222"]')
    if any("@" in url for url in written):
        raise SettingsError(f"{file}: [ingest_log] servers must not hold a password; use user and password_file")
    return tuple(written)


def _check(file: Path, settings: IngestLogSettings) -> None:
    if settings.replicas not in (1, 3, 5):
        raise SettingsError(f"{file}: [ingest_log] replicas is {settings.replicas}; write 3, 5, or 1 to try it out")
    if not _STREAM.fullmatch(settings.stream) or not _SUBJECT.fullmatch(settings.subject):
        raise SettingsError(
            f"{file}: [ingest_log] stream is a word such as minglou-entries, subject one such as minglou.entries"
        )
    if (settings.user is None) != (settings.password_file is None):
        raise SettingsError(f"{file}: [ingest_log] user and password_file belong together")
    if (settings.certificate_file is None) != (settings.key_file is None):
        raise SettingsError(f"{file}: [ingest_log] certificate_file and key_file belong together")
    if settings.bytes_max < 64 * 1024**2 or settings.keep_seconds < 60:
        raise SettingsError(f"{file}: [ingest_log] gib must be at least 0.0625 and keep_hours at least 0.02")
    if settings.answer_seconds < 1 or settings.redeliver_seconds < 2:
        raise SettingsError(f"{file}: [ingest_log] answer_seconds must be at least 1, redeliver_seconds at least 2")
