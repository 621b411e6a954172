"""One site's life in a process: opened, served, opened again after it failed, and closed when it is told to end."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from typing import Any

from fastapi import FastAPI

from cloud.app import build_app
from cloud.errors import CloudError, SettingsError
from cloud.integrity.worker import Elsewhere
from cloud.operations.metrics import Figures
from cloud.operations.readiness import readiness, to_json
from cloud.service import Cloud, open_cloud
from cloud.sites.files import SiteFile
from contracts.ending import end_tasks

__all__ = ["Site"]

_log = logging.getLogger("cloud")
_COUNT_SECONDS = 1.0
_PAUSE_SECONDS, _PAUSE_SECONDS_MAX = 1.0, 30.0
_FINISH_SECONDS = 5.0  # for requests that are under way when a site is taken away
_LOOK_SECONDS = 0.05


class Site:
    """One site. `run` opens it again and again, for what keeps it from running may pass.

    Args:
        under_way: how many requests to it are not answered yet.
        migrating: held while a schema is brought up, for Alembic does one at a time in a process.
        waiting_bytes_max: of batches that wait for its store.
        elsewhere: where visits of its crews at the other sites are found.
    """

    def __init__(
        self,
        file: SiteFile,
        *,
        figures: Figures,
        migrating: asyncio.Lock,
        under_way: "Callable[[Site], int]",
        waiting_bytes_max: int,
        elsewhere: "Callable[[Site], Elsewhere]",
    ) -> None:
        self.file = file
        self.app: FastAPI | None = None  # while it serves
        self.cloud: Cloud | None = None
        self.trouble: Exception | None = None  # why it does not
        self.is_settled = asyncio.Event()  # it serves, or has failed once
        self._figures, self._migrating, self._under_way = figures, migrating, under_way
        self._waiting_bytes_max, self._elsewhere = waiting_bytes_max, elsewhere
        self._is_ending = asyncio.Event()
        self._is_up = figures.site_up.labels(self.name)
        self._is_up.set(0)

    @property
    def name(self) -> str:
        """How people and figures call it: the first of its hosts."""
        return self.file.settings.site

    async def readiness(self) -> Mapping[str, Any]:
        """Its named checks."""
        if self.cloud is None:
            says = "it is being opened" if self.trouble is None else str(self.trouble)
            return {"ready": False, "checks": [{"name": "site", "passed": False, "needed": True, "says": says}]}
        return to_json(await readiness(self.cloud))

    async def run(self) -> None:
        """Until `end`. Whatever goes wrong is said, kept in `trouble`, and tried again with growing pauses."""
        failures = 0
        while not self._is_ending.is_set():
            try:
                await self._serve()
                failures = 0
            except SettingsError as error:
                self._failed(error, str(error))
            except CloudError as error:
                self._failed(error, str(error))
            except Exception as error:  # noqa: BLE001 - whatever it is, it must not end the other sites
                self._failed(error, f"{type(error).__name__}; opening it again", error)
            failures += 1
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(_PAUSE_SECONDS_MAX, _PAUSE_SECONDS * 2 ** min(failures, 6))):
                    await self._is_ending.wait()

    def end(self) -> None:
        """Close it soon; long polls are answered at once."""
        self._is_ending.set()
        if self.cloud is not None:
            self.cloud.mail.close()

    def _failed(self, error: Exception, says: str, tell: Exception | None = None) -> None:
        if str(error) != str(self.trouble):
            _log.error("cloud: site %s (%s): %s", self.name, self.file.path, says, exc_info=tell)
        self.trouble = error
        self.is_settled.set()

    async def _serve(self) -> None:
        settings = self.file.settings
        opening = open_cloud(settings, migrating=self._migrating, waiting_bytes_max=self._waiting_bytes_max)
        async with opening as cloud:
            cloud.integrity.elsewhere = self._elsewhere(self)
            # In a thread: it takes a good part of a second, which the other sites' answers would have to wait.
            app = await asyncio.to_thread(build_app, cloud, self._figures)
            tasks = [
                asyncio.create_task(cloud.run(), name=f"workers of {self.name}"),
                asyncio.create_task(self._count(app, cloud), name=f"figures of {self.name}"),
                asyncio.create_task(self._is_ending.wait(), name=f"end of {self.name}"),
            ]
            self.app, self.cloud, self.trouble = app, cloud, None
            self.is_settled.set()
            self._is_up.set(1)
            try:
                ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in ended:
                    task.result()
                await self._finish()
            finally:
                self.app = self.cloud = None
                self._is_up.set(0)
                await end_tasks(tasks)

    async def _finish(self) -> None:
        """Take no more requests, and let those that are under way be answered."""
        self.app = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FINISH_SECONDS):
                while self._under_way(self):  # noqa: ASYNC110 - whoever counts offers no event
                    await asyncio.sleep(_LOOK_SECONDS)

    async def _count(self, app: FastAPI, cloud: Cloud) -> None:
        """Let other processes tell what this one counts."""
        while True:
            app.state.figures.note(cloud)
            await asyncio.sleep(_COUNT_SECONDS)
