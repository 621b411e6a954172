"""How fast a replicated cloud takes batches and stores them, beside the store alone in the same run.

    python -m tests.bench.cluster_throughput

One process, in process (no HTTP), three NATS servers and PostgreSQL on the same cores. Printed, not kept as a figure.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

from cloud.ingest import Ingest, IngestLimits
from cloud.ingest_log.journal import ReplicatedJournal
from cloud.ingest_log.log import IngestLog
from cloud.ingest_log.settings import IngestLogSettings
from cloud.ingest_log.storing import Storing
from contracts.clock import SystemClock
from contracts.ending import end_tasks
from tests.bench.cloud import Load, run_in_process
from tests.bench.cloud_target import KeysInForce, sealed_store
from tests.nats_cluster import PASSWORD, USER, NatsCluster, nats_cluster
from tests.postgres import postgres_server

GATEWAYS = 100
ROUNDS = 5


async def _replicated(load: Load, url: str, cluster: NatsCluster, folder: Path) -> tuple[float, float]:
    """Entries a second until the last acknowledgement, and until the last commit; the first round is not counted."""
    settings = IngestLogSettings(servers=tuple(cluster.urls), user=USER, bytes_max=2**30)
    store, log, keys = sealed_store(url, folder), IngestLog(settings, password=PASSWORD), KeysInForce(load.keys)
    await store.migrate()
    await log.open()
    journal = ReplicatedJournal(log, store)
    limits = IngestLimits(entries_per_second=1e9, waiting_bytes_max=2**30)
    ingest = Ingest(store=store, keys=keys, clock=SystemClock(), limits=limits, journal=journal)
    storing = Storing(log=log, journal=journal, store=store, keys=keys, clock=SystemClock())
    await storing.prepare()
    a_round = load.entries // len(load.rounds)
    running = [asyncio.create_task(ingest.run()), asyncio.create_task(_carry(storing))]
    await asyncio.gather(*(ingest.submit(*batch) for batch in load.rounds[0]))
    await _stored(storing, a_round)
    started = time.perf_counter()
    for batches in load.rounds[1:]:
        await asyncio.gather(*(ingest.submit(*batch) for batch in batches))
    acknowledged = time.perf_counter() - started
    await _stored(storing, load.entries)
    stored = time.perf_counter() - started
    await end_tasks(running)
    await log.close()
    await store.close()
    return (load.entries - a_round) / acknowledged, (load.entries - a_round) / stored


async def _stored(storing: Storing, entries: int) -> None:
    while True:
        if storing.stored_entries >= entries:
            return
        await asyncio.sleep(0.01)


async def _carry(storing: Storing) -> None:
    while True:
        await storing.step()


def _cpu_seconds(pid: int) -> float:
    """What a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> int:
    """Print rates, and the processor time of an entry, which another load on the machine changes less."""
    load = Load(GATEWAYS, ROUNDS)
    with tempfile.TemporaryDirectory() as folder, postgres_server() as postgres, nats_cluster(Path(folder)) as cluster:
        alone = run_in_process(load, postgres.url(postgres.new_database()))
        used = [time.process_time()]
        servers = -sum(_cpu_seconds(node.program.pid) for node in cluster.nodes)
        url = postgres.url(postgres.new_database())
        acknowledged, stored = asyncio.run(_replicated(load, url, cluster, Path(folder)))
        used.append(time.process_time())
        servers += sum(_cpu_seconds(node.program.pid) for node in cluster.nodes)
        again = run_in_process(load, postgres.url(postgres.new_database()))
        used.append(time.process_time())
    replicated_us, alone_us, servers_us = (
        seconds / load.entries * 1e6 for seconds in (used[1] - used[0], used[2] - used[1], servers)
    )
    print(f"the store alone {alone:,.0f} and {again:,.0f} entries/s; replicated: acknowledged {acknowledged:,.0f}, ")
    print(f"stored {stored:,.0f} entries/s; processor time an entry: the cloud's process alone {alone_us:.1f} us, ")
    print(f"replicated {replicated_us:.1f} us, and {servers_us:.1f} us of the three NATS servers")
    return 0


if __name__ == "__main__":
    sys.exit(main())
