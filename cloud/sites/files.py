"""The settings files of all sites of a process: read together, held apart from each other."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cloud.errors import SettingsError
from cloud.settings import CloudSettings, load_settings
from cloud.sites.belongings import Thing, belongings

__all__ = ["FoundSites", "SiteFile", "SiteFiles"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteFile:
    """One site's settings as they were read."""

    path: Path
    digest: bytes  # of the file; another one means that somebody has changed it
    settings: CloudSettings
    own: Mapping[Thing, str]  # what no other site may have, each with the name of its setting

    @property
    def hosts(self) -> frozenset[str]:
        """The names it answers to; none: whatever it is called, which one site alone may."""
        return frozenset(self.settings.hosts)


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
            first: the site by whose settings the process runs; where it is None, one that says what most of them say.

        Raises:
            SettingsError: the folder cannot be read.
        """
        paths = self._paths()
        is_alone = self.folder is None and len(paths) == 1
        sites = {one.path: one for one in present if one.path in paths}
        new, wrong = dict[Path, SiteFile](), dict[Path, str]()
        for path in sorted(paths, key=lambda path: path not in sites):
            if path in sites and sites[path].digest == _digest(path):
                continue
            try:
                new[path] = _read(path, is_alone=is_alone)
            except SettingsError as error:
                says = str(error)
                wrong[path] = says if str(path) in says else f"{path}: {says}"
            except Exception as error:  # noqa: BLE001 - whatever is in one site's file, the others are served
                wrong[path] = f"{path}: {type(error).__name__}: {error}; correct what you changed last"
        wrong |= _let_in(new, sites, first)
        return FoundSites(sites=tuple(sites.values()), wrong=wrong)

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
        own = str(urlsplit(settings.public_url).hostname)
        settings = replace(settings, hosts=(f"[{own}]" if ":" in own else own,))
    return SiteFile(path=path, digest=digest, settings=settings, own=belongings(path, settings))


def _let_in(new: Mapping[Path, SiteFile], sites: dict[Path, SiteFile], first: SiteFile | None) -> dict[Path, str]:
    """Give newcomers their place among `sites`, each judged by all that have theirs; what is wrong with the others.

    Who is refused is asked again when others have moved: they may have given up what it wants.
    """
    if not new:
        return {}
    first = first or _most_common([*(sites or new).values()])
    while True:
        refused: dict[Path, str] = {}
        for path, site in new.items():
            try:
                _check_shared(site, first)
                for other in sites.values():
                    if other.path != path:
                        _check_apart(site, other)
            except SettingsError as error:
                refused[path] = str(error)
            else:
                sites[path] = site
        if len(refused) in (0, len(new)):
            return refused
        new = {path: new[path] for path in refused}


def _shared(site: SiteFile) -> tuple[tuple[str, Any], ...]:
    """What a process has once."""
    settings = site.settings
    return (
        ("[cloud] listen", (settings.host, settings.port)),
        ("[cloud] workers", settings.workers),
        ("[cloud] log_level", settings.log_level),
        ("[telemetry]", settings.telemetry),
    )


def _most_common(sites: Sequence[SiteFile]) -> SiteFile:
    """One that says what most of them say: a mistake in the first file must not keep all others from being served."""
    said = Counter(_shared(site) for site in sites)
    return max(sites, key=lambda site: said[_shared(site)])


def _check_shared(site: SiteFile, first: SiteFile) -> None:
    """What the process has once, its sites' settings say alike. Raises `SettingsError`."""
    for (what, ours), (_, its) in zip(_shared(site), _shared(first), strict=True):
        if ours != its:
            says = f"{site.path}: {what} is not what {first.path} says; sites of one process share it: write the same"
            raise SettingsError(says)


def _check_apart(site: SiteFile, other: SiteFile) -> None:
    """Everything else is one site's alone. Raises `SettingsError`."""
    for thing, what in site.own.items():
        if thing in other.own:
            says = f"{what} is the one of {other.path} ({other.own[thing]}); give each site its own"
            raise SettingsError(f"{site.path}: {says}")
