"""The demo's counts, asked of the processes themselves: what was sent, what was logged, what is anchored."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provisioning.demo.errors import DemoError
from provisioning.demo.processes import fetch_json
from provisioning.demo.progress import Progress
from provisioning.demo.state import DemoState
from provisioning.settings import Places

__all__ = ["Figures", "Snapshot"]

_STALL_SECONDS = 150.0  # after an outage a gateway pauses for up to a minute before it tries again


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The three processes' own counts at one time; empty where one does not answer."""

    building: dict[str, Any]
    gateway: dict[str, Any]
    cloud: dict[str, Any]


class Figures:
    """Asks the processes for their counts and shows them."""

    def __init__(self, places: Places, state: DemoState, progress: Progress) -> None:
        self._control = places.building / "control.sock"
        self._status_url = f"http://127.0.0.1:{state.ports.status}/status.json"
        self._cloud_url = f"http://127.0.0.1:{state.ports.cloud}/v1/status"
        self._logs = places.logs
        self._progress = progress

    async def snapshot(self) -> Snapshot:
        """The counts now."""
        building, gateway, cloud = await asyncio.gather(
            ask_building(self._control, {"do": "counters"}),
            asyncio.to_thread(fetch_json, self._status_url),
            asyncio.to_thread(fetch_json, self._cloud_url),
        )
        return Snapshot(building=building, gateway=gateway, cloud=cloud)

    async def follow(self, every_seconds: float = 1.0) -> None:
        """Show the counts until cancelled."""
        while True:
            now = await self.snapshot()
            self._progress.figures = {
                "电表帧 meter frames": now.building.get("frames_answered", 0),
                "MQTT 消息 messages": sum(now.building.get("mqtt_acknowledged", {}).values()),
                "网关记录 entries": now.gateway.get("entries", 0),
                "云端持有 in the cloud": now.cloud.get("entries", 0),
                "业委会副本 committee's copy": sum(one["size"] for one in now.gateway.get("copies", ())),
                "上链检查点 anchored": now.cloud.get("anchored_size", 0),
                "见证人 witnesses": _cosigned(now.cloud),
                "最终区块 final block": now.cloud.get("final_block", 0),
            }
            await asyncio.sleep(every_seconds)

    async def wait_until_sent(self) -> None:
        """Wait until the cloud holds everything that the gateway had logged when asked."""
        await self._wait("uploaded")

    async def wait_until_anchored(self) -> None:
        """Wait until everything that the gateway had logged when asked is anchored, and the gateway was told so."""
        await self._wait("anchored")

    async def _wait(self, name: str) -> None:
        """Wait until the gateway's count `name` reaches the entries that it has now.

        Raises:
            DemoError: for minutes it did not grow; the message carries the sizes and what hinders.
        """
        logged = reached = 0
        deadline = time.monotonic() + _STALL_SECONDS
        while time.monotonic() < deadline:
            gateway = await asyncio.to_thread(fetch_json, self._status_url)
            logged = logged or int(str(gateway.get("entries", 0)))
            count = int(str(gateway.get(name) or 0))
            if logged and count >= logged:
                return
            if count != reached:
                reached, deadline = count, time.monotonic() + _STALL_SECONDS
            await asyncio.sleep(0.2)
        raise DemoError(f"not everything was {name}, nothing more for {_STALL_SECONDS:.0f} s: {await self._why()}")

    async def _why(self) -> str:
        """What the gateway and the cloud say of themselves, for who sees this message and no log."""
        now = await self.snapshot()
        gateway, cloud = now.gateway, now.cloud
        if not gateway or not cloud:
            return f"the {'cloud' if gateway else 'gateway'} does not answer; look at its log in {self._logs}"
        says = [
            f"gateway {gateway['state']}, {gateway['entries']} entries, {gateway['uploaded']} sent, "
            f"{gateway['anchored']} anchored",
            gateway["uplink_error"],
            f"the cloud holds {cloud['entries']}, refused {cloud['refused'] or 'nothing'}, anchored "
            f"{cloud.get('anchored_final_size')} of {cloud['super_size']} checkpoints at final block "
            f"{cloud.get('final_block')} of {cloud.get('head_block')}",
            *(f"sending stopped, {cause}: {what}" for cause, what in cloud.get("stopped", {}).items()),
            (cloud["witnesses"] or {}).get("waiting"),
            *cloud["notices"][-3:],
            f"the logs are in {self._logs}",
        ]
        return "; ".join(str(one) for one in says if one)


def _cosigned(cloud: dict[str, Any]) -> str:
    """How many witnesses have cosigned the newest head."""
    witnesses = cloud.get("witnesses") or {}
    return f"{witnesses.get('cosigned', 0)} / {len(witnesses.get('each', ()))}"


async def ask_building(control: Path, question: dict[str, Any]) -> dict[str, Any]:
    """The building's answer to one control command; empty when it does not answer."""
    try:
        async with asyncio.timeout(2.0):
            reader, writer = await asyncio.open_unix_connection(str(control))
    except (OSError, TimeoutError):
        return {}
    try:
        writer.write(json.dumps(question).encode() + b"\n")
        async with asyncio.timeout(3.0):
            line = await reader.readline()
        answer = json.loads(line)
    except (OSError, TimeoutError, ValueError):
        return {}
    finally:
        writer.close()
    return answer if isinstance(answer, dict) else {}
