"""All sites of a process: opened beside each other, added and taken away while the others go on."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from cloud.errors import CloudError, SettingsError
from cloud.operations.metrics import Figures
from cloud.service import Cloud
from cloud.sites.dispatch import Dispatch
from cloud.sites.files import FoundSites, SiteFile, SiteFiles
from cloud.sites.observed import observe_sites
from cloud.sites.site import Site
from cloud.sites.travels import elsewhere_of
from contracts.ending import end_tasks

__all__ = ["Keeper"]

_log = logging.getLogger("cloud")
_WAITING_BYTES_MAX, _WAITING_BYTES_OF_ONE = 64 * 1024 * 1024, 8 * 1024 * 1024
_START_SECONDS = 10.0  # how long sites that are up wait for those that are not, before the process serves
_END_SECONDS = 20.0


class Keeper:
    """The sites of one process, and the application in front of them."""

    def __init__(self, files: SiteFiles) -> None:
        self._files = files
        self._figures = Figures()
        self._migrating = asyncio.Lock()
        self._changing = asyncio.Lock()
        self._running: dict[Site, asyncio.Task[None]] = {}
        self._first: SiteFile | None = None  # by whose settings the process itself runs
        self._wrong: Mapping[Path, str] = {}
        self.app = Dispatch(self)

    @property
    def sites(self) -> tuple[Site, ...]:
        """All that are to be served."""
        return tuple(self._running)

    @property
    def wrong(self) -> Mapping[Path, str]:
        """Files that cannot be used, each with what is the matter."""
        return self._wrong

    @property
    def clouds(self) -> tuple[Cloud, ...]:
        """Those of the sites that run."""
        return tuple(site.cloud for site in self.sites if site.cloud is not None)

    async def figures(self) -> bytes:
        """Of all sites and the process, in Prometheus' text format."""
        down = [site.name for site in self.sites if site.cloud is None]
        return await self._figures.exposition(self.clouds, down=down)

    @asynccontextmanager
    async def opened(self, found: FoundSites) -> AsyncIterator[None]:
        """The sites run while the block does.

        Raises:
            CloudError: not one of them could be opened; it is the first one's trouble.
        """
        self._first = found.sites[0] if found.sites else None
        if self._first is not None and self._first.settings.telemetry is not None:
            observe_sites(lambda: self.clouds)
        try:
            await self._take_in(found)
            await self._wait_for_one()
            yield
        finally:
            await self._end(self.sites)

    async def renew(self) -> None:
        """Read the files again: begin what is new, end what is gone, open anew what has changed or does not run."""
        async with self._changing:
            try:
                found = self._files.read([site.file for site in self._running], first=self._first)
            except SettingsError as error:
                _log.error("cloud: sites stay as they are: %s", error)
                self._note({self._files.folder or Path(): str(error)})
                return
            stay = {one.path: one for one in found.sites}
            await self._end(
                [site for site in self._running if stay.get(site.file.path) is not site.file or site.trouble]
            )
            await self._take_in(found)

    async def follow(self, has_changed: asyncio.Event) -> None:
        """Read the files again as often as somebody asks for it. Nothing that goes wrong then ends this, or a site."""
        while True:
            await has_changed.wait()
            has_changed.clear()
            try:
                await self.renew()
            except Exception:  # noqa: BLE001 - whatever it is, all sites go on and the next SIGHUP is heard
                _log.exception("cloud: sites stay as they are; send SIGHUP to have their files read again")

    def end(self) -> None:
        """Tell all sites to end."""
        for site in self._running:
            site.end()

    async def _take_in(self, found: FoundSites) -> None:
        self._note(found.wrong)
        for path, says in found.wrong.items():
            _log.error("cloud: settings of site %s are not used: %s", path.stem, says)
        present = {site.file.path for site in self._running}
        new = [file for file in found.sites if file.path not in present]
        share = max(_WAITING_BYTES_OF_ONE, _WAITING_BYTES_MAX // max(1, len(present) + len(new)))
        begun = [self._begin(file, share) for file in new]
        self.app.renew()
        for site in begun:
            if site.file.hosts:
                _log.info("cloud: site %s from %s", ", ".join(sorted(site.file.hosts)), site.file.path)

    def _note(self, wrong: Mapping[Path, str]) -> None:
        self._wrong = wrong
        self._figures.site_files_wrong.set(len(wrong))

    def _begin(self, file: SiteFile, waiting_bytes_max: int) -> Site:
        site = Site(
            file,
            figures=self._figures,
            migrating=self._migrating,
            under_way=self.app.under_way,
            waiting_bytes_max=waiting_bytes_max,
            elsewhere=lambda asking: elsewhere_of(asking, lambda: self.sites),
        )
        self._running[site] = asyncio.create_task(site.run(), name=f"site {site.name}")
        return site

    async def _end(self, sites: "tuple[Site, ...] | list[Site]") -> None:
        """Let sites end, and forget them."""
        tasks = {site: self._running[site] for site in sites}
        for site in tasks:
            site.end()
        if tasks:
            await asyncio.wait(tasks.values(), timeout=_END_SECONDS)
            await end_tasks(tasks.values())
        for site in tasks:
            del self._running[site]
            _log.info("cloud: site %s ended", site.name)
        self.app.renew()

    async def _wait_for_one(self) -> None:
        """Until all sites serve or have failed once; where some serve, for a while only."""
        waiting = {asyncio.create_task(site.is_settled.wait(), name="a site's start") for site in self._running}
        try:
            pause: float | None = _START_SECONDS
            while waiting and not (pause is None and self._is_serving()):
                is_late = pause is None
                _, waiting = await asyncio.wait(
                    waiting, timeout=pause, return_when=asyncio.FIRST_COMPLETED if is_late else asyncio.ALL_COMPLETED
                )
                pause = None
        finally:
            await end_tasks(waiting)
        if not self._is_serving():
            raise next((site.trouble for site in self._running if site.trouble), self._nothing())

    def _is_serving(self) -> bool:
        return any(site.app is not None for site in self._running)

    def _nothing(self) -> CloudError:
        says = "; ".join(self.wrong.values()) or "there is no settings file; put each site's there as NAME.toml"
        return SettingsError(f"there is no site to serve: {says}")
