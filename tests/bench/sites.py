"""Idle sites of one process: what each costs in memory and processor time, its chain followed, all its workers running.

All sites follow one development chain twice a second, as a site does by itself. The cost of one is the difference
between a process with SITES and one with a single site, over SECONDS of a settled process.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from pathlib import Path

from tests.bench.figure import Figure
from tests.cloud.chain_site import ChainSite
from tests.cloud.gateway import SimulatedGateway
from tests.cloud.tenants import Tenant, serving_sites
from tests.conftest import Endpoint
from tests.processes import free_port, is_listening, running, wait_until

SITES = int(os.environ.get("MINGLOU_BENCH_SITES", "50"))
SECONDS = 20.0
SETTLED_SECONDS = 10.0
_TICKS = os.sysconf("SC_CLK_TCK")


def figures() -> dict[str, Figure]:
    """Memory and processor time of one more idle site."""
    from provisioning.demo.anvil import anvil_command

    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        command = anvil_command(port, "--block-time", "5", "--mixed-mining")
        with running(command, name="anvil", output_dir=Path(folder), ready=lambda: is_listening(port)) as program:
            chain = Endpoint(port=port, url=f"http://127.0.0.1:{port}", program=program)
            one, many = (_measure(chain, Path(folder) / str(count), count) for count in (1, SITES))
    more = SITES - 1
    megabytes = (many.bytes - one.bytes) / more / 1e6
    milliseconds = (many.cpu - one.cpu) / more * 1000
    note = (
        f"{SITES} idle sites on SQLite, each following the chain twice a second: {many.bytes / 1e6:.0f} MB and "
        f"{many.cpu * 100:.0f} % of a core; one alone {one.bytes / 1e6:.0f} MB and {one.cpu * 100:.1f} %; "
        f"all ready {many.start:.0f} s after the start"
    )
    return {
        "cloud.site_idle_rss_mb": Figure(value=round(megabytes, 1), unit="MB a site", note=note),
        "cloud.site_idle_cpu_ms": Figure(value=round(milliseconds, 1), unit="ms/s a site", note=note),
    }


class _Cost:
    def __init__(self, *, start: float, bytes: int, cpu: float) -> None:  # noqa: A002 - what it is
        self.start, self.bytes, self.cpu = start, bytes, cpu


def _measure(chain: Endpoint, folder: Path, count: int) -> _Cost:
    deployed = asyncio.run(_deploy(chain.url))
    port = free_port()
    sites = []
    for number in range(1, count + 1):
        site = Tenant(f"s{number}.localhost", folder / f"s{number}", port, number, SimulatedGateway(seed=number))
        site.chain = deployed
        site.write()
        site.config.write_text(site.settings_text().replace("poll_seconds = 0.2", "poll_seconds = 0.5"))
        sites.append(site)
    began = time.monotonic()
    with serving_sites(folder, *sites) as program:
        wait_until(lambda: _ready(sites[0]) == count, seconds=120, what="all sites")
        start = time.monotonic() - began
        time.sleep(SETTLED_SECONDS)
        before, at = _cpu_seconds(program.pid), time.monotonic()
        time.sleep(SECONDS)
        cpu = (_cpu_seconds(program.pid) - before) / (time.monotonic() - at)
        return _Cost(start=start, bytes=_rss_bytes(program.pid), cpu=cpu)


async def _deploy(url: str) -> ChainSite:
    site = await ChainSite.deploy(url)
    await site.close()
    return site


def _ready(site: Tenant) -> int:
    told = site.ask("GET", "/readyz", host="localhost")
    return int(told.json().get("sites_ready", 0))


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _rss_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
