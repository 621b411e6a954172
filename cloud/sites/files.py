"""The settings files of all sites of a process: read together, held apart from each other."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cloud.errors import SettingsError
from cloud.settings import CloudSettings, load_settings

__all__ = ["FoundSites", "SiteFile", "SiteFiles"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteFile:
    """One site's settings as they were read."""

    path: Path
    digest: bytes  # of the file; another one means that somebody has changed it
    settings: CloudSettings
    hosts: frozenset[str]  # it answers to; empty: to whatever it is called, which one site alone may


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundSites:
    """What stands in the files now."""

    sites: Sequence[SiteFile] = ()
    wrong: Mapping[Path, str] = field(default_factory=dict)  # what is the matter with the others


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteFiles:
    """Which files to read: those that were named, or every `*.toml` of a folder."""

    named: tuple[Path, ...] = ()
    folder: Path | None = None

    @property
    def words(self) -> list[str]:
        """The same as arguments of a command."""
        if self.folder is not None:
            return ["--sites", str(self.folder)]
        return [word for path in self.named for word in ("--config", str(path))]

    def read(self, present: Sequence[SiteFile] = (), *, first: SiteFile | None = None) -> FoundSites:
        """All sites whose settings are right, and what is wrong with the others.

        Args:
            present: sites that are served already. One whose file has become wrong stays as it was. Where two claim
                the same thing, the one that has it keeps it.
            first: the site by whose settings the process runs; the first of those that are found where it is None.

        Raises:
            SettingsError: the folder cannot be read.
        """
        paths = self._paths()
        is_alone = self.folder is None and len(paths) == 1
        sites = [one for one in present if one.path in paths and one.digest == _digest(one.path)]
        before = {one.path: one for one in present}
        wrong: dict[Path, str] = {}
        others = [path for path in paths if path not in {one.path for one in sites}]
        for path in sorted(others, key=lambda path: path not in before):
            try:
                site = _read(path, is_alone=is_alone)
                _check_shared(site, first or next(iter(sites), site))
                for other in sites:
                    _check_apart(site, other)
            except SettingsError as error:
                wrong[path] = str(error)
                if path in before:
                    sites.append(before[path])
            else:
                sites.append(site)
        return FoundSites(sites=tuple(sites), wrong=wrong)

    def _paths(self) -> list[Path]:
        if self.folder is None:
            return list(dict.fromkeys(path.absolute() for path in self.named))
        try:
            return sorted(path.absolute() for path in self.folder.iterdir() if path.suffix == ".toml")
        except OSError as error:
            says = f"folder of sites {self.folder} cannot be read: {error}; put each site's settings there as NAME.toml"
            raise SettingsError(says) from error


def _digest(path: Path) -> bytes:
    """SHA-256 of a file; empty where it cannot be read, which reading it will say."""
    try:
        return hashlib.sha256(path.read_bytes()).digest()
    except OSError:
        return b""


def _read(path: Path, *, is_alone: bool) -> SiteFile:
    digest = _digest(path)
    settings = load_settings(path)
    if not settings.hosts and not is_alone:
        settings = replace(settings, hosts=(str(urlsplit(settings.public_url).hostname),))
    return SiteFile(path=path, digest=digest, settings=settings, hosts=frozenset(settings.hosts))


def _check_shared(site: SiteFile, first: SiteFile) -> None:
    """What the process has once, its sites' settings say alike. Raises `SettingsError`."""
    ours, its = site.settings, first.settings
    for what, one, two in (
        ("[cloud] listen", (ours.host, ours.port), (its.host, its.port)),
        ("[cloud] workers", ours.workers, its.workers),
        ("[cloud] log_level", ours.log_level, its.log_level),
        ("[telemetry]", ours.telemetry, its.telemetry),
    ):
        if one != two:
            says = f"{site.path}: {what} is not what {first.path} says; sites of one process share it: write the same"
            raise SettingsError(says)


def _check_apart(site: SiteFile, other: SiteFile) -> None:
    """Everything else is one site's alone. Raises `SettingsError`."""
    taken = dict(_own(other))
    for thing, what in _own(site):
        if thing in taken:
            raise SettingsError(
                f"{site.path}: {what} is the one of {other.path} ({taken[thing]}); give each site its own"
            )


def _own(site: SiteFile) -> Iterator[tuple[Any, str]]:
    """What one site has to itself, each with the name of its setting."""
    settings = site.settings
    for host in sorted(site.hosts):
        yield ("host", host), f"the host {host} in [cloud] hosts"
    yield ("origin", settings.super_origin), "[super_log] origin"
    if settings.ingest_log is not None:
        yield ("stream", settings.ingest_log.stream), "[ingest_log] stream"
    yield from _own_files(settings)
    yield _database(settings.store_url), "[store] url"


def _own_files(settings: CloudSettings) -> Iterable[tuple[Any, str]]:
    files: tuple[tuple[Path | None, str], ...] = (
        (settings.data_dir, "[cloud] data_dir"),
        (settings.directory_file, "[cloud] directory_file"),
        (settings.trust_file, "[cloud] trust_file"),
        (settings.super_key_file, "[super_log] key_file"),
        (settings.relayer_key_file, "[chain] relayer_key_file"),
        (settings.chain.deployment_file if settings.chain else None, "[chain] deployment_file"),
        (settings.keys_dir, "[identity] keys_dir"),
        (settings.master_key_file, "[identity] master_key_file"),
        (settings.claims_file, "[ingest] claims_file"),
        (settings.segments.folder, "[segments] folder"),
    )
    return ((("file", path.resolve()), what) for path, what in files if path is not None)


def _database(url: str) -> tuple[Any, ...]:
    from sqlalchemy.engine import make_url  # costs time, and only who serves several sites asks

    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return ("file", Path(str(parsed.database)).resolve())
    host = parsed.host or parsed.query.get("host") or "localhost"
    port = parsed.port or parsed.query.get("port") or 5432
    return ("database", host, int(str(port)), parsed.database)
